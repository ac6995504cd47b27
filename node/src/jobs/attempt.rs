//! One attempt of one job at this node: prepare, run, release. Every step is on the record before it is done, and
//! nothing of the result is readable on disk before every party has signed.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use banyan_proto::audit::{Act, Checkpoint};
use banyan_proto::canonical::{Canonical, Digest};
use banyan_proto::decision::Decision;
use banyan_proto::evidence::{Part, RunMetrics};
use banyan_proto::grant::Admission;
use banyan_proto::identity::{BadSignature, PublicKey, Signed};
use banyan_proto::job::{Plan, Spec};
use banyan_protocols::catalogue::{Input, Output};
use banyan_protocols::items::Items;
use banyan_protocols::party::PartyId;
use banyan_protocols::session::{Meter, Session, SessionId, SessionParts};

use super::Desk;
use super::basis::{AttemptId, Basis, fresh_seed};
use super::failure::Failure;
use super::release::{self, Agreed, Subject};
use super::result;
use crate::audit::contradiction;

/// The number of the only task that a plan of one stage gives a party.
const TASK: u32 = 0;

/// An attempt whose run is spent and whose input is pinned: nothing was sent yet.
pub(crate) struct Prepared {
    basis: Basis,
    items: Items,
}

/// A protocol that ended: its output is in memory only.
pub(crate) struct HeldOutput {
    basis: Basis,
    session: Session,
    output: Output,
}

impl Prepared {
    /// Checks everything again, spends the run, and pins the input.
    pub(crate) async fn prepare(desk: &Desk, id: AttemptId, admissions: &[Vec<u8>]) -> Result<Self, Failure> {
        let began = Instant::now();
        desk.check_clock()?;
        let (spec, plan) = desk.job(&id.job)?;
        let pins = check_admissions(desk, &spec, &plan, admissions)?;
        check_decision(desk.decide(&spec, &plan)?)?;
        desk.spend(id, &spec.scenario)?;
        let set = desk.dataset(&spec)?;
        let salt = fresh_seed()?;
        let snapshot = desk.snapshot(&spec, &set, &salt).await?;
        let pinned = snapshot.pinned;
        desk.record(Act::Snapshot, Digest(pinned.digest()), format!("{} rows", pinned.len()))?;
        let metrics = RunMetrics { prepare_ms: ms(began), ..RunMetrics::default() };
        Ok(Self { basis: Basis { id, spec, plan, pins, set, pinned, salt, metrics }, items: snapshot.items })
    }

    /// Runs the protocol with the others. `started` is told what to watch, and how many group operations there will be.
    pub(crate) async fn run(self, desk: &Desk, started: impl FnOnce(Arc<Meter>, u64)) -> Result<HeldOutput, Failure> {
        let began = Instant::now();
        let Self { mut basis, items } = self;
        let bug = |why: &str| Failure::new("bug", why);
        let stage = basis.plan.stages.first().ok_or_else(|| bug("the plan has no stage"))?;
        let task = stage.task(&desk.me).ok_or_else(|| bug("the plan has no task for this node"))?;
        let roster = stage.roster().ok_or_else(|| bug("the plan has no roster"))?;
        let parameters = stage.parameters().map_err(|error| bug(&error.to_string()))?;
        let protocol = desk.protocol(stage)?;
        let id = SessionId::derive(&basis.id.job.0, TASK, basis.id.attempt);
        let parties: Vec<PartyId> = roster.iter().map(|(party, _)| party.clone()).collect();
        let transport = desk.peers.transport(id, &parties);
        let transport = transport.map_err(|error| Failure::new("link", error.to_string()))?;
        let session = Session::new(
            protocol.descriptor().name,
            SessionParts {
                id,
                me: desk.me.clone(),
                roster,
                transport,
                compute: desk.compute.clone(),
                seed: fresh_seed()?,
            },
        );
        let meter = session.meter();
        started(meter.clone(), task.group_ops);
        desk.record(Act::Run, basis.id.job, format!("attempt {} {} {}", basis.id.attempt, stage.protocol, stage.form))?;
        let output = protocol.run(&session, task.role(), parameters, Input::Items(items)).await?;
        basis.metrics.run_ms = ms(began);
        basis.metrics.rounds = task.rounds;
        basis.metrics.bytes_out = meter.bytes_out();
        basis.metrics.bytes_in = meter.bytes_in();
        Ok(HeldOutput { basis, session, output })
    }
}

