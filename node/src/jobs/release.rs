//! Two-phase release: nothing is opened before every party has signed the same commitment, and every party keeps the
//! others' signed word on their logs.
//!
//! ```text
//! step "release", with every other party
//!   swap  what I stand for: snapshot, held output, whether my checks passed
//!   swap  my signature over the commitment to all parts, and my log's signed checkpoint
//! ```

use std::collections::BTreeMap;

use banyan_proto::audit::Checkpoint;
use banyan_proto::canonical::{CANONICAL_MAX, Canonical, Digest};
use banyan_proto::evidence::{Commitment, Part};
use banyan_proto::identity::{Identity, PublicKey, Signed};
use banyan_protocols::channel::Channel;
use banyan_protocols::error::{Fault, Result};
use banyan_protocols::message::{Malformed, Message, Reader, Writer};
use banyan_protocols::party::PartyId;
use banyan_protocols::session::Session;

/// What an attempt commits to, before the parts are known.
pub(crate) struct Subject {
    pub(crate) spec: Digest,
    pub(crate) plan: Digest,
    pub(crate) attempt: u32,
}

/// What all parties agreed on.
pub(crate) struct Agreed {
    pub(crate) commitment: Commitment,
    /// One signed commitment per party, mine among them, in the order of the plan.
    pub(crate) signatures: Vec<Signed<Commitment>>,
    /// The others' signed checkpoints.
    pub(crate) receipts: Vec<(PartyId, Signed<Checkpoint>)>,
}

impl Agreed {
    /// Every party's release checks passed.
    pub(crate) fn releases(&self) -> bool {
        self.commitment.parts.iter().all(|part| part.releases)
    }
}

/// Swaps parts, signatures and receipts with every other party of the session.
///
/// # Errors
/// [`banyan_protocols::error::Error::Deviation`] names the party whose part, signature or checkpoint does not hold.
pub(crate) async fn agree(
    session: &Session,
    me: &Identity,
    pins: &BTreeMap<PartyId, PublicKey>,
    subject: Subject,
    mine: Part,
    checkpoint: Signed<Checkpoint>,
) -> Result<Agreed> {
    let session = session.step("release");
    let mut peers: Vec<(PartyId, PublicKey, Channel)> = Vec::new();
    for (peer, key) in pins.iter().filter(|(peer, _)| *peer != session.me()) {
        peers.push((peer.clone(), *key, session.channel(peer)?));
    }

    let mut parts = BTreeMap::from([(mine.party.clone(), mine.clone())]);
    for (peer, _, channel) in &mut peers {
        let said: Statement = channel.swap(&Statement(mine.to_bytes()), ()).await?;
        let part = Part::from_bytes(&said.0).ok().filter(|part| part.party == *peer);
        parts.insert(peer.clone(), part.ok_or_else(|| channel.deviation(out_of_range("part")))?);
    }
    let order: Vec<PartyId> = session.roster().iter().map(|(party, _)| party.clone()).collect();
    let parts = order.iter().filter_map(|party| parts.remove(party)).collect();
    let commitment = Commitment { spec: subject.spec, plan: subject.plan, attempt: subject.attempt, parts };

    let signed = me.sign(&commitment);
    let mut signatures = BTreeMap::from([(mine.party, signed.clone())]);
    let mut receipts = Vec::new();
    let word = Word { signature: signed.to_bytes(), checkpoint: checkpoint.to_bytes() };
    for (peer, key, mut channel) in peers {
        let word: Word = channel.swap(&word, ()).await?;
        let theirs = Signed::<Commitment>::from_bytes(&word.signature)
            .ok()
            .filter(|theirs| theirs.verify(&key).is_ok_and(|theirs| theirs == commitment))
            .ok_or_else(|| channel.deviation(out_of_range("commitment signature")))?;
        let receipt = Signed::<Checkpoint>::from_bytes(&word.checkpoint)
            .ok()
            .filter(|receipt| receipt.verify(&key).is_ok_and(|checkpoint| checkpoint.party == peer))
            .ok_or_else(|| channel.deviation(out_of_range("log checkpoint")))?;
        signatures.insert(peer.clone(), theirs);
        receipts.push((peer, receipt));
        channel.finish().await?;
    }
    let signatures = order.iter().filter_map(|party| signatures.remove(party)).collect();
    Ok(Agreed { commitment, signatures, receipts })
}

fn out_of_range(field: &'static str) -> Fault {
    Fault::Malformed(Malformed::Range { field })
}

/// A party's [`Part`], as canonical bytes.
struct Statement(Vec<u8>);

/// A party's signature over the commitment, and its log's checkpoint.
struct Word {
    signature: Vec<u8>,
    checkpoint: Vec<u8>,
}

impl Message for Statement {
    const KIND: &'static str = "release/statement";
    type Shape = ();

    fn write(&self, w: &mut Writer) {
        write_block(w, &self.0);
    }

    fn read(r: &mut Reader<'_>, (): ()) -> Result<Self, Malformed> {
        read_block(r).map(Self)
    }
}

impl Message for Word {
    const KIND: &'static str = "release/word";
    type Shape = ();

    fn write(&self, w: &mut Writer) {
        write_block(w, &self.signature);
        write_block(w, &self.checkpoint);
    }

    fn read(r: &mut Reader<'_>, (): ()) -> Result<Self, Malformed> {
        Ok(Self { signature: read_block(r)?, checkpoint: read_block(r)? })
    }
}

fn write_block(w: &mut Writer, block: &[u8]) {
    w.u64(block.len() as u64);
    w.bytes(block);
}

fn read_block(r: &mut Reader<'_>) -> Result<Vec<u8>, Malformed> {
    let length = usize::try_from(r.u64()?).ok().filter(|length| *length <= CANONICAL_MAX);
    let length = length.ok_or(Malformed::Range { field: "block length" })?;
    r.bytes(length).map(<[u8]>::to_vec)
}
