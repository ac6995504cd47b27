//! What commands change: the state of a home that is whole, and its audit log. The record is on disk before the act.

use crate::audit::Log;
use crate::config::{Config, Home};
use crate::store::Store;
use banyan_proto::audit::Act;
use banyan_proto::canonical::Digest;

use super::answer::Failure;

/// Who acts where no approver signs: whoever may run commands on this machine.
const ACTOR: &str = "console";

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
