//! What every part of the runner has at hand, and the few words they share.

use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use banyan_proto::audit::Act;
use banyan_proto::canonical::{Canonical, Digest};
use banyan_proto::decision::{Decision, Obligation};
use banyan_proto::evidence::RunMetrics;
use banyan_proto::grant::Scenario;
use banyan_proto::identity::{Identity, PublicKey};
use banyan_proto::job::{Limits, PartySpec, Plan, Spec, Split, Stage};
use banyan_proto::names::Address;
use banyan_proto::wire;
use banyan_protocols::CATALOGUE;
use banyan_protocols::catalogue::Protocol;
use banyan_protocols::compute::Compute;
use banyan_protocols::items;
use banyan_protocols::party::PartyId;
use jiff::Timestamp;

use super::basis::AttemptId;
use super::checkpoint::survives;
use super::failure::Failure;
use super::result::remove_unreleased;
use crate::admin::AdminState;
use crate::audit::Log;
use crate::config::{Config, Home};
use crate::data::{Catalog, Column, DataError, DataSet, Engine, Filter, Keys, Pinned, Selection, Snapshot, numbers};
use crate::peer;
use crate::policy::{self, Ask, ColumnFacts, DatasetFacts, LedgerView, Rules};

use crate::store::{Ending, Offer, Phase, Progress, Standing, Store};

/// A clock further off than this runs no jobs: validity and deadlines would be someone else's.
pub(crate) const CLOCK_OFF_MAX_MS: u64 = 60_000;

/// The store's change counter, and the stamps of the files that people edit.
pub(crate) type Touched = (i64, [Option<(u64, u64, i64, i64)>; 2]);

/// Everything an attempt needs from its node.
pub(crate) struct Desk {
    pub(crate) me: PartyId,
    pub(crate) identity: Arc<Identity>,
    pub(crate) home: Home,
    pub(crate) config: Config,
    pub(crate) store: Store,
    pub(crate) log: Log,
    pub(crate) engine: Engine,
    pub(crate) peers: peer::Handle,
    pub(crate) compute: Arc<dyn Compute>,
    pub(crate) admin: AdminState,
    pub(crate) clock_ahead_ms: AtomicI64,
    /// Whether it is the desk of a run with a party of the interconnection standard, and not the daemon's.
    pub(crate) interop: bool,
}

impl Desk {
    /// Puts an act on the record. What cannot be recorded is not done.
    pub(crate) fn record(&self, act: Act, subject: Digest, outcome: impl Into<String>) -> Result<(), Failure> {
        self.log.append("node", act, subject, &outcome.into())?;
        Ok(())
    }

    /// The offer of a job.
    pub(crate) fn offer(&self, job: &Digest) -> Result<Offer, Failure> {
        let unknown = || Failure::new("unknown-job", format!("no job {} was offered to this node", job.short()));
        self.store.offer(job)?.ok_or_else(unknown)
    }

    /// The spec of a job as it was offered, and the plan that this node derives from it.
    pub(crate) fn job(&self, job: &Digest) -> Result<(Spec, Plan), Failure> {
        let bytes = self.offer(job)?.spec;
        if Digest::of(Spec::DOMAIN, &bytes) != *job {
            return Err(Failure::new(
                "store",
                format!("the spec of job {} was changed in this node's store", job.short()),
            ));
        }
        let spec = Spec::from_canonical(&bytes).map_err(|error| Failure::new("spec", error.to_string()))?;
        let plan = Plan::derive(&spec, &CATALOGUE).map_err(|error| Failure::new("spec", error.to_string()))?;
        Ok((spec, plan))
    }

    /// The key that this node has pinned for a party, or its own.
    pub(crate) fn pinned(&self, party: &PartyId) -> Result<PublicKey, Failure> {
        if *party == self.me {
            return Ok(self.identity.public());
        }
        let unknown = || {
            let why =
                format!("{party} is not pinned here: compare fingerprints, then `banyan-node peer confirm {party} …`");
            Failure::new("unknown-peer", why)
        };
        Ok(self.store.pinned(party)?.ok_or_else(unknown)?.key)
    }

