//! What this node's approvers said: approvals, denials, revocations, and the halt of everything.
//!
//! What is kept is checked to be signed by the key it names. Whether that key counts is the policy's question.

use banyan_proto::canonical::Digest;
use banyan_proto::grant::{Approval, Revocation};
use banyan_proto::identity::Signed;
use banyan_proto::job::When;
use rusqlite::{OptionalExtension, Row, params};

use super::{Result, Store, StoreError, now, text, unreadable, when};

/// The stop of everything at this node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Halt {
    /// Why.
    pub reason: String,
    /// Since when.
    pub since: When,
}

impl Store {
    /// Keeps an approver's word on a scenario: the last word of each key, and a no is final.
    ///
    /// # Errors
    /// [`StoreError::Denied`] where the same key said no before, [`StoreError::Signature`] where it is not signed as it
    /// says.
    pub fn put_approval(&self, approval: &Signed<Approval>) -> Result<()> {
        let by = approval.signer();
        let word = approval.verify(&by)?;
        self.write(|t| {
            let last = "SELECT approved FROM approvals WHERE scenario = ?1 AND key = ?2";
            let last = t.query_row(last, params![word.scenario.0, by.as_bytes()], |row| row.get::<_, bool>(0)).optional()?;
            if last == Some(false) && word.approved {
                return Err(StoreError::Denied { scenario: word.scenario, by: by.fingerprint() });
            }
            t.execute(
                "INSERT OR REPLACE INTO approvals (scenario, key, approved, approval, kept) VALUES (?1, ?2, ?3, ?4, ?5)",
                params![word.scenario.0, by.as_bytes(), word.approved, approval.to_bytes(), now()],
            )?;
            Ok(())
        })
    }

    /// The last word of every key on a scenario.
    ///
    /// # Errors
    /// As the database says.
    pub fn approvals(&self, scenario: &Digest) -> Result<Vec<Signed<Approval>>> {
        self.with(|c| {
            let mut words = c.prepare("SELECT approval FROM approvals WHERE scenario = ?1 ORDER BY key")?;
            words.query_map([scenario.0], signed)?.collect()
        })
    }

    /// Ends a scenario at this node, for good.
    ///
    /// # Errors
    /// [`StoreError::Signature`] where it is not signed as it says.
    pub fn put_revocation(&self, revocation: &Signed<Revocation>) -> Result<()> {
        let word = revocation.verify(&revocation.signer())?;
        self.write(|t| {
            t.execute(
                "INSERT INTO revocations (scenario, key, revocation, kept) VALUES (?1, ?2, ?3, ?4) ON CONFLICT DO NOTHING",
                params![word.scenario.0, revocation.signer().as_bytes(), revocation.to_bytes(), now()],
            )?;
            Ok(())
        })
    }

    /// The revocations of a scenario. One is enough.
    ///
    /// # Errors
    /// As the database says.
    pub fn revocations(&self, scenario: &Digest) -> Result<Vec<Signed<Revocation>>> {
        self.with(|c| {
            let mut words = c.prepare("SELECT revocation FROM revocations WHERE scenario = ?1 ORDER BY key")?;
            words.query_map([scenario.0], signed)?.collect()
        })
    }

    /// Whether a scenario was revoked.
    ///
    /// # Errors
    /// As the database says.
    pub fn revoked(&self, scenario: &Digest) -> Result<bool> {
        self.with(|c| {
            c.query_row("SELECT EXISTS (SELECT 1 FROM revocations WHERE scenario = ?1)", [scenario.0], |row| row.get(0))
        })
    }

    /// Stops everything at this node until [`Store::resume`]. The first reason stands.
    ///
    /// # Errors
    /// As the database says.
    pub fn halt_all(&self, reason: &str) -> Result<()> {
        self.write(|t| {
            let halt = "INSERT INTO halt (one, reason, since) VALUES (1, ?1, ?2) ON CONFLICT DO NOTHING";
            t.execute(halt, params![reason, now()])?;
            Ok(())
        })
    }

    /// Ends the halt of everything; gives whether there was one.
    ///
    /// # Errors
    /// As the database says.
    pub fn resume(&self) -> Result<bool> {
        self.write(|t| Ok(t.execute("DELETE FROM halt", [])? > 0))
    }

    /// The halt of everything, while it stands.
    ///
    /// # Errors
    /// As the database says.
    pub fn halted(&self) -> Result<Option<Halt>> {
        self.with(|c| {
            let halt = |row: &Row<'_>| Ok(Halt { reason: row.get("reason")?, since: text(row, "since", when)? });
            c.query_row("SELECT reason, since FROM halt", [], halt).optional()
        })
    }
}

fn signed<T: banyan_proto::canonical::Canonical>(row: &Row<'_>) -> rusqlite::Result<Signed<T>> {
    let bytes: Vec<u8> = row.get(0)?;
    Signed::from_bytes(&bytes).map_err(|_| unreadable(0))
}
