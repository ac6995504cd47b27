//! Frames between two parties of one job, and nobody else.

use banyan_proto::wire::StepFrame;
use banyan_protocols::session::SessionId;
use tonic::Code;

use super::super::limits::RELAYS_PER_PARTY_MAX;
use super::*;

/// One end of a relayed step.
struct End {
    say: mpsc::Sender<StepFrame>,
    hear: Streaming<StepFrame>,
}

impl End {
    async fn send(&self, text: &str) {
        self.say.send(StepFrame { frame: text.to_owned().into(), ..StepFrame::default() }).await.unwrap();
    }

    async fn recv(&mut self) -> Option<String> {
        let frame = timeout(PATIENCE, self.hear.message()).await.expect("a frame").unwrap()?;
        assert!(frame.open.is_none());
        Some(String::from_utf8(frame.frame.to_vec()).unwrap())
    }
}

fn opening(session: SessionId, step: &str, from: &str, to: &str) -> wire::StepOpen {
    let session = session.as_bytes().to_vec().into();
    wire::StepOpen { version: wire::VERSION, session, step: step.into(), from: from.into(), to: to.into() }
}

async fn open(calls: &CoordinatorClient<Channel>, open: wire::StepOpen) -> Result<End, Status> {
    let (say, said) = mpsc::channel(1);
    say.send(StepFrame { open: Some(open), ..StepFrame::default() }).await.unwrap();
    let hear =
        timeout(PATIENCE, calls.clone().relay(ReceiverStream::new(said))).await.expect("an answer")?.into_inner();
    Ok(End { say, hear })
}

async fn pair(bank: &Node, bureau: &Node, session: SessionId, step: &str) -> (End, End) {
    let (one, two) = tokio::join!(
        open(&bank.member.calls, opening(session, step, "bank", "bureau")),
        open(&bureau.member.calls, opening(session, step, "bureau", "bank"))
    );
    (one.unwrap(), two.unwrap())
}

