//! The program itself, as a shell sees it. (A test of this package also makes `cargo test --workspace` build the program,
//! which the whole-system tests start.)

use std::process::{Command, Output};

fn banyan(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_banyan")).args(args).output().expect("the program starts")
}

#[test]
fn every_command_explains_itself() {
    let help = banyan(&["--help"]);
    assert!(help.status.success());
    let help = String::from_utf8(help.stdout).unwrap();
    for command in "serve invite join job local demo bench completions".split(' ') {
        assert!(help.contains(&format!("  {command} ")), "{command} is not in the help:\n{help}");
        assert!(banyan(&[command, "--help"]).status.success(), "{command}");
    }
    for command in "check propose watch status cancel report review list".split(' ') {
        assert!(banyan(&["job", command, "--help"]).status.success(), "job {command}");
    }
}
