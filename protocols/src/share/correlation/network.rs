//! A network of switches that brings rows into any order (Beneš 1964; for any number of rows as Chang and Melhem 1997, "Arbitrary
//! size Benes networks"), and its evaluation on masks with a transfer for each switch (Mohassel and Sadeghian 2013,
//! EUROCRYPT, eprint 2013/137, section 4.2).
//!
//! ```text
//! of each switch of rows x and y        m: masks of the sender's, which start as a and end as b
//!
//! sender                                            receiver, bit s
//! transfer   r0, r1                            ←──  r_s
//!            m'x = mx - r0x   m'y = my - r0y
//!            e = (my - m'x, mx - m'y) - r1     ──→  d = r_s + s·e
//!                                                   exchanges δx and δy if s, and adds d
//! ```
//! Row x of δ is the mask with which the row in place x began, less the one that it has now.
//!
//! Routing looks at the order, at who knows it: how long that takes, and which memory it touches, follows from the order. What is
//! said does not. A switch takes 8 bytes of memory: 160 MB for 2^20 rows.

use std::pin::pin;
use std::sync::Arc;

use futures::channel::mpsc;
use futures::future::{try_join, try_join3};
use futures::{SinkExt, StreamExt, TryStreamExt};
use zeroize::{Zeroize, Zeroizing};

use crate::bits::{BLOCK_BITS, Bits};
use crate::catalogue::Cost;
use crate::error::{Bug, Error, Result};
use crate::kernels::aes::prg;
use crate::kernels::mask::mask_block;
use crate::ot::extension::{self, BATCH, Receiver, Sender};
use crate::party::{PartyId, Role};
use crate::ring::Ring;
use crate::session::Session;
use crate::share::msg;

/// Batches of transfers under way while their corrections are waited for.
const UNDER_WAY: usize = 8;

/// The switches in the order in which rows pass them: pairs of places.
pub(super) struct Network(Vec<[u32; 2]>);

impl Network {
    /// The network of as many rows.
    pub(super) fn new(rows: usize) -> Self {
        let mut network = Self(Vec::with_capacity(switches(rows)));
        let mut unused = Vec::new();
        network.grow(&places(rows), None, &mut unused);
        network
    }

    /// The network, and whether each switch exchanges its rows to bring row `order[n]` to place n.
    pub(super) fn route(order: &[u32]) -> (Self, Bits) {
        let mut network = Self(Vec::with_capacity(switches(order.len())));
        let mut set = Vec::with_capacity(switches(order.len()));
        network.grow(&places(order.len()), Some(order), &mut set);
        let bits = set.iter().copied().collect();
        set.zeroize();
        (network, bits)
    }

    /// Appends the switches of a part of the network: a column of switches, two networks of half the size, a column.
    fn grow(&mut self, places: &[u32], order: Option<&[u32]>, set: &mut Vec<bool>) {
        let n = places.len();
        if n < 2 {
            return;
        }
        if n == 2 {
            self.0.push([places[0], places[1]]);
            set.extend(order.map(|order| order[0] == 1));
            return;
        }
        let half = n / 2;
        let column = |first: usize| [places[2 * first], places[2 * first + 1]];
        let sides = order.map(Sides::new);
        let upper: Vec<u32> = (0..half).map(|pair| places[2 * pair]).collect();
        let lower: Vec<u32> = (0..n - half).map(|pair| places[(2 * pair + 1).min(n - 1)]).collect();

        self.0.extend((0..half).map(column));
        set.extend(sides.iter().flat_map(|sides| (0..half).map(|pair| sides.of_row[2 * pair])));
        let [above, below] = match (&sides, order) {
            (Some(sides), Some(order)) => sides.halves(order).map(Some),
            _ => [None, None],
        };
        self.grow(&upper, above.as_deref(), set);
        self.grow(&lower, below.as_deref(), set);
        self.0.extend((0..half).map(column));
        set.extend(sides.iter().flat_map(|sides| (0..half).map(|pair| sides.of_place[2 * pair])));
    }
}

/// Which of the two halves rows pass: `true` is the lower one.
struct Sides {
    of_place: Vec<bool>,
    of_row: Vec<bool>,
}

