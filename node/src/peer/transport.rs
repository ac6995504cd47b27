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
use super::limits::{RELAYED_STEPS_MAX, STEPS_OPEN_MAX};
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
        let place = self.shared.lines.take(peer, Route::choose(&self.shared, peer, &pinned).line())?;
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

    fn line(&self) -> Line {
        match self {
            Self::Dial(_) | Self::Await => Line::Direct,
            Self::Relay => Line::Relay,
        }
    }
}

/// The HTTP/2 connection of a step, whose window all its steps share: each peer's own, or the one to the relay.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Line {
    Direct,
    Relay,
}

/// How many steps are open with each peer, on which line.
#[derive(Default)]
pub(crate) struct Lines(Mutex<BTreeMap<(Line, PartyId), usize>>);

/// One open step's share of its line.
pub(crate) struct LinePlace {
    line: (Line, PartyId),
    of: Arc<Lines>,
}

impl Lines {
    fn take(self: &Arc<Self>, peer: &PartyId, line: Line) -> Result<LinePlace, LinkError> {
        let mut open = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let relayed = open.iter().filter(|((line, _), _)| *line == Line::Relay).map(|(_, count)| count).sum::<usize>();
        let count = open.entry((line, peer.clone())).or_insert(0);
        let full = match line {
            Line::Direct if *count >= STEPS_OPEN_MAX => Some((STEPS_OPEN_MAX, peer.to_string())),
            Line::Relay if *count >= RELAYED_STEPS_MAX => {
                Some((RELAYED_STEPS_MAX, format!("{peer} through the relay")))
            }
            Line::Relay if relayed >= STEPS_OPEN_MAX => Some((STEPS_OPEN_MAX, "the relay".into())),
            Line::Direct | Line::Relay => None,
        };
        if let Some((steps, to)) = full {
            return Err(LinkError::Refused(format!(
                "{steps} steps are open to {to}, and more could stall one another: finish one first, make steps coarser, or run fewer jobs at once"
            )));
        }
        *count += 1;
        Ok(LinePlace { line: (line, peer.clone()), of: self.clone() })
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_peer_leaves_the_others_room_on_the_relay() {
        let lines = Arc::<Lines>::default();
        let party = |name| PartyId::new(name).unwrap();
        let take = |name, line| lines.take(&party(name), line);
        let refused = |taken: Result<LinePlace, LinkError>| taken.err().map(|error| error.to_string());
        let full = |steps, to| {
            Some(format!(
                "refused: {steps} steps are open to {to}, and more could stall one another: finish one first, make steps \
                 coarser, or run fewer jobs at once"
            ))
        };
        let mut of_tax: Vec<_> = (0..12).map(|_| take("tax", Line::Relay).unwrap()).collect();
        assert_eq!(refused(take("tax", Line::Relay)), full(12, "tax through the relay"));
        let of_health = [(); 3].map(|()| take("health", Line::Relay).unwrap());
        assert_eq!(refused(take("health", Line::Relay)), full(15, "the relay"));
        let _direct: Vec<_> = (0..15).map(|_| take("tax", Line::Direct).unwrap()).collect();
        assert_eq!(refused(take("tax", Line::Direct)), full(15, "tax"));
        drop(of_health);
        assert_eq!(refused(take("tax", Line::Relay)), full(12, "tax through the relay"));
        of_tax.pop();
        take("tax", Line::Relay).unwrap();
    }
}
