//! One attempt of one job at this node: prepare, run, release. The spending, the run and the release are on the record
//! before they happen, and nothing of the result has a name on disk before every party has signed.

use std::collections::BTreeMap;
use std::time::Instant;

use banyan_proto::audit::{Act, Checkpoint};
use banyan_proto::canonical::{Canonical, Digest};
use banyan_proto::decision::Obligation;
use banyan_proto::evidence::{Part, RunMetrics};
use banyan_proto::grant::Admission;
use banyan_proto::identity::{BadSignature, PublicKey, Signed};
use banyan_proto::job::{Plan, ResultKind, Spec, Stage};
use banyan_protocols::catalogue::Input;
use banyan_protocols::items::{Column, Items};
use banyan_protocols::party::PartyId;
use banyan_protocols::session::{Session, SessionId, SessionParts};
use jiff::{SignedDuration, Timestamp};

use super::Desk;
use super::basis::{AttemptId, Basis, Learned, fresh_seed};
use super::buckets::{self, Anew};
use super::checkpoint::{self, not_resumed};
use super::desk::{CLOCK_OFF_MAX_MS, allowed};
use super::failure::Failure;
use super::live::Live;
use super::release::{self, Agreed, Subject};
use super::result;
use super::unbalanced;
use crate::audit::contradiction;
use crate::data::Keys;

/// An attempt whose input is pinned: nothing was sent yet.
pub(crate) struct Prepared {
    basis: Basis,
    keys: Keys,
    /// What the job sums of this party's, a number for each key.
    numbers: Option<Column>,
    anew: Anew,
}

/// A protocol that ended: its output is in memory only.
pub(crate) struct HeldOutput {
    basis: Basis,
    session: Session,
    learned: Learned,
}

impl Prepared {
    /// Checks everything again, spends the run, pins the input, and connects to the others. Where a job in buckets has a
    /// checkpoint its run is spent already; whether it can go on there is known when the parties have compared. With
    /// `going_on` it does that or nothing.
    pub(crate) async fn prepare(
        desk: &Desk,
        id: AttemptId,
        admissions: &[Vec<u8>],
        going_on: bool,
    ) -> Result<Self, Failure> {
        let (at, began) = (Timestamp::now(), Instant::now());
        desk.check_clock()?;
        let (spec, plan) = desk.job(&id.job)?;
        let pins = check_admissions(desk, &spec, &plan, admissions)?;
        let kept = desk.may_go_on(&id.job, &plan)?;
        let anew = match (kept, going_on) {
            (true, true) => Anew::Never,
            (true, false) => Anew::Spend,
            (false, false) => Anew::Spent,
            (false, true) => return Err(not_resumed()),
        };
        let duties = Duties::of(&allowed(desk.decide(&spec, &plan, kept)?)?, kept)?;
        if !kept {
            desk.spend(id, &spec.scenario)?;
        }
        let set = desk.dataset(&spec)?;
        let salt = if plan.is_resumable() { checkpoint::salt(&desk.identity, &id.job)? } else { fresh_seed()? };
        let (keys, pinned) = desk.snapshots(&spec, &plan, &set, duties.rows_at_most, &salt).await?;
        for pinned in &pinned {
            let what = format!("{} keys, {} rows without one", pinned.len(), pinned.keyless());
            desk.record(Act::Snapshot, Digest(pinned.digest()), what)?;
        }
        let numbers = desk.numbers(&spec, &set, &pinned).await?;
        let metrics = RunMetrics { prepare_ms: ms(began), ..RunMetrics::default() };
        let parties: Vec<PartyId> = spec.parties.iter().map(|party| party.name.clone()).collect();
        desk.peers.connect(&parties).await;
        let minimum = duties.minimum_result;
        Ok(Self { basis: Basis { id, at, spec, plan, minimum, pins, set, pinned, salt, metrics }, keys, numbers, anew })
    }

    /// Runs the protocol with the others, and shows in `live` how far it is.
    pub(crate) async fn run(self, desk: &Desk, live: &Live) -> Result<HeldOutput, Failure> {
        let began = Instant::now();
        let Self { mut basis, keys, numbers, anew } = self;
        let (session, learned) = match keys {
            Keys::Whole(items) => stages(desk, &mut basis, items, numbers, live).await?,
            Keys::Apart(keys) => buckets::run(desk, &mut basis, keys, anew, live).await?,
        };
        basis.metrics.run_ms = ms(began);
        basis.metrics.rounds =
            basis.plan.stages.iter().filter_map(|stage| stage.task(&desk.me)).map(|t| t.rounds).sum();
        Ok(HeldOutput { basis, session, learned })
    }
}

