//! Two institutions, one question, a minute: `cargo run --release --example demo`.
//!
//! The coordinator and both nodes run as processes of their own. Cargo builds no other package's programs for an example,
//! so this one is all of them: it starts itself again with a word that says which of the two to be.

use std::ffi::OsString;
use std::process::ExitCode;

use banyan_coordinator::cli::{Programs, main_with_args};

/// The word that makes this executable the `banyan` program.
const COORDINATOR: &str = "__banyan";
/// The word that makes this executable the `banyan-node` program.
const NODE: &str = "__banyan-node";

fn main() -> ExitCode {
    let mut args: Vec<OsString> = std::env::args_os().collect();
    let programs = Programs::in_this_executable(COORDINATOR, NODE);
    match args.get(1).and_then(|word| word.to_str()) {
        Some(NODE) => {
            args.remove(1);
            banyan_node::cli::main_with_args(args)
        }
        Some(COORDINATOR) => {
            args.remove(1);
            main_with_args(args, &programs)
        }
        _ => {
            args.insert(1, "demo".into());
            main_with_args(args, &programs)
        }
    }
}
