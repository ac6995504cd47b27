//! Typed messages to one peer at one step. Counts bytes, and turns what is wrong with a frame into a named deviation.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use bytes::Bytes;
use futures::{SinkExt, StreamExt};

use crate::error::{Error, Fault, Result};
use crate::message::{FRAME_MAX, Message, Reader, Writer};
use crate::party::PartyId;
use crate::session::Meter;
use crate::transport::{Inbound, Link, LinkError, Outbound, Step};

/// Both directions of one step with one peer.
pub struct Channel {
    outgoing: Outgoing,
    incoming: Incoming,
}

/// The sending half.
pub struct Outgoing {
    end: End,
    sink: Outbound,
}

/// The receiving half.
pub struct Incoming {
    end: End,
    stream: Inbound,
}

#[derive(Clone)]
struct End {
    peer: PartyId,
    step: Step,
    meter: Arc<Meter>,
}

impl Channel {
    pub(crate) fn new(peer: PartyId, step: Step, link: Link, meter: Arc<Meter>) -> Self {
        let end = End { peer, step, meter };
        Self {
            outgoing: Outgoing { end: end.clone(), sink: link.outbound },
            incoming: Incoming { end, stream: link.inbound },
        }
    }

    /// Sends one message.
    ///
    /// # Errors
    /// [`Error::Link`] where the link failed.
    pub async fn send<M: Message>(&mut self, message: &M) -> Result<()> {
        self.outgoing.send(message).await
    }

    /// Receives one message of the stated shape.
    ///
    /// # Errors
    /// [`Error::Deviation`] where the peer sent something else, [`Error::Link`] where the link failed.
    pub async fn recv<M: Message>(&mut self, shape: M::Shape) -> Result<M> {
        self.incoming.recv(shape).await
    }

    /// Sends and receives in one round.
    ///
    /// # Errors
    /// As [`Channel::send`] and [`Channel::recv`].
    pub async fn swap<M: Message, N: Message>(&mut self, message: &M, shape: N::Shape) -> Result<N> {
        let (_, answer) = futures::future::try_join(self.outgoing.send(message), self.incoming.recv(shape)).await?;
        Ok(answer)
    }

    /// Both halves, for steps whose directions run independently.
    pub fn split(self) -> (Outgoing, Incoming) {
        (self.outgoing, self.incoming)
    }

    /// Ends the step: nothing more is sent, and the peer must have nothing more to say.
    ///
    /// # Errors
    /// [`Error::Deviation`] where the peer sent more or was cut off, [`Error::Link`] where the link failed.
    pub async fn finish(self) -> Result<()> {
        futures::future::try_join(self.outgoing.finish(), self.incoming.finish()).await?;
        Ok(())
    }
}

impl Outgoing {
    /// Sends one message. See [`Channel::send`].
    ///
    /// # Errors
    /// [`Error::Link`] where the link failed.
    pub async fn send<M: Message>(&mut self, message: &M) -> Result<()> {
        let mut writer = Writer::for_kind(M::KIND);
        message.write(&mut writer);
        let frame = writer.into_frame();
        if frame.len() > FRAME_MAX {
            return Err(self.end.link(LinkError::TooLarge { max: FRAME_MAX }));
        }
        self.end.meter.bytes_out.fetch_add(frame.len() as u64, Ordering::Relaxed);
        self.sink.send(frame).await.map_err(|error| self.end.link(error))
    }

    /// Says that nothing more comes.
    ///
    /// # Errors
    /// [`Error::Link`] where the link failed.
    pub async fn finish(mut self) -> Result<()> {
        self.sink.close().await.map_err(|error| self.end.link(error))
    }
}

impl Incoming {
    /// Receives one message. See [`Channel::recv`].
    ///
    /// # Errors
    /// [`Error::Deviation`] where the peer sent something else, [`Error::Link`] where the link failed.
    pub async fn recv<M: Message>(&mut self, shape: M::Shape) -> Result<M> {
        let frame = self.frame().await?.ok_or_else(|| self.end.deviation(Fault::Cut))?;
        self.end.meter.bytes_in.fetch_add(frame.len() as u64, Ordering::Relaxed);
        let read = || {
            let mut reader = Reader::for_kind(&frame, M::KIND)?;
            let message = M::read(&mut reader, shape)?;
            reader.finish()?;
            Ok(message)
        };
        read().map_err(|malformed: crate::message::Malformed| self.end.deviation(malformed.into()))
    }

    /// Waits for the peer's end of stream.
    ///
    /// # Errors
    /// [`Error::Deviation`] where the peer sent more or was cut off, [`Error::Link`] where the link failed.
    pub async fn finish(mut self) -> Result<()> {
        match self.frame().await? {
            None => Ok(()),
            Some(_) => Err(self.end.deviation(Fault::Trailing)),
        }
    }

    /// A deviation of this peer at this step, for checks that a protocol makes on a message's content.
    pub fn deviation(&self, fault: Fault) -> Error {
        self.end.deviation(fault)
    }

    async fn frame(&mut self) -> Result<Option<Bytes>> {
        match self.stream.next().await {
            None => Ok(None),
            Some(Ok(frame)) => Ok(Some(frame)),
            Some(Err(LinkError::Forged { frame })) => Err(self.end.deviation(Fault::Forged { frame })),
            Some(Err(LinkError::Cut)) => Err(self.end.deviation(Fault::Cut)),
            Some(Err(error)) => Err(self.end.link(error)),
        }
    }
}

impl End {
    fn deviation(&self, fault: Fault) -> Error {
        Error::Deviation { party: self.peer.clone(), step: self.step.clone(), fault }
    }

    fn link(&self, error: LinkError) -> Error {
        Error::Link { party: self.peer.clone(), step: self.step.clone(), error }
    }
}
