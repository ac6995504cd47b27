//! What people decide: approvals, refusals, stops, and the log of them.

use super::*;

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
        "  protocol     dh: the job names it\n",
        "  security     semi-honest; DDH in ristretto255 (126 bits), random oracle; false match at most 2^-40\n",
        "  minimum      nothing is opened below 10 common rows\n",
        "  you bring    tax: data set residents, matched by id, rows where age >= 18, at most 5 120 rows; beside the key \
         in its own result: nothing\n",
        "  - bank learns which of its own rows have a key in residents of tax, if there are at least 10\n",
        "  valid        2026-01-01T00:00:00Z to 2029-01-01T00:00:00Z (valid now)\n",
        "  runs         at most 3\n",
        "  you let in   tax: data set residents; as key: id; after it: none; in filters: age; beside the key in its own result: nothing\n",
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
