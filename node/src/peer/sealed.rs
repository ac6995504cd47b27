//! A link over a raw stream: the hello of [`super::handshake`] first, then every frame sealed, an end mark at the end.
//!
//! A task of its own drives each link from the moment it is opened, so that pulses go out and silence is noticed while
//! the protocol computes. The protocol holds the two ends of short queues.

use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use banyan_proto::identity::Identity;
use banyan_protocols::message::FRAME_MAX;
use banyan_protocols::suite::seal::{Opened, Opener, Sealer};
use banyan_protocols::transport::{Link, LinkError};
use bytes::Bytes;
use futures::channel::{mpsc, oneshot};
use futures::{FutureExt, Sink, SinkExt, Stream, StreamExt};
use tokio::sync::watch;
use tokio::time::timeout;

use super::handshake::{self, BadHello, Pairing};
use super::limits::LINGER_MAX;
use super::stream::{Out, Raw};
use super::transport::LinePlace;

/// Frames that wait between protocol and driver in each direction, beside the one in hand: work and wire overlap.
const QUEUE: usize = 1;

/// Time to hear why a stream broke, after it broke.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// Everything one link is made of, but its stream.
pub(crate) struct Parts {
    pub(crate) pairing: Pairing,
    pub(crate) identity: Arc<Identity>,
    /// How long the first frame of the peer may take.
    pub(crate) arrival: Duration,
    /// How long a peer may be silent after that.
    pub(crate) idle: Duration,
    /// Turns true when the session is over.
    pub(crate) closed: watch::Receiver<bool>,
    /// The step's share of its line, given back when the peer has read everything.
    pub(crate) _place: LinePlace,
}

