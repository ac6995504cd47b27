//! One operation on shares in a simulated world, checked, for who compares figures: what `banyan bench mpc` runs.

use std::str::FromStr;
use std::sync::Arc;

use super::arithmetic::{HeldMatrix, dot, matmul, mul, mul_fixed, permute, shuffle, square, truncate};
use super::{Costs, Engine, Matrix, Provider, Seat, Seats, Shares};
use crate::error::{Bug, Error, Result};
use crate::party::{PartyId, Roster};
use crate::ring::{self, Prg, Ring};
use crate::sim::{Clock, Net, Report, World};

/// What is measured, on as many numbers of 64 bits as the size says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Op {
    /// Products.
    Mul,
    /// Products of fractions, cut to 20 bits of it.
    MulFixed,
    /// Squares.
    Square,
    /// The sum of products.
    Dot,
    /// Division by 2^20.
    Truncate,
    /// A matrix of this many entries and 100 columns, times a vector; both shared. What is no whole row is left out.
    Matmul,
    /// The same with a matrix that the first party holds, and that is masked beforehand: ten vectors, one after the other.
    Held,
    /// Rows of one word in the first party's order.
    Permute,
    /// Rows of one word in nobody's order.
    Shuffle,
}

/// Columns of the matrices measured.
const COLUMNS: usize = 100;

impl Op {
    /// All of them, by the names a command line uses.
    pub const ALL: [(&'static str, Self); 9] = [
        ("mul", Self::Mul),
        ("mul-fixed", Self::MulFixed),
        ("square", Self::Square),
        ("dot", Self::Dot),
        ("trunc", Self::Truncate),
        ("matmul", Self::Matmul),
        ("held-matmul", Self::Held),
        ("permute", Self::Permute),
        ("shuffle", Self::Shuffle),
    ];
}

impl FromStr for Op {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        let names = || Self::ALL.map(|(name, _)| name).join(", ");
        let found = Self::ALL.into_iter().find(|(known, _)| *known == name);
        found.map(|(_, op)| op).ok_or_else(|| format!("no operation is called that: there are {}", names()))
    }
}

/// What one run came to.
#[derive(Clone, Debug)]
pub struct Measured {
    /// Whether what was opened is right.
    pub correct: bool,
    /// What set-up, the operation and its opening cost as declared.
    pub declared: Costs,
    /// The same as measured: the first party, the second, and the helper where there is one.
    pub report: Report,
}

/// Runs `op` on `size` numbers, each party on one virtual core whose time `clock` tells.
///
/// # Errors
/// Those of the operation, which has none in an honest run.
pub fn measure(op: Op, size: usize, provider: Provider, net: Net, clock: Clock) -> Result<Measured> {
    let [x, y] = [1, 2].map(|seed| Arc::new(Prg::new(seed).elements::<u64>(size)));
    let (opened, declared, report) = in_world(provider, World::new("share", 1).net(net).charged_compute(clock), {
        async |e: &mut Engine| {
            let [x, y] = [(Seat::First, &x), (Seat::Second, &y)]
                .map(|(seat, all)| e.input(seat, size, (e.seat() == seat).then(|| bounded(op, all))));
            run(e, op, size, x, y).await
        }
    })?;
    let expected = expected(op, size, &bounded(op, &x), &bounded(op, &y));
    let near = |(got, exact): (&u64, &u64)| match op {
        Op::MulFixed | Op::Truncate => got.wrapping_sub(*exact).wrapping_add(1) <= 2,
        _ => got == exact,
    };
    let correct = match (op, opened.first()) {
        (_, None) => false,
        (Op::Shuffle, Some(opened)) => {
            let [mut opened, mut x] = [opened.clone(), x.to_vec()];
            opened.sort_unstable();
            x.sort_unstable();
            opened == x
        }
        (_, Some(opened)) => opened.len() == expected.len() && opened.iter().zip(&expected).all(near),
    };
    Ok(Measured { correct, declared, report })
}

/// Runs a program at every seat of a world, and gives each one's value, what was declared, and what it cost.
///
/// # Errors
/// The first error of a seat.
pub fn in_world<T>(
    provider: Provider,
    world: World,
    program: impl AsyncFn(&mut Engine) -> Result<T>,
) -> Result<(Vec<T>, Costs, Report)> {
    let (seats, roster) = seats(provider);
    let run = world.run(&roster, |s, _| {
        let (seats, program) = (&seats, &program);
        async move {
            let mut engine = Engine::set_up(&s, seats).await?;
            let value = program(&mut engine).await?;
            let spent = engine.spent();
            engine.finish().await?;
            Ok((value, spent))
        }
    });
    let report = run.report.clone();
    let (values, spent): (Vec<T>, Vec<Costs>) = run.values()?.into_iter().unzip();
    match spent.first() {
        Some(first) if spent.iter().all(|spent| spent == first) => Ok((values, *first, report)),
        _ => Err(Error::Bug(Bug("the seats of a computation declare different costs"))),
    }
}

