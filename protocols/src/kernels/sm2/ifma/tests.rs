//! The field and its constants against that of the crate `sm2`, at the limits of every bound. Points and encodings are tested
//! with the engine as a whole.

use std::arch::x86_64::__m512i;

use chacha20::ChaCha20Rng;
use rand_core::Rng;
use sm2::elliptic_curve::ff::Field;

use super::super::portable::Fe as Element;
use super::super::tests::{ifma_engine, seeded};
use super::constants::*;
use super::field::{Fe, Plain, Wide};
use super::lanes::{array, load, store, vector};
use super::root::{invert, invert_each, sqrt, sqrt_ratio};
use super::*;

const LIMB: i64 = (1 << 52) - 1;

/// Limbs of eight elements: `[limb][lane]`.
type Limbs = [[i64; LANES]; 5];

/// The limbs of n p, each below 2^52.
fn times_p(n: u64) -> [i64; 5] {
    let mut carry = 0;
    P.map(|limb| {
        let sum = u128::from(limb) * u128::from(n) + carry;
        carry = sum >> 52;
        sum as i64 & LIMB
    })
}

/// The value modulo p of limbs of any size and sign.
fn element(limbs: [i64; 5]) -> Element {
    let shift = Element::from(1u64 << 52);
    limbs.iter().rev().fold(Element::ZERO, |sum, limb| {
        let size = Element::from(limb.unsigned_abs());
        sum * shift + if *limb < 0 { -size } else { size }
    })
}

/// 2^260, by which Montgomery form multiplies.
fn montgomery() -> Element {
    (0..260).fold(Element::ONE, |power, _| power.double())
}

fn lane(limbs: &Limbs, lane: usize) -> [i64; 5] {
    limbs.map(|limb| limb[lane])
}

fn transposed(lanes: [[i64; 5]; LANES]) -> Limbs {
    std::array::from_fn(|limb| lanes.map(|lane| lane[limb]))
}

#[target_feature(enable = "avx512f,avx512dq,avx512vl,avx512ifma")]
fn vectors_of(limbs: &Limbs) -> [__m512i; 5] {
    let limbs = limbs.map(|limb| limb.map(|lane| lane as u64));
    [vector(&limbs[0]), vector(&limbs[1]), vector(&limbs[2]), vector(&limbs[3]), vector(&limbs[4])]
}

#[target_feature(enable = "avx512f,avx512dq,avx512vl,avx512ifma")]
fn limbs_of(vectors: &[__m512i; 5]) -> Limbs {
    let [l0, l1, l2, l3, l4] = *vectors;
    [array(l0), array(l1), array(l2), array(l3), array(l4)].map(|limb| limb.map(|lane| lane as i64))
}

/// The elements, in Montgomery form, where limbs are below 2^52 and the value is below `bound` p and 2^240 above.
#[target_feature(enable = "avx512f,avx512dq,avx512vl,avx512ifma")]
fn values(fe: &Fe, bound: u64) -> [Element; LANES] {
    let limbs = limbs_of(&fe.0);
    assert!(limbs.iter().flatten().all(|limb| (0..=LIMB).contains(limb)), "{limbs:x?}");
    let mut most = times_p(bound);
    most[4] += 1 << 32;
    std::array::from_fn(|n| {
        let limbs = lane(&limbs, n);
        assert!(limbs.iter().rev().lt(most.iter().rev()), "{limbs:x?} not below {bound} p");
        element(limbs)
    })
}

