use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures::future::BoxFuture;
use proptest::prelude::*;

use super::super::msg::Points;
use super::*;
use crate::catalogue::Cost;
use crate::error::{Error, InputError};
use crate::ideal;
use crate::message::FRAME_HEADER;
use crate::sim::Net;
use crate::suite::seal::SEAL_OVERHEAD;

/// What both should get.
fn oracle(form: Form, x: &Items, y: &Items) -> Vec<Output> {
    let rows = |own, other| Output::Rows(ideal::intersection(own, other));
    match form {
        Form::RowsToReceiver => vec![rows(x, y), Output::Nothing],
        Form::RowsToBoth => vec![rows(x, y), rows(y, x)],
        Form::Cardinality => vec![Output::Count(ideal::cardinality(x, y)), Output::Nothing],
        Form::Sum | Form::Shares => unreachable!("not of dh"),
    }
}

#[test]
fn agrees_with_the_oracle_on_nasty_sizes() {
    // Odd sizes are where products have lost matches: see DESIGN.md.
    let sizes =
        [(0, 0), (0, 31), (31, 0), (1, 1), (31, 33), (33, 31), (1000, 33), (1000, 1000), (6789, 1000), (1000, 6789)];
    for (seed, (n, m)) in sizes.into_iter().enumerate() {
        // Each size in every group, and the forms by turns.
        for (turn, protocol) in variants(BATCH).into_iter().enumerate() {
            let form = FORMS[(seed + turn) % FORMS.len()];
            let (x, y) = (keys(0, n), keys(n / 2, m));
            let p = parameters(form, n, m);
            let run = run(&World::new("dh", seed as u64), protocol, p, &x, &y);
            assert_eq!(run.values().unwrap(), oracle(form, &x, &y), "{form:?} {n} x {m}");
        }
    }
}

