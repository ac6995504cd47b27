//! The node's data: a catalogue of registered files, the local engine over them, the key snapshot a job computes on,
//! and the result file it leaves.
//!
//! The order of a job: [`Catalog::get`] by id, [`Filter::parse`] against the grant, [`Snapshot::take`] under the job's
//! limits, the protocol over [`Snapshot::items`], then [`write_rows`] or [`write_number`] and, once everybody signed,
//! [`Held::release`]. Nothing here knows cryptography beyond a hash, or the network.

mod apart;
mod atomic;
mod catalog;
mod catalog_toml;
mod csv;
mod encoding;
mod engine;
mod error;
mod filter;
mod fingerprint;
mod found;
mod near;
mod normalise;
mod numbers;
mod output;
mod parquet;
mod scan;
mod seen;
mod snapshot;
mod source;
mod spill;
mod taking;

#[cfg(test)]
mod tests;

pub use apart::{Bucket, Buckets};
pub use atomic::{AtomicFile, Held, Released, remove_partials};
pub use catalog::{Catalog, Column, DataSet, FileFormat, Kind, KnownBands};
pub use encoding::Encoding;
pub use engine::{Engine, Session};
pub use error::{CatalogFault, DataError};
pub use filter::Filter;
pub use fingerprint::Fingerprint;
pub use found::{Found, Picked};
pub use numbers::numbers;
pub use output::{Flag, Wanted, write_number, write_rows};
pub use scan::{Described, ScanOptions, describe, scan};
pub(crate) use snapshot::blocking;
pub use snapshot::{Keys, Pinned, Selection, Snapshot};
