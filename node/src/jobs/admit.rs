//! Offers and what this node says to them. An offer is bytes until its digest was compared, and a wish until this node's
//! own policy has answered.

use banyan_proto::audit::Act;
use banyan_proto::canonical::{Canonical, Digest};
use banyan_proto::decision::{Decision, RuleId};
use banyan_proto::grant::{Admission, Approval};
use banyan_proto::identity::Signed;
use banyan_proto::job::{Plan, Spec, When};
use banyan_proto::wire::{self, verdict::Answer};
use bytes::Bytes;
use jiff::Timestamp;

use super::Desk;
use super::failure::Failure;
use crate::store::Standing;

impl Desk {
    /// Keeps an offer. What the coordinator sends is hashed first, parsed once, and kept as the bytes that were hashed.
    pub(crate) fn offered(&self, offer: &wire::Offer) -> Result<Digest, Failure> {
        let refuse = |why: String| Failure::new("offer", why);
        let job = Digest::of(Spec::DOMAIN, &offer.spec);
        if offer.job != job.0[..] {
            return Err(refuse("the coordinator named another digest than the spec has".into()));
        }
        let spec = Spec::from_canonical(&offer.spec).map_err(|error| refuse(error.to_string()))?;
        if spec.party(&self.me).is_none() {
            return Err(refuse(format!("{} is no party of job {}", self.me, spec.name)));
        }
        let reviews = reviews(&offer.reviews)?;
        if self.store.offer(&job)?.is_none() {
            self.record(Act::Offer, job, format!("job {}", spec.name))?;
        }
        self.store.put_offer(&job, &offer.spec, &reviews)?;
        Ok(job)
    }

    /// Keeps the reviews as they stand when an attempt begins: one may have said no since the offer.
    pub(crate) fn reviewed(&self, job: &Digest, came: &[Bytes]) -> Result<(), Failure> {
        let reviews = reviews(came)?;
        let offer = self.offer(job)?;
        Ok(self.store.put_offer(job, &offer.spec, &reviews)?)
    }

    /// The answer to an offer that is kept here. An admission once given is given again, as long as it would be given now.
    pub(crate) fn consider(&self, job: &Digest) -> Result<Answer, Failure> {
        let offer = self.offer(job)?;
        let (spec, plan) = self.job(job)?;
        match self.decide(&spec, &plan, self.may_go_on(job, &plan)?)? {
            Decision::Allow { .. } => {
                let admission = match offer.standing {
                    Standing::Admitted { admission } => admission,
                    _ => self.admit(*job, &spec, &plan)?,
                };
                Ok(Answer::Admission(admission.to_bytes().into()))
            }
            Decision::AskPerson { because, .. } => {
                let (code, reason) = words(because);
                let standing = Standing::Waiting { code, reason };
                if offer.standing != standing {
                    self.store.set_standing(job, &standing)?;
                }
                Ok(Answer::Waiting(format!("the approver of {} is asked", self.me)))
            }
            Decision::Deny { because } => {
                let (code, reason) = words(because);
                self.refuse(job, &Failure::new(&code, reason))?;
                Ok(Answer::Refusal(wire::Refusal { code, detail: String::new() }))
            }
        }
    }

    /// Says no, on the record. The others are told the code.
    pub(crate) fn refuse(&self, job: &Digest, why: &Failure) -> Result<(), Failure> {
        let standing = Standing::Refused { code: why.code.clone(), reason: why.detail.clone() };
        if self.offer(job)?.standing != standing {
            self.record(Act::Decide, *job, format!("denied {}", why.code))?;
            tracing::warn!(job = %job.short(), code = why.code, reason = why.detail, "refused");
            self.store.set_standing(job, &standing)?;
        }
        Ok(())
    }

    /// A job that was stopped asks nobody any more, until it is offered again.
    pub(crate) fn withdrawn(&self, job: &Digest, why: &Failure) -> Result<(), Failure> {
        if let Standing::Waiting { .. } = self.offer(job)?.standing {
            let standing = Standing::Refused { code: why.code.clone(), reason: why.detail.clone() };
            self.store.set_standing(job, &standing)?;
        }
        Ok(())
    }

    /// Admits a job, on the record.
    pub(super) fn admit(&self, job: Digest, spec: &Spec, plan: &Plan) -> Result<Signed<Admission>, Failure> {
        let admission = Admission {
            spec: job,
            plan: plan.digest(),
            party: self.me.clone(),
            approval: self.carrying_approval(spec, plan)?,
            at: When(Timestamp::now()),
        };
        self.record(Act::Decide, job, "allowed")?;
        let admission = self.identity.sign(&admission);
        self.store.set_standing(&job, &Standing::Admitted { admission: admission.clone() })?;
        Ok(admission)
    }
}

fn reviews(came: &[Bytes]) -> Result<Vec<Signed<Approval>>, Failure> {
    let reviews: Result<_, _> = came.iter().map(|bytes| Signed::from_bytes(bytes)).collect();
    reviews.map_err(|error| Failure::new("offer", format!("a review is {error}")))
}

/// The name of the first rule, and every rule's reason.
fn words(because: Vec<RuleId>) -> (String, String) {
    let code = because.first().map_or_else(|| "denied".to_owned(), |rule| rule.name.clone());
    let reasons: Vec<String> = because.into_iter().map(|rule| rule.reason).collect();
    (code, reasons.join("; "))
}
