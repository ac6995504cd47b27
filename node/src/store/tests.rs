//! The state outlives its process, two handles agree, and no run is spent twice, whoever asks.

use std::fs;

use banyan_proto::audit::Checkpoint;
use banyan_proto::grant::{Admission, Approval, Reviewer, Revocation};
use banyan_proto::identity::{Identity, PublicKey};
use banyan_protocols::party::PartyId;

use rusqlite::params;

use super::*;

const JOB: Digest = Digest([7; 32]);
const SCENARIO: Digest = Digest([8; 32]);

struct Place {
    _dir: tempfile::TempDir,
    home: Home,
}

impl Place {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        Self { home: Home::new(dir.path()), _dir: dir }
    }

    fn open(&self) -> Store {
        Store::open(&self.home).unwrap()
    }
}

fn party(name: &str) -> PartyId {
    PartyId::new(name).unwrap()
}

fn key() -> PublicKey {
    Identity::generate().unwrap().public()
}

fn at() -> When {
    "2026-11-21T00:00:00Z".parse().unwrap()
}

fn word(approved: bool) -> Approval {
    let party = Some(party("bank"));
    Approval { scenario: SCENARIO, reviewer: Reviewer::Source, party, approved, after: None, at: at() }
}

#[test]
fn opening_and_reading_wait_for_no_writer() {
    let place = Place::new();
    let writer = place.open();
    let (bank, one) = (party("bank"), key());
    writer.pin_peer(&bank, &one, None).unwrap();
    // in the middle of it another handle is opened, and finds what was there before
    let within = writer.write(|transaction| {
        transaction.execute("DELETE FROM peers", [])?;
        Ok(place.open().pinned(&bank)?.map(|peer| peer.key))
    });
    assert_eq!(within.unwrap(), Some(one));
    assert_eq!(writer.pinned(&bank).unwrap(), None);
}

#[test]
fn peers_are_pinned_once_and_introductions_are_kept_apart() {
    let place = Place::new();
    let store = place.open();
    let (bank, bureau, one, two) = (party("bank"), party("bureau"), key(), key());
    store.introduce(&bank, &two, Some("a:1")).unwrap();
    assert_eq!(store.pinned(&bank).unwrap(), None, "an introduction is no pin");
    store.pin_peer(&bank, &one, None).unwrap();
    store.pin_peer(&bank, &one, Some("b:2")).unwrap();
    let error = store.pin_peer(&bank, &two, None).unwrap_err();
    assert!(matches!(error, StoreError::PinnedOtherwise { .. }));
    assert!(error.to_string().contains(&one.fingerprint().to_string()));
    assert!(matches!(store.pin_peer(&bureau, &one, None), Err(StoreError::KeyInUse { .. })));
    let store = place.open();
    let pinned = Peer { name: bank.clone(), key: one, url: Some("b:2".into()) };
    assert_eq!((store.pinned(&bank).unwrap(), store.peers().unwrap()), (Some(pinned.clone()), vec![pinned]));
    assert_eq!(store.introduced(&bank).unwrap().unwrap().key, two);
    assert!(store.unpin(&bank).unwrap() && !store.unpin(&bank).unwrap());
    store.pin_peer(&bank, &two, None).unwrap();
}

#[test]
fn introductions_have_a_limit() {
    let store = Place::new().open();
    let key = key();
    store
        .write(|t| {
            let mut insert = t.prepare("INSERT INTO introductions (name, key, since) VALUES (?1, ?2, '')")?;
            for n in 0..INTRODUCTIONS_MAX {
                insert.execute(params![format!("p{n}"), key.as_bytes()])?;
            }
            Ok(())
        })
        .unwrap();
    store.introduce(&party("p0"), &key, Some("a:1")).unwrap();
    assert!(matches!(store.introduce(&party("one-more"), &key, None), Err(StoreError::Full { .. })));
}

