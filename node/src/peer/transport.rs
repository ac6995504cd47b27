//! The transport of one attempt: chooses who dials, and holds the limit of open steps.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};

use banyan_proto::convert::{self, Opening};
use banyan_protocols::party::PartyId;
use banyan_protocols::session::SessionId;
use banyan_protocols::transport::{Link, LinkError, Step, Transport};
use futures::FutureExt;
use futures::future::{BoxFuture, join_all};
use tokio::sync::watch;

use super::handshake::{End, Pairing};
use super::limits::STEPS_OPEN_MAX;
use super::stream::Raw;
use super::{PinnedPeer, Shared, relay, sealed};

/// Links of one attempt. Dropping it ends them.
pub(crate) struct Attempt {
    shared: Arc<Shared>,
    session: SessionId,
    roster: BTreeSet<PartyId>,
    opened: Mutex<BTreeSet<(PartyId, Step)>>,
    closed: Arc<watch::Sender<bool>>,
}

impl Attempt {
    pub(crate) fn new(shared: Arc<Shared>, session: SessionId, roster: &[PartyId]) -> Result<Self, LinkError> {
        let roster: BTreeSet<_> = roster.iter().filter(|party| **party != shared.me).cloned().collect();
        let closed = shared.rendezvous.announce(session, &roster)?;
        Ok(Self { shared, session, roster, opened: Mutex::default(), closed })
    }

    /// How the stream of a step comes about, and how long its first frame may take after that.
    fn stream(
        &self,
        opening: Opening,
        pinned: &PinnedPeer,
    ) -> Result<BoxFuture<'static, Result<Raw, LinkError>>, LinkError> {
        let shared = self.shared.clone();
        let (key, arrival) = (pinned.key, shared.options.arrival);
        Ok(match Route::choose(&shared, &opening.to, pinned) {
            Route::Dial(url) => async move { shared.dialer.step(&opening, key, &url).await }.boxed(),
            Route::Await => {
                let arriving = shared.rendezvous.want(self.session, &opening.to, &opening.step)?;
                async move {
                    match tokio::time::timeout(arrival, arriving).await {
                        Ok(arrived) => arrived.map_err(|_| LinkError::Closed),
                        Err(_) => Err(LinkError::Unreachable(format!(
                            "{} did not dial within {} s: does it know this node's url?",
                            opening.to,
                            arrival.as_secs()
                        ))),
                    }
                }
                .boxed()
            }
            Route::Relay => async move { relay::step(shared.relay.as_ref(), &opening).await }.boxed(),
        })
    }
}

impl Transport for Attempt {
    fn open(&self, peer: &PartyId, step: &Step) -> Result<Link, LinkError> {
        if !self.roster.contains(peer) {
            return Err(LinkError::UnknownPeer);
        }
        let pinned = self.shared.directory.pinned(peer).ok_or(LinkError::UnknownPeer)?;
        let step = convert::step(step.as_str()).map_err(|error| LinkError::Refused(error.to_string()))?;
        let mut opened = self.opened.lock().unwrap_or_else(PoisonError::into_inner);
        if opened.contains(&(peer.clone(), step.clone())) {
            return Err(LinkError::AlreadyOpen);
        }
        if *self.closed.borrow() {
            return Err(LinkError::Closed);
        }
        let place = self.shared.lines.take(Route::choose(&self.shared, peer, &pinned).line(peer))?;
        let me = End { name: self.shared.me.clone(), key: self.shared.identity.public() };
        let opening = Opening { session: self.session, step: step.clone(), from: me.name.clone(), to: peer.clone() };
        let raw = self.stream(opening, &pinned)?;
        opened.insert((peer.clone(), step.clone()));
        let parts = sealed::Parts {
            pairing: Pairing { session: self.session, step, me, peer: End { name: peer.clone(), key: pinned.key } },
            identity: self.shared.identity.clone(),
            arrival: self.shared.options.arrival,
            idle: self.shared.options.idle,
            closed: self.closed.subscribe(),
            _place: place,
        };
        let (link, driver) = sealed::link(parts, raw);
        self.shared.runtime.spawn(driver);
        Ok(link)
    }
}

impl Drop for Attempt {
    fn drop(&mut self) {
        self.shared.rendezvous.close(self.session, Some(&self.closed));
    }
}

/// Connects to those of `roster` that this node dials, all at once. Who does not answer is named when a step is opened.
pub(crate) async fn connect(shared: &Shared, roster: &[PartyId]) {
    let dial = async |peer: &PartyId| {
        let pinned = shared.directory.pinned(peer)?;
        let Route::Dial(url) = Route::choose(shared, peer, &pinned) else { return None };
        shared.dialer.connect(peer, pinned.key, &url).await.err()
    };
    let others = roster.iter().filter(|party| **party != shared.me);
    for error in join_all(others.map(dial)).await.into_iter().flatten() {
        tracing::warn!(%error, "a peer could not be reached before the attempt");
    }
}

/// Who dials whom. Both ends come to the same answer where they know the same urls.
enum Route {
    Dial(String),
    Await,
    Relay,
}

impl Route {
    /// Where both can be dialled, the alphabetically smaller name dials.
    fn choose(shared: &Shared, peer: &PartyId, pinned: &PinnedPeer) -> Self {
        match (&pinned.url, shared.options.reachable) {
            (Some(url), false) => Self::Dial(url.clone()),
            (Some(url), true) if shared.me < *peer => Self::Dial(url.clone()),
            (Some(_) | None, true) => Self::Await,
            (None, false) => Self::Relay,
        }
    }

    fn line(&self, peer: &PartyId) -> Line {
        match self {
            Self::Dial(_) | Self::Await => Line::Peer(peer.clone()),
            Self::Relay => Line::Relay,
        }
    }
}

/// One HTTP/2 connection, whose window all its steps share.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Line {
    Peer(PartyId),
    Relay,
}

/// How many steps are open on each line.
#[derive(Default)]
pub(crate) struct Lines(Mutex<BTreeMap<Line, usize>>);

/// One open step's share of its line.
pub(crate) struct LinePlace {
    line: Line,
    of: Arc<Lines>,
}

impl Lines {
    fn take(self: &Arc<Self>, line: Line) -> Result<LinePlace, LinkError> {
        let mut open = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let count = open.entry(line.clone()).or_insert(0);
        if *count >= STEPS_OPEN_MAX {
            let to = match &line {
                Line::Peer(peer) => peer.as_str(),
                Line::Relay => "the relay",
            };
            return Err(LinkError::Refused(format!(
                "{STEPS_OPEN_MAX} steps are open to {to}, and more could stall one another: finish one first, make steps coarser, or run fewer jobs at once"
            )));
        }
        *count += 1;
        Ok(LinePlace { line, of: self.clone() })
    }
}

impl Drop for LinePlace {
    fn drop(&mut self) {
        let mut open = self.of.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = open.get_mut(&self.line) {
            *count = count.saturating_sub(1);
        }
    }
}
