//! Agrees with the oracle once its shares are added, costs what it declares, and tells nothing.

use std::collections::BTreeMap;

use futures::future::BoxFuture;

use super::*;
use crate::catalogue::{Cost, Form, Input, Output, Protocol, Sizes};
use crate::error::Fault;
use crate::message::Malformed;
use crate::psi::testing::{keys, pair};
use crate::sim::{Edit, Net, Run, World};

/// Numbers that use all bits.
fn column(rows: u64, seed: u64) -> Column {
    (0..rows).map(|row| (row + seed).wrapping_mul(0x9e37_79b9_7f4a_7c15)).collect()
}

fn parameters(receiver: u64, sender: u64, columns: u32) -> Parameters {
    Parameters { columns, ..Parameters::new(Sizes { receiver, sender }, Form::Shares) }
}

fn run(world: &World, p: Parameters, x: &Items, y: &Items) -> Run<Output> {
    world.run(&pair(), |s, role| {
        let (items, columns, seed) = match role {
            Role::Receiver => (x.clone(), 1, 1),
            Role::Sender => (y.clone(), p.columns, 2),
        };
        let columns = (0..columns).map(|n| column(items.len() as u64, seed + u64::from(n) * 7)).collect();
        async move { Circuit.run(&s, role, p, Input::Table { items, columns }).await }
    })
}

/// Adds the shares up and compares with the oracle: each row of the receiver is in one bin, its bit tells whether the sender
/// has it, and its columns are those of both.
fn check(outputs: Vec<Output>, p: Parameters, x: &Items, y: &Items) {
    let [Output::Shares(receiver), Output::Shares(sender)] = &outputs[..] else { panic!("{outputs:?}") };
    let of_sender: BTreeMap<&[u8], usize> = y.iter().enumerate().map(|(row, key)| (key, row)).collect();
    let bins = Bins::count_for(p.sizes.receiver as usize);
    assert_eq!((receiver.rows.len(), receiver.matches.len(), sender.matches.len()), (bins, bins, bins));
    assert_eq!((sender.rows.len(), sender.receiver_columns.len(), receiver.receiver_columns.len()), (0, 0, 1));
    let mut seen = vec![false; x.len()];
    for bin in 0..bins {
        let theirs = receiver.rows[bin].and_then(|row| of_sender.get(x.get(row as usize)));
        let bit = receiver.matches.get(bin) ^ sender.matches.get(bin);
        assert_eq!(bit == 1, theirs.is_some(), "bin {bin}");
        let own = receiver.rows[bin].map_or(0, |row| column(x.len() as u64, 1).get(row as usize));
        assert_eq!(receiver.receiver_columns[0].get(bin), own);
        if let Some(row) = receiver.rows[bin] {
            assert!(!std::mem::replace(&mut seen[row as usize], true), "row {row} is in two bins");
        }
        for (n, (one, other)) in receiver.sender_columns.iter().zip(&sender.sender_columns).enumerate() {
            if let Some(row) = theirs {
                let value = column(y.len() as u64, 2 + n as u64 * 7).get(*row);
                assert_eq!(one.get(bin).wrapping_add(other.get(bin)), value, "column {n} of bin {bin}");
            }
        }
    }
    assert!(seen.into_iter().all(|seen| seen), "every row is in a bin");
    assert!([receiver, sender].iter().all(|shared| shared.sender_columns.len() == p.columns as usize));
}

#[test]
fn agrees_with_the_oracle_on_nasty_sizes() {
    let sizes =
        [(0, 0), (0, 31), (31, 0), (1, 1), (31, 33), (33, 31), (1000, 33), (1000, 1000), (6789, 1000), (1000, 6789)];
    for (seed, (n, m)) in sizes.into_iter().enumerate() {
        let (x, y) = (keys(0, n), keys(n / 2, m));
        let p = parameters(n, m, seed as u32 % 3);
        check(run(&World::new("circuit", seed as u64), p, &x, &y).values().unwrap(), p, &x, &y);
    }
}

#[test]
fn agrees_with_the_oracle_on_disjoint_equal_and_padded_sets() {
    let sets = [
        ("disjoint", keys(0, 31), keys(31, 33)),
        ("equal", keys(0, 33), keys(0, 33)),
        ("empty receiver", keys(0, 0), keys(0, 33)),
        ("empty sender", keys(0, 31), keys(0, 0)),
        ("odd items", ["", "0", "\0", "\u{1}", "银行"].iter().collect(), ["银行", "", "\0\0"].iter().collect()),
    ];
    for (_, x, y) in &sets {
        let p = parameters(64, 50, 1);
        check(run(&World::new("circuit", 1), p, x, y).values().unwrap(), p, x, y);
    }
}

#[test]
fn costs_exactly_what_it_declares_whatever_the_true_sizes() {
    for (n, m, columns) in [(0, 9, 0), (13, 10, 1), (900, 2000, 2)] {
        let p = parameters(n, m, columns);
        for (x, y) in [(keys(0, n), keys(5, m)), (keys(0, n / 3), keys(5, 1))] {
            let run = run(&World::new("circuit", 1).net(Net::ROUNDS), p, &x, &y);
            for (party, role) in run.report.parties.iter().zip([Role::Receiver, Role::Sender]) {
                let declared = Circuit.cost(&p, role);
                let (rounds, bytes_out, group_ops) = (run.report.rounds(), party.bytes_out, party.group_ops);
                // time is an estimate: nothing to compare
                let spent = Cost { rounds, bytes_out, group_ops, cpu_us: declared.cpu_us };
                assert_eq!(spent, declared, "{n} x {m} {role}");
                assert_eq!(party.work, Circuit.work(&p, role), "progress ends at its end: {n} x {m} {role}");
            }
        }
    }
}

