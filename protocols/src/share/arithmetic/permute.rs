//! Rows of a shared table in another order, which one party knows, or nobody.
//!
//! ```text
//! owner, π                                         other
//!
//! deal       ρ, Δ = ρ(a) - b                       a, b
//!            σ with ρ then σ = π               ──→ σ                        a uniform permutation
//!            u                                 ←── u = v_other - a
//! output     σ(ρ(v_owner + u) + Δ)                 σ(b)
//! ```
//!
//! The owner reads rows in its order, so that its memory accesses follow from it; what is said does not.
//!
//! **Sources.** Chase, Ghosh and Poburinnaya 2020 (ASIACRYPT, "Secret-shared shuffle", eprint 2019/1340), with the correlation
//! dealt or from transfers, and a random permutation corrected to the wanted one.

use std::sync::Arc;

use crate::error::{Fault, Result};
use crate::ring::Ring;
use crate::share::correlation::{Permuted, PermutedShape, permuted};
use crate::share::{Engine, Matrix, Seat, Shares};

/// The table with row i being row π(i) of `table`, for a permutation π that `owner` brings: one round. The owner says 4 bytes
/// a row, the other the table.
///
/// To gather some rows, a permutation brings them to the front, and the rest is cut off. π is looked at where its owner is only,
/// and a π that is none ends the run there, as a defect.
///
/// # Errors
/// [`crate::error::Error::Deviation`] names a peer or a helper that breaks the protocol.
pub async fn permute<R: Ring>(
    e: &mut Engine,
    owner: Seat,
    wanted: Option<Arc<Vec<u32>>>,
    table: &Matrix<R>,
) -> Result<Matrix<R>> {
    let rows = table.rows;
    if table.columns == 0 {
        return Ok(table.clone()); // rows of nothing are the same in any order
    }
    let t = deal(e, owner, table).await?;
    let difference = match wanted {
        Some(wanted) if e.seat() == owner => {
            let t = t.clone();
            e.job(move || after(&t.permutation, &wanted)).await?
        }
        _ => None,
    };
    let packed = difference.as_ref().map(|difference| pack::<R>(difference)).unwrap_or_default();
    let said = packed_len::<R>(rows);
    let heard = apply_part(e, owner, said, packed, &t, table).await?;
    let difference = match difference {
        None if e.computes() => unpack(&heard.words, rows).ok_or_else(|| e.peer_deviation(NO_PERMUTATION))?,
        difference => difference.unwrap_or_default(),
    };
    let entries = heard.entries;
    let columns = table.columns;
    let turned = e.local(rows * columns, move || permuted(&difference, columns, entries.values()));
    Ok(Matrix::new(rows, columns, turned.await?))
}

/// The table in an order that nobody knows: two rounds, the table each way once.
///
/// # Errors
/// As [`permute`].
pub async fn shuffle<R: Ring>(e: &mut Engine, table: &Matrix<R>) -> Result<Matrix<R>> {
    let mut table = table.clone();
    if table.columns == 0 {
        return Ok(table);
    }
    for owner in [Seat::First, Seat::Second] {
        let t = deal(e, owner, &table).await?;
        let entries = apply_part(e, owner, 0, Vec::new(), &t, &table).await?.entries;
        table = Matrix::new(table.rows, table.columns, entries);
    }
    Ok(table)
}

const NO_PERMUTATION: Fault = Fault::Check { check: "permutation" };

struct Applied<R: Ring> {
    /// What the owner said to the other.
    words: Vec<R>,
    entries: Shares<R>,
}

async fn deal<R: Ring>(e: &mut Engine, owner: Seat, table: &Matrix<R>) -> Result<Arc<Permuted<R>>> {
    Ok(Arc::new(e.deal(PermutedShape { owner, rows: table.rows, columns: table.columns }).await?))
}

/// The table in the order of ρ; and `said` words that the owner says in the same round.
async fn apply_part<R: Ring>(
    e: &mut Engine,
    owner: Seat,
    said: usize,
    words: Vec<R>,
    t: &Arc<Permuted<R>>,
    table: &Matrix<R>,
) -> Result<Applied<R>> {
    let (columns, entries) = (table.columns, table.entries.clone());
    let lens = if owner == Seat::First { [said, entries.len()] } else { [entries.len(), said] };
    if e.seat() == owner {
        let u = e.swap(lens, Arc::new(words)).await?;
        let t = t.clone();
        let entries = e.local(entries.len(), move || {
            let sum: Vec<R> = entries.values().iter().zip(&u).map(|(v, u)| v.plus(*u)).collect();
            let mut out = permuted(&t.permutation, columns, &sum);
            out.iter_mut().zip(&t.out).for_each(|(out, delta)| *out = out.plus(*delta));
            out
        });
        return Ok(Applied { words: Vec::new(), entries: entries.await? });
    }
    let masked = {
        let t = t.clone();
        let entries = entries.clone();
        e.job(move || entries.values().iter().zip(&t.into).map(|(v, a)| v.minus(*a)).collect::<Vec<R>>()).await?
    };
    let words = e.swap(lens, Arc::new(masked.unwrap_or_default())).await?;
    let t = t.clone();
    Ok(Applied { words, entries: e.local(entries.len(), move || t.out.clone()).await? })
}

/// σ = ρ⁻¹ ∘ π, so that row σ(i) of what ρ ordered is row π(i) of the table.
fn after(rho: &[u32], pi: &[u32]) -> Vec<u32> {
    assert_eq!(rho.len(), pi.len(), "a place for each row");
    let mut inverse = vec![0; rho.len()];
    rho.iter().enumerate().for_each(|(n, row)| inverse[*row as usize] = n as u32);
    let sigma: Vec<u32> = pi.iter().map(|row| inverse[*row as usize]).collect();
    assert!(is_permutation(&sigma), "an order in which each row has one place");
    sigma
}

fn is_permutation(rows: &[u32]) -> bool {
    let mut seen = vec![false; rows.len()];
    rows.iter().all(|row| seen.get_mut(*row as usize).is_some_and(|seen| !std::mem::replace(seen, true)))
}

/// Numbers of 32 bits as elements of the ring.
fn pack<R: Ring>(numbers: &[u32]) -> Vec<R> {
    let block = |four: &[u32]| four.iter().rev().fold(0, |block, number| block << 32 | u128::from(*number));
    let blocks: Vec<u128> = numbers.chunks(4).map(block).collect();
    let mut words = Vec::new();
    R::from_blocks(&blocks, &mut words);
    words.truncate(packed_len::<R>(numbers.len()));
    words
}

fn packed_len<R: Ring>(count: usize) -> usize {
    (4 * count).div_ceil(R::BYTES)
}

/// What [`pack`] packed, if it is a permutation.
fn unpack<R: Ring>(words: &[R], count: usize) -> Option<Vec<u32>> {
    let per_word = R::BYTES / 4;
    let number = |n: usize| words[n / per_word].shr((n % per_word * 32) as u32).low() as u32;
    let numbers: Vec<u32> = (0..count).map(number).collect();
    is_permutation(&numbers).then_some(numbers)
}