impl HeldOutput {
    /// Agrees with the others on what was computed, and opens the result only if everybody's checks passed.
    pub(crate) async fn release(self, desk: &Desk, cpu_before_ms: u64) -> Result<RunMetrics, Failure> {
        let began = Instant::now();
        let Self { mut basis, session, output } = self;
        let matches = matches(&output);
        let held = result::hold(desk, &basis, &output).await?;
        let part = Part {
            party: desk.me.clone(),
            snapshot: Digest(basis.pinned.digest()),
            output: held.commitment(),
            releases: matches.is_none_or(|matches| matches >= basis.spec.minimum_result),
        };
        let (id, minimum) = (basis.id, basis.spec.minimum_result);
        desk.decide_again(&basis.spec, &basis.plan)?; // nothing is signed that would not be allowed now
        desk.record(Act::Hold, part.output, format!("attempt {} releases {}", id.attempt, part.releases))?;
        let subject = Subject { spec: id.job, plan: basis.plan.digest(), attempt: id.attempt };
        let checkpoint = desk.log.checkpoint()?;
        let agreed = release::agree(&session, &desk.identity, &basis.pins, subject, part, checkpoint).await?;
        keep_receipts(desk, id, &agreed)?;
        if !agreed.releases() {
            return Err(Failure::new(
                "below-minimum",
                format!(
                    "fewer than {minimum} common rows: nothing is opened; use more data, or a scenario with a lower minimum"
                ),
            ));
        }
        desk.decide_again(&basis.spec, &basis.plan)?; // people may have ended it while the others signed
        desk.record(Act::Release, agreed.commitment.digest(), format!("attempt {}", id.attempt))?;
        let usage = crate::usage::now();
        basis.metrics.release_ms = ms(began);
        basis.metrics.cpu_ms = usage.cpu_ms.saturating_sub(cpu_before_ms);
        basis.metrics.peak_rss_kb = usage.peak_rss_kb;
        held.release(desk, &basis, &agreed, matches)?;
        Ok(basis.metrics)
    }
}

/// Every party's admission, by the key that this node has pinned, for this spec and this plan.
fn check_admissions(
    desk: &Desk,
    spec: &Spec,
    plan: &Plan,
    admissions: &[Vec<u8>],
) -> Result<BTreeMap<PartyId, PublicKey>, Failure> {
    let refuse = |party: &PartyId, why: &str| Failure::new("admission", format!("admission of {party}: {why}"));
    let (spec_digest, plan_digest) = (spec.digest(), plan.digest());
    let mut pins = BTreeMap::new();
    for party in spec.parties.iter().map(|party| &party.name) {
        let key = desk.pinned(party)?;
        let mut signed = admissions.iter().filter_map(|bytes| Signed::<Admission>::from_bytes(bytes).ok());
        let signed = signed.find(|signed| signed.signer() == key).ok_or_else(|| {
            refuse(party, "none is signed by the key pinned here; compare fingerprints, see `banyan-node peer list`")
        })?;
        let admission = signed.verify(&key).map_err(|error| refuse(party, &error.to_string()))?;
        if admission.party != *party {
            return Err(refuse(party, "it speaks for another party"));
        }
        if admission.spec != spec_digest {
            return Err(refuse(party, "it is for another spec than the one this node admitted"));
        }
        if admission.plan != plan_digest {
            return Err(refuse(party, "its node derives another plan; bring both nodes to the same version"));
        }
        pins.insert(party.clone(), key);
    }
    Ok(pins)
}