/// 0, 1, p - 1, p, p + 1, 3p, 4p - 1, and one of limbs that are each extreme or random; all below 4p, in any order.
fn nasty(rng: &mut ChaCha20Rng) -> Limbs {
    let beside = |n, step| {
        let mut limbs = times_p(n);
        limbs[0] += step; // the lowest limb of p and of 4p is not 0
        limbs
    };
    let wild: [i64; 5] = [LIMB, LIMB, LIMB, LIMB, 3 << 48].map(|most| match rng.next_u32() % 4 {
        0 => 0,
        1 => most,
        _ => (rng.next_u64() % (most as u64 + 1)) as i64,
    });
    let p_plus_1 = [0, P[1] as i64 + 1, P[2] as i64, P[3] as i64, P[4] as i64];
    let one = [1, 0, 0, 0, 0];
    let mut lanes = [[0; 5], one, beside(1, -1), times_p(1), p_plus_1, times_p(3), beside(4, -1), wild];
    for n in (1..LANES).rev() {
        lanes.swap(n, rng.next_u32() as usize % (n + 1));
    }
    transposed(lanes)
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
    let per_product = montgomery().invert().unwrap();
    for _ in 0..200 {
        let [a, b, c, d] = [(); 4].map(|()| Fe(vectors_of(&nasty(&mut rng))));
        let (pa, pb, pc, pd) = (values(&a, 4), values(&b, 4), values(&c, 4), values(&d, 4));
        let each = |f: &dyn Fn(usize) -> Element| -> [Element; LANES] { std::array::from_fn(f) };

        assert_eq!(values(&a.mul(&b), 2), each(&|n| pa[n] * pb[n] * per_product));
        assert_eq!(values(&a.square(), 2), each(&|n| pa[n] * pa[n] * per_product));
        assert_eq!(values(&a.add(&b), 2), each(&|n| pa[n] + pb[n]));
        assert_eq!(values(&a.sub(&b), 2), each(&|n| pa[n] - pb[n]));

        // The widest sums that points are made of, of either sign.
        let dd = d.square_product();
        let difference = a.product(&b).sub(&dd.add(&dd)).reduce().fold();
        assert_eq!(values(&difference, 2), each(&|n| (pa[n] * pb[n] - pd[n] * pd[n].double()) * per_product));
        let sum = a.product(&b).add(&c.product(&d)).reduce().carry();
        assert_eq!(values(&sum, 3), each(&|n| (pa[n] * pb[n] + pc[n] * pd[n]) * per_product));
        let threefold = a.mul_wide(&b).twice().add(&a.mul_wide(&b)).fold();
        assert_eq!(
            values(&threefold, 2),
            each(&|n| (pa[n] * pb[n]).double() * per_product + pa[n] * pb[n] * per_product)
        );

        let mask = rng.next_u32() as u8;
        let chosen = |yes: [Element; LANES]| each(&|n| if lanes_of(mask)[n] { yes[n] } else { pa[n] });
        assert_eq!(values(&a.select(mask, &b), 4), chosen(pb));
        assert_eq!(values(&a.negate_if(mask), 4), chosen(pa.map(|a| -a)));
        assert_eq!(lanes_of(a.equals(&b)), std::array::from_fn(|n| pa[n] == pb[n]));
    }
}

#[test]
fn the_widest_limbs_are_folded() {
    on_ifma!(check_fold)
}

#[target_feature(enable = "avx512f,avx512dq,avx512vl,avx512ifma")]
fn check_fold() {
    let mut rng = seeded();
    for _ in 0..200 {
        let lanes = [(); LANES].map(|()| {
            let mut limb = |bits: u32| match rng.next_u32() % 4 {
                0 => (1i64 << bits) - 1,
                1 => 1 - (1i64 << bits),
                _ => (rng.next_u64() as i64) >> (63 - bits),
            };
            [limb(60), limb(60), limb(60), limb(60), limb(56)]
        });
        let folded = Wide(vectors_of(&transposed(lanes))).fold();
        assert_eq!(values(&folded, 2), lanes.map(element));
    }
}

#[test]
fn bytes_are_loaded_and_stored() {
    on_ifma!(check_bytes)
}

