//! `multi`: the intersection of three or more sets, by one receiver and any number of senders around it. No intersection of
//! fewer sets is revealed.
//!
//! ```text
//! receiver, X                                       sender i, Y_i
//!
//! step "zero-i-j", of every two senders                          k_ij, of which each chooses half: k_ji = k_ij
//!                                                                S_i(y) = Σ_j AES under k_ij of y, so that Σ_i S_i(y) = 0
//! step i / "oprf"    F_i(x) for each x in X         ←────→       F_i, a pseudorandom function
//! step i / "hints"                                  ←── T_i ──   T_i = table of y ↦ F_i(y) + S_i(y)
//!                    x in X ∩ Y_1 ∩ … ∩ Y_k  ⇔  Σ_i (T_i(x) + F_i(x)) = 0
//! ```
//!
//! All senders run at the same time. Sets are padded to their bands with dummies that nobody else has; x and y stand for
//! 128 bits of SHA-256 of an item. For an x that a sender i does not have, T_i(x) + F_i(x) looks random; for one that it
//! has, it is S_i(x), which looks random too unless it meets the shares of all others.
//!
//! **Claim.** Semi-honest peers, 128 bits, under the assumptions of [`crate::ot::vole`], with SHA-256 as random oracle and AES
//! as ideal cipher: the receiver learns the senders' band and the intersection of all sets, a sender the receiver's band.
//! False matches: at most `n * 2^-128` for n items of the receiver, beside N² * 2^-129 for two of N items of all parties with
//! equal hashes, together 2^-64 at N = 2^32.
//! *Collusion.* Any number of senders together learn nothing more. A receiver that colludes with senders learns in
//! addition, of each item of X, whether all *other* senders have it, as if the colluding senders had put all of X into their
//! sets: this is security against *augmented* semi-honest parties, which may choose their inputs. With one sender left, that is
//! the intersection of X with the set of that sender. Vector evaluation is checked as everywhere, so that who cheats in it is
//! named.
//!
//! **Not claimed.** Anything about a sender that puts other things into T_i than the protocol has, or shows different keys
//! to different senders: it can make items vanish from the result, and by chance of 2^-128 appear. Anything about a receiver
//! that encodes different sets for different senders.
//!
//! **Sources.** Kolesnikov, Matania, Pinkas, Rosulek and Trieu 2017 (CCS, eprint 2017/799), the protocol for augmented
//! semi-honest parties, whose zero-sharing is without conditions. Its programmable function is here that of
//! `psi::oprf` with a table of hints. (The star of Nevo, Trieu and Yanai 2021, CCS, eprint 2021/1221, adds security
//! against malicious parties of which few collude; that is not done here.)

mod entry;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use futures::future::{try_join, try_join_all};
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use super::set::Padded;
use super::{Psi, oprf};
use crate::catalogue::{Form, Output, Parameters};
use crate::error::{Bug, Error, InputError, Result};
use crate::items::Items;
use crate::kernels::aes::Aes128;
use crate::message::{Malformed, Message, Reader, Writer};
use crate::party::{PartyId, Role};
use crate::session::Session;

/// The largest band: the store of one of 2^27 items is within [`crate::ot::vole::LENGTH_MAX`].
pub const BAND_MAX: u64 = 1 << 27;

/// The protocol of this module.
#[derive(Clone, Copy, Debug)]
pub struct Multi;

impl Psi for Multi {
    async fn receive(&self, s: &Session, p: Parameters, x: Items) -> Result<Output> {
        let (n, m) = bands(s, &p)?;
        let x = Padded::prepare(s, x, n).await?;
        let keys = keys(s, &x).await?;
        let shares = s.roster().holders(Role::Sender).map(|sender| shares_of(s, sender, keys.clone(), m));
        let shares = try_join_all(shares).await?;
        let matches = move |at: &usize| shares.iter().fold(0, |sum, shares| sum ^ shares[*at]) == 0;
        Ok(Output::Rows(s.compute(move || x.rows((0..x.len()).filter(matches))).await?))
    }

