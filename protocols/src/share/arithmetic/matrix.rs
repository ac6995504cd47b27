//! Products of matrices on shares: of two shared ones, and of one that a party holds, whose mask is opened once for all of
//! its products (Mohassel and Zhang 2017, IEEE S&P, "SecureML", section 4.1).
//!
//! ```text
//! holder, X and a share of W                         other, a share of W
//!
//! hold      D = X - A                            ──→ D                                   once
//! times                                          ←── E = W_other - B
//!           X (W_holder + E) + [A·B]                 D·B + [A·B]
//! ```

use std::ops::Range;
use std::sync::Arc;

use zeroize::Zeroizing;

use crate::error::Result;
use crate::ring::{self, Ring};
use crate::share::correlation::{Held, HeldShape, Mask, MaskShape, MatrixShape, MatrixTriple};
use crate::share::{Engine, Matrix, Seat, Shares};

/// x·y, where x is m x k and y is k x n: one round. Not cut: see [`super::truncate`].
///
/// # Errors
/// [`crate::error::Error::Deviation`] names a peer or a helper that breaks the protocol.
pub async fn matmul<R: Ring>(e: &mut Engine, x: &Matrix<R>, y: &Matrix<R>) -> Result<Matrix<R>> {
    assert_eq!(x.columns, y.rows, "matrices that fit");
    let sizes = MatrixShape { rows: x.rows, inner: x.columns, columns: y.columns };
    let t = Arc::new(e.deal::<MatrixTriple<R>>(sizes).await?);
    let (left, right) = (x.entries.len(), y.entries.len());
    let masked = {
        let (x, y, t) = (x.entries.clone(), y.entries.clone(), t.clone());
        e.job(move || {
            let hide = |(value, mask): (&R, &R)| value.minus(*mask);
            x.values().iter().zip(&t.a).chain(y.values().iter().zip(&t.b)).map(hide).collect::<Vec<R>>()
        })
    };
    let mine = Arc::new(masked.await?.unwrap_or_default());
    let theirs = e.exchange(left + right, mine.clone()).await?;
    let first = e.seat() == Seat::First;
    let entries = e.local(sizes.rows * sizes.columns, move || {
        let opened: Vec<R> = mine.iter().zip(&theirs).map(|(mine, theirs)| mine.plus(*theirs)).collect();
        let (d, f) = opened.split_at(left);
        // xy = d·(b + f) + a·f + c, where the first party has the public product
        let b: Vec<R> = if first { t.b.iter().zip(f).map(|(b, f)| b.plus(*f)).collect() } else { t.b.clone() };
        let product = |a: &[R], b: &[R]| ring::matmul(sizes.rows, sizes.inner, sizes.columns, a, b);
        let terms = product(d, &b).into_iter().zip(product(&t.a, f)).zip(&t.c);
        terms.map(|((db, af), c)| db.plus(af).plus(*c)).collect()
    });
    Ok(Matrix::new(sizes.rows, sizes.columns, entries.await?))
}

/// The sum of x·y over all pairs: one round. Not cut.
///
/// # Errors
/// As [`matmul`].
pub async fn dot<R: Ring>(e: &mut Engine, x: &Shares<R>, y: &Shares<R>) -> Result<Shares<R>> {
    let (x, y) = (Matrix::new(1, x.len(), x.clone()), Matrix::new(y.len(), 1, y.clone()));
    Ok(matmul(e, &x, &y).await?.entries)
}

/// A matrix that one party holds in the clear, ready for products with shared ones. A shared matrix is two of them.
#[derive(Clone)]
pub struct HeldMatrix<R: Ring> {
    owner: Seat,
    rows: usize,
    columns: usize,
    /// The matrix at its owner; masked, at the other.
    values: Arc<Zeroizing<Vec<R>>>,
    /// At the owner and at the helper.
    mask: Arc<Zeroizing<Vec<R>>>,
}

