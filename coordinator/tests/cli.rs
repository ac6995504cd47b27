//! The command line as a script sees it: exit codes, one JSON object on stdout, messages that name the remedy.

use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;

fn banyan(dir: &Path, args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_banyan"));
    command.current_dir(dir).args(args).env("BANYAN_DEV_HOME", dir.join("dev")).output().unwrap()
}

fn fails(dir: &Path, args: &[&str], exit: i32) -> String {
    let output = banyan(dir, &[args, &["--json"]].concat());
    assert_eq!(output.status.code(), Some(exit), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
    let answer: Value = serde_json::from_slice(&output.stdout).expect("one JSON object");
    assert_eq!((answer["ok"].as_bool(), answer["error"]["exit"].as_i64()), (Some(false), Some(i64::from(exit))));
    answer["error"]["message"].as_str().unwrap().to_owned()
}

#[test]
fn the_example_checks_and_a_changed_one_has_another_digest() {
    let dir = tempfile::tempdir().unwrap();
    let example = banyan(dir.path(), &["job", "check", "--example"]);
    assert_eq!(example.status.code(), Some(0));
    std::fs::write(dir.path().join("job.toml"), &example.stdout).unwrap();
    let digest = || {
        let checked = banyan(dir.path(), &["job", "check", "job.toml", "--json"]);
        assert_eq!(checked.status.code(), Some(0));
        let answer: Value = serde_json::from_slice(&checked.stdout).unwrap();
        assert_eq!(answer["plan"]["stages"][0]["tasks"][0]["rounds"], 10);
        answer["spec_digest"].as_str().unwrap().to_owned()
    };
    let first = digest();
    let changed = String::from_utf8(example.stdout).unwrap().replace("minimum_result = 100", "minimum_result = 101");
    std::fs::write(dir.path().join("job.toml"), changed).unwrap();
    assert_ne!(digest(), first);
}

#[test]
fn bad_input_is_exit_2_and_names_the_remedy() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("job.toml"), "version = 1\nname = \"Big Job\"\n").unwrap();
    assert_eq!(
        fails(dir.path(), &["job", "check", "job.toml"], 2),
        "job.toml: name: a name has 1 to 64 characters from a-z, 0-9, '-' and '_', and starts with a letter or digit; \
         see line 2, column 8, and `banyan job check --example` for a whole job file"
    );
    assert_eq!(
        fails(dir.path(), &["job", "list"], 2),
        format!(
            "{} is no developer's home yet: ask the operator for an invite (`banyan invite NAME --developer`) and run \
             `banyan join TOKEN`",
            dir.path().join("dev").display()
        )
    );
    assert!(fails(dir.path(), &["join", "hello"], 2).contains("paste the whole line that `banyan invite` printed"));
    let example = banyan(dir.path(), &["job", "check", "--example"]).stdout;
    std::fs::write(dir.path().join("job.toml"), example).unwrap();
    assert_eq!(
        fails(dir.path(), &["local", "job.toml", "--out", "out", "--data", "bank=."], 2),
        "--data bureau=DIR is missing: where are the files of bureau?"
    );
    assert_eq!(banyan(dir.path(), &["local", "job.toml"]).status.code(), Some(2), "a missing flag");
}

#[test]
fn every_shell_gets_its_completions() {
    let dir = tempfile::tempdir().unwrap();
    for shell in ["bash", "zsh", "fish"] {
        let script = String::from_utf8(banyan(dir.path(), &["completions", shell]).stdout).unwrap();
        assert!(script.contains("propose") && script.contains("bench"), "{shell}");
    }
}
