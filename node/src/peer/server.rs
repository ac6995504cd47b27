//! The `Peer` service: mutual TLS before anything, pinned keys only, and a limit on everything a peer can open.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use banyan_proto::convert::{BadOpening, Opening};
use banyan_proto::identity::PublicKey;
use banyan_proto::pinned::{self, Pins};
use banyan_proto::wire;
use banyan_proto::wire::StepFrame;
use banyan_proto::wire::peer_server::{Peer, PeerServer};
use futures::channel::mpsc;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::Server;
use tonic::transport::server::Connected;
use tonic::{Request, Response, Status, Streaming};

use super::limits::{
    CONNECTION_WINDOW, CONNECTIONS_PER_PEER_MAX, HANDSHAKE_WAIT, HANDSHAKES_MAX, HEADERS_MAX, KEEPALIVE_MIN,
    RESETS_MAX, STREAM_WINDOW, STREAMS_MAX,
};
use super::rendezvous::Refusal;
use super::{Error, Shared, stream};

/// Serves peers on `listener` until `stop`, then until their streams are closed.
pub(crate) async fn serve(
    shared: Arc<Shared>,
    listener: TcpListener,
    stop: impl Future<Output = ()>,
) -> Result<(), Error> {
    let directory = shared.directory.clone();
    let known = Pins::Test(Arc::new(move |key| directory.knows(key)));
    let tls = TlsAcceptor::from(Arc::new(pinned::server_config(&shared.identity, known)?));
    let (ready, connections) = tokio::sync::mpsc::channel(1);
    // dropped with this future, it gives the port back
    let mut accepting = JoinSet::new();
    accepting.spawn(accept(listener, tls, ready));
    let keepalive = keepalive(shared.options.idle);
    let service = PeerServer::new(Steps(shared))
        .max_decoding_message_size(wire::MESSAGE_MAX)
        .max_encoding_message_size(wire::MESSAGE_MAX);
    let served = Server::builder()
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_concurrent_streams(STREAMS_MAX)
        .http2_max_header_list_size(HEADERS_MAX)
        .http2_max_pending_accept_reset_streams(Some(RESETS_MAX))
        .http2_keepalive_interval(Some(keepalive))
        .http2_keepalive_timeout(Some(keepalive))
        .serve_with_incoming_shutdown(service, ReceiverStream::new(connections), stop)
        .await;
    Ok(served?)
}

/// A dead connection is noticed before its steps are taken for silent, and a busy one is not taken for dead.
pub(crate) fn keepalive(idle: Duration) -> Duration {
    (idle / 3).max(KEEPALIVE_MIN)
}

