//! AES-128 (FIPS 197) over many blocks at a time: hashing with fixed keys, tree expansion, hashing under a key per item, and
//! a generator of random blocks.
//!
//! A block is a `u128` whose little-endian bytes are the bytes of FIPS 197 in their order. Time depends on how many blocks
//! there are and on nothing else. Round keys are erased on drop; intermediate values on the stack are not.
//!
//! Fixed-key hashing x ↦ AES_k(x) ^ x is correlation robust where AES under a public random key is modelled as a random
//! permutation: Guo, Katz, Wang and Yu 2020 (IEEE S&P, "Efficient and secure multiparty computation from fixed-key block
//! ciphers", section 4, "MMO"). Its inputs must then be unpredictable to the other party: it is no random oracle.
//! Davies and Meyer's x ↦ AES_k(x) ^ x, with k an item, is one in the ideal cipher model.

mod portable;
#[cfg(target_arch = "x86_64")]
mod vaes;

#[cfg(test)]
mod tests;

use portable::Portable;

/// Counters are encrypted where they will stay, this many at a time: 4 KiB, well inside the first cache.
const COUNTERS: usize = 256;

/// AES-128 under one key.
pub struct Aes128(Keyed);

enum Keyed {
    #[cfg(target_arch = "x86_64")]
    Vaes(vaes::Vaes, vaes::RoundKeys),
    Portable(portable::Key),
}

impl Aes128 {
    /// Expands the key.
    pub fn new(key: u128) -> Self {
        #[cfg(target_arch = "x86_64")]
        if let Some(engine) = vaes::Vaes::detect() {
            let keys = engine.expand(key);
            return Self(Keyed::Vaes(engine, keys));
        }
        Self(Keyed::Portable(Portable.expand(key)))
    }

    /// AES_k(x) for each block, in place.
    pub fn encrypt(&self, blocks: &mut [u128]) {
        match &self.0 {
            #[cfg(target_arch = "x86_64")]
            Keyed::Vaes(engine, keys) => engine.encrypt(keys, blocks),
            Keyed::Portable(key) => Portable.encrypt(key, blocks),
        }
    }

    /// AES_k(x) ^ x for each block, in place.
    pub fn mmo(&self, blocks: &mut [u128]) {
        match &self.0 {
            #[cfg(target_arch = "x86_64")]
            Keyed::Vaes(engine, keys) => engine.mmo(keys, blocks),
            Keyed::Portable(key) => Portable.mmo(key, blocks),
        }
    }
}

/// Two fixed keys, which make two children of each node of a tree (Goldreich, Goldwasser and Micali).
pub struct Doubling {
    left: Aes128,
    right: Aes128,
}

impl Doubling {
    /// Keys for the first and the second child.
    pub fn new(left: u128, right: u128) -> Self {
        Self { left: Aes128::new(left), right: Aes128::new(right) }
    }

    /// The children of node i are `children[2 * i]` = AES_left(x) ^ x and `children[2 * i + 1]` = AES_right(x) ^ x. Panics
    /// where there are not twice as many children as parents.
    pub fn expand(&self, parents: &[u128], children: &mut [u128]) {
        assert_eq!(children.len(), 2 * parents.len(), "two children per parent");
        match (&self.left.0, &self.right.0) {
            #[cfg(target_arch = "x86_64")]
            (Keyed::Vaes(engine, left), Keyed::Vaes(_, right)) => engine.double([left, right], parents, children),
            (Keyed::Portable(left), Keyed::Portable(right)) => Portable.double([left, right], parents, children),
            #[cfg(target_arch = "x86_64")]
            _ => unreachable!("one engine per process"),
        }
    }
}

/// AES_k(x) ^ x for each block x and the key k at its place, in place: the hash of Davies and Meyer with its own key per
/// item. Panics where the lengths differ.
pub fn davies_meyer(keys: &[u128], blocks: &mut [u128]) {
    assert_eq!(keys.len(), blocks.len(), "a key per block");
    #[cfg(target_arch = "x86_64")]
    if let Some(engine) = vaes::Vaes::detect() {
        return engine.davies_meyer(keys, blocks);
    }
    Portable.davies_meyer(keys, blocks);
}

/// Blocks `first..` of the stream of `seed`: block i is AES_seed(i), as in counter mode. What a seed gives is
/// indistinguishable from random for up to 2^48 blocks (with advantage 2^-33, by the switching lemma).
pub fn prg(seed: u128, first: u64, out: &mut [u128]) {
    let aes = Aes128::new(seed);
    let mut counter = u128::from(first);
    for blocks in out.chunks_mut(COUNTERS) {
        for block in &mut *blocks {
            *block = counter;
            counter += 1;
        }
        aes.encrypt(blocks);
    }
}

/// The engine that runs here, for people.
pub fn engine() -> &'static str {
    #[cfg(target_arch = "x86_64")]
    if vaes::Vaes::detect().is_some() {
        return "VAES, four blocks at a time";
    }
    "portable"
}

/// An implementation, on the calling thread. Lengths were compared.
trait Engine {
    /// An expanded key, erased on drop.
    type Key;

    fn expand(&self, key: u128) -> Self::Key;
    fn encrypt(&self, key: &Self::Key, blocks: &mut [u128]);
    fn mmo(&self, key: &Self::Key, blocks: &mut [u128]);
    fn double(&self, keys: [&Self::Key; 2], parents: &[u128], children: &mut [u128]);
    fn davies_meyer(&self, keys: &[u128], blocks: &mut [u128]);
}
