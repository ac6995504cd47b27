//! Oblivious transfer: the receiver has one of two values of the sender by its choice; the sender does not learn which, nor
//! the receiver the other.
//!
//! [`base`] makes a few from public-key operations, [`extension`] makes many from 128 of those. Most protocols take theirs
//! from [`extension::Sender`] and [`extension::Receiver`]; the functions here are for who needs one set, once.

pub mod base;
pub mod extension;
pub mod vole;

use std::pin::pin;
use std::sync::Arc;

use futures::{Stream, TryStreamExt};
use zeroize::{Zeroize, Zeroizing};

use crate::bits::Bits;
use crate::error::Result;
use crate::party::PartyId;
use crate::session::Session;

use extension::{BATCH, Receiver, Sender};

/// `count` random transfers, as the sender: two random blocks each. The peer runs [`random_receive`] at this step.
///
/// # Errors
/// [`crate::error::Error::Deviation`] names a peer that breaks the protocol.
pub async fn random_send(s: &Session, peer: &PartyId, count: usize) -> Result<Zeroizing<Vec<[u128; 2]>>> {
    let mut sender = Sender::set_up(s, peer).await?;
    collect(sender.random(&s.step("random"), count, BATCH)?, count).await
}

/// Random transfers, as the receiver: of each pair, the block of the choice.
///
/// # Errors
/// [`crate::error::Error::Deviation`] names a peer that breaks the protocol.
pub async fn random_receive(s: &Session, peer: &PartyId, choices: Bits) -> Result<Zeroizing<Vec<u128>>> {
    let mut receiver = Receiver::set_up(s, peer).await?;
    let count = choices.len();
    collect(receiver.random(&s.step("random"), &Arc::new(choices), BATCH)?, count).await
}

/// `count` correlated transfers, as the sender: `(delta, q)` with a uniform delta, where the peer has t = q ^ choice * delta
/// from [`correlated_receive`] at this step.
///
/// # Errors
/// [`crate::error::Error::Deviation`] names a peer that breaks the protocol.
pub async fn correlated_send(s: &Session, peer: &PartyId, count: usize) -> Result<(u128, Zeroizing<Vec<u128>>)> {
    let mut sender = Sender::set_up(s, peer).await?;
    let q = collect(sender.correlated(&s.step("correlated"), count)?, count).await?;
    Ok((sender.delta(), q))
}

/// Correlated transfers, as the receiver: t = q ^ choice * delta for each choice.
///
/// # Errors
/// [`crate::error::Error::Deviation`] names a peer that breaks the protocol.
pub async fn correlated_receive(s: &Session, peer: &PartyId, choices: Bits) -> Result<Zeroizing<Vec<u128>>> {
    let mut receiver = Receiver::set_up(s, peer).await?;
    let count = choices.len();
    collect(receiver.correlated(&s.step("correlated"), &Arc::new(choices))?, count).await
}

/// All batches of a stream, `count` values, in one vector that never moves.
async fn collect<T: Clone>(
    batches: impl Stream<Item = Result<Zeroizing<Vec<T>>>>,
    count: usize,
) -> Result<Zeroizing<Vec<T>>>
where
    Vec<T>: Zeroize,
{
    let mut batches = pin!(batches);
    let mut all = Zeroizing::new(Vec::with_capacity(count));
    while let Some(batch) = batches.try_next().await? {
        all.extend_from_slice(&batch);
    }
    Ok(all)
}
