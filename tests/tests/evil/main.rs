//! One honest node against a coordinator that lies, and against peers that are not who they say. The node believes its
//! own people, its own pins and its own policy; whatever else is said costs it nothing but a refusal on the record.

mod bureau;
mod coordinator;

use banyan_proto::canonical::{Canonical, Digest};
use banyan_proto::grant::Admission;
use banyan_proto::identity::Identity;
use banyan_proto::job::{Plan, Spec, When};
use banyan_proto::wire::{self, instruction, report, verdict};
use banyan_protocols::CATALOGUE;
use banyan_protocols::party::PartyId;
use banyan_tests::job::Job;
use banyan_tests::office::{Office, id, table, until};
use banyan_tests::party::Party;
use bytes::Bytes;
use jiff::Timestamp;
use tempfile::TempDir;
use tokio::net::TcpListener;

use bureau::Bureau;
use coordinator::{Evil, Line};

const ROWS: usize = 40;
const UNREAD: &str = "the node's people see why with `banyan-node status`";

/// The honest bank at the evil coordinator; the bureau is a key that the test holds.
struct Stage {
    _evil: Evil,
    line: Line,
    bank: Party,
    bureau: Identity,
    _dir: TempDir,
}

impl Stage {
    async fn open() -> Self {
        let evil = Evil::start().await;
        Self::over(evil, Identity::generate().unwrap()).await
    }

    async fn over(mut evil: Evil, bureau: Identity) -> Self {
        let (dir, mut bank) = bank_of(&evil);
        bank.call(&["peer", "add", "bureau", &bureau.public().to_string()]).answer();
        bank.start();
        let line = evil.line().await;
        Self { _evil: evil, line, bank, bureau, _dir: dir }
    }

    /// The bank admits a job as its approver allows it; gives its admission.
    async fn admitted(&mut self, spec: &Spec) -> Bytes {
        self.line.say(offer(&spec.digest(), spec.to_bytes())).await;
        match self.verdict(spec).await {
            verdict::Answer::Waiting(who) => assert_eq!(who, "the approver of bank is asked"),
            other => panic!("a person is asked, not {other:?}"),
        }
        self.bank.approve(spec.name.as_str());
        loop {
            match self.verdict(spec).await {
                verdict::Answer::Admission(bytes) => return bytes,
                verdict::Answer::Waiting(_) => {} // its people changed something else: it looked again
                other => panic!("an admission, not {other:?}"),
            }
        }
    }

    /// The next answer about this job.
    async fn verdict(&mut self, spec: &Spec) -> verdict::Answer {
        loop {
            match self.line.hear().await {
                report::Body::Verdict(verdict) if verdict.job == spec.digest().0[..] => return verdict.answer.unwrap(),
                report::Body::Verdict(_) => {}
                other => panic!("a verdict on {}, not {other:?}", spec.name),
            }
        }
    }

    /// An admission as the bureau's node would sign it.
    fn admission(&self, spec: &Spec) -> Admission {
        Admission {
            spec: spec.digest(),
            plan: Plan::derive(spec, &CATALOGUE).unwrap().digest(),
            party: party("bureau"),
            approval: Digest::default(),
            at: When(Timestamp::now()),
        }
    }

    /// Both parties admit the job, the bank prepares it, and is told to run.
    async fn runs(&mut self, spec: &Spec) {
        let mine = self.admitted(spec).await;
        let theirs = self.bureau.sign(&self.admission(spec)).to_bytes().into();
        self.prepare(spec, 1, &[mine, theirs]).await;
        assert!(matches!(self.line.hear().await, report::Body::Phase(phase) if phase.phase == "prepared"));
        let job = spec.digest().0.to_vec().into();
        self.line.say(instruction::Body::Run(wire::Run { job, attempt: 1 })).await;
    }

    async fn prepare(&self, spec: &Spec, attempt: u32, admissions: &[Bytes]) {
        let job = spec.digest().0.to_vec().into();
        let prepare = wire::Prepare { job, attempt, admissions: admissions.to_vec(), ..wire::Prepare::default() };
        self.line.say(instruction::Body::Prepare(prepare)).await;
    }

