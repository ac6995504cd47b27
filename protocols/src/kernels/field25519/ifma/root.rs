//! Powers, inverses and square roots, on N independent vectors side by side: a chain of squarings waits for itself, two
//! chains fill each other's gaps.

use std::arch::x86_64::__mmask8;

use super::field::Fe;

/// The square root of -1 that is not negative, in limbs of radix 2^51
pub(in crate::kernels) const SQRT_M1: [u64; 5] =
    [1718705420411056, 234908883556509, 2233514472574048, 2117202627021982, 765476049583133];

/// 1/x; 0 where x is 0.
#[target_feature(enable = "avx512f,avx512dq,avx512vl,avx512ifma")]
pub(in crate::kernels) fn invert(x: &Fe) -> Fe {
    let x = [*x];
    let (x_250, x_11) = powers(&x);
    mul_each(&square_times(&x_250, 5), &x_11)[0]
}

/// 1/x of each lane of each vector, in place and with one inversion for all (Montgomery's trick); 0 where x is 0. A zero is
/// replaced by one in the running product, so that it does not spread.
#[target_feature(enable = "avx512f,avx512dq,avx512vl,avx512ifma")]
pub(in crate::kernels) fn invert_each(values: &mut [Fe]) {
    let one = Fe::small(1);
    let mut running = one;
    let mut before = Vec::with_capacity(values.len());
    for value in &*values {
        before.push(running);
        running = running.mul(&value.select(value.is_zero(), &one));
    }
    let mut inverse = invert(&running);
    for (value, before) in values.iter_mut().zip(&before).rev() {
        let zero = value.is_zero();
        let this = inverse.mul(before);
        inverse = inverse.mul(&value.select(zero, &one));
        *value = this.select(zero, &Fe::small(0));
    }
}

/// The lanes that are squares other than 0: Euler's x^((p - 1) / 2) = x^(2^254 - 10) is 1 there.
#[target_feature(enable = "avx512f,avx512dq,avx512vl,avx512ifma")]
pub(in crate::kernels) fn is_square<const N: usize>(x: &[Fe; N]) -> [__mmask8; N] {
    let one = Fe::small(1);
    let (x_250, _) = powers(x);
    let x2 = square_times(x, 1);
    let x6 = mul_each(&square_times(&x2, 1), &x2);
    let euler = mul_each(&square_times(&x_250, 4), &x6);
    let mut squares = [0; N];
    for n in 0..N {
        squares[n] = euler[n].equals(&one);
    }
    squares
}

/// `SQRT_RATIO_M1` of RFC 9496, section 4.2: the lanes where u/v is a square, and the root that is not negative, of u/v
/// there and of SQRT_M1 u/v elsewhere; 0 where u or v is.
#[target_feature(enable = "avx512f,avx512dq,avx512vl,avx512ifma")]
pub(in crate::kernels) fn sqrt_ratio<const N: usize>(u: &[Fe; N], v: &[Fe; N]) -> [(__mmask8, Fe); N] {
    let i = Fe::splat(&SQRT_M1);
    let mut u_v3 = *u;
    let mut u_v7 = *u;
    for n in 0..N {
        let v3 = v[n].square().mul(&v[n]);
        let v7 = v3.square().mul(&v[n]);
        u_v3[n] = u[n].mul(&v3);
        u_v7[n] = u[n].mul(&v7);
    }
    let roots = mul_each(&u_v3, &power_p_minus_5_over_8(&u_v7));

    let mut answers = [(0, Fe::small(0)); N];
    for n in 0..N {
        let root = roots[n];
        let check = v[n].mul(&root.square());
        let minus_u = u[n].neg();
        let correct = check.equals(&u[n]);
        let flipped = check.equals(&minus_u);
        let flipped_i = check.equals(&minus_u.mul(&i));
        let root = root.select(flipped | flipped_i, &root.mul(&i));
        answers[n] = (correct | flipped, root.abs());
    }
    answers
}

/// x^((p - 5) / 8) = x^(2^252 - 3)
#[target_feature(enable = "avx512f,avx512dq,avx512vl,avx512ifma")]
fn power_p_minus_5_over_8<const N: usize>(x: &[Fe; N]) -> [Fe; N] {
    let (x_250, _) = powers(x);
    mul_each(&square_times(&x_250, 2), x)
}

/// x^(2^250 - 1) and x^11, by the usual chain; `x_n` is x^(2^n - 1).
#[target_feature(enable = "avx512f,avx512dq,avx512vl,avx512ifma")]
fn powers<const N: usize>(x: &[Fe; N]) -> ([Fe; N], [Fe; N]) {
    let x2 = square_times(x, 1);
    let x9 = mul_each(&square_times(&x2, 2), x);
    let x11 = mul_each(&x9, &x2);
    let x_5 = mul_each(&square_times(&x11, 1), &x9);
    let x_10 = mul_each(&square_times(&x_5, 5), &x_5);
    let x_20 = mul_each(&square_times(&x_10, 10), &x_10);
    let x_40 = mul_each(&square_times(&x_20, 20), &x_20);
    let x_50 = mul_each(&square_times(&x_40, 10), &x_10);
    let x_100 = mul_each(&square_times(&x_50, 50), &x_50);
    let x_200 = mul_each(&square_times(&x_100, 100), &x_100);
    let x_250 = mul_each(&square_times(&x_200, 50), &x_50);
    (x_250, x11)
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
