//! The field and its constants against slow plain arithmetic, at the limits of every bound. Points and encodings are
//! tested with the engine as a whole.

use chacha20::ChaCha20Rng;
use rand_core::Rng;

use super::super::tests::{ifma_engine, seeded};
use super::constants::*;
use super::field::{Fe, Wide};
use super::lanes::{array, load, store, vector};
use super::point::Extended;
use super::root::{invert, sqrt_ratio};
use super::*;

const LIMB: u64 = (1 << 51) - 1;
/// What every limb of an [`Fe`] is below.
const FE_BOUND: u64 = (1 << 51) + (1 << 17);
/// What every limb of a product is below.
const PRODUCT_BOUND: u64 = 1 << 59;

/// Limbs of eight elements: `[limb][lane]`.
type Limbs = [[u64; LANES]; 5];

/// An integer below p = 2^255 - 19, as slow and plain as can be: words from the lowest, sums, and doublings.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Plain([u64; 4]);

impl Plain {
    const P: [u64; 4] = [u64::MAX - 18, u64::MAX, u64::MAX, u64::MAX >> 1];

    fn small(value: u64) -> Self {
        Self([value, 0, 0, 0])
    }

    /// The limbs need not be reduced.
    fn of(limbs: [u64; 5]) -> Self {
        limbs.iter().rev().fold(Self::small(0), |sum, limb| (0..51).fold(sum, |x, _| x.add(x)).add(Self::small(*limb)))
    }

    fn add(self, other: Self) -> Self {
        let mut carry = 0;
        let sum = std::array::from_fn(|n| {
            let word = u128::from(self.0[n]) + u128::from(other.0[n]) + carry;
            carry = word >> 64;
            word as u64
        });
        Self(if sum.iter().rev().ge(Self::P.iter().rev()) { minus(sum, Self::P) } else { sum })
    }

    fn neg(self) -> Self {
        if self == Self::small(0) { self } else { Self(minus(Self::P, self.0)) }
    }

    fn mul(self, other: Self) -> Self {
        let bits = (0..255).rev().map(|n| other.0[n / 64] >> (n % 64) & 1 == 1);
        bits.fold(Self::small(0), |sum, bit| if bit { sum.add(sum).add(self) } else { sum.add(sum) })
    }

    fn is_odd(self) -> bool {
        self.0[0] & 1 == 1
    }
}

fn minus(x: [u64; 4], y: [u64; 4]) -> [u64; 4] {
    let mut borrow = false;
    std::array::from_fn(|n| {
        let (word, under) = x[n].overflowing_sub(y[n]);
        let (word, under_too) = word.overflowing_sub(u64::from(borrow));
        borrow = under || under_too;
        word
    })
}

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
        if ifma_engine().is_some() {
            #[allow(unsafe_code)]
            // SAFETY: the features were detected.
            unsafe {
                $check()
            }
        }
    };
}

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
    }
    assert!((20..108).contains(&squares), "{squares} squares among 128 ratios");
}

#[test]
fn points_of_small_order_encode_as_the_identity_beside_others() {
    on_ifma!(check_small_order)
}

/// The points of order 1, 2 and 4 are all the identity of the quotient group; their doubles have no inverse to encode by.
#[target_feature(enable = "avx512f,avx512dq,avx512vl,avx512ifma")]
fn check_small_order() {
    let mut rng = seeded();
    let mut uniform = [[0; 64]; LANES];
    uniform.iter_mut().for_each(|bytes| rng.fill_bytes(bytes));
    let ordinary = derive(&uniform);
    let mut alone = [[0; 32]; LANES];
    encode_doubles(&[ordinary], &mut alone);
    assert!(!alone.contains(&[0; 32]));

    let (zero, one, i) = (Fe::small(0), Fe::small(1), Fe::splat(&SQRT_M1));
    for (x, y) in [(zero, one), (zero, one.neg()), (i, zero), (i.neg(), zero)] {
        let small = Extended { x, y, z: one, t: zero };
        let mut together = [[0xff; 32]; 3 * LANES];
        encode_doubles(&[ordinary, small, ordinary], &mut together);
        assert_eq!(together, [alone, [[0; 32]; LANES], alone].concat()[..]);
    }
}

#[test]
fn constants_satisfy_their_equations() {
    let [d, d2, i, one_minus_d_sq, d_minus_one_sq, sqrt_ad_minus_one, invsqrt_a_minus_d] =
        [D, D2, SQRT_M1, ONE_MINUS_D_SQ, D_MINUS_ONE_SQ, SQRT_AD_MINUS_ONE, INVSQRT_A_MINUS_D].map(Plain::of);
    let one = Plain::small(1);
    let minus_one = one.neg();
    assert_eq!(d.mul(Plain::small(121_666)), Plain::small(121_665).neg());
    assert_eq!(d2, d.add(d));
    assert_eq!(i.mul(i), minus_one);
    assert!(!i.is_odd());
    assert_eq!(one_minus_d_sq, one.add(d.mul(d).neg()));
    assert_eq!(d_minus_one_sq, d.add(minus_one).mul(d.add(minus_one)));
    assert_eq!(sqrt_ad_minus_one.mul(sqrt_ad_minus_one), d.neg().add(minus_one));
    assert_eq!(invsqrt_a_minus_d.mul(invsqrt_a_minus_d).mul(minus_one.add(d.neg())), one);
}

#[test]
fn digits_are_small_and_sum_to_the_scalar() {
    let mut rng = seeded();
    let mut scalars = vec![Scalar::ZERO, Scalar::ONE, -Scalar::ONE, Scalar::from(0x8888_8888_8888_8888u64)];
    scalars.extend((0..50).map(|_| Scalar::random(&mut rng)));
    for scalar in scalars {
        let digits = digits(&scalar);
        assert!(digits.iter().all(|digit| (-8..8).contains(digit)));
        let sum = digits.iter().rev().fold(Scalar::ZERO, |sum, digit| {
            let size = Scalar::from(digit.unsigned_abs());
            sum * Scalar::from(16u8) + if *digit < 0 { -size } else { size }
        });
        assert_eq!(sum, scalar);
    }
}
