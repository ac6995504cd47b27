//! Kernels in which one secret scalar multiplies many points.

use std::hint::black_box;

use banyan_protocols::kernels::{curve25519, ristretto, sm2};

use super::{Call, Secret};

/// Scalar and items are secret.
pub(super) fn ristretto_map(secret: &Secret) -> Call {
    let (wide, uniform) = (secret.bytes(0), secret.items());
    Box::new(move || {
        let k = ristretto::SecretScalar::from_uniform_bytes(&wide).expect("not zero");
        black_box(ristretto::map_mul_batch(&uniform, &k));
    })
}

/// The scalar is secret, and so are the points, to others than the two parties.
pub(super) fn ristretto_mul(secret: &Secret) -> Call {
    let blind = ristretto::SecretScalar::from_uniform_bytes(&secret.bytes(1)).expect("not zero");
    let (wide, points) = (secret.bytes(0), ristretto::map_mul_batch(&secret.items(), &blind));
    Box::new(move || {
        let k = ristretto::SecretScalar::from_uniform_bytes(&wide).expect("not zero");
        black_box(ristretto::mul_batch(&points, &k).expect("points"));
    })
}

/// Scalar and items are secret.
pub(super) fn curve25519_map(secret: &Secret) -> Call {
    let (wide, uniform) = (secret.bytes(0), secret.items());
    Box::new(move || {
        let k = curve25519::SecretScalar::from_uniform_bytes(&wide).expect("not zero");
        black_box(curve25519::map_mul_batch(&uniform, &k));
    })
}

/// The scalar is secret, and so are the points, to others than the two parties.
pub(super) fn curve25519_mul(secret: &Secret) -> Call {
    let blind = curve25519::SecretScalar::from_uniform_bytes(&secret.bytes(1)).expect("not zero");
    let (wide, points) = (secret.bytes(0), curve25519::map_mul_batch(&secret.items(), &blind));
    Box::new(move || {
        let k = curve25519::SecretScalar::from_uniform_bytes(&wide).expect("not zero");
        black_box(curve25519::mul_batch(&points, &k).expect("points"));
    })
}

/// Scalar and items are secret.
pub(super) fn sm2_map(secret: &Secret) -> Call {
    let (wide, uniform) = (secret.bytes(0), secret.items());
    Box::new(move || {
        let k = sm2::SecretScalar::from_uniform_bytes(&wide).expect("not zero");
        black_box(sm2::map_mul_batch(&uniform, &k));
    })
}

/// The scalar is secret, and so are the points, to others than the two parties.
pub(super) fn sm2_mul(secret: &Secret) -> Call {
    let blind = sm2::SecretScalar::from_uniform_bytes(&secret.bytes(1)).expect("not zero");
    let (wide, points) = (secret.bytes(0), sm2::map_mul_batch(&secret.items(), &blind));
    Box::new(move || {
        let k = sm2::SecretScalar::from_uniform_bytes(&wide).expect("not zero");
        black_box(sm2::mul_batch(&points, &k).expect("points"));
    })
}