impl Sides {
    /// Two rows of a pair take different halves, and so do two places; an odd row and an odd place take the lower one.
    fn new(order: &[u32]) -> Self {
        let n = order.len();
        let mut place_of = vec![0; n];
        order.iter().enumerate().for_each(|(place, row)| place_of[*row as usize] = place);
        let mut side: Vec<Option<bool>> = vec![None; n];
        // From a place to its row, the row of the same pair, that row's place, and the place of the same pair.
        let mut follow = |mut place: usize, lower: bool| {
            while side[place].is_none() {
                side[place] = Some(lower);
                let row = order[place] as usize ^ 1;
                let Some(across) = place_of.get(row) else { break };
                side[*across] = Some(!lower);
                place = across ^ 1;
                if place >= n {
                    break;
                }
            }
        };
        if n % 2 == 1 {
            follow(n - 1, true);
        }
        (0..n / 2).for_each(|pair| follow(2 * pair, false));
        let of_place: Vec<bool> = side.into_iter().map(|side| side == Some(true)).collect();
        let of_row = place_of.iter().map(|place| of_place[*place]).collect();
        Self { of_place, of_row }
    }

    /// The orders of the upper and of the lower half.
    fn halves(&self, order: &[u32]) -> [Vec<u32>; 2] {
        [false, true].map(|lower| {
            let mine = order.iter().zip(&self.of_place).filter(|(_, side)| **side == lower);
            mine.map(|(row, _)| row / 2).collect()
        })
    }
}

fn places(rows: usize) -> Vec<u32> {
    (0..rows as u32).collect()
}

/// How many switches a network has: about n·log2 n - n/2.
pub(super) fn switches(rows: usize) -> usize {
    match rows {
        0 | 1 => 0,
        2 => 1,
        n => n / 2 * 2 + switches(n / 2) + switches(n - n / 2),
    }
}

/// The sender's end: the masks that `masks`, of `columns` words a row, become.
pub(super) async fn send<R: Ring>(
    sender: &mut Sender,
    s: &Session,
    peer: &PartyId,
    columns: usize,
    masks: Vec<R>,
) -> Result<Vec<R>> {
    let network = Arc::new(Network::new(masks.len().checked_div(columns).unwrap_or(0)));
    let rows = sender.random(&s.step("transfers"), network.0.len(), BATCH)?;
    let (mut out, unused) = s.step("network").channel(peer)?.split();
    let send = async {
        let mut rows = pin!(rows);
        let (mut masks, mut first) = (masks, 0);
        while let Some(rows) = rows.try_next().await? {
            let (network, count) = (network.clone(), rows.len());
            let pass = move || {
                let e = pass_masks(&network.0[first..first + count], columns, &rows, &mut masks);
                (e, masks)
            };
            let (e, passed) = s.compute(pass).await?;
            masks = passed;
            first += count;
            msg::send(&mut out, Arc::new(e)).await?;
        }
        out.finish().await?;
        Ok(masks)
    };
    let (masks, ()) = try_join(send, unused.finish()).await?;
    Ok(masks)
}

/// The receiver's end, for rows of `columns` words: what the sender's masks were where row `order[n]` came from, less those of
/// place n.
pub(super) async fn receive<R: Ring>(
    receiver: &mut Receiver,
    s: &Session,
    peer: &PartyId,
    columns: usize,
    order: Arc<Zeroizing<Vec<u32>>>,
) -> Result<Vec<R>> {
    let count = order.len();
    let (network, set) = s.compute(move || Network::route(&order)).await?;
    let (network, set) = (Arc::new(network), Arc::new(set));
    let rows = receiver.random(&s.step("transfers"), &set, BATCH)?;
    let (unused, mut incoming) = s.step("network").channel(peer)?.split();
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
    let pass = async {
        let (mut passed, mut first) = (vec![R::ZERO; count * columns], 0);
        while first < network.0.len() {
            let rows = under_way.next().await.ok_or(Error::Bug(Bug("switches without transfers")))?;
            let e: Vec<R> = msg::receive(&mut incoming, 2 * columns * rows.len()).await?;
            let (network, set, here) = (network.clone(), set.clone(), rows.len());
            let mut differences = passed;
            passed = s
                .compute(move || {
                    let switches = &network.0[first..first + here];
                    pass_differences(switches, columns, &rows, &e, |n| set.get(first + n), &mut differences);
                    differences
                })
                .await?;
            first += here;
        }
        incoming.finish().await?;
        Ok(passed)
    };
    let ((), passed, ()) = try_join3(make, pass, unused.finish()).await?;
    Ok(passed)
}