/// The link, and the future that drives it, to be spawned. `raw` gives the stream, and may take its time.
pub(crate) fn link<F>(parts: Parts, raw: F) -> (Link, impl Future<Output = ()> + Send + 'static)
where
    F: Future<Output = Result<Raw, LinkError>> + Send + 'static,
{
    let fate = Arc::new(Fate::default());
    let (to_peer, outgoing) = mpsc::channel(QUEUE);
    let (incoming, from_peer) = mpsc::channel(QUEUE);
    let outbound = Outbound { queue: to_peer, end: None, fate: fate.clone() };
    let inbound = Inbound { queue: from_peer, told: false, fate: fate.clone() };
    let driver = async move {
        let mut closed = parts.closed.clone();
        let over = async move {
            // an error says that the session is gone, which is the same
            let _ = closed.wait_for(|closed| *closed).await;
        };
        drive(parts, raw, outgoing, incoming, over, &fate).await;
    };
    (Link { outbound: Box::pin(outbound), inbound: Box::pin(inbound) }, driver)
}

/// How each direction ended, for the protocol's end of it. Set before the queue of that direction is dropped.
#[derive(Default)]
struct Fate {
    outbound: OnceLock<LinkError>,
    inbound: OnceLock<Option<LinkError>>,
}

impl Fate {
    fn failed(&self, error: &LinkError) {
        // a direction that ended well before stays so
        let _ = self.inbound.set(Some(error.clone()));
        let _ = self.outbound.set(error.clone());
    }
}

async fn drive(
    parts: Parts,
    raw: impl Future<Output = Result<Raw, LinkError>>,
    mut outgoing: mpsc::Receiver<ToSend>,
    mut incoming: mpsc::Sender<Bytes>,
    over: impl Future<Output = ()>,
    fate: &Fate,
) {
    let mut over = std::pin::pin!(over);
    let established = tokio::select! {
        established = establish(&parts, raw) => established,
        () = &mut over => Err(LinkError::Closed),
    };
    let (mut raw, sealer, opener) = match established {
        Ok(established) => established,
        Err(error) => return report(&parts, fate, &error),
    };
    let finished = AtomicBool::new(false);
    let outcome = {
        let (done, heard) = oneshot::channel();
        let sending = send_all(&mut raw.outbound, &mut outgoing, sealer, heard, parts.idle / 4, &finished);
        let receiving = receive_all(&mut raw.inbound, &mut incoming, opener, done, parts.idle, fate);
        tokio::select! {
            outcome = both(sending, receiving) => outcome,
            () = &mut over => Err(Ended::Here),
        }
    };
    match &outcome {
        Ok(()) => {}
        Err(Ended::Here) => report(&parts, fate, &LinkError::Closed),
        Err(Ended::Link(error)) => report(&parts, fate, error),
    }
    drop((outgoing, incoming));
    let patience = if finished.into_inner() && !matches!(outcome, Err(Ended::Link(_))) {
        LINGER_MAX
    } else {
        // said outright, where the peer still reads
        let _ = timeout(LAST_WORDS, raw.outbound.send(Out::Stop("stopped"))).await;
        LAST_WORDS
    };
    // whether it went well or not, the stream is dropped next
    let _ = timeout(patience, linger(raw, parts.idle)).await;
}

/// Why a link ended before both end marks.
#[derive(Debug, PartialEq, Eq)]
enum Ended {
    /// The protocol dropped its end, or the session was closed.
    Here,
    /// The peer or the network.
    Link(LinkError),
}

impl From<LinkError> for Ended {
    fn from(error: LinkError) -> Self {
        Self::Link(error)
    }
}

/// Opens the stream and exchanges hellos.
async fn establish(
    parts: &Parts,
    raw: impl Future<Output = Result<Raw, LinkError>>,
) -> Result<(Raw, Sealer, Opener), LinkError> {
    let mut raw = raw.await?;
    let (mine, ephemeral) = handshake::hello(&parts.pairing, &parts.identity).map_err(link_error)?;
    let said = raw.outbound.send(Out::Frame(mine.into())).await;
    let heard = first_frame(&mut raw, parts).await;
    let theirs = match (said, heard) {
        // where the stream broke, the half that listens knows why
        (Err(error), Err(LinkError::Closed)) => return Err(error),
        (_, heard) => heard?,
    };
    let keys = ephemeral.agree(&parts.pairing, &theirs).map_err(|error| {
        let Pairing { session, step, peer, .. } = &parts.pairing;
        tracing::warn!(?session, %step, peer = %peer.name, %error, "refused a hello");
        link_error(error)
    })?;
    Ok((raw, Sealer::new(&keys.outbound), Opener::new(&keys.inbound)))
}

async fn first_frame(raw: &mut Raw, parts: &Parts) -> Result<Bytes, LinkError> {
    let mut wait = parts.arrival;
    loop {
        match timeout(wait, raw.inbound.next()).await {
            Err(_) => return Err(LinkError::Silent),
            Ok(None) => return Err(LinkError::Closed),
            Ok(Some(item)) => {
                if let Some(frame) = item? {
                    return Ok(frame);
                }
                // it lives: from now on it has to pulse
                wait = parts.idle;
            }
        }
    }
}

/// A hello for another session or step is a message spliced in, like any forged frame. The rest may be a mistake of people.
fn link_error(error: BadHello) -> LinkError {
    match error {
        BadHello::Session | BadHello::Step | BadHello::Party | BadHello::Malformed | BadHello::SmallOrder => {
            LinkError::Forged { frame: 0 }
        }
        BadHello::Version { .. } | BadHello::Signature { .. } | BadHello::NoRandomness => {
            LinkError::Refused(error.to_string())
        }
    }
}

fn report(parts: &Parts, fate: &Fate, error: &LinkError) {
    let Pairing { session, step, peer, .. } = &parts.pairing;
    tracing::debug!(?session, %step, peer = %peer.name, %error, "link ended");
    fate.failed(error);
}

/// Both directions until both ended well, or one did not.
async fn both(
    sending: impl Future<Output = Result<(), Ended>>,
    receiving: impl Future<Output = Result<(), LinkError>>,
) -> Result<(), Ended> {
    let (mut sending, mut receiving) = (std::pin::pin!(sending), std::pin::pin!(receiving));
    tokio::select! {
        sent = &mut sending => match sent {
            Ok(()) => Ok(receiving.await?),
            Err(Ended::Here) => Err(Ended::Here),
            // the other half may know more than that the stream is gone
            Err(Ended::Link(error)) => match timeout(LAST_WORDS, receiving).await {
                Ok(Err(why)) => Err(why.into()),
                _ => Err(error.into()),
            },
        },
        received = &mut receiving => {
            received?;
            sending.await
        }
    }
}

/// Sends what the protocol sends, then pulses until the peer's end mark is there too, since the peer may still be reading.
async fn send_all(
    raw: &mut Pin<Box<dyn Sink<Out, Error = LinkError> + Send>>,
    queue: &mut mpsc::Receiver<ToSend>,
    mut sealer: Sealer,
    mut heard: oneshot::Receiver<()>,
    pulse: Duration,
    finished: &AtomicBool,
) -> Result<(), Ended> {
    loop {
        match timeout(pulse, queue.next()).await {
            Err(_) => raw.send(Out::Pulse).await?,
            Ok(Some(ToSend::Frame(frame))) => raw.send(Out::Frame(sealer.frame(&frame)?)).await?,
            Ok(Some(ToSend::End(sent))) => {
                raw.send(Out::Frame(sealer.end()?)).await?;
                finished.store(true, Ordering::Relaxed);
                // nobody waits where the protocol was dropped meanwhile
                let _ = sent.send(());
                break;
            }
            Ok(None) => return Err(Ended::Here),
        }
    }
    while timeout(pulse, &mut heard).await.is_err() {
        raw.send(Out::Pulse).await?;
    }
    Ok(())
}

async fn receive_all(
    raw: &mut (impl Stream<Item = super::stream::In> + Unpin),
    queue: &mut mpsc::Sender<Bytes>,
    mut opener: Opener,
    done: oneshot::Sender<()>,
    idle: Duration,
    fate: &Fate,
) -> Result<(), LinkError> {
    loop {
        let sealed = match timeout(idle, raw.next()).await {
            Err(_) => return Err(LinkError::Silent),
            // Without the end mark something is missing, but who cut it off is open: gRPC ends a request that was reset as if
            // it were complete, and a relay passes that on. No deviation, then, that would name the peer.
            Ok(None) => return Err(LinkError::Closed),
            Ok(Some(item)) => match item? {
                Some(frame) => frame,
                None => continue,
            },
        };
        match opener.open(&sealed)? {
            Opened::Frame(frame) if frame.len() > FRAME_MAX => return Err(LinkError::TooLarge { max: FRAME_MAX }),
            // a protocol that dropped its receiving end is not interested: the frame is read and forgotten
            Opened::Frame(frame) => drop(queue.send(frame).await),
            Opened::End => {
                let _ = fate.inbound.set(None);
                queue.close_channel();
                // the sending half may have failed meanwhile
                let _ = done.send(());
                return Ok(());
            }
        }
    }
}

/// Lets the last bytes go out: dropping a stream that the peer has not ended would take them back. The peer ends it when
/// it has read them, and pulses until then.
async fn linger(mut raw: Raw, idle: Duration) {
    if raw.outbound.close().await.is_ok() {
        while let Ok(Some(Ok(_))) = timeout(idle, raw.inbound.next()).await {}
    }
}

enum ToSend {
    Frame(Bytes),
    End(oneshot::Sender<()>),
}

/// The protocol's sending end.
struct Outbound {
    queue: mpsc::Sender<ToSend>,
    end: Option<oneshot::Receiver<()>>,
    fate: Arc<Fate>,
}

impl Outbound {
    fn error(&self) -> LinkError {
        self.fate.outbound.get().cloned().unwrap_or(LinkError::Closed)
    }
}

impl Sink<Bytes> for Outbound {
    type Error = LinkError;

    fn poll_ready(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), LinkError>> {
        self.queue.poll_ready(cx).map_err(|_| self.error())
    }

    fn start_send(mut self: Pin<&mut Self>, frame: Bytes) -> Result<(), LinkError> {
        if frame.len() > FRAME_MAX {
            return Err(LinkError::TooLarge { max: FRAME_MAX });
        }
        self.queue.start_send(ToSend::Frame(frame)).map_err(|_| self.error())
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), LinkError>> {
        Pin::new(&mut self.queue).poll_flush(cx).map_err(|_| self.error())
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), LinkError>> {
        if self.end.is_none() {
            ready!(self.as_mut().poll_ready(cx))?;
            let (sent, end) = oneshot::channel();
            self.queue.start_send(ToSend::End(sent)).map_err(|_| self.error())?;
            self.end = Some(end);
        }
        match self.end.as_mut().map(|end| end.poll_unpin(cx)) {
            Some(Poll::Ready(Ok(()))) => Poll::Ready(Ok(())),
            Some(Poll::Ready(Err(_))) => Poll::Ready(Err(self.error())),
            Some(Poll::Pending) | None => Poll::Pending,
        }
    }
}

/// The protocol's receiving end.
struct Inbound {
    queue: mpsc::Receiver<Bytes>,
    told: bool,
    fate: Arc<Fate>,
}

impl Stream for Inbound {
    type Item = Result<Bytes, LinkError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if self.told {
            return Poll::Ready(None);
        }
        if let Some(frame) = ready!(self.queue.poll_next_unpin(cx)) {
            return Poll::Ready(Some(Ok(frame)));
        }
        self.told = true;
        match self.fate.inbound.get() {
            Some(None) => Poll::Ready(None),
            Some(Some(error)) => Poll::Ready(Some(Err(error.clone()))),
            None => Poll::Ready(Some(Err(LinkError::Closed))),
        }
    }
}
