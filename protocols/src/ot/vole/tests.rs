use std::collections::BTreeSet;

use super::*;
use crate::error::Error;
use crate::kernels::gf128::mul;
use crate::message::Malformed;
use crate::party::{Role, Roster};
use crate::sim::{Edit, Run, World};
use crate::transport::{LinkError, Step};

enum Half<F: Scalar> {
    Sent(Sent),
    Received(Received<F>),
}

fn bank() -> PartyId {
    PartyId::new("bank").unwrap()
}

fn bureau() -> PartyId {
    PartyId::new("bureau").unwrap()
}

/// The bank receives, the bureau sends.
fn pair() -> Roster {
    Roster::pair(bank(), bureau())
}

fn run<F: Scalar>(world: &World, length: usize) -> Run<Half<F>> {
    world.run(&pair(), |s, role| async move {
        let peer = s.holder(role.other())?.clone();
        Ok(match role {
            Role::Sender => Half::Sent(send::<F>(&s, &peer, length).await?),
            Role::Receiver => Half::Received(receive::<F>(&s, &peer, length).await?),
        })
    })
}

/// Both halves, which fit together.
fn good<F: Scalar>(run: Run<Half<F>>, length: usize) -> (Sent, Received<F>) {
    let mut halves = run.outcomes.into_iter().map(|(_, half)| half.unwrap());
    let (Some(Half::Received(received)), Some(Half::Sent(sent))) = (halves.next(), halves.next()) else {
        panic!("a half each")
    };
    assert_eq!((received.a.len(), received.c.len(), sent.b.len()), (length, length, length));
    for ((a, c), b) in received.a.iter().zip(&*received.c).zip(&*sent.b) {
        assert!(*c == mul(a.lift(), *sent.delta) ^ b, "{length}");
    }
    (sent, received)
}

fn holds_at_its_declared_cost<F: Scalar>(length: usize) {
    let run = run::<F>(&World::new("vole", length as u64), length);
    for report in &run.report.parties {
        let declared = cost::<F>(length, pair().role_of(&report.party).unwrap());
        assert_eq!(report.bytes_out, declared.bytes_out, "{} of {length}", report.party);
    }
    good(run, length);
}

#[test]
fn the_relation_holds_at_every_size() {
    for length in [0, 1, 31, 33, 1000, 6789, (1 << 16) + 1] {
        holds_at_its_declared_cost::<u128>(length);
        holds_at_its_declared_cost::<u64>(length);
    }
}

#[test]
fn a_length_above_one_batch_is_split_evenly() {
    let length = (1 << 20) + 1;
    let sizes: Vec<usize> = Plan::new::<u64>(length).batches().collect();
    assert_eq!(sizes, [(1 << 19) + 1, 1 << 19]);
    holds_at_its_declared_cost::<u64>(length);
}

#[test]
fn what_is_sent_stays_within_its_goals() {
    let bytes =
        |length| [Role::Sender, Role::Receiver].map(|role| cost::<u128>(length, role).bytes_out).iter().sum::<u64>();
    assert!(bytes(1 << 20) < 420_000, "{}", bytes(1 << 20));
    assert!(bytes(1 << 16) < 370_000, "{}", bytes(1 << 16));
    let halves =
        |length| [Role::Sender, Role::Receiver].map(|role| cost::<u64>(length, role).bytes_out).iter().sum::<u64>();
    assert!(halves(1 << 16) < 270_000, "{}", halves(1 << 16));
}

#[test]
fn vectors_look_random_and_no_two_runs_are_alike() {
    let length = 6789;
    let (sent, received) = good(run::<u128>(&World::new("vole", 1), length), length);
    let (other, _) = good(run::<u128>(&World::new("vole", 1).attempt(1), length), length);
    assert!(*sent.delta != *other.delta && sent.b[0] != other.b[0]);
    for vector in [&sent.b, &received.a, &received.c] {
        assert_eq!(vector.iter().collect::<BTreeSet<_>>().len(), length, "an element repeats");
        // 868 992 bits: six standard deviations are 2 800.
        let ones: u32 = vector.iter().map(|element| element.count_ones()).sum();
        assert!(ones.abs_diff(434_496) < 2_800, "{ones}");
        for bit in [0, 63, 64, 127] {
            let ones = vector.iter().filter(|element| *element >> bit & 1 == 1).count();
            assert!(ones.abs_diff(length / 2) < 250, "bit {bit}: {ones}");
        }
    }
}

#[test]
fn every_schedule_gives_the_same() {
    let length = 33;
    let world = World::new("vole", 5);
    let (sent, received) = good(run::<u64>(&world, length), length);
    for schedule in 0..8 {
        let again = good(run::<u64>(&world.clone().schedule(schedule), length), length);
        assert!(*again.0.b == *sent.b && *again.1.a == *received.a && *again.1.c == *received.c, "{schedule}");
    }
}

#[test]
fn every_frame_that_is_changed_is_named() {
    let world = World::new("vole", 7);
    let clean = run::<u64>(&world.clone().record(), 1).transcript.by_stream();
    for (number, frame) in clean.frames().iter().enumerate() {
        let edits = [Edit::Flip { bit: 8 + 37 * number }, Edit::Truncate { bytes: 1 }, Edit::Repeat];
        let tamper = frame.tampered(edits[number % edits.len()].clone());
        for (party, outcome) in run::<u64>(&world.clone().tamper(tamper.clone()), 1).outcomes {
            match outcome.err() {
                Some(Error::Deviation { party: named, step, fault: Fault::Forged { .. } }) => {
                    assert_eq!((&party, &named, &step), (&frame.to, &frame.from, &frame.step), "{tamper:?}");
                }
                // The other may have ended already, or sees its peer leave; it accuses nobody.
                None | Some(Error::Link { error: LinkError::Closed, .. }) => {
                    assert_eq!(party, frame.from, "{tamper:?}")
                }
                Some(other) => panic!("{tamper:?}: {other:?}"),
            }
        }
    }
}

