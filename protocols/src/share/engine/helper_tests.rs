//! Helpers that cheat, audits, and what parties hear and hold.

use super::testing::run;
use super::*;
use crate::bits::Bits;
use crate::catalogue::Cost;
use crate::error::Fault;
use crate::share::arithmetic::{HeldMatrix, and, matmul, mul, mul_checked, permute, shuffle, square, truncate};
use crate::share::correlation::{BitProducts, BitTriples, Edabits, MatrixTriple, Permuted, Squares, Triples};
use crate::share::measure::seats;
use crate::share::{Matrix, Shares};
use crate::sim::World;

/// Deals what `C` is, wrong in its last word.
struct Spoiled<C>(C);

impl<C: Correlation> Correlation for Spoiled<C> {
    type Shape = C::Shape;
    type Word = C::Word;

    fn draw(shape: &C::Shape, seat: Seat, prg: &mut Prg) -> Self {
        Self(C::draw(shape, seat, prg))
    }

    fn correction(shape: &C::Shape, first: &Self, second: &Self) -> Vec<C::Word> {
        let mut correction = C::correction(shape, &first.0, &second.0);
        let last = correction.len() - 1;
        correction[last] = correction[last].plus(C::Word::ONE.shl(C::Word::BITS / 2 - 1));
        correction
    }

    fn correction_len(shape: &C::Shape) -> usize {
        C::correction_len(shape)
    }

    fn corrected(self, _: &C::Shape, _: Vec<C::Word>) -> Self {
        self
    }

    fn absent(shape: &C::Shape) -> Self {
        Self(C::absent(shape))
    }

    async fn transfer(_: &mut Pair, _: &Session, _: &C::Shape) -> Result<Self> {
        Err(Error::Bug(Bug("a helper has no transfers")))
    }

    fn transfer_cost(_: &C::Shape, _: Seat) -> Cost {
        Cost::default()
    }
}

/// What each seat's program ends with; the helper's name and step in a deviation are left to the caller.
fn outcomes<T>(seed: u64, program: impl AsyncFn(&mut Engine) -> Result<T>) -> Vec<Result<(T, Option<Evidence>)>> {
    let (seats, roster) = seats(Provider::Helper);
    let run = World::new("share", seed).run(&roster, |s, _| {
        let (seats, program) = (&seats, &program);
        async move {
            let mut engine = Engine::set_up(&s, seats).await?;
            let value = program(&mut engine).await?;
            Ok((value, engine.finish().await?))
        }
    });
    run.outcomes.into_iter().map(|(_, outcome)| outcome).collect()
}

fn blames_the_helper<T>(outcome: &Result<T>) -> bool {
    match outcome {
        Err(Error::Deviation { party, fault: Fault::Check { check }, .. }) => {
            party.as_str() == "helper" && *check == "correlated randomness"
        }
        _ => false,
    }
}

/// Whether a spot check names a helper that deals one copy of three wrong: how often of `runs`.
fn found<C: Correlation>(shape: &C::Shape, wrong: impl Fn(u32) -> bool, runs: u64) -> u64 {
    let found = |seed: &u64| {
        let ends = outcomes(*seed, async |e| {
            e.spot_check(3);
            if e.seat() != Seat::Helper {
                return e.deal::<C>(shape.clone()).await.map(drop);
            }
            for copy in 0..3 {
                if wrong(copy) {
                    e.deal_one::<Spoiled<C>>(shape.clone(), true).await?;
                } else {
                    e.deal_one::<C>(shape.clone(), true).await?;
                }
            }
            Ok(())
        });
        let blamed = ends[..2].iter().filter(|end| blames_the_helper(end)).count();
        assert!(blamed > 0 || ends.iter().all(Result::is_ok), "{ends:?}");
        blamed > 0
    };
    (0..runs).filter(found).count() as u64
}

#[test]
fn a_spot_check_finds_wrong_copies_of_everything() {
    fn all_wrong<C: Correlation>(shape: C::Shape) {
        assert_eq!(found::<C>(&shape, |_| true, 2), 2, "{}", std::any::type_name::<C>());
        assert_eq!(found::<C>(&shape, |_| false, 2), 0, "{}", std::any::type_name::<C>());
    }
    use crate::share::correlation::{MatrixShape, PermutedShape};
    all_wrong::<Triples<u64>>(33);
    all_wrong::<Triples<u128>>(1);
    all_wrong::<BitTriples>(2);
    all_wrong::<BitProducts<u64>>(33);
    all_wrong::<Edabits<u64>>(33);
    all_wrong::<Squares<u64>>(33);
    all_wrong::<MatrixTriple<u64>>(MatrixShape { rows: 2, inner: 3, columns: 4 });
    all_wrong::<Permuted<u64>>(PermutedShape { owner: Seat::First, rows: 9, columns: 2 });
    all_wrong::<Permuted<u64>>(PermutedShape { owner: Seat::Second, rows: 9, columns: 2 });
}

