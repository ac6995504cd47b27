//! Jobs of three parties: who does what, what each learns, and what is refused.

use super::*;

/// The job with a third party, whose data set is the bureau's.
fn three() -> String {
    let party = |text: &str| text.replace("bureau", "clinic").replace("27000", "9000");
    let (at, scenario) = (JOB.rfind("[[parties]]").unwrap(), JOB.find("[scenario]").unwrap());
    let grant = JOB.rfind("[[scenario.grants]]").unwrap();
    let (before, theirs) = (&JOB[..at], &JOB[at..scenario]);
    let job = format!("{before}{theirs}{}{}\n{}", party(theirs), &JOB[scenario..], party(&JOB[grant..]));
    job.replace("\"dh\"", "\"auto\"")
}

#[test]
fn what_three_parties_have_in_common_goes_to_one() {
    let spec = Spec::from_toml(&three()).unwrap();
    assert_eq!(Spec::from_canonical(&spec.to_bytes()), Ok(spec.clone()));
    let plan = Plan::derive(&spec, &banyan_protocols::CATALOGUE).unwrap();
    let stage = &plan.stages[0];
    assert_eq!((plan.stages.len(), stage.protocol.as_str(), stage.form.as_str()), (1, "multi", "rows-to-receiver"));
    let tasks: Vec<_> = stage.tasks.iter().map(|task| (task.party.as_str(), task.receives, task.band.rows())).collect();
    assert_eq!(
        tasks,
        [("bank", true, 32_768), ("bureau", false, 28_672), ("clinic", false, 28_672)],
        "both senders have the larger one's band"
    );
    assert_eq!(stage.parameters().unwrap().senders, 2);
    assert_eq!(stage.roster().unwrap().iter().count(), 3);
    assert!(stage.tasks[0].bytes_out > stage.tasks[1].bytes_out, "the receiver runs with each");
    let told = Plan::disclosures(&spec, &banyan_protocols::CATALOGUE).unwrap();
    assert_eq!(
        told[..6],
        [
            "bank learns that records of bureau has at most 28672 rows",
            "bank learns that records of clinic has at most 28672 rows",
            "bureau learns that customers of bank has at most 32768 rows",
            "clinic learns that customers of bank has at most 32768 rows",
            "bank learns which of its own rows have a key in each of records of bureau and records of clinic, if there are \
             at least 50",
            "bank together with some of the others could learn which of its own rows have a key at all the rest of them",
        ]
    );
}

#[test]
fn three_parties_have_every_list_of_rows_and_nothing_else() {
    let derived = |job: &str| Plan::derive(&Spec::from_toml(job)?, &banyan_protocols::CATALOGUE);
    let refused = |from: &str, to: &str| {
        assert!(three().contains(from), "{from}");
        derived(&three().replace(from, to)).unwrap_err().to_string()
    };
    let kind = |kind: &str| three().replace("\"rows\"", &format!("\"{kind}\""));
    let missing =
        Plan::disclosures(&Spec::from_toml(&kind("difference")).unwrap(), &banyan_protocols::CATALOGUE).unwrap();
    assert!(
        missing[4].contains("have no key in at least one of records of bureau and records of clinic"),
        "{missing:#?}"
    );
    derived(&kind("left")).unwrap();
    assert_eq!(
        derived(&three().replace("[scenario]", "[limits]\nbuckets_min = 4\n[scenario]")).unwrap().stages[0].buckets,
        4
    );
    let cascade = three().replace("key = [\"id\"]\n", "key = [\"id\"]\nelse_key = [[\"phone\", \"name\"]]\n");
    assert_eq!(derived(&cascade).unwrap().stages.len(), 2);
    let odd = cascade.replacen("[[\"phone\", \"name\"]]\nrows_at_most = 9000", "[[\"phone\"]]\nrows_at_most = 9000", 1);
    let error = derived(&odd).unwrap_err().to_string();
    assert!(error.starts_with("parties[2].else_key[0]: 1 key columns against 2; give all parties the same"), "{error}");

    assert_eq!(
        refused("result = \"rows\"", "result = \"count\""),
        "result: a count is of two parties, and the job has 3; ask for result = \"rows\", \"left\" or \"difference\""
    );
    assert_eq!(
        refused("recipients = [\"bank\"]", "recipients = [\"bank\", \"clinic\"]"),
        "recipients: 2 recipients of a job of 3 parties; name one: what all have in common is opened to one party"
    );
    assert_eq!(refused("\"auto\"", "\"dh\""), "protocol: dh is not for 3 parties; write protocol = \"auto\"");
    assert_eq!(refused("\"clinic\"", "\"bureau\""), "parties[2].name: bureau stands twice; name different parties");
    assert!(
        refused("protocol =", "suite = \"sm\"\nprotocol =")
            .contains("no protocol of suite sm opens rows-to-receiver between 3 parties")
    );
    let two = Spec::from_toml(&JOB.replace("\"dh\"", "\"multi\"")).unwrap();
    let error = Plan::derive(&two, &banyan_protocols::CATALOGUE).unwrap_err().to_string();
    assert_eq!(error, "protocol: multi is not for 2 parties; write protocol = \"auto\"");
}