impl<R: Ring> HeldMatrix<R> {
    /// Sends the masked matrix over: one round, its entries one way. `values` are the entries row by row, at the owner.
    ///
    /// # Errors
    /// [`crate::error::Error::Deviation`] names a peer or a helper that breaks the protocol.
    pub async fn hold(
        e: &mut Engine,
        owner: Seat,
        rows: usize,
        columns: usize,
        values: Option<Vec<R>>,
    ) -> Result<Self> {
        let mut dealt = e.deal::<Mask<R>>(MaskShape { owner, entries: rows * columns }).await?;
        let mask = Arc::new(Zeroizing::new(std::mem::take(&mut dealt.mask)));
        let own = Arc::new(Zeroizing::new(values.unwrap_or_default()));
        let masked = if e.seat() == owner {
            assert_eq!(own.len(), rows * columns, "as many entries as agreed");
            let (own, mask) = (own.clone(), mask.clone());
            e.job(move || own.iter().zip(mask.iter()).map(|(x, a)| x.minus(*a)).collect::<Vec<R>>()).await?
        } else {
            None
        };
        let received = e.tell(owner, rows * columns, Arc::new(masked.unwrap_or_default())).await?;
        let values = if e.seat() == owner { own } else { Arc::new(Zeroizing::new(received)) };
        Ok(Self { owner, rows, columns, values, mask })
    }

    /// How many rows.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// How many columns.
    pub fn columns(&self) -> usize {
        self.columns
    }

    /// Some of the rows, such as a batch: nothing is said.
    #[must_use]
    pub fn slice(&self, rows: Range<usize>) -> Self {
        let take = |all: &Arc<Zeroizing<Vec<R>>>| {
            let part = all.get(rows.start * self.columns..rows.end * self.columns);
            Arc::new(Zeroizing::new(part.unwrap_or_default().to_vec()))
        };
        Self { rows: rows.len(), values: take(&self.values), mask: take(&self.mask), ..*self }
    }

    /// Rows and columns exchanged: nothing is said.
    #[must_use]
    pub fn transposed(&self) -> Self {
        let turn = |all: &Arc<Zeroizing<Vec<R>>>| {
            let held = !all.is_empty();
            Arc::new(Zeroizing::new(if held { ring::transposed(self.rows, self.columns, all) } else { Vec::new() }))
        };
        let (values, mask) = (turn(&self.values), turn(&self.mask));
        Self { rows: self.columns, columns: self.rows, values, mask, ..*self }
    }

    /// This matrix times a shared one: one round, the entries of `w` one way. Not cut.
    ///
    /// # Errors
    /// As [`matmul`].
    pub async fn times(&self, e: &mut Engine, w: &Matrix<R>) -> Result<Matrix<R>> {
        assert_eq!(self.columns, w.rows, "matrices that fit");
        let (owner, other) = match self.owner {
            Seat::First => (Seat::First, Seat::Second),
            owner => (owner, Seat::First),
        };
        let sizes = MatrixShape { rows: self.rows, inner: self.columns, columns: w.columns };
        let shape = HeldShape { owner, mask: self.mask.clone(), sizes };
        let t = Arc::new(e.deal::<Held<R>>(shape).await?);
        let masked = if e.seat() == other {
            let (w, t) = (w.entries.clone(), t.clone());
            e.job(move || w.values().iter().zip(&t.b).map(|(w, b)| w.minus(*b)).collect::<Vec<R>>()).await?
        } else {
            None
        };
        let hidden = e.tell(other, w.entries.len(), Arc::new(masked.unwrap_or_default())).await?;
        let (values, w, holds) = (self.values.clone(), w.entries.clone(), e.seat() == owner);
        let entries = e.local(sizes.rows * sizes.columns, move || {
            let right: Vec<R> = if holds {
                w.values().iter().zip(&hidden).map(|(w, hidden)| w.plus(*hidden)).collect()
            } else {
                t.b.clone()
            };
            let product = ring::matmul(sizes.rows, sizes.inner, sizes.columns, &values, &right);
            product.into_iter().zip(&t.c).map(|(product, c)| product.plus(*c)).collect()
        });
        Ok(Matrix::new(sizes.rows, sizes.columns, entries.await?))
    }
}
