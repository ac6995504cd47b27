//! What the whole-system tests share.

pub mod job;
pub mod local;
pub mod office;
pub mod party;
pub mod process;

use std::path::PathBuf;

/// The real program of that name, as the same build left it beside the tests.
///
/// # Panics
/// Where it was not built: a test then says how.
pub fn bin(name: &str) -> PathBuf {
    let tests = std::env::current_exe().expect("a test is a file");
    // target/<profile>/deps/<test>: the programs are one floor up
    let profile = tests.parent().and_then(std::path::Path::parent).expect("tests are in target/<profile>/deps");
    let program = profile.join(name);
    assert!(
        program.is_file(),
        "{} is not there: run `cargo test --workspace`, or `cargo build -p banyan-node -p banyan-coordinator` first",
        program.display()
    );
    program
}
