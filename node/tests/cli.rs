//! The command line of `banyan-node`, as a person or a script meets it: the real program, a real home, exact messages.

use std::fs;
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use banyan_node::audit::Log;
use banyan_node::config::{Config, Coordinator, Home};
use banyan_node::store::Store;
use banyan_proto::audit::Act;
use banyan_proto::canonical::{Canonical, Digest};
use banyan_proto::grant::Reviewer;
use banyan_proto::identity::Identity;
use banyan_proto::invite::{Invite, InviteRole, InviteSecret};
use banyan_proto::job::Spec;
use banyan_protocols::party::PartyId;
use serde_json::Value;
use tempfile::TempDir;

/// What a command said.
struct Said {
    exit: i32,
    out: String,
    error: String,
}

/// A node in a home of its own, with a data directory beside it.
struct Node {
    dir: TempDir,
}

impl Node {
    /// Two directories and no node yet.
    fn nowhere() -> Self {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("data")).unwrap();
        fs::write(dir.path().join("data/residents.csv"), "id,age\n110101199001011234,30\n11010119900101123X,31\n")
            .unwrap();
        Self { dir }
    }

    /// A node called tax.
    fn made() -> Self {
        let node = Self::nowhere();
        let data = node.dir.path().join("data");
        let said = node.say(&["init", "--name", "tax", "--data", data.to_str().unwrap()]);
        assert_eq!(said.exit, 0, "{}", said.error);
        node
    }

    fn path(&self) -> PathBuf {
        self.dir.path().join("home")
    }

    fn home(&self) -> Home {
        Home::new(self.path())
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_banyan-node"));
        command.arg("--home").arg(self.path()).args(arguments).stdin(Stdio::null());
        command
    }

    fn say(&self, arguments: &[&str]) -> Said {
        let output = self.command(arguments).output().unwrap();
        Said {
            exit: output.status.code().unwrap(),
            out: String::from_utf8(output.stdout).unwrap(),
            error: String::from_utf8(output.stderr).unwrap(),
        }
    }

    fn json(&self, arguments: &[&str]) -> Value {
        let said = self.say(&[&["--json"], arguments].concat());
        serde_json::from_str(&said.out).unwrap_or_else(|error| panic!("{error}: {} {}", said.out, said.error))
    }

    /// Fails with this exit code, and this message and no other.
    #[track_caller]
    fn fails(&self, arguments: &[&str], exit: i32, message: &str) {
        let said = self.say(arguments);
        assert_eq!((said.exit, said.error.as_str()), (exit, format!("error: {message}\n").as_str()));
        assert_eq!(said.out, "");
    }

    /// What a coordinator would do: offers this job.
    fn offered(&self, spec: &Spec) -> Digest {
        Store::open(&self.home()).unwrap().put_offer(&spec.digest(), &spec.to_bytes(), &[]).unwrap();
        spec.digest()
    }

    /// Attends a coordinator that nobody answers for.
    fn attends_nobody(&self) -> Config {
        let mut config = Config::load(&self.home()).unwrap();
        let key = Identity::generate().unwrap().public();
        config.coordinator = Some(Coordinator { url: "127.0.0.1:1".into(), key });
        config.save(&self.home()).unwrap();
        config
    }
}

const JOB: &str = r#"
version = 1
name = "fraud-check"
operation = "intersect"
protocol = "dh"
result = "rows"
recipients = ["bank"]
minimum_result = 10

[[parties]]
name = "bank"
dataset = "customers"
key = ["id"]
rows_at_most = 30000

[[parties]]
name = "tax"
dataset = "residents"
key = ["id"]
filter = "age >= 18"
rows_at_most = 5000

[scenario]
name = "fraud"
purpose = "find applicants who are known for tax fraud"
operations = ["intersect"]
results = ["rows"]
recipients = ["bank"]
minimum_result = 10
valid_from = "2026-01-01T00:00:00Z"
valid_until = "2029-01-01T00:00:00Z"
runs = 3

[[scenario.grants]]
party = "bank"
dataset = "customers"
key = ["id"]

[[scenario.grants]]
party = "tax"
dataset = "residents"
key = ["id"]
filter = ["age"]
"#;

