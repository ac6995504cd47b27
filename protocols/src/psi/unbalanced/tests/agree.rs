use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::catalogue::Cost;
use crate::error::{Error, Fault, InputError};
use crate::ideal;
use crate::sim::{Edit, Net};
use crate::transport::LinkError;

fn oracle(x: &Items, y: &Items) -> Vec<Output> {
    vec![Output::Rows(ideal::intersection(x, y)), Output::Nothing]
}

#[test]
fn agrees_with_the_oracle_on_nasty_sizes() {
    let sizes =
        [(0, 0), (0, 31), (31, 0), (1, 1), (31, 33), (33, 31), (1000, 33), (33, 1000), (1000, 1000), (1000, 6789)];
    for (seed, (n, m)) in sizes.into_iter().enumerate() {
        let (x, y) = (keys(0, n), keys(n / 2, m));
        let run = run(&World::new("unbalanced", seed as u64), Unbalanced::NEW, parameters(n, m), &x, &y);
        assert_eq!(run.values().unwrap(), oracle(&x, &y), "{n} x {m}");
    }
}

#[test]
fn agrees_with_the_oracle_on_disjoint_equal_and_padded_sets() {
    let sets = [
        ("disjoint", keys(0, 31), keys(31, 33)),
        ("equal", keys(0, 33), keys(0, 33)),
        ("inside", keys(7, 3), keys(0, 33)),
        ("empty receiver", keys(0, 0), keys(0, 33)),
        ("empty sender", keys(0, 31), keys(0, 0)),
        ("odd items", ["", "0", "\0", "\u{1}", "银行"].iter().collect(), ["银行", "", "\0\0"].iter().collect()),
    ];
    for (name, x, y) in &sets {
        let run = run(&World::new("unbalanced", 1), small(8), parameters(50, 64), x, y);
        assert_eq!(run.values().unwrap(), oracle(x, y), "{name}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]
    #[test]
    fn agrees_with_the_oracle_on_random_sets(
        x in proptest::collection::btree_set(0u8..60, 0..40),
        y in proptest::collection::btree_set(0u8..60, 0..40),
        (room, batch, seed) in (0u64..9, 1usize..20, any::<u64>()),
    ) {
        // Descending, so that rows are not in the order of keys.
        let (x, y): (Items, Items) = (x.iter().rev().map(|k| [*k]).collect(), y.iter().rev().map(|k| [*k]).collect());
        let p = parameters(x.len() as u64 + room, y.len() as u64 + room / 2);
        let run = run(&World::new("unbalanced", seed), small(batch), p, &x, &y);
        prop_assert_eq!(run.values().unwrap(), oracle(&x, &y));
    }
}

#[test]
fn costs_exactly_what_it_declares() {
    let sizes = [(4, 1, 9), (5, 13, 10), (8, 8, 64), (2048, 33, 2049), (2048, 2049, 1)];
    for (batch, n, m) in sizes {
        let (protocol, p) = (small(batch), parameters(n, m));
        let run = run(&World::new("unbalanced", 1).net(Net::ROUNDS), protocol, p, &keys(0, n), &keys(5, m));
        for (party, role) in run.report.parties.iter().zip([Role::Receiver, Role::Sender]) {
            let declared = protocol.cost(&p, role);
            let (rounds, bytes_out, group_ops) = (run.report.rounds(), party.bytes_out, party.group_ops);
            // time is an estimate: nothing to compare
            let spent = Cost { rounds, bytes_out, group_ops, cpu_us: declared.cpu_us };
            assert_eq!(spent, declared, "{n} x {m} {role}");
        }
    }
}

#[test]
fn cost_tells_nothing_about_the_true_sizes() {
    let p = parameters(20, 20);
    let streams = |x: Items, y: Items| run(&World::new("unbalanced", 1), small(3), p, &x, &y).report.streams;
    assert_eq!(streams(keys(0, 20), keys(0, 20)), streams(keys(0, 0), keys(0, 1)));
}

#[test]
fn fifty_schedules_give_the_same_result_and_the_same_streams() {
    let (x, y, p) = (keys(0, 12), keys(7, 30), parameters(13, 32));
    let world = World::new("unbalanced", 3).record();
    let first = run(&world, small(3), p, &x, &y);
    for schedule in 0..50 {
        let world = world.clone().schedule(schedule).capacity(1 + schedule as usize % 3);
        let again = run(&world.jitter(Duration::from_millis(schedule)), small(3), p, &x, &y);
        assert_eq!(again.transcript.by_stream(), first.transcript.by_stream(), "schedule {schedule}");
        assert_eq!(again.values().unwrap(), oracle(&x, &y), "schedule {schedule}");
    }
}

/// Every frame of every step and direction, with every edit: whom it reaches names the sender and the step.
#[test]
fn every_edit_of_every_frame_is_named() {
    let (x, y, p) = (keys(0, 9), keys(4, 11), parameters(10, 12));
    let world = World::new("unbalanced", 7);
    let clean = run(&world.clone().record(), small(4), p, &x, &y).transcript.by_stream();
    // Points, answers and tags in three messages each, what the receiver has and is offered, and the mark at the end of each
    // of four streams.
    assert_eq!(clean.frames().len(), 3 * 3 + 2 + 4);
    for frame in clean.frames() {
        let number = frame.frame as usize;
        for edit in
            [Edit::Flip { bit: 8 + 37 * number }, Edit::Truncate { bytes: 1 + number }, Edit::Drop, Edit::Repeat]
        {
            let tamper = frame.tampered(edit);
            let outcomes = run(&world.clone().tamper(tamper.clone()), small(4), p, &x, &y).outcomes;
            for (party, outcome) in &outcomes {
                if *party == frame.to {
                    let Err(Error::Deviation { party, step, fault }) = outcome else {
                        panic!("{tamper:?}: {outcomes:?}")
                    };
                    assert_eq!((party, step), (&frame.from, &frame.step), "{tamper:?}");
                    assert!(matches!(fault, Fault::Forged { .. } | Fault::Cut), "{tamper:?}: {fault}");
                } else {
                    let left = matches!(outcome, Ok(_) | Err(Error::Link { error: LinkError::Closed, .. }));
                    assert!(left, "{tamper:?}: {outcome:?}");
                }
            }
        }
    }
}

#[test]
fn inputs_that_do_not_fit_are_the_owners_to_mend() {
    let outcome = |x: Items, p| {
        let run = run(&World::new("unbalanced", 1), small(4), p, &x, &keys(0, 3));
        run.outcomes.into_iter().next().unwrap().1
    };
    assert_eq!(outcome(keys(0, 5), parameters(4, 4)), Err(InputError::TooMany { got: 5, max: 4 }.into()));
    let twice: Items = ["a", "b", "c", "b"].iter().collect();
    assert_eq!(outcome(twice, parameters(4, 4)), Err(InputError::Duplicate { first: 1, second: 3 }.into()));
    let unsupported = |p| matches!(outcome(keys(0, 1), p), Err(Error::Input(InputError::Unsupported { .. })));
    assert!(unsupported(parameters(4, super::super::BAND_MAX + 1)));
    assert!(unsupported(Parameters { form: Form::Cardinality, ..parameters(4, 4) }));
}
