//! A random permutation that one party knows, and masks before and after it that the other knows (Chase, Ghosh and
//! Poburinnaya 2020, ASIACRYPT, "Secret-shared shuffle", eprint 2019/1340, section 3: "share translation").

use std::sync::Arc;

use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use super::{Correlation, network};
use crate::bits::random_blocks;
use crate::catalogue::Cost;
use crate::error::Result;
use crate::party::Role;
use crate::ring::{Prg, Ring};
use crate::session::Session;
use crate::share::End;
use crate::share::engine::Seat;
use crate::share::transfers::Pair;

/// The owner has a permutation ρ and `out`; the other has masks `into` and `out`, so that the two `out` at row i add up to
/// `into` at row ρ(i).
#[derive(Zeroize, ZeroizeOnDrop)]
pub struct Permuted<R: Ring> {
    pub(in crate::share) permutation: Vec<u32>,
    pub(in crate::share) into: Vec<R>,
    pub(in crate::share) out: Vec<R>,
}

/// Whose permutation, and how large a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PermutedShape {
    /// Who knows the permutation.
    pub owner: Seat,
    /// Rows of the table; below 2^32.
    pub rows: usize,
    /// Words of a row.
    pub columns: usize,
}

impl<R: Ring> Correlation for Permuted<R> {
    type Shape = PermutedShape;
    type Word = R;

    fn draw(shape: &PermutedShape, seat: Seat, prg: &mut Prg) -> Self {
        let words = shape.rows * shape.columns;
        let (permutation, into) = if seat == shape.owner {
            (random_permutation(shape.rows, prg), Vec::new())
        } else {
            (Vec::new(), prg.elements(words))
        };
        let out = if seat == Seat::First { prg.elements(words) } else { Vec::new() };
        Self { permutation, into, out }
    }

    fn correction(shape: &PermutedShape, first: &Self, second: &Self) -> Vec<R> {
        let (owner, other) = if shape.owner == Seat::First { (first, second) } else { (second, first) };
        let mut out = permuted(&owner.permutation, shape.columns, &other.into);
        out.iter_mut().zip(&first.out).for_each(|(out, first)| *out = out.minus(*first));
        out
    }

    fn correction_len(shape: &PermutedShape) -> usize {
        shape.rows * shape.columns
    }

    fn corrected(mut self, _: &PermutedShape, correction: Vec<R>) -> Self {
        self.out = correction;
        self
    }

    fn absent(_: &PermutedShape) -> Self {
        Self { permutation: Vec::new(), into: Vec::new(), out: Vec::new() }
    }

    async fn transfer(pair: &mut Pair, s: &Session, shape: &PermutedShape) -> Result<Self> {
        let PermutedShape { owner, rows, columns } = *shape;
        let transfers = if owner == Seat::First { &mut pair.there } else { &mut pair.back };
        let peer = &transfers.peer;
        let mut prg = Prg::new(random_blocks(1, &mut s.rng("permutation"))[0]);
        match &mut transfers.end {
            End::Receiver(receiver) => {
                let permutation = random_permutation(rows, &mut prg);
                let order = Arc::new(Zeroizing::new(permutation.clone()));
                let out = network::receive(receiver, s, peer, columns, order).await?;
                Ok(Self { permutation, into: Vec::new(), out })
            }
            End::Sender(sender) => {
                let into = prg.elements(rows * columns);
                let out = network::send(sender, s, peer, columns, into.clone()).await?;
                Ok(Self { permutation: Vec::new(), into, out })
            }
        }
    }

    fn transfer_cost(shape: &PermutedShape, seat: Seat) -> Cost {
        let role = if seat == shape.owner { Role::Receiver } else { Role::Sender };
        network::cost::<R>(shape.rows, shape.columns, role)
    }
}

/// Row i is row `permutation[i]` of a table of `columns` words a row.
pub(in crate::share) fn permuted<R: Ring>(permutation: &[u32], columns: usize, table: &[R]) -> Vec<R> {
    if columns == 1 {
        return permutation.iter().map(|row| table[*row as usize]).collect();
    }
    let mut out = Vec::with_capacity(table.len());
    for row in permutation {
        out.extend_from_slice(&table[*row as usize * columns..][..columns]);
    }
    out
}

/// A permutation of `rows`, uniform but for a distance below rows² / 2^128 (Fisher and Yates, from 128 bits for each place).
pub(in crate::share) fn random_permutation(rows: usize, prg: &mut Prg) -> Vec<u32> {
    let mut permutation: Vec<u32> = (0..rows as u32).collect();
    for (n, block) in (1..rows).rev().zip(prg.blocks(rows.saturating_sub(1))) {
        permutation.swap(n, below(block, n as u64 + 1));
    }
    permutation
}

/// A number below `bound`: the uniform block as a fraction of 2^128, times the bound.
fn below(block: u128, bound: u64) -> usize {
    let (high, low, bound) = (block >> 64, block & u128::from(u64::MAX), u128::from(bound));
    ((high * bound + ((low * bound) >> 64)) >> 64) as usize
}
