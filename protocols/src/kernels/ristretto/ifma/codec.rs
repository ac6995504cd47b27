//! Between bytes and points, eight elements at a time: the functions of RFC 9496, section 4.3.

use std::arch::x86_64::__mmask8;

use super::constants::{D, D_MINUS_ONE_SQ, INVSQRT_A_MINUS_D, ONE_MINUS_D_SQ, SQRT_AD_MINUS_ONE};
use super::point::Extended;
use crate::kernels::field25519::ifma::field::Fe;
use crate::kernels::field25519::ifma::lanes::{self, LANES};
use crate::kernels::field25519::ifma::root::{SQRT_M1, invert_each, sqrt_ratio};

/// A decoded element: a point with Z = 1.
#[derive(Clone, Copy)]
pub(in super::super) struct Affine {
    x: Fe,
    y: Fe,
    t: Fe,
}

impl Affine {
    #[target_feature(enable = "avx512f,avx512dq,avx512vl,avx512ifma")]
    pub(super) fn extended(&self) -> Extended {
        Extended { x: self.x, y: self.y, z: Fe::small(1), t: self.t }
    }
}

/// What decoding found in eight lanes.
pub(super) struct Verdict {
    /// The elements; anything in a refused lane.
    pub(super) points: Affine,
    /// Lanes that hold no canonical encoding.
    pub(super) refused: __mmask8,
    /// Lanes that hold the identity.
    pub(super) identity: __mmask8,
}

/// Decode, section 4.3.1, of N vectors side by side.
#[target_feature(enable = "avx512f,avx512dq,avx512vl,avx512ifma")]
pub(super) fn decode<const N: usize>(encodings: &[[[u8; 32]; LANES]; N]) -> [Verdict; N] {
    let one = Fe::small(1);
    let minus_d = Fe::splat(&D).neg();
    let mut s = [one; N];
    let mut refused = [0; N];
    let mut u1 = [one; N];
    let mut u2 = [one; N];
    let mut v = [one; N];
    let mut v_u2_sqr = [one; N];
    for n in 0..N {
        let (element, top_bits) = lanes::load(&encodings[n]);
        s[n] = element;
        refused[n] = top_bits | !element.is_canonical() | element.is_negative();
        let ss = element.square();
        u1[n] = one.sub(&ss);
        u2[n] = one.add(&ss);
        let u2_sqr = u2[n].square();
        v[n] = minus_d.mul(&u1[n].square()).sub(&u2_sqr);
        v_u2_sqr[n] = v[n].mul(&u2_sqr);
    }
    let roots = sqrt_ratio(&[one; N], &v_u2_sqr);

    std::array::from_fn(|n| {
        let (was_square, invsqrt) = roots[n];
        let den_x = invsqrt.mul(&u2[n]);
        let den_y = invsqrt.mul(&den_x).mul(&v[n]);
        let x = s[n].add(&s[n]).mul(&den_x).abs();
        let y = u1[n].mul(&den_y);
        let t = x.mul(&y);
        Verdict {
            points: Affine { x, y, t },
            refused: refused[n] | !was_square | t.is_negative() | y.is_zero(),
            identity: s[n].is_zero(),
        }
    })
}

/// Element derivation, section 4.3.4: the sum of the maps of the two halves.
#[target_feature(enable = "avx512f,avx512dq,avx512vl,avx512ifma")]
pub(super) fn derive(uniform: &[[u8; 64]; LANES]) -> Extended {
    let mut first = [[0; 32]; LANES];
    let mut second = [[0; 32]; LANES];
    for lane in 0..LANES {
        first[lane].copy_from_slice(&uniform[lane][..32]);
        second[lane].copy_from_slice(&uniform[lane][32..]);
    }
    let (first, _) = lanes::load(&first); // the top bit is ignored, as the section says
    let (second, _) = lanes::load(&second);
    let [first, second] = map(&[first, second]);
    first.plus(&second)
}

