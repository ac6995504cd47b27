//! The protocol's transport over a line: frames of `interop` are said as the standard's batches, and heard.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

use banyan_proto::wire::interconnection::v2::runtime::EcdhPsiCipherBatch;
use banyan_protocols::message::{FRAME_MAX, Malformed};
use banyan_protocols::party::PartyId;
use banyan_protocols::psi::interop::{Batch, DUAL_ENC, ENC, EcSuite, TAIL};
use banyan_protocols::transport::{Inbound, Link, LinkError, Outbound, Step, Transport};
use bytes::Bytes;
use futures::{sink, stream};
use prost::Message;

use super::{Lane, Line};

/// The transport of one run with one peer.
pub(crate) struct Batches {
    line: Arc<Line>,
    peer: PartyId,
    suite: EcSuite,
    opened: Mutex<BTreeSet<Lane>>,
}

impl Batches {
    /// Over `line`, with points of `suite`.
    pub(crate) fn new(line: Arc<Line>, peer: PartyId, suite: EcSuite) -> Self {
        Self { line, peer, suite, opened: Mutex::default() }
    }
}

/// How batches of a lane are said.
#[derive(Clone, Copy)]
struct Dialect {
    lane: Lane,
    word: &'static str,
    width: usize,
}

impl Transport for Batches {
    fn open(&self, peer: &PartyId, step: &Step) -> Result<Link, LinkError> {
        if *peer != self.peer {
            return Err(LinkError::UnknownPeer);
        }
        let dialect = match step.as_str().rsplit('/').next() {
            Some(ENC) => Dialect { lane: Lane::Main, word: ENC, width: self.suite.point_bytes() },
            Some(DUAL_ENC) => Dialect { lane: Lane::Dual, word: DUAL_ENC, width: TAIL },
            _ => return Err(LinkError::Refused("a step that the interconnection standard has not".into())),
        };
        if !self.opened.lock().unwrap_or_else(PoisonError::into_inner).insert(dialect.lane) {
            return Err(LinkError::AlreadyOpen);
        }
        Ok(Link { outbound: outbound(self.line.clone(), dialect), inbound: inbound(self.line.clone(), dialect) })
    }
}

fn outbound(line: Arc<Line>, dialect: Dialect) -> Outbound {
    Box::pin(sink::unfold(line, move |line, frame: Bytes| async move {
        let batch = Batch::from_frame(&frame, dialect.width).map_err(LinkError::Malformed)?;
        line.send(dialect.lane, said(batch, dialect).encode_to_vec().into()).await?;
        Ok(line)
    }))
}

/// Ends after the last batch: the standard has no other mark.
fn inbound(line: Arc<Line>, dialect: Dialect) -> Inbound {
    Box::pin(stream::unfold(Some(line), move |line| async move {
        let line = line?;
        let heard = line.recv(dialect.lane).await.and_then(|value| heard(value, dialect).map_err(LinkError::Malformed));
        Some(match heard {
            Ok(batch) => (Ok(batch.to_frame()), (!batch.last).then_some(line)),
            Err(error) => (Err(error), None),
        })
    }))
}

fn said(batch: Batch, dialect: Dialect) -> EcdhPsiCipherBatch {
    EcdhPsiCipherBatch {
        r#type: dialect.word.into(),
        batch_index: batch.index as i32, // below 2^28 batches
        is_last_batch: batch.last,
        count: batch.count as i32,
        ciphertext: batch.entries.into(),
    }
}

/// Any bytes of the peer: as a batch of this lane, or refused.
fn heard(value: Bytes, dialect: Dialect) -> Result<Batch, Malformed> {
    let range = |field| Malformed::Range { field };
    let batch = EcdhPsiCipherBatch::decode(value).map_err(|_| range("cipher batch"))?;
    if batch.r#type != dialect.word {
        return Err(range("type of the cipher batch"));
    }
    let index = u32::try_from(batch.batch_index).map_err(|_| range("batch index"))?;
    let count = usize::try_from(batch.count).map_err(|_| range("count"))?;
    let (there, expected) = (batch.ciphertext.len(), count.saturating_mul(dialect.width));
    if there > expected {
        return Err(Malformed::Long { extra: there - expected });
    }
    if there < expected {
        return Err(Malformed::Short { missing: expected - there });
    }
    if there > FRAME_MAX - 64 {
        return Err(range("count"));
    }
    Ok(Batch { index, last: batch.is_last_batch, count, entries: batch.ciphertext.into() })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_is_said_is_heard_and_arbitrary_bytes_are_a_batch_or_refused(
            bytes in proptest::collection::vec(any::<u8>(), 0..200),
            index in 0u32..1 << 20,
            last: bool,
            entries in proptest::collection::vec(any::<[u8; 12]>(), 0..9),
            at in any::<prop::sample::Index>(),
            flip in 1u8..,
        ) {
            let dialect = Dialect { lane: Lane::Dual, word: DUAL_ENC, width: TAIL };
            let batch = Batch { index, last, count: entries.len(), entries: entries.concat() };
            let mut value = said(batch.clone(), dialect).encode_to_vec();
            prop_assert_eq!(heard(value.clone().into(), dialect), Ok(batch));
            let elsewhere = heard(value.clone().into(), Dialect { word: ENC, ..dialect });
            prop_assert!(elsewhere.is_err());
            prop_assert!(heard(bytes.into(), dialect).is_err(), "the type is met by chance");
            let place = at.index(value.len());
            value[place] ^= flip;
            if let Ok(batch) = heard(value.into(), dialect) {
                prop_assert_eq!(batch.entries.len(), batch.count * TAIL);
            }
        }
    }
}