async fn accept(
    listener: TcpListener,
    tls: TlsAcceptor,
    ready: tokio::sync::mpsc::Sender<Result<Connection, std::io::Error>>,
) {
    let handshakes = Arc::new(Semaphore::new(HANDSHAKES_MAX));
    let places = Arc::new(Places::default());
    loop {
        let Ok(handshake) = handshakes.clone().acquire_owned().await else { return };
        let (tcp, from) = match listener.accept().await {
            Ok(accepted) => accepted,
            Err(error) => {
                // such as too many open files: it passes, and asking again at once would spin
                tracing::warn!(%error, "no connection accepted");
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        let (tls, ready, places) = (tls.clone(), ready.clone(), places.clone());
        tokio::spawn(async move {
            match timeout(HANDSHAKE_WAIT, greet(tcp, &tls, &places)).await {
                // where the service has stopped, the connection goes with it
                Ok(Ok(connection)) => drop(ready.send(Ok(connection)).await),
                Ok(Err(error)) => tracing::info!(%from, %error, "refused a connection"),
                Err(_) => tracing::info!(%from, "refused a connection: no TLS handshake in time"),
            }
            drop(handshake);
        });
    }
}

async fn greet(tcp: TcpStream, tls: &TlsAcceptor, places: &Arc<Places>) -> std::io::Result<Connection> {
    tcp.set_nodelay(true)?;
    let stream = tls.accept(tcp).await?;
    let certificate = stream.get_ref().1.peer_certificates().and_then(<[_]>::first);
    let key = certificate.and_then(|certificate| pinned::peer_key(certificate).ok());
    let key = key.ok_or_else(|| std::io::Error::other("no key in the handshake"))?;
    let place = places.take(key).ok_or_else(|| {
        std::io::Error::other(format!("{} has {CONNECTIONS_PER_PEER_MAX} connections already", key.fingerprint()))
    })?;
    Ok(Connection { stream, key, _place: place })
}

/// How many connections each peer has.
#[derive(Default)]
struct Places(Mutex<BTreeMap<PublicKey, usize>>);

struct Place {
    key: PublicKey,
    of: Arc<Places>,
}

impl Places {
    fn take(self: &Arc<Self>, key: PublicKey) -> Option<Place> {
        let mut taken = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let count = taken.entry(key).or_insert(0);
        if *count >= CONNECTIONS_PER_PEER_MAX {
            return None;
        }
        *count += 1;
        Some(Place { key, of: self.clone() })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = self.of.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = taken.get_mut(&self.key) {
            *count -= 1;
            if *count == 0 {
                taken.remove(&self.key);
            }
        }
    }
}

/// A connection whose other end showed a pinned key.
struct Connection {
    stream: TlsStream<TcpStream>,
    key: PublicKey,
    _place: Place,
}

/// The key at the other end of the connection of a request.
#[derive(Clone, Copy)]
struct Caller(PublicKey);

impl Connected for Connection {
    type ConnectInfo = Caller;

    fn connect_info(&self) -> Caller {
        Caller(self.key)
    }
}

impl AsyncRead for Connection {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for Connection {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<std::io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[std::io::IoSlice<'_>],
    ) -> Poll<std::io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

struct Steps(Arc<Shared>);

#[tonic::async_trait]
impl Peer for Steps {
    type StepStream = mpsc::Receiver<Result<StepFrame, Status>>;

    async fn step(&self, request: Request<Streaming<StepFrame>>) -> Result<Response<Self::StepStream>, Status> {
        let caller = request.extensions().get::<Caller>().copied();
        let Caller(key) = caller.ok_or_else(|| Status::unauthenticated("no key"))?;
        let mut frames = request.into_inner();
        let first = timeout(HANDSHAKE_WAIT, frames.message()).await;
        let first = first.map_err(|_| Status::deadline_exceeded("no opening"))??;
        let opening = first.and_then(|frame| frame.open).ok_or(BadOpening::Missing).and_then(Opening::try_from);
        let opening = opening.map_err(|error| {
            tracing::warn!(from = %key.fingerprint(), %error, "refused a stream");
            bad_opening(&error)
        })?;
        self.check(&opening, key)?;
        let (body, raw) = stream::accepted(frames);
        let (from, session, step) = (opening.from.clone(), opening.session, opening.step.clone());
        self.0.rendezvous.arrive(opening, raw).map_err(|refusal| {
            tracing::warn!(%from, ?session, %step, %refusal, "refused a stream");
            refused(refusal)
        })?;
        Ok(Response::new(body))
    }
}

impl Steps {
    /// The opening's names are the peer's word: they count where its key is the one pinned for them now.
    fn check(&self, opening: &Opening, key: PublicKey) -> Result<(), Status> {
        if opening.to != self.0.me {
            return Err(Status::not_found("another party lives here"));
        }
        match self.0.directory.pinned(&opening.from) {
            Some(pinned) if pinned.key == key => Ok(()),
            _ => {
                tracing::warn!(from = %opening.from, key = %key.fingerprint(), "refused a stream: not the key pinned for this name");
                Err(Status::permission_denied("not the key pinned for this name"))
            }
        }
    }
}

fn bad_opening(error: &BadOpening) -> Status {
    match error {
        BadOpening::Version { .. } => Status::failed_precondition(error.to_string()),
        BadOpening::Missing | BadOpening::Field { .. } => Status::invalid_argument(error.to_string()),
    }
}

fn refused(refusal: Refusal) -> Status {
    match refusal {
        Refusal::NotInSession => Status::permission_denied(refusal.to_string()),
        Refusal::Twice => Status::already_exists(refusal.to_string()),
        Refusal::TooMany => Status::resource_exhausted(refusal.to_string()),
    }
}
