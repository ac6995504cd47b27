//! Jobs with parties that are no Banyan nodes: what they need before anything is dialled.

use super::*;

const INTEROP: [&str; 7] =
    ["interop", "run", "JOB", "--rank=1", "--listen=127.0.0.1:0", "--peer-url=127.0.0.1:1", "--plaintext"];

/// The job as one of protocol interop, where its scenario says so.
fn foreign() -> String {
    JOB.replace("protocol = \"dh\"", "protocol = \"interop\"")
        .replace("recipients = [\"bank\"]", "recipients = [\"tax\", \"bank\"]")
        .replace("key = [\"id\"]\n\n[[scenario", "key = [\"id\"]\ninterop = true\n\n[[scenario")
        + "interop = true\n"
}

fn written(node: &Node, job: &str) -> String {
    let file = node.dir.path().join("job.toml");
    fs::write(&file, job).unwrap();
    file.to_str().unwrap().to_owned()
}

fn run(file: &str) -> [&str; 7] {
    INTEROP.map(|word| if word == "JOB" { file } else { word })
}

#[test]
fn a_party_that_is_no_node_waits_for_the_approver_who_reads_whose_security_it_is() {
    let node = Node::made();
    assert_eq!(node.say(&["data", "add", "residents", "residents.csv"]).exit, 0);
    let file = written(&node, &foreign());
    node.fails(
        &run(&file),
        4,
        "--plaintext sends masked keys unencrypted to whoever answers: only where config.toml says interop_plaintext = \
         true, for tests",
    );
    let mut config = Config::load(&node.home()).unwrap();
    config.interop_plaintext = true;
    config.save(&node.home()).unwrap();
    node.fails(
        &run(&file),
        4,
        "approval-needed: an approver of tax must decide on scenario fraud: read it with `banyan-node inbox`, then \
         `banyan-node approve` or `deny`; then run it again, job fraud-check",
    );
    let read = node.say(&["inbox", "fraud-check"]).out;
    for line in [
        "  security     the standard's, not Banyan's: semi-honest; ECDH on Curve25519 with the hash as u; about one bit of \
         each key shows; false match at most 2^-39\n",
        "; its keys may go to a party that is no Banyan node, under the interconnection standard's security, not Banyan's\n",
        "  - bank learns about one bit of every key of residents of tax, though not of whose it is: the standard hashes so\n",
    ] {
        assert!(read.contains(line), "{line} not in\n{read}");
    }
    assert_eq!(node.say(&["deny", "fraud-check", "--reason", "not with them", "--yes"]).exit, 0);
    let said = node.say(&run(&file));
    assert_eq!(said.exit, 4);
    assert!(said.error.contains("approval-denied: "), "{}", said.error);
    let log = Log::open(&node.home(), &PartyId::new("tax").unwrap()).unwrap();
    assert_eq!(log.spends(&Spec::from_toml(&foreign()).unwrap().scenario.digest()).unwrap(), 0, "nothing was spent");
    let records = node.json(&["audit", "show", "--job", "fraud-check"])["records"].clone();
    let acts: Vec<&str> = records.as_array().unwrap().iter().map(|record| record["act"].as_str().unwrap()).collect();
    assert_eq!(acts, ["offer", "approve", "decide"], "each is on the record");
}

#[test]
fn a_job_that_is_none_for_it_is_refused_before_it_is_kept() {
    let node = Node::made();
    let mut config = Config::load(&node.home()).unwrap();
    config.interop_plaintext = true;
    config.save(&node.home()).unwrap();
    let file = written(&node, JOB);
    node.fails(&run(&file), 2, "spec: protocol dh is not with a party of the interconnection standard");
    let file = written(&node, &foreign().replace("interop = true\n", ""));
    let said = node.say(&run(&file));
    assert_eq!(said.exit, 2);
    assert!(said.error.contains("write interop = true in its [[scenario.grants]]"), "{}", said.error);
    assert!(Store::open(&node.home()).unwrap().offers().unwrap().is_empty());
    let tls = [&run(&file)[..6], &["--certificate=/nowhere/c.pem", "--key=/nowhere/k.pem"]].concat();
    let said = node.say(&tls);
    assert_eq!(said.exit, 2, "the authority is missing: {}", said.error);
}
