//! The program itself, as a shell sees it. (A test of this package also makes `cargo test --workspace` build the program,
//! which the whole-system tests start.)

use std::process::{Command, Output};

fn banyan_node(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_banyan-node")).args(args).output().expect("the program starts")
}

#[test]
fn every_command_explains_itself() {
    let help = banyan_node(&["--help"]);
    assert!(help.status.success());
    let help = String::from_utf8(help.stdout).unwrap();
    for command in "init check up join peer data inbox approve deny halt audit status completions".split(' ') {
        assert!(help.contains(&format!("  {command} ")), "{command} is not in the help:\n{help}");
        let own = banyan_node(&[command, "--help"]);
        assert!(own.status.success(), "{command}");
        assert!(String::from_utf8(own.stdout).unwrap().contains("Usage: banyan-node"), "{command}");
    }
}

#[test]
fn a_wrong_flag_is_exit_code_2() {
    assert_eq!(banyan_node(&["status", "--no-such-flag"]).status.code(), Some(2));
}