#[test]
fn one_wrong_copy_of_three_is_found_two_times_of_three() {
    let found = found::<Triples<u64>>(&5, |copy| copy == 1, 60);
    // 40 expected, with a deviation of 3.7
    assert!((25..=55).contains(&found), "{found} of 60");
}

#[test]
fn honest_helpers_pass_and_results_are_right() {
    let (x, y) = (Prg::new(1).elements::<u64>(40), Prg::new(2).elements::<u64>(40));
    let opened = run(Provider::Helper, async |e| {
        e.spot_check(2);
        let a = e.input(Seat::First, 40, (e.seat() == Seat::First).then(|| x.clone()));
        let b = e.input(Seat::Second, 40, (e.seat() == Seat::Second).then(|| y.clone()));
        let held = HeldMatrix::hold(e, Seat::First, 1, 40, (e.seat() == Seat::First).then(|| x.clone())).await?;
        let sum = held.times(e, &Matrix::new(40, 1, b.clone())).await?;
        let product = mul(e, &a, &b).await?;
        let product = permute(e, Seat::Second, Some(Arc::new((0..40).collect())), &Matrix::new(40, 1, product)).await?;
        e.open(&Shares::concat(&[&product.entries, &sum.entries])).await
    });
    let products = x.iter().zip(&y).map(|(x, y)| x.wrapping_mul(*y));
    let expected: Vec<u64> = products.clone().chain([products.fold(0, u64::wrapping_add)]).collect();
    assert!(opened[..2].iter().all(|opened| *opened == expected));
}

#[test]
fn copies_of_a_held_mask_are_never_opened() {
    let cost = |copies| {
        let program = async |e: &mut Engine| {
            e.spot_check(copies);
            let held = HeldMatrix::<u64>::hold(e, Seat::First, 1, 4, None).await?;
            let right = e.input(Seat::Second, 4, None);
            held.times(e, &Matrix::new(4, 1, right)).await
        };
        Engine::rehearse(Provider::Helper, program).unwrap().1
    };
    assert_eq!(cost(8), cost(1));
}

#[test]
fn nobody_has_two_seats() {
    let party = |name: &str| PartyId::new(name).unwrap();
    let seats =
        |first, second, helper: &str| Seats { first: party(first), second: party(second), helper: Some(party(helper)) };
    assert_eq!(seats("a", "b", "c").of(&party("b")).ok(), Some(Seat::Second));
    for (first, second, helper) in [("a", "b", "a"), ("a", "b", "b"), ("a", "a", "b")] {
        assert!(seats(first, second, helper).of(&party("b")).is_err(), "{first} {second} {helper}");
    }
}

#[test]
fn a_wrong_triple_does_not_survive_a_sacrifice() {
    let program = |spoil: bool| {
        async move |e: &mut Engine| {
            if e.seat() == Seat::Helper && spoil {
                e.deal::<Spoiled<Triples<u128>>>(2 * 20).await?;
                return Ok(Vec::new());
            }
            let x = e.input(Seat::First, 20, (e.seat() == Seat::First).then(|| (0..20).collect()));
            let y = e.input(Seat::Second, 20, (e.seat() == Seat::Second).then(|| vec![3; 20]));
            let product = mul_checked(e, &x, &y).await?;
            e.open(&product).await
        }
    };
    assert!(outcomes(1, program(true))[..2].iter().any(blames_the_helper));
    let opened = run(Provider::Helper, program(false));
    assert_eq!(opened[0], (0..20).map(|n| 3 * n).collect::<Vec<u64>>());
    let opened = run(Provider::Transfers, program(false));
    assert_eq!(opened[1], (0..20).map(|n| 3 * n).collect::<Vec<u64>>());
}

#[test]
fn an_audit_replays_an_honest_helper_and_not_another() {
    let program = |spoil: bool| {
        async move |e: &mut Engine| {
            let x = e.input(Seat::First, 9, (e.seat() == Seat::First).then(|| vec![7u64; 9]));
            let x = square(e, &x).await?;
            let number = e.agree(9, e.computes().then_some(4)).await? as usize;
            if spoil && e.seat() == Seat::Helper {
                e.deal::<Spoiled<Triples<u64>>>(number).await?;
            } else {
                mul(e, &x.slice(0..number), &x.slice(0..number)).await?;
            }
            Ok((e.seeds().map(|seeds| *seeds), e.place.session()))
        }
    };
    for spoil in [false, true] {
        let ends: Vec<_> = outcomes(3, program(spoil)).into_iter().collect::<Result<_>>().unwrap();
        let [(_, Some(first)), (_, Some(second)), ((Some(seeds), session), None)] = &ends[..] else {
            panic!("evidence")
        };
        assert_eq!(second.agreed, [4]);
        let session = session.unwrap();
        let replayed = Engine::replay(session, *seeds, second.agreed.clone(), program(false)).unwrap();
        assert_eq!(replayed[0], *first);
        assert_eq!(replayed[1] == *second, !spoil);
        let others = Engine::replay(session, [seeds[0], seeds[1] ^ 1], second.agreed.clone(), program(false)).unwrap();
        assert!(others[0] == *first && others[1].seed != second.seed);
        assert!(Engine::replay(session, *seeds, Vec::new(), program(false)).is_err());
    }
}

