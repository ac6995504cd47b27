//! Points of the curve, eight at a time, and their multiplication by one scalar.
//!
//! Formulas: doubling for A = -3 in Jacobian coordinates by Bernstein (`dbl-2001-b` of the Explicit-Formulas Database) with
//! the factors 2 placed anew; mixed addition by Cohen, Miyaji and Ono, "Efficient elliptic curve exponentiation using
//! mixed coordinates", ASIACRYPT 1998; multiples for the table in co-Z coordinates by Meloni, "New point addition formulae
//! for ECC applications", WAIFI 2007.
//!
//! None is complete. [`multiply`] meets no exception, whatever the scalar: see there.

use std::arch::x86_64::{__mmask8, _mm512_abs_epi64, _mm512_cmpeq_epi64_mask, _mm512_movepi64_mask, _mm512_set1_epi64};
use std::hint::black_box;

use super::constants::A;
use super::field::Fe;
use super::root::invert_each;

/// Digits of a scalar below 2^256 in radix 16.
pub(super) const DIGITS: usize = 64;

/// Odd multiples up to 15.
const MULTIPLES: usize = 8;

/// A point of the curve; never the identity, which has no such coordinates.
#[derive(Clone, Copy)]
pub(in super::super) struct Affine {
    pub(super) x: Fe,
    pub(super) y: Fe,
}

/// x = X/Z^2, y = Y/Z^3.
#[derive(Clone, Copy)]
struct Jacobian {
    x: Fe,
    y: Fe,
    z: Fe,
}

/// The products k P for all points, where k is given in odd digits.
///
/// No addition meets its exceptions, equal or opposite summands. Before the last one the sum is 16 m P with 1 <= m < n/16
/// (n is the order of the curve) and the digit d is at most 15 in size, so that 16 m - d and 16 m + d lie between 0 and n.
/// In the last one 16 m + d = k is not 0 modulo n, and 16 m = d modulo n would mean k = 2d + n or k = 2d - n, since k is
/// odd. As 0 < k < n, that is the first, and d < 0. But d = (k mod 32) - 16 and n mod 32 = 3, so d = 2d + 3 - 16 modulo
/// 32, of which the only digit is 13. Doubling has no exception, as the order is odd.
#[target_feature(enable = "avx512f,avx512dq,avx512vl,avx512ifma")]
pub(super) fn multiply(points: &[Affine], digits: &[i8; DIGITS]) -> Vec<Affine> {
    let products: Vec<_> = tables(points).iter().map(|table| multiply_one(table, digits)).collect();
    let z: Vec<_> = products.iter().map(|product| product.z).collect();
    let products = products.iter().zip(invert_each(&z));
    products.map(|(product, inverse)| affine(&product.x, &product.y, &inverse)).collect()
}

/// The digits are secret, and the same in every lane. Each table entry is read for each digit, and the one wanted is kept
/// by a mask.
#[target_feature(enable = "avx512f,avx512dq,avx512vl,avx512ifma")]
fn multiply_one(table: &[Affine; MULTIPLES], digits: &[i8; DIGITS]) -> Jacobian {
    let top = select(table, digits[DIGITS - 1]);
    let mut sum = Jacobian { x: top.x, y: top.y, z: Fe::one() };
    for digit in digits[..DIGITS - 1].iter().rev() {
        sum = sum.double().double().double().double().add(&select(table, *digit));
    }
    sum
}

impl Jacobian {
    /// x and y are below 2p + 2^240 and z below 4p, here and in the result; so are all inputs of products below 4p.
    #[inline]
    #[target_feature(enable = "avx512f,avx512dq,avx512vl,avx512ifma")]
    fn double(&self) -> Self {
        let zz = self.z.square();
        let yy2 = self.y.square_wide().twice().carry();
        let s = self.x.mul_wide(&yy2).twice().carry(); // 4XY^2, below 2(1 + (2 * 4)/16)p and a bit
        let product = self.x.sub(&zz).mul_wide(&self.x.add(&zz));
        let m = product.twice().add(&product).fold(); // 3(X - Z^2)(X + Z^2)
        let x = m.square_wide().sub(&s.wide().twice()).fold();
        let yyyy4 = yy2.square_product();
        let y = m.product(&s.sub(&x)).sub(&yyyy4.add(&yyyy4)).reduce().fold();
        let z = self.y.mul_wide(&self.z).twice().carry(); // below 2(1 + (2 * 4)/16)p and a bit
        Self { x, y, z }
    }

    /// The points must be neither equal nor opposite.
    #[inline]
    #[target_feature(enable = "avx512f,avx512dq,avx512vl,avx512ifma")]
    fn add(&self, other: &Affine) -> Self {
        let zz = self.z.square();
        let h = other.x.mul_wide(&zz).sub(&self.x.wide()).fold();
        let r = other.y.mul(&self.z.mul(&zz)).sub(&self.y);
        let hh = h.square();
        let hhh = h.mul(&hh);
        let v = self.x.mul(&hh);
        let x = r.square_wide().sub(&hhh.wide()).sub(&v.wide().twice()).fold();
        let y = r.product(&v.sub(&x)).sub(&self.y.product(&hhh)).reduce().fold();
        Self { x, y, z: self.z.mul(&h) }
    }
}