/// What is not allowed is a failure.
pub(crate) fn check_decision(decision: Decision) -> Result<(), Failure> {
    match decision {
        Decision::Allow { .. } => Ok(()),
        Decision::AskPerson { because, .. } | Decision::Deny { because } => {
            let code = because.first().map_or_else(|| "denied".to_owned(), |rule| rule.name.clone());
            let reasons: Vec<String> = because.into_iter().map(|rule| rule.reason).collect();
            Err(Failure::new(&code, reasons.join("; ")))
        }
    }
}

/// Keeps the others' signed word on their logs, if it agrees with what they signed before.
fn keep_receipts(desk: &Desk, id: AttemptId, agreed: &Agreed) -> Result<(), Failure> {
    for (peer, receipt) in &agreed.receipts {
        let unsigned = |error: BadSignature| Failure::new("receipt", format!("receipt of {peer}: {error}"));
        let now = receipt.verify(&receipt.signer()).map_err(unsigned)?;
        let kept = desk.store.receipts_of(peer)?; // by size: a shorter log contradicts nothing
        for earlier in kept.iter().rev().filter(|earlier| earlier.signer() == receipt.signer()) {
            let before = earlier.verify(&earlier.signer()).map_err(unsigned)?;
            if before.size < now.size {
                break;
            }
            let (first, second) = as_signed(&before, &now);
            if let Some(broken) = contradiction(first, second) {
                desk.record(Act::Receipt, receipt.digest(), format!("of {peer} contradicts {}", earlier.digest()))?;
                let why = format!(
                    "{peer} signed another history of its log before ({broken}): both receipts are kept as evidence"
                );
                desk.store.put_receipt(&id.job, id.attempt, peer, receipt)?;
                return Err(Failure::new("receipt", why));
            }
        }
        desk.store.put_receipt(&id.job, id.attempt, peer, receipt)?;
        desk.record(Act::Receipt, receipt.digest(), format!("of {peer}"))?;
    }
    Ok(())
}

/// Two checkpoints in the order in which they were signed. Attempts overlap, so they need not come in that order.
fn as_signed<'a>(one: &'a Checkpoint, other: &'a Checkpoint) -> (&'a Checkpoint, &'a Checkpoint) {
    if (one.at, one.size) <= (other.at, other.size) { (one, other) } else { (other, one) }
}

fn matches(output: &Output) -> Option<u64> {
    match output {
        Output::Nothing => None,
        Output::Rows(rows) => Some(rows.len() as u64),
        Output::Count(count) => Some(*count),
    }
}

fn ms(since: Instant) -> u64 {
    since.elapsed().as_millis() as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn receipts_of_overlapping_attempts_contradict_nothing_and_a_log_that_went_back_does() {
        let signed = |size: u64, second: u32| Checkpoint {
            party: PartyId::new("bank").unwrap(),
            size,
            root: Digest([size as u8; 32]),
            head: Digest([size as u8; 32]),
            at: format!("2026-11-21T00:00:{second:02}Z").parse().unwrap(),
        };
        let compared = |before: &Checkpoint, now: &Checkpoint| {
            let (first, second) = as_signed(before, now);
            contradiction(first, second)
        };
        let (first, second) = (signed(5, 1), signed(7, 2));
        assert_eq!(compared(&first, &second), None);
        assert_eq!(compared(&second, &first), None, "the first attempt to begin ended last");
        assert_eq!(compared(&signed(7, 1), &signed(5, 1)), None, "signed within one moment");
        assert!(compared(&second, &signed(5, 3)).is_some(), "signed later over fewer records");
        assert!(compared(&second, &Checkpoint { root: Digest([1; 32]), ..second.clone() }).is_some());
    }
}
