//! Three functions that leak, by which the check is checked.

use std::hint::black_box;

use super::{Call, Secret};

pub(super) fn branch(secret: &Secret) -> Call {
    call(secret, leaky_branch)
}

pub(super) fn index(secret: &Secret) -> Call {
    call(secret, leaky_index)
}

pub(super) fn division(secret: &Secret) -> Call {
    call(secret, leaky_division)
}

fn call(secret: &Secret, leak: fn(&[u8; 32]) -> u64) -> Call {
    let secret = secret.bytes(0);
    Box::new(move || {
        black_box(leak(&secret));
    })
}

#[inline(never)]
fn leaky_branch(secret: &[u8; 32]) -> u64 {
    let mut sum = 0;
    for byte in secret {
        if black_box(*byte) & 1 == 1 {
            sum = black_box(sum) + 3;
        }
    }
    sum
}

#[inline(never)]
fn leaky_index(secret: &[u8; 32]) -> u64 {
    let table = black_box([7u64; 256]);
    secret.iter().map(|byte| table[usize::from(*byte)]).sum()
}

#[inline(never)]
fn leaky_division(secret: &[u8; 32]) -> u64 {
    secret.iter().map(|byte| black_box(1 << 40) / (u64::from(*byte) + 1)).sum()
}
