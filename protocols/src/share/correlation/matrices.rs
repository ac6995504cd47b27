//! Correlations of squares and of matrix products, general and with an operand that one party holds.

use std::sync::Arc;

use futures::future::try_join;
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use super::{Correlation, across, bits_of};
use crate::bits::random_blocks;
use crate::catalogue::Cost;
use crate::error::Result;
use crate::ring::{Prg, Ring, matmul};
use crate::session::Session;
use crate::share::engine::Seat;
use crate::share::product;
use crate::share::transfers::{Pair, role};

/// Shares of random a and of a², as many as the shape says.
#[derive(Zeroize, ZeroizeOnDrop)]
pub struct Squares<R: Ring> {
    pub(in crate::share) a: Vec<R>,
    pub(in crate::share) c: Vec<R>,
}

impl<R: Ring> Correlation for Squares<R> {
    type Shape = usize;
    type Word = R;

    fn draw(count: &usize, seat: Seat, prg: &mut Prg) -> Self {
        let a = prg.elements(*count);
        let c = if seat == Seat::First { prg.elements(*count) } else { Vec::new() };
        Self { a, c }
    }

    fn correction(_: &usize, first: &Self, second: &Self) -> Vec<R> {
        let a = first.a.iter().zip(&second.a).map(|(a, b)| a.plus(*b));
        a.zip(&first.c).map(|(a, c)| a.times(a).minus(*c)).collect()
    }

    fn correction_len(count: &usize) -> usize {
        *count
    }

    fn corrected(mut self, _: &usize, correction: Vec<R>) -> Self {
        self.c = correction;
        self
    }

    fn absent(_: &usize) -> Self {
        Self { a: Vec::new(), c: Vec::new() }
    }

    /// The sum of both parties' own squares and twice the product across.
    async fn transfer(pair: &mut Pair, s: &Session, count: &usize) -> Result<Self> {
        let a = Arc::new(random::<R>(s, *count));
        let product = across(&mut pair.there, s, &a).await?;
        let c = a.iter().zip(&product).map(|(a, product)| a.times(*a).plus(product.shl(1))).collect();
        Ok(Self { a: a.to_vec(), c })
    }

    fn transfer_cost(count: &usize, seat: Seat) -> Cost {
        product::cost(bits_of::<R>(*count), role(seat))
    }
}

/// Sizes of a product: a `rows` x `inner` and an `inner` x `columns` matrix.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MatrixShape {
    /// Rows of the left one, and of the product.
    pub rows: usize,
    /// Columns of the left one, and rows of the right one.
    pub inner: usize,
    /// Columns of the right one, and of the product.
    pub columns: usize,
}

impl MatrixShape {
    /// Products of two entries in it.
    fn terms(self) -> usize {
        self.rows * self.inner * self.columns
    }

    fn product<R: Ring>(self, a: &[R], b: &[R]) -> Vec<R> {
        matmul(self.rows, self.inner, self.columns, a, b)
    }

    /// The left and the right factor of every term.
    fn factors<R: Ring>(self, a: &[R], b: &[R]) -> [Arc<Zeroizing<Vec<R>>>; 2] {
        let places = || {
            (0..self.terms())
                .map(move |n| (n / self.inner / self.columns, n / self.inner % self.columns, n % self.inner))
        };
        let left = places().map(|(row, _, k)| a.get(row * self.inner + k).copied().unwrap_or(R::ZERO));
        let right = places().map(|(_, column, k)| b.get(k * self.columns + column).copied().unwrap_or(R::ZERO));
        [Arc::new(Zeroizing::new(left.collect())), Arc::new(Zeroizing::new(right.collect()))]
    }

    /// The sums of terms.
    fn sums<R: Ring>(self, terms: &[R]) -> Vec<R> {
        if self.inner == 0 { vec![R::ZERO; self.rows * self.columns] } else { super::bits::sums(terms, self.inner) }
    }
}

/// Shares of random matrices a, b and of their product.
#[derive(Zeroize, ZeroizeOnDrop)]
pub struct MatrixTriple<R: Ring> {
    pub(in crate::share) a: Vec<R>,
    pub(in crate::share) b: Vec<R>,
    pub(in crate::share) c: Vec<R>,
}

impl<R: Ring> Correlation for MatrixTriple<R> {
    type Shape = MatrixShape;
    type Word = R;

    fn draw(shape: &MatrixShape, seat: Seat, prg: &mut Prg) -> Self {
        let (a, b) = (prg.elements(shape.rows * shape.inner), prg.elements(shape.inner * shape.columns));
        let c = if seat == Seat::First { prg.elements(shape.rows * shape.columns) } else { Vec::new() };
        Self { a, b, c }
    }

    fn correction(shape: &MatrixShape, first: &Self, second: &Self) -> Vec<R> {
        minus(shape.product(&plus(&first.a, &second.a), &plus(&first.b, &second.b)), &first.c)
    }

    fn correction_len(shape: &MatrixShape) -> usize {
        shape.rows * shape.columns
    }

    fn corrected(mut self, _: &MatrixShape, correction: Vec<R>) -> Self {
        self.c = correction;
        self
    }

    fn absent(_: &MatrixShape) -> Self {
        Self { a: Vec::new(), b: Vec::new(), c: Vec::new() }
    }

