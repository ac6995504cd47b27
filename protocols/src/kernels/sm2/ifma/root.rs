//! Powers, inverses and square roots. Where there are N independent vectors, they go side by side: a chain of squarings
//! waits for itself, two chains fill each other's gaps.

use std::arch::x86_64::__mmask8;

use super::field::Fe;

/// The square root x^((p + 1)/4) where there is one, and the lanes where there is.
#[target_feature(enable = "avx512f,avx512dq,avx512vl,avx512ifma")]
pub(super) fn sqrt<const N: usize>(x: &[Fe; N]) -> [(__mmask8, Fe); N] {
    let roots = mul_each(&power_p_minus_3_over_4(x), x);
    let mut answers = [(0, Fe::one()); N];
    for n in 0..N {
        answers[n] = (roots[n].square().equals(&x[n]), roots[n]);
    }
    answers
}

/// `sqrt_ratio` of RFC 9380, appendix F.2.1.2, for Z = -9: the lanes where u/v is a square, and a root of u/v there and of
/// Z u/v elsewhere. v is not 0. A root of -Z is 3.
#[target_feature(enable = "avx512f,avx512dq,avx512vl,avx512ifma")]
pub(super) fn sqrt_ratio<const N: usize>(u: &[Fe; N], v: &[Fe; N]) -> [(__mmask8, Fe); N] {
    let mut uv = *u;
    let mut uv3 = *u;
    for n in 0..N {
        uv[n] = u[n].mul(&v[n]);
        uv3[n] = uv[n].mul(&v[n].square());
    }
    let roots = mul_each(&power_p_minus_3_over_4(&uv3), &uv);

    let mut answers = [(0, Fe::one()); N];
    for n in 0..N {
        let root = roots[n];
        let was_square = root.square().mul(&v[n]).equals(&u[n]);
        let threefold = root.wide().twice().add(&root.wide()).fold();
        answers[n] = (was_square, threefold.select(was_square, &root));
    }
    answers
}

/// The inverse of each, lane by lane, with one power for all vectors (Montgomery's trick). None is 0.
#[target_feature(enable = "avx512f,avx512dq,avx512vl,avx512ifma")]
pub(super) fn invert_each(elements: &[Fe]) -> Vec<Fe> {
    let mut running = Fe::one();
    let mut inverses = Vec::with_capacity(elements.len());
    for element in elements {
        inverses.push(running);
        running = running.mul(element);
    }
    let mut inverse = invert(&running);
    for (element, before) in elements.iter().zip(&mut inverses).rev() {
        *before = inverse.mul(before);
        inverse = inverse.mul(element);
    }
    inverses
}

/// 1/x = x^(p - 2) = (x^((p - 3)/4))^4 x
#[target_feature(enable = "avx512f,avx512dq,avx512vl,avx512ifma")]
pub(super) fn invert(x: &Fe) -> Fe {
    let [power] = power_p_minus_3_over_4(&[*x]);
    power.square().square().mul(x)
}

/// x^((p - 3)/4). In binary the exponent is 31 ones, a zero, 128 ones, 32 zeros, 62 ones; `x_n` is x^(2^n - 1).
#[target_feature(enable = "avx512f,avx512dq,avx512vl,avx512ifma")]
fn power_p_minus_3_over_4<const N: usize>(x: &[Fe; N]) -> [Fe; N] {
    let x_2 = mul_each(&square_times(x, 1), x);
    let x_3 = mul_each(&square_times(&x_2, 1), x);
    let x_6 = mul_each(&square_times(&x_3, 3), &x_3);
    let x_12 = mul_each(&square_times(&x_6, 6), &x_6);
    let x_15 = mul_each(&square_times(&x_12, 3), &x_3);
    let x_30 = mul_each(&square_times(&x_15, 15), &x_15);
    let x_31 = mul_each(&square_times(&x_30, 1), x);
    let x_32 = mul_each(&square_times(&x_31, 1), x);
    let x_62 = mul_each(&square_times(&x_31, 31), &x_31);
    let mut power = square_times(&x_31, 1);
    for _ in 0..4 {
        power = mul_each(&square_times(&power, 32), &x_32);
    }
    mul_each(&square_times(&power, 32 + 62), &x_62)
}

#[target_feature(enable = "avx512f,avx512dq,avx512vl,avx512ifma")]
fn square_times<const N: usize>(x: &[Fe; N], times: usize) -> [Fe; N] {
    let mut x = *x;
    for _ in 0..times {
        for x in &mut x {
            *x = x.square();
        }
    }
    x
}

#[target_feature(enable = "avx512f,avx512dq,avx512vl,avx512ifma")]
fn mul_each<const N: usize>(x: &[Fe; N], y: &[Fe; N]) -> [Fe; N] {
    let mut product = *x;
    for n in 0..N {
        product[n] = x[n].mul(&y[n]);
    }
    product
}
