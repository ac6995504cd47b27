//! Shares of x·a modulo 2^w, where the receiver of transfers has the bits x and their sender the numbers a: the product of
//! Gilboa 1999 (CRYPTO, "Two party RSA key generation", section 4.1), one bit of the one number at a time.
//!
//! ```text
//! sender, a                                 receiver, x
//!
//! step "transfers"  r0, r1             ←──  r_x
//! step "products"   e = r0 + a - r1    ──→
//! share -r0                                 share r_x + x·e  =  r0 + x·a
//! ```

use std::pin::pin;
use std::sync::Arc;

use futures::channel::mpsc;
use futures::future::{try_join, try_join3};
use futures::{SinkExt, StreamExt, TryStreamExt};
use zeroize::Zeroizing;

use super::msg::Blocks;
use crate::bits::Bits;
use crate::catalogue::Cost;
use crate::error::{Bug, Error, Result};
use crate::kernels::mask::mask_block;
use crate::message::FRAME_HEADER;
use crate::ot::extension::{self, BATCH, Receiver, Sender};
use crate::party::{PartyId, Role};
use crate::ring::Ring;
use crate::session::{CHUNKS_IN_FLIGHT, Session};

/// Batches whose transfers are made and whose products are on their way: on a line of 20 ms there and back, they keep 100
/// Mbit/s busy.
const UNDER_WAY: usize = 8;

/// What a party does with its shares of a batch: the number of the batch's first product, and one share per product.
pub(super) type Use<R, T> = Arc<dyn Fn(usize, &[R]) -> T + Send + Sync>;

/// The products that are to be made.
#[derive(Clone, Copy)]
pub(super) struct Shape {
    /// How many.
    pub(super) count: usize,
    /// How many at once: a multiple of 128 up to [`BATCH`].
    pub(super) batch: usize,
    /// Bits of a number.
    pub(super) width: u32,
    /// Whether the share of product n is used times 2^(n mod width), so that of its number the lowest width - n mod width bits
    /// are said: half of all. `count` and `batch` are then multiples of the width, which is even.
    pub(super) falling: bool,
}

impl Shape {
    /// `count` products of `width` bits, in the largest batches.
    pub(super) fn new(count: usize, width: u32) -> Self {
        Self { count, batch: BATCH, width, falling: false }
    }

    /// For the products of `count` numbers of `width` bits with others, bit by bit.
    pub(super) fn bits_of(count: usize, width: u32) -> Self {
        Self { falling: true, ..Self::new(count * width as usize, width) }
    }

    fn mask(self) -> u128 {
        u128::MAX >> (128 - self.width)
    }

    /// The lowest bits of an element, as many as a number has.
    fn cut<R: Ring>(self, element: R) -> R {
        R::from_low(element.low() & self.mask())
    }

    /// Numbers in a block.
    fn per_block(self) -> usize {
        (128 / self.width) as usize
    }

    /// Blocks of the message of `rows` products.
    fn blocks(self, rows: usize) -> usize {
        let width = self.width as usize;
        let words = if self.falling { rows / width * (width / 2 + 1) } else { rows };
        words.div_ceil(self.per_block())
    }

    fn batches(self) -> impl Iterator<Item = usize> {
        (0..self.count).step_by(self.batch).map(move |start| self.batch.min(self.count - start))
    }
}

/// The sender's end: `a(i)` is the number of product i.
pub(super) async fn send<R: Ring, T: Send + 'static>(
    transfers: &mut Sender,
    s: &Session,
    peer: &PartyId,
    shape: Shape,
    a: Arc<dyn Fn(usize) -> R + Send + Sync>,
    shares: Use<R, T>,
) -> Result<Vec<T>> {
    let rows = transfers.random(&s.step("transfers"), shape.count, shape.batch)?;
    let (mut out, unused) = s.step("products").channel(peer)?.split();
    let correct = |(number, rows): (usize, Result<Zeroizing<Vec<[u128; 2]>>>)| {
        let (s, a, shares) = (s.clone(), a.clone(), shares.clone());
        async move {
            let rows = rows?;
            s.compute(move || {
                let first = number * shape.batch;
                let difference = |(n, [zero, one]): (usize, &[u128; 2])| {
                    R::from_low(*zero).plus(a(first + n)).minus(R::from_low(*one))
                };
                let e: Vec<R> = rows.iter().enumerate().map(difference).collect();
                let e = if shape.falling { pack(paired(&e).into_iter(), shape) } else { pack(e.into_iter(), shape) };
                let share = |[zero, _]: &[u128; 2]| shape.cut(R::ZERO.minus(R::from_low(*zero)));
                let mine: Zeroizing<Vec<R>> = Zeroizing::new(rows.iter().map(share).collect());
                (Blocks(e), shares(first, &mine))
            })
            .await
        }
    };
    let corrected = rows.enumerate().map(correct).buffered(CHUNKS_IN_FLIGHT);
    let send = async {
        let mut corrected = pin!(corrected);
        let mut all = Vec::new();
        while let Some((e, shares)) = corrected.try_next().await? {
            out.send(&e).await?;
            all.push(shares);
        }
        out.finish().await?;
        Ok(all)
    };
    let (all, ()) = try_join(send, unused.finish()).await?;
    Ok(all)
}

