//! Between bytes and points, eight at a time: SEC 1 compressed encodings, and the map of RFC 9380.

use std::arch::x86_64::__mmask8;

use super::super::{COMPRESSED, UNIFORM};
use super::constants::{A, B, INTO, INTO_HIGH, Z};
use super::field::Fe;
use super::lanes::{LANES, load, store};
use super::point::Affine;
use super::root::{invert_each, sqrt, sqrt_ratio};

/// What decoding found in eight lanes.
pub(super) struct Verdict {
    /// The points; anything in a lane that is listed below.
    pub(super) points: Affine,
    /// Lanes whose x is not below p.
    pub(super) too_large: __mmask8,
    /// Lanes whose x is that of no point.
    pub(super) off_curve: __mmask8,
}

/// The points with the given x, and y odd in the lanes of the masks; N vectors side by side.
#[target_feature(enable = "avx512f,avx512dq,avx512vl,avx512ifma")]
pub(super) fn decode<const N: usize>(x: &[[[u8; 32]; LANES]; N], odd: &[__mmask8; N]) -> [Verdict; N] {
    let mut too_large = [0; N];
    let mut points_x = [Fe::one(); N];
    let mut yy = [Fe::one(); N];
    for n in 0..N {
        let plain = load(&x[n]);
        too_large[n] = !plain.is_canonical();
        let x = plain.times(&INTO).reduce().carry();
        let xx_plus_a = x.square_wide().add(&Fe::splat(&A).wide()).fold();
        yy[n] = x.mul_wide(&xx_plus_a).add(&Fe::splat(&B).wide()).carry();
        points_x[n] = x;
    }
    let roots = sqrt(&yy);

    std::array::from_fn(|n| {
        let (was_square, y) = roots[n];
        let points = Affine { x: points_x[n], y }.negate_if(y.plain().is_odd() ^ odd[n]);
        Verdict { points, too_large: too_large[n], off_curve: !was_square }
    })
}

/// The compressed encodings of the first lanes, as many as `out` has items; the sign is flipped in the lanes of the mask.
#[target_feature(enable = "avx512f,avx512dq,avx512vl,avx512ifma")]
pub(super) fn encode(points: &Affine, flip: __mmask8, out: &mut [[u8; COMPRESSED]]) {
    let odd = points.y.plain().is_odd() ^ flip; // y is not 0, as the order is odd, so exactly one of y and p - y is odd
    for ((lane, out), x) in out.iter_mut().enumerate().zip(store(&points.x.plain())) {
        out[0] = 2 | odd >> lane & 1;
        out[1..].copy_from_slice(&x);
    }
}

/// A mapped point whose x is still a fraction.
struct Mapped {
    x_numerator: Fe,
    x_denominator: Fe,
    y: Fe,
}

/// `map_to_curve` of each vector of uniform strings, with one inversion for all.
#[target_feature(enable = "avx512f,avx512dq,avx512vl,avx512ifma")]
pub(super) fn map_each(uniform: &[[[u8; UNIFORM]; LANES]]) -> Vec<Affine> {
    let mut mapped = Vec::with_capacity(uniform.len() + 1);
    for pair in uniform.chunks(2) {
        let [first, second] = [&pair[0], pair.last().unwrap_or(&pair[0])];
        mapped.extend(map(&[reduce(first), reduce(second)]));
    }
    mapped.truncate(uniform.len());
    let denominators: Vec<_> = mapped.iter().map(|mapped| mapped.x_denominator).collect();
    let mapped = mapped.iter().zip(invert_each(&denominators));
    mapped.map(|(mapped, inverse)| Affine { x: mapped.x_numerator.mul(&inverse), y: mapped.y }).collect()
}

/// Big-endian integers of 384 bits modulo p.
#[target_feature(enable = "avx512f,avx512dq,avx512vl,avx512ifma")]
fn reduce(uniform: &[[u8; UNIFORM]; LANES]) -> Fe {
    let mut high = [[0; 32]; LANES];
    let mut low = [[0; 32]; LANES];
    for lane in 0..LANES {
        high[lane][16..].copy_from_slice(&uniform[lane][..16]);
        low[lane].copy_from_slice(&uniform[lane][16..]);
    }
    load(&high).times(&INTO_HIGH).add(&load(&low).times(&INTO)).reduce().carry()
}

/// The simplified map of Shallue, van de Woestijne and Ulas as in RFC 9380, appendix F.2, up to its last division, of N
/// vectors side by side.
#[target_feature(enable = "avx512f,avx512dq,avx512vl,avx512ifma")]
fn map<const N: usize>(u: &[Fe; N]) -> [Mapped; N] {
    let (one, a, b, z) = (Fe::one(), Fe::splat(&A), Fe::splat(&B), Fe::splat(&Z));
    let mut zuu = [one; N];
    let mut numerator = [one; N];
    let mut denominator = [one; N];
    let mut gx_numerator = [one; N];
    let mut gx_denominator = [one; N];
    for n in 0..N {
        zuu[n] = z.mul(&u[n].square());
        let sum = zuu[n].square_wide().add(&zuu[n].wide()).fold(); // Z^2 u^4 + Z u^2
        numerator[n] = b.mul(&sum.add(&one));
        let is_zero = sum.plain().is_zero();
        denominator[n] = a.mul(&sum.negate_if(!is_zero).select(is_zero, &z));
        // g of the fraction: (n^3 + A n d^2 + B d^3) / d^3
        let dd = denominator[n].square();
        gx_denominator[n] = dd.mul(&denominator[n]);
        let nn_plus_add = numerator[n].square_product().add(&a.product(&dd)).reduce().carry();
        gx_numerator[n] = nn_plus_add.product(&numerator[n]).add(&b.product(&gx_denominator[n])).reduce().carry();
    }
    let roots = sqrt_ratio(&gx_numerator, &gx_denominator);

    std::array::from_fn(|n| {
        let (is_first, root) = roots[n];
        let second = zuu[n].mul(&u[n]).mul(&root);
        let y = second.select(is_first, &root);
        let other_sign = y.plain().is_odd() ^ u[n].plain().is_odd();
        Mapped {
            x_numerator: zuu[n].mul(&numerator[n]).select(is_first, &numerator[n]),
            x_denominator: denominator[n],
            y: y.negate_if(other_sign),
        }
    })
}
