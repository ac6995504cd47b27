//! The daemon as a shell sees it, and how it joins.

use super::*;

#[test]
fn an_invite_is_for_one_node_and_one_coordinator() {
    let node = Node::made();
    let key = Identity::generate().unwrap().public();
    let token = |name: &str, role| {
        let secret = InviteSecret::generate().unwrap();
        let invite =
            Invite { url: "127.0.0.1:1".parse().unwrap(), key, secret, name: PartyId::new(name).unwrap(), role };
        invite.to_token().to_string()
    };
    node.fails(
        &["join", &token("bank", InviteRole::Node)],
        2,
        "this invite is for bank, this node is tax: ask the operator for one in this name",
    );
    node.fails(
        &["join", &token("tax", InviteRole::Developer)],
        2,
        "this invite is for the developer tax: redeem it with `banyan join`, or ask the operator for a node's",
    );
    node.fails(
        &["join", &token("tax", InviteRole::Node)],
        3,
        "the coordinator at 127.0.0.1:1 cannot be reached: Connection refused (os error 111); is it up, and does a \
         firewall let this machine dial it?",
    );
    assert!(Config::load(&node.home()).unwrap().coordinator.is_none(), "nothing was joined");
    let attends = node.attends_nobody().coordinator.unwrap();
    let said = node.say(&["join", &token("tax", InviteRole::Node)]);
    assert!(said.exit == 4 && said.error.contains(&attends.key.fingerprint().to_string()), "{}", said.error);
}

/// A running daemon, ended at the latest with the test.
struct Daemon(Child);

impl Daemon {
    /// Starts one, and waits until its admin port answers.
    fn up(node: &Node) -> Self {
        Self::started(node, node.command(&["up"]).stdout(Stdio::null()))
    }

    fn started(node: &Node, up: &mut Command) -> Self {
        let daemon = Self(up.stderr(Stdio::null()).spawn().unwrap());
        let until = Instant::now() + Duration::from_secs(30);
        while node.json(&["status"])["daemon"].is_null() {
            assert!(Instant::now() < until, "the daemon does not come up");
            std::thread::sleep(Duration::from_millis(50));
        }
        daemon
    }

