use std::sync::atomic::AtomicU64;
use std::time::Duration;

use super::*;
use crate::error::Fault;
use crate::message::{Malformed, Message, Reader, Writer};
use crate::transport::{LinkError, Step};

/// A message of a given size.
struct Blob(usize);

impl Message for Blob {
    const KIND: &'static str = "test/blob";
    type Shape = usize;

    fn write(&self, w: &mut Writer) {
        w.bytes(&vec![7; self.0]);
    }

    fn read(r: &mut Reader<'_>, size: usize) -> Result<Self, Malformed> {
        r.bytes(size)?;
        Ok(Self(size))
    }
}

fn alice() -> PartyId {
    PartyId::new("alice").unwrap()
}

fn bob() -> PartyId {
    PartyId::new("bob").unwrap()
}

fn pair() -> Roster {
    Roster::pair(alice(), bob())
}

fn peer(session: &Session) -> PartyId {
    if *session.me() == alice() { bob() } else { alice() }
}

/// `turns` messages back and forth, 100 bytes each.
async fn ping_pong(session: Session, role: Role, turns: u32) -> Result<()> {
    let mut channel = session.step("game").channel(&peer(&session))?;
    for turn in 0..turns {
        if (turn % 2 == 0) == (role == Role::Receiver) {
            channel.send(&Blob(96)).await?;
        } else {
            channel.recv::<Blob>(96).await?;
        }
    }
    channel.finish().await
}

#[test]
fn rounds_are_messages_one_after_another() {
    for turns in [1, 2, 3, 10] {
        let run = World::new("test", 1).net(Net::ROUNDS).run(&pair(), |s, role| ping_pong(s, role, turns));
        assert_eq!(run.report.bytes(), u64::from(turns) * 100, "{turns} turns");
        // The end-of-stream marks of both sides travel with or after the last message: the last receiver's is one more.
        assert_eq!(run.report.rounds(), turns + 1, "{turns} turns");
        run.values().unwrap();
    }
}

#[test]
fn a_swap_is_one_round_and_so_are_streams_that_end_with_their_last_message() {
    let swap = |s: Session, _| async move {
        let mut channel = s.step("swap").channel(&peer(&s))?;
        channel.swap::<Blob, Blob>(&Blob(10), 10).await.map(drop)
    };
    let world = World::new("test", 1).net(Net::ROUNDS);
    for run in [world.run(&pair(), swap), world.run(&pair(), swap_three)] {
        assert_eq!(run.report.rounds(), 1);
        run.values().unwrap();
    }
}

#[test]
fn two_plain_sends_that_face_each_other_are_found_and_named() {
    let facing = |s: Session, _| async move {
        let mut channel = s.step("talk").channel(&peer(&s))?;
        for _ in 0..100 {
            channel.send(&Blob(10)).await?;
        }
        for _ in 0..100 {
            channel.recv::<Blob>(10).await?;
        }
        channel.finish().await
    };
    for seed in 0..20 {
        let run = World::new("test", seed).run(&pair(), facing);
        for (party, outcome) in &run.outcomes {
            let silent = matches!(outcome, Err(Error::Link { error: LinkError::Silent, .. }));
            assert!(silent, "seed {seed}: {party} ended with {outcome:?}");
        }
    }
}

#[test]
fn a_party_that_waits_for_a_step_nobody_opens_is_told() {
    let program = |s: Session, role| async move {
        let mut channel = s.step(role).channel(&peer(&s))?;
        channel.recv::<Blob>(1).await.map(drop)
    };
    let run = World::new("test", 1).run(&pair(), program);
    for (_, outcome) in run.outcomes {
        assert!(matches!(outcome, Err(Error::Link { error: LinkError::Silent, .. })), "{outcome:?}");
    }
}

#[test]
fn a_peer_that_leaves_is_a_failed_link_and_no_accusation() {
    let program = |s: Session, role| async move {
        let mut channel = s.step("talk").channel(&peer(&s))?;
        if role == Role::Sender {
            return Err(Error::Cancelled);
        }
        channel.recv::<Blob>(1).await.map(drop)
    };
    let run = World::new("test", 1).run(&pair(), program);
    let outcome = run.outcome(&alice()).unwrap();
    assert!(matches!(outcome, Err(Error::Link { error: LinkError::Closed, .. })), "{outcome:?}");
}