#[test]
fn an_offer_stands_where_it_was_put() {
    let place = Place::new();
    let store = place.open();
    let node = Identity::generate().unwrap();
    let review = node.sign(&word(true));
    store.put_offer(&JOB, b"spec", std::slice::from_ref(&review)).unwrap();
    let offer = store.offer(&JOB).unwrap().unwrap();
    assert_eq!((offer.spec.as_slice(), offer.reviews.as_slice()), (&b"spec"[..], &[review.clone()][..]));
    assert!(matches!(offer.standing, Standing::Waiting { .. }));

    let admission = Admission { spec: JOB, plan: JOB, party: party("bank"), approval: review.digest(), at: at() };
    let admitted = Standing::Admitted { admission: node.sign(&admission) };
    store.set_standing(&JOB, &admitted).unwrap();
    store.put_offer(&JOB, b"spec", &[review.clone(), review.clone()]).unwrap();
    let store = place.open();
    let offer = store.offer(&JOB).unwrap().unwrap();
    assert_eq!((&offer.standing, offer.reviews.len()), (&admitted, 2), "an offer repeated keeps its standing");

    let no = Identity::generate().unwrap().sign(&word(false));
    store.put_offer(&JOB, b"spec", &[no.clone(), review.clone()]).unwrap();
    for _ in 0..2 {
        store.put_offer(&JOB, b"spec", std::slice::from_ref(&review)).unwrap();
        let reviews = store.offer(&JOB).unwrap().unwrap().reviews;
        assert_eq!(reviews, [no.clone(), review.clone()], "a no that was passed on once is not taken back");
    }

    let refused = Standing::Refused { code: "level".into(), reason: "too high".into() };
    store.set_standing(&JOB, &refused).unwrap();
    assert_eq!(store.offers().unwrap()[0].standing, refused);
    assert!(matches!(store.set_standing(&SCENARIO, &refused), Err(StoreError::Unknown(_))));
    assert_eq!(store.offer(&SCENARIO).unwrap(), None);
}

#[test]
fn a_no_is_final_and_a_false_signature_is_not_kept() {
    let store = Place::new().open();
    let (one, two) = (Identity::generate().unwrap(), Identity::generate().unwrap());
    store.put_approval(&one.sign(&word(true))).unwrap();
    store.put_approval(&two.sign(&word(true))).unwrap();
    assert_eq!(store.approvals(&SCENARIO).unwrap().len(), 2);
    store.put_approval(&one.sign(&word(false))).unwrap();
    assert!(matches!(store.put_approval(&one.sign(&word(true))), Err(StoreError::Denied { .. })));
    let kept = store.approvals(&SCENARIO).unwrap();
    let of_one = kept.iter().find(|word| word.signer() == one.public()).unwrap();
    assert!(!of_one.verify(&one.public()).unwrap().approved);

    let mut bytes = two.sign(&word(true)).to_bytes();
    *bytes.last_mut().unwrap() ^= 1;
    let changed = banyan_proto::identity::Signed::from_bytes(&bytes).unwrap();
    assert!(matches!(store.put_approval(&changed), Err(StoreError::Signature(_))));
}

#[test]
fn revocations_and_halts_stand() {
    let place = Place::new();
    let (store, approver) = (place.open(), Identity::generate().unwrap());
    assert!(!store.revoked(&SCENARIO).unwrap());
    let word = approver.sign(&Revocation { scenario: SCENARIO, reason: "misuse".into(), at: at() });
    store.put_revocation(&word).unwrap();
    store.put_revocation(&word).unwrap();
    store.halt_all("risk found").unwrap();
    store.halt_all("again").unwrap();
    let store = place.open();
    assert_eq!((store.revoked(&SCENARIO).unwrap(), store.revocations(&SCENARIO).unwrap()), (true, vec![word]));
    assert_eq!(store.halted().unwrap().unwrap().reason, "risk found");
    assert!(store.resume().unwrap() && !store.resume().unwrap());
    assert_eq!(store.halted().unwrap(), None);
}

#[test]
fn a_run_is_spent_once_whoever_asks() {
    let place = Place::new();
    let (one, two) = (place.open(), place.open());
    assert_eq!(one.spend_run(&SCENARIO, &JOB, 1, 2).unwrap(), 1);
    assert!(matches!(two.spend_run(&SCENARIO, &JOB, 1, 2), Err(StoreError::AlreadySpent { .. })));
    assert_eq!(two.runs_spent(&SCENARIO).unwrap(), 1);

    // eight threads, each with a connection of its own as a process has, and one run left
    let stores: Vec<Store> = (0..8).map(|_| place.open()).collect();
    let spend = |(index, store): (usize, Store)| move || store.spend_run(&SCENARIO, &JOB, 10 + index as u32, 2).is_ok();
    let threads: Vec<_> = stores.into_iter().enumerate().map(spend).map(std::thread::spawn).collect();
    let won = threads.into_iter().map(|thread| thread.join().unwrap()).filter(|won| *won).count();
    assert_eq!(won, 1, "one of eight gets the last run");
    assert!(matches!(one.spend_run(&SCENARIO, &JOB, 99, 2), Err(StoreError::Exhausted { runs: 2, .. })));
    assert_eq!(place.open().runs_spent(&SCENARIO).unwrap(), 2);
}