/// P, 3P, 5P, up to 15P for each point P.
#[target_feature(enable = "avx512f,avx512dq,avx512vl,avx512ifma")]
fn tables(points: &[Affine]) -> Vec<[Affine; MULTIPLES]> {
    let multiples: Vec<_> = points.iter().map(|point| odd_multiples(point)).collect();
    let z: Vec<_> = multiples.iter().map(|(_, ratios)| ratios[1..].iter().fold(ratios[0], |z, r| z.mul(r))).collect();
    let mut tables = Vec::with_capacity(points.len());
    for ((mut table, ratios), mut inverse) in multiples.into_iter().zip(invert_each(&z)) {
        for (entry, ratio) in table.iter_mut().zip(&ratios).rev() {
            *entry = affine(&entry.x, &entry.y, &inverse);
            inverse = inverse.mul(ratio);
        }
        tables.push(table);
    }
    tables
}

/// X and Y of the odd multiples of a point, and what the Z of each is: the product of the ratios up to its own.
///
/// P and 2P are brought to one Z, and 2P is added again and again: each addition brings 2P to the Z of the sum. No exception:
/// that would be 2P = mP or 2P = -mP for some odd m below 15.
#[target_feature(enable = "avx512f,avx512dq,avx512vl,avx512ifma")]
fn odd_multiples(point: &Affine) -> ([Affine; MULTIPLES], [Fe; MULTIPLES]) {
    let (mut multiple, mut two) = with_double(point);
    let mut table = [multiple; MULTIPLES];
    let mut ratios = [point.y.wide().twice().fold(); MULTIPLES];
    for (entry, ratio) in table.iter_mut().zip(&mut ratios).skip(1) {
        *ratio = two.x.sub(&multiple.x);
        (multiple, two) = add_same_z(&two, &multiple, ratio);
        *entry = multiple;
    }
    (table, ratios)
}

/// P and 2P with Z = 2y.
#[target_feature(enable = "avx512f,avx512dq,avx512vl,avx512ifma")]
fn with_double(point: &Affine) -> (Affine, Affine) {
    let xx = point.x.square_wide();
    let m = xx.twice().add(&xx).add(&Fe::splat(&A).wide()).fold();
    let yy2 = point.y.square_wide().twice().fold();
    let s = point.x.mul_wide(&yy2).twice().fold();
    let yyyy8 = yy2.square_wide().twice().fold();
    let x = m.square_wide().sub(&s.wide().twice()).fold();
    let y = m.mul_wide(&s.sub(&x)).sub(&yyyy8.wide()).fold();
    (Affine { x: s, y: yyyy8 }, Affine { x, y })
}

/// P + Q and P, both with Z = (X_P - X_Q) times the common Z before.
#[target_feature(enable = "avx512f,avx512dq,avx512vl,avx512ifma")]
fn add_same_z(p: &Affine, q: &Affine, x_difference: &Fe) -> (Affine, Affine) {
    let c = x_difference.square();
    let p_x = p.x.mul(&c);
    let q_x = q.x.mul(&c);
    let y_difference = p.y.sub(&q.y);
    let p_y = p.y.mul(&p_x.sub(&q_x));
    let x = y_difference.square_wide().sub(&p_x.wide()).sub(&q_x.wide()).fold();
    let y = y_difference.mul_wide(&p_x.sub(&x)).sub(&p_y.wide()).fold();
    (Affine { x, y }, Affine { x: p_x, y: p_y })
}

/// (X/Z^2, Y/Z^3) from 1/Z.
#[target_feature(enable = "avx512f,avx512dq,avx512vl,avx512ifma")]
fn affine(x: &Fe, y: &Fe, inverse: &Fe) -> Affine {
    let square = inverse.square();
    Affine { x: x.mul(&square), y: y.mul(&square.mul(inverse)) }
}

impl Affine {
    #[inline]
    #[target_feature(enable = "avx512f,avx512dq,avx512vl,avx512ifma")]
    fn select(&self, mask: __mmask8, other: &Self) -> Self {
        Self { x: self.x.select(mask, &other.x), y: self.y.select(mask, &other.y) }
    }

    /// The opposite point in the lanes of the mask.
    #[inline]
    #[target_feature(enable = "avx512f,avx512dq,avx512vl,avx512ifma")]
    pub(super) fn negate_if(&self, mask: __mmask8) -> Self {
        Self { x: self.x, y: self.y.negate_if(mask) }
    }
}

/// `digit` times the point of the table, for an odd digit from -15 to 15; reads every entry whatever the digit.
///
/// All lanes hold the same digit. An optimiser that sees it compares scalars instead, and may come to branch on them, so
/// [`black_box`] hides it: best effort, as its documentation says.
#[inline]
#[target_feature(enable = "avx512f,avx512dq,avx512vl,avx512ifma")]
fn select(table: &[Affine; MULTIPLES], digit: i8) -> Affine {
    let digit = black_box(_mm512_set1_epi64(i64::from(digit)));
    let size = _mm512_abs_epi64(digit);
    let mut chosen = table[0];
    for (entry, multiple) in table.iter().zip((1..).step_by(2)).skip(1) {
        let wanted = _mm512_cmpeq_epi64_mask(size, _mm512_set1_epi64(multiple));
        chosen = chosen.select(wanted, entry);
    }
    chosen.negate_if(_mm512_movepi64_mask(digit))
}
