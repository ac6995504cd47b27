//! A job as the coordinator tells it, parsed once. What does not fit together is refused here and nowhere later; what one
//! party sent as its evidence may be nonsense without keeping anybody from the rest.

use std::time::Duration;

use banyan_proto::canonical::{Canonical, Digest};
use banyan_proto::evidence::RunMetrics;
use banyan_proto::grant::{Admission, Approval};
use banyan_proto::identity::Signed;
use banyan_proto::job::{Spec, State, When};
use banyan_proto::{audit::Checkpoint, wire};
use banyan_protocols::party::PartyId;
use data_encoding::HEXLOWER;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::answer::Failure;
use super::text::{grouped, plain, span};

/// A job and where it stands.
pub(crate) struct JobView {
    /// The digest of its spec, which names it.
    pub(crate) digest: Digest,
    /// What was proposed; its digest was checked.
    pub(crate) spec: Spec,
    /// Where it stands.
    pub(crate) state: State,
    /// The attempt, from 1.
    pub(crate) attempt: u32,
    /// Why it stands there; empty where nothing needs saying.
    pub(crate) reason: String,
    /// Every party.
    pub(crate) parties: Vec<PartyView>,
    /// The reviews of its scenario that can be read; none in a list.
    pub(crate) reviews: Vec<Signed<Approval>>,
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
    /// Of these, how many it does in a second; 0 before it is known.
    pub(crate) rate: u64,
    /// Bytes sent so far.
    pub(crate) bytes_out: u64,
    /// Its signed word that it admits the job.
    pub(crate) admission: Claim<Signed<Admission>>,
    /// Its signed word on its log.
    pub(crate) receipt: Claim<Signed<Checkpoint>>,
    /// The figures of its run.
    pub(crate) metrics: Claim<RunMetrics>,
}

/// What a party may have sent, or why it is nothing of the kind.
pub(crate) type Claim<T> = Option<Result<T, String>>;

/// The jobs of one answer.
pub(crate) struct Listing {
    /// Those that can be read.
    pub(crate) jobs: Vec<JobView>,
    /// Those that cannot, each by its digest and the reason.
    pub(crate) unreadable: Vec<String>,
    /// Whether there are more than one answer holds.
    pub(crate) cut: bool,
}

impl From<wire::JobsReply> for Listing {
    fn from(reply: wire::JobsReply) -> Self {
        let (mut jobs, mut unreadable) = (Vec::new(), Vec::new());
        for job in reply.jobs {
            let digest = HEXLOWER.encode(&job.job);
            match JobView::try_from(job) {
                Ok(job) => jobs.push(job),
                Err(failure) => unreadable.push(format!("{digest}: {failure}")),
            }
        }
        Self { jobs, unreadable, cut: reply.cut }
    }
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
            reviews: reply.reviews.iter().filter_map(|review| Signed::from_bytes(review).ok()).collect(),
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
            rate: party.rate,
            bytes_out: party.bytes_out,
            admission: claim(&party.admission, Signed::from_bytes),
            receipt: claim(&party.receipt, Signed::from_bytes),
            metrics: claim(&party.metrics, RunMetrics::from_bytes),
        })
    }
}

impl JobView {
    /// The same for programs.
    pub(crate) fn as_json(&self) -> Value {
        let party = |party: &PartyView| {
            json!({
                "name": party.name, "online": party.online, "phase": party.phase, "detail": party.detail,
                "done": party.done, "total": party.total, "rate": party.rate, "left_s": party.left_s(),
                "bytes_out": party.bytes_out,
                "metrics": party.metrics.as_ref().and_then(|metrics| metrics.as_ref().ok()),
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

    /// The party that takes longest, where one is known to be at work.
    pub(crate) fn slowest(&self) -> Option<&PartyView> {
        let at_work = self.parties.iter().filter(|party| party.phase == "running" && party.total > 0);
        at_work.max_by_key(|party| party.left_s().unwrap_or(u64::MAX))
    }
}

impl PartyView {
    /// Seconds until the protocol is done at the pace so far.
    pub(crate) fn left_s(&self) -> Option<u64> {
        (self.rate > 0).then(|| self.total.saturating_sub(self.done).div_ceil(self.rate))
    }

    /// How far it is, how fast, and how long it still takes; empty before it runs.
    pub(crate) fn far(&self) -> String {
        if self.total == 0 {
            return String::new();
        }
        let far = format!("{} of {}", grouped(self.done), grouped(self.total));
        match self.left_s() {
            Some(left) if self.done < self.total => {
                format!("{far}, {}/s, {} left", grouped(self.rate), span(Duration::from_secs(left)))
            }
            _ => far,
        }
    }
}

fn claim<T, E: std::fmt::Display>(bytes: &[u8], parse: impl FnOnce(&[u8]) -> Result<T, E>) -> Claim<T> {
    (!bytes.is_empty()).then(|| parse(bytes).map_err(|error| error.to_string()))
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
        assert_eq!(job.parties[0].far(), "4 of 10");
        let party = PartyView { done: 400, total: 1_000_400, rate: 8000, ..job.parties.into_iter().next().unwrap() };
        assert_eq!((party.left_s(), &*party.far()), (Some(125), "400 of 1 000 400, 8 000/s, 2 min left"));
        let job = JobView::try_from(reply()).unwrap();
        assert_eq!(job.slowest().map(|party| party.name.as_str()), Some("bureau"));
        assert_eq!(job.parties[0].detail, "a\\u{1b}[2J");
        assert!(job.parties[0].receipt.is_none());
    }

    #[test]
    fn another_spec_than_the_digests_is_refused() {
        let swapped = reply();
        let text = EXAMPLE.replace("minimum_result = 100", "minimum_result = 101");
        let (other, _) = parse(&text).unwrap();
        let said = |reply: wire::JobReply| JobView::try_from(reply).map(|_| ()).unwrap_err().to_string();
        let swapped = said(wire::JobReply { spec: other.to_bytes().into(), ..swapped });
        assert!(swapped.contains("the spec it sent is not the one of this job's digest"), "{swapped}");
        let unknown = said(wire::JobReply { state: "paused".into(), ..reply() });
        assert!(unknown.contains("a state that this version does not know"), "{unknown}");
    }

    #[test]
    fn nonsense_of_one_party_hides_nothing_else() {
        let mut nonsense = reply();
        let party = &mut nonsense.parties[0];
        (party.admission, party.receipt, party.metrics) =
            (vec![1, 2, 3].into(), vec![4].into(), b"{\"run_ms\":-1}".to_vec().into());
        let unreadable = wire::JobReply { job: vec![9; 32].into(), ..reply() };
        let listing = Listing::from(wire::JobsReply { jobs: vec![nonsense, unreadable], cut: true });
        assert_eq!((listing.jobs.len(), listing.unreadable.len(), listing.cut), (1, 1, true));
        assert!(listing.unreadable[0].starts_with(&"09".repeat(32)), "{}", listing.unreadable[0]);
        let party = &listing.jobs[0].parties[0];
        assert_eq!(
            party.admission.as_ref().unwrap().as_ref().unwrap_err(),
            "not canonical: a signed value has a 32-byte key, a 64-byte signature and a body"
        );
        assert!(matches!((&party.receipt, &party.metrics), (Some(Err(_)), Some(Err(_)))));
        assert!(listing.jobs[0].as_json()["parties"][0]["metrics"].is_null());
    }
}
