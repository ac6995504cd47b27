//! Stories on real data, one command each:
//!
//! | story | command |
//! |---|---|
//! | `demo.rs`: a bank and a public credit bureau find their common clients | `cargo run --release --example demo` |
//!
//! The data lies in `data/`, each set with its origin and licence.
