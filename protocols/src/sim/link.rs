//! The world's transport: links in memory, sealed as real ones are, so that tampering is found by the same check.

use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use bytes::Bytes;
use futures::channel::oneshot;
use futures::future::BoxFuture;
use futures::{Sink, Stream};
use sha2::{Digest, Sha256};

use super::wires::{Parcel, State, wake};
use crate::compute::{Compute, Job};
use crate::party::PartyId;
use crate::session::SessionId;
use crate::suite::seal::{Opened, Opener, SealKey, Sealer};
use crate::transport::{Link, LinkError, Step, Transport};

pub(super) type Shared = Arc<Mutex<State>>;

/// The world's state. A poisoned lock means a panic in the world itself, which its thread is already reporting.
pub(super) fn lock(state: &Shared) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

/// One party's view of the world: its links and its processor.
pub(super) struct Place {
    pub(super) state: Shared,
    pub(super) party: usize,
    pub(super) session: SessionId,
}

impl Transport for Place {
    fn open(&self, peer: &PartyId, step: &Step) -> Result<Link, LinkError> {
        let mut state = lock(&self.state);
        let to = state.parties.iter().position(|p| p == peer).filter(|to| *to != self.party);
        let to = to.ok_or(LinkError::UnknownPeer)?;
        let (out, back) = (state.wire(self.party, to, step), state.wire(to, self.party, step));
        if std::mem::replace(&mut state.wires[out].opened_out, true) {
            return Err(LinkError::AlreadyOpen);
        }
        state.wires[back].opened_in = true;
        let key = |from: usize, to: usize| {
            let mut hash = Sha256::new();
            hash.update(b"banyan/sim/seal/v1\0");
            hash.update(state.world.seed.to_le_bytes());
            hash.update(self.session.as_bytes());
            hash.update((from as u64).to_le_bytes());
            hash.update((to as u64).to_le_bytes());
            hash.update(step.as_str().as_bytes());
            SealKey::new(hash.finalize().into())
        };
        let sealer = Sealer::new(&key(self.party, to));
        let opener = Opener::new(&key(to, self.party));
        Ok(Link {
            outbound: Box::pin(Out { state: self.state.clone(), wire: out, sealer, stage: Stage::Open }),
            inbound: Box::pin(In { state: self.state.clone(), wire: back, opener, ended: false }),
        })
    }
}

impl Compute for Place {
    fn run(&self, job: Job) -> BoxFuture<'static, ()> {
        let (done, ended) = oneshot::channel();
        lock(&self.state).processors[self.party].queue.push_back((job, done));
        Box::pin(async move {
            let _ = ended.await;
        })
    }
}

struct Out {
    state: Shared,
    wire: usize,
    sealer: Sealer,
    stage: Stage,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    Open,
    Ending,
    Closed,
}

impl Sink<Bytes> for Out {
    type Error = LinkError;

    fn poll_ready(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), LinkError>> {
        self.wait(cx, State::ready)
    }

    fn start_send(mut self: Pin<&mut Self>, frame: Bytes) -> Result<(), LinkError> {
        let sealed = self.sealer.frame(&frame)?;
        lock(&self.state).transmit(self.wire, sealed);
        Ok(())
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), LinkError>> {
        self.wait(cx, |state, wire| !state.wires[wire].sending)
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), LinkError>> {
        if self.stage == Stage::Open {
            std::task::ready!(self.as_mut().poll_ready(cx))?;
            let end = self.sealer.end()?;
            let mut state = lock(&self.state);
            state.transmit(self.wire, end);
            drop(state);
            self.stage = Stage::Ending;
        }
        if self.stage == Stage::Ending {
            std::task::ready!(self.as_mut().poll_flush(cx))?;
            lock(&self.state).launch(self.wire, Parcel::Fin);
            self.stage = Stage::Closed;
        }
        Poll::Ready(Ok(()))
    }
}

impl Out {
    fn wait(&self, cx: &mut Context<'_>, free: impl Fn(&State, usize) -> bool) -> Poll<Result<(), LinkError>> {
        let mut state = lock(&self.state);
        let gone = state.wires[self.wire].reader_gone;
        if free(&state, self.wire) && !gone {
            return Poll::Ready(Ok(()));
        }
        if state.silent {
            return Poll::Ready(Err(LinkError::Silent));
        }
        if gone {
            return Poll::Ready(Err(LinkError::Closed));
        }
        state.wires[self.wire].writer = Some(cx.waker().clone());
        Poll::Pending
    }
}

impl Drop for Out {
    fn drop(&mut self) {
        if self.stage != Stage::Closed {
            lock(&self.state).launch(self.wire, Parcel::Reset);
        }
    }
}

struct In {
    state: Shared,
    wire: usize,
    opener: Opener,
    ended: bool,
}

impl Stream for In {
    type Item = Result<Bytes, LinkError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        loop {
            if self.ended {
                return Poll::Ready(None);
            }
            let parcel = {
                let mut state = lock(&self.state);
                let silent = state.silent;
                let wire = &mut state.wires[self.wire];
                match wire.arrived.pop_front() {
                    Some(parcel) => {
                        wake(&mut wire.writer);
                        parcel
                    }
                    None if silent => return Poll::Ready(Some(Err(LinkError::Silent))),
                    None => {
                        wire.reader = Some(cx.waker().clone());
                        return Poll::Pending;
                    }
                }
            };
            let item = match parcel {
                Parcel::Sealed(sealed) => match self.opener.open(&sealed) {
                    Ok(Opened::Frame(frame)) => Ok(frame),
                    Ok(Opened::End) => continue, // nothing but the stream's end may follow
                    Err(forged) => Err(forged),
                },
                Parcel::Fin => match self.opener.ended() {
                    Ok(()) => {
                        self.ended = true;
                        continue;
                    }
                    Err(cut) => Err(cut),
                },
                Parcel::Reset => Err(LinkError::Closed),
            };
            self.ended = item.is_err();
            return Poll::Ready(Some(item));
        }
    }
}

impl Drop for In {
    fn drop(&mut self) {
        let mut state = lock(&self.state);
        let wire = &mut state.wires[self.wire];
        wire.reader_gone = true;
        wake(&mut wire.writer);
    }
}
