//! The language of jobs: what people write and approve ([`Spec`]), what follows from it ([`Plan`]), and where a job
//! stands ([`State`]). Pure: no clock, no file, no network.

mod band;
mod buckets;
mod choose;
mod discloses;
mod expect;
mod plan;
mod spec;
mod state;
pub mod validate;
mod wrong;

#[cfg(test)]
mod tests;

pub use band::Band;
pub use buckets::{BUCKETS_MAX, Split};
pub use choose::AUTO;
pub use expect::{Expected, Line};
pub use plan::{Plan, Stage, Task};
pub use spec::{
    Duplicates, Format, Limits, Network, Normalise, Operation, OutputSpec, PartySpec, ResultKind, Spec, SpecError, When,
};
pub use state::{Event, IllegalEvent, State};
