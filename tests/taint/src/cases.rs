//! What is checked, and the secrets that it is run with.

mod blocks;
mod groups;
mod leaks;

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

/// Everything. The longest come first, so that cores end together.
pub(crate) const CASES: &[Case] = &[
    Case { name: "leaky branch", leaks: Some("leaky_branch"), prepare: leaks::branch },
    Case { name: "leaky index", leaks: Some("leaky_index"), prepare: leaks::index },
    Case { name: "leaky division", leaks: Some("leaky_division"), prepare: leaks::division },
    Case { name: "sm2::map_mul_batch", leaks: None, prepare: groups::sm2_map },
    Case { name: "sm2::mul_batch", leaks: None, prepare: groups::sm2_mul },
    Case { name: "curve25519::map_mul_batch", leaks: None, prepare: groups::curve25519_map },
    Case { name: "curve25519::mul_batch", leaks: None, prepare: groups::curve25519_mul },
    Case { name: "ristretto::map_mul_batch", leaks: None, prepare: groups::ristretto_map },
    Case { name: "ristretto::mul_batch", leaks: None, prepare: groups::ristretto_mul },
    Case { name: "aes", leaks: None, prepare: blocks::aes },
    Case { name: "gf128", leaks: None, prepare: blocks::gf128_products },
    Case { name: "transpose", leaks: None, prepare: blocks::transposition },
    Case { name: "pprf::grow", leaks: None, prepare: blocks::forest },
    Case { name: "pprf::grow_punctured", leaks: None, prepare: blocks::punctured_forest },
    Case { name: "lpn", leaks: None, prepare: blocks::linear_code },
    Case { name: "okvs", leaks: None, prepare: blocks::okvs_values },
];

/// Two items: a vector that is not full, or two rounds of the portable engine.
const ITEMS: usize = 2;

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
                let mut state = u64::from(number) << 56 | label;
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

    fn blocks(&self, label: u64, n: usize) -> Vec<u128> {
        (0..n as u64).map(|block| u128::from_le_bytes(self.bytes(label << 32 | block))).collect()
    }
}