fn job() -> Spec {
    Spec::from_toml(JOB).unwrap()
}

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
fn only_files_of_the_data_directory_are_registered() {
    let node = Node::made();
    fs::write(node.dir.path().join("secret.csv"), "id\n1\n").unwrap();
    std::os::unix::fs::symlink(node.dir.path().join("secret.csv"), node.dir.path().join("data/link.csv")).unwrap();
    let refused = |found: &str| {
        format!(
            "catalog.toml: [dataset.x] file: {found}; expected a file inside the data directory, such as \"tax.csv\"; put \
             the file there and give its name"
        )
    };
    for (file, found) in [
        ("../secret.csv", "\"../secret.csv\" is not a plain path below the data directory"),
        ("link.csv", "`link.csv` leads out of the data directory"),
        ("absent.csv", "`absent.csv` cannot be opened (No such file or directory (os error 2))"),
    ] {
        node.fails(&["data", "add", "x", file], 2, &refused(found));
    }
    let outside = format!(
        "/etc/passwd is not in the data directory {}: jobs reach no other file; put it there, or give the directory it is \
         in to `banyan-node init --data`, later as data_dir in config.toml",
        node.dir.path().join("data").display()
    );
    node.fails(&["data", "add", "x", "/etc/passwd"], 2, &outside);
    let climbs = format!("{}/../secret.csv", node.dir.path().join("data").display());
    let climbs_found = refused("\"../secret.csv\" is not a plain path below the data directory");
    node.fails(&["data", "add", "x", &climbs], 2, &climbs_found);
    node.fails(
        &["data", "show", "residant"],
        2,
        "unknown data set `residant`: there is none; see `banyan-node data list`",
    );
    let said = node.say(&["data", "add", "residents", "residents.csv", "--level", "id=3", "--level", "age=2"]);
    assert!(said.exit == 0 && said.out.contains("id      text     3      key only"), "{} {}", said.out, said.error);
    assert!(!said.out.contains("110101"), "never a row");
    node.fails(
        &["data", "add", "more", "residents.csv", "--level", "idd=3"],
        2,
        "data set `more` has no column `idd`: did you mean `id`? there are `id`, `age`",
    );
    assert_eq!(node.json(&["data", "list"])["datasets"][0]["id"], "residents");
    assert_eq!(node.say(&["data", "remove", "residents"]).exit, 0);
    assert!(node.dir.path().join("data/residents.csv").exists());
}

#[test]
fn a_data_set_is_registered_once_and_only_as_the_node_can_read_it() {
    let node = Node::made();
    let data = node.dir.path().join("data");
    let write = |name: &str, text: &str| fs::write(data.join(name), text).unwrap();
    let said = node.say(&["data", "add", "residents", "residents.csv"]);
    assert_eq!(said.exit, 0, "{}", said.error);
    let message = format!(
        "data set residents is registered already; remove it first, or correct it in {}/catalog.toml",
        node.path().display()
    );
    node.fails(&["data", "add", "residents", "residents.csv"], 2, &message);

    write("frame.csv", ",id,age\n0,x1,30\n1,x2,31\n");
    let said = node.say(&["data", "scan"]);
    let left = "frame  frame.csv: id text, age integer\nleft out: column 1 of the file, without a name, with one that \
                starts with \"__\", or of a type that is not read\n";
    assert!(said.exit == 0 && said.out.contains(left), "{} {}", said.out, said.error);
    write("again.csv", "id,__x\n1,2\n");
    assert_eq!(node.json(&["data", "add", "again", "again.csv"])["left_out"], serde_json::json!([2]));

    let catalog = fs::read(node.path().join("catalog.toml")).unwrap();
    let refused = |column: usize| {
        format!(
            "catalog.toml: [dataset.bad.column {column}] name: not a column name; expected 1 to 128 bytes, no control \
             characters or spaces around, not starting with \"__\" (kept for the node); rename the column in the file and \
             here"
        )
    };
    let many: Vec<String> = (0..1025).map(|column| format!("c{column}")).collect();
    let too_many = "catalog.toml: [dataset.bad] column: missing, empty or too many; expected 1 to 1024 tables \
                    [[dataset.bad.column]]; let `banyan-node data scan` write them";
    for (header, message) in [
        (format!("id,{}", "n".repeat(129)), refused(2)),
        ("id,\"a\nb\"".to_owned(), refused(2)),
        (many.join(","), too_many.to_owned()),
    ] {
        write("bad.csv", &format!("{header}\n{}\n", vec!["1"; header.matches(',').count() + 1].join(",")));
        node.fails(&["data", "add", "bad", "bad.csv"], 2, &message);
        node.fails(&["data", "scan"], 2, &message);
        node.fails(&["data", "scan", "--dry-run"], 2, &message);
    }
    fs::remove_file(data.join("bad.csv")).unwrap();
    assert_eq!(fs::read(node.path().join("catalog.toml")).unwrap(), catalog, "what is refused changes nothing");
    assert_eq!(node.json(&["data", "list"])["datasets"].as_array().unwrap().len(), 3);
    assert_eq!(node.say(&["audit", "verify"]).exit, 0);

    write("Residents.csv", "id\n1\n");
    node.fails(
        &["data", "scan"],
        2,
        "catalog.toml: [dataset.residents] file: residents.csv gives an id that another file gives too; expected one file \
         for each id; rename one of the files",
    );
    fs::rename(data.join("residents.csv"), data.join("older.txt")).unwrap();
    node.fails(
        &["data", "scan"],
        2,
        "Residents.csv would be data set residents, which is another file already; give it an id of its own: banyan-node \
         data add ID Residents.csv",
    );
}

