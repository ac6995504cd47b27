//! The oblivious pseudorandom function of RFC 9497, mode OPRF, suite ristretto255-SHA512, over batches; its outputs cut to tags.
//!
//! One blind serves a whole batch of inputs, where the RFC draws one for each: the blinded elements are then random to whoever
//! cannot decide DDH in ristretto255, the assumption that everything here stands on, and not to everybody. A blind is never
//! used for two batches of queries.

use std::sync::atomic::{AtomicU64, Ordering};

use rand_core::CryptoRng;
use sha2::{Digest, Sha256, Sha512};
use zeroize::Zeroizing;

use super::Epoch;
use crate::error::Fault;
use crate::items::{ITEM_MAX, Items};
use crate::kernels::ristretto::{SecretScalar, map_mul_batch};
use crate::suite::group::{Element, Group, Ristretto255};
use crate::suite::xmd::{Expander, expand_message_xmd};

/// What the server's tag of an item and the client's have in common: the first 12 bytes of the function's output.
///
/// Two different items share one with probability 2^-96 (random oracle), so that all queries of an epoch together meet a false
/// match with probability at most `queries * tags * 2^-96`: 2^-64 for 2^12 against 2^20, 2^-40 for two bands of 2^28.
pub type Tag = [u8; 12];

/// `contextString` of RFC 9497, section 3.1, behind what it is for.
const HASH_TO_GROUP: &[u8] = b"HashToGroup-OPRFV1-\0-ristretto255-SHA512";
const DERIVE_KEY_PAIR: &[u8] = b"DeriveKeyPairOPRFV1-\0-ristretto255-SHA512";
const MARKS: &[u8] = b"banyan/unbalanced/marks/v1\0";
const ALL: &[u8] = b"banyan/unbalanced/set/v1\0";

/// Bytes of items that are hashed at once: a call of the hash costs as much as an item.
const HASHED: usize = 16 << 10;

/// What the server knows an item by that it has tagged. Two different items share one with probability 2^-128: 2^-72 among
/// 2^28.
pub(super) type Mark = [u8; 16];

/// The key of an epoch.
pub struct EpochKey {
    k: SecretScalar,
    /// The key of the marks, which never leave the server.
    marks: Zeroizing<[u8; 32]>,
}

impl EpochKey {
    /// The key that 32 secret bytes give for an epoch: `DeriveKeyPair` of section 3.2.1, with the epoch as `info`. Whoever
    /// was told of another epoch, or of another expiry, finds no matches.
    pub fn derive(seed: &[u8; 32], epoch: &Epoch) -> Self {
        Self::derive_from(seed, &epoch.to_bytes())
    }

    /// A key that is used once and kept nowhere.
    pub(super) fn random<R: CryptoRng + ?Sized>(rng: &mut R) -> Self {
        let mut marks = Zeroizing::new([0; 32]);
        rng.fill_bytes(marks.as_mut_slice());
        Self { k: SecretScalar::random(rng), marks }
    }

    fn derive_from(seed: &[u8; 32], info: &[u8]) -> Self {
        let length = (info.len() as u16).to_be_bytes();
        for counter in 0..=u8::MAX {
            let wide =
                Zeroizing::new(expand_message_xmd::<Sha512, 64>(&[seed, &length, info, &[counter]], DERIVE_KEY_PAIR));
            if let Some(key) = SecretScalar::from_uniform_bytes(&wide) {
                let marks = Sha256::new_with_prefix(MARKS).chain_update(seed).chain_update(info).finalize();
                return Self { k: key, marks: Zeroizing::new(marks.into()) };
            }
        }
        unreachable!("256 hashes in a row that are multiples of the order")
    }

    /// `BlindEvaluate` of section 3.3.1; `first` is the position of the first element in the client's stream.
    ///
    /// # Errors
    /// [`Fault::Allowance`] where more is asked than is left, and then nothing is taken from it; or [`Fault`] names the first
    /// that is no element, or the identity. Both before the key is used.
    pub fn evaluate(&self, blinded: &[Element], first: u64, allowance: &Allowance) -> Result<Vec<Element>, Fault> {
        allowance.take(blinded.len() as u64)?;
        Ristretto255::raise(blinded, first, &self.k)
    }