/// Runs the protocol of each stage, one after the other, over the keys that no earlier one found. Gives the session in which
/// the release follows.
async fn stages(
    desk: &Desk,
    basis: &mut Basis,
    items: Vec<Items>,
    mut numbers: Option<Column>,
    live: &Live,
) -> Result<(Session, Learned), Failure> {
    let bug = |why: &str| Failure::new("bug", why);
    let stages = basis.plan.stages.clone();
    if stages.len() != items.len() {
        return Err(bug("the plan has another number of stages than the job has keys"));
    }
    live.begin(stages.iter().map(|stage| desk.work(stage)).sum::<Result<_, _>>()?);
    // all at once: a peer may be at the next stage while this one still computes, and is then awaited, no stranger
    let sessions = (0..).zip(&stages).map(|(number, stage)| open_session(desk, basis, stage, number));
    let sessions = sessions.collect::<Result<Vec<_>, _>>()?;
    sessions.iter().for_each(|session| live.keep(session));
    let (mut learned, mut done) = (Learned::Nothing, 0);
    for (number, (stage, items)) in stages.iter().zip(items).enumerate() {
        let task = stage.task(&desk.me).ok_or_else(|| bug("the plan has no task for this node"))?;
        let mut parameters = stage.parameters().map_err(|error| bug(&error.to_string()))?;
        parameters.minimum = basis.minimum;
        let protocol = desk.protocol(stage)?;
        let (session, pinned) = (&sessions[number], &basis.pinned[number]);
        live.measure(session);
        let (attempt, why) = (basis.id.attempt, &basis.plan.reason);
        desk.record(Act::Run, basis.id.job, format!("attempt {attempt} {} {}: {why}", stage.protocol, stage.form))?;
        let (items, places) = learned.sought(pinned, items);
        let output = match (protocol.descriptor().name, numbers.take()) {
            (unbalanced::NAME, _) => {
                unbalanced::Run { stage, number, session, parameters }.play(desk, basis, task.role(), items).await?
            }
            (_, Some(column)) => {
                let input = Input::Table { items, columns: vec![column] };
                protocol.run(session, task.role(), parameters, input).await?
            }
            _ => protocol.run(session, task.role(), parameters, Input::Items(items)).await?,
        };
        learned = learned.then(output, pinned, places.as_deref())?;
        let meter = session.meter();
        basis.metrics.bytes_out += meter.bytes_out();
        basis.metrics.bytes_in += meter.bytes_in();
        done += meter.work();
        live.passed(done);
    }
    let session = sessions.into_iter().next_back().ok_or_else(|| bug("the plan has no stage"))?;
    Ok((session, learned))
}

/// A session of the stage with the others, under a task number that no other session of the attempt has, so that its id and
/// all that follows from it are its own.
pub(super) fn open_session(desk: &Desk, basis: &Basis, stage: &Stage, task: u32) -> Result<Session, Failure> {
    let roster = stage.roster().ok_or_else(|| Failure::new("bug", "the plan has no roster"))?;
    let id = SessionId::derive(&basis.id.job.0, task, basis.id.attempt);
    let parties: Vec<PartyId> = roster.iter().map(|(party, _)| party.clone()).collect();
    let transport = desk.peers.transport(id, &parties);
    let transport = transport.map_err(|error| Failure::new("link", error.to_string()))?;
    let parts =
        SessionParts { id, me: desk.me.clone(), roster, transport, compute: desk.compute.clone(), seed: fresh_seed()? };
    Ok(Session::new(desk.protocol(stage)?.descriptor().name, parts))
}

