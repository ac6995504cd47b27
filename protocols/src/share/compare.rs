//! Whether a shared number reaches a bound, which is opened: the one bit that a release may hang on.

use super::Transfers;
use super::and::{and, and_cost, open, triples_cost};
use crate::bits::{BLOCK_BITS, Bits};
use crate::catalogue::Cost;
use crate::error::Result;
use crate::message::FRAME_HEADER;
use crate::party::Role;
use crate::session::Session;

/// Bits of the numbers compared.
const WIDTH: usize = 32;

/// Levels of the tree that finds the carry: 32 places, halved five times.
const LEVELS: usize = WIDTH.ilog2() as usize;

impl Transfers {
    /// Opens to both whether a number shared modulo 2^64 is at least `minimum`, and nothing else. Both are below 2^31.
    ///
    /// The difference, modulo 2^32, of the number to the bound has its highest bit set where the number is below. That bit
    /// is the sum of the parties' highest bits and the carry into them, found in a tree (Brent and Kung 1982): places that
    /// make a carry, and places that pass one on, joined in pairs.
    ///
    /// # Errors
    /// [`crate::error::Error::Deviation`] names a peer that breaks the protocol.
    pub async fn at_least(&mut self, s: &Session, share: u64, minimum: u32) -> Result<bool> {
        let peer = self.peer.clone();
        let mut triples = self.triples(&s.step("triples"), (LEVELS + 1) * BLOCK_BITS).await?;
        let own = match self.role() {
            Role::Sender => (share as u32).wrapping_sub(minimum),
            Role::Receiver => share as u32,
        };
        let bits = |number: u32| -> Bits { (0..WIDTH).map(|place| number >> place & 1 == 1).collect() };
        let (x, y) = match self.role() {
            Role::Sender => (bits(own), Bits::zeros(WIDTH)),
            Role::Receiver => (Bits::zeros(WIDTH), bits(own)),
        };
        let makes = and(&s.step("makes"), &peer, &x, &y, triples.take(1)).await?;
        let passes = bits(own);
        let highest = passes.get(WIDTH - 1);

        // Below the lowest of the 31 places that carry into the highest is one that neither makes nor passes.
        let up = |bits: &Bits| -> Vec<bool> {
            [false].into_iter().chain(bits.iter().take(WIDTH - 1).map(|bit| bit == 1)).collect()
        };
        let (mut makes, mut passes) = (up(&makes), up(&passes));
        for level in 0..LEVELS {
            let half = |bits: &[bool], odd: usize| bits.iter().skip(odd).step_by(2).copied().collect::<Vec<_>>();
            let (low, high) = ([half(&makes, 0), half(&passes, 0)], [half(&makes, 1), half(&passes, 1)]);
            let left: Bits = high[1].iter().chain(&high[1]).copied().collect();
            let right: Bits = low[0].iter().chain(&low[1]).copied().collect();
            let joined = and(&s.step(level), &peer, &left, &right, triples.take(1)).await?;
            let pairs = high[0].len();
            makes = (0..pairs).map(|n| high[0][n] ^ (joined.get(n) == 1)).collect();
            passes = (pairs..2 * pairs).map(|n| joined.get(n) == 1).collect();
        }
        let below: Bits = [(highest == 1) ^ makes[0]].into_iter().collect();
        let below = open(&s.step("open"), &peer, &below).await?;
        Ok(below.get(0) == 0)
    }
}

/// What [`Transfers::at_least`] costs.
pub fn at_least_cost(role: Role) -> Cost {
    let products = (0..=LEVELS).fold(triples_cost((LEVELS + 1) * BLOCK_BITS, role), |cost, _| cost.then(and_cost(1)));
    products.then(Cost { rounds: 1, bytes_out: 16 + FRAME_HEADER as u64, group_ops: 0, cpu_us: 0 })
}