#[test]
fn no_row_of_a_bad_file_is_told_or_kept() {
    let node = Node::made();
    let file = node.dir.path().join("data/people.csv");
    const CANARY: &str = "110105194912310021";
    for (text, exit, message) in [
        (
            "110105194912310021,44\n110105194912310022,45\n",
            2,
            "the first line of people.csv looks like a row: a name of a column is no number or date, and has no six digits \
             in a row; add a header line",
        ),
        (
            "id,age\n110105194912310021,44,1\n",
            2,
            "people.csv line 2: 3 fields, but the header has 2; put quotes around fields that hold the delimiter, and \
             correct the row at its source",
        ),
        (
            "id,age\n\"110105194912310021,44\n110105194912310022,45\n",
            2,
            "people.csv line 2: the quote that is opened here is never closed, so the rest of the file would be one cell; \
             close it, and write a quote inside quotes twice",
        ),
    ] {
        fs::write(&file, text).unwrap();
        node.fails(&["data", "scan"], exit, message);
        node.fails(&["data", "add", "people", "people.csv"], exit, message);
    }
    fs::write(&file, format!("id,age\n{CANARY},44\n")).unwrap();
    assert_eq!(node.say(&["data", "scan"]).exit, 0);
    fs::write(&file, format!("id,age\n{CANARY},{CANARY}{CANARY}\n{CANARY},1,2\n")).unwrap();
    let check = node.say(&["check"]);
    assert!(
        check.exit == 1 && check.out.contains("✗ data           people: people.csv line 3: 3 fields"),
        "{}",
        check.out
    );
    for said in [check, node.say(&["data", "show", "people"]), node.say(&["audit", "show"]), node.say(&["status"])] {
        assert!(!said.out.contains(CANARY) && !said.error.contains(CANARY), "{}{}", said.out, said.error);
    }
    for kept in ["catalog.toml", "audit/log.jsonl", "state.sqlite"] {
        let bytes = fs::read(node.path().join(kept)).unwrap();
        assert!(!bytes.windows(CANARY.len()).any(|window| window == CANARY.as_bytes()), "{kept}");
    }
}

#[test]
fn an_approval_is_read_first_signed_by_an_approver_and_logged() {
    let node = Node::made();
    node.fails(
        &["approve", "fraud-check", "--yes"],
        2,
        "no job fraud-check was offered to this node; see `banyan-node inbox`",
    );
    let spec = job();
    let digest = node.offered(&spec);
    let read = node.say(&["inbox", "fraud-check"]).out;
    for line in [
        "  purpose      find applicants who are known for tax fraud\n",
        "  minimum      nothing is opened below 10 common rows\n",
        "  you bring    tax: data set residents, matched by id, rows where age >= 18, at most 5 120 rows; beside the key \
         in its own result: nothing\n",
        "  - bank learns which of its own rows have a key in residents of tax, if there are at least 10\n",
        "  valid        2026-01-01T00:00:00Z to 2029-01-01T00:00:00Z (valid now)\n",
        "  runs         at most 3\n",
        "  you let in   tax: data set residents; as key: id; in filters: age; beside the key in its own result: nothing\n",
    ] {
        assert!(read.contains(line), "{line} not in\n{read}");
    }
    node.fails(
        &["approve", "fraud-check"],
        2,
        "this needs a yes and there is no terminal to ask on; read it, then add --yes",
    );
    let stranger = node.dir.path().join("stranger/approver.pem");
    let key = banyan_node::keys::create(&stranger).unwrap().public();
    let message = format!(
        "the key {key} is no approver of this node; the approvers are in {}/config.toml: give one of their keys with --key",
        node.path().display()
    );
    node.fails(&["approve", "fraud-check", "--yes", "--key", stranger.to_str().unwrap()], 4, &message);

    let scenario = spec.scenario.digest();
    let answer = node.json(&["approve", &digest.to_string()[..12], "--yes"]);
    assert_eq!((&answer["ok"], &answer["scenario"]), (&Value::Bool(true), &Value::from(scenario.to_string())));
    let approver = Config::load(&node.home()).unwrap().approvers[0];
    let store = Store::open(&node.home()).unwrap();
    let word = store.approvals(&scenario).unwrap()[0].verify(&approver).unwrap();
    assert!(word.approved && word.reviewer == Reviewer::Source && word.after.is_none());
    let records = node.json(&["audit", "show", "--job", "fraud-check"])["records"].clone();
    assert_eq!(records[0]["outcome"], "approved");
    assert_eq!(records[0]["actor"], format!("approver {approver}"));
}