#[target_feature(enable = "avx512f,avx512dq,avx512vl,avx512ifma")]
fn check_bytes() {
    let mut rng = seeded();
    let p: [u8; 32] = Plain(Fe::splat(&P).0).bytes();
    for round in 0..50 {
        let mut items = [[0; 32]; LANES];
        items.iter_mut().for_each(|item| rng.fill_bytes(item));
        if round % 2 == 0 {
            (items[0], items[2], items[3]) = ([0; 32], [0xff; 32], p);
            items[4] = p;
            items[4][31] -= 1;
        }
        let plain = load(&items);
        assert_eq!(store(&plain), items);
        let canonical = items.map(|item| Option::<Element>::from(Element::from_repr(item.into())).is_some());
        assert_eq!(lanes_of(plain.is_canonical()), canonical);
        assert_eq!(lanes_of(plain.is_zero()), items.map(|item| item == [0; 32]));
        assert_eq!(lanes_of(plain.is_odd()), items.map(|item| item[31] & 1 == 1));

        // Into the field and back: reduced, whatever the limbs.
        let expected = items.map(|item| super::super::reduce::<Element>(&item));
        let fe = plain.times(&INTO).reduce().carry();
        assert_eq!(values(&fe, 2), expected.map(|value| value * montgomery()));
        assert_eq!(store(&fe.plain()), expected.map(|value| <[u8; 32]>::from(value.to_repr())));
        let limbs = nasty(&mut rng);
        let plain = Fe(vectors_of(&limbs)).plain();
        let unscaled = montgomery().invert().unwrap();
        let expected: [[u8; 32]; LANES] =
            std::array::from_fn(|n| (element(lane(&limbs, n)) * unscaled).to_repr().into());
        assert_eq!(store(&plain), expected);
    }
}

impl Plain {
    /// The bytes of the first lane.
    #[target_feature(enable = "avx512f,avx512dq,avx512vl,avx512ifma")]
    fn bytes(&self) -> [u8; 32] {
        store(self)[0]
    }
}

#[test]
fn roots_and_inverses_solve_their_equations() {
    on_ifma!(check_roots)
}

#[target_feature(enable = "avx512f,avx512dq,avx512vl,avx512ifma")]
fn check_roots() {
    let mut rng = seeded();
    let scale = montgomery();
    let unscaled = scale.invert().unwrap();
    let elements = |fe: &Fe| values(fe, 4).map(|value| value * unscaled);
    let mut squares = 0;
    for _ in 0..8 {
        let [u0, u1, v0, v1] = [(); 4].map(|()| Fe(vectors_of(&nasty(&mut rng))));
        // Denominators are not 0.
        let one = Fe::one();
        let (v0, v1) = (v0.select(v0.plain().is_zero(), &one), v1.select(v1.plain().is_zero(), &one));
        for (n, (was_square, root)) in sqrt_ratio(&[u0, u1], &[v0, v1]).iter().enumerate() {
            let (u, v) = (elements(&[u0, u1][n]), elements(&[v0, v1][n]));
            for (at, root) in elements(root).into_iter().enumerate() {
                let square = lanes_of(*was_square)[at];
                let ratio = if square { u[at] } else { u[at] * -Element::from(9u64) };
                assert_eq!(root.square() * v[at], ratio);
                squares += u32::from(square);
            }
        }
        for (n, (was_square, root)) in sqrt(&[u0, u1]).iter().enumerate() {
            let u = elements(&[u0, u1][n]);
            for (at, root) in elements(root).into_iter().enumerate() {
                assert_eq!(lanes_of(*was_square)[at], root.square() == u[at]);
                assert_eq!(lanes_of(*was_square)[at], bool::from(u[at].sqrt().is_some()));
            }
        }
        let one = [Element::ONE; LANES];
        assert_eq!(elements(&v0.mul(&invert(&v0))), one);
        for (v, inverse) in [v0, v1, v0].iter().zip(invert_each(&[v0, v1, v0])) {
            assert_eq!(elements(&v.mul(&inverse)), one);
        }
    }
    assert!((40..128).contains(&squares), "{squares} squares among 128 ratios");
}

#[test]
fn constants_satisfy_their_equations() {
    let plain = |limbs: [u64; 5]| element(limbs.map(|limb| limb as i64));
    let scale = montgomery();
    assert_eq!(plain(P), Element::ZERO);
    assert_eq!(plain(ONE), scale);
    assert_eq!(plain(INTO), scale.square());
    assert_eq!(plain(INTO_HIGH), (0..256).fold(scale.square(), |power, _| power.double()));
    assert_eq!(plain(A), -Element::from(3u64) * scale);
    assert_eq!(plain(Z), -Element::from(9u64) * scale);
    // B is right where the base point is on the curve
    let [_, x @ ..] = GENERATOR;
    let x: Element = super::super::reduce(&x);
    let gx = (x.square() - Element::from(3u64)) * x + plain(B) * scale.invert().unwrap();
    assert!(bool::from(gx.sqrt().is_some()));
    let y = "bc3736a2f4f6779c59bdcee36b692153d0a9877cc62a474002df32e52139f0a0";
    let y: Element = super::super::reduce(&data_encoding::HEXLOWER.decode(y.as_bytes()).unwrap());
    assert_eq!(gx, y.square());
}

