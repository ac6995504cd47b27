//! A home: made once, its owner's only, checked; and what every command has in common.

use super::*;

#[test]
fn a_node_is_made_once_and_what_it_keeps_is_its_owners_only() {
    use std::os::unix::fs::PermissionsExt;
    let node = Node::made();
    let home = node.path();
    for file in ["config.toml", "catalog.toml", "keys/identity.pem", "approver/approver.pem", "audit/log.jsonl"] {
        let mode = fs::metadata(home.join(file)).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode, 0o600, "{file}");
    }
    let key = fs::read(home.join("keys/identity.pem")).unwrap();
    let message = format!(
        "{} holds a node already, and a node is made once; give another --home, or go on with `banyan-node check`",
        home.display()
    );
    node.fails(&["init", "--name", "other"], 2, &message);
    assert_eq!(fs::read(home.join("keys/identity.pem")).unwrap(), key);
}

#[test]
fn an_init_that_was_cut_short_is_finished_with_the_same_keys() {
    let node = Node::made();
    let fingerprint = node.json(&["status"])["fingerprint"].clone();
    fs::remove_file(node.path().join("config.toml")).unwrap();
    assert_eq!(node.json(&["init", "--name", "tax"])["fingerprint"], fingerprint);
}

#[test]
fn wrong_flags_teach_and_are_json_where_json_is_asked_for() {
    let node = Node::nowhere();
    let said = node.say(&["init", "--name", "Tax Bureau"]);
    assert_eq!(said.exit, 2);
    assert!(
        said.error.starts_with(
            "error: invalid value 'Tax Bureau' for '--name <NAME>': a party name has 1 to 32 characters from a-z, 0-9 \
             and '-', and starts with a letter\n"
        ),
        "{}",
        said.error
    );
    let answer = node.json(&["approve"]);
    assert_eq!((&answer["ok"], &answer["error"]["exit"]), (&Value::Bool(false), &Value::from(2)));
    let message = format!(
        "{}/config.toml: file: there is none; run `banyan-node init`, or give the right --home",
        node.path().display()
    );
    node.fails(&["halt", "--all", "--reason", "incident"], 2, &message);
    assert!(!node.path().exists(), "a mistyped home is not made");
    let help = node.say(&["--help"]);
    assert!(help.exit == 0 && help.out.contains("\n  4   refused: this node's own rules do not allow it\n"));
}

#[test]
fn a_check_of_a_new_node_is_in_order_and_finds_what_is_not() {
    let node = Node::made();
    assert_eq!(node.say(&["data", "scan"]).exit, 0);
    let said = node.say(&["check"]);
    assert_eq!(said.exit, 0, "{}", said.out);
    for line in [
        "✓ config         this node is tax\n",
        "· daemon         does not run; `banyan-node up` starts it\n",
        "✓ listen         no port is open: this node only dials out, through the coordinator's relay\n",
        "· coordinator    none yet: ask the operator for an invite, then `banyan-node join TOKEN`\n",
        "✓ data           residents: 2 columns, at most 16 rows\n",
        "✓ audit log      2 records, none changed, removed, added or moved\n",
        "\nall in order\n",
    ] {
        assert!(said.out.contains(line), "{line} not in\n{}", said.out);
    }

    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = taken.local_addr().unwrap();
    let mut config = Config::load(&node.home()).unwrap();
    config.listen = Some(addr);
    config.save(&node.home()).unwrap();
    fs::write(node.dir.path().join("data/residents.csv"), "").unwrap();
    let said = node.say(&["check"]);
    assert_eq!(said.exit, 1);
    for line in [
        format!("✗ listen         {addr} cannot be had: Address already in use (os error 98)\n"),
        format!("                 → find who has it with `ss -ltnp 'sport = :{}'`, or write another port", addr.port()),
        "✗ data           residents: residents.csv is empty: expected a header line and at least one row; export it again\n"
            .to_owned(),
        "\nnot in order: 2\n".to_owned(),
    ] {
        assert!(said.out.contains(&line), "{line} not in\n{}", said.out);
    }
    assert_eq!(node.json(&["check"])["bad"], 2);
}

#[test]
fn a_peer_is_pinned_by_the_fingerprint_it_told_itself() {
    let node = Node::made();
    let (bank, other) = (Identity::generate().unwrap().public(), Identity::generate().unwrap().public());
    let store = Store::open(&node.home()).unwrap();
    let name = PartyId::new("bank").unwrap();
    let fingerprint = bank.fingerprint().to_string();
    node.fails(
        &["peer", "confirm", "bank", &fingerprint],
        2,
        "nobody introduced bank to this node; join a coordinator that knows it, or pin its key with `banyan-node peer \
         add bank KEY`",
    );
    store.introduce(&name, &other, None).unwrap();
    let message = format!(
        "the key that was introduced for bank has fingerprint {}, not {fingerprint}; nothing was pinned: either the \
         fingerprint was typed wrong, or the coordinator gave another key than the party's own; ask the party again, and \
         tell the operator if the two still differ",
        other.fingerprint()
    );
    node.fails(&["peer", "confirm", "bank", &fingerprint], 4, &message);
    assert_eq!(store.pinned(&name).unwrap(), None);

    store.introduce(&name, &bank, Some("bank.example:7440")).unwrap();
    let answer = node.json(&["peer", "confirm", "bank", &fingerprint]);
    assert_eq!((&answer["ok"], &answer["url"]), (&Value::Bool(true), &Value::from("bank.example:7440")));
    assert_eq!(store.pinned(&name).unwrap().map(|peer| peer.key), Some(bank));
    let said = node.say(&["peer", "add", "bank", &other.to_string()]);
    assert_eq!(said.exit, 4, "a pin is not moved to another key: {}", said.error);

    store.introduce(&name, &other, None).unwrap();
    assert_eq!(node.json(&["peer", "list"])["peers"][0]["standing"], "pinned; introduced with another key since");
    assert_eq!(node.say(&["peer", "remove", "bank"]).exit, 0);
    node.fails(&["peer", "remove", "bank"], 2, "bank is not pinned; see `banyan-node peer list`");
}

#[test]
fn completions_are_written_for_a_shell() {
    let node = Node::nowhere();
    for (shell, word) in
        [("bash", "complete -F _banyan__node "), ("zsh", "#compdef banyan-node"), ("fish", "complete -c banyan-node")]
    {
        let said = node.say(&["completions", shell]);
        assert!(said.exit == 0 && said.out.contains(word) && said.out.contains("approve"), "{shell}: {}", said.error);
    }
    let said = node.say(&["completions", "tcsh"]);
    assert!(
        said.exit == 2 && said.error.contains("[possible values: bash, elvish, fish, powershell, zsh]"),
        "{}",
        said.error
    );
}