/// What a scripted sender changes on its way through the protocol.
#[derive(Clone, Copy, Debug)]
enum Cheat {
    /// Both sums of a level of a tree.
    Level { tree: usize, level: usize },
    /// One of the two, which half of all receivers do not look at.
    Side { tree: usize, level: usize, side: usize },
    /// The sum of a tree's leaves.
    Total { tree: usize },
    /// What the check gave.
    Verdict,
    /// The number of sums.
    Count,
}

/// [`send`] with one change, of a single batch.
async fn cheating_sender(s: &Session, cheat: Cheat) -> Result<Sent> {
    let (plan, peer) = (Plan::new::<u128>(1), bank());
    let mut transfers = extension::Sender::set_up(&s.step("transfers"), &peer).await?;
    let correlated = collect(transfers.correlated(&s.step("noise"), plan.noise())?, plan.noise()).await?;
    let keys = collect(transfers.random(&s.step("paths"), plan.paths(), BATCH)?, plan.paths()).await?;
    let s = s.step("batch-0");
    let mut channel = s.channel(&peer)?;
    let (grown, mut sums) = local::send(&plan.forest(), &Correlated::pack::<u128>(&correlated), &keys);
    let at = |tree: usize, level: usize| tree * (plan.forest().depth() - 1) + level;
    match cheat {
        Cheat::Level { tree, level } => sums.levels[at(tree, level)].iter_mut().for_each(|sum| *sum ^= 1),
        Cheat::Side { tree, level, side } => sums.levels[at(tree, level)][side] ^= 1 << 90,
        Cheat::Total { tree } => sums.totals[tree] ^= 1 << 127,
        Cheat::Count => sums.totals.truncate(plan.forest().trees() - 1),
        Cheat::Verdict => {}
    }
    channel.send(&Sums(sums)).await?;
    let Challenge(chi) = channel.recv(()).await?;
    let mut verdict = grown.verdict(&plan.forest(), chi, &s.binding("ot/vole/verdict"));
    if matches!(cheat, Cheat::Verdict) {
        verdict.0[31] ^= 128;
    }
    channel.send(&verdict).await?;
    channel.finish().await?;
    Ok(Sent { delta: Zeroizing::new(transfers.delta()), b: grown.encode(&plan.code(), 1) })
}

fn against(seed: u64, cheat: Cheat) -> Run<Half<u128>> {
    World::new("vole", seed).run(&pair(), |s, role| async move {
        Ok(match role {
            Role::Sender => Half::Sent(cheating_sender(&s, cheat).await?),
            Role::Receiver => Half::Received(receive::<u128>(&s, &bureau(), 1).await?),
        })
    })
}

#[test]
fn a_sender_whose_sums_do_not_belong_together_is_named() {
    let check = Fault::Check { check: "leaves" };
    for (cheat, fault) in [
        (Cheat::Level { tree: 0, level: 0 }, check.clone()),
        (Cheat::Level { tree: 399, level: 3 }, check.clone()),
        (Cheat::Total { tree: 17 }, check.clone()),
        (Cheat::Verdict, check),
        (Cheat::Count, Fault::Malformed(Malformed::Short { missing: 16 })),
    ] {
        let step = Step::root("vole").child("batch-0");
        let expected = Error::Deviation { party: bureau(), step, fault };
        assert_eq!(
            against(1, cheat).outcome(&bank()).map(|half| half.as_ref().err()),
            Some(Some(&expected)),
            "{cheat:?}"
        );
    }
}

/// A sender may guess a bit of a path: half of the time it is named, else all is well.
#[test]
fn a_guess_is_named_where_it_is_wrong_and_changes_nothing_where_it_is_right() {
    let mut named = 0;
    for tree in 0..16 {
        let run = against(2, Cheat::Side { tree, level: 1, side: tree % 2 });
        match run.outcome(&bank()) {
            Some(Err(Error::Deviation { party, fault: Fault::Check { .. }, .. })) if *party == bureau() => named += 1,
            Some(Ok(_)) => drop(good(run, 1)),
            _ => panic!("tree {tree}"),
        }
    }
    assert!((3..=13).contains(&named), "{named} of 16 named");
}

/// The relation of packed transfers: bit k of y takes part as x^k.
#[test]
fn packed_transfers_are_products() {
    let delta = 0x0123_4567_89ab_cdef_0f1e_2d3c_4b5a_6978;
    let values = [0, 1, 1 << 127, 0xdead_beef, u128::MAX];
    let bits = |value: u128| (0..128).map(move |k| value >> k & 1);
    let q: Vec<u128> = (0..128 * values.len() as u128).map(|n| mul(n + 1, delta ^ 77)).collect();
    let t: Vec<u128> = q.iter().zip(values.into_iter().flat_map(bits)).map(|(q, bit)| q ^ (bit * delta)).collect();
    let (b, c) = (Correlated::pack::<u128>(&q), Correlated::pack::<u128>(&t));
    for (value, (b, c)) in values.iter().zip(b.all().zip(c.all())) {
        assert_eq!(c, mul(*value, delta) ^ b);
    }
}