#[test]
fn a_number_that_the_second_party_agrees_alone_has_its_bound() {
    let most = |seat| if seat == Seat::Helper { 8 } else { 9 };
    let ends = outcomes(1, async |e| e.agree(most(e.seat()), e.computes().then_some(9)).await);
    assert!(matches!(&ends[2], Err(Error::Deviation { party, .. }) if party.as_str() == "second"));
    let ends = outcomes(1, async |e| e.agree(8, e.computes().then_some(9)).await);
    assert!(ends[..2].iter().all(|end| matches!(end, Err(Error::Bug(_)))), "a party knows the bound too");
}

/// Every byte that a party hears in a program that opens nothing, and every byte that it holds at the end, is uniform, whatever
/// the data.
#[test]
fn what_a_party_hears_and_holds_tells_nothing_about_data() {
    const N: usize = 4000;
    for provider in super::testing::PROVIDERS {
        let n = if provider == Provider::Helper { N } else { N / 8 };
        for data in [0, u64::MAX, 1 << 61] {
            let values = run(provider, async |e| {
                let ours = |seat: Seat| (e.seat() == seat).then(|| vec![data; n]);
                let x = e.input(Seat::First, n, ours(Seat::First));
                let y = e.input(Seat::Second, n, ours(Seat::Second));
                let bits =
                    |seat: Seat| (e.seat() == seat).then(|| Bits::from_blocks(vec![u128::MAX; n.div_ceil(128)], n));
                let (p, q) = (
                    e.input_bits(Seat::First, n, bits(Seat::First)),
                    e.input_bits(Seat::Second, n, bits(Seat::Second)),
                );
                let product = mul(e, &x, &y).await?;
                let squares = square(e, &x).await?;
                let both = and(e, &p, &q).await?;
                let cut = truncate(e, &squares, 1).await?;
                let table = shuffle(e, &Matrix::new(n / 2, 2, product.clone())).await?;
                let matrix = matmul(e, &Matrix::new(n / 4, 4, x.clone()), &Matrix::new(4, 4, y.slice(0..16))).await?;
                let held =
                    HeldMatrix::hold(e, Seat::First, n / 4, 4, e.computes().then(|| x.values().to_vec())).await?;
                let right = held.times(e, &Matrix::new(4, 1, y.slice(0..4))).await?;
                let held = Shares::concat(&[&product, &squares, &table.entries, &matrix.entries, &right.entries]);
                Ok((e.heard.clone(), held, both, cut))
            });
            for (seat, (heard, held, both, cut)) in values.into_iter().take(2).enumerate() {
                // Of 64-bit numbers the upper half of a block is empty.
                let heard: Vec<u8> = heard.iter().flat_map(|block| block.to_le_bytes()[..8].to_vec()).collect();
                uniform(&heard, &format!("heard by {seat} of {data}, {provider:?}"));
                let held: Vec<u8> = held.values().iter().flat_map(|share| share.to_le_bytes()).collect();
                uniform(&held, &format!("held by {seat} of {data}, {provider:?}"));
                let low: Vec<u8> = cut.values().iter().flat_map(|share| share.to_le_bytes()[..7].to_vec()).collect();
                uniform(&low, &format!("cut at {seat} of {data}, {provider:?}"));
                let ones = both.bits().iter().map(u32::from).sum::<u32>() as f64;
                assert!((ones - n as f64 / 2.0).abs() < 5.0 * (n as f64).sqrt() / 2.0, "{ones} of {n}");
            }
        }
    }
}

/// Pearson's test of 256 values: the statistic has a mean of 255 and a deviation of 22.6.
fn uniform(bytes: &[u8], what: &str) {
    let mut counts = [0f64; 256];
    bytes.iter().for_each(|byte| counts[usize::from(*byte)] += 1.0);
    let expected = bytes.len() as f64 / 256.0;
    let statistic: f64 = counts.iter().map(|count| (count - expected).powi(2) / expected).sum();
    assert!(expected > 5.0 && (statistic - 255.0).abs() < 6.0 * 22.6, "{what}: {statistic} of {} bytes", bytes.len());
}
