//! The constants, and what the engine does beside the field. Points and encodings are tested with the engine as a whole.

use rand_core::Rng;

use super::constants::*;
use super::point::Extended;
use super::*;
use crate::kernels::field25519::ifma::field::Fe;
use crate::kernels::field25519::ifma::root::SQRT_M1;
use crate::kernels::field25519::ifma::tests::on_ifma;
use crate::kernels::field25519::tests::{Plain, seeded};

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