/// What a network of as many rows costs.
pub(super) fn cost<R: Ring>(rows: usize, columns: usize, role: Role) -> Cost {
    let switches = switches(rows);
    let transfers = extension::cost(switches, BATCH, role);
    let corrections = (0..switches).step_by(BATCH).map(|first| BATCH.min(switches - first));
    let corrections = match role {
        Role::Sender => corrections.map(|switches| msg::bytes::<R>(2 * columns * switches)).sum(),
        Role::Receiver => 0,
    };
    Cost { rounds: 2, bytes_out: transfers.bytes_out + corrections, group_ops: 0, cpu_us: 0 }
}

fn pass_masks<R: Ring>(switches: &[[u32; 2]], columns: usize, rows: &[[u128; 2]], masks: &mut [R]) -> Vec<R> {
    let mut e = Vec::with_capacity(2 * columns * switches.len());
    let [mut zero, mut one] = [(); 2].map(|()| Words::new(columns));
    for ([x, y], [r0, r1]) in switches.iter().zip(rows) {
        let (x, y) = (*x as usize * columns, *y as usize * columns);
        let (zero, one) = (zero.of(*r0), one.of(*r1));
        for n in 0..columns {
            let (mx, my) = (masks[x + n], masks[y + n]);
            masks[x + n] = mx.minus(zero[n]);
            masks[y + n] = my.minus(zero[columns + n]);
            e.push(my.minus(masks[x + n]).minus(one[n]));
            e.push(mx.minus(masks[y + n]).minus(one[columns + n]));
        }
    }
    e
}

fn pass_differences<R: Ring>(
    switches: &[[u32; 2]],
    columns: usize,
    rows: &[u128],
    e: &[R],
    bit: impl Fn(usize) -> u8,
    differences: &mut [R],
) {
    let mut words = Words::new(columns);
    for (n, ([x, y], row)) in switches.iter().zip(rows).enumerate() {
        let (x, y) = (*x as usize * columns, *y as usize * columns);
        let (words, set) = (words.of(*row), mask_block(bit(n)));
        for (column, e) in e[2 * n * columns..][..2 * columns].chunks_exact(2).enumerate() {
            let masked = |value: R| R::from_low(value.low() & set);
            let (a, b) = (differences[x + column], differences[y + column]);
            let across = masked(b.minus(a));
            differences[x + column] = a.plus(across).plus(words[column]).plus(masked(e[0]));
            differences[y + column] = b.minus(across).plus(words[columns + column]).plus(masked(e[1]));
        }
    }
}

/// Both rows of a switch, from the block of its transfer.
struct Words<R: Ring> {
    columns: usize,
    blocks: Zeroizing<Vec<u128>>,
    words: Zeroizing<Vec<R>>,
}

impl<R: Ring> Words<R> {
    fn new(columns: usize) -> Self {
        let blocks = (2 * columns * R::BYTES).div_ceil(BLOCK_BITS / 8);
        Self { columns, blocks: Zeroizing::new(vec![0; blocks]), words: Zeroizing::new(Vec::new()) }
    }

    /// The block itself where it is enough, and what it is the seed of where not.
    fn of(&mut self, block: u128) -> &[R] {
        match &mut self.blocks[..] {
            [one] => *one = block,
            many => prg(block, 0, many),
        }
        self.words.clear();
        R::from_blocks(&self.blocks, &mut self.words);
        &self.words[..2 * self.columns]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ring::Prg;
    use crate::share::correlation::permuted::random_permutation;

    #[test]
    fn a_network_brings_rows_into_every_order() {
        for rows in [0, 1, 2, 3, 4, 5, 6, 7, 8, 31, 33, 100, 1000] {
            for seed in 0..4 {
                let order = match seed {
                    0 => places(rows),
                    1 => places(rows).into_iter().rev().collect(),
                    _ => random_permutation(rows, &mut Prg::new(seed)),
                };
                let (network, set) = Network::route(&order);
                assert_eq!((network.0.len(), set.len()), (switches(rows), switches(rows)));
                assert_eq!(network.0, Network::new(rows).0, "what the other end has");
                let mut passing = places(rows);
                for (switch, set) in network.0.iter().zip(set.iter()) {
                    if set == 1 {
                        passing.swap(switch[0] as usize, switch[1] as usize);
                    }
                }
                assert_eq!(passing, order, "{rows} rows, {seed}");
            }
        }
    }
}