    /// The protocol of a stage.
    pub(crate) fn protocol(&self, stage: &Stage) -> Result<&'static dyn Protocol, Failure> {
        let unknown = || Failure::new("spec", format!("this build has no protocol {}", stage.protocol));
        CATALOGUE.find(stage.protocol.as_str()).ok_or_else(unknown)
    }

    /// What this node's part of a stage will have counted as work at its end, in all buckets; see [`Protocol::work`].
    pub(crate) fn work(&self, stage: &Stage) -> Result<u64, Failure> {
        let task = stage.task(&self.me).ok_or_else(|| Failure::new("bug", "the plan has no task for this node"))?;
        let parameters = stage.parameters().map_err(|error| Failure::new("bug", error.to_string()))?;
        Ok(self.protocol(stage)?.work(&parameters, task.role()).saturating_mul(stage.buckets.into()))
    }

    /// Jobs that wait for a person.
    pub(crate) fn waiting_offers(&self) -> Result<Vec<Digest>, Failure> {
        let waits =
            |offer: &Offer| matches!(offer.standing, Standing::Waiting { .. }) && self.has_jobs_like(&offer.job);
        Ok(self.store.offers()?.iter().filter(|offer| waits(offer)).map(|offer| offer.job).collect())
    }

    /// The registered data set that the spec names for this node.
    pub(crate) fn dataset(&self, spec: &Spec) -> Result<Arc<DataSet>, Failure> {
        let catalog = Catalog::load(&self.home.catalog(), &self.config.data_dir(&self.home))?;
        Ok(catalog.get(self.mine(spec)?.dataset.as_str())?.clone())
    }

    /// What the spec says of this node.
    pub(crate) fn mine<'a>(&self, spec: &'a Spec) -> Result<&'a PartySpec, Failure> {
        spec.party(&self.me).ok_or_else(|| Failure::new("not-a-party", format!("{} is no party of this job", self.me)))
    }

    /// Reads the keys that the spec selects here, whole or in the buckets of the plan, with the rows of each kind of key.
    pub(crate) async fn snapshots(
        &self,
        spec: &Spec,
        plan: &Plan,
        set: &Arc<DataSet>,
        rows_at_most: u64,
        salt: &[u8; 32],
    ) -> Result<(Keys, Vec<Pinned>), Failure> {
        let mine = self.mine(spec)?;
        let mut selection = Selection {
            key: Vec::new(),
            filter: self.filter(spec, set)?,
            duplicates: spec.duplicates,
            normalise: spec.normalise,
            rows_at_most,
        };
        // the keys of all kinds are held at once
        let kinds = mine.keys().count().max(1) as u32;
        let memory_mb = spec.limits.memory_mb.min(self.config.memory_mb) / kinds;
        let limits = Limits { memory_mb, ..spec.limits };
        let cut = plan.stages.first().filter(|stage| stage.buckets > 1);
        if let Some((buckets, rows)) = cut.and_then(|stage| Some((stage.buckets, stage.task(&self.me)?.bucket_rows))) {
            let cut = (Split::new(&spec.digest(), 0, buckets), rows);
            selection.key.clone_from(&mine.key); // the plan cuts no cascade
            let (buckets, pinned) = Snapshot::take_apart(&self.engine, set, &selection, &limits, salt, cut).await?;
            return Ok((Keys::Apart(buckets), vec![pinned]));
        }
        let (mut whole, mut all) = (Vec::new(), Vec::new());
        for key in mine.keys() {
            selection.key.clone_from(key);
            let Snapshot { items, pinned } = Snapshot::take(&self.engine, set, &selection, &limits, salt).await?;
            whole.push(items);
            all.push(pinned);
        }
        // the rows of all kinds are places in one file
        if all.windows(2).any(|two| two[0].fingerprint() != two[1].fingerprint()) {
            return Err(DataError::Changed { file: set.file.clone() }.into());
        }
        Ok((Keys::Whole(whole), all))
    }

    /// The numbers of the column that the spec sums of this node's, one for each key.
    pub(crate) async fn numbers(
        &self,
        spec: &Spec,
        set: &Arc<DataSet>,
        pinned: &[Pinned],
    ) -> Result<Option<items::Column>, Failure> {
        match (&self.mine(spec)?.sum, pinned) {
            (Some(column), [keys]) => Ok(Some(numbers(set, keys, column).await?)),
            _ => Ok(None),
        }
    }

    /// Keeps the coordinator's introduction: a proposal, never a pin.
    pub(crate) fn introduced(&self, introduction: &wire::Introduction) {
        let (Ok(name), Ok(key)) = (PartyId::new(&introduction.name), PublicKey::from_bytes(&introduction.key)) else {
            return tracing::warn!("the coordinator introduced something that is no party");
        };
        // where it can be dialled goes into logs and on screens: an address, or nothing
        let url = introduction.url.parse::<Address>().ok();
        if name != self.me
            && let Err(error) = self.store.introduce(&name, &key, url.as_ref().map(Address::as_str))
        {
            tracing::warn!(%error, "an introduction was not kept");
        }
    }

    /// Notes the coordinator's clock, and warns if it is another time there.
    pub(crate) fn set_clock(&self, ahead_ms: i64) {
        self.clock_ahead_ms.store(ahead_ms, Ordering::Relaxed);
        self.admin.update(|snapshot| snapshot.clock_ahead_ms = Some(ahead_ms.saturating_neg()));
        match self.check_clock() {
            Ok(()) => self.admin.ready("clock"),
            Err(failure) => {
                tracing::error!(code = failure.code, "{}", failure.detail);
                self.admin.not_ready("clock", failure.detail);
            }
        }
    }

    /// Whether the clocks agree well enough to run a job.
    pub(crate) fn check_clock(&self) -> Result<(), Failure> {
        let ahead_ms = self.clock_ahead_ms.load(Ordering::Relaxed);
        // the coordinator says what it likes: no number of it may overflow
        if ahead_ms.unsigned_abs() <= CLOCK_OFF_MAX_MS {
            return Ok(());
        }
        let side = if ahead_ms > 0 { "behind" } else { "ahead of" };
        let seconds = ahead_ms.unsigned_abs() / 1000;
        let why = format!(
            "this node's clock is {seconds} s {side} the coordinator's: no job runs until both are right (set them with chrony or ntpd)"
        );
        Err(Failure::new("clock", why))
    }
}

