//! Where the two ends of a dialled step meet: the stream that arrived, and the local session that opens the step.
//! Whoever is first waits here, with a limit and a deadline.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use banyan_proto::convert::Opening;
use banyan_protocols::party::PartyId;
use banyan_protocols::session::SessionId;
use banyan_protocols::transport::{LinkError, Step};
use futures::SinkExt;
use tokio::sync::{oneshot, watch};

use super::limits::{STEPS_OPEN_MAX, STRANGERS_MAX};
use super::stream::{Out, Raw};

/// Times of a waiting stream.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Waits {
    /// How long a stream waits whose session is not known here.
    pub(crate) stranger: Duration,
    /// How often a waiting stream is told that this node lives.
    pub(crate) pulse: Duration,
}

/// Why a stream may not wait. The text is the code that the peer is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Refusal {
    #[error("not in this session")]
    NotInSession,
    #[error("step opened twice")]
    Twice,
    #[error("too many steps wait here: open fewer at once")]
    TooMany,
}

/// The table.
pub(crate) struct Rendezvous {
    waits: Waits,
    table: Mutex<Table>,
}

#[derive(Default)]
struct Table {
    sessions: BTreeMap<SessionId, Expected>,
    strangers: BTreeMap<(SessionId, PartyId, Step), Waiting>,
}

struct Expected {
    roster: BTreeSet<PartyId>,
    closed: Arc<watch::Sender<bool>>,
    steps: BTreeMap<(PartyId, Step), Slot>,
}

enum Slot {
    Arrived(Waiting),
    Wanted(oneshot::Sender<Raw>),
    Met,
}

/// A stream that waits in a task of its own: whoever sends it an address gets it.
struct Waiting(oneshot::Sender<oneshot::Sender<Raw>>);

impl Rendezvous {
    pub(crate) fn new(waits: Waits) -> Arc<Self> {
        Arc::new(Self { waits, table: Mutex::default() })
    }

    /// A session starts here: from now on its streams wait without a deadline, until it is closed. Gives the flag that
    /// turns true then.
    pub(crate) fn announce(
        &self,
        session: SessionId,
        roster: &BTreeSet<PartyId>,
    ) -> Result<Arc<watch::Sender<bool>>, LinkError> {
        let mut table = self.table();
        if table.sessions.contains_key(&session) {
            return Err(LinkError::AlreadyOpen);
        }
        let early: Vec<_> = table.strangers.keys().filter(|(of, _, _)| *of == session).cloned().collect();
        let mut steps = BTreeMap::new();
        for key in early {
            // one that has no part in the session is dropped here, which stops its stream
            if let Some(waiting) = table.strangers.remove(&key)
                && roster.contains(&key.1)
            {
                steps.insert((key.1, key.2), Slot::Arrived(waiting));
            }
        }
        let closed = Arc::new(watch::Sender::new(false));
        table.sessions.insert(session, Expected { roster: roster.clone(), closed: closed.clone(), steps });
        Ok(closed)
    }

    /// The session is over: its links end, and its waiting streams are stopped. With `only`, where it is still that one.
    pub(crate) fn close(&self, session: SessionId, only: Option<&Arc<watch::Sender<bool>>>) {
        let mut table = self.table();
        let matches = |expected: &Expected| only.is_none_or(|only| Arc::ptr_eq(only, &expected.closed));
        if table.sessions.get(&session).is_some_and(matches)
            && let Some(expected) = table.sessions.remove(&session)
        {
            expected.closed.send_replace(true);
        }
    }

    /// All sessions are over.
    pub(crate) fn close_all(&self) {
        let mut table = self.table();
        for expected in std::mem::take(&mut table.sessions).into_values() {
            expected.closed.send_replace(true);
        }
        table.strangers.clear();
    }