/// The function MAP of section 4.3.4, of N vectors side by side.
#[target_feature(enable = "avx512f,avx512dq,avx512vl,avx512ifma")]
fn map<const N: usize>(t: &[Fe; N]) -> [Extended; N] {
    let one = Fe::small(1);
    let minus_one = one.neg();
    let d = Fe::splat(&D);
    let mut r = [one; N];
    let mut u = [one; N];
    let mut v = [one; N];
    for n in 0..N {
        r[n] = Fe::splat(&SQRT_M1).mul(&t[n].square());
        u[n] = r[n].add(&one).mul(&Fe::splat(&ONE_MINUS_D_SQ));
        v[n] = minus_one.sub(&r[n].mul(&d)).mul(&r[n].add(&d));
    }
    let roots = sqrt_ratio(&u, &v);

    std::array::from_fn(|n| {
        let (was_square, root) = roots[n];
        let s_prime = root.mul(&t[n]).abs().neg();
        let s = s_prime.select(was_square, &root);
        let c = r[n].select(was_square, &minus_one);
        let n_t = c.mul(&r[n].sub(&one)).mul(&Fe::splat(&D_MINUS_ONE_SQ)).sub(&v[n]);
        let ss = s.square();
        let w0 = s.add(&s).mul(&v[n]);
        let w1 = n_t.mul(&Fe::splat(&SQRT_AD_MINUS_ONE));
        let w2 = one.sub(&ss);
        let w3 = one.add(&ss);
        Extended { x: w0.mul(&w3), y: w2.mul(&w1), z: w1.mul(&w3), t: w0.mul(&w2) }
    })
}

/// The factors of 2P that its encoding is made of, and the product of all four.
struct Doubled {
    e: Fe,
    f: Fe,
    g: Fe,
    h: Fe,
    eg: Fe,
    fh: Fe,
    product: Fe,
}

/// Encodes the doubles of all points, with one inversion for all: Encode (section 4.3.2) of 2P needs no square root,
/// since the square roots in it are of squares that P is known by (Hamburg; the formulas are those of
/// `double_and_compress_batch` of curve25519-dalek). `out` has at most eight items per vector of points.
#[target_feature(enable = "avx512f,avx512dq,avx512vl,avx512ifma")]
pub(super) fn encode_doubles(points: &[Extended], out: &mut [[u8; 32]]) {
    let doubled: Vec<_> = points.iter().map(|point| doubled(point)).collect();
    let mut inverses: Vec<_> = doubled.iter().map(|item| item.product).collect();
    invert_each(&mut inverses); // 0 only of a point whose double is the identity
    for ((doubled, inverse), out) in doubled.iter().zip(&inverses).zip(out.chunks_mut(LANES)) {
        lanes::store(&encode_doubled(doubled, inverse), out);
    }
}

#[target_feature(enable = "avx512f,avx512dq,avx512vl,avx512ifma")]
fn doubled(point: &Extended) -> Doubled {
    let (xx, yy, zz) = (point.x.square(), point.y.square(), point.z.square());
    let d_tt = point.t.square().mul(&Fe::splat(&D));
    let xy = point.x.mul(&point.y);
    let (e, f, g, h) = (xy.add(&xy), zz.add(&d_tt), yy.add(&xx), zz.sub(&d_tt));
    let (eg, fh) = (e.mul(&g), f.mul(&h));
    Doubled { e, f, g, h, eg, fh, product: eg.mul(&fh) }
}

/// The encoding s of a double; 0, the encoding of the identity, where the inverse is 0.
#[target_feature(enable = "avx512f,avx512dq,avx512vl,avx512ifma")]
fn encode_doubled(doubled: &Doubled, inverse: &Fe) -> Fe {
    let i = Fe::splat(&SQRT_M1);
    let z_inv = doubled.eg.mul(inverse);
    let t_inv = doubled.fh.mul(inverse);

    let rotate = doubled.eg.mul(&z_inv).is_negative();
    let e = doubled.e.select(rotate, &doubled.g);
    let g = doubled.g.select(rotate, &doubled.e.neg());
    let h = doubled.h.select(rotate, &doubled.f.mul(&i));
    let magic = Fe::splat(&INVSQRT_A_MINUS_D).select(rotate, &i);

    let g = g.negate_if(h.mul(&e).mul(&z_inv).is_negative());
    h.sub(&g).mul(&magic.mul(&g.mul(&t_inv))).abs()
}
