use std::sync::Arc;

use super::*;
use crate::ring::{Prg, Ring, matmul as plain_matmul, transposed};
use crate::share::engine::testing::{PROVIDERS, run};
use crate::share::{Engine, Matrix, Provider, Seat, Shares};

const SIZES: [usize; 4] = [0, 1, 33, 1000];

/// Shares of numbers that no party knows: a mask at the first, the difference at the second.
fn shared<R: Ring>(e: &Engine, values: &[R], seed: u128) -> Shares<R> {
    let mask: Vec<R> = Prg::new(seed ^ 0xabc).elements(values.len());
    match e.seat() {
        Seat::First => Shares::new(mask),
        Seat::Second => Shares::new(values.iter().zip(mask).map(|(v, m)| v.minus(m)).collect()),
        Seat::Helper => Shares::absent(values.len()),
    }
}

fn elements<R: Ring>(seed: u128, count: usize) -> Vec<R> {
    Prg::new(seed).elements(count)
}

fn products<R: Ring>(len: usize, provider: Provider) {
    let (x, y) = (elements::<R>(1, len), elements::<R>(2, len));
    let opened = run(provider, async |e| {
        let (a, b) = (shared(e, &x, 3), shared(e, &y, 4));
        let product = mul(e, &a, &b).await?;
        let squares = square(e, &a).await?;
        let sum = dot(e, &a, &b).await?;
        e.open(&Shares::concat(&[&product, &squares, &sum])).await
    });
    let products = x.iter().zip(&y).map(|(x, y)| x.times(*y));
    let sum = products.clone().fold(R::ZERO, R::plus);
    let expected: Vec<R> = products.chain(x.iter().map(|x| x.times(*x))).chain([sum]).collect();
    assert!(opened[..2].iter().all(|opened| *opened == expected), "{len} {provider:?}");
}

#[test]
fn products_squares_and_sums() {
    for len in SIZES {
        products::<u64>(len, Provider::Helper);
        products::<u128>(len, Provider::Helper);
    }
    for len in [0, 1, 33] {
        products::<u64>(len, Provider::Transfers);
        products::<u128>(len, Provider::Transfers);
    }
}

#[test]
fn what_is_cut_is_wrong_by_one_at_most_whatever_the_shares() {
    fn check<R: Ring>(provider: Provider, by: u32) {
        let bound = 1i128 << (R::BITS - 2);
        let edges = [0, 1, -1, (1 << by) - 1, 1 << by, -(1 << by), bound - 1, -bound, bound / 2, 12345];
        let random = elements::<R>(7, 300).into_iter().map(|value| value.sar(2).to_i128());
        let values: Vec<i128> = edges.into_iter().cycle().take(300).chain(random).collect();
        // masks: random, and those next to where shares wrap
        let corners = [R::ZERO, R::ZERO.minus(R::ONE), R::ONE.shl(R::BITS - 1), R::ONE.shl(R::BITS - 2), R::ONE];
        let masks = corners.into_iter().flat_map(|m| [m; 10]).cycle().take(300).chain(elements(8, 300));
        let masks: Vec<R> = masks.collect();
        let opened = run(provider, async |e| {
            let x = match e.seat() {
                Seat::First => Shares::new(masks.clone()),
                Seat::Second => {
                    Shares::new(values.iter().zip(&masks).map(|(v, m)| R::from_i128(*v).minus(*m)).collect())
                }
                Seat::Helper => Shares::absent(values.len()),
            };
            let cut = truncate(e, &x, by).await?;
            e.open(&cut).await
        });
        for (value, cut) in values.iter().zip(&opened[0]) {
            let error = (cut.to_i128() << by) - value;
            assert!(error > -(1 << by) && error <= 1 << by, "{value} by {by}: {error}");
        }
    }
    for by in [1, 20, 61] {
        check::<u64>(Provider::Helper, by);
        check::<u128>(Provider::Helper, by);
    }
    check::<u64>(Provider::Transfers, 20);
}