#[test]
fn a_no_and_an_end_are_final() {
    let node = Node::made();
    node.offered(&job());
    assert_eq!(node.say(&["deny", "fraud-check", "--reason", "too wide", "--yes"]).exit, 0);
    node.fails(
        &["approve", "fraud-check", "--yes"],
        4,
        "this key denied scenario fraud before, and a no is final; ask for a new scenario",
    );
    assert_eq!(node.say(&["halt", "fraud-check", "--reason", "consent withdrawn"]).exit, 0);
    assert!(Store::open(&node.home()).unwrap().revoked(&job().scenario.digest()).unwrap());
    node.fails(
        &["approve", "fraud-check", "--yes"],
        4,
        "scenario fraud was ended at this node, for good; ask for a new one",
    );

    assert_eq!(node.say(&["halt", "--all", "--reason", "incident 17"]).exit, 0);
    assert_eq!(node.json(&["status"])["halted"]["reason"], "incident 17");
    let approver = node.path().join("approver/approver.pem");
    fs::rename(&approver, node.dir.path().join("approver.pem")).unwrap();
    let said = node.say(&["halt", "--resume", "--reason", "closed"]);
    assert_eq!(said.exit, 3, "to go on takes an approver: {}", said.error);
    let key = node.dir.path().join("approver.pem");
    assert_eq!(node.say(&["halt", "--resume", "--reason", "closed", "--key", key.to_str().unwrap()]).exit, 0);
    node.fails(
        &["halt", "--resume", "--reason", "closed", "--key", key.to_str().unwrap()],
        2,
        "nothing is halted at this node",
    );
}

#[test]
fn a_stop_is_made_also_where_it_cannot_be_recorded() {
    let node = Node::made();
    node.offered(&job());
    let log = node.path().join("audit/log.jsonl");
    let kept = node.path().join("audit/kept");
    fs::rename(&log, &kept).unwrap();
    fs::create_dir(&log).unwrap();
    let said = node.say(&["halt", "--all", "--reason", "incident 17"]);
    let expected = format!(
        "everything is halted at this node; `banyan-node halt --resume --reason …` lets jobs run again\nNOT recorded: {}: Is a directory \
         (os error 21); write down who stopped what and when, and put the log right: nothing runs again without it\n",
        log.display()
    );
    assert_eq!((said.exit, said.out, said.error), (1, expected, String::new()));
    assert_eq!(node.json(&["status"])["halted"]["reason"], "incident 17");
    let ended = node.json(&["halt", "fraud-check", "--reason", "consent withdrawn"]);
    assert_eq!([&ended["ok"], &ended["ended"], &ended["recorded"]], [false, true, false]);
    assert!(Store::open(&node.home()).unwrap().revoked(&job().scenario.digest()).unwrap());
    fs::remove_dir(&log).unwrap();
    fs::rename(&kept, &log).unwrap();
    let said = node.json(&["halt", "--all", "--reason", "incident 18"]);
    assert_eq!([&said["ok"], &said["halted"], &said["recorded"]], [true; 3]);
    Store::open(&node.home()).unwrap().resume().unwrap();
    fs::write(node.path().join("config.toml"), "name = ").unwrap();
    let said = node.json(&["halt", "--all", "--reason", "incident 19"]);
    assert_eq!([&said["ok"], &said["halted"], &said["recorded"]], [false, true, false]);
    assert!(Store::open(&node.home()).unwrap().halted().unwrap().is_some());
}

