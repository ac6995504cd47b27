//! The field against slow plain arithmetic, at the limits of every bound.

use chacha20::ChaCha20Rng;
use rand_core::Rng;

use super::super::tests::{LIMB, Plain, seeded};
use super::field::{Fe, Wide};
use super::lanes::{LANES, array, load, store, vector};
use super::root::{SQRT_M1, invert, invert_each, is_square, sqrt_ratio};

/// What every limb of an [`Fe`] is below.
const FE_BOUND: u64 = (1 << 51) + (1 << 17);
/// What every limb of a product is below.
const PRODUCT_BOUND: u64 = 1 << 59;

/// Limbs of eight elements: `[limb][lane]`.
type Limbs = [[u64; LANES]; 5];

fn lane(limbs: &Limbs, lane: usize) -> [u64; 5] {
    limbs.map(|limb| limb[lane])
}

#[target_feature(enable = "avx512f,avx512dq,avx512vl,avx512ifma")]
fn fe(limbs: &Limbs) -> Fe {
    assert!(limbs.iter().flatten().all(|limb| *limb < FE_BOUND));
    Fe([vector(&limbs[0]), vector(&limbs[1]), vector(&limbs[2]), vector(&limbs[3]), vector(&limbs[4])])
}

/// The values, where every limb keeps the bound.
#[target_feature(enable = "avx512f,avx512dq,avx512vl,avx512ifma")]
fn values(vectors: &[std::arch::x86_64::__m512i; 5], bound: u64) -> [Plain; LANES] {
    let [l0, l1, l2, l3, l4] = *vectors;
    let limbs = [array(l0), array(l1), array(l2), array(l3), array(l4)];
    assert!(limbs.iter().flatten().all(|limb| *limb < bound), "{limbs:x?} not below {bound:x}");
    std::array::from_fn(|n| Plain::of(lane(&limbs, n)))
}

/// Lanes of 0, 1, p - 1, p, p + 1, 2^255 - 1, all limbs at the bound, and a value of limbs that are each extreme or random.
fn nasty(rng: &mut ChaCha20Rng) -> Limbs {
    let mut lanes = [
        [0; 5],
        [1, 0, 0, 0, 0],
        [LIMB - 19, LIMB, LIMB, LIMB, LIMB],
        [LIMB - 18, LIMB, LIMB, LIMB, LIMB],
        [LIMB - 17, LIMB, LIMB, LIMB, LIMB],
        [LIMB; 5],
        [FE_BOUND - 1; 5],
        [0; 5].map(|_: u64| match rng.next_u32() % 6 {
            0 => 0,
            1 => LIMB,
            2 => LIMB + 1,
            3 => FE_BOUND - 1,
            _ => rng.next_u64() % FE_BOUND,
        }),
    ];
    for n in (1..LANES).rev() {
        lanes.swap(n, rng.next_u32() as usize % (n + 1));
    }
    std::array::from_fn(|limb| lanes.map(|lane| lane[limb]))
}

fn random(rng: &mut ChaCha20Rng) -> Limbs {
    [[0; LANES]; 5].map(|lanes| lanes.map(|_: u64| rng.next_u64() % FE_BOUND))
}

/// A mask as one answer per lane.
fn lanes_of(mask: u8) -> [bool; LANES] {
    std::array::from_fn(|n| mask >> n & 1 == 1)
}

/// Runs `check` where the processor allows.
macro_rules! on_ifma {
    ($check:ident) => {
        if $crate::kernels::field25519::tests::ifma_engine().is_some() {
            #[allow(unsafe_code)]
            // SAFETY: the features were detected.
            unsafe {
                $check()
            }
        }
    };
}
pub(in crate::kernels) use on_ifma;

#[test]
fn arithmetic_is_that_of_the_field_and_keeps_its_bounds() {
    on_ifma!(check_arithmetic)
}