#[test]
fn an_attempt_that_a_kill_interrupted_is_found() {
    let place = Place::new();
    let store = place.open();
    store.begin_attempt(&JOB, 1).unwrap();
    assert!(matches!(store.begin_attempt(&JOB, 1), Err(StoreError::AlreadySpent { .. })));
    store.set_phase(&JOB, 1, Phase::Running).unwrap();
    store.set_progress(&JOB, 1, Progress { done: 5, total: 10, bytes: 320 }).unwrap();
    store.spend_run(&SCENARIO, &JOB, 1, 10).unwrap();
    std::mem::forget(store); // as kill -9: the connection is never closed, the log never folded in

    let store = place.open();
    let found = store.interrupted().unwrap();
    assert_eq!((found.len(), found[0].job, found[0].attempt), (1, JOB, 1));
    assert_eq!((found[0].phase, found[0].progress.done), (Phase::Running, 5));
    assert_eq!(store.runs_spent(&SCENARIO).unwrap(), 1, "a spend is never lost");
    let ending = Ending::Failed { code: "interrupted".into(), reason: "the node was restarted".into() };
    store.end_attempt(&JOB, 1, &ending).unwrap();
    assert!(store.interrupted().unwrap().is_empty());
    assert!(matches!(store.end_attempt(&JOB, 1, &Ending::Completed), Err(StoreError::Unknown(_))));
    assert_eq!(store.attempt(&JOB, 1).unwrap().unwrap().ending, Some(ending));
    store.begin_attempt(&JOB, 2).unwrap();
    store.end_attempt(&JOB, 2, &Ending::Completed).unwrap();
    let endings: Vec<_> =
        store.attempts(&JOB).unwrap().into_iter().map(|a| a.ending == Some(Ending::Completed)).collect();
    assert_eq!(endings, [false, true]);
    store.begin_attempt(&SCENARIO, 1).unwrap();
    let mut last: Vec<_> = store.last_attempts(9).unwrap().into_iter().map(|a| (a.job, a.attempt)).collect();
    last.sort();
    let mut expected = [(JOB, 2), (SCENARIO, 1)];
    expected.sort();
    assert_eq!(last, expected, "one of each job");
    assert_eq!(store.last_attempts(1).unwrap().len(), 1);
}

#[test]
fn receipts_are_kept_by_party() {
    let store = Place::new().open();
    let peer = Identity::generate().unwrap();
    let bureau = party("bureau");
    let receipt = |size| peer.sign(&Checkpoint { party: bureau.clone(), size, root: JOB, head: SCENARIO, at: at() });
    store.put_receipt(&JOB, 2, &bureau, &receipt(12)).unwrap();
    store.put_receipt(&JOB, 1, &bureau, &receipt(9)).unwrap();
    assert_eq!(store.receipts_of(&bureau).unwrap(), [receipt(9), receipt(12)]);
}

#[test]
fn a_change_by_another_process_is_seen() {
    let place = Place::new();
    let (daemon, command) = (place.open(), place.open());
    let before = daemon.change_counter().unwrap();
    daemon.resume().unwrap();
    assert_eq!(daemon.change_counter().unwrap(), before);
    command.halt_all("stop").unwrap();
    assert_ne!(daemon.change_counter().unwrap(), before);
}

#[test]
fn handles_that_open_at_once_make_one_database() {
    let place = Place::new();
    let homes = std::iter::repeat_n(place.home.clone(), 8);
    let threads: Vec<_> = homes.map(|home| std::thread::spawn(move || Store::open(&home).map(drop))).collect();
    for thread in threads {
        thread.join().unwrap().unwrap();
    }
}

#[test]
fn a_damaged_or_foreign_or_newer_file_is_refused_with_what_to_do() {
    let place = Place::new();
    fs::write(place.home.state(), vec![b'x'; 8192]).unwrap();
    let error = Store::open(&place.home).unwrap_err().to_string();
    assert!(
        error.contains("state.sqlite is damaged: it is no database; stop the node and put back a backup"),
        "{error}"
    );

    let place = Place::new();
    Connection::open(place.home.state()).unwrap().execute_batch("CREATE TABLE a (b)").unwrap();
    let error = Store::open(&place.home).unwrap_err().to_string();
    assert!(error.contains("it is a database, but not of a node"), "{error}");

    let place = Place::new();
    place.open().write(|t| Ok(t.pragma_update(None, "user_version", 4)?)).unwrap();
    let error = Store::open(&place.home).unwrap_err();
    assert!(matches!(error, StoreError::Newer { found: 4, known: 3, .. }), "{error}");

    let place = Place::new();
    let store = place.open();
    store.halt_all("x").unwrap();
    store.write(|t| Ok(t.execute("UPDATE halt SET since = 'canary'", [])?)).unwrap();
    let error = store.halted().unwrap_err();
    assert!(matches!(error, StoreError::Damaged { .. }) && !error.to_string().contains("canary"), "{error}");
}

