//! GF(2^128) = GF(2)\[x\] / (x^128 + x^7 + x^2 + x + 1): bit i of a `u128` is the coefficient of x^i. Addition is `^`.
//!
//! Time depends on how many elements there are and on nothing else.

#[cfg(target_arch = "x86_64")]
mod clmul;
mod portable;

#[cfg(test)]
mod tests;

use portable::Portable;

/// Runs a call on the engine of this processor.
macro_rules! on_engine {
    ($engine:ident => $call:expr) => {{
        #[cfg(target_arch = "x86_64")]
        if let Some($engine) = clmul::Clmul::detect() {
            return $call;
        }
        let $engine = Portable;
        $call
    }};
}

/// a * b. For many products take [`mul_batch`] or [`scale`], which are several times as fast for each.
pub fn mul(a: u128, b: u128) -> u128 {
    on_engine!(engine => engine.mul(a, b))
}

/// `a[i] *= b[i]`. Panics where the lengths differ.
pub fn mul_batch(a: &mut [u128], b: &[u128]) {
    assert_eq!(a.len(), b.len(), "as many factors");
    on_engine!(engine => engine.mul_batch(a, b));
}

/// `a[i] *= k`.
pub fn scale(a: &mut [u128], k: u128) {
    on_engine!(engine => engine.scale(a, k));
}

/// `acc[i] += a[i] * k`. Panics where the lengths differ.
pub fn scale_add(acc: &mut [u128], a: &[u128], k: u128) {
    assert_eq!(acc.len(), a.len(), "as many summands");
    on_engine!(engine => engine.scale_add(acc, a, k));
}

/// The sum of `a[i] * b[i]`, reduced once. Panics where the lengths differ.
pub fn inner_product(a: &[u128], b: &[u128]) -> u128 {
    assert_eq!(a.len(), b.len(), "as many factors");
    on_engine!(engine => engine.inner_product(a, b))
}

/// 1/a, and 0 for 0: a^(2^128 - 2), by 127 squarings.
pub fn inverse(a: u128) -> u128 {
    let (mut square, mut inverse) = (a, 1);
    for _ in 1..128 {
        square = mul(square, square);
        inverse = mul(inverse, square);
    }
    inverse
}

/// The engine that runs here, for people.
pub fn engine() -> &'static str {
    #[cfg(target_arch = "x86_64")]
    if clmul::Clmul::detect().is_some() {
        return "VPCLMULQDQ, four elements at a time";
    }
    "portable, one at a time"
}

/// An implementation, on the calling thread. Lengths were compared.
trait Engine {
    fn mul(&self, a: u128, b: u128) -> u128;
    fn mul_batch(&self, a: &mut [u128], b: &[u128]);
    fn scale(&self, a: &mut [u128], k: u128);
    fn scale_add(&self, acc: &mut [u128], a: &[u128], k: u128);
    fn inner_product(&self, a: &[u128], b: &[u128]) -> u128;
}
