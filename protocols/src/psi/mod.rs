//! Private set intersection: the trait whose two methods face each other on a protocol's page.

pub mod aggregate;
pub mod circuit;
pub mod ecdh;
pub mod interop;
pub mod multi;
pub mod rr22;

mod oprf;
mod set;
#[cfg(test)]
mod testing;
pub mod unbalanced;

use std::future::Future;

use crate::catalogue::{Form, Input, Output, Parameters};
use crate::error::{Bug, Error, InputError, Result};
use crate::items::Items;
use crate::party::Role;
use crate::session::Session;

/// A two-party protocol that intersects the receiver's set X with the sender's set Y.
pub trait Psi: Send + Sync {
    /// The receiver's half: learns what the result form grants it.
    ///
    /// # Errors
    /// [`Error::Deviation`] names a sender that breaks the protocol, [`Error::Input`] what is wrong with `x`.
    fn receive(&self, s: &Session, p: Parameters, x: Items) -> impl Future<Output = Result<Output>> + Send;

    /// The sender's half: learns nothing but the receiver's band, or what the result form grants it.
    ///
    /// # Errors
    /// [`Error::Deviation`] names a receiver that breaks the protocol, [`Error::Input`] what is wrong with `y`.
    fn send(&self, s: &Session, p: Parameters, y: Items) -> impl Future<Output = Result<Output>> + Send;
}

/// Plays `role` of `psi`: what a catalogue entry's `run` does.
pub(crate) async fn play(psi: &impl Psi, s: &Session, role: Role, p: Parameters, input: Input) -> Result<Output> {
    at_role(s, role)?;
    let (items, _) = input.table();
    match role {
        Role::Receiver => psi.receive(s, p, items).await,
        Role::Sender => psi.send(s, p, items).await,
    }
}

/// Whether the result form is the one that the protocol has.
pub(crate) fn only(protocol: &'static str, p: &Parameters, form: Form) -> Result<(), InputError> {
    let reason = "it has one result form, which the plan does not name; see its descriptor";
    if p.form == form { Ok(()) } else { Err(InputError::Unsupported { protocol, reason }) }
}

/// Whether the roster has this party in `role`.
pub(crate) fn at_role(s: &Session, role: Role) -> Result<()> {
    if s.roster().role_of(s.me()) == Some(role) {
        Ok(())
    } else {
        Err(Error::Bug(Bug("this party plays another role in the roster")))
    }
}