#[test]
fn schedules_change_nothing() {
    let (x, y, p) = (keys(0, 40), keys(25, 37), parameters(45, 40, 1));
    let world = World::new("circuit", 3);
    let first = run(&world, p, &x, &y).values().unwrap();
    for schedule in 0..5 {
        let world = world.clone().schedule(schedule).capacity(1 + schedule as usize % 3);
        assert_eq!(run(&world, p, &x, &y).values().unwrap(), first, "schedule {schedule}");
    }
}

#[test]
fn shares_of_one_party_are_anew_in_another_attempt() {
    let (x, y, p) = (keys(0, 40), keys(0, 40), parameters(40, 40, 1));
    let shares = |attempt| run(&World::new("circuit", 3).attempt(attempt), p, &x, &y).values().unwrap();
    for (one, other) in shares(0).into_iter().zip(shares(1)) {
        let (Output::Shares(one), Output::Shares(other)) = (one, other) else { panic!("shares") };
        assert_ne!(one.matches, other.matches);
        assert_ne!(one.sender_columns, other.sender_columns);
    }
}

#[test]
fn a_changed_frame_of_any_stream_is_named() {
    let (x, y, p) = (keys(0, 5), keys(2, 5), parameters(5, 5, 1));
    let world = World::new("circuit", 7);
    let clean = run(&world.clone().record(), p, &x, &y).transcript.by_stream();
    let first = clean.frames().iter().filter(|frame| frame.frame == 0);
    let mut steps = 0;
    for frame in first {
        let tampered = world.clone().tamper(frame.tampered(Edit::Flip { bit: 77 }));
        let outcomes = run(&tampered, p, &x, &y).outcomes;
        let reached = outcomes.iter().find(|(party, _)| *party == frame.to).map(|(_, outcome)| outcome);
        let Some(Err(Error::Deviation { party, step, fault: Fault::Forged { frame: 0 } })) = reached else {
            panic!("{}: {outcomes:?}", frame.step)
        };
        assert_eq!((party, step), (&frame.from, &frame.step));
        steps += 1;
    }
    assert_eq!(steps, 2 * 16, "both directions of every step");
}

/// How the honest party ends against one that plays `role` by `script`.
fn against(role: Role, script: impl Fn(Session) -> BoxFuture<'static, Result<Output>>) -> (String, Fault) {
    let p = parameters(5, 5, 0);
    let run = World::new("circuit", 1).run(&pair(), |s, mine| -> BoxFuture<'_, Result<Output>> {
        if mine == role {
            return script(s);
        }
        Box::pin(async move { Circuit.run(&s, mine, p, Input::Items(keys(0, 5))).await })
    });
    match run.outcomes.into_iter().find(|(_, outcome)| matches!(outcome, Err(Error::Deviation { .. }))) {
        Some((_, Err(Error::Deviation { step, fault, .. }))) => (step.to_string(), fault),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_sender_with_too_few_hints_is_named() {
    let script = |s: Session| -> BoxFuture<'static, Result<Output>> {
        Box::pin(async move {
            let receiver = s.holder(Role::Receiver)?.clone();
            let (out, _open) = s.step("bins").channel(&receiver)?.split();
            let (s_oprf, s_transfers) = (s.step("oprf"), s.step("transfers"));
            let oprf = oprf::send(&s_oprf, &receiver, 5);
            try_join3(out.finish(), oprf, Transfers::set_up(&s_transfers, &receiver, Role::Sender)).await?;
            Hints { seed: 1, stores: vec![vec![0; 3]] }.send(&s.step("hints"), &receiver).await?;
            std::future::pending().await
        })
    };
    let (step, fault) = against(Role::Sender, script);
    assert!(step == "circuit/hints" && matches!(fault, Fault::Malformed(Malformed::Short { .. })), "{step}: {fault}");
}

#[test]
fn a_receiver_that_says_something_else_than_a_seed_is_named() {
    let script = |s: Session| -> BoxFuture<'static, Result<Output>> {
        Box::pin(async move {
            let (out, _open) = s.step("bins").channel(s.holder(Role::Sender)?)?.split();
            out.last(&msg::Words(vec![7])).await?;
            std::future::pending().await
        })
    };
    let kind = Fault::Malformed(Malformed::Kind { expected: "circuit/seed" });
    assert_eq!(against(Role::Receiver, script), ("circuit/bins".into(), kind));
}

#[test]
fn inputs_that_do_not_fit_are_the_owners_to_mend() {
    let outcome = |p: Parameters, rows: u64, columns: Vec<Column>| {
        let run = World::new("circuit", 1).run(&pair(), |s, role| {
            let columns = if role == Role::Sender { columns.clone() } else { Vec::new() };
            async move { Circuit.run(&s, role, p, Input::Table { items: keys(0, rows), columns }).await }
        });
        run.outcomes.into_iter().nth(1).unwrap().1
    };
    let p = parameters(4, 4, 1);
    assert_eq!(outcome(p, 3, vec![]), Err(Error::Input(InputError::Columns { got: 0, agreed: 1 })));
    assert_eq!(outcome(p, 3, vec![column(2, 0)]), Err(Error::Input(InputError::Rows { got: 2, rows: 3 })));
    assert_eq!(outcome(p, 5, vec![column(5, 0)]), Err(Error::Input(InputError::TooMany { got: 5, max: 4 })));
    let huge = parameters(BAND_MAX + 1, 4, 0);
    assert!(matches!(outcome(huge, 1, vec![]), Err(Error::Input(InputError::Unsupported { protocol: "circuit", .. }))));
}