#[target_feature(enable = "avx512f,avx512dq,avx512vl,avx512ifma")]
fn check_arithmetic() {
    let mut rng = seeded();
    for round in 0..200 {
        let (x, y) =
            if round % 2 == 0 { (nasty(&mut rng), nasty(&mut rng)) } else { (nasty(&mut rng), random(&mut rng)) };
        let (a, b) = (fe(&x), fe(&y));
        let (pa, pb) = (values(&a.0, FE_BOUND), values(&b.0, FE_BOUND));
        let each = |f: fn(Plain, Plain) -> Plain| -> [Plain; LANES] { std::array::from_fn(|n| f(pa[n], pb[n])) };

        let product = each(Plain::mul);
        let square = each(|x, _| x.mul(x));
        assert_eq!(values(&a.mul_wide(&b).0, PRODUCT_BOUND), product);
        assert_eq!(values(&a.mul(&b).0, FE_BOUND), product);
        assert_eq!(values(&a.square_wide().0, PRODUCT_BOUND), square);
        assert_eq!(values(&a.square().0, FE_BOUND), square);
        assert_eq!(values(&a.add(&b).0, FE_BOUND), each(Plain::add));
        assert_eq!(values(&a.sub(&b).0, FE_BOUND), each(|x, y| x.add(y.neg())));
        assert_eq!(values(&a.neg().0, FE_BOUND), each(|x, _| x.neg()));
        assert_eq!(values(&a.abs().0, FE_BOUND), each(|x, _| if x.is_odd() { x.neg() } else { x }));
        assert_eq!(values(&a.canonical(), 1 << 51), pa);
        for number in [0, 1, 19, 121_666, (1 << 46) - 1] {
            let multiple = pa.map(|x| x.mul(Plain::small(number)));
            assert_eq!(values(&a.times(number).0, 1 << 53), multiple);
        }

        let three = a.mul_wide(&b).add(&a.mul_wide(&b)).add(&a.mul_wide(&b));
        let difference = a.square_wide().sub(&three).carry();
        assert_eq!(values(&difference.0, FE_BOUND), each(|x, y| x.mul(x.add(y.add(y).add(y).neg()))));
    }
}

#[test]
fn comparisons_and_choices_are_lane_by_lane() {
    on_ifma!(check_comparisons)
}

#[target_feature(enable = "avx512f,avx512dq,avx512vl,avx512ifma")]
fn check_comparisons() {
    let mut rng = seeded();
    for _ in 0..200 {
        let (x, y) = (nasty(&mut rng), nasty(&mut rng));
        let (a, b) = (fe(&x), fe(&y));
        let (pa, pb) = (values(&a.0, FE_BOUND), values(&b.0, FE_BOUND));
        assert_eq!(lanes_of(a.is_zero()), pa.map(|x| x == Plain::small(0)));
        assert_eq!(lanes_of(a.is_negative()), pa.map(Plain::is_odd));
        assert_eq!(lanes_of(a.equals(&b)), std::array::from_fn(|n| pa[n] == pb[n]));

        let limbs_are = |n| {
            let limbs = lane(&x, n);
            let below_p = limbs[0] < LIMB - 18 || limbs[1..].iter().any(|limb| *limb < LIMB);
            limbs.iter().all(|limb| *limb <= LIMB) && below_p
        };
        assert_eq!(lanes_of(a.is_canonical()), std::array::from_fn(limbs_are));

        let mask = rng.next_u32() as u8;
        let chosen = values(&a.select(mask, &b).0, FE_BOUND);
        let expected = std::array::from_fn(|n| if lanes_of(mask)[n] { pb[n] } else { pa[n] });
        assert_eq!(chosen, expected);
    }
}

#[test]
fn the_widest_limbs_are_carried() {
    on_ifma!(check_carry)
}

#[target_feature(enable = "avx512f,avx512dq,avx512vl,avx512ifma")]
fn check_carry() {
    let mut rng = seeded();
    const TOP: u64 = 1 << 63;
    for _ in 0..50 {
        let limbs: Limbs = [[0; LANES]; 5].map(|lanes| {
            lanes.map(|_: u64| if rng.next_u32().is_multiple_of(2) { TOP - 1 } else { rng.next_u64() % TOP })
        });
        let [l0, l1, l2, l3, l4] = &limbs;
        let wide = Wide([vector(l0), vector(l1), vector(l2), vector(l3), vector(l4)]);
        assert_eq!(values(&wide.carry().0, FE_BOUND), values(&wide.0, TOP));
    }
}

