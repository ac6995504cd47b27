use super::*;
use crate::catalogue::{Cost, Input, Protocol, Sizes};
use crate::error::{Error, Fault};
use crate::items::Items;
use crate::psi::testing::{keys, pair};
use crate::sim::{Edit, Net, Run, World};

/// The number of the sender's row.
fn number(row: u64) -> u64 {
    row.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 20
}

fn run(world: &World, sum: bool, p: Parameters, x: &Items, y: &Items) -> Run<Output> {
    world.run(&pair(), |s, role| {
        let (items, columns) = match role {
            Role::Receiver => (x.clone(), vec![]),
            Role::Sender if sum => (y.clone(), vec![(0..y.len() as u64).map(number).collect()]),
            Role::Sender => (y.clone(), vec![]),
        };
        async move {
            let input = Input::Table { items, columns };
            if sum { Sum.run(&s, role, p, input).await } else { Cardinality.run(&s, role, p, input).await }
        }
    })
}

fn parameters(sum: bool, receiver: u64, sender: u64, minimum: u64) -> Parameters {
    let form = if sum { Form::Sum } else { Form::Cardinality };
    Parameters { minimum, ..Parameters::new(Sizes { receiver, sender }, form) }
}

#[test]
fn sizes_and_sums_open_from_the_minimum_on() {
    // Receiver, sender, common rows, which are the sender's first.
    let small = [(0, 0, 0), (1, 1, 1), (31, 33, 16), (33, 31, 0), (0, 31, 0), (31, 0, 0)];
    let large = [(1000, 33, 33), (1000, 1000, 0), (1000, 1000, 1000), (6789, 1000, 500), (1000, 6789, 999)];
    let cases = small.into_iter().chain(large);
    for (seed, (n, m, common)) in cases.enumerate() {
        let (x, y) = (keys(1000, n), keys(1000 + n - common, m));
        for sum in [false, true] {
            let sums = (0..common).map(number).sum();
            let result = || if sum { Output::Sum(sums) } else { Output::Count(common) };
            let above = if n == 31 { u64::MAX } else { common + 1 };
            for (minimum, expected) in
                [(common, [result(), Output::Nothing]), (above, [Output::BelowMinimum, Output::BelowMinimum])]
            {
                let p = parameters(sum, n, m, minimum);
                let run = run(&World::new("psi", seed as u64), sum, p, &x, &y);
                assert_eq!(run.values().unwrap(), expected, "{n} x {m}, minimum {minimum}, sum {sum}");
            }
        }
    }
}

#[test]
fn costs_exactly_what_it_declares_and_less_below_the_minimum() {
    for sum in [false, true] {
        let p = parameters(sum, 40, 50, 10);
        let cost = |role| if sum { Sum.cost(&p, role) } else { Cardinality.cost(&p, role) };
        for common in [10, 9] {
            let run = run(&World::new("psi", 1).net(Net::ROUNDS), sum, p, &keys(0, 30), &keys(30 - common, 45));
            for (party, role) in run.report.parties.iter().zip([Role::Receiver, Role::Sender]) {
                let declared = cost(role);
                assert_eq!(party.work, Sum.work(&p, role), "progress ends at its end: {role}, sum {sum}");
                // time is an estimate: nothing to compare
                let cpu_us = declared.cpu_us;
                let spent = Cost { rounds: run.report.rounds(), bytes_out: party.bytes_out, group_ops: 0, cpu_us };
                if common == 10 {
                    assert_eq!(spent, declared, "{role}, sum {sum}");
                } else {
                    assert!(spent.rounds < declared.rounds, "{role}, sum {sum}");
                }
            }
        }
    }
}

#[test]
fn below_the_minimum_no_step_that_opens_is_reached() {
    let p = parameters(true, 40, 50, 10);
    let run = run(&World::new("psi", 1), true, p, &keys(0, 30), &keys(21, 45));
    let opened = run
        .report
        .streams
        .iter()
        .any(|stream| stream.step.as_str().contains("open") && !stream.step.as_str().contains("minimum"));
    assert!(!opened && run.values().unwrap() == [Output::BelowMinimum, Output::BelowMinimum]);
}

#[test]
fn numbers_that_might_wrap_are_the_owners_to_mend() {
    let outcome = |columns: Vec<Column>| {
        let p = parameters(true, 4, 1 << 10, 0);
        let run = World::new("psi", 1).run(&pair(), |s, role| {
            let columns = if role == Role::Sender { columns.clone() } else { vec![] };
            async move { Sum.run(&s, role, p, Input::Table { items: keys(0, 2), columns }).await }
        });
        run.outcomes.into_iter().nth(1).unwrap().1
    };
    assert_eq!(outcome(vec![[1, u64::MAX - 1].into_iter().collect()]), Ok(Output::Nothing));
    let above = outcome(vec![[1, u64::MAX].into_iter().collect()]);
    assert_eq!(above, Err(Error::Input(InputError::TooLarge { row: 1 })));
    assert_eq!(outcome(vec![]), Err(Error::Input(InputError::Columns { got: 0, agreed: 1 })));
}

#[test]
fn schedules_change_nothing() {
    let (x, y, p) = (keys(0, 33), keys(20, 31), parameters(true, 33, 31, 5));
    for schedule in 0..5 {
        let world = World::new("psi", 4).schedule(schedule).capacity(1 + schedule as usize % 3);
        let sums = (0..13).map(number).sum();
        assert_eq!(run(&world, true, p, &x, &y).values().unwrap(), [Output::Sum(sums), Output::Nothing], "{schedule}");
    }
}

#[test]
fn a_changed_frame_of_any_stream_is_named_and_opens_nothing() {
    let (x, y, p) = (keys(0, 5), keys(2, 5), parameters(true, 5, 5, 2));
    let world = World::new("psi", 7);
    let clean = run(&world.clone().record(), true, p, &x, &y).transcript.by_stream();
    for frame in clean.frames().iter().filter(|frame| frame.frame == 0) {
        let outcomes = run(&world.clone().tamper(frame.tampered(Edit::Flip { bit: 77 })), true, p, &x, &y).outcomes;
        let reached = outcomes.iter().find(|(party, _)| *party == frame.to).map(|(_, outcome)| outcome);
        let Some(Err(Error::Deviation { party, step, fault: Fault::Forged { frame: 0 } })) = reached else {
            panic!("{}: {outcomes:?}", frame.step)
        };
        assert_eq!((party, step), (&frame.from, &frame.step));
        assert!(!outcomes.iter().any(|(_, outcome)| matches!(outcome, Ok(Output::Sum(_)))), "{}", frame.step);
    }
}
