//! Lines between nodes: the protocols' `Transport` over gRPC, mutual TLS and sealed frames.
//!
//! [`PeerService`] listens; [`Handle`] gives each attempt its transport. A step is one bidirectional stream, opened by
//! the node that can dial, or by both ends through the coordinator's relay. Whichever way it came, its first frames are
//! hellos signed by the *pinned* identities, and all others are sealed under the keys that follow.

mod dialer;
mod handshake;
pub(crate) mod interop;
pub mod limits;
mod relay;
mod rendezvous;
mod sealed;
mod server;
mod stream;
mod transport;

use std::sync::Arc;
use std::time::Duration;

use banyan_proto::identity::{BadKey, Identity, PublicKey};
use banyan_protocols::party::PartyId;
use banyan_protocols::session::SessionId;
use banyan_protocols::transport::{LinkError, Transport};
use tokio::net::TcpListener;

pub use relay::RelayLine;

use dialer::Dialer;
use rendezvous::{Rendezvous, Waits};
use transport::{Attempt, Lines};

/// A peer as this node's people pinned it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PinnedPeer {
    /// Its identity.
    pub key: PublicKey,
    /// Where it can be dialled, `host:port`; none where it only dials out.
    pub url: Option<String>,
}

/// What is pinned now. Asked anew for every handshake and every step, so that a change takes effect at once; called from
/// asynchronous code, so an answer takes microseconds.
pub trait Directory: Send + Sync {
    /// The peer pinned under this name.
    fn pinned(&self, party: &PartyId) -> Option<PinnedPeer>;

    /// Whether this key is pinned under any name.
    fn knows(&self, key: &PublicKey) -> bool;
}

/// How this node meets its peers.
#[derive(Clone, Debug)]
pub struct Options {
    /// This node's name.
    pub me: PartyId,
    /// Whether peers can dial this node: whether it has an url that they know.
    pub reachable: bool,
    /// Silence that means a dead peer, [`limits::IDLE_MAX`].
    pub idle: Duration,
    /// How long a step waits for its peer to open it, [`limits::ARRIVAL_MAX`].
    pub arrival: Duration,
    /// How long a stream waits whose session is not known here, [`limits::STRANGER_WAIT`].
    pub stranger: Duration,
}

impl Options {
    /// The usual times.
    pub fn new(me: PartyId, reachable: bool) -> Self {
        let (idle, arrival, stranger) = (limits::IDLE_MAX, limits::ARRIVAL_MAX, limits::STRANGER_WAIT);
        Self { me, reachable, idle, arrival, stranger }
    }
}

/// Why the service ended, or could not start.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// This node's key makes no certificate.
    #[error("identity: {0}")]
    Key(#[from] BadKey),
    /// The server failed.
    #[error("peer service: {0}")]
    Server(#[from] tonic::transport::Error),
}

/// Listens for peers.
pub struct PeerService {
    shared: Arc<Shared>,
}

/// Gives transports. Cheap to clone.
#[derive(Clone)]
pub struct Handle {
    shared: Arc<Shared>,
}

pub(crate) struct Shared {
    me: PartyId,
    identity: Arc<Identity>,
    directory: Arc<dyn Directory>,
    relay: Option<RelayLine>,
    dialer: Dialer,
    rendezvous: Arc<Rendezvous>,
    lines: Arc<Lines>,
    options: Options,
    runtime: tokio::runtime::Handle,
}

impl PeerService {
    /// The service and its handle. `relay` gives the connection to the coordinator, for peers that cannot be dialled.
    ///
    /// # Panics
    /// Outside of a tokio runtime: links are driven by tasks of the runtime it is called in.
    pub fn new(
        identity: Arc<Identity>,
        directory: Arc<dyn Directory>,
        relay: Option<RelayLine>,
        options: Options,
    ) -> (Self, Handle) {
        let shared = Arc::new(Shared {
            me: options.me.clone(),
            dialer: Dialer::new(identity.clone(), options.me.clone(), server::keepalive(options.idle)),
            identity,
            directory,
            relay,
            rendezvous: Rendezvous::new(Waits { stranger: options.stranger, pulse: options.idle / 4 }),
            lines: Arc::default(),
            options,
            runtime: tokio::runtime::Handle::current(),
        });
        (Self { shared: shared.clone() }, Handle { shared })
    }

    /// Serves peers on `listener`, if this node has one, until `stop`. Then all sessions are closed.
    ///
    /// # Errors
    /// [`Error`] where it cannot serve.
    pub async fn run(self, listener: Option<TcpListener>, stop: impl Future<Output = ()>) -> Result<(), Error> {
        let Some(listener) = listener else {
            stop.await;
            self.shared.rendezvous.close_all();
            return Ok(());
        };
        let (stopping, stopped) = tokio::sync::oneshot::channel::<()>();
        let rendezvous = self.shared.rendezvous.clone();
        let stop = async move {
            stop.await;
            rendezvous.close_all();
            drop(stopping);
        };
        tokio::select! {
            served = server::serve(self.shared, listener, stop) => served,
            () = async { let _ = stopped.await; tokio::time::sleep(limits::STOP_WAIT).await } => Ok(()),
        }
    }
}

impl Handle {
    /// The transport of one attempt with the parties of `roster`. Dropping it closes the session: all its links end, and
    /// streams that wait for it are stopped.
    ///
    /// # Errors
    /// [`LinkError::AlreadyOpen`] where the session is open.
    pub fn transport(&self, session: SessionId, roster: &[PartyId]) -> Result<Arc<dyn Transport>, LinkError> {
        Ok(Arc::new(Attempt::new(self.shared.clone(), session, roster)?))
    }

    /// Makes the connections that an attempt with the parties of `roster` will need, so that its time is not spent on
    /// handshakes. Waits no longer than [`limits::CONNECT_WAIT`]: what was not made by then is made when a step needs it.
    pub async fn connect(&self, roster: &[PartyId]) {
        let _ = tokio::time::timeout(limits::CONNECT_WAIT, transport::connect(&self.shared, roster)).await;
    }

    /// Closes a session whoever holds its transport, as when a job is stopped.
    pub fn close(&self, session: SessionId) {
        self.shared.rendezvous.close(session, None);
    }
}

#[cfg(test)]
mod tests;
