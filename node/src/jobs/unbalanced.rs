//! A stage of `unbalanced` at this node: what outlives a job is looked up before it and kept after it. The sender prepares its
//! set once under a key, later only what came and went; the receiver fetches tags once, later only what changed. Every answer is
//! counted, on the record and in the store, before the first is given. See [`super::epochs`] for the files.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use banyan_proto::audit::Act;
use banyan_proto::job::{Stage, When};
use banyan_protocols::catalogue::{Output, Parameters};
use banyan_protocols::compute::Stop;
use banyan_protocols::error::{Error, Fault};
use banyan_protocols::items::Items;
use banyan_protocols::party::Role;
use banyan_protocols::psi::unbalanced::{Allowance, Epoch, EpochKey, Prepared, TagSet, Unbalanced};
use banyan_protocols::session::Session;
use jiff::{SignedDuration, Timestamp};
use zeroize::Zeroizing;

use super::Desk;
use super::basis::{Basis, fresh_seed};
use super::epochs::{self, Label, Use};
use super::failure::Failure;
use crate::config::Config;
use crate::data::{DataError, blocking};
use crate::store::Asked;

/// The protocol's name in the catalogue.
pub(super) const NAME: &str = "unbalanced";

/// A stage: which of the job's it is, in what session and with which parameters.
pub(super) struct Run<'a> {
    pub(super) stage: &'a Stage,
    pub(super) number: usize,
    pub(super) session: &'a Session,
    pub(super) parameters: Parameters,
}

/// A prepared set as it is kept, with the seed of its key.
struct Kept {
    seed: Zeroizing<[u8; 32]>,
    prepared: Prepared,
}

impl Kept {
    fn parse(bytes: &[u8]) -> Option<Self> {
        let (seed, rest) = bytes.split_first_chunk()?;
        Some(Self { seed: Zeroizing::new(*seed), prepared: Prepared::parse(rest).ok()? })
    }
}

