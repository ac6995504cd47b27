//! How values come to be shared.

use super::{Engine, Seat};
use crate::bits::Bits;
use crate::ring::Ring;
use crate::share::shares::{BitShares, Shares};

impl Engine {
    /// Shares of public numbers.
    pub fn public<R: Ring>(&self, values: &[R]) -> Shares<R> {
        match self.seat {
            Seat::First => Shares::new(values.to_vec()),
            Seat::Second => Shares::new(vec![R::ZERO; values.len()]),
            Seat::Helper => Shares::absent(values.len()),
        }
    }

    /// Shares of `len` numbers that the party at `owner` has, in `values`; the other has none of them. Costs nothing: the
    /// owner's share is the number. Every share that is ever sent is masked or an output, so this is as good as a random
    /// one between two parties; a third one must get [`Engine::refresh`]ed shares.
    pub fn input<R: Ring>(&self, owner: Seat, len: usize, values: Option<Vec<R>>) -> Shares<R> {
        match values {
            Some(values) if owner == self.seat => {
                assert_eq!(values.len(), len, "as many numbers as agreed");
                Shares::new(values)
            }
            _ if self.computes() => {
                assert!(owner != self.seat, "its owner brings what is its");
                Shares::new(vec![R::ZERO; len])
            }
            _ => Shares::absent(len),
        }
    }

    /// As [`Engine::input`], for bits.
    pub fn input_bits(&self, owner: Seat, len: usize, bits: Option<Bits>) -> BitShares {
        match bits {
            Some(bits) if owner == self.seat => {
                assert_eq!(bits.len(), len, "as many bits as agreed");
                BitShares::new(bits)
            }
            _ if self.computes() => {
                assert!(owner != self.seat, "its owner brings what is its");
                BitShares::new(Bits::zeros(len))
            }
            _ => BitShares::absent(len),
        }
    }

    /// Each bit the other way.
    pub fn not(&self, x: &BitShares) -> BitShares {
        let ones = Bits::from_blocks(vec![u128::MAX; x.len().div_ceil(128)], x.len());
        x ^ &self.input_bits(Seat::First, x.len(), (self.seat == Seat::First).then_some(ones))
    }

    /// The same numbers in fresh shares: for who gets both parties' shares, and would learn more from them than the numbers
    /// where they were [`Engine::input`] or followed from it.
    pub fn refresh<R: Ring>(&mut self, x: &Shares<R>) -> Shares<R> {
        let masks: Vec<R> = self.coins().elements(x.len());
        match self.seat {
            Seat::First => x + &Shares::new(masks),
            Seat::Second => x - &Shares::new(masks),
            Seat::Helper => x.clone(),
        }
    }
}