/// The parties of a simulated computation.
pub fn seats(provider: Provider) -> (Seats, Roster) {
    let party = |name: &str| PartyId::new(name).unwrap_or_else(|_| unreachable!("a good name"));
    let helper = (provider == Provider::Helper).then(|| party("helper"));
    let roster = Roster::star(party("first"), [party("second")].into_iter().chain(helper.clone()));
    (Seats { first: party("first"), second: party("second"), helper }, roster)
}

async fn run(e: &mut Engine, op: Op, size: usize, x: Shares<u64>, y: Shares<u64>) -> Result<Vec<u64>> {
    let vector = |x: &Shares<u64>| Matrix::new(size, 1, x.clone());
    let matrix = |x: &Shares<u64>| Matrix::new(size / COLUMNS, COLUMNS, x.slice(0..size / COLUMNS * COLUMNS));
    let result = match op {
        Op::Mul => mul(e, &x, &y).await?,
        Op::MulFixed => mul_fixed(e, &x, &y, 20).await?,
        Op::Square => square(e, &x).await?,
        Op::Dot => dot(e, &x, &y).await?,
        Op::Truncate => truncate(e, &x, 20).await?,
        Op::Matmul => {
            let right = Matrix::new(COLUMNS, 1, right(e));
            matmul(e, &matrix(&x), &right).await?.entries
        }
        Op::Held => {
            let x = matrix(&x);
            let values = (e.seat() == Seat::First).then(|| x.entries.values().to_vec());
            let held = HeldMatrix::hold(e, Seat::First, x.rows, COLUMNS, values).await?;
            let right = Matrix::new(COLUMNS, 1, right(e));
            let mut sum = held.times(e, &right).await?.entries;
            for _ in 1..10 {
                sum = &sum + &held.times(e, &right).await?.entries;
            }
            sum
        }
        Op::Permute => {
            let order = (e.seat() == Seat::First).then(|| Arc::new((0..size as u32).rev().collect()));
            permute(e, Seat::First, order, &vector(&x)).await?.entries
        }
        Op::Shuffle => shuffle(e, &vector(&x)).await?.entries,
    };
    e.open(&result).await
}

/// The vector that matrices are multiplied with, the second party's.
fn right(e: &Engine) -> Shares<u64> {
    e.input(Seat::Second, COLUMNS, (e.seat() == Seat::Second).then(|| (0..COLUMNS as u64).collect()))
}

/// Numbers in the range of the operation: products that are cut stay below 2^62.
fn bounded(op: Op, values: &[u64]) -> Vec<u64> {
    let by = match op {
        Op::MulFixed => 34,
        Op::Truncate => 2,
        _ => 0,
    };
    values.iter().map(|value| value.sar(by)).collect()
}

fn expected(op: Op, size: usize, x: &[u64], y: &[u64]) -> Vec<u64> {
    let products = || x.iter().zip(y).map(|(x, y)| x.wrapping_mul(*y));
    let times = |by: u64| {
        let right: Vec<u64> = (0..COLUMNS as u64).map(|n| n * by).collect();
        ring::matmul(size / COLUMNS, COLUMNS, 1, &x[..size / COLUMNS * COLUMNS], &right)
    };
    match op {
        Op::Mul => products().collect(),
        Op::MulFixed => products().map(|product| product.sar(20)).collect(),
        Op::Square => x.iter().map(|x| x.wrapping_mul(*x)).collect(),
        Op::Dot => ring::matmul(1, size, 1, x, y),
        Op::Truncate => x.iter().map(|x| x.sar(20)).collect(),
        Op::Matmul => times(1),
        Op::Held => times(10),
        Op::Permute => x.iter().rev().copied().collect(),
        Op::Shuffle => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_operation_is_right() {
        for (name, op) in Op::ALL {
            assert_eq!(name.parse(), Ok(op));
            let measured = measure(op, 300, Provider::Helper, Net::LAN, || std::time::Duration::ZERO).unwrap();
            assert!(measured.correct, "{name}");
        }
        assert!("sort of".parse::<Op>().is_err());
    }
}