impl Desk {
    /// Changes when people may have changed something that the policy looks at: the store, the configuration, the
    /// catalogue.
    pub(crate) fn what_people_touched(&self) -> Result<Touched, Failure> {
        let stamp = |path: PathBuf| {
            let metadata = std::fs::metadata(path).ok()?;
            Some((metadata.ino(), metadata.len(), metadata.mtime(), metadata.mtime_nsec()))
        };
        Ok((self.store.change_counter()?, [stamp(self.home.config()), stamp(self.home.catalog())]))
    }

    /// What the policy says to a job now, or to an attempt whose run is `spent`.
    pub(crate) fn decide(&self, spec: &Spec, plan: &Plan, spent: bool) -> Result<Decision, Failure> {
        self.judge(spec, plan, spent, |ask, rules, ledger| policy::decide(ask, rules, ledger, Timestamp::now()))
    }

    /// Asks the policy again about an attempt whose run is spent: while it runs, and before anything of it is signed or
    /// opened.
    pub(crate) fn decide_again(&self, spec: &Spec, plan: &Plan) -> Result<(), Failure> {
        for party in spec.parties.iter().filter(|_| !self.interop) {
            self.pinned(&party.name)?; // its people may have taken a peer away
        }
        let again =
            |ask: &Ask<'_>, rules: &Rules, ledger: &LedgerView| policy::decide(ask, rules, ledger, Timestamp::now());
        allowed(self.judge(spec, plan, true, again)?).map(drop)
    }

    /// The digest of the approval on which a job may run here.
    pub(crate) fn carrying_approval(&self, spec: &Spec, plan: &Plan) -> Result<Digest, Failure> {
        let carrying = self.judge(spec, plan, false, policy::carrying_approval)?;
        carrying.ok_or_else(|| Failure::new("approval", "the approval is gone"))
    }