    /// Why the bank says, to its own people, that its last attempt of a job ended.
    fn reason(&self, spec: &Spec) -> String {
        self.bank.ended(spec.name.as_str())["reason"].as_str().unwrap().to_owned()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_byte_of_an_approved_spec_can_be_changed() {
    let mut stage = Stage::open().await;
    let spec = spec("honest");
    stage.admitted(&spec).await;
    let (job, bytes) = (spec.digest(), spec.to_bytes());
    for at in 0..bytes.len() {
        let mut changed = bytes.clone();
        changed[at] ^= 1;
        stage.line.say(offer(&job, changed)).await;
    }
    stage.line.say(offer(&job, bytes.clone())).await;
    assert!(matches!(stage.verdict(&spec).await, verdict::Answer::Admission(_)));
    let inbox = stage.bank.call(&["inbox"]).answer();
    assert_eq!(inbox["jobs"].as_array().unwrap().len(), 1, "{inbox:#}");
    let refusals = stage.bank.log().matches("the coordinator named another digest than the spec has").count();
    assert_eq!(refusals, bytes.len(), "each is in the node's own log");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wider_scenario_or_another_recipient_is_another_question() {
    let mut stage = Stage::open().await;
    let honest = spec("honest");
    stage.admitted(&honest).await;
    let mut wider = spec("wider");
    wider.scenario.runs += 1;
    stage.line.say(offer(&wider.digest(), wider.to_bytes())).await;
    assert!(matches!(stage.verdict(&wider).await, verdict::Answer::Waiting(_)), "it was not approved");
    let mut turned = spec("turned");
    turned.recipients = vec![party("bureau")];
    stage.line.say(offer(&turned.digest(), turned.to_bytes())).await;
    stage.line.say(offer(&honest.digest(), honest.to_bytes())).await;
    assert!(matches!(stage.verdict(&honest).await, verdict::Answer::Admission(_)));
    assert!(
        stage
            .bank
            .log()
            .contains("recipients: bureau is not in scenario.recipients; name a recipient that the scenario allows"),
        "{}",
        stage.bank.log()
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn admissions_count_by_the_pinned_key_for_this_spec_and_plan() {
    let mut stage = Stage::open().await;
    let spec = spec("honest");
    let mine = stage.admitted(&spec).await;
    let theirs = stage.admission(&spec);
    let sign = |by: &Identity, admission: &Admission| Bytes::from(by.sign(admission).to_bytes());
    let another = Identity::generate().unwrap();
    let (bureau, unsigned) = (
        &stage.bureau,
        "admission of bureau: none is signed by the key pinned here; compare fingerprints, see `banyan-node peer list`",
    );
    let cases = [
        (Bytes::new(), unsigned),
        (sign(&another, &theirs), unsigned),
        (
            sign(bureau, &Admission { party: party("bank"), ..theirs.clone() }),
            "admission of bureau: it speaks for another party",
        ),
        (
            sign(bureau, &Admission { spec: Digest([7; 32]), ..theirs.clone() }),
            "admission of bureau: it is for another spec than the one this node admitted",
        ),
        (
            sign(bureau, &Admission { plan: Digest([7; 32]), ..theirs.clone() }),
            "admission of bureau: its node derives another plan; bring both nodes to the same version",
        ),
    ];
    let honest = sign(bureau, &theirs);
    for (attempt, (admission, reason)) in (1..).zip(cases) {
        stage.prepare(&spec, attempt, &[mine.clone(), admission]).await;
        let ended = stage.line.ended(attempt).await;
        assert_eq!((ended.ok, ended.code.as_str(), ended.detail.as_str()), (false, "admission", UNREAD));
        assert_eq!(stage.reason(&spec), reason);
    }
    assert_eq!((stage.bank.runs_spent(), stage.bank.acts("spend")), (0, 0), "what was not admitted spends nothing");

    stage.prepare(&spec, 6, &[mine.clone(), honest.clone()]).await;
    match stage.line.hear().await {
        report::Body::Phase(phase) => assert_eq!((phase.attempt, phase.phase.as_str()), (6, "prepared")),
        other => panic!("prepared, not {other:?}"),
    }
    let job: Bytes = spec.digest().0.to_vec().into();
    let stop = wire::Stop { job, attempt: 6, reason: "enough".into() };
    stage.line.say(instruction::Body::Stop(stop)).await;
    assert_eq!(stage.line.ended(6).await.code, "stopped");
    assert_eq!(stage.reason(&spec), "the coordinator said stop: enough");

    // an old word said again is refused, and costs no run
    stage.prepare(&spec, 6, &[mine, honest]).await;
    let ended = stage.line.ended(6).await;
    assert_eq!((ended.ok, ended.code.as_str()), (false, "spent"));
    assert_eq!((stage.bank.runs_spent(), stage.bank.acts("spend")), (1, 1));
    stage.bank.verify();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_swapped_key_is_not_pinned() {
    let evil = Evil::start().await;
    let (true_key, other) = (Identity::generate().unwrap().public(), Identity::generate().unwrap().public());
    evil.introduce("bureau", &other, "");
    let (_dir, bank) = bank_of(&evil);
    let (told, found) = (true_key.fingerprint().to_string(), other.fingerprint());
    assert_eq!(
        bank.call(&["peer", "confirm", "bureau", &told]).refusal(4),
        format!(
            "the key that was introduced for bureau has fingerprint {found}, not {told}; nothing was pinned: either the \
             fingerprint was typed wrong, or the coordinator gave another key than the party's own; ask the party \
             again, and tell the operator if the two still differ"
        )
    );
    let listed = bank.call(&["peer", "list"]).answer();
    assert_eq!(listed["peers"][0]["standing"], "introduced, not confirmed", "{listed:#}");

    // a pin is not moved by another introduction, nor by a second confirmation
    bank.call(&["peer", "remove", "bureau"]).refusal(2);
    bank.call(&["peer", "add", "bureau", &true_key.to_string()]).answer();
    let moved = bank.call(&["peer", "confirm", "bureau", &found.to_string()]);
    assert_ne!(moved.exit, Some(0), "{}", moved.text);
    assert!(moved.text.contains(&told), "it names the pinned key: {}", moved.text);
    let listed = bank.call(&["peer", "list"]).answer();
    assert_eq!(listed["peers"][0]["standing"], "pinned; introduced with another key since", "{listed:#}");
    assert_eq!(listed["peers"][0]["fingerprint"], told.as_str());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_wire_version_is_named_with_ours() {
    let mut evil = Evil::start().await;
    evil.speak_version(99);
    let (_dir, mut bank) = bank_of(&evil);
    bank.start();
    let _line = evil.line().await;
    let expected = format!(
        "the line is down, dialling again: the coordinator speaks version 99, this node version {}: update the older one",
        wire::VERSION
    );
    until("the node says why it is not ready", || {
        bank.not_ready()
            .is_some_and(|services| services.get("coordinator").is_some_and(|why| *why == expected.as_str()))
    });
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_job_runs_while_the_clocks_differ() {
    for (ahead_ms, side) in [(120_900, "behind"), (-120_100, "ahead of")] {
        let evil = Evil::start().await;
        evil.clock_ahead_ms(ahead_ms);
        let mut stage = Stage::over(evil, Identity::generate().unwrap()).await;
        let mut message = String::new();
        until("status says so", || {
            let services = stage.bank.not_ready().unwrap_or_default();
            services.get("clock").and_then(|why| why.as_str()).is_some_and(|why| {
                message = why.to_owned();
                true
            })
        });
        let seconds = message.strip_prefix("this node's clock is ").and_then(|rest| rest.split_once(" s "));
        let (seconds, rest) = seconds.unwrap_or_else(|| panic!("{message}"));
        // the welcome was some time on its way
        assert!((115..=150).contains(&seconds.parse::<u64>().unwrap()), "{message}");
        assert_eq!(
            rest,
            format!("{side} the coordinator's: no job runs until both are right (set them with chrony or ntpd)")
        );
        assert_eq!(readyz(&stage.bank), format!("clock: {message}\n"));
        let spec = spec("honest");
        let mine = stage.admitted(&spec).await;
        let theirs = stage.bureau.sign(&stage.admission(&spec)).to_bytes().into();
        stage.prepare(&spec, 1, &[mine, theirs]).await;
        let ended = stage.line.ended(1).await;
        assert_eq!((ended.code.as_str(), ended.detail.as_str()), ("clock", "the node's clock is off"));
        assert_eq!(stage.reason(&spec), message);
        assert_eq!(stage.bank.runs_spent(), 0);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_peer_that_is_not_pinned_is_unknown() {
    let mut stage = Stage::open().await;
    stage.bank.call(&["peer", "remove", "bureau"]).answer();
    let spec = spec("honest");
    let mine = stage.admitted(&spec).await;
    let theirs = stage.bureau.sign(&stage.admission(&spec)).to_bytes().into();
    stage.prepare(&spec, 1, &[mine, theirs]).await;
    assert_eq!(stage.line.ended(1).await.code, "unknown-peer");
    assert_eq!(
        stage.reason(&spec),
        "bureau is not pinned here: compare fingerprints, then `banyan-node peer confirm bureau …`"
    );
}

/// The coordinator says truly who the bureau is, and falsely where: whoever answers there has not its key.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_key_at_the_place_of_a_peer_is_named() {
    let evil = Evil::start().await;
    let bureau = Identity::generate().unwrap();
    let place = evil.address.clone();
    evil.introduce("bureau", &bureau.public(), &place);
    let mut stage = Stage::over(evil, bureau).await;
    let spec = spec("honest");
    stage.runs(&spec).await;
    assert_eq!(stage.line.ended(1).await.code, "link");
    let key = stage.bureau.public().fingerprint();
    let expected = format!(
        "refused: the key at {place} is not the pinned one of bureau, {key}: ask bureau for its fingerprint, and pin it \
         again only if it was changed on purpose"
    );
    let reason = stage.reason(&spec);
    assert!(reason.starts_with("link to bureau at step ") && reason.ends_with(&expected), "{reason}");
    assert!(stage.bank.results().is_empty());
}

/// Between the protocol's end and everybody's signature the receiver has the result in memory. Whatever its people do
/// then that ends the job, nothing of it opens.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_held_when_its_people_end_the_job_never_opens() {
    let evil = Evil::start().await;
    let (listener, bureau) = (TcpListener::bind("127.0.0.1:0").await.unwrap(), Identity::generate().unwrap());
    evil.introduce("bureau", &bureau.public(), &listener.local_addr().unwrap().to_string());
    let key = Identity::from_pem(&bureau.to_pem()).unwrap();
    let mut stage = Stage::over(evil, bureau).await;
    let bureau = Bureau::listen(key, listener, stage.bank.key.parse().unwrap());
    let endings: [(&str, &[&str], &str); 3] = [
        ("denied", &["deny", "denied", "--yes", "--reason", "consent withdrawn"], "approval-denied"),
        ("revoked", &["halt", "revoked", "--reason", "consent withdrawn"], "scenario-revoked"),
        ("halted", &["halt", "--all", "--reason", "incident 17"], "halted"),
    ];
    for (round, (name, ending, code)) in endings.into_iter().enumerate() {
        let spec = Spec::from_toml(&Job { scenario: name.into(), ..Job::new(name, ROWS) }.to_toml()).unwrap();
        stage.runs(&spec).await;
        let (_open, _) = bureau.run(&spec, (ROWS / 2..ROWS).map(id).collect()).await.unwrap();
        until("the bank holds the result", || stage.bank.acts("hold") > round);

        stage.bank.call(ending).answer();
        let ended = stage.line.ended(1).await;
        assert_eq!((ended.ok, ended.code.as_str()), (false, code), "{name}");
        assert_eq!(stage.bank.ended(name)["state"], "failed");
        assert!(stage.bank.results().is_empty(), "{name}");
        assert_eq!(stage.bank.acts("release"), 0, "{name}");
    }
    stage.bank.verify();
}

/// A node that lost its key is another one, whatever it calls itself: the coordinator does not let it take the name, and
/// the others would not believe it.
#[test]
fn a_node_that_was_made_again_is_not_the_old_one() {
    let mut office = Office::open(ROWS);
    office.bureau.kill();
    let old = office.bureau.fingerprint.clone();
    std::fs::remove_dir_all(&office.bureau.home).unwrap();
    office.bureau.make();
    let token = office.invite("bureau", &[]);
    let refused = office.bureau.call(&["join", &token]);
    assert_ne!(refused.exit, Some(0), "{}", refused.text);
    let message = refused.json["error"]["message"].as_str().unwrap();
    let expected = format!(
        "bureau belongs to the key {old} for ever, since others have pinned it: join with that key, or ask for an \
         invitation under another name"
    );
    assert!(message.ends_with(&expected), "{message}");
    let key = office.bureau.key.clone();
    let repinned = office.bank.call(&["peer", "add", "bureau", &key]);
    assert_ne!(repinned.exit, Some(0), "{}", repinned.text);
    assert!(repinned.text.contains(&old), "it names the pinned key: {}", repinned.text);
}

fn bank_of(evil: &Evil) -> (TempDir, Party) {
    let dir = tempfile::tempdir().unwrap();
    let bank = Party::init(dir.path(), "bank", &table("limit", 0..ROWS));
    bank.call(&["join", &evil.invite("bank")]).answer();
    (dir, bank)
}

fn party(name: &str) -> PartyId {
    PartyId::new(name).unwrap()
}

fn spec(name: &str) -> Spec {
    Spec::from_toml(&Job::new(name, ROWS).to_toml()).unwrap()
}

fn offer(job: &Digest, spec: Vec<u8>) -> instruction::Body {
    instruction::Body::Offer(wire::Offer { job: job.0.to_vec().into(), spec: spec.into(), reviews: Vec::new() })
}

/// What the admin port answers to who asks whether the node is ready.
fn readyz(party: &Party) -> String {
    use std::io::{Read, Write};
    let address = std::fs::read_to_string(party.home.join("admin.addr")).unwrap();
    let mut socket = std::net::TcpStream::connect(address.trim()).unwrap();
    socket.write_all(b"GET /readyz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").unwrap();
    let mut reply = String::new();
    socket.read_to_string(&mut reply).unwrap();
    assert!(reply.starts_with("HTTP/1.1 503"), "{reply}");
    reply.split_once("\r\n\r\n").unwrap().1.to_owned()
}