/// Also at a step that nobody had opened when the peer left.
#[test]
fn sending_to_a_peer_that_left_is_a_failed_link() {
    let program = |s: Session, role| async move {
        if role == Role::Sender {
            return Ok(());
        }
        let left = s.step("wait").channel(&peer(&s))?.recv::<Blob>(1).await.map(drop);
        assert!(matches!(left, Err(Error::Link { error: LinkError::Closed, .. })), "{left:?}");
        s.step("late").channel(&peer(&s))?.send(&Blob(1)).await
    };
    let run = World::new("test", 1).run(&pair(), program);
    let outcome = run.outcome(&alice()).unwrap();
    assert!(matches!(outcome, Err(Error::Link { error: LinkError::Closed, .. })), "{outcome:?}");
}

#[test]
fn a_step_is_opened_once_and_strangers_are_unknown() {
    let program = |s: Session, _| async move {
        let twice = s.step("a");
        let first = twice.channel(&peer(&s));
        assert!(first.is_ok());
        let again = twice.channel(&peer(&s)).map(drop);
        assert!(matches!(again, Err(Error::Link { error: LinkError::AlreadyOpen, .. })), "{again:?}");
        let stranger = s.step("b").channel(&PartyId::new("mallory").unwrap()).map(drop);
        assert!(matches!(stranger, Err(Error::Link { error: LinkError::UnknownPeer, .. })), "{stranger:?}");
        Ok(())
    };
    World::new("test", 1).run(&pair(), program).values().unwrap();
}

#[test]
fn frames_share_the_line_and_arrive_after_the_latency() {
    // 10 frames of 983 bytes + 17 of the seal in two steps, and two end marks of 17: 10,034 bytes at 1 MB/s, then 5 ms.
    let net = Net { latency: Duration::from_millis(5), bandwidth: Some(1_000_000) };
    let program = |s: Session, role| async move {
        let (one, two) = (s.step("one").channel(&peer(&s))?, s.step("two").channel(&peer(&s))?);
        let half = |channel: crate::channel::Channel| async move {
            let (mut out, mut incoming) = channel.split();
            for _ in 0..5 {
                match role {
                    Role::Sender => out.send(&Blob(979)).await?,
                    Role::Receiver => incoming.recv::<Blob>(979).await.map(drop)?,
                }
            }
            match role {
                Role::Sender => out.finish().await,
                Role::Receiver => incoming.finish().await,
            }
        };
        futures::future::try_join(half(one), half(two)).await.map(drop)
    };
    let run = World::new("test", 1).net(net).run(&pair(), program);
    assert_eq!(run.report.elapsed, Duration::from_micros(10_034 + 5_000));
    run.values().unwrap();
}

#[test]
fn each_party_has_a_processor_of_its_own_and_jobs_on_it_queue() {
    /// 10 ms later at each reading, so that each job takes them.
    fn clock() -> Duration {
        static READINGS: AtomicU64 = AtomicU64::new(0);
        Duration::from_millis(10 * READINGS.fetch_add(1, Ordering::Relaxed))
    }
    let program = |s: Session, role| async move {
        let job = || s.compute(|| ());
        if role == Role::Sender {
            return job().await;
        }
        futures::future::try_join(job(), job()).await.map(drop)
    };
    let report = World::new("test", 1).charged_compute(clock).run(&pair(), program).report;
    let spent: Vec<_> = report.parties.iter().map(|party| (party.compute, party.finished)).collect();
    let (one, two) = (Duration::from_millis(10), Duration::from_millis(20));
    assert_eq!(spent, [(two, two), (one, one)]);
    assert_eq!(report.elapsed, two, "one machine counted as one after another: {report:?}");

    let free = World::new("test", 1).run(&pair(), program).report;
    assert_eq!((free.elapsed, free.parties[0].compute), (Duration::ZERO, Duration::ZERO));
}

#[test]
fn a_job_nobody_waits_for_any_more_is_not_started() {
    let started = Arc::new(AtomicBool::new(false));
    let program = |s: Session, _| {
        let started = started.clone();
        async move {
            let job = s.compute(move || started.store(true, Ordering::Relaxed));
            let failed = async { Err(Error::Cancelled) };
            futures::future::try_join(job, failed).await.map(|((), ())| ())
        }
    };
    let run = World::new("test", 1).run(&pair(), program);
    assert_eq!(run.outcome(&bob()), Some(&Err(Error::Cancelled)));
    assert!(!started.load(Ordering::Relaxed));
}

