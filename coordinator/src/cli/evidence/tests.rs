use banyan_proto::evidence::RunMetrics;
use banyan_proto::identity::Identity;

use super::*;

const RESULT: &str = "id\n1\n";
const SALT: [u8; 32] = [3; 32];

struct Two {
    keys: BTreeMap<PartyId, PublicKey>,
    outputs: Vec<Output>,
    subject: Subject,
    ids: Vec<(PartyId, Identity)>,
    _dir: tempfile::TempDir,
}

/// Two parties that did everything right.
fn two() -> Two {
    let dir = tempfile::tempdir().unwrap();
    let party = |name: &str| (PartyId::new(name).unwrap(), Identity::generate().unwrap());
    let ids = vec![party("bank"), party("bureau")];
    let subject = Subject { job: Digest([7; 32]), plan: Digest([8; 32]), attempt: 2 };
    let part = |party: &PartyId| Part {
        party: party.clone(),
        snapshot: Digest([1; 32]),
        output: Part::output_of(&SALT, &Sha256::digest(RESULT).into()),
        releases: true,
        matches: Some(1),
    };
    let commitment = Commitment {
        spec: subject.job,
        plan: subject.plan,
        attempt: subject.attempt,
        parts: ids.iter().map(|(party, _)| part(party)).collect(),
    };
    let outputs = ids.iter().map(|(party, _)| output(dir.path(), party, &ids, &commitment)).collect();
    Two { keys: ids.iter().map(|(party, id)| (party.clone(), id.public())).collect(), outputs, subject, ids, _dir: dir }
}

fn output(dir: &std::path::Path, party: &PartyId, ids: &[(PartyId, Identity)], commitment: &Commitment) -> Output {
    let at: banyan_proto::job::When = "2026-11-21T00:00:00Z".parse().unwrap();
    let dir = dir.join(party.as_str());
    std::fs::create_dir(&dir).unwrap();
    std::fs::write(dir.join("result.csv"), RESULT).unwrap();
    let checkpoint =
        |of: &PartyId| Checkpoint { party: of.clone(), size: 9, root: Digest::default(), head: Digest::default(), at };
    let others = ids.iter().filter(|(other, _)| other != party);
    let manifest = serde_json::json!({
        "version": 1, "job": "common", "spec": commitment.spec, "plan": commitment.plan, "scenario": Digest::default(),
        "attempt": commitment.attempt, "party": party, "protocol": "dh", "form": "rows-to-receiver", "file": "result.csv",
        "file_sha256": HEXLOWER.encode(&sha256(&dir.join("result.csv")).unwrap()), "matches": 1, "bands": [],
        "commitment": commitment.digest(), "salts": { "snapshot": "", "output": HEXLOWER.encode(&SALT) },
        "signatures": ids.iter().map(|(_, id)| BASE64.encode(&id.sign(commitment).to_bytes())).collect::<Vec<_>>(),
        "receipts": others.map(|(of, id)| BASE64.encode(&id.sign(&checkpoint(of)).to_bytes())).collect::<Vec<_>>(),
        "released": at, "metrics": RunMetrics::default(),
    });
    Output { party: party.clone(), dir, manifest: serde_json::from_value(manifest).unwrap() }
}

fn said(two: &Two) -> String {
    check(&two.subject, &two.outputs, &two.keys).map(|_| ()).unwrap_err().to_string()
}

#[test]
fn what_is_right_is_proven() {
    let two = two();
    let evidence = check(&two.subject, &two.outputs, &two.keys).unwrap();
    assert_eq!((evidence.signers.len(), evidence.matches), (2, Some(1)));
    let receipts: Vec<(&str, &str, u64)> =
        evidence.receipts.iter().map(|r| (r.holder.as_str(), r.of.as_str(), r.size)).collect();
    assert_eq!(receipts, [("bank", "bureau", 9), ("bureau", "bank", 9)]);
}

#[test]
fn every_gap_is_named() {
    let mut changed = two();
    std::fs::write(changed.outputs[0].dir.join("result.csv"), "id\n2\n").unwrap();
    assert_eq!(said(&changed), "the manifest of bank: the result file is not the one that was committed to");

    changed = two();
    changed.outputs[0].manifest.salts.output = None;
    assert_eq!(said(&changed), "the manifest of bank: the result file is not the one that was committed to");

    changed = two();
    changed.outputs[1].manifest.signatures.pop();
    assert_eq!(said(&changed), "the manifest of bureau: bureau did not sign the commitment");

    changed = two();
    changed.outputs[1].manifest.receipts.clear();
    assert_eq!(said(&changed), "the manifest of bureau: the receipt of bank is missing");

    changed = two();
    changed.subject.job = Digest([9; 32]);
    assert_eq!(said(&changed), "the manifest of bank: it is about another job");

    changed = two();
    changed.subject.plan = Digest([9; 32]);
    assert_eq!(said(&changed), "the manifest of bank: it is about another plan");

    changed = two();
    changed.subject.attempt = 3;
    assert_eq!(said(&changed), "the manifest of bank: it is about attempt 2, not 3");

    changed = two();
    changed.outputs[0].manifest.file = None;
    assert_eq!(said(&changed), "the manifest of bank: it names no result file, though a result was committed to");

    changed = two();
    changed.outputs[0].manifest.file = Some("../result.csv".into());
    assert_eq!(said(&changed), "the manifest of bank: it names no result file, though a result was committed to");

    for party in 0..2 {
        changed = two();
        changed.outputs[party].manifest.matches = Some(2);
        let name = ["bank", "bureau"][party];
        let expected =
            format!("the manifest of {name}: it counts 2 common keys, where 1 were committed to or counted by another");
        assert_eq!(said(&changed), expected);
    }

    changed = two();
    let stranger = Identity::generate().unwrap().public();
    changed.keys.insert(changed.ids[0].0.clone(), stranger);
    assert_eq!(said(&changed), "the manifest of bank: signed by a key of no party");
}
