//! Whatever is done to the log is found, whoever writes keeps one chain, and what is not on the disk was not done.

use std::fs;
use std::io;
use std::sync::Arc;

use banyan_proto::audit::BrokenLog;
use proptest::prelude::*;

use super::*;

struct Place {
    _dir: tempfile::TempDir,
    home: Home,
    key: banyan_proto::identity::PublicKey,
}

impl Place {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let home = Home::new(dir.path());
        let key = keys::create_identity(&home).unwrap().public();
        Self { home, key, _dir: dir }
    }

    /// A log with `n` records, the first of which begins it.
    fn with(n: u64) -> Self {
        let place = Self::new();
        place.grow(n - 1);
        place
    }

    fn open(&self) -> Result<Log, AuditError> {
        Log::open(&self.home, &PartyId::new("bank").unwrap())
    }

    fn grow(&self, n: u64) {
        let log = self.open().unwrap();
        for i in 0..n {
            log.append("node", Act::Offer, Digest([i as u8; 32]), "a job").unwrap();
        }
    }

    fn verify(&self) -> Result<Verified, AuditError> {
        self.verify_with(&[])
    }

    fn verify_with(&self, receipts: &[Signed<Checkpoint>]) -> Result<Verified, AuditError> {
        verify(&self.home.audit(), &self.key, receipts)
    }

    fn lines(&self) -> Vec<String> {
        fs::read_to_string(self.home.log()).unwrap().lines().map(str::to_owned).collect()
    }

    fn write(&self, lines: &[String]) {
        fs::write(self.home.log(), lines.iter().map(|line| format!("{line}\n")).collect::<String>()).unwrap();
    }

    /// Neither an auditor nor this node itself takes the log for good; and opening it leaves the evidence alone.
    fn is_found(&self) {
        let before = fs::read(self.home.log()).unwrap();
        self.verify().expect_err("verify finds it");
        assert!(self.open().is_err(), "open refuses it");
        assert_eq!(fs::read(self.home.log()).unwrap(), before, "and changes nothing");
    }
}

fn broken<T>(result: Result<T, AuditError>) -> BrokenLog {
    match result.err().expect("it is broken") {
        AuditError::Broken { broken, .. } => broken,
        error => panic!("{error}"),
    }
}

#[test]
fn a_record_is_read_back_with_its_checkpoint() {
    let place = Place::with(3);
    let found = place.verify().unwrap();
    assert_eq!((found.size, found.torn, found.party.as_str()), (3, 0, "bank"));
    let all = records(&place.home.audit()).unwrap();
    assert_eq!(all.iter().map(|record| record.act).collect::<Vec<_>>(), [Act::Begin, Act::Offer, Act::Offer]);
    assert_eq!(all[0].outcome, place.key.to_string());
    let long = "x".repeat(5000);
    let record = place.open().unwrap().append(&long, Act::Halt, Digest::default(), &long).unwrap();
    assert_eq!((record.seq, record.actor.len(), record.outcome.len()), (3, WORDS_MAX, WORDS_MAX));
    assert_eq!(place.verify().unwrap().size, 4);
}

#[test]
fn spends_are_counted_from_the_log() {
    let place = Place::new();
    let (one, two) = (place.open().unwrap(), place.open().unwrap());
    let scenario = Digest([5; 32]);
    one.append("node", Act::Spend, scenario, "attempt 1").unwrap();
    one.append("node", Act::Offer, scenario, "").unwrap();
    assert_eq!((two.spends(&scenario).unwrap(), two.spends(&Digest::default()).unwrap()), (1, 0));
    assert_eq!(place.open().unwrap().spends(&scenario).unwrap(), 1);
}

#[test]
fn deletions_reorderings_and_cuts_are_found() {
    let place = Place::with(5);
    let good = place.lines();
    for at in 0..5 {
        let mut lines = good.clone();
        lines.remove(at);
        place.write(&lines);
        place.is_found();
    }
    for at in 0..4 {
        let mut lines = good.clone();
        lines.swap(at, at + 1);
        place.write(&lines);
        place.is_found();
    }
    for keep in 0..5 {
        place.write(&good[..keep]);
        let broken = broken(place.verify());
        assert_eq!(broken, BrokenLog::Truncated { found: keep as u64, expected: 5 });
        place.is_found();
    }
    let whole = good.iter().map(|line| format!("{line}\n")).collect::<String>();
    for cut in [1, 2, 60, whole.len() / 2] {
        fs::write(place.home.log(), &whole[..whole.len() - cut]).unwrap();
        place.is_found();
    }
    let mut twice = good.clone();
    twice.push(good[4].clone());
    place.write(&twice);
    place.is_found();
    place.write(&good);
    place.verify().unwrap();
    place.open().unwrap();
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_changed_byte_of_either_file_is_found(at in any::<prop::sample::Index>(), flip in 1_u8.., own: bool) {
        let place = Place::with(3);
        let file = if own { place.home.checkpoint() } else { place.home.log() };
        let mut bytes = fs::read(&file).unwrap();
        let at = at.index(bytes.len());
        bytes[at] ^= flip;
        fs::write(&file, bytes).unwrap();
        prop_assert!(place.verify().is_err());
        prop_assert!(place.open().is_err());
    }
}

