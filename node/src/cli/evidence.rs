//! What commands change: the state of a home that is whole, and its audit log. The record is on disk before the act.

use crate::audit::{AuditError, Log};
use crate::config::{Config, Home};
use crate::store::Store;
use banyan_proto::audit::Act;
use banyan_proto::canonical::Digest;

use super::answer::Failure;

/// Who acts where no approver signs: whoever may run commands on this machine.
pub(crate) const ACTOR: &str = "console";

/// The state of a node that was made. Without this, a mistyped --home would become one.
pub(crate) fn state(home: &Home) -> Result<Store, Failure> {
    Config::load(home)?;
    Ok(Store::open(home)?)
}

/// Appends one record of the person at this machine.
pub(crate) fn record(home: &Home, act: Act, subject: Digest, outcome: &str) -> Result<(), Failure> {
    record_of(home, ACTOR, act, subject, outcome)
}

/// Appends one record of `actor`.
pub(crate) fn record_of(home: &Home, actor: &str, act: Act, subject: Digest, outcome: &str) -> Result<(), Failure> {
    Log::open(home, &Config::load(home)?.name)?.append(actor, act, subject, outcome)?;
    Ok(())
}

/// Appends one record of a stop, which does not wait for a log that cannot be written: gives why it is not recorded.
pub(crate) fn record_stop(home: &Home, actor: &str, subject: Digest, outcome: &str) -> Option<String> {
    let config = match Config::load(home) {
        Ok(config) => config,
        Err(error) => return Some(error.to_string()),
    };
    let recorded = Log::open(home, &config.name).and_then(|log| log.append(actor, Act::Halt, subject, outcome));
    recorded.err().map(|error| match error {
        AuditError::File { file, error } => format!("{}: {error}", file.display()),
        error => error.to_string(),
    })
}