#[test]
fn rounding_has_no_bias() {
    let values = vec![3u64 << 18 | 12345; 4000];
    let opened = run(Provider::Helper, async |e| {
        let x = shared(e, &values, 5);
        let cut = truncate(e, &x, 20).await?;
        e.open(&cut).await
    });
    let exact = (values[0] as f64) / f64::from(1 << 20);
    let mean = opened[0].iter().map(|cut| *cut as f64).sum::<f64>() / 4000.0;
    // the error is the sum of two uniform ones, with a deviation of 0.41: four times that of the mean
    assert!((mean - exact).abs() < 4.0 * 0.41 / 4000f64.sqrt(), "{mean} {exact}");
}

#[test]
fn products_of_fractions() {
    let fixed = crate::ring::Fixed { fraction: 20, whole: 10 };
    let (x, y) = ([1.5, -1.5, 0.0, 1000.25, -1000.25, 1e-6], [2.0, 2.0, 3.0, -1000.25, -1000.25, 0.5]);
    let opened = run(Provider::Helper, async |e| {
        let a = e.input(Seat::First, 6, Some(fixed.encode::<u64>(&x).unwrap()));
        let b = e.input(Seat::Second, 6, Some(fixed.encode::<u64>(&y).unwrap()));
        let product = mul_fixed(e, &a, &b, 20).await?;
        e.open(&product).await
    });
    for (n, product) in fixed.decode(&opened[1]).into_iter().enumerate() {
        let exact = x[n] * y[n];
        // half a step of each factor, and one of the product
        let bound = (x[n].abs() + y[n].abs() + 2.0) / f64::from(1 << 20);
        assert!((product - exact).abs() <= bound, "{exact} {product}");
    }
}

#[test]
fn products_of_shared_matrices() {
    for (rows, inner, columns) in [(0, 3, 2), (2, 0, 3), (1, 1, 1), (5, 7, 1), (3, 4, 5)] {
        for provider in PROVIDERS {
            let (x, y) = (elements::<u64>(1, rows * inner), elements::<u64>(2, inner * columns));
            let opened = run(provider, async |e| {
                let a = Matrix::new(rows, inner, shared(e, &x, 3));
                let b = Matrix::new(inner, columns, shared(e, &y, 4));
                let product = matmul(e, &a, &b).await?;
                e.open(&product.entries).await
            });
            assert_eq!(opened[1], plain_matmul(rows, inner, columns, &x, &y), "{rows} {inner} {columns}");
        }
    }
}

#[test]
fn a_held_matrix_is_masked_once() {
    let (rows, inner) = (40, 6);
    let (x, w, v) = (elements::<u64>(1, rows * inner), elements::<u64>(2, inner * 2), elements::<u64>(3, 20));
    for provider in PROVIDERS {
        for owner in [Seat::First, Seat::Second] {
            let program = async |e: &mut Engine| {
                let held = HeldMatrix::hold(e, owner, rows, inner, (e.seat() == owner).then(|| x.clone())).await?;
                let w = Matrix::new(inner, 2, shared(e, &w, 4));
                let v = Matrix::new(20, 1, shared(e, &v, 5));
                let before = e.spent();
                let product = held.times(e, &w).await?;
                let after = e.spent();
                let batch = held.slice(10..30).transposed().times(e, &v).await?;
                let said =
                    [after.first.bytes_out - before.first.bytes_out, after.second.bytes_out - before.second.bytes_out];
                Ok((e.open(&Shares::concat(&[&product.entries, &batch.entries])).await?, said))
            };
            let opened = run(provider, program);
            let batch = transposed(20, inner, &x[10 * inner..30 * inner]);
            let expected = [plain_matmul(rows, inner, 2, &x, &w), plain_matmul(inner, 20, 1, &batch, &v)].concat();
            assert!(opened[..2].iter().all(|(opened, _)| *opened == expected), "{owner:?} {provider:?}");
            if provider == Provider::Helper {
                let said = 4 + 8 * inner as u64 * 2;
                assert_eq!(opened[0].1, if owner == Seat::First { [0, said] } else { [said, 0] });
            }
        }
    }
}

