//! The portable twin: the crate `sm2`, one point at a time, with the map written as RFC 9380, section 6.6.2 defines it. What
//! every other engine is compared with.

use sm2::elliptic_curve::ff::{Field, PrimeField};
use sm2::elliptic_curve::hazmat::FieldArithmetic;
use sm2::elliptic_curve::point::{AffineCoordinates, DecompressPoint};
use sm2::elliptic_curve::subtle::{Choice, ConditionallySelectable, CtOption};
use sm2::{AffinePoint, FieldBytes, ProjectivePoint, Scalar, Sm2};

use super::{BadPoint, BadPointReason, COMPRESSED, Engine, UNIFORM, reduce};

/// An element of GF(p).
pub(super) type Fe = <Sm2 as FieldArithmetic>::FieldElement;

/// B of the curve y^2 = x^3 - 3x + B, big-endian (GB/T 32918.5).
pub(super) const B: [u8; 32] = [
    0x28, 0xe9, 0xfa, 0x9e, 0x9d, 0x9f, 0x5e, 0x34, 0x4d, 0x5a, 0x9e, 0x4b, 0xcf, 0x65, 0x09, 0xa7, 0xf3, 0x97, 0x89,
    0xf5, 0x15, 0xab, 0x8f, 0x92, 0xdd, 0xbc, 0xbd, 0x41, 0x4d, 0x94, 0x0e, 0x93,
];

pub(super) struct Portable;

impl Engine for Portable {
    type Points = Vec<AffinePoint>;

    fn map(&self, uniform: &[[u8; UNIFORM]]) -> Self::Points {
        uniform.iter().map(map_to_curve).collect()
    }

    fn decode(&self, points: &[[u8; COMPRESSED]]) -> Result<Self::Points, BadPoint> {
        let decoded = points
            .iter()
            .enumerate()
            .map(|(index, bytes)| decompress(bytes).map_err(|reason| BadPoint { index, reason }));
        decoded.collect()
    }

    fn on_curve(&self, x: &[[u8; 32]], out: &mut [bool]) {
        for (x, out) in x.iter().zip(out) {
            *out = AffinePoint::decompress(&FieldBytes::from(*x), Choice::from(0)).is_some().into();
        }
    }

    fn mul(&self, points: &Self::Points, k: &Scalar, out: &mut [[u8; COMPRESSED]]) {
        for (point, out) in points.iter().zip(out) {
            let product = (ProjectivePoint::from(point) * k).to_affine();
            out[0] = 2 | product.y_is_odd().unwrap_u8();
            out[1..].copy_from_slice(&product.x());
        }
    }
}

fn decompress(bytes: &[u8; COMPRESSED]) -> Result<AffinePoint, BadPointReason> {
    let [prefix, x @ ..] = bytes;
    let x = FieldBytes::from(*x);
    if prefix & !1 != 2 || bool::from(Fe::from_repr(x).is_none()) {
        return Err(BadPointReason::BadEncoding);
    }
    let point: Option<_> = AffinePoint::decompress(&x, Choice::from(prefix & 1)).into();
    point.ok_or(BadPointReason::OffCurve)
}

/// `map_to_curve` of one field element, given as 48 uniform bytes.
fn map_to_curve(uniform: &[u8; UNIFORM]) -> AffinePoint {
    let u: Fe = reduce(uniform);
    let (a, b, z) = (-Fe::from(3u64), reduce::<Fe>(&B), -Fe::from(9u64));
    let zuu = z * u.square();
    let tv1: CtOption<Fe> = (zuu.square() + zuu).invert();
    let exception = b * (z * a).invert().expect("neither Z nor A is 0");
    let regular = -b * a.invert().expect("A is not 0") * (Fe::ONE + tv1.unwrap_or(Fe::ZERO));
    let x1 = Fe::conditional_select(&exception, &regular, tv1.is_some());
    let x2 = zuu * x1;
    let g = |x: Fe| (x.square() + a) * x + b;
    let y1 = g(x1).sqrt();
    let y2 = g(x2).sqrt();
    let x = Fe::conditional_select(&x2, &x1, y1.is_some());
    let y = Fe::conditional_select(&y2.unwrap_or(Fe::ZERO), &y1.unwrap_or(Fe::ZERO), y1.is_some());
    let y = Fe::conditional_select(&y, &-y, u.is_odd() ^ y.is_odd());
    AffinePoint::from_coordinates(&x.to_repr(), &y.to_repr()).expect("the map leads to the curve")
}