    /// The tags of inputs, by their owner who has the key: `Evaluate` of section 3.3.1.
    pub(super) fn tags(&self, inputs: &[Input]) -> Vec<Tag> {
        let evaluated = map_mul_batch(&uniform(inputs), &self.k);
        inputs.iter().zip(&evaluated).map(|(input, element)| input.tag(element)).collect()
    }

    /// The mark of an item. The key comes first and has one length, and what is behind it is cut: no length can be extended.
    pub(super) fn mark(&self, item: &[u8]) -> Mark {
        let hash: [u8; 32] = Sha256::new_with_prefix(self.marks.as_slice()).chain_update(item).finalize().into();
        std::array::from_fn(|n| hash[n])
    }

    /// The mark of a whole set, in its order: cheaper than those of its items, for a set that did not change.
    pub(super) fn mark_all(&self, items: &Items) -> [u8; 32] {
        let mut hash = Sha256::new_with_prefix(ALL);
        hash.update(self.marks.as_slice());
        let mut waiting = Zeroizing::new(Vec::with_capacity(HASHED + ITEM_MAX));
        for item in items.iter() {
            waiting.extend_from_slice(&(item.len() as u64).to_le_bytes());
            waiting.extend_from_slice(item);
            if waiting.len() >= HASHED {
                hash.update(&*waiting);
                waiting.clear();
            }
        }
        hash.chain_update(&*waiting).finalize().into()
    }
}

/// How many queries may still be answered. Who must keep count over a restart stores what is left before it answers.
#[derive(Debug)]
pub struct Allowance(AtomicU64);

impl Allowance {
    /// Of so many queries.
    pub const fn of(queries: u64) -> Self {
        Self(AtomicU64::new(queries))
    }

    /// How many are left.
    pub fn left(&self) -> u64 {
        self.0.load(Ordering::Acquire)
    }

    fn take(&self, queries: u64) -> Result<(), Fault> {
        let less = self.0.fetch_update(Ordering::AcqRel, Ordering::Acquire, |left| left.checked_sub(queries));
        less.map(drop).map_err(|left| Fault::Allowance { left })
    }
}

/// A client's blind for one batch of queries, and its inverse.
pub(super) struct Blind {
    blind: SecretScalar,
    inverse: SecretScalar,
}

impl Blind {
    /// A fresh one.
    pub(super) fn random<R: CryptoRng + ?Sized>(rng: &mut R) -> Self {
        Self::new(SecretScalar::random(rng))
    }

    fn new(blind: SecretScalar) -> Self {
        let inverse = blind.inverse();
        Self { blind, inverse }
    }

    /// `Blind` of section 3.3.1.
    pub(super) fn blind(&self, inputs: &[Input]) -> Vec<Element> {
        map_mul_batch(&uniform(inputs), &self.blind)
    }

    /// `Finalize` of section 3.3.1; `first` is the position of the first element in the server's stream.
    ///
    /// # Errors
    /// [`Fault`] names the first that is no element, or the identity.
    pub(super) fn finalize(&self, inputs: &[Input], evaluated: &[Element], first: u64) -> Result<Vec<Tag>, Fault> {
        let unblinded = Ristretto255::raise(evaluated, first, &self.inverse)?;
        Ok(inputs.iter().zip(&unblinded).map(|(input, element)| input.tag(element)).collect())
    }
}

/// An input on its way through the function.
pub(super) struct Input {
    uniform: Zeroizing<[u8; 64]>,
    /// The beginning of `hashInput`.
    begun: Sha512,
}

impl Input {
    /// What makes inputs from items in parts, of at most 65535 bytes.
    pub(super) fn maker() -> impl Fn(&[&[u8]]) -> Self {
        let domain = Expander::<Sha512>::new(HASH_TO_GROUP);
        move |parts| {
            let length: usize = parts.iter().map(|part| part.len()).sum();
            let begun = Sha512::new_with_prefix((length as u16).to_be_bytes());
            Self {
                uniform: Zeroizing::new(domain.expand(parts)),
                begun: parts.iter().fold(begun, |hash, part| hash.chain_update(part)),
            }
        }
    }

