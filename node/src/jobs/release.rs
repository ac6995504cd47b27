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

    /// Every party counts as many common keys as every other, or none says a number.
    pub(crate) fn counts_agree(&self) -> bool {
        let parts = &self.commitment.parts;
        parts.iter().all(|part| part.matches == parts[0].matches)
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

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use banyan_proto::job::When;
    use banyan_protocols::error::Error;
    use banyan_protocols::party::Roster;
    use banyan_protocols::sim::World;

    use super::*;

    /// What one party brings to the table; the tests spoil one thing of it.
    #[derive(Clone)]
    struct Side {
        name: PartyId,
        key: Arc<Identity>,
        signs_with: Arc<Identity>,
        part: Part,
        attempt: u32,
        log_of: PartyId,
    }

    fn side(name: &str) -> Side {
        let name = PartyId::new(name).unwrap();
        let key = Arc::new(Identity::generate().unwrap());
        let part = Part {
            party: name.clone(),
            snapshot: Digest([1; 32]),
            output: Digest::default(),
            releases: true,
            matches: None,
        };
        Side { log_of: name.clone(), name, signs_with: key.clone(), key, part, attempt: 1 }
    }

    fn meet(bank: Side, bureau: Side) -> Vec<Result<Agreed>> {
        meet_all(&[bank, bureau])
    }

    fn meet_all(sides: &[Side]) -> Vec<Result<Agreed>> {
        let roster = Roster::star(sides[0].name.clone(), sides[1..].iter().map(|side| side.name.clone()));
        let pins: BTreeMap<_, _> = sides.iter().map(|side| (side.name.clone(), side.key.public())).collect();
        let run = World::new("dh", 1).run(&roster, |session, _| {
            let side = sides.iter().find(|side| side.name == *session.me()).unwrap().clone();
            let pins = pins.clone();
            async move {
                let at: When = "2026-11-21T00:00:00Z".parse().unwrap();
                let (root, head) = (Digest([2; 32]), Digest([3; 32]));
                let checkpoint = Checkpoint { party: side.log_of, size: 7, root, head, at };
                let checkpoint = side.signs_with.sign(&checkpoint);
                let subject = Subject { spec: Digest([4; 32]), plan: Digest([5; 32]), attempt: side.attempt };
                agree(&session, &side.signs_with, &pins, subject, side.part, checkpoint).await
            }
        });
        run.outcomes.into_iter().map(|(_, outcome)| outcome).collect()
    }

    fn deviates(outcomes: &[Result<Agreed>], honest: usize, cheat: &str) {
        match &outcomes[honest] {
            Err(Error::Deviation { party, .. }) => assert_eq!(party.as_str(), cheat),
            Err(other) => panic!("{other}"),
            Ok(_) => panic!("the honest party agreed"),
        }
    }

    #[test]
    fn honest_parties_sign_the_same_commitment_and_keep_receipts() {
        let outcomes = meet(side("bank"), side("bureau"));
        let agreed: Vec<&Agreed> = outcomes.iter().map(|outcome| outcome.as_ref().ok().unwrap()).collect();
        assert_eq!(agreed[0].commitment, agreed[1].commitment);
        assert!(agreed.iter().all(|agreed| agreed.releases() && agreed.signatures.len() == 2));
        assert_eq!(agreed[0].receipts[0].0.as_str(), "bureau");
    }

    #[test]
    fn three_parties_sign_one_commitment_and_a_no_or_another_key_of_any_of_them_is_found_by_all() {
        let names = ["bank", "bureau", "clinic"];
        let honest = meet_all(&names.map(side));
        let agreed: Vec<&Agreed> = honest.iter().map(|outcome| outcome.as_ref().ok().unwrap()).collect();
        for agreed in &agreed {
            assert_eq!(agreed.commitment, honest[0].as_ref().ok().unwrap().commitment);
            assert_eq!((agreed.releases(), agreed.signatures.len(), agreed.receipts.len()), (true, 3, 2));
        }
        for spoilt in 0..3 {
            let mut sides = names.map(side);
            sides[spoilt].part.releases = false;
            let outcomes = meet_all(&sides);
            assert!(outcomes.iter().all(|outcome| outcome.as_ref().is_ok_and(|agreed| !agreed.releases())));
        }
        let mut sides = names.map(side);
        sides[2].signs_with = Arc::new(Identity::generate().unwrap());
        let outcomes = meet_all(&sides);
        deviates(&outcomes, 0, "clinic");
        assert!(outcomes[1].is_err(), "the bank is gone, or the clinic deviates");
    }

    #[test]
    fn one_no_and_nobody_releases() {
        let mut bureau = side("bureau");
        bureau.part.releases = false;
        let outcomes = meet(side("bank"), bureau);
        assert!(outcomes.iter().all(|outcome| outcome.as_ref().is_ok_and(|agreed| !agreed.releases())));
    }

    #[test]
    fn parties_that_count_differently_are_found() {
        for (bank, bureau, agree) in [
            (Some(21), Some(21), true),
            (None, None, true),
            (Some(21), Some(20), false),
            (Some(21), None, false),
            (None, Some(0), false),
        ] {
            let (mut one, mut other) = (side("bank"), side("bureau"));
            (one.part.matches, other.part.matches) = (bank, bureau);
            let outcomes = meet(one, other);
            assert!(outcomes.iter().all(|outcome| outcome.as_ref().is_ok_and(|agreed| agreed.counts_agree() == agree)));
        }
    }

    #[test]
    fn another_key_another_attempt_another_name_and_another_log_are_deviations() {
        let spoil: [fn(&mut Side); 4] = [
            |side| side.signs_with = Arc::new(Identity::generate().unwrap()),
            |side| side.attempt = 2,
            |side| side.part.party = PartyId::new("bank").unwrap(),
            |side| side.log_of = PartyId::new("bank").unwrap(),
        ];
        for spoil in spoil {
            let mut bureau = side("bureau");
            spoil(&mut bureau);
            deviates(&meet(side("bank"), bureau), 0, "bureau");
        }
    }
}