impl HeldOutput {
    /// Agrees with the others on what was computed, and opens the result only if everybody's checks passed.
    pub(crate) async fn release(self, desk: &Desk, cpu_before_ms: u64) -> Result<RunMetrics, Failure> {
        let began = Instant::now();
        let Self { mut basis, session, learned } = self;
        let (id, minimum) = (basis.id, basis.minimum);
        let matches = learned.matches();
        let releases = learned.may_open(&basis);
        let held = result::hold(desk, &basis, &learned, releases).await?;
        let snapshot = basis.snapshot();
        let told = matches.filter(|_| basis.all_learn_matches());
        let part = Part { party: desk.me.clone(), snapshot, output: held.commitment(), releases, matches: told };
        desk.decide_again(&basis.spec, &basis.plan)?; // nothing is signed that would not be allowed now
        desk.record(Act::Hold, part.output, format!("attempt {} releases {}", id.attempt, part.releases))?;
        let subject = Subject { spec: id.job, plan: basis.plan.digest(), attempt: id.attempt };
        let checkpoint = desk.log.checkpoint()?;
        let agreed = release::agree(&session, &desk.identity, &basis.pins, subject, part, checkpoint).await?;
        keep_receipts(desk, &basis, &agreed)?;
        if !agreed.counts_agree() {
            let why = "the parties count different numbers of common keys: nothing is opened; bring both nodes to the same \
                       version, and report it if it comes again";
            return Err(Failure::new("counts", why));
        }
        if !agreed.releases() {
            return Err(Failure::new("below-minimum", too_few(&basis.spec, minimum)));
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

/// What the policy asks of an attempt that it allows, beside spending a run.
pub(super) struct Duties {
    pub(super) rows_at_most: u64,
    pub(super) minimum_result: u64,
}

impl Duties {
    /// Every duty must be among the obligations: an attempt without a limit would have none.
    pub(super) fn of(obligations: &[Obligation], spent: bool) -> Result<Self, Failure> {
        let (mut spend, mut rows, mut minimum) = (spent, None, None);
        for obligation in obligations {
            match *obligation {
                Obligation::SpendRun => spend = true,
                Obligation::RowsAtMost(most) => rows = Some(most),
                Obligation::MinimumResult(least) => minimum = Some(least),
            }
        }
        let missing = || Failure::new("bug", "the policy allowed a job without a run to spend or without its limits");
        if !spend {
            return Err(missing());
        }
        Ok(Self { rows_at_most: rows.ok_or_else(missing)?, minimum_result: minimum.ok_or_else(missing)? })
    }
}

/// Keeps the others' signed word on their logs, if it was given now and agrees with what they signed before.
fn keep_receipts(desk: &Desk, basis: &Basis, agreed: &Agreed) -> Result<(), Failure> {
    let id = basis.id;
    for (peer, receipt) in &agreed.receipts {
        let fail = |why: String| Failure::new("receipt", format!("receipt of {peer}: {why}"));
        let unsigned = |error: BadSignature| fail(error.to_string());
        let now = receipt.verify(&receipt.signer()).map_err(unsigned)?;
        check_age(&now, basis.at, Timestamp::now()).map_err(fail)?;
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
        desk.record(Act::Receipt, receipt.digest(), format!("of {peer}"))?;
        desk.store.put_receipt(&id.job, id.attempt, peer, receipt)?;
    }
    Ok(())
}

/// A checkpoint is of this attempt: who cut its log cannot pass off an old moment for the moment of signing, at which the
/// shorter log would contradict nothing.
fn check_age(checkpoint: &Checkpoint, began: Timestamp, now: Timestamp) -> Result<(), String> {
    // each clock may be off from the coordinator's by so much, to either side
    let off = SignedDuration::from_millis(2 * CLOCK_OFF_MAX_MS as i64);
    let at = checkpoint.at.0;
    if at < began.saturating_sub(off).unwrap_or(began) || at > now.saturating_add(off).unwrap_or(now) {
        return Err(format!("it was signed at {}, which is not during this attempt", checkpoint.at));
    }
    Ok(())
}

/// Two checkpoints in the order in which they were signed. Attempts overlap, so they need not come in that order.
fn as_signed<'a>(one: &'a Checkpoint, other: &'a Checkpoint) -> (&'a Checkpoint, &'a Checkpoint) {
    if (one.at, one.size) <= (other.at, other.size) { (one, other) } else { (other, one) }
}

fn too_few(spec: &Spec, minimum: u64) -> String {
    let rest = match spec.result {
        ResultKind::Difference => format!(", or fewer than {minimum} rows that are not common"),
        _ => String::new(),
    };
    format!(
        "fewer than {minimum} common rows{rest}: nothing is opened; use more data, or a scenario with a lower minimum"
    )
}

pub(super) fn ms(since: Instant) -> u64 {
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
        let during = |second: &str| format!("2026-11-21T00:{second}Z").parse::<Timestamp>().unwrap();
        let aged = |from: &str, to: &str| check_age(&signed(5, 30), during(from), during(to));
        assert_eq!(aged("00:00", "00:40"), Ok(()));
        assert_eq!(aged("02:30", "02:40"), Ok(()), "each clock may be off by a minute");
        let why = "it was signed at 2026-11-21T00:00:30Z, which is not during this attempt";
        assert_eq!(aged("02:31", "02:40"), Err(why.into()), "before it began");
        assert_eq!(
            check_age(&signed(5, 30), during("00:00"), "2026-11-20T23:58:29Z".parse().unwrap()),
            Err(why.into())
        );
    }

    #[test]
    fn an_attempt_without_limits_does_not_begin() {
        let limits = [Obligation::SpendRun, Obligation::RowsAtMost(7), Obligation::MinimumResult(3)];
        let duties = Duties::of(&limits, false).unwrap();
        assert_eq!((duties.rows_at_most, duties.minimum_result), (7, 3));
        for missing in 0..3 {
            let mut limits = limits.to_vec();
            limits.remove(missing);
            assert_eq!(Duties::of(&limits, false).err().unwrap().code, "bug");
        }
    }
}