#[test]
fn z_is_the_first_that_the_map_allows() {
    let (a, b) = (-Element::from(3u64), super::super::reduce::<Element>(&super::super::portable::B));
    let g = |x: Element| (x.square() + a) * x + b;
    let is_square = |x: Element| bool::from(x.sqrt().is_some());
    let negative = |n: u64| -Element::from(n);
    for n in 1..=9u64 {
        for (z, is_last) in [(Element::from(n), false), (negative(n), n == 9)] {
            let at = b * (z * a).invert().unwrap();
            let allowed = !is_square(z) && z != negative(1) && is_square(g(at)) && has_no_root(a, b - z);
            assert_eq!(allowed, is_last, "{n}");
        }
    }
}

/// Whether x^3 + a x + b has no root in the field, and so is irreducible: x^p is not x modulo any factor.
fn has_no_root(a: Element, b: Element) -> bool {
    type Polynomial = [Element; 3];
    let times = |x: Polynomial, y: Polynomial| -> Polynomial {
        let mut product = [Element::ZERO; 5];
        for (i, x) in x.iter().enumerate() {
            y.iter().enumerate().for_each(|(j, y)| product[i + j] += *x * y);
        }
        for top in [4, 3] {
            let lead = product[top]; // x^top = -a x^(top - 2) - b x^(top - 3)
            product[top - 2] -= lead * a;
            product[top - 3] -= lead * b;
        }
        [product[0], product[1], product[2]]
    };
    let bits = (0..5).rev().flat_map(|limb| (0..52).rev().map(move |bit| P[limb] >> bit & 1 == 1));
    let mut power = [Element::ONE, Element::ZERO, Element::ZERO];
    for bit in bits {
        power = times(power, power);
        if bit {
            power = times(power, [Element::ZERO, Element::ONE, Element::ZERO]);
        }
    }
    power[1] -= Element::ONE;
    // The remainder x^p - x shares a root with the cubic exactly where it is no unit of the ring: where multiplication by
    // it is singular.
    let columns: [Polynomial; 3] =
        std::array::from_fn(|n| times(power, std::array::from_fn(|m| Element::from(u64::from(m == n)))));
    let [x, y, z] = columns;
    let determinant =
        x[0] * (y[1] * z[2] - y[2] * z[1]) - y[0] * (x[1] * z[2] - x[2] * z[1]) + z[0] * (x[1] * y[2] - x[2] * y[1]);
    determinant != Element::ZERO
}

#[test]
fn digits_are_odd_and_sum_to_the_scalar_or_its_negative() {
    let mut rng = seeded();
    let mut scalars = vec![Scalar::ONE, -Scalar::ONE, Scalar::from(0x8888_8888_8888_8888u64)];
    scalars.extend((1..100u64).flat_map(|k| [Scalar::from(k), -Scalar::from(k)]));
    scalars.extend((0..50).map(|_| super::super::SecretScalar::random(&mut rng).0));
    for scalar in scalars {
        let (digits, flip) = odd_digits(&scalar);
        assert!(digits.iter().all(|digit| digit % 2 != 0 && digit.abs() < 16));
        assert!(digits[DIGITS - 1] > 0);
        let sum = digits.iter().rev().fold(Scalar::ZERO, |sum, digit| {
            let size = Scalar::from(u64::from(digit.unsigned_abs()));
            sum * Scalar::from(16u64) + if *digit < 0 { -size } else { size }
        });
        assert_eq!(sum, if flip == 0 { scalar } else { -scalar });
        assert!(flip == 0 || flip == 0xff);
    }
}
