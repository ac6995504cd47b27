//! The portable twin: curve25519-dalek, one element at a time. What every other engine is compared with.

use curve25519_dalek::Scalar;
use curve25519_dalek::ristretto::{CompressedRistretto, RistrettoPoint};
use curve25519_dalek::traits::IsIdentity;

use super::{BadPoint, BadPointReason, Engine};

pub(super) struct Portable;

impl Engine for Portable {
    type Decoded = Vec<RistrettoPoint>;

    fn map_mul(&self, uniform: &[[u8; 64]], half: &Scalar, out: &mut [[u8; 32]]) {
        let points: Vec<_> = uniform.iter().map(|bytes| RistrettoPoint::from_uniform_bytes(bytes) * half).collect();
        encode_doubles(&points, out);
    }

    fn decode(&self, points: &[[u8; 32]]) -> Result<Self::Decoded, BadPoint> {
        let decoded = points.iter().enumerate().map(|(index, bytes)| {
            let bad = |reason| BadPoint { index, reason };
            let point = CompressedRistretto(*bytes).decompress().ok_or(bad(BadPointReason::BadEncoding))?;
            if point.is_identity() { Err(bad(BadPointReason::Identity)) } else { Ok(point) }
        });
        decoded.collect()
    }

    fn mul(&self, points: &Self::Decoded, half: &Scalar, out: &mut [[u8; 32]]) {
        let points: Vec<_> = points.iter().map(|point| point * half).collect();
        encode_doubles(&points, out);
    }
}

/// One inversion for the whole chunk, in place of an inverse square root per element.
fn encode_doubles(points: &[RistrettoPoint], out: &mut [[u8; 32]]) {
    for (encoded, out) in RistrettoPoint::double_and_compress_batch(points).iter().zip(out) {
        *out = encoded.to_bytes();
    }
}