    /// Term by term, as triples of numbers are.
    async fn transfer(pair: &mut Pair, s: &Session, shape: &MatrixShape) -> Result<Self> {
        let a = random::<R>(s, shape.rows * shape.inner);
        let b = random::<R>(s, shape.inner * shape.columns);
        let [left, right] = shape.factors(&a, &b);
        let (mine, other) = if pair.seat == Seat::First { (&left, &right) } else { (&right, &left) };
        let (s_there, s_back) = (s.step("there"), s.step("back"));
        let terms = try_join(across(&mut pair.there, &s_there, mine), across(&mut pair.back, &s_back, other)).await?;
        let c = plus(&shape.product(&a, &b), &shape.sums(&plus(&terms.0, &terms.1)));
        Ok(Self { a: a.to_vec(), b: b.to_vec(), c })
    }

    fn transfer_cost(shape: &MatrixShape, seat: Seat) -> Cost {
        let cost = |role| product::cost(bits_of::<R>(shape.terms()), role);
        cost(role(seat)).beside(cost(role(seat).other()))
    }
}

/// A mask that one party knows, for a matrix that it holds. The helper keeps it for the products with that matrix.
#[derive(Zeroize, ZeroizeOnDrop)]
pub struct Mask<R: Ring> {
    pub(in crate::share) mask: Vec<R>,
}

/// Whose, and how many entries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MaskShape {
    /// Who knows it.
    pub owner: Seat,
    /// How many.
    pub entries: usize,
}

impl<R: Ring> Correlation for Mask<R> {
    type Shape = MaskShape;
    type Word = R;

    fn draw(shape: &MaskShape, seat: Seat, prg: &mut Prg) -> Self {
        Self { mask: if seat == shape.owner { prg.elements(shape.entries) } else { Vec::new() } }
    }

    fn correction(_: &MaskShape, _: &Self, _: &Self) -> Vec<R> {
        Vec::new()
    }

    fn correction_len(_: &MaskShape) -> usize {
        0
    }

    fn corrected(self, _: &MaskShape, _: Vec<R>) -> Self {
        self
    }

    fn absent(_: &MaskShape) -> Self {
        Self { mask: Vec::new() }
    }

    fn kept(shape: &MaskShape, first: Self, second: Self) -> Self {
        if shape.owner == Seat::First { first } else { second }
    }

    async fn transfer(pair: &mut Pair, s: &Session, shape: &MaskShape) -> Result<Self> {
        Ok(Self { mask: if pair.seat == shape.owner { random::<R>(s, shape.entries).to_vec() } else { Vec::new() } })
    }

    fn transfer_cost(_: &MaskShape, _: Seat) -> Cost {
        Cost::default()
    }
}

/// For a product of a held matrix with a shared one: a random b that the other party knows, and shares of mask · b.
#[derive(Zeroize, ZeroizeOnDrop)]
pub struct Held<R: Ring> {
    pub(in crate::share) b: Vec<R>,
    pub(in crate::share) c: Vec<R>,
}

/// Who holds which mask, and the sizes.
#[derive(Clone)]
pub struct HeldShape<R: Ring> {
    /// Who holds the left matrix.
    pub owner: Seat,
    /// Its mask, at its owner and at the helper.
    pub mask: Arc<Zeroizing<Vec<R>>>,
    /// The sizes.
    pub sizes: MatrixShape,
}

impl<R: Ring> Correlation for Held<R> {
    type Shape = HeldShape<R>;
    type Word = R;

    fn draw(shape: &HeldShape<R>, seat: Seat, prg: &mut Prg) -> Self {
        let MatrixShape { rows, inner, columns } = shape.sizes;
        let b = if seat == shape.owner { Vec::new() } else { prg.elements(inner * columns) };
        let c = if seat == Seat::First { prg.elements(rows * columns) } else { Vec::new() };
        Self { b, c }
    }

    fn correction(shape: &HeldShape<R>, first: &Self, second: &Self) -> Vec<R> {
        let b = if shape.owner == Seat::First { &second.b } else { &first.b };
        minus(shape.sizes.product(&shape.mask, b), &first.c)
    }

    fn correction_len(shape: &HeldShape<R>) -> usize {
        shape.sizes.rows * shape.sizes.columns
    }

    fn corrected(mut self, _: &HeldShape<R>, correction: Vec<R>) -> Self {
        self.c = correction;
        self
    }

    fn absent(_: &HeldShape<R>) -> Self {
        Self { b: Vec::new(), c: Vec::new() }
    }

    /// All copies are of one mask: from a few opened ones the other party would work it out, and so the matrix.
    fn checkable() -> bool {
        false
    }

    async fn transfer(pair: &mut Pair, s: &Session, shape: &HeldShape<R>) -> Result<Self> {
        let holds = pair.seat == shape.owner;
        let b = random::<R>(s, if holds { 0 } else { shape.sizes.inner * shape.sizes.columns });
        let [left, right] = shape.sizes.factors(&shape.mask, &b);
        let terms = across(&mut pair.there, s, if holds { &left } else { &right }).await?;
        Ok(Self { b: b.to_vec(), c: shape.sizes.sums(&terms) })
    }

    fn transfer_cost(shape: &HeldShape<R>, seat: Seat) -> Cost {
        product::cost(bits_of::<R>(shape.sizes.terms()), role(seat))
    }
}

/// Uniform elements of this party.
pub(super) fn random<R: Ring>(s: &Session, count: usize) -> Zeroizing<Vec<R>> {
    Zeroizing::new(Prg::new(random_blocks(1, &mut s.rng("correlation"))[0]).elements(count))
}

fn plus<R: Ring>(a: &[R], b: &[R]) -> Vec<R> {
    a.iter().zip(b).map(|(a, b)| a.plus(*b)).collect()
}

fn minus<R: Ring>(a: Vec<R>, b: &[R]) -> Vec<R> {
    a.iter().zip(b).map(|(a, b)| a.minus(*b)).collect()
}
