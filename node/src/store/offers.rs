//! Jobs that were offered to this node, and where each stands.

use banyan_proto::canonical::Digest;
use banyan_proto::grant::{Admission, Approval};
use banyan_proto::identity::Signed;
use banyan_proto::job::When;
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::{Result, Store, StoreError, digest, now, text, unreadable, when};

/// The most offers kept. Beyond it the oldest refused ones go; the audit log keeps what happened.
pub const OFFERS_MAX: u32 = 10_000;
/// The most reviews of one offer.
const REVIEWS_MAX: usize = 16;

/// A job that was offered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Offer {
    /// The job: the digest of its spec.
    pub job: Digest,
    /// The canonical bytes of the spec, as they came.
    pub spec: Vec<u8>,
    /// The reviews that came with it, not yet checked, in their order.
    pub reviews: Vec<Signed<Approval>>,
    /// Where it stands.
    pub standing: Standing,
    /// When it came first.
    pub received: When,
}

/// Where an offer stands at this node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    /// A person has to decide.
    Waiting {
        /// The rule that asks.
        code: String,
        /// The question, for people.
        reason: String,
    },
    /// The policy said yes, and this node signed it.
    Admitted {
        /// What it signed.
        admission: Signed<Admission>,
    },
    /// The policy said no.
    Refused {
        /// The rule: what the others are told.
        code: String,
        /// The reason and the remedy, for this node's people.
        reason: String,
    },
}

impl Store {
    /// Keeps an offer. A new one waits; for a known one the reviews are replaced, but for a no, and it stands where it
    /// stood.
    ///
    /// # Errors
    /// [`StoreError::Full`] where [`OFFERS_MAX`] offers wait or are admitted.
    pub fn put_offer(&self, job: &Digest, spec: &[u8], reviews: &[Signed<Approval>]) -> Result<()> {
        if reviews.len() > REVIEWS_MAX {
            let remedy = "ask the operator why a scenario has so many";
            return Err(StoreError::Full { what: "reviews of one job", max: REVIEWS_MAX as u32, remedy });
        }
        self.write(|t| {
            make_room(t, job)?;
            t.execute(
                "INSERT INTO offers (job, spec, received, standing, code, reason)
                 VALUES (?1, ?2, ?3, 'waiting', 'new', 'not looked at yet') ON CONFLICT (job) DO NOTHING",
                params![job.0, spec, now()],
            )?;
            // who passes reviews on cannot take a no back
            let said_no = |review: &Signed<Approval>| review.verify(&review.signer()).is_ok_and(|word| !word.approved);
            let mut noes = reviews_of(t, job)?;
            noes.retain(|review| said_no(review) && !reviews.contains(review));
            noes.truncate(REVIEWS_MAX);
            t.execute("DELETE FROM reviews WHERE job = ?1", [job.0])?;
            let mut insert = t.prepare("INSERT INTO reviews (job, position, review) VALUES (?1, ?2, ?3)")?;
            for (position, review) in (0_i64..).zip(noes.iter().chain(reviews)) {
                insert.execute(params![job.0, position, review.to_bytes()])?;
            }
            Ok(())
        })
    }

    /// Changes where an offer stands.
    ///
    /// # Errors
    /// [`StoreError::Unknown`] where it was never offered.
    pub fn set_standing(&self, job: &Digest, standing: &Standing) -> Result<()> {
        let (word, code, reason, admission) = match standing {
            Standing::Waiting { code, reason } => ("waiting", code.as_str(), reason.as_str(), None),
            Standing::Admitted { admission } => ("admitted", "", "", Some(admission.to_bytes())),
            Standing::Refused { code, reason } => ("refused", code.as_str(), reason.as_str(), None),
        };
        self.write(|t| {
            let change = "UPDATE offers SET standing = ?2, code = ?3, reason = ?4, admission = ?5 WHERE job = ?1";
            match t.execute(change, params![job.0, word, code, reason, admission])? {
                0 => Err(StoreError::Unknown(format!("offer of job {}", job.short()))),
                _ => Ok(()),
            }
        })
    }

    /// One offer.
    ///
    /// # Errors
    /// As the database says.
    pub fn offer(&self, job: &Digest) -> Result<Option<Offer>> {
        self.with(|c| {
            let found = c.query_row("SELECT * FROM offers WHERE job = ?1", [job.0], offer).optional()?;
            found.map(|found| with_reviews(c, found)).transpose()
        })
    }

    /// Every offer, in the order they came.
    ///
    /// # Errors
    /// As the database says.
    pub fn offers(&self) -> Result<Vec<Offer>> {
        self.with(|c| {
            let mut all = c.prepare("SELECT * FROM offers ORDER BY rowid")?;
            let all: Vec<Offer> = all.query_map([], offer)?.collect::<rusqlite::Result<_>>()?;
            all.into_iter().map(|offer| with_reviews(c, offer)).collect()
        })
    }
}

fn make_room(c: &Connection, job: &Digest) -> Result<()> {
    let others: u32 = c.query_row("SELECT count(*) FROM offers WHERE job <> ?1", [job.0], |row| row.get(0))?;
    if others < OFFERS_MAX {
        return Ok(());
    }
    let oldest = "DELETE FROM offers WHERE rowid = (SELECT min(rowid) FROM offers WHERE standing = 'refused')";
    match c.execute(oldest, [])? {
        0 => {
            Err(StoreError::Full { what: "open offers", max: OFFERS_MAX, remedy: "deny some with `banyan-node deny`" })
        }
        _ => Ok(()),
    }
}

fn offer(row: &Row<'_>) -> rusqlite::Result<Offer> {
    let word: String = row.get("standing")?;
    let (code, reason) = (row.get("code")?, row.get("reason")?);
    let standing = match word.as_str() {
        "waiting" => Standing::Waiting { code, reason },
        "refused" => Standing::Refused { code, reason },
        _ => {
            let bytes: Vec<u8> = row.get("admission")?;
            Standing::Admitted { admission: Signed::from_bytes(&bytes).map_err(|_| unreadable(6))? }
        }
    };
    let received = text(row, "received", when)?;
    Ok(Offer { job: digest(row, "job")?, spec: row.get("spec")?, reviews: Vec::new(), standing, received })
}

fn with_reviews(c: &Connection, offer: Offer) -> rusqlite::Result<Offer> {
    Ok(Offer { reviews: reviews_of(c, &offer.job)?, ..offer })
}

fn reviews_of(c: &Connection, job: &Digest) -> rusqlite::Result<Vec<Signed<Approval>>> {
    let mut reviews = c.prepare_cached("SELECT review FROM reviews WHERE job = ?1 ORDER BY position")?;
    let review = |row: &Row<'_>| {
        let bytes: Vec<u8> = row.get("review")?;
        Signed::from_bytes(&bytes).map_err(|_| unreadable(0))
    };
    reviews.query_map([job.0], review)?.collect()
}
