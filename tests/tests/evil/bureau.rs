//! A bureau whose every step is taken by the test, over a true line with the bank.

use std::sync::Arc;

use banyan_node::peer::{Directory, Handle, Options, PeerService, PinnedPeer};
use banyan_proto::canonical::Canonical;
use banyan_proto::identity::{Identity, PublicKey};
use banyan_proto::job::{Plan, Spec};
use banyan_protocols::CATALOGUE;
use banyan_protocols::catalogue::{Input, Output};
use banyan_protocols::compute::Pool;
use banyan_protocols::error::Result;
use banyan_protocols::items::Items;
use banyan_protocols::party::PartyId;
use banyan_protocols::session::{Session, SessionId, SessionParts};
use tokio::net::TcpListener;
use zeroize::Zeroizing;

use super::party;

/// It knows the bank and nobody else.
struct Bank(PublicKey);

impl Directory for Bank {
    fn pinned(&self, name: &PartyId) -> Option<PinnedPeer> {
        (name.as_str() == "bank").then_some(PinnedPeer { key: self.0, url: None })
    }

    fn knows(&self, key: &PublicKey) -> bool {
        *key == self.0
    }
}

/// The bureau's end of the line.
pub(crate) struct Bureau(Handle);

impl Bureau {
    /// Answers the bank at `listener`.
    pub(crate) fn listen(identity: Identity, listener: TcpListener, bank: PublicKey) -> Self {
        let options = Options::new(party("bureau"), true);
        let (service, handle) = PeerService::new(Arc::new(identity), Arc::new(Bank(bank)), None, options);
        tokio::spawn(service.run(Some(listener), std::future::pending()));
        Self(handle)
    }

    /// Its part in the protocol of a job's first attempt, and nothing of what comes after. The session stays open with
    /// the transport that is given back.
    pub(crate) async fn run(&self, spec: &Spec, items: Items) -> Result<(Session, Output)> {
        let plan = Plan::derive(spec, &CATALOGUE).unwrap();
        let (stage, me) = (&plan.stages[0], party("bureau"));
        let roster = stage.roster().unwrap();
        let id = SessionId::derive(&spec.digest().0, 0, 1);
        let parties: Vec<PartyId> = roster.iter().map(|(party, _)| party.clone()).collect();
        let transport = self.0.transport(id, &parties).unwrap();
        let (compute, seed) = (Arc::new(Pool::new(1).unwrap()), Zeroizing::new([7; 32]));
        let role = stage.task(&me).unwrap().role();
        let session = Session::new("dh", SessionParts { id, me, roster, transport, compute, seed });
        let dh = CATALOGUE.find("dh").unwrap();
        let output = dh.run(&session, role, stage.parameters().unwrap(), Input::Items(items)).await?;
        Ok((session, output))
    }
}
