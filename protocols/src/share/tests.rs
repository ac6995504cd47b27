use std::sync::Arc;

use zeroize::Zeroizing;

use super::*;
use crate::bits::Bits;
use crate::message::FRAME_HEADER;
use crate::party::Roster;
use crate::sim::{Net, Report, World};

fn pair() -> Roster {
    Roster::pair(PartyId::new("bank").unwrap(), PartyId::new("bureau").unwrap())
}

/// Runs `program` at both ends of transfers that are set up, the bank as their receiver, and takes set-up off the report.
fn run<T, F: Future<Output = Result<T>>>(
    set_ups: usize,
    program: impl Fn(Session, Role, PartyId, Vec<Transfers>) -> F,
) -> (Vec<T>, Report) {
    let world = World::new("share", 1).net(Net::ROUNDS);
    let run = world.run(&pair(), |s, role| {
        let program = &program;
        async move {
            let peer = s.holder(role.other())?.clone();
            let (there, back) = (s.step("there"), s.step("back"));
            let mut all = vec![Transfers::set_up(&there, &peer, role).await?];
            if set_ups == 2 {
                all.push(Transfers::set_up(&back, &peer, role.other()).await?);
            }
            program(s, role, peer, all).await
        }
    });
    let mut report = run.report.clone();
    for (party, role) in report.parties.iter_mut().zip([Role::Receiver, Role::Sender]) {
        party.bytes_out -= set_up_cost(role).bytes_out;
        if set_ups == 2 {
            party.bytes_out -= set_up_cost(role.other()).bytes_out;
        }
    }
    (run.values().unwrap(), report)
}

/// Whether both ends spent what they declare, rounds with those of `set_ups`.
fn spent(report: &Report, cost: impl Fn(Role) -> Cost, set_ups: u32) {
    for (party, role) in report.parties.iter().zip([Role::Receiver, Role::Sender]) {
        let declared = cost(role);
        assert_eq!(party.bytes_out, declared.bytes_out, "{role}");
        // Less where one end is done with one thing before the other, and begins the next.
        let rounds = declared.rounds + set_ups * set_up_cost(role).rounds;
        assert!((rounds - 1..=rounds).contains(&report.rounds()), "{} rounds of {rounds}", report.rounds());
    }
}

fn random(len: usize, seed: u64) -> Vec<u64> {
    let mut state = seed;
    let mut next = || {
        state = state.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(0x1405_7b7e_f767_814f);
        state ^ state >> 29
    };
    (0..len).map(|_| next()).collect()
}

fn shares(role: Role, of: &[bool], mask: &[u64]) -> Bits {
    of.iter().zip(mask).map(|(bit, mask)| (mask & 1 == 1) ^ (*bit && role == Role::Sender)).collect()
}

#[test]
fn products_of_shared_bits() {
    let x: Vec<bool> = random(300, 1).iter().map(|n| n % 2 == 0).collect();
    let y: Vec<bool> = random(300, 2).iter().map(|n| n % 3 == 0).collect();
    let (opened, _) = run(1, |s, role, peer, mut transfers| {
        let (x, y) = (shares(role, &x, &random(300, 3)), shares(role, &y, &random(300, 4)));
        async move {
            let triples = transfers[0].triples(&s.step("triples"), 300).await?;
            let product = and(&s.step("and"), &peer, &x, &y, triples).await?;
            open(&s.step("open"), &peer, &product).await
        }
    });
    let expected: Bits = x.iter().zip(&y).map(|(x, y)| *x && *y).collect();
    assert!(opened.iter().all(|product| *product == expected));
}

#[test]
fn equality_of_private_values() {
    for (count, width) in [(0, 61), (1, 1), (127, 40), (513, 61), (700, 63)] {
        let x = random(count, 5);
        // Equal, or different in one bit, or in all, or in bits that are not looked at.
        let y: Vec<u64> = x
            .iter()
            .enumerate()
            .map(|(n, x)| match n % 5 {
                0 | 3 => *x,
                1 => x ^ 1 << (n as u32 % width),
                2 => !x,
                _ => x ^ 1 << 63,
            })
            .collect();
        let (opened, report) = run(1, |s, role, peer, mut transfers| {
            let values = Zeroizing::new(if role == Role::Receiver { x.clone() } else { y.clone() });
            async move {
                let equal = transfers[0].equal(&s.step("equal"), values, width).await?;
                Ok((equal.clone(), open(&s.step("open"), &peer, &equal).await?))
            }
        });
        let expected: Bits = (0..count).map(|n| !matches!(n % 5, 1 | 2)).collect();
        assert!(opened.iter().all(|(_, equal)| *equal == expected), "{count} of {width}");
        assert!(count < 127 || opened[0].0 != expected && opened[0].0 != Bits::zeros(count), "shares tell nothing");
        let opening = (16 * count.div_ceil(128) + FRAME_HEADER * usize::from(count > 0)) as u64;
        let opening = Cost { rounds: 1, bytes_out: opening, group_ops: 0, cpu_us: 0 };
        spent(&report, |role| equal_cost(count, width, role).then(opening), 1);
    }
}

#[test]
fn sums_of_shared_numbers() {
    let bits: Vec<bool> = random(1000, 6).iter().map(|n| n % 3 == 0).collect();
    let (numbers, mask) = (random(1000, 7), random(1000, 8));
    let (sums, report) = run(2, |s, role, _, mut transfers| {
        let bits = Arc::new(shares(role, &bits, &random(1000, 9)));
        let mine = numbers.iter().zip(&mask).map(|(number, mask)| match role {
            Role::Receiver => *mask,
            Role::Sender => number.wrapping_sub(*mask),
        });
        let mine: Zeroizing<Vec<u64>> = Zeroizing::new(mine.collect());
        async move {
            let mut back = transfers.pop().unwrap();
            let there = &mut transfers[0];
            let count = there.count(&s.step("count"), &bits).await?;
            let sum = there.sum_where(&mut back, &s.step("sum"), &bits, Arc::new(mine)).await?;
            Ok((count, sum))
        }
    });
    let expected = bits.iter().zip(&numbers).filter(|(bit, _)| **bit);
    assert_eq!(sums[0].0.wrapping_add(sums[1].0), expected.clone().count() as u64);
    assert_eq!(sums[0].1.wrapping_add(sums[1].1), expected.fold(0u64, |sum, (_, number)| sum.wrapping_add(*number)));
    spent(&report, |role| count_cost(1000, role).then(sum_where_cost(1000)), 2);
}

#[test]
fn a_bound_is_reached_or_not() {
    let half = 1u64 << 31;
    let cases =
        [(0, 0), (0, 1), (1, 1), (9, 10), (10, 10), (11, 10), (half - 1, 1), (0, half - 1), (half - 1, half - 1)];
    for (case, (number, minimum)) in cases.into_iter().enumerate() {
        let mask = random(9, 10)[case];
        let (reached, report) = run(1, |s, role, _, mut transfers| {
            let share = if role == Role::Receiver { mask } else { number.wrapping_sub(mask) };
            async move { transfers[0].at_least(&s.step("bound"), share, minimum as u32).await }
        });
        assert_eq!(reached, vec![number >= minimum; 2], "{number} and {minimum}");
        spent(&report, at_least_cost, 1);
    }
}