/// The receiver's end.
pub(super) async fn receive<R: Ring, T: Send + 'static>(
    transfers: &mut Receiver,
    s: &Session,
    peer: &PartyId,
    shape: Shape,
    x: Arc<Bits>,
    shares: Use<R, T>,
) -> Result<Vec<T>> {
    let rows = transfers.random(&s.step("transfers"), &x, shape.batch)?;
    let (unused, e) = s.step("products").channel(peer)?.split();
    let (mut made, mut under_way) = mpsc::channel(UNDER_WAY);
    let make = async {
        let mut rows = pin!(rows);
        while let Some(rows) = rows.try_next().await? {
            // The other end is gone only where it has failed, and then its reason counts.
            let _ = made.send(rows).await;
        }
        made.close_channel();
        Ok(())
    };
    let counts = shape.batches().map(move |rows| shape.blocks(rows));
    let correct = async {
        let mut e = pin!(e.batches::<Blocks>(counts));
        let (mut all, mut first) = (Vec::new(), 0);
        while let Some(Blocks(e)) = e.try_next().await? {
            let rows = under_way.next().await.ok_or(Error::Bug(Bug("products without transfers")))?;
            let (x, shares) = (x.clone(), shares.clone());
            let count = rows.len();
            let corrected = move || {
                let words: Vec<R> = unpack(&e, shape).map(R::from_low).collect();
                let e = if shape.falling { unpaired(&words) } else { words };
                let share = |((n, row), e): ((usize, &u128), R)| {
                    shape.cut(R::from_low(*row).plus(R::from_low(e.low() & mask_block(x.get(first + n)))))
                };
                let mine: Zeroizing<Vec<R>> = Zeroizing::new(rows.iter().enumerate().zip(e).map(share).collect());
                shares(first, &mine)
            };
            all.push(s.compute(corrected).await?);
            first += count;
        }
        Ok(all)
    };
    let ((), all, ()) = try_join3(make, correct, unused.finish()).await?;
    Ok(all)
}

/// What the products cost.
pub(super) fn cost(shape: Shape, role: Role) -> Cost {
    let transfers = extension::cost(shape.count, shape.batch, role);
    let message = |rows: usize| (FRAME_HEADER + 16 * shape.blocks(rows)) as u64;
    let products = match role {
        Role::Sender => shape.batches().map(message).sum(),
        Role::Receiver => 0,
    };
    Cost { rounds: 2, bytes_out: transfers.bytes_out + products, group_ops: 0, cpu_us: 0 }
}

/// Numbers of which the n-th of as many as they have bits needs n bits less: two that need as many as one have one word.
fn paired<R: Ring>(numbers: &[R]) -> Vec<R> {
    let (bits, half) = (R::BITS as usize, R::BITS as usize / 2);
    let word = |group: &[R], n: usize| match n {
        0 => group[0],
        n if n == half => group[n],
        n => {
            let (wide, by) = (group[n].shl(n as u32).shr(n as u32), R::BITS - n as u32);
            wide.plus(group[bits - n].shl(by))
        }
    };
    numbers.chunks_exact(bits).flat_map(|group| (0..=half).map(move |n| word(group, n))).collect()
}

/// The numbers that [`paired`] packed; bits that they do not need are anything.
fn unpaired<R: Ring>(words: &[R]) -> Vec<R> {
    let half = R::BITS as usize / 2;
    let number = |group: &[R], n: usize| if n <= half { group[n] } else { group[2 * half - n].shr(n as u32) };
    words.chunks_exact(half + 1).flat_map(|group| (0..2 * half).map(move |n| number(group, n))).collect()
}

fn pack<R: Ring>(numbers: impl Iterator<Item = R>, shape: Shape) -> Vec<u128> {
    let (per_block, mask) = (shape.per_block(), shape.mask());
    let mut blocks = Vec::with_capacity(shape.batch.div_ceil(per_block));
    let (mut block, mut place) = (0, 0);
    for number in numbers {
        block |= (number.low() & mask) << (shape.width * place);
        place += 1;
        if place as usize == per_block {
            blocks.push(block);
            (block, place) = (0, 0);
        }
    }
    if place > 0 {
        blocks.push(block);
    }
    blocks
}

fn unpack(blocks: &[u128], shape: Shape) -> impl Iterator<Item = u128> {
    let mask = shape.mask();
    blocks
        .iter()
        .flat_map(move |block| (0..shape.per_block() as u32).map(move |place| (block >> (shape.width * place)) & mask))
}

const _: () = assert!(BATCH * 16 + FRAME_HEADER <= crate::message::FRAME_MAX, "a batch of products fits a frame");
