//! A job as the coordinator tells it, parsed once: what does not fit together is refused here and nowhere later.

use banyan_proto::canonical::{Canonical, Digest};
use banyan_proto::evidence::RunMetrics;
use banyan_proto::grant::Admission;
use banyan_proto::identity::Signed;
use banyan_proto::job::{Spec, State, When};
use banyan_proto::{audit::Checkpoint, wire};
use banyan_protocols::party::PartyId;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::answer::Failure;
use super::text::plain;

/// A job and where it stands.
pub(crate) struct JobView {
    /// The digest of its spec, which names it.
    pub(crate) digest: Digest,
    /// What was proposed; its digest was checked.
    pub(crate) spec: Spec,
    /// Where it stands.
    pub(crate) state: State,
    /// The attempt, from 0.
    pub(crate) attempt: u32,
    /// Why it stands there; empty where nothing needs saying.
    pub(crate) reason: String,
    /// Every party.
    pub(crate) parties: Vec<PartyView>,
    /// When it was proposed.
    pub(crate) proposed: When,
    /// When it last changed.
    pub(crate) changed: When,
}

/// A party of a job.
pub(crate) struct PartyView {
    /// Who.
    pub(crate) name: PartyId,
    /// Whether its node is connected to the coordinator.
    pub(crate) online: bool,
    /// How far it is.
    pub(crate) phase: String,
    /// Why; a code, never a value.
    pub(crate) detail: String,
    /// Steps of the protocol that are done.
    pub(crate) done: u64,
    /// Steps in all; 0 before it is known.
    pub(crate) total: u64,
    /// Bytes sent so far.
    pub(crate) bytes_out: u64,
    /// Its signed word that it admits the job.
    pub(crate) admission: Option<Signed<Admission>>,
    /// Its signed word on its log at the end.
    pub(crate) receipt: Option<Signed<Checkpoint>>,
    /// The figures of its run.
    pub(crate) metrics: Option<RunMetrics>,
}

impl TryFrom<wire::JobReply> for JobView {
    type Error = Failure;

    fn try_from(reply: wire::JobReply) -> Result<Self, Failure> {
        let digest = Digest::try_from(&reply.job[..]).map_err(odd)?;
        let spec = Spec::from_canonical(&reply.spec).map_err(odd)?;
        if spec.digest() != digest {
            return Err(odd("the spec it sent is not the one of this job's digest"));
        }
        let state = State::from_name(&reply.state).ok_or_else(|| odd("a state that this version does not know"))?;
        Ok(Self {
            digest,
            spec,
            state,
            attempt: reply.attempt,
            reason: plain(&reply.reason),
            parties: reply.parties.into_iter().map(PartyView::try_from).collect::<Result<_, _>>()?,
            proposed: time(reply.proposed_ms)?,
            changed: time(reply.changed_ms)?,
        })
    }
}

impl TryFrom<wire::PartyState> for PartyView {
    type Error = Failure;

    fn try_from(party: wire::PartyState) -> Result<Self, Failure> {
        Ok(Self {
            name: PartyId::new(&party.name).map_err(odd)?,
            online: party.online,
            phase: plain(if party.phase.is_empty() { "asked" } else { &party.phase }),
            detail: plain(&party.detail),
            done: party.done,
            total: party.total,
            bytes_out: party.bytes_out,
            admission: some(&party.admission).map(Signed::from_bytes).transpose().map_err(odd)?,
            receipt: some(&party.receipt).map(Signed::from_bytes).transpose().map_err(odd)?,
            metrics: some(&party.metrics).map(RunMetrics::from_bytes).transpose().map_err(odd)?,
        })
    }
}

impl JobView {
    /// The same for programs.
    pub(crate) fn as_json(&self) -> Value {
        let party = |party: &PartyView| {
            json!({
                "name": party.name, "online": party.online, "phase": party.phase, "detail": party.detail,
                "done": party.done, "total": party.total, "bytes_out": party.bytes_out, "metrics": party.metrics,
                "admitted": party.admission.is_some(), "receipt": party.receipt.is_some(),
            })
        };
        json!({
            "job": self.digest, "name": self.spec.name, "state": self.state, "attempt": self.attempt,
            "reason": self.reason, "proposed": self.proposed, "changed": self.changed,
            "parties": self.parties.iter().map(party).collect::<Vec<_>>(),
        })
    }

    /// How far the protocol is, from 0 to 1, by the party that is least far.
    pub(crate) fn fraction(&self) -> f64 {
        let of = |party: &PartyView| if party.total == 0 { 0.0 } else { party.done as f64 / party.total as f64 };
        self.parties.iter().map(of).fold(1.0, f64::min)
    }
}

fn some(bytes: &[u8]) -> Option<&[u8]> {
    (!bytes.is_empty()).then_some(bytes)
}

fn time(ms: i64) -> Result<When, Failure> {
    Timestamp::from_millisecond(ms).map(When).map_err(odd)
}

fn odd(reason: impl std::fmt::Display) -> Failure {
    Failure::not_now(format!(
        "the coordinator sent what is no job of this version: {reason}; run the same version of banyan on both sides, \
         and tell the operator if it stays"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::job::check::{EXAMPLE, parse};

    fn reply() -> wire::JobReply {
        let (spec, _) = parse(EXAMPLE).unwrap();
        let party = |name: &str, done| wire::PartyState {
            name: name.into(),
            phase: "running".into(),
            detail: "a\u{1b}[2J".into(),
            done,
            total: 10,
            ..wire::PartyState::default()
        };
        wire::JobReply {
            job: spec.digest().0.to_vec().into(),
            spec: spec.to_bytes().into(),
            state: "running".into(),
            parties: vec![party("bank", 4), party("bureau", 8)],
            ..wire::JobReply::default()
        }
    }

    #[test]
    fn a_job_is_parsed_once_and_made_harmless() {
        let job = JobView::try_from(reply()).unwrap();
        assert_eq!((job.state, job.fraction()), (State::Running, 0.4));
        assert_eq!(job.parties[0].detail, "a\\u{1b}[2J");
        assert!(job.parties[0].receipt.is_none());
    }

    #[test]
    fn another_spec_than_the_digests_is_refused() {
        let swapped = reply();
        let text = EXAMPLE.replace("minimum_result = 100  ", "minimum_result = 101  ");
        let (other, _) = parse(&text).unwrap();
        let said = |reply: wire::JobReply| JobView::try_from(reply).map(|_| ()).unwrap_err().to_string();
        let swapped = said(wire::JobReply { spec: other.to_bytes().into(), ..swapped });
        assert!(swapped.contains("the spec it sent is not the one of this job's digest"), "{swapped}");
        let unknown = said(wire::JobReply { state: "paused".into(), ..reply() });
        assert!(unknown.contains("a state that this version does not know"), "{unknown}");
        let mut signed = reply();
        signed.parties[0].admission = vec![1, 2, 3].into();
        assert!(said(signed).contains("a signed value has a 32-byte key"));
    }
}
