//! After a crash or a broken line: the disk knows how every attempt stands, and the coordinator is told again.

use banyan_proto::canonical::Canonical;
use banyan_proto::evidence::{Manifest, RunMetrics};
use banyan_proto::wire::{self, report};

use super::Desk;
use super::basis::AttemptId;
use super::failure::Failure;
use super::result::MANIFEST;
use crate::store::{Attempt, Ending, Phase};

/// Jobs whose last attempt is told again when the line comes up: more than were under way when it broke, and few enough
/// to fit the line.
const TOLD_AGAIN_MAX: u32 = 256;

impl Desk {
    /// Ends the attempts that a crash cut off, before anything else. The manifest is the last thing a release writes:
    /// where it stands the result does too, and everybody had signed for it.
    pub(crate) fn settle(&self) -> Result<(), Failure> {
        for id in self.interrupted()? {
            match self.released(id) {
                Some(manifest) => self.complete(id, &manifest.metrics),
                None => {
                    let why = "the node was restarted during the attempt: propose the job again";
                    self.fail(id, &Failure::new("restarted", why));
                }
            }
        }
        self.forget_epochs(true);
        self.forget_ended()
    }

    /// How the last attempts stand, in the words that were perhaps not heard. What is said twice is harmless there.
    pub(crate) fn last_words(&self) -> Result<Vec<report::Body>, Failure> {
        let attempts = self.store.last_attempts(TOLD_AGAIN_MAX)?;
        let attempts = attempts.iter().filter(|attempt| self.has_jobs_like(&attempt.job));
        Ok(attempts.filter_map(|attempt| self.last_word(attempt)).collect())
    }

    fn last_word(&self, attempt: &Attempt) -> Option<report::Body> {
        let id = AttemptId { job: attempt.job, attempt: attempt.attempt };
        match &attempt.ending {
            None if attempt.phase == Phase::Preparing => None,
            None => Some(phase(id, attempt.phase)),
            // a result that its people have taken away was released all the same
            Some(Ending::Completed) => {
                Some(self.ended(id, &self.released(id).map(|manifest| manifest.metrics).unwrap_or_default()))
            }
            Some(Ending::Failed { code, .. }) => Some(failed(id, code)),
        }
    }

    /// What an attempt released here, if it did.
    fn released(&self, id: AttemptId) -> Option<Manifest> {
        let (spec, _) = self.job(&id.job).ok()?;
        let bytes = std::fs::read(self.home.result(&spec.name, &id.job, id.attempt).join(MANIFEST)).ok()?;
        let manifest = Manifest::from_bytes(&bytes).ok()?;
        (manifest.spec == id.job && manifest.attempt == id.attempt && manifest.party == self.me).then_some(manifest)
    }

    /// The word for an attempt that released.
    pub(crate) fn ended(&self, id: AttemptId, metrics: &RunMetrics) -> report::Body {
        let receipt = self.log.checkpoint().map(|signed| signed.to_bytes()).unwrap_or_default();
        report::Body::Ended(wire::Ended {
            job: id.job.0.to_vec().into(),
            attempt: id.attempt,
            ok: true,
            receipt: receipt.into(),
            metrics: metrics.public().to_bytes().into(),
            ..wire::Ended::default()
        })
    }
}

/// The word for an attempt that came to a phase.
pub(crate) fn phase(id: AttemptId, phase: Phase) -> report::Body {
    let job = id.job.0.to_vec().into();
    report::Body::Phase(wire::Phase { job, attempt: id.attempt, phase: phase.as_str().into() })
}

/// The word for an attempt that failed.
pub(crate) fn failed(id: AttemptId, code: &str) -> report::Body {
    report::Body::Ended(wire::Ended {
        job: id.job.0.to_vec().into(),
        attempt: id.attempt,
        ok: false,
        code: Failure::public_code(code).to_owned(),
        detail: Failure::public(code).to_owned(),
        ..wire::Ended::default()
    })
}