    /// Gathers what the policy looks at, and asks it. Whose word counts is read anew, as people edit it: a key that was
    /// taken away counts for nothing at once.
    fn judge<T>(
        &self,
        spec: &Spec,
        plan: &Plan,
        spent: bool,
        ask: impl FnOnce(&Ask<'_>, &Rules, &LedgerView) -> T,
    ) -> Result<T, Failure> {
        let scenario = spec.scenario.digest();
        let catalog = Catalog::load(&self.home.catalog(), &self.config.data_dir(&self.home))?;
        let people = Config::load(&self.home).map_err(|error| Failure::new("config", error.to_string()))?;
        let rules = Rules {
            approvers: people.approvers,
            required_reviews: people.required_reviews,
            datasets: catalog.iter().map(|set| facts(set)).collect(),
        };
        let ledger = LedgerView {
            approvals: self.store.approvals(&scenario)?,
            reviews: self.offer(&plan.spec)?.reviews,
            revoked: self.store.revoked(&scenario)?,
            halted: self.store.halted()?.map(|halt| halt.reason),
            // the log remembers what a database put back from a backup forgot
            runs_spent: self.store.runs_spent(&scenario)?.max(self.log.spends(&scenario)?),
        };
        let filter_columns = match catalog.get(self.mine(spec)?.dataset.as_str()) {
            Ok(set) => self.filter(spec, set)?.map(|filter| filter.columns().map(str::to_owned).collect()),
            Err(_) => None, // the policy says it better
        };
        let filter_columns: Vec<String> = filter_columns.unwrap_or_default();
        let ask_of = Ask { spec, plan, me: &self.me, filter_columns: &filter_columns, spent, interop: self.interop };
        Ok(ask(&ask_of, &rules, &ledger))
    }

    fn filter(&self, spec: &Spec, set: &DataSet) -> Result<Option<Filter>, Failure> {
        let mine = self.mine(spec)?;
        let granted = spec.scenario.grant(&self.me, mine.dataset.as_str()).map_or(&[][..], |grant| &grant.filter);
        Ok(mine.filter.as_ref().map(|text| Filter::parse(text, set, granted)).transpose()?)
    }

    /// Whether a running attempt may go on: revoked, expired and halted end it.
    pub(crate) fn still_allowed(&self, spec: &Spec) -> Result<(), Failure> {
        if let Some(halt) = self.store.halted()? {
            // in the policy's words: which of the two looks first is chance
            let why =
                format!("everything is halted here: {}; `banyan-node halt --resume --reason …` ends it", halt.reason);
            return Err(Failure::new("halted", why));
        }
        if self.store.revoked(&spec.scenario.digest())? {
            return Err(Failure::new("scenario-revoked", format!("scenario {} was revoked", spec.scenario.name)));
        }
        if spec.scenario.valid_until.0 < Timestamp::now() {
            return Err(Failure::new(
                "scenario-expired",
                format!("scenario {} expired during the run", spec.scenario.name),
            ));
        }
        Ok(())
    }

    /// Begins an attempt.
    pub(crate) fn begin(&self, id: AttemptId) -> Result<(), Failure> {
        Ok(self.store.begin_attempt(&id.job, id.attempt)?)
    }

    /// Notes how far an attempt is. The log has what must be proved; this is for people.
    pub(crate) fn phase(&self, id: AttemptId, phase: Phase) {
        if let Err(error) = self.store.set_phase(&id.job, id.attempt, phase) {
            tracing::warn!(%error, "a phase was not noted");
        }
        self.tell_admin(None);
    }

    /// Notes how much of an attempt is done.
    pub(crate) fn progress(&self, id: AttemptId, progress: Progress) {
        if let Err(error) = self.store.set_progress(&id.job, id.attempt, progress) {
            tracing::warn!(%error, "progress was not noted");
        }
    }

    /// Ends an attempt that released.
    pub(crate) fn complete(&self, id: AttemptId, metrics: &RunMetrics) {
        self.forget(&id.job);
        if let Err(error) = self.store.end_attempt(&id.job, id.attempt, &Ending::Completed) {
            tracing::error!(%error, "the end of an attempt was not noted");
        }
        self.tell_admin(Some(metrics));
    }

    /// Ends an attempt without a result: on the record, and for this node's people.
    pub(crate) fn fail(&self, id: AttemptId, failure: &Failure) {
        let recorded = self.record(Act::Fail, id.job, format!("attempt {} {}", id.attempt, failure.code));
        if !survives(&failure.code) {
            self.forget(&id.job);
        }
        if let Err(error) = self.clean_up(id) {
            // it stays under way in the store, so that the next start tries again
            tracing::error!(%error, job = %id.job.short(), "what was not released could not be removed");
            return;
        }
        let ending = Ending::Failed { code: failure.code.clone(), reason: failure.detail.clone() };
        let noted = self.store.end_attempt(&id.job, id.attempt, &ending);
        if recorded.is_err() || noted.is_err() {
            tracing::error!(code = failure.code, "the failure of an attempt was not recorded: is the disk full?");
        }
        self.tell_admin(None);
    }

    /// Removes a checkpoint that nothing goes on with.
    pub(crate) fn forget(&self, job: &Digest) {
        if let Err(error) = self.store.drop_checkpoint(job) {
            tracing::error!(%error, job = %job.short(), "the checkpoint of a job that is over was not removed");
        }
    }

    fn clean_up(&self, id: AttemptId) -> std::io::Result<()> {
        match self.job(&id.job) {
            Ok((spec, _)) => remove_unreleased(&self.home.result(&spec.name, &id.job, id.attempt)),
            Err(_) => Ok(()), // it never came so far
        }
    }

    /// What the admin port shows: attempts under way by phase, and what a finished one sent and received.
    fn tell_admin(&self, finished: Option<&RunMetrics>) {
        let going = self.store.interrupted().unwrap_or_default();
        let log_records = self.log.size();
        self.admin.update(|snapshot| {
            snapshot.jobs.clear();
            for attempt in &going {
                *snapshot.jobs.entry(attempt.phase.as_str().to_owned()).or_default() += 1;
            }
            snapshot.log_records = log_records;
            if let Some(metrics) = finished {
                snapshot.bytes_out += metrics.bytes_out;
                snapshot.bytes_in += metrics.bytes_in;
            }
        });
    }

    /// Spends a run of the scenario: on the record, and then in the store, before anything is read.
    pub(crate) fn spend(&self, id: AttemptId, scenario: &Scenario) -> Result<(), Failure> {
        let digest = scenario.digest();
        self.record(Act::Spend, digest, format!("job {} attempt {}", id.job.short(), id.attempt))?;
        self.store.spend_run(&digest, &id.job, id.attempt, scenario.runs)?;
        self.admin.update(|snapshot| snapshot.runs_spent += 1);
        Ok(())
    }

    /// Attempts that were going on when the node ended.
    pub(crate) fn interrupted(&self) -> Result<Vec<AttemptId>, Failure> {
        let interrupted = self.store.interrupted()?;
        let interrupted = interrupted.iter().filter(|attempt| self.has_jobs_like(&attempt.job));
        Ok(interrupted.map(|attempt| AttemptId { job: attempt.job, attempt: attempt.attempt }).collect())
    }

    /// Whether a job is for this desk: the daemon and a run with a party of the interconnection standard share the store.
    pub(crate) fn has_jobs_like(&self, job: &Digest) -> bool {
        self.job(job).is_ok_and(|(spec, _)| spec.is_interop()) == self.interop
    }
}

/// The obligations of what is allowed. What is not is a failure.
pub(crate) fn allowed(decision: Decision) -> Result<Vec<Obligation>, Failure> {
    match decision {
        Decision::Allow { obligations, .. } => Ok(obligations),
        Decision::AskPerson { because, .. } | Decision::Deny { because } => {
            let code = because.first().map_or_else(|| "denied".to_owned(), |rule| rule.name.clone());
            let reasons: Vec<String> = because.into_iter().map(|rule| rule.reason).collect();
            Err(Failure::new(&code, reasons.join("; ")))
        }
    }
}

fn facts(set: &DataSet) -> DatasetFacts {
    let column = |column: &Column| ColumnFacts { name: column.name.clone(), level: column.level };
    DatasetFacts { id: set.id.clone(), columns: set.columns.iter().map(column).collect() }
}