impl Run<'_> {
    /// Runs it in this node's role.
    pub(super) async fn play(&self, desk: &Desk, basis: &Basis, role: Role, items: Items) -> Result<Output, Failure> {
        let of = Use::of(&basis.spec, self.stage, self.number)?;
        let file = of.file(&desk.home.epochs(), role);
        match role {
            Role::Receiver => self.ask(basis, of, file, items).await,
            Role::Sender => self.answer(desk, basis, of, file, items).await,
        }
    }

    async fn ask(&self, basis: &Basis, of: Use, file: PathBuf, items: Items) -> Result<Output, Failure> {
        let kept = {
            let (file, of) = (file.clone(), of.clone());
            let read = move || {
                let bytes = epochs::read(&file, &of, now()).map_err(failed(&file))?;
                // damaged, they are fetched again
                Ok(bytes.and_then(|bytes| TagSet::parse(&bytes).ok()).map(Arc::new))
            };
            blocking("reading", read).await?
        };
        let played = Unbalanced::NEW.query_kept(self.session, &self.parameters, items, kept.clone()).await;
        if matches!(&played, Err(Error::Deviation { fault: Fault::Check { .. }, .. })) {
            epochs::remove(&file).map_err(failed(&file))?; // what does not fit the other's is not tried again
        }
        let (rows, tags) = played?;
        let label = Label { of, scenario: basis.spec.scenario.name.clone(), ends: ends(&tags.epoch())? };
        let same = kept.is_some_and(|kept| Arc::ptr_eq(&kept, &tags));
        if !same && label.ends.0 > Timestamp::now() {
            let write = move || epochs::write(&file, &label, &[&tags.to_bytes()]).map_err(failed(&file));
            blocking("writing", write).await?;
        }
        Ok(Output::Rows(rows))
    }

    async fn answer(
        &self,
        desk: &Desk,
        basis: &Basis,
        of: Use,
        file: PathBuf,
        items: Items,
    ) -> Result<Output, Failure> {
        let answers = self.parameters.sizes.receiver;
        let people = Config::load(&desk.home).map_err(|error| Failure::new("config", error.to_string()))?;
        self.spend(desk, basis, &of, answers, &people)?;

        let kept = {
            let (file, of) = (file.clone(), of.clone());
            let read = move || {
                let bytes = epochs::read(&file, &of, now()).map_err(failed(&file))?;
                // damaged, it is prepared again
                Ok(bytes.and_then(|bytes| Kept::parse(&bytes)))
            };
            blocking("reading", read).await?
        };
        let band = u32::try_from(self.parameters.sizes.sender);
        let band = band.map_err(|_| Failure::new("bug", "a band that the protocol has not"))?;
        let mut rng = self.session.rng("prepare");
        let (kept, changed, key) = match kept {
            Some(Kept { seed, mut prepared }) => {
                let key = Arc::new(EpochKey::derive(&seed, &prepared.tags().epoch()));
                let k = key.clone();
                let work = move |stop: &Stop<'_>| {
                    let changed = prepared.set_to(&k, &items, &mut rng, stop)?;
                    Ok((prepared, changed))
                };
                let (prepared, changed) = self.session.compute_long(work).await?;
                (Kept { seed, prepared }, changed, key)
            }
            None => {
                let epoch = self.begin(basis, &people)?;
                let seed = fresh_seed()?;
                let key = Arc::new(EpochKey::derive(&seed, &epoch));
                let (k, rows) = (key.clone(), items.len());
                let work = move |stop: &Stop<'_>| Prepared::new(&k, epoch, &items, band, &mut rng, stop);
                (Kept { seed, prepared: self.session.compute_long(work).await? }, rows.max(1), key)
            }
        };
        let Kept { seed, prepared } = kept;
        let prepared = Arc::new(prepared);
        if changed > 0 {
            self.session.count_group_ops(changed as u64);
            let epoch = prepared.tags().epoch();
            let label = Label { of, scenario: basis.spec.scenario.name.clone(), ends: ends(&epoch)? };
            let prepared = prepared.clone();
            let write = move || {
                let bytes = prepared.to_bytes();
                epochs::write(&file, &label, &[&seed[..], &bytes]).map_err(failed(&file))
            };
            blocking("writing", write).await?; // before anybody has its tags
        }
        let approved = Arc::new(Allowance::of(answers));
        Unbalanced::NEW.answer_kept(self.session, &self.parameters, prepared, &key, &approved).await?;
        Ok(Output::Nothing)
    }

    /// Counts the answers of this run: on the record, and then in the store.
    fn spend(&self, desk: &Desk, basis: &Basis, of: &Use, answers: u64, people: &Config) -> Result<(), Failure> {
        let id = basis.id;
        let what = format!("attempt {} {answers} answers to {}", id.attempt, of.receiver);
        desk.record(Act::Spend, id.job, what)?;
        let asked = Asked {
            scenario: &of.scenario,
            peer: &of.receiver,
            job: &id.job,
            attempt: id.attempt,
            stage: self.number as u32,
            count: answers,
        };
        let since = Timestamp::now().as_second() - i64::from(people.epoch_s);
        Ok(desk.store.spend_answers(&asked, since, people.answers_per_epoch)?)
    }

    /// A new epoch, which does not outlive its scenario.
    fn begin(&self, basis: &Basis, people: &Config) -> Result<Epoch, Failure> {
        let random = fresh_seed()?;
        let last = Timestamp::now().saturating_add(SignedDuration::from_secs(people.epoch_s.into()));
        let last = last.unwrap_or(Timestamp::MAX).min(basis.spec.scenario.valid_until.0);
        Ok(Epoch { id: std::array::from_fn(|n| random[n]), not_after_s: last.as_second().unsigned_abs() })
    }
}

impl Desk {
    /// Removes keys and tags whose time is over, or whose scenario was revoked; and when the node starts, `anew`, what a crash
    /// left behind.
    pub(crate) fn forget_epochs(&self, anew: bool) {
        // what cannot be known is kept: it is not used without being allowed
        let revoked = |scenario: &_| self.store.revoked(scenario).unwrap_or(false);
        if let Err(error) = epochs::sweep(&self.home.epochs(), now(), anew, revoked) {
            tracing::error!(%error, "keys and tags of ended epochs were not removed");
        }
    }
}

fn now() -> When {
    When(Timestamp::now())
}

fn ends(epoch: &Epoch) -> Result<When, Failure> {
    let second = i64::try_from(epoch.not_after_s).ok().and_then(|second| Timestamp::from_second(second).ok());
    second.map(When).ok_or_else(|| Failure::new("deviation", "the sender's key ends at no time that there is"))
}

fn failed(file: &Path) -> impl FnOnce(std::io::Error) -> DataError {
    let file = file.display().to_string();
    move |error| DataError::io(file, error)
}