/// Waits until so many ends are open or waiting.
async fn ends(house: &House, count: usize) {
    let there = async {
        while house.desk.relays.open_ends() != count {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    let found = || house.desk.relays.open_ends();
    timeout(PATIENCE, there).await.unwrap_or_else(|_| panic!("{count} ends, not {}", found()));
}

#[tokio::test]
async fn two_ends_meet_and_each_direction_ends_by_itself() {
    let house = House::open().await;
    let (mut bank, mut bureau, mut ada) = house.with_parties().await;
    let id = running(&mut bank, &mut bureau, &mut ada, &spec("relayed")).await;
    let session = SessionId::derive(&id.0, 0, 1);
    let (mut one, mut two) = pair(&bank, &bureau, session, "dh").await;
    let (other, mut step) = pair(&bank, &bureau, session, "release").await;
    for n in 0..3 {
        one.send(&format!("to bureau {n}")).await;
        two.send(&format!("to bank {n}")).await;
        other.send("apart").await;
        assert_eq!(two.recv().await.unwrap(), format!("to bureau {n}"));
        assert_eq!(one.recv().await.unwrap(), format!("to bank {n}"));
        assert_eq!(step.recv().await.unwrap(), "apart");
    }
    // a pulse, empty, and what this version does not name pass as they are
    two.send("").await;
    assert_eq!(one.recv().await.unwrap(), "");
    let End { say, hear } = two;
    drop(say);
    assert_eq!(one.recv().await, None, "one direction has ended");
    one.send("still").await;
    one.send("here").await;
    let mut two = End { say: mpsc::channel(1).0, hear };
    assert_eq!((two.recv().await.unwrap(), two.recv().await.unwrap()), ("still".into(), "here".into()));
    drop(one.say);
    assert_eq!(two.recv().await, None);
}

#[tokio::test]
async fn large_frames_are_held_back_by_a_reader_that_does_not_read() {
    let house = House::open().await;
    let (mut bank, mut bureau, mut ada) = house.with_parties().await;
    let id = running(&mut bank, &mut bureau, &mut ada, &spec("bounded")).await;
    let (one, mut two) = pair(&bank, &bureau, SessionId::derive(&id.0, 0, 1), "dh").await;
    let frame = StepFrame { frame: vec![7; 1 << 20].into(), ..StepFrame::default() };
    let mut sent = 0;
    while timeout(Duration::from_millis(500), one.say.send(frame.clone())).await.is_ok() {
        sent += 1;
        assert!(sent < 64, "nothing holds the sender back");
    }
    drop(one.say);
    let mut received = 0;
    while let Some(read) = timeout(PATIENCE, two.hear.message()).await.unwrap().unwrap() {
        assert_eq!(read.frame.len(), 1 << 20);
        received += 1;
    }
    assert_eq!(received, sent);
}

#[tokio::test]
async fn a_third_party_another_session_and_a_second_end_are_refused() {
    let house = House::open().await;
    let (mut bank, mut bureau, mut ada) = house.with_parties().await;
    let tax = house.join("tax", InviteRole::Node).await;
    let id = admitted(&mut bank, &mut bureau, &mut ada, &spec("spliced")).await;
    let session = SessionId::derive(&id.0, 0, 1);
    let refused =
        async |calls: &CoordinatorClient<Channel>, start| open(calls, start).await.err().expect("refused").code();
    let denied = Code::PermissionDenied;
    // in somebody's name, in its own name into another's session, to itself
    assert_eq!(refused(&tax.calls, opening(session, "dh", "bank", "bureau")).await, denied);
    assert_eq!(refused(&tax.calls, opening(session, "dh", "tax", "bureau")).await, denied);
    assert_eq!(refused(&bank.member.calls, opening(session, "dh", "bank", "tax")).await, denied);
    assert_eq!(refused(&bank.member.calls, opening(session, "dh", "bank", "bank")).await, denied);
    assert_eq!(refused(&bank.member.calls, opening(session, "dh", "bureau", "bank")).await, denied);
    // sessions of another attempt, of another task, of nothing
    for other in [SessionId::derive(&id.0, 0, 2), SessionId::derive(&id.0, 1, 1), SessionId::from_bytes([0; 32])] {
        assert_eq!(refused(&bank.member.calls, opening(other, "dh", "bank", "bureau")).await, denied);
    }
    let old = wire::StepOpen { version: 3, ..opening(session, "dh", "bank", "bureau") };
    assert_eq!(refused(&bank.member.calls, old).await, Code::FailedPrecondition);
    let nothing = bank.member.calls.clone().relay(tokio_stream::iter([StepFrame::default()])).await.unwrap_err();
    assert_eq!(nothing.code(), Code::InvalidArgument);

    let waiting = tokio::spawn({
        let calls = bank.member.calls.clone();
        async move { open(&calls, opening(session, "dh", "bank", "bureau")).await }
    });
    ends(&house, 1).await;
    let twice = open(&bank.member.calls, opening(session, "dh", "bank", "bureau")).await.err().expect("refused");
    assert_eq!(twice.code(), Code::AlreadyExists);
    let mut two = open(&bureau.member.calls, opening(session, "dh", "bureau", "bank")).await.unwrap();
    let one = waiting.await.unwrap().unwrap();
    one.send("the right one").await;
    assert_eq!(two.recv().await.unwrap(), "the right one");
}

#[tokio::test]
async fn places_are_limited_and_given_back() {
    let house = House::open().await;
    let (mut bank, mut bureau, mut ada) = house.with_parties().await;
    let id = running(&mut bank, &mut bureau, &mut ada, &spec("limited")).await;
    let session = SessionId::derive(&id.0, 0, 1);
    let wait = |step: usize| {
        let calls = bank.member.calls.clone();
        tokio::spawn(async move { open(&calls, opening(session, &format!("s{step}"), "bank", "bureau")).await })
    };
    let waiting: Vec<_> = (0..RELAYS_PER_PARTY_MAX).map(wait).collect();
    ends(&house, RELAYS_PER_PARTY_MAX).await;
    let full = open(&bank.member.calls, opening(session, "more", "bank", "bureau")).await.err().expect("refused");
    assert_eq!((full.code(), full.message()), (Code::ResourceExhausted, "bank has 30 relayed steps open"));
    for task in &waiting {
        task.abort(); // callers that go away leave no place taken
    }
    ends(&house, 0).await;
    let (one, mut two) = pair(&bank, &bureau, session, "again").await;
    one.send("room").await;
    assert_eq!(two.recv().await.unwrap(), "room");
}

#[tokio::test]
async fn steps_end_with_their_job() {
    let house = House::open().await;
    let (mut bank, mut bureau, mut ada) = house.with_parties().await;
    let id = running(&mut bank, &mut bureau, &mut ada, &spec("cut")).await;
    let session = SessionId::derive(&id.0, 0, 1);
    let (mut one, _two) = pair(&bank, &bureau, session, "dh").await;
    let waiting = tokio::spawn({
        let calls = bank.member.calls.clone();
        async move { open(&calls, opening(session, "waits", "bank", "bureau")).await.err().expect("refused").code() }
    });
    ends(&house, 3).await;
    bureau.failed(&id, 1, "disk", "").await;
    let cut = timeout(PATIENCE, one.hear.message()).await.expect("cut").unwrap_err();
    assert_eq!((cut.code(), cut.message()), (Code::Aborted, "the job of this step is over"));
    assert_eq!(waiting.await.unwrap(), Code::Aborted);
    let late = open(&bank.member.calls, opening(session, "late", "bank", "bureau")).await.err().expect("refused");
    assert_eq!(late.code(), Code::PermissionDenied);
}
