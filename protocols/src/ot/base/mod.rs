//! Base oblivious transfer: a few random transfers from public-key operations, of which [`super::extension`] makes many.
//!
//! ```text
//! sender, secret a                          receiver, choices c_1 … c_n, secrets b_1 … b_n
//!
//! A = a·G                         ── A ──→   R_i,1-c  uniform
//!                                 ←── R ──   R_i,c  = b_i·G - H(i, c, R_i,1-c)
//! B_i,j = R_i,j + H(i, j, R_i,1-j)
//! k_i,j = KDF(i, j, A, a·B_i,j)              k_i,c_i = KDF(i, c_i, A, b_i·A)
//! ```
//!
//! One round: neither message waits for the other, since an answer of Diffie-Hellman does not depend on the offer.
//!
//! **Claim.** Malicious peers, under the (tagged oracle) Diffie-Hellman assumption in ristretto255 with H and KDF as random
//! oracles: the sender learns nothing about the choices, whatever A it sends, since both elements of a pair are uniform; the
//! receiver learns one key of each pair. Both hashes take the run, the step, the index and the place in the pair, as batches
//! need, lest elements sent twice give keys that are related. Elements that are no canonical encoding or the identity are
//! refused by name.
//!
//! **Not claimed.** That keys are uniform against the party that makes them: each may choose its own (*endemic* transfer).
//! The extension does not use them but to hide values of its own.
//!
//! **Sources.** McQuoid, Rosulek and Roy 2021 (ASIACRYPT, "Batching base oblivious transfers"; eprint 2021/682): figure 3
//! with the function of Masny and Rindal of section 5.3, and section 7 for one round. Masny and Rindal 2019 (CCS, "Endemic
//! oblivious transfer").

mod local;
mod msg;

#[cfg(test)]
mod tests;

use zeroize::Zeroizing;

use crate::bits::Bits;
use crate::catalogue::Cost;
use crate::error::Result;
use crate::message::FRAME_HEADER;
use crate::party::{PartyId, Role};
use crate::session::Session;

use local::{Chosen, Hashes, Offer};
use msg::{Pairs, Point};

/// The most transfers of one call: their pairs fit a frame.
pub const COUNT_MAX: usize = 1 << 12;

/// The sender's half of `count` transfers: two keys each. Panics above [`COUNT_MAX`].
///
/// # Errors
/// [`crate::error::Error::Deviation`] names a receiver whose elements are not good.
pub async fn send(s: &Session, peer: &PartyId, count: usize) -> Result<Zeroizing<Vec<[u128; 2]>>> {
    assert!(count <= COUNT_MAX, "pairs fit a frame");
    let channel = s.channel(peer)?;
    let (hashes, mut rng) = (Hashes::new(s), s.rng("offer"));
    let offer = s.compute(move || Offer::new(&mut rng)).await?;
    let pairs = channel.exchange::<_, Pairs>(&Point(offer.point()), count).await?;
    let keys = s.compute(move || offer.keys(&hashes, &pairs.0)).await?;
    keys.map_err(|fault| s.deviation(peer, fault))
}

/// The receiver's half: of each pair, the key of its choice. Panics above [`COUNT_MAX`].
///
/// # Errors
/// [`crate::error::Error::Deviation`] names a sender whose element is not good.
pub async fn receive(s: &Session, peer: &PartyId, choices: Bits) -> Result<Zeroizing<Vec<u128>>> {
    assert!(choices.len() <= COUNT_MAX, "pairs fit a frame");
    let channel = s.channel(peer)?;
    let (hashes, mut rng) = (Hashes::new(s), s.rng("answer"));
    let (chosen, pairs, hashes) = s
        .compute(move || {
            let (chosen, pairs) = Chosen::new(&hashes, choices, &mut rng);
            (chosen, pairs, hashes)
        })
        .await?;
    let Point(offer) = channel.exchange(&Pairs(pairs), ()).await?;
    let keys = s.compute(move || chosen.keys(&hashes, &offer)).await?;
    keys.map_err(|fault| s.deviation(peer, fault))
}

/// What `count` transfers cost; `role` is who is who in the transfer.
pub fn cost(count: usize, role: Role) -> Cost {
    let elements = match role {
        Role::Sender => 1,
        Role::Receiver => 2 * count as u64,
    };
    Cost { rounds: 1, bytes_out: FRAME_HEADER as u64 + 32 * elements, group_ops: 0, cpu_us: 0 }
}