#[test]
fn a_panic_in_a_job_is_an_error() {
    let program = |s: Session, _| async move { s.compute(|| -> () { panic!("inside a job") }).await };
    let run = World::new("test", 1).run(&pair(), program);
    assert_eq!(run.outcome(&bob()), Some(&Err(Error::Bug(Bug("local computation panicked")))));
}

/// Both send three frames, and read three.
async fn swap_three(s: Session, _: Role) -> Result<()> {
    let (mut out, mut incoming) = s.step("swap").channel(&peer(&s))?.split();
    let send = async {
        for _ in 0..3 {
            out.send(&Blob(32)).await?;
        }
        out.finish().await
    };
    let receive = async {
        for _ in 0..3 {
            incoming.recv::<Blob>(32).await?;
        }
        incoming.finish().await
    };
    futures::future::try_join(send, receive).await.map(drop)
}

#[test]
fn the_same_seeds_give_the_same_transcript_and_other_seeds_another() {
    let jitter = Duration::from_millis(3);
    let world = World::new("test", 5).net(Net::LAN).jitter(jitter).record();
    let first = world.run(&pair(), swap_three);
    assert_eq!(first.transcript.frames().len(), 8);
    let again = world.run(&pair(), swap_three);
    assert_eq!((first.report, &first.transcript), (again.report, &again.transcript));

    let orders: std::collections::BTreeSet<String> = (0..20)
        .map(|schedule| {
            let run = world.clone().schedule(schedule).run(&pair(), swap_three);
            assert_eq!(run.transcript.by_stream(), first.transcript.by_stream(), "schedule {schedule}");
            run.transcript.frames().iter().map(|frame| frame.from.to_string()).collect()
        })
        .collect();
    assert!(orders.len() > 1, "every schedule sent in the same order");
    let other = world.attempt(1).run(&pair(), swap_three);
    assert_ne!(other.transcript.by_stream(), first.transcript.by_stream());
}

#[test]
fn every_edit_of_every_frame_is_found_by_whom_it_reaches() {
    let world = World::new("test", 9).record();
    let clean = world.run(&pair(), swap_three).transcript;
    let other = world.clone().attempt(1).run(&pair(), swap_three).transcript;
    for frame in clean.frames() {
        let last = frame.frame == 3;
        // Any frame of another session, and any other of this one, of either direction.
        let foreign = other.frames().iter().chain(clean.frames().iter().filter(|other| *other != frame));
        let splices = foreign.map(|other| Edit::Splice(other.sealed.clone()));
        for edit in [
            Edit::Flip { bit: 0 },
            Edit::Flip { bit: 77 },
            Edit::Truncate { bytes: 1 },
            Edit::Drop,
            Edit::Repeat,
            Edit::Reorder,
        ]
        .into_iter()
        .chain(splices)
        {
            if last && matches!(edit, Edit::Reorder) {
                continue; // nothing follows that it could change places with
            }
            let tamper = frame.tampered(edit);
            let run = World::new("test", 9).tamper(tamper.clone()).run(&pair(), swap_three);
            let Some(Err(Error::Deviation { party, step, fault })) = run.outcome(&frame.to) else {
                panic!("{tamper:?}: {:?}", run.outcomes)
            };
            assert_eq!((party, step), (&frame.from, &Step::root("test").child("swap")), "{tamper:?}");
            assert!(matches!(fault, Fault::Forged { .. } | Fault::Cut), "{tamper:?}: {fault}");
        }
    }
}

#[test]
fn a_replay_into_the_same_session_changes_nothing_and_into_a_fresh_one_is_refused() {
    let world = World::new("test", 3).record();
    let recorded = world.run(&pair(), swap_three).transcript;
    let same = world.clone().replay(&recorded).run(&pair(), swap_three);
    assert_eq!(same.transcript, recorded);
    same.values().unwrap();

    let fresh = world.attempt(1).replay(&recorded).run(&pair(), swap_three);
    let refused =
        |outcome: &Result<()>| matches!(outcome, Err(Error::Deviation { fault: Fault::Forged { frame: 0 }, .. }));
    assert!(fresh.outcomes.iter().all(|(_, outcome)| outcome.is_err()), "{:?}", fresh.outcomes);
    assert!(fresh.outcomes.iter().any(|(_, outcome)| refused(outcome)), "{:?}", fresh.outcomes);
}
