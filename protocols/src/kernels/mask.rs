//! Masks of secret bits: all ones or all zeros, to choose with instead of a branch.
//!
//! An optimiser that knows what a mask is made of comes to load from one of two addresses, or to jump over what changes
//! nothing: the taint check found both in release builds. So [`black_box`] hides it here, and code that chooses by a
//! secret bit takes its mask from here, or chooses with `subtle`. That is a hint to the compiler and no guarantee: where the
//! taint check looks, it has the last word.

use std::hint::black_box;

/// Numbers that are compared with a secret one at a time.
pub(crate) const TOGETHER: usize = 8;

/// All ones where the lowest bit of `number` is 1, else zero.
#[inline]
pub(crate) fn mask(number: u8) -> u64 {
    black_box(u64::from(number & 1).wrapping_neg())
}

/// As [`mask`], for a block.
#[inline]
pub(crate) fn mask_block(number: u8) -> u128 {
    twice(mask(number))
}

/// For each of the next numbers from `first`: all ones where it is the secret `at`, else zero.
#[inline(always)]
pub(crate) fn masks_at(first: usize, at: u32) -> [u128; TOGETHER] {
    let halves: [u64; TOGETHER] =
        std::array::from_fn(|n| (u64::from((first + n) as u32 ^ at).wrapping_sub(1) >> 63).wrapping_neg());
    black_box(halves).map(twice)
}

/// A mask from its half: hiding halves is faster than hiding all.
fn twice(half: u64) -> u128 {
    u128::from(half) << 64 | u128::from(half)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mask_is_of_the_lowest_bit_alone() {
        for number in 0..=u8::MAX {
            let set = number % 2 == 1;
            assert_eq!(mask(number), if set { u64::MAX } else { 0 });
            assert_eq!(mask_block(number), if set { u128::MAX } else { 0 });
        }
    }

    #[test]
    fn one_place_is_marked_and_no_other() {
        for at in [0, 1, 7, 8, 9, 1 << 31, u32::MAX] {
            for first in [0, 8, (1 << 31) - 3, u32::MAX as usize - 7] {
                let expected = std::array::from_fn(|n| if first + n == at as usize { u128::MAX } else { 0 });
                assert_eq!(masks_at(first, at), expected, "{at} from {first}");
            }
        }
    }
}