#[test]
fn a_file_of_the_first_version_gets_what_it_lacks_and_keeps_what_it_has() {
    let place = Place::new();
    let store = place.open();
    store.begin_attempt(&JOB, 1).unwrap();
    store
        .write(|t| {
            Ok(t.execute_batch(
                "DROP TABLE answers; DROP TABLE buckets; DROP TABLE checkpoints; PRAGMA user_version = 1",
            )?)
        })
        .unwrap();
    drop(store);
    let store = place.open();
    assert_eq!((store.attempts(&JOB).unwrap().len(), store.checkpoint(&JOB).unwrap()), (1, None));
    store.begin_checkpoint(&JOB, &Digest([1; 32]), 1).unwrap();
}

#[test]
fn answers_are_counted_of_one_party_under_one_scenario_and_stay_counted() {
    let place = Place::new();
    let store = place.open();
    let (bank, insurer) = (PartyId::new("bank").unwrap(), PartyId::new("insurer").unwrap());
    let (scenario, other) = (Digest([3; 32]), Digest([4; 32]));
    let ask = |peer, scenario, attempt, count| {
        let asked = Asked { scenario, peer, job: &JOB, attempt, stage: 0, count };
        store.spend_answers(&asked, 0, 100)
    };
    ask(&bank, &scenario, 1, 64).unwrap();
    assert!(ask(&bank, &scenario, 1, 1).is_err(), "an attempt asks once");
    let error = ask(&bank, &scenario, 2, 37).unwrap_err();
    assert!(matches!(error, StoreError::Answered { asked: 37, left: 36, max: 100, .. }), "{error}");
    ask(&bank, &scenario, 2, 36).unwrap();
    ask(&insurer, &scenario, 3, 100).unwrap();
    ask(&bank, &other, 4, 100).unwrap();
    drop(store);
    let store = place.open();
    assert_eq!(store.answered(&scenario, &bank, 0).unwrap(), 100);
    let now = jiff::Timestamp::now().as_second();
    assert_eq!(store.answered(&scenario, &bank, now + 1).unwrap(), 0, "earlier ones are past");
}

#[test]
fn a_checkpoint_holds_what_is_done_on_one_basis() {
    let store = Place::new().open();
    let (basis, other) = (Digest([1; 32]), Digest([2; 32]));
    assert!(store.put_bucket(&JOB, &basis, 0, b"x").is_err(), "there is none");
    store.begin_checkpoint(&JOB, &basis, 3).unwrap();
    for bucket in [5, 2] {
        store.begin_bucket(&JOB, &basis).unwrap();
        store.put_bucket(&JOB, &basis, bucket, &[bucket as u8]).unwrap();
    }
    store.begin_bucket(&JOB, &basis).unwrap();
    store.put_bucket(&JOB, &basis, 5, b"again").unwrap();
    let kept = store.checkpoint(&JOB).unwrap().unwrap();
    assert_eq!(kept, JobCheckpoint { basis, attempt: 3, begun: 3, done: vec![2, 5] });
    assert_eq!(store.bucket(&JOB, 5).unwrap(), b"again");
    assert!(store.bucket(&JOB, 4).is_err());
    assert!(store.begin_bucket(&JOB, &other).is_err() && store.put_bucket(&JOB, &other, 1, b"late").is_err());
    store.begin_checkpoint(&JOB, &other, 4).unwrap();
    let anew = JobCheckpoint { basis: other, attempt: 4, begun: 0, done: Vec::new() };
    assert_eq!((store.checkpoint(&JOB).unwrap(), store.checkpoints().unwrap()), (Some(anew), vec![JOB]));
    store.drop_checkpoint(&JOB).unwrap();
    assert_eq!(store.checkpoint(&JOB).unwrap(), None);
}

#[test]
fn pages_that_were_overwritten_are_found() {
    let place = Place::new();
    let store = place.open();
    for attempt in 0..200 {
        store.begin_attempt(&JOB, attempt).unwrap();
    }
    drop(store);
    let mut bytes = fs::read(place.home.state()).unwrap();
    for page in bytes.chunks_mut(4096).skip(1) {
        page[..64].fill(0xff);
    }
    fs::write(place.home.state(), bytes).unwrap();
    assert!(matches!(Store::open(&place.home), Err(StoreError::Damaged { .. })));
}