    /// The local session opens a step that the peer dials for.
    pub(crate) fn want(
        &self,
        session: SessionId,
        peer: &PartyId,
        step: &Step,
    ) -> Result<oneshot::Receiver<Raw>, LinkError> {
        let mut table = self.table();
        let expected = table.sessions.get_mut(&session).ok_or(LinkError::Closed)?;
        let (address, arrival) = oneshot::channel();
        let next = match expected.steps.remove(&(peer.clone(), step.clone())) {
            None => Slot::Wanted(address),
            Some(Slot::Arrived(waiting)) => {
                // where its task has ended, the address is dropped, and the step finds its stream closed
                let _ = waiting.0.send(address);
                Slot::Met
            }
            Some(slot @ (Slot::Wanted(_) | Slot::Met)) => {
                expected.steps.insert((peer.clone(), step.clone()), slot);
                return Err(LinkError::AlreadyOpen);
            }
        };
        expected.steps.insert((peer.clone(), step.clone()), next);
        Ok(arrival)
    }

    /// A stream arrived from `opening.from`, whose key was checked.
    pub(crate) fn arrive(self: &Arc<Self>, opening: Opening, raw: Raw) -> Result<(), Refusal> {
        let Opening { session, step, from, .. } = opening;
        let mut table = self.table();
        let Some(expected) = table.sessions.get_mut(&session) else {
            let of_peer = table.strangers.keys().filter(|(_, party, _)| *party == from).count();
            let key = (session, from, step);
            if table.strangers.contains_key(&key) {
                return Err(Refusal::Twice);
            }
            if of_peer >= STEPS_OPEN_MAX || table.strangers.len() >= STRANGERS_MAX {
                return Err(Refusal::TooMany);
            }
            let waiting = self.wait(raw, Some(key.clone()));
            table.strangers.insert(key, waiting);
            return Ok(());
        };
        if !expected.roster.contains(&from) {
            return Err(Refusal::NotInSession);
        }
        let arrived =
            |((party, _), slot): &(&(PartyId, Step), &Slot)| *party == from && matches!(slot, Slot::Arrived(_));
        if expected.steps.iter().filter(arrived).count() >= STEPS_OPEN_MAX {
            return Err(Refusal::TooMany);
        }
        let key = (from, step);
        let next = match expected.steps.remove(&key) {
            None => Slot::Arrived(self.wait(raw, None)),
            Some(Slot::Wanted(address)) => {
                // a step that stopped waiting drops the stream
                let _ = address.send(raw);
                Slot::Met
            }
            Some(slot @ (Slot::Arrived(_) | Slot::Met)) => {
                expected.steps.insert(key, slot);
                return Err(Refusal::Twice);
            }
        };
        expected.steps.insert(key, next);
        Ok(())
    }

    /// Holds a stream until it is taken, its session is over, it breaks, or a stranger's time is up.
    fn wait(self: &Arc<Self>, mut raw: Raw, stranger: Option<(SessionId, PartyId, Step)>) -> Waiting {
        let (handle, mut taken) = oneshot::channel::<oneshot::Sender<Raw>>();
        let (table, waits) = (self.clone(), self.waits);
        tokio::spawn(async move {
            let deadline = tokio::time::sleep(waits.stranger);
            let mut deadline = std::pin::pin!(deadline);
            let mut unknown = stranger.is_some();
            let mut pulse = tokio::time::interval(waits.pulse);
            let code = loop {
                tokio::select! {
                    address = &mut taken => match address {
                        Ok(address) => return drop(address.send(raw)),
                        Err(_) => break "no such session here",
                    },
                    () = &mut deadline, if unknown => {
                        unknown = false;
                        if stranger.as_ref().is_some_and(|key| table.forget(key)) {
                            break "no such session here";
                        }
                    }
                    _ = pulse.tick() => if !said(&mut raw, Out::Pulse, waits.pulse).await {
                        if let Some(key) = &stranger {
                            table.forget(key);
                        }
                        return;
                    }
                }
            };
            said(&mut raw, Out::Stop(code), waits.pulse).await;
        });
        Waiting(handle)
    }

    fn forget(&self, key: &(SessionId, PartyId, Step)) -> bool {
        self.table().strangers.remove(key).is_some()
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether it went out. A peer that does not take so little in so long is gone, or wants to hold us.
async fn said(raw: &mut Raw, out: Out, wait: Duration) -> bool {
    matches!(tokio::time::timeout(wait, raw.outbound.send(out)).await, Ok(Ok(())))
}
