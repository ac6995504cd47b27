use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::catalogue::Cost;
use crate::error::{Error, InputError};
use crate::ideal;
use crate::sim::Net;

/// What both should get.
fn oracle(form: Form, x: &Items, y: &Items) -> Vec<Output> {
    let rows = |own, other| Output::Rows(ideal::intersection(own, other));
    let sender = if form == Form::RowsToBoth { rows(y, x) } else { Output::Nothing };
    vec![rows(x, y), sender]
}

#[test]
fn agrees_with_the_oracle_on_nasty_sizes() {
    // Odd sizes are where products have lost matches: see DESIGN.md.
    let sizes =
        [(0, 0), (0, 31), (31, 0), (1, 1), (31, 33), (33, 31), (1000, 33), (1000, 1000), (6789, 1000), (1000, 6789)];
    for (seed, (n, m)) in sizes.into_iter().enumerate() {
        for rr22 in BOTH {
            let form = FORMS[seed % 2];
            let (x, y) = (keys(0, n), keys(n / 2, m));
            let run = run(&World::new("rr22", seed as u64), rr22, parameters(form, n, m), &x, &y);
            assert_eq!(run.values().unwrap(), oracle(form, &x, &y), "{form:?} {n} x {m}");
        }
    }
}

#[test]
fn agrees_with_the_oracle_over_many_bins() {
    let (n, m) = (50_001, 33_333);
    for rr22 in BOTH {
        let (x, y) = (keys(0, n), keys(n - 777, m));
        let run = run(&World::new("rr22", 5), rr22, parameters(Form::RowsToBoth, n, m), &x, &y);
        assert_eq!(run.values().unwrap(), oracle(Form::RowsToBoth, &x, &y));
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
        for rr22 in BOTH {
            let p = parameters(Form::RowsToBoth, 64, 50);
            let run = run(&World::new("rr22", 1), small(rr22, 48), p, x, y);
            assert_eq!(run.values().unwrap(), oracle(Form::RowsToBoth, x, y), "{name}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, ..ProptestConfig::default() })]
    #[test]
    fn agrees_with_the_oracle_on_random_sets(
        x in proptest::collection::btree_set(0u8..60, 0..40),
        y in proptest::collection::btree_set(0u8..60, 0..40),
        (room, batch, seed) in (0u64..9, 1usize..20, any::<u64>()),
        form in proptest::sample::select(FORMS.to_vec()),
        rr22 in proptest::sample::select(BOTH.to_vec()),
    ) {
        // Descending, so that rows are not in the order of keys.
        let (x, y): (Items, Items) = (x.iter().rev().map(|k| [*k]).collect(), y.iter().rev().map(|k| [*k]).collect());
        let p = parameters(form, x.len() as u64 + room, y.len() as u64 + room / 2);
        let run = run(&World::new("rr22", seed), small(rr22, 16 * batch), p, &x, &y);
        prop_assert_eq!(run.values().unwrap(), oracle(form, &x, &y));
    }
}

#[test]
fn costs_exactly_what_it_declares() {
    for form in FORMS {
        for (rr22, n, m) in [
            (small(Rr22::NEW, 64), 0, 0),
            (small(Rr22::LOW, 64), 1, 9),
            (small(Rr22::NEW, 4096), 13, 10),
            (Rr22::LOW, 2049, 33),
            (Rr22::NEW, 20_000, 1),
        ] {
            let p = parameters(form, n, m);
            let run = run(&World::new("rr22", 1).net(Net::ROUNDS), rr22, p, &keys(0, n), &keys(5, m));
            for (party, role) in run.report.parties.iter().zip([Role::Receiver, Role::Sender]) {
                let declared = rr22.cost(&p, role);
                let (rounds, bytes_out, group_ops) = (run.report.rounds(), party.bytes_out, party.group_ops);
                // time is an estimate: nothing to compare
                let spent = Cost { rounds, bytes_out, group_ops, cpu_us: declared.cpu_us };
                assert_eq!(spent, declared, "{form:?} {n} x {m} {role}");
                assert_eq!(party.work, rr22.work(&p, role), "progress ends at its end: {n} x {m} {role}");
            }
            assert_eq!(run.report.parties[0].bytes_in, run.report.parties[1].bytes_out);
        }
    }
}

#[test]
fn bytes_stay_within_their_goals() {
    for (rr22, log, goal) in [
        (Rr22::NEW, 16, 2_600_000),
        (Rr22::NEW, 20, 36_000_000),
        (Rr22::LOW, 16, 1_700_000),
        (Rr22::LOW, 20, 21_000_000),
    ] {
        let p = parameters(Form::RowsToReceiver, 1 << log, 1 << log);
        let bytes: u64 = [Role::Receiver, Role::Sender].map(|role| rr22.cost(&p, role).bytes_out).iter().sum();
        assert!(bytes <= goal, "2^{log}: {bytes} bytes");
    }
}

#[test]
fn cost_tells_nothing_about_the_true_sizes() {
    let p = parameters(Form::RowsToBoth, 20, 20);
    let streams = |x: Items, y: Items| run(&World::new("rr22", 1), small(Rr22::NEW, 64), p, &x, &y).report.streams;
    assert_eq!(streams(keys(0, 20), keys(0, 20)), streams(keys(0, 0), keys(0, 1)));
}

#[test]
fn schedules_give_the_same_result_and_the_same_streams() {
    let (x, y) = (keys(0, 40), keys(25, 37));
    let p = parameters(Form::RowsToBoth, 45, 40);
    for rr22 in BOTH.map(|rr22| small(rr22, 256)) {
        let world = World::new("rr22", 3).record();
        let first = run(&world, rr22, p, &x, &y);
        for schedule in 0..25 {
            let world = world.clone().schedule(schedule).capacity(1 + schedule as usize % 3);
            let again = run(&world.jitter(Duration::from_millis(schedule)), rr22, p, &x, &y);
            assert_eq!(again.transcript.by_stream(), first.transcript.by_stream(), "schedule {schedule}");
            assert_eq!(again.values().unwrap(), oracle(p.form, &x, &y), "schedule {schedule}");
        }
    }
}

#[test]
fn inputs_that_do_not_fit_are_the_owners_to_mend() {
    for rr22 in BOTH {
        for (role, place) in [(Role::Receiver, 0), (Role::Sender, 1)] {
            let outcome = |items: Items, p| {
                let (x, y) = if role == Role::Receiver { (items, keys(0, 3)) } else { (keys(0, 3), items) };
                run(&World::new("rr22", 1), rr22, p, &x, &y).outcomes.into_iter().nth(place).unwrap().1
            };
            let p = parameters(Form::RowsToBoth, 4, 4);
            assert_eq!(outcome(keys(0, 5), p), Err(Error::Input(InputError::TooMany { got: 5, max: 4 })));
            let twice: Items = ["a", "b", "c", "b"].iter().collect();
            assert_eq!(outcome(twice, p), Err(Error::Input(InputError::Duplicate { first: 1, second: 3 })));
            let unsupported = |p| matches!(outcome(keys(0, 1), p), Err(Error::Input(InputError::Unsupported { .. })));
            assert!(unsupported(parameters(Form::RowsToBoth, super::super::BAND_MAX + 1, 4)));
            assert!(unsupported(parameters(Form::Cardinality, 4, 4)));
        }
    }
    let p = parameters(Form::RowsToBoth, 4, super::super::LOW_SENDER_MAX + 1);
    let refused = run(&World::new("rr22", 1), Rr22::LOW, p, &keys(0, 1), &keys(0, 1)).outcomes;
    assert!(matches!(refused[0].1, Err(Error::Input(InputError::Unsupported { protocol: "rr22-low", .. }))));
}