    /// Sends SIGTERM; gives the exit code.
    fn stop(mut self) -> Option<i32> {
        let kill = Command::new("kill").arg(self.0.id().to_string()).status().unwrap();
        assert!(kill.success());
        let until = Instant::now() + Duration::from_secs(30);
        loop {
            if let Some(status) = self.0.try_wait().unwrap() {
                return status.code();
            }
            assert!(Instant::now() < until, "the daemon does not stop");
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // gone already where the test stopped it
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn one_daemon_runs_on_a_home_and_stops_when_told_to() {
    let node = Node::made();
    node.fails(
        &["up"],
        2,
        "this node attends no coordinator: ask its operator for an invite, then run `banyan-node join INVITE`",
    );
    node.attends_nobody();
    let daemon = Daemon::up(&node);
    let message =
        format!("another banyan-node runs on {}: stop it first, or give another --home", node.path().display());
    node.fails(&["up"], 3, &message);
    let check = node.say(&["check"]);
    assert!(check.exit == 1 && check.out.contains("✗ coordinator    "), "{}", check.out);
    assert!(check.out.contains("✓ daemon         runs since "), "{}", check.out);
    assert_eq!(node.say(&["halt", "--all", "--reason", "while it runs"]).exit, 0, "both write one log");
    assert_eq!(daemon.stop(), Some(0));
    assert!(!node.path().join("admin.addr").exists());
    assert!(node.json(&["status"])["daemon"].is_null());
    let acts: Vec<Value> =
        node.json(&["audit", "show"])["records"].as_array().unwrap().iter().map(|r| r["act"].clone()).collect();
    assert_eq!(acts, ["begin", "start", "halt", "stop"]);
    assert_eq!(node.say(&["audit", "verify"]).exit, 0);
}

#[test]
fn every_line_of_a_daemon_is_an_object() {
    let node = Node::made();
    node.attends_nobody();
    let told = node.dir.path().join("told");
    let daemon = Daemon::started(&node, node.command(&["--json", "up"]).stdout(fs::File::create(&told).unwrap()));
    assert_eq!(daemon.stop(), Some(0));
    let told = fs::read_to_string(told).unwrap();
    let lines: Vec<Value> = told.lines().map(|line| serde_json::from_str(line).expect(line)).collect();
    let stopped = serde_json::json!({ "ok": true, "event": "stopped", "name": "tax" });
    assert_eq!(lines.last(), Some(&stopped));
}

#[test]
fn a_check_dials_every_peer_and_tells_who_answers() {
    let (tax, bank) = (Node::made(), Node::nowhere());
    assert_eq!(bank.say(&["init", "--name", "bank"]).exit, 0);
    let key = |node: &Node| node.json(&["status"])["key"].as_str().unwrap().to_owned();
    let fingerprint = |node: &Node| node.json(&["status"])["fingerprint"].as_str().unwrap().to_owned();
    let mut config = bank.attends_nobody();
    config.listen = Some("127.0.0.1:0".parse().unwrap());
    config.save(&bank.home()).unwrap();
    let daemon = Daemon::up(&bank);
    let url = fs::read_to_string(bank.path().join("listen.addr")).unwrap().trim().to_owned();
    let said = |line: &str, exit: i32| {
        let check = tax.say(&["check"]);
        assert!(check.out.contains(line), "{line} not in\n{}", check.out);
        assert_eq!(check.exit, exit, "{}", check.out);
    };

    let strange = Identity::generate().unwrap().public();
    assert_eq!(tax.say(&["peer", "add", "bank", &strange.to_string(), "--url", &url]).exit, 0);
    let other = format!(
        "✗ peer           bank is pinned, but {url} does not hold the pinned key {}\n                 → somebody else \
         answers there, or bank has a new key: ask it, then `banyan-node peer remove bank` and pin the new one\n",
        strange.fingerprint()
    );
    said(&other, 1);
    assert_eq!(tax.say(&["peer", "remove", "bank"]).exit, 0);

    assert_eq!(tax.say(&["peer", "add", "bank", &key(&bank), "--url", &url]).exit, 0);
    let stranger = format!(
        "✗ peer           bank is pinned, but {url} does not know this node's key\n                 → bank has not pinned \
         this node: tell it this node's fingerprint, for its `banyan-node peer confirm`\n"
    );
    said(&stranger, 1);
    assert_eq!(bank.say(&["peer", "add", "tax", &key(&tax)]).exit, 0);
    let answers = format!("✓ peer           bank answers at {url} with its pinned key, {}\n", fingerprint(&bank));
    said(&answers, 0);
    let silent = format!(
        "· peer           tax is pinned, {}; it only dials out, so nobody can ask whether it is up\n",
        fingerprint(&tax)
    );
    assert!(bank.say(&["check"]).out.contains(&silent));

    assert_eq!(daemon.stop(), Some(0));
    let gone = format!(
        "✗ peer           bank is pinned, but {url} cannot be reached: Connection refused (os error 111)\n                 \
         → is its daemon up, and does a firewall let this machine dial it? `banyan-node peer add` with --url moves it\n"
    );
    said(&gone, 1);
}

#[test]
fn a_port_that_is_taken_is_named() {
    let node = Node::made();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = taken.local_addr().unwrap();
    let mut config = node.attends_nobody();
    config.listen = Some(addr);
    config.save(&node.home()).unwrap();
    let message = format!(
        "listen = \"{addr}\" in config.toml cannot be used (Address already in use (os error 98)): stop the program that \
         has it, or give another port"
    );
    node.fails(&["up"], 3, &message);
    config.listen = None;
    config.admin = addr;
    config.save(&node.home()).unwrap();
    let message = format!(
        "the admin port {addr} is taken by another program (Address already in use (os error 98)); write admin = \
         \"127.0.0.1:0\" in config.toml for any free one"
    );
    node.fails(&["up"], 3, &message);
}
