//! The curve y^2 = x^3 + A x + B over GF(p) of GB/T 32918.5, and its map (see [`super::super`]), in limbs of 52 bits. A test
//! holds each to its defining equation.

/// p = 2^256 - 2^224 - 2^96 + 2^64 - 1
pub(super) const P: [u64; 5] = [0xfffffffffffff, 0xff00000000fff, 0xfffffffffffff, 0xfffffffffffff, 0xfffffffeffff];
/// 2^260 mod p: 1 in Montgomery form
pub(super) const ONE: [u64; 5] = [0x10, 0xffffffff0000, 0, 0, 0x100000];
/// 2^520 mod p: a product with it, reduced, is in Montgomery form
pub(super) const INTO: [u64; 5] = [0x20000000300, 0xffffffff00000, 0x100000002, 0x200000001000, 0x4000000];
/// 2^776 mod p: as [`INTO`], for integers that count 2^256-fold
pub(super) const INTO_HIGH: [u64; 5] = [0x120000001600, 0xfffffff800000, 0xc0000000e, 0x90000000a000, 0x1b000000];
/// A = -3, in Montgomery form
pub(super) const A: [u64; 5] = [0xfffffffffffcf, 0xcf00000030fff, 0xfffffffffffff, 0xfffffffffffff, 0xffffffceffff];
/// B = 28e9fa9e..4d940e93, in Montgomery form
pub(super) const B: [u64; 5] = [0x30632bc0dd422, 0xb09b537ab70d2, 0xa51c3c71cf379, 0x2c8527981505e, 0x40fe188da20e];
/// Z = -9 of the map, in Montgomery form
pub(super) const Z: [u64; 5] = [0xfffffffffff6f, 0x6f00000090fff, 0xfffffffffffff, 0xfffffffffffff, 0xffffff6effff];
