//! A local run from its order to its evidence. Whatever happens, every process is stopped and awaited.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use banyan_proto::canonical::Canonical;
use banyan_proto::evidence::Manifest;
use banyan_proto::job::{Plan, Spec};
use banyan_protocols::party::PartyId;

use super::outputs::{self, MANIFEST, Output};
use super::party::LogProof;
use super::scene::{Play, Played, Scene, Way};
use crate::cli::answer::Failure;
use crate::cli::evidence::{self, Evidence, Subject};
use crate::cli::programs::Programs;
use crate::cli::progress::Progress;
use crate::cli::stop::{asked_to_stop, left_alone};
use crate::cli::view::JobView;

/// What is to be run, and where its results go.
pub(crate) struct Order<'a> {
    /// Where the programs are.
    pub(crate) programs: &'a Programs,
    /// The job.
    pub(crate) spec: &'a Spec,
    /// What follows from it.
    pub(crate) plan: &'a Plan,
    /// A job of the same scenario that the same nodes run before it, of which only the figures are wanted.
    pub(crate) before: Option<&'a Spec>,
    /// The data directory of every party.
    pub(crate) data: &'a BTreeMap<PartyId, PathBuf>,
    /// Where results go.
    pub(crate) out: &'a Path,
    /// How the nodes reach each other.
    pub(crate) way: Way,
    /// Where to say what happens.
    pub(crate) progress: &'a Progress,
}

/// A job that was released, with its evidence.
pub(crate) struct Done {
    /// The job at its end.
    pub(crate) job: JobView,
    /// What follows from its spec.
    pub(crate) plan: Plan,
    /// What every party got.
    pub(crate) outputs: Vec<Output>,
    /// What every party's manifest of the job before it says.
    pub(crate) before: Vec<Manifest>,
    /// What all of them signed and keep of each other.
    pub(crate) evidence: Evidence,
    /// Every party's log, which holds.
    pub(crate) logs: Vec<LogProof>,
    /// From the start of the first process until every party had admitted the job.
    pub(crate) setup: Duration,
    /// From there until the result was released everywhere.
    pub(crate) run: Duration,
    /// All of it, with stopping and verifying.
    pub(crate) total: Duration,
}

/// Runs a job on this machine.
///
/// # Errors
/// The failure of the party that stopped it, in its own words; nothing is left in `out` then.
pub(crate) async fn run(order: &Order<'_>) -> Result<Done, Failure> {
    let begun = Instant::now();
    outputs::clear(order.out, order.data)?;
    let mut scene = Scene::new()?;
    let interrupted = || Failure::not_now("interrupted: every process was stopped, nothing was released");
    let Order { programs, spec, before, data, way, progress, .. } = *order;
    let play = Play { programs, spec, before, data, way, progress };
    let played = tokio::select! {
        played = scene.play(&play) => played,
        () = asked_to_stop() => Err(interrupted()),
        () = left_alone() => Err(interrupted()),
    };
    order.progress.step("stopping every process");
    scene.stop().await;
    finish(order, &scene, played?, begun).await
}

async fn finish(order: &Order<'_>, scene: &Scene, played: Played, begun: Instant) -> Result<Done, Failure> {
    let Played { job, results, setup, run, before } = played;
    order.progress.step("verifying commitments, receipts and logs");
    let held = outputs::read(&results)?;
    let manifest = |dir: &PathBuf| Ok::<_, Failure>(Output::read(dir.join(MANIFEST))?.manifest);
    let before = before.iter().flat_map(BTreeMap::values).map(manifest).collect::<Result<_, _>>()?;
    let keys = scene.parties().iter().map(|party| (party.name.clone(), party.key)).collect();
    let subject = Subject { job: job.digest, plan: order.plan.digest(), attempt: job.attempt };
    let evidence = evidence::check(&subject, &held, &keys)?;
    let logs = scene.verify_logs(&evidence.receipts).await?;
    let outputs = outputs::publish(&held, order.out)?;
    Ok(Done { job, plan: order.plan.clone(), outputs, before, evidence, logs, setup, run, total: begun.elapsed() })
}