#[test]
fn a_run_that_only_the_log_remembers_is_shown_as_spent() {
    let node = Node::made();
    node.offered(&job());
    let spent = || node.json(&["status"])["budgets"][0]["spent"].clone();
    assert_eq!(spent(), 0);
    let log = Log::open(&node.home(), &PartyId::new("tax").unwrap()).unwrap();
    log.append("node", Act::Spend, job().scenario.digest(), "job 1 attempt 1").unwrap();
    log.append("node", Act::Spend, Digest::default(), "of another scenario").unwrap();
    assert_eq!(spent(), 1, "as where the store was put back from a backup");
}

#[test]
fn an_offer_that_cannot_be_read_stops_no_other() {
    let node = Node::made();
    let digest = Digest::of("somebody's", b"not a spec");
    Store::open(&node.home()).unwrap().put_offer(&digest, b"not a spec", &[]).unwrap();
    let passed_over = format!("passed over: job {} cannot be read: ", digest.short());
    assert!(node.say(&["inbox"]).out.starts_with(&passed_over));
    node.offered(&job());
    let inbox = node.say(&["inbox"]);
    assert!(inbox.exit == 0 && inbox.out.contains(&passed_over) && inbox.out.contains("fraud-check"), "{}", inbox.out);
    assert_eq!(node.json(&["inbox"])["unreadable"][0]["job"], digest.to_string());
    assert!(node.say(&["status"]).out.contains(&passed_over));
    assert_eq!(node.say(&["inbox", "fraud-check"]).exit, 0);
    assert_eq!(node.say(&["approve", "fraud-check", "--yes"]).exit, 0);
    assert_eq!(node.say(&["halt", "fraud-check", "--reason", "withdrawn"]).exit, 0);
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

#[test]
fn an_expired_scenario_cannot_be_approved() {
    let node = Node::made();
    let text = JOB.replace("2029-01-01", "2026-02-01");
    node.offered(&Spec::from_toml(&text).unwrap());
    node.fails(
        &["approve", "fraud-check", "--yes"],
        4,
        "scenario fraud ended at 2026-02-01T00:00:00Z: an approval would allow nothing; ask for a new one",
    );
}

#[test]
fn any_edited_byte_of_the_log_is_found_and_nothing_is_done_on_it() {
    let node = Node::made();
    assert_eq!(node.say(&["data", "scan"]).exit, 0);
    let out = node.dir.path().join("tax.checkpoint");
    assert_eq!(node.say(&["audit", "checkpoint", "--out", out.to_str().unwrap()]).exit, 0);
    let export = node.dir.path().join("export");
    assert_eq!(node.say(&["audit", "export", export.to_str().unwrap()]).exit, 0);
    let verified = node.json(&["audit", "verify", "--receipt", out.to_str().unwrap()]);
    assert_eq!((&verified["records"], &verified["receipts"]), (&Value::from(2), &Value::from(1)));
    let key = verified["key"].as_str().unwrap().to_owned();
    let elsewhere = Node::nowhere();
    let exported = ["audit", "verify", "--log", export.to_str().unwrap(), "--key", &key];
    assert_eq!(elsewhere.say(&exported).exit, 0, "anyone can check");

    let log = node.path().join("audit/log.jsonl");
    let text = fs::read_to_string(&log).unwrap().replace("add residents", "add rosidents");
    fs::write(&log, text).unwrap();
    let said = node.say(&["audit", "verify"]);
    let expected = format!(
        "✗ the log does not hold\n  {}: the first 2 records are not those that the signed checkpoint covers: history was \
         rewritten; nothing runs on a changed log: keep the whole home as it is, and call the auditor\n",
        log.display()
    );
    assert_eq!((said.exit, said.out.as_str()), (1, expected.as_str()));
    let said = node.say(&["data", "remove", "residents"]);
    assert!(said.exit == 4 && said.error.contains("history was rewritten"), "{}", said.error);
    assert_eq!(node.json(&["data", "list"])["datasets"][0]["id"], "residents", "no log, no act");

    fs::write(&out, "e30=\n").unwrap();
    let message = format!(
        "{} holds no receipt of this log; give a checkpoint that another party keeps of it, from its `banyan-node audit \
         receipt`",
        out.display()
    );
    node.fails(&["audit", "verify", "--receipt", out.to_str().unwrap()], 2, &message);
    let message = "no receipt of tax is kept here; parties exchange them at the end of a job";
    node.fails(&["audit", "receipt", "tax"], 2, message);
}

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