#[test]
fn a_removed_checkpoint_and_a_removed_log_are_found() {
    let place = Place::with(3);
    let checkpoint = fs::read(place.home.checkpoint()).unwrap();
    fs::remove_file(place.home.checkpoint()).unwrap();
    assert!(matches!(place.open(), Err(AuditError::NoCheckpoint { size: 3, .. })));
    assert!(matches!(place.verify(), Err(AuditError::NoCheckpoint { size: 3, .. })));
    fs::write(place.home.checkpoint(), checkpoint).unwrap();
    fs::remove_file(place.home.log()).unwrap();
    assert_eq!(broken(place.open()), BrokenLog::Truncated { found: 0, expected: 3 });
}

#[test]
fn an_old_checkpoint_that_is_put_back_is_found() {
    let place = Place::with(3);
    let old = fs::read(place.home.checkpoint()).unwrap();
    place.grow(2);
    fs::write(place.home.checkpoint(), old).unwrap();
    assert!(matches!(place.verify(), Err(AuditError::Uncovered { uncovered: 2, .. })));
    assert!(matches!(place.open(), Err(AuditError::Uncovered { uncovered: 2, .. })));
}

#[test]
fn a_rollback_of_both_files_and_a_fork_are_found_by_a_receipt() {
    let place = Place::with(3);
    let files = [place.home.log(), place.home.checkpoint()];
    let old = files.clone().map(|file| fs::read(file).unwrap());
    place.grow(2);
    let receipt = place.open().unwrap().checkpoint().unwrap();
    assert_eq!(place.verify_with(std::slice::from_ref(&receipt)).unwrap().receipts, 1);

    for (file, bytes) in files.iter().zip(&old) {
        fs::write(file, bytes).unwrap();
    }
    assert_eq!(place.verify().unwrap().size, 3, "alone, the node cannot see it");
    let rolled_back = place.verify_with(std::slice::from_ref(&receipt));
    assert_eq!(broken(rolled_back), BrokenLog::Truncated { found: 3, expected: 5 });

    place.grow(4);
    assert_eq!(place.verify().unwrap().size, 7);
    let forked = place.verify_with(std::slice::from_ref(&receipt));
    assert_eq!(broken(forked), BrokenLog::Root { size: 5 });

    let (earlier, later) = (receipt.verify(&place.key).unwrap(), place.open().unwrap().checkpoint().unwrap());
    let later = later.verify(&place.key).unwrap();
    assert_eq!(contradiction(&earlier, &later), None, "longer: only the log itself can tell");
    assert!(matches!(contradiction(&later, &earlier), Some(BrokenLog::Truncated { .. })));
    let other = Checkpoint { root: Digest([1; 32]), ..later.clone() };
    assert_eq!(contradiction(&later, &other), Some(BrokenLog::Root { size: 7 }));
}

#[test]
fn receipts_are_read_from_every_form_they_are_kept_in() {
    let place = Place::with(2);
    let receipt = own_checkpoint(&place.home.audit(), &place.key).unwrap();
    let file = place.home.root().join("receipt");
    let stranger = keys::create(&place.home.root().join("other.pem")).unwrap();
    let line = data_encoding::BASE64.encode(&receipt.to_bytes());
    let foreign = stranger.sign(&receipt.verify(&place.key).unwrap());
    let foreign = data_encoding::BASE64.encode(&foreign.to_bytes());
    for content in [receipt.to_bytes(), line.clone().into_bytes(), format!("\n{foreign}\n{line}\n").into_bytes()] {
        fs::write(&file, content).unwrap();
        assert_eq!(receipts_in(&file, &place.key).unwrap(), std::slice::from_ref(&receipt));
    }
    for content in ["", "nothing", "{}", foreign.as_str()] {
        fs::write(&file, content).unwrap();
        assert!(matches!(receipts_in(&file, &place.key), Err(AuditError::Unreadable { .. })), "{content}");
    }
    let foreign = Signed::from_bytes(&data_encoding::BASE64.decode(foreign.as_bytes()).unwrap()).unwrap();
    assert!(matches!(place.verify_with(&[foreign]), Err(AuditError::Checkpoint { .. })));
}

#[test]
fn a_torn_last_line_is_cut_and_that_is_recorded() {
    let place = Place::with(2);
    let whole = fs::read(place.home.log()).unwrap();
    fs::write(place.home.log(), [&whole[..], b"{\"seq\":2,\"at\":\"20"].concat()).unwrap();
    assert_eq!(place.verify().unwrap().torn, 17, "the auditor is told, and changes nothing");
    place.grow(1);
    let all = records(&place.home.audit()).unwrap();
    assert_eq!((all[2].act, all[3].act), (Act::Start, Act::Offer));
    assert!(all[2].outcome.starts_with("a torn last line of 17 bytes was cut"), "{}", all[2].outcome);
    place.verify().unwrap();
}