#[test]
fn rows_in_a_partys_order_or_in_nobodys() {
    for (rows, columns) in [(0, 1), (1, 2), (33, 1), (1000, 3)] {
        let table = elements::<u64>(1, rows * columns);
        let order: Vec<u32> = (0..rows as u32).map(|row| (row * 7 + 3) % rows as u32).collect();
        for (owner, provider) in [Seat::First, Seat::Second].into_iter().flat_map(|owner| PROVIDERS.map(|p| (owner, p)))
        {
            let opened = run(provider, async |e| {
                let shared = Matrix::new(rows, columns, shared(e, &table, 2));
                let wanted = (e.seat() == owner).then(|| Arc::new(order.clone()));
                let ordered = permute(e, owner, wanted, &shared).await?;
                let shuffled = shuffle(e, &shared).await?;
                Ok((e.open(&ordered.entries).await?, e.open(&shuffled.entries).await?))
            });
            let row = |all: &[u64], n: usize| all[n * columns..(n + 1) * columns].to_vec();
            let expected: Vec<u64> = order.iter().flat_map(|n| row(&table, *n as usize)).collect();
            assert_eq!(opened[0].0, expected);
            assert_eq!(opened[0], opened[1]);
            let sorted = |all: &[u64]| {
                let mut rows: Vec<_> = (0..rows).map(|n| row(all, n)).collect();
                rows.sort_unstable();
                rows
            };
            assert_eq!(sorted(&opened[0].1), sorted(&table));
            assert!(rows < 33 || opened[0].1 != table, "an order of its own");
        }
    }
}

/// What a primitive costs at the first and the second party, at the helper, and how many rounds it takes.
fn costs(provider: Provider, program: impl AsyncFn(&mut Engine) -> crate::error::Result<()>) -> ([u64; 3], u32) {
    let (_, with) = Engine::rehearse(provider, async |e| program(e).await).unwrap();
    let (_, without) = Engine::rehearse(provider, async |_| Ok(())).unwrap();
    let bytes = [Seat::First, Seat::Second, Seat::Helper].map(|seat| with[seat].bytes_out - without[seat].bytes_out);
    (bytes, with.first.rounds - without.first.rounds)
}

#[test]
fn a_million_products_cost_what_the_table_says() {
    const N: usize = 1_000_000;
    let numbers = || Shares::<u64>::absent(N);
    // a header of four bytes for each message of 256 KiB
    let framed = |bytes: u64| bytes + 4 * bytes.div_ceil(1 << 18);
    let n = N as u64;

    let (bytes, rounds) = costs(Provider::Helper, async |e| mul(e, &numbers(), &numbers()).await.map(drop));
    assert_eq!((bytes, rounds), ([framed(16 * n), framed(16 * n), framed(8 * n)], 1));
    let (bytes, rounds) = costs(Provider::Helper, async |e| square(e, &numbers()).await.map(drop));
    assert_eq!((bytes, rounds), ([framed(8 * n), framed(8 * n), framed(8 * n)], 1));
    let (bytes, rounds) = costs(Provider::Helper, async |e| dot(e, &numbers(), &numbers()).await.map(drop));
    assert_eq!((bytes, rounds), ([framed(16 * n), framed(16 * n), framed(8)], 1));
    let (bytes, rounds) = costs(Provider::Helper, async |e| mul_fixed(e, &numbers(), &numbers(), 20).await.map(drop));
    let bits = framed(16 * n.div_ceil(128));
    assert_eq!((bytes, rounds), ([framed(16 * n) + bits, framed(16 * n) + bits, 2 * framed(8 * n)], 2));
    assert!(bytes[0] <= 24_000_000, "the goal");
    let (bytes, _) = costs(Provider::Transfers, async |e| mul(e, &numbers(), &numbers()).await.map(drop));
    assert!(bytes[..2].iter().all(|bytes| *bytes <= 1000 * n), "the goal without a helper: {bytes:?}");
}
