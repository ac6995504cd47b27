//! A configuration is written and read as the same value, and every wrong field says where and what would be right.

use std::fs;

use banyan_proto::grant::Reviewer;
use banyan_proto::identity::Identity;

use super::*;

fn home() -> (tempfile::TempDir, Home) {
    let dir = tempfile::tempdir().unwrap();
    let home = Home::new(dir.path());
    (dir, home)
}

fn full() -> Config {
    let key = Identity::generate().unwrap().public();
    Config {
        listen: Some("0.0.0.0:7440".parse().unwrap()),
        url: Some("node.example.org:7440".into()),
        data_dir: "/srv/it's \"data\"\\".into(),
        memory_mb: 2048,
        threads: 2,
        approvers: vec![key, Identity::generate().unwrap().public()],
        required_reviews: vec![
            RequiredReview { reviewer: Reviewer::Operator, key },
            RequiredReview { reviewer: Reviewer::Authority, key },
        ],
        epoch_s: 3600,
        answers_per_epoch: 5000,
        interop_plaintext: true,
        coordinator: Some(Coordinator { url: "[::1]:7450".into(), key }),
        ..Config::new(PartyId::new("bank").unwrap())
    }
}

#[test]
fn what_is_saved_is_loaded() {
    let (_dir, home) = home();
    for config in [Config::new(PartyId::new("bank").unwrap()), full()] {
        config.save(&home).unwrap();
        assert_eq!(Config::load(&home).unwrap(), config);
    }
    assert_eq!(Config::new(PartyId::new("a").unwrap()).data_dir(&home), home.root().join("data"));
}

#[test]
fn every_wrong_field_says_where_and_what_would_be_right() {
    let (_dir, home) = home();
    let wrong = |text: &str| {
        fs::write(home.config(), text).unwrap();
        let error = Config::load(&home).unwrap_err().to_string();
        error.strip_prefix(&home.config().display().to_string()).expect("the file is named").to_owned()
    };
    assert!(wrong("").contains(": file: missing field `name`; "));
    assert_eq!(
        wrong("name = \"bank\"\nlisten = 7440"),
        " line 2: listen: invalid type: integer `7440`, expected socket address; \
         write listen = \"0.0.0.0:7440\", or leave it out if nobody can dial this node"
    );
    assert_eq!(
        wrong("name = \"bank\"\n\nadmin = \"0.0.0.0:80\""),
        " line 3: admin: 0.0.0.0:80 can be reached from other machines; write admin = \"127.0.0.1:0\""
    );
    assert!(wrong("name = \"bank\"\nlisten_on = \"x\"").starts_with(" line 2: listen_on: unknown field"));
    assert!(wrong("name = \"Bank\"").starts_with(" line 1: name: a party name has 1 to 32 characters"));
    assert!(wrong("name = \"bank\"\nmemory_mb = 1").contains(" line 2: memory_mb: 1 MiB; give 64 to 1048576 MiB"));
    assert!(wrong("name = \"bank\"\nthreads = 4000").contains("give 0 (one per core) to 1024"));
    assert!(wrong("name = \"bank\"\nurl = \"https://x\"").contains("\"https://x\" is no host:port"));
    assert_eq!(
        wrong("name = \"bank\"\nurl = \"a:+1\""),
        " line 2: url: \"a:+1\" is no host:port; write a host and a port such as \"node.example.org:7440\""
    );
    assert!(wrong("name = \"bank\"\napprovers = [\"ed25519:aaaa\"]").contains(" line 2: approvers[0]: "));
    assert!(wrong("name = \"bank\"\n[coordinator]\nurl = \"x\"").contains(": coordinator: missing field `key`"));
    assert!(wrong("name = ").starts_with(" line 1: file: "));
    fs::remove_file(home.config()).unwrap();
    let none = Config::load(&home).unwrap_err().to_string();
    assert!(none.ends_with("file: there is none; run `banyan-node init`, or give the right --home"), "{none}");
}

#[test]
fn a_wrong_configuration_is_not_saved() {
    let (_dir, home) = home();
    let good = full();
    good.save(&home).unwrap();
    let bad = Config { memory_mb: 0, ..good.clone() };
    assert_eq!(bad.save(&home).unwrap_err().field, "memory_mb");
    assert_eq!(Config::load(&home).unwrap(), good);
}