#[test]
fn bytes_are_loaded_and_stored() {
    on_ifma!(check_bytes)
}

#[target_feature(enable = "avx512f,avx512dq,avx512vl,avx512ifma")]
fn check_bytes() {
    let mut rng = seeded();
    let bytes_of = |plain: Plain| plain.0.map(u64::to_le_bytes).concat();
    for _ in 0..50 {
        let mut items = [[0; 32]; LANES];
        items.iter_mut().for_each(|item| rng.fill_bytes(item));
        items[3] = [0xff; 32];
        let (element, top_bits) = load(&items);
        assert_eq!(lanes_of(top_bits), items.map(|item| item[31] >> 7 == 1));
        let plain = items.map(|item| {
            let words: [u64; 4] =
                std::array::from_fn(|n| u64::from_le_bytes(item[8 * n..8 * n + 8].try_into().unwrap()));
            Plain([words[0], words[1], words[2], words[3] & u64::MAX >> 1]).add(Plain::small(0)) // reduced
        });
        assert_eq!(values(&element.0, FE_BOUND), plain);

        // What is stored is fully reduced, whatever the limbs; fewer items than lanes take the first ones.
        let limbs = nasty(&mut rng);
        let mut stored = [[0; 32]; LANES];
        store(&fe(&limbs), &mut stored);
        for (n, item) in stored.iter().enumerate() {
            assert_eq!(item[..], bytes_of(Plain::of(lane(&limbs, n))));
        }
        let mut first = [[0; 32]; 5];
        store(&fe(&limbs), &mut first);
        assert_eq!(first, stored[..5]);
    }
}

#[test]
fn roots_and_inverses_solve_their_equations() {
    on_ifma!(check_roots)
}

#[target_feature(enable = "avx512f,avx512dq,avx512vl,avx512ifma")]
fn check_roots() {
    let mut rng = seeded();
    let i = Plain::of(SQRT_M1);
    let mut squares = 0;
    for round in 0..8 {
        let pair =
            |rng: &mut ChaCha20Rng| if round % 2 == 0 { [nasty(rng), nasty(rng)] } else { [random(rng), random(rng)] };
        let (u, v) = (pair(&mut rng), pair(&mut rng));
        let answers = sqrt_ratio(&[fe(&u[0]), fe(&u[1])], &[fe(&v[0]), fe(&v[1])]);
        for (n, (was_square, root)) in answers.iter().enumerate() {
            for (at, root) in values(&root.0, FE_BOUND).into_iter().enumerate() {
                let (u, v) = (Plain::of(lane(&u[n], at)), Plain::of(lane(&v[n], at)));
                let zero = Plain::small(0);
                let square = lanes_of(*was_square)[at];
                assert!(!root.is_odd());
                if u == zero || v == zero {
                    assert_eq!((square, root), (u == zero, zero));
                } else {
                    assert_eq!(v.mul(root).mul(root), if square { u } else { u.mul(i) });
                    squares += u32::from(square);
                }
            }
        }

        let x = fe(&u[0]);
        let expected = values(&x.0, FE_BOUND).map(|x| Plain::small(u64::from(x != Plain::small(0))));
        assert_eq!(values(&x.mul(&invert(&x)).0, FE_BOUND), expected);

        // Zeros in any lane of any vector, and all inverted together.
        let all = [x, fe(&u[1]), Fe::small(0), fe(&v[0])];
        let mut inverses = all;
        invert_each(&mut inverses);
        for (x, inverse) in all.iter().zip(&inverses) {
            assert_eq!(values(&inverse.0, FE_BOUND), values(&invert(x).0, FE_BOUND));
        }

        let one = Fe::small(1);
        let asked = [fe(&u[0]), fe(&v[1])];
        let roots = sqrt_ratio(&asked, &[one, one]);
        for ((x, square), (was_square, _)) in asked.iter().zip(is_square(&asked)).zip(roots) {
            assert_eq!(square, was_square & !x.is_zero());
        }
    }
    assert!((20..108).contains(&squares), "{squares} squares among 128 ratios");
}