    async fn send(&self, s: &Session, p: Parameters, y: Items) -> Result<Output> {
        let (n, m) = bands(s, &p)?;
        let receiver = s.holder(Role::Receiver)?;
        let s_i = s.step(s.me());
        let y = Padded::prepare(s, y, m).await?;
        let keys = keys(s, &y).await?;
        let zero_keys =
            s.roster().holders(Role::Sender).filter(|other| *other != s.me()).map(|other| zero_key(s, other));
        let (zero_keys, f_i) =
            try_join(try_join_all(zero_keys), oprf::send(&s_i.step("oprf"), receiver, n as usize)).await?;
        let mut rng = s.rng("hints");
        let hints = move || {
            let mut hints = f_i.values(&keys);
            add_shares(&mut hints, &keys, &zero_keys);
            oprf::encode(&keys, &hints, &mut rng)
        };
        let hints = s.compute(hints).await??;
        oprf::send_store(&s_i.step("hints"), receiver, &hints).await?;
        Ok(Output::Nothing)
    }
}

/// T_i(x) + F_i(x) of each key x of the receiver.
async fn shares_of(
    s: &Session,
    sender: &PartyId,
    keys: Arc<Zeroizing<Vec<u128>>>,
    m: u32,
) -> Result<Zeroizing<Vec<u128>>> {
    let s_i = s.step(sender);
    let f_i = oprf::receive(&s_i.step("oprf"), sender, keys.clone()).await?;
    let (okvs, t_i) = oprf::receive_store(&s_i.step("hints"), sender, m as usize).await?;
    s.compute(move || {
        let mut shares = oprf::decode(&okvs, &t_i, &okvs.arrange(&keys), |_, _| {});
        shares.iter_mut().zip(f_i.iter()).for_each(|(share, f)| *share ^= f);
        shares
    })
    .await
}

/// k_ij of this sender and another one.
async fn zero_key(s: &Session, other: &PartyId) -> Result<Zeroizing<u128>> {
    let (first, second) = (s.me().min(other), s.me().max(other));
    let s_ij = s.step(format_args!("zero-{first}-{second}"));
    let mut channel = s_ij.channel(other)?;
    let mine = Half(crate::bits::random_blocks(1, &mut s_ij.rng("half"))[0]);
    let theirs: Half = channel.swap(&mine, ()).await?;
    channel.finish().await?;
    Ok(Zeroizing::new(mine.0 ^ theirs.0))
}

/// Adds S_i of each key.
fn add_shares(values: &mut [u128], keys: &[u128], zero_keys: &[Zeroizing<u128>]) {
    for zero_key in zero_keys {
        let mut shares = Zeroizing::new(keys.to_vec());
        Aes128::new(**zero_key).encrypt(&mut shares);
        values.iter_mut().zip(shares.iter()).for_each(|(value, share)| *value ^= share);
    }
}

/// 128 bits of SHA-256 stand for each element, the same for all parties of the run.
async fn keys(s: &Session, set: &Arc<Padded>) -> Result<Arc<Zeroizing<Vec<u128>>>> {
    let hash = Sha256::new_with_prefix(s.binding("psi/multi/key")).chain_update(b"banyan/multi/v1 key of an element");
    let key = move |parts: &[&[u8]]| {
        let digest = parts.iter().fold(hash.clone(), |hash, part| hash.chain_update(part)).finalize();
        let mut key = [0; 16];
        key.copy_from_slice(&digest[..16]);
        u128::from_le_bytes(key)
    };
    let set = set.clone();
    s.compute(move || Arc::new(Zeroizing::new(set.hashes(0..set.len(), key)))).await
}

fn bands(s: &Session, p: &Parameters) -> Result<(u32, u32)> {
    let unsupported = |reason| InputError::Unsupported { protocol: "multi", reason };
    if p.form != Form::RowsToReceiver {
        return Err(unsupported("another result than the receiver's rows").into());
    }
    if s.roster().holders(Role::Sender).count() != p.senders as usize {
        return Err(Error::Bug(Bug("the roster has another number of senders than the plan")));
    }
    let band = |band: u64| match u32::try_from(band) {
        Ok(fits) if band <= BAND_MAX => Ok(fits),
        _ => Err(unsupported("a band above 2^27 rows; split the job")),
    };
    Ok((band(p.sizes.receiver)?, band(p.sizes.sender)?))
}

/// A sender's half of k_ij.
struct Half(u128);

impl Half {
    const BYTES: u64 = 16;
}

impl Message for Half {
    const KIND: &'static str = "multi/half";
    type Shape = ();

    fn write(&self, w: &mut Writer) {
        w.blocks(&[self.0]);
    }

    fn read(r: &mut Reader<'_>, (): ()) -> Result<Self, Malformed> {
        Ok(Self(r.blocks(1)?[0]))
    }
}