    fn output(&self, unblinded: &Element) -> [u8; 64] {
        let length = (size_of::<Element>() as u16).to_be_bytes();
        self.begun.clone().chain_update(length).chain_update(unblinded).chain_update(b"Finalize").finalize().into()
    }

    fn tag(&self, unblinded: &Element) -> Tag {
        let output = self.output(unblinded);
        std::array::from_fn(|n| output[n])
    }
}

fn uniform(inputs: &[Input]) -> Zeroizing<Vec<[u8; 64]>> {
    Zeroizing::new(inputs.iter().map(|input| *input.uniform).collect())
}

#[cfg(test)]
mod tests {
    use data_encoding::HEXLOWER;

    use super::*;

    const VECTORS: &str = include_str!("../../../vectors/rfc9497-oprf.txt");

    fn hex<const N: usize>(text: &str) -> [u8; N] {
        HEXLOWER.decode(text.as_bytes()).unwrap().try_into().unwrap()
    }

    /// From seed and input to the output, through every message.
    #[test]
    fn the_function_is_the_standards() {
        let mut count = 0;
        for line in VECTORS.lines().filter(|line| !line.starts_with('#')) {
            let fields: Vec<_> = line.split(' ').collect();
            let [seed, info, input, blind, blinded, evaluated, output] = fields[..] else { panic!("{line}") };
            let key = EpochKey::derive_from(&hex(seed), &HEXLOWER.decode(info.as_bytes()).unwrap());
            let mut wide = [0; 64];
            wide[..32].copy_from_slice(&hex::<32>(blind));
            let blind = Blind::new(SecretScalar::from_uniform_bytes(&wide).unwrap());

            let input = HEXLOWER.decode(input.as_bytes()).unwrap();
            let (head, tail) = input.split_at(input.len() / 2);
            let inputs = [Input::maker()(&[head, tail])];
            assert_eq!(blind.blind(&inputs), [hex(blinded)]);
            assert_eq!(key.evaluate(&[hex(blinded)], 0, &Allowance::of(1)), Ok(vec![hex(evaluated)]));
            let unblinded = Ristretto255::raise(&[hex(evaluated)], 0, &blind.inverse).unwrap();
            assert_eq!(inputs[0].output(&unblinded[0]), hex(output));

            let tag = vec![hex::<12>(&output[..24])];
            assert_eq!(blind.finalize(&inputs, &[hex(evaluated)], 0), Ok(tag.clone()));
            assert_eq!(key.tags(&inputs), tag);
            count += 1;
        }
        assert_eq!(count, 2);
    }

    #[test]
    fn nothing_is_answered_beyond_what_was_approved() {
        let key = EpochKey::derive_from(&[1; 32], b"");
        let blind = Blind::new(SecretScalar::from_uniform_bytes(&[7; 64]).unwrap());
        let asked = blind.blind(&[0u8, 1, 2].map(|byte| Input::maker()(&[&[byte]])));
        let allowance = Allowance::of(5);
        assert_eq!(key.evaluate(&asked, 0, &allowance).map(|answers| answers.len()), Ok(3));
        assert_eq!(key.evaluate(&asked, 3, &allowance), Err(Fault::Allowance { left: 2 }));
        assert_eq!(key.evaluate(&asked[..2], 3, &allowance).map(|answers| answers.len()), Ok(2));
        assert_eq!(key.evaluate(&asked[..1], 5, &allowance), Err(Fault::Allowance { left: 0 }));
        // Bad ones count too: who sends them is not given them back.
        let allowance = Allowance::of(4);
        assert_eq!(key.evaluate(&[asked[0], [0; 32]], 6, &allowance), Err(Fault::Identity { index: 7 }));
        assert_eq!(allowance.left(), 2);
    }
}