#[test]
fn agrees_with_the_oracle_on_disjoint_equal_and_padded_sets() {
    let sets = [
        ("disjoint", keys(0, 31), keys(31, 33)),
        ("equal", keys(0, 33), keys(0, 33)),
        ("inside", keys(0, 33), keys(7, 3)),
        ("empty receiver", keys(0, 0), keys(0, 33)),
        ("empty sender", keys(0, 31), keys(0, 0)),
        ("odd items", ["", "0", "\0", "\u{1}", "银行"].iter().collect(), ["银行", "", "\0\0"].iter().collect()),
    ];
    for (name, x, y) in &sets {
        for (form, protocol) in FORMS.into_iter().flat_map(|form| variants(8).map(|protocol| (form, protocol))) {
            let run = run(&World::new("dh", 1), protocol, parameters(form, 64, 50), x, y);
            assert_eq!(run.values().unwrap(), oracle(form, x, y), "{form:?} {name}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]
    #[test]
    fn agrees_with_the_oracle_on_random_sets(
        x in proptest::collection::btree_set(0u8..60, 0..40),
        y in proptest::collection::btree_set(0u8..60, 0..40),
        (room, batch, seed) in (0u64..9, 1usize..20, any::<u64>()),
        form in proptest::sample::select(FORMS.to_vec()),
        variant in 0..3usize,
    ) {
        // Descending, so that rows are not in the order of keys.
        let (x, y): (Items, Items) = (x.iter().rev().map(|k| [*k]).collect(), y.iter().rev().map(|k| [*k]).collect());
        let p = parameters(form, x.len() as u64 + room, y.len() as u64 + room / 2);
        let run = run(&World::new("dh", seed), variants(batch)[variant], p, &x, &y);
        prop_assert_eq!(run.values().unwrap(), oracle(form, &x, &y));
    }
}

#[test]
fn costs_exactly_what_it_declares() {
    for form in FORMS {
        let sizes = [(4, 0, 0), (4, 1, 9), (5, 13, 10), (8, 8, 64), (BATCH, 33, 2049), (BATCH, 4096, 1)];
        let cases = sizes.into_iter().flat_map(|(batch, n, m)| variants(batch).map(|protocol| (protocol, n, m)));
        for (protocol, n, m) in cases {
            let p = parameters(form, n, m);
            let run = run(&World::new("dh", 1).net(Net::ROUNDS), protocol, p, &keys(0, n), &keys(5, m));
            for (party, role) in run.report.parties.iter().zip([Role::Receiver, Role::Sender]) {
                let declared = protocol.cost(&p, role);
                let (rounds, bytes_out, group_ops) = (run.report.rounds(), party.bytes_out, party.group_ops);
                // time is an estimate: nothing to compare
                let spent = Cost { rounds, bytes_out, group_ops, cpu_us: declared.cpu_us };
                assert_eq!(spent, declared, "{form:?} {n} x {m} {role}");
            }
            assert_eq!(run.report.parties[0].bytes_in, run.report.parties[1].bytes_out);
        }
    }
}

#[test]
fn cost_tells_nothing_about_the_true_sizes() {
    let p = parameters(Form::RowsToBoth, 20, 20);
    for protocol in variants(3) {
        let streams = |x: Items, y: Items| run(&World::new("dh", 1), protocol, p, &x, &y).report.streams;
        assert_eq!(streams(keys(0, 20), keys(0, 20)), streams(keys(0, 0), keys(0, 1)));
    }
}

#[test]
fn fifty_schedules_give_the_same_result_and_the_same_streams() {
    let (x, y) = (keys(0, 40), keys(25, 37));
    // Streams and jobs are the same in every group.
    for (form, protocol) in FORMS.into_iter().zip(variants(3)) {
        let p = parameters(form, 45, 40);
        let world = World::new("dh", 3).record();
        let first = run(&world, protocol, p, &x, &y);
        for schedule in 0..50 {
            let world = world.clone().schedule(schedule).capacity(1 + schedule as usize % 3);
            let again = run(&world.jitter(Duration::from_millis(schedule)), protocol, p, &x, &y);
            assert_eq!(again.transcript.by_stream(), first.transcript.by_stream(), "{form:?} schedule {schedule}");
            assert_eq!(again.values().unwrap(), oracle(form, &x, &y), "{form:?} schedule {schedule}");
        }
    }
}

/// The elements that the party in `role` makes of eight keys, as its peer reads them.
fn masked(protocol: &'static dyn Protocol, role: Role, attempt: u32) -> BTreeSet<[u8; 32]> {
    let p = parameters(Form::RowsToReceiver, 8, 8);
    let read = |s: Session| async move {
        let mut channel = s.step(role).channel(s.holder(role)?)?;
        let seen = [channel.recv::<Points>(4).await?, channel.recv::<Points>(4).await?];
        Ok(seen.into_iter().flat_map(|Points(points)| points).collect())
    };
    let run = World::new("dh", 3).attempt(attempt).run(&pair(), |s, mine| -> BoxFuture<'_, Result<BTreeSet<_>>> {
        if mine == role {
            Box::pin(async move { honest(protocol, s, mine, p, keys(0, 8)).await.map(|_| BTreeSet::new()) })
        } else {
            Box::pin(read(s))
        }
    });
    run.outcomes.into_iter().find_map(|(_, outcome)| outcome.ok()).unwrap()
}

#[test]
fn another_attempt_masks_the_same_keys_anew() {
    for (role, protocol) in [Role::Receiver, Role::Sender].into_iter().flat_map(|role| variants(4).map(|v| (role, v))) {
        let (first, second) = (masked(protocol, role, 0), masked(protocol, role, 1));
        assert_eq!((first.len(), second.len()), (8, 8), "{role}");
        assert_eq!(
            first,
            masked(protocol, role, 0),
            "{role}: the same attempt repeats, so another is what makes the difference"
        );
        assert!(first.is_disjoint(&second), "{role}");
    }
}

/// Of one large set, a batch takes 20 ms on the wire and as long on the cores of a party. One batch at a time takes 0.75 of their sum or more.
#[test]
fn computing_and_wire_overlap() {
    /// 20 ms later at each reading, so that each job takes them.
    fn clock() -> Duration {
        static READINGS: AtomicU64 = AtomicU64::new(0);
        Duration::from_millis(20 * READINGS.fetch_add(1, Ordering::Relaxed))
    }
    let frame = FRAME_HEADER + 4 * 32 + SEAL_OVERHEAD;
    let net = Net { latency: Duration::ZERO, bandwidth: Some(frame as u64 * 50) };
    // A cardinality's answers wait for all elements of the receiver: see DESIGN.md. So its large set is the sender's.
    let answered = [(Form::RowsToReceiver, 128, 4), (Form::RowsToBoth, 128, 4)];
    for (form, n, m) in FORMS.map(|form| (form, 4, 128)).into_iter().chain(answered) {
        let world = World::new("dh", 1).net(net).charged_compute(clock);
        let report = run(&world, variants(4)[0], parameters(form, n, m), &keys(0, n), &keys(1, m)).report;
        let compute = report.parties.iter().map(|party| party.compute).max().unwrap();
        let wire = [bank(), bureau()].map(|party| {
            let sent = report.streams.iter().filter(|stream| stream.from == party).map(|stream| stream.sealed_bytes);
            net.transmission(sent.sum::<u64>() as usize)
        });
        let one_after_another = compute + wire.into_iter().max().unwrap();
        assert!(compute > Duration::from_millis(650), "{form:?} {n} x {m}: {report:?}");
        assert!(report.elapsed < one_after_another * 7 / 10, "{form:?} {n} x {m}: {one_after_another:?} {report:?}");
    }
}

#[test]
fn inputs_that_do_not_fit_are_the_owners_to_mend() {
    let outcome = |x: Items, p| {
        let run = run(&World::new("dh", 1), variants(4)[0], p, &x, &keys(0, 3));
        run.outcomes.into_iter().next().unwrap().1
    };
    let p = parameters(Form::Cardinality, 4, 4);
    assert_eq!(outcome(keys(0, 5), p), Err(Error::Input(InputError::TooMany { got: 5, max: 4 })));
    let twice: Items = ["a", "b", "c", "b"].iter().collect();
    assert_eq!(outcome(twice, p), Err(Error::Input(InputError::Duplicate { first: 1, second: 3 })));
    let huge = parameters(Form::Cardinality, super::super::BAND_MAX + 1, 4);
    assert!(matches!(outcome(keys(0, 1), huge), Err(Error::Input(InputError::Unsupported { protocol: "dh", .. }))));
}