#[test]
fn a_kill_between_a_line_and_its_checkpoint_leaves_a_good_log() {
    let place = Place::with(2);
    let before = fs::read(place.home.checkpoint()).unwrap();
    place.grow(1);
    fs::write(place.home.checkpoint(), before).unwrap();
    assert_eq!(place.verify().unwrap().size, 3);
    place.grow(1);
    assert_eq!(place.verify().unwrap().size, 4);

    let place = Place::with(1);
    fs::remove_file(place.home.checkpoint()).unwrap();
    place.grow(1);
    assert_eq!(place.verify().unwrap().size, 2);
}

#[test]
fn appenders_at_once_keep_one_chain() {
    let place = Arc::new(Place::new());
    let append = |n: u8| {
        let place = place.clone();
        move || {
            let log = place.open().unwrap();
            (0..12).for_each(|_| drop(log.append("node", Act::Offer, Digest([n; 32]), "").unwrap()));
        }
    };
    let threads: Vec<_> = (0..4).map(append).map(std::thread::spawn).collect();
    threads.into_iter().for_each(|thread| thread.join().unwrap());
    assert_eq!(place.verify().unwrap().size, 1 + 4 * 12);
}

/// A disk with room for so many bytes more.
struct Full {
    file: File,
    room: usize,
}

impl Durable for Full {
    fn put(&mut self, bytes: &[u8]) -> io::Result<()> {
        let fits = bytes.len().min(self.room);
        self.room -= fits;
        self.file.put(&bytes[..fits])?;
        if fits < bytes.len() { Err(io::ErrorKind::StorageFull.into()) } else { Ok(()) }
    }

    fn cut(&mut self, length: u64) -> io::Result<()> {
        self.file.cut(length)
    }
}

#[test]
fn a_full_disk_is_an_error_before_the_act_and_the_log_stays_good() {
    let place = Place::with(2);
    let log = place.open().unwrap();
    let file = log.state().file.try_clone().unwrap();
    for room in [0, 1, 100] {
        log.state().out = Box::new(Full { file: file.try_clone().unwrap(), room });
        let error = log.append("node", Act::Run, Digest::default(), "").unwrap_err();
        let message = format!(
            "{}: no storage space; nothing is done that cannot be recorded: check that the disk is not full and that this \
             user may write there",
            place.home.log().display()
        );
        assert_eq!(error.to_string(), message);
        assert_eq!((place.verify().unwrap().size, place.verify().unwrap().torn), (2, 0));
    }
    log.state().out = Box::new(file);
    assert_eq!(log.append("node", Act::Run, Digest::default(), "").unwrap().seq, 2);
    place.verify().unwrap();
}

#[test]
fn without_a_checkpoint_there_is_no_act() {
    let place = Place::with(2);
    let log = place.open().unwrap();
    let kept = fs::read(place.home.checkpoint()).unwrap();
    fs::remove_file(place.home.checkpoint()).unwrap();
    fs::create_dir(place.home.checkpoint()).unwrap();
    for _ in 0..3 {
        log.append("node", Act::Run, Digest::default(), "").unwrap_err();
    }
    assert_eq!(place.lines().len(), 3, "at most one line is ever uncovered");
    fs::remove_dir(place.home.checkpoint()).unwrap();
    fs::write(place.home.checkpoint(), kept).unwrap();
    assert_eq!(log.append("node", Act::Fail, Digest::default(), "").unwrap().seq, 3);
    assert_eq!(place.verify().unwrap().size, 4);
}

#[test]
fn a_log_that_is_replaced_or_cut_under_a_running_node_stops_it() {
    let place = Place::with(3);
    let log = place.open().unwrap();
    let bytes = fs::read(place.home.log()).unwrap();
    disk::replace(&place.home.log(), &bytes, disk::PRIVATE_FILE).unwrap();
    let replaced = log.append("node", Act::Run, Digest::default(), "");
    assert!(matches!(replaced, Err(AuditError::Replaced { .. })));
    let log = place.open().unwrap();
    place.write(&place.lines()[..2]);
    let cut = log.append("node", Act::Run, Digest::default(), "");
    assert!(matches!(cut, Err(AuditError::Replaced { .. })));
}

#[test]
fn the_log_of_another_party_or_key_is_refused() {
    let place = Place::with(2);
    let other = Log::open(&place.home, &PartyId::new("bureau").unwrap());
    assert!(matches!(other, Err(AuditError::OtherParty { .. })));
    fs::remove_file(place.home.identity()).unwrap();
    assert!(matches!(place.open(), Err(AuditError::Key(_))));
    keys::create_identity(&place.home).unwrap();
    assert!(matches!(place.open(), Err(AuditError::Checkpoint { .. })));
}
