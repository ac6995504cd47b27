//! Products of shared bits from triples, and openings.

use std::pin::pin;
use std::sync::Arc;

use futures::future::try_join;
use futures::{TryStreamExt, stream};
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use super::msg::Blocks;
use super::{End, Transfers};
use crate::bits::{BLOCK_BITS, Bits, random_blocks};
use crate::catalogue::Cost;
use crate::error::Result;
use crate::message::FRAME_HEADER;
use crate::ot::extension::{self, BATCH};
use crate::party::{PartyId, Role};
use crate::session::Session;

/// Blocks of one message of an opening: 256 KiB.
const CHUNK: usize = 1 << 14;

/// Shares of random bits a, b and of c = a & b. Used once: [`and`] takes them.
#[derive(Zeroize, ZeroizeOnDrop)]
pub struct Triples {
    pub(super) a: Vec<u128>,
    pub(super) b: Vec<u128>,
    pub(super) c: Vec<u128>,
    /// Whether this party adds the product of what is opened.
    #[zeroize(skip)]
    leads: bool,
}

impl Transfers {
    /// Triples for products of vectors of up to `count` bits in all, each vector in whole blocks of 128.
    ///
    /// A random transfer is a random product already: of the receiver's choice and the difference of the sender's bits
    /// (Beaver 1995). A triple has two such products, one each way.
    ///
    /// # Errors
    /// [`crate::error::Error::Deviation`] names a peer that breaks the protocol.
    pub async fn triples(&mut self, s: &Session, count: usize) -> Result<Triples> {
        let blocks = count.div_ceil(BLOCK_BITS);
        let transfers = 2 * blocks * BLOCK_BITS;
        match &mut self.end {
            End::Sender(sender) => {
                let mut batches = pin!(sender.random_bits(s, transfers)?);
                let [mut zero, mut one] = [0; 2].map(|_| Zeroizing::new(Vec::with_capacity(2 * blocks)));
                while let Some([zeros, ones]) = batches.try_next().await? {
                    zero.extend_from_slice(&zeros);
                    one.extend_from_slice(&ones);
                }
                let difference = |n: usize| zero[n] ^ one[n];
                let (a, b): (Vec<_>, Vec<_>) = (0..blocks).map(|n| (difference(n), difference(blocks + n))).unzip();
                let c = (0..blocks).map(|n| a[n] & b[n] ^ zero[n] ^ zero[blocks + n]).collect();
                Ok(Triples { a, b, c, leads: true })
            }
            End::Receiver(receiver) => {
                let choices = Zeroizing::new(random_blocks(2 * blocks, &mut s.rng("triples")));
                let (b, a) = (choices[..blocks].to_vec(), choices[blocks..].to_vec());
                let choices = Arc::new(Bits::from_blocks(choices.to_vec(), transfers));
                let mut batches = pin!(receiver.random_bits(s, &choices)?);
                let mut chosen = Zeroizing::new(Vec::with_capacity(2 * blocks));
                while let Some(batch) = batches.try_next().await? {
                    chosen.extend_from_slice(&batch);
                }
                let c = (0..blocks).map(|n| a[n] & b[n] ^ chosen[n] ^ chosen[blocks + n]).collect();
                Ok(Triples { a, b, c, leads: false })
            }
        }
    }
}

/// What [`Transfers::triples`] for `count` bits cost the end in `role`.
pub fn triples_cost(count: usize, role: Role) -> Cost {
    extension::cost(2 * count.next_multiple_of(BLOCK_BITS), BATCH, role)
}

impl Triples {
    /// Takes triples for `blocks` blocks off the end.
    pub(super) fn take(&mut self, blocks: usize) -> Self {
        let rest = self.a.len().checked_sub(blocks).unwrap_or_else(|| panic!("as many triples as products"));
        let take = |all: &mut Vec<u128>| all.split_off(rest);
        Self { a: take(&mut self.a), b: take(&mut self.b), c: take(&mut self.c), leads: self.leads }
    }
}

/// Shares of x & y. Panics where there are not as many triples, in blocks, as bits.
///
/// # Errors
/// [`crate::error::Error::Deviation`] names a peer that sends another number of bits.
pub async fn and(s: &Session, peer: &PartyId, x: &Bits, y: &Bits, t: Triples) -> Result<Bits> {
    assert!(x.len() == y.len() && t.a.len() == x.blocks().len(), "a triple for each product");
    let hidden = |value: &Bits, mask: &[u128]| value.blocks().iter().zip(mask).map(|(v, m)| v ^ m).collect::<Vec<_>>();
    let mine = [hidden(x, &t.a), hidden(y, &t.b)].concat();
    let theirs = exchange(s, peer, &mine).await?;
    let opened: Vec<u128> = mine.iter().zip(theirs).map(|(mine, theirs)| mine ^ theirs).collect();
    let (d, e) = opened.split_at(t.a.len());
    let both = |n: usize| if t.leads { d[n] & e[n] } else { 0 };
    let product = |n: usize| t.c[n] ^ d[n] & t.b[n] ^ e[n] & t.a[n] ^ both(n);
    Ok(Bits::from_blocks((0..d.len()).map(product).collect(), x.len()))
}

/// The bits themselves, to both.
///
/// # Errors
/// [`crate::error::Error::Deviation`] names a peer that sends another number of bits.
pub async fn open(s: &Session, peer: &PartyId, x: &Bits) -> Result<Bits> {
    let theirs = exchange(s, peer, x.blocks()).await?;
    let mut bits = Bits::from_blocks(theirs, x.len());
    bits ^= x;
    Ok(bits)
}

/// What [`and`] of vectors of `bits` bits costs either party.
pub fn and_cost(bits: usize) -> Cost {
    let blocks = 2 * bits.div_ceil(BLOCK_BITS);
    let bytes_out = (16 * blocks + blocks.div_ceil(CHUNK) * FRAME_HEADER) as u64;
    Cost { rounds: 1, bytes_out, group_ops: 0, cpu_us: 0 }
}

/// Both say as many blocks as the other, in one round.
async fn exchange(s: &Session, peer: &PartyId, mine: &[u128]) -> Result<Vec<u128>> {
    let (out, incoming) = s.channel(peer)?.split();
    let shapes = mine.chunks(CHUNK).map(<[u128]>::len);
    let messages = stream::iter(mine.chunks(CHUNK).map(|chunk| Ok(Blocks(chunk.to_vec()))));
    let theirs = incoming.batches::<Blocks>(shapes).map_ok(|Blocks(blocks)| blocks).try_concat();
    let ((), theirs) = try_join(out.batches(messages), theirs).await?;
    Ok(theirs)
}
