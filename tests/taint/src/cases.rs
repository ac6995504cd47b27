//! What is checked, with what is secret in it; and three functions that leak, by which the check is checked.

use std::hint::black_box;

use banyan_protocols::kernels::{ristretto, sm2};

/// How often each case is run.
pub(crate) const SECRETS: u8 = 3;

/// A call with a secret inside.
pub(crate) type Call = Box<dyn FnOnce()>;

/// One kernel, or one leak.
pub(crate) struct Case {
    pub(crate) name: &'static str,
    /// A word of the finding that there must be; `None` where there must be none.
    pub(crate) leaks: Option<&'static str>,
    /// Makes the inputs, of the same sizes whatever the secret. What the call does is compared.
    pub(crate) prepare: fn(&Secret) -> Call,
}

/// Two items: a vector that is not full, or two rounds of the portable engine.
const ITEMS: usize = 2;

pub(crate) const CASES: &[Case] = &[
    Case { name: "leaky branch", leaks: Some("leaky_branch"), prepare: |secret| leak(secret, leaky_branch) },
    Case { name: "leaky index", leaks: Some("leaky_index"), prepare: |secret| leak(secret, leaky_index) },
    Case { name: "leaky division", leaks: Some("leaky_division"), prepare: |secret| leak(secret, leaky_division) },
    Case { name: "ristretto::map_mul_batch", leaks: None, prepare: ristretto_map },
    Case { name: "ristretto::mul_batch", leaks: None, prepare: ristretto_mul },
    Case { name: "sm2::map_mul_batch", leaks: None, prepare: sm2_map },
    Case { name: "sm2::mul_batch", leaks: None, prepare: sm2_mul },
];

/// Scalar and items are secret.
fn ristretto_map(secret: &Secret) -> Call {
    let (wide, uniform) = (secret.bytes(0), secret.items::<64>());
    Box::new(move || {
        let k = ristretto::SecretScalar::from_uniform_bytes(&wide).expect("not zero");
        black_box(ristretto::map_mul_batch(&uniform, &k));
    })
}

/// The scalar is secret, and so are the points, to others than the two parties.
fn ristretto_mul(secret: &Secret) -> Call {
    let blind = ristretto::SecretScalar::from_uniform_bytes(&secret.bytes(1)).expect("not zero");
    let (wide, points) = (secret.bytes(0), ristretto::map_mul_batch(&secret.items(), &blind));
    Box::new(move || {
        let k = ristretto::SecretScalar::from_uniform_bytes(&wide).expect("not zero");
        black_box(ristretto::mul_batch(&points, &k).expect("points"));
    })
}

/// Scalar and items are secret.
fn sm2_map(secret: &Secret) -> Call {
    let (wide, uniform) = (secret.bytes(0), secret.items());
    Box::new(move || {
        let k = sm2::SecretScalar::from_uniform_bytes(&wide).expect("not zero");
        black_box(sm2::map_mul_batch(&uniform, &k));
    })
}

/// The scalar is secret, and so are the points, to others than the two parties.
fn sm2_mul(secret: &Secret) -> Call {
    let blind = sm2::SecretScalar::from_uniform_bytes(&secret.bytes(1)).expect("not zero");
    let (wide, points) = (secret.bytes(0), sm2::map_mul_batch(&secret.items(), &blind));
    Box::new(move || {
        let k = sm2::SecretScalar::from_uniform_bytes(&wide).expect("not zero");
        black_box(sm2::mul_batch(&points, &k).expect("points"));
    })
}

fn leak(secret: &Secret, leak: fn(&[u8; 32]) -> u64) -> Call {
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

/// One of the secrets that each case is run with, as a source of bytes.
pub(crate) struct Secret(u8);

impl Secret {
    pub(crate) fn number(n: u8) -> Self {
        Self(n)
    }

    /// The smallest, the largest, then some without a pattern; `label` tells apart the ones of a case.
    fn bytes<const N: usize>(&self, label: u64) -> [u8; N] {
        match (self.0, label) {
            (0, 0) => std::array::from_fn(|n| u8::from(n == 0 || n + 1 == N)),
            (1, 0) => [0xff; N],
            (number, _) => {
                let mut state = u64::from(number) << 32 | label;
                std::array::from_fn(|_| {
                    // SplitMix64 (Steele, Lea and Flood, OOPSLA 2014)
                    state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
                    let z = (state ^ state >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
                    let z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
                    (z ^ z >> 31) as u8
                })
            }
        }
    }

    fn items<const N: usize>(&self) -> Vec<[u8; N]> {
        (0..ITEMS).map(|n| self.bytes(2 + n as u64)).collect()
    }
}
