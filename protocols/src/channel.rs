//! Typed messages to one peer at one step. Counts bytes, and turns what is wrong with a frame into a named deviation.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use bytes::Bytes;
use futures::{SinkExt, Stream, StreamExt, TryStreamExt, stream};

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
    side: Side,
    sink: Outbound,
}

/// The receiving half.
pub struct Incoming {
    side: Side,
    stream: Inbound,
}

#[derive(Clone)]
struct Side {
    peer: PartyId,
    step: Step,
    meter: Arc<Meter>,
}

impl Channel {
    pub(crate) fn new(peer: PartyId, step: Step, link: Link, meter: Arc<Meter>) -> Self {
        let side = Side { peer, step, meter };
        Self {
            outgoing: Outgoing { side: side.clone(), sink: link.outbound },
            incoming: Incoming { side, stream: link.inbound },
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

    /// The one round of a step: both send, end, and receive. Ends are sent with the messages, so nobody waits for them.
    ///
    /// # Errors
    /// As [`Channel::swap`] and [`Channel::finish`].
    pub async fn exchange<M: Message, N: Message>(self, message: &M, shape: N::Shape) -> Result<N> {
        let (outgoing, incoming) = self.split();
        let ((), answer) = futures::future::try_join(outgoing.last(message), incoming.last(shape)).await?;
        Ok(answer)
    }

    /// A deviation of this peer at this step, for what a protocol finds wrong with a message's content.
    pub fn deviation(&self, fault: Fault) -> Error {
        self.incoming.side.deviation(fault)
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
            return Err(self.side.link(LinkError::TooLarge { max: FRAME_MAX }));
        }
        self.side.meter.bytes_out.fetch_add(frame.len() as u64, Ordering::Relaxed);
        self.sink.send(frame).await.map_err(|error| self.side.link(error))
    }

    /// Sends a large vector: every message as it becomes ready, then the end of the stream. With messages that are
    /// `buffered`, the next ones are computed while one is on the wire.
    ///
    /// # Errors
    /// [`Error::Link`] where the link failed, and the first error among the messages.
    pub async fn batches<M: Message>(mut self, messages: impl Stream<Item = Result<M>> + Send) -> Result<()> {
        let mut messages = pin!(messages);
        while let Some(message) = messages.try_next().await? {
            self.send(&message).await?;
        }
        self.finish().await
    }

    /// Sends the last message of its direction, and the end of the stream.
    ///
    /// # Errors
    /// [`Error::Link`] where the link failed.
    pub async fn last<M: Message>(mut self, message: &M) -> Result<()> {
        self.send(message).await?;
        self.finish().await
    }

    /// Says that nothing more comes.
    ///
    /// # Errors
    /// [`Error::Link`] where the link failed.
    pub async fn finish(mut self) -> Result<()> {
        self.sink.close().await.map_err(|error| self.side.link(error))
    }
}

impl Incoming {
    /// Receives one message. See [`Channel::recv`].
    ///
    /// # Errors
    /// [`Error::Deviation`] where the peer sent something else, [`Error::Link`] where the link failed.
    pub async fn recv<M: Message>(&mut self, shape: M::Shape) -> Result<M> {
        let frame = self.frame().await?.ok_or_else(|| self.side.deviation(Fault::Cut))?;
        self.side.meter.bytes_in.fetch_add(frame.len() as u64, Ordering::Relaxed);
        let read = || {
            let mut reader = Reader::for_kind(&frame, M::KIND)?;
            let message = M::read(&mut reader, shape)?;
            reader.finish()?;
            Ok(message)
        };
        read().map_err(|malformed: crate::message::Malformed| self.side.deviation(malformed.into()))
    }

    /// Receives the last message of its direction, and the end of the stream.
    ///
    /// # Errors
    /// As [`Incoming::recv`] and [`Incoming::finish`].
    pub async fn last<M: Message>(mut self, shape: M::Shape) -> Result<M> {
        let message = self.recv(shape).await?;
        self.finish().await?;
        Ok(message)
    }

    /// Receives a large vector: one message per shape, and then the end of the stream. The stream must be read while this
    /// party sends, or two parties that send to each other wait for ever.
    ///
    /// After an error the stream stays and yields nothing more: it holds the link open until its reader has seen the error,
    /// lest the peer's parting words come first and hide what it did.
    pub fn batches<M: Message>(
        self,
        shapes: impl Iterator<Item = M::Shape> + Send,
    ) -> impl Stream<Item = Result<M>> + Send {
        stream::unfold((self, shapes, false), |(mut incoming, mut shapes, failed)| async move {
            if failed {
                return std::future::pending().await;
            }
            let item = match shapes.next() {
                Some(shape) => incoming.recv(shape).await,
                None => match incoming.end().await {
                    Ok(()) => return None,
                    Err(error) => Err(error),
                },
            };
            let failed = item.is_err();
            Some((item, (incoming, shapes, failed)))
        })
    }

    /// Waits for the peer's end of stream.
    ///
    /// # Errors
    /// [`Error::Deviation`] where the peer sent more or was cut off, [`Error::Link`] where the link failed.
    pub async fn finish(mut self) -> Result<()> {
        self.end().await
    }

    async fn end(&mut self) -> Result<()> {
        match self.frame().await? {
            None => Ok(()),
            Some(_) => Err(self.side.deviation(Fault::Trailing)),
        }
    }

    async fn frame(&mut self) -> Result<Option<Bytes>> {
        match self.stream.next().await {
            None => Ok(None),
            Some(Ok(frame)) => Ok(Some(frame)),
            Some(Err(LinkError::Forged { frame })) => Err(self.side.deviation(Fault::Forged { frame })),
            Some(Err(LinkError::Cut)) => Err(self.side.deviation(Fault::Cut)),
            Some(Err(LinkError::Malformed(malformed))) => Err(self.side.deviation(Fault::Malformed(malformed))),
            Some(Err(error)) => Err(self.side.link(error)),
        }
    }
}

impl Side {
    fn deviation(&self, fault: Fault) -> Error {
        Error::Deviation { party: self.peer.clone(), step: self.step.clone(), fault }
    }

    fn link(&self, error: LinkError) -> Error {
        Error::Link { party: self.peer.clone(), step: self.step.clone(), error }
    }
}
