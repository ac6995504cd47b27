//! The door: TLS 1.3 with a key on both ends, and a limit on how many may stand in it. Every key may knock, since it may
//! have an invitation; what a caller may do is decided at each call, by its key.

use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use banyan_proto::identity::{BadKey, Identity, PublicKey};
use banyan_proto::pinned::{self, Pins};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, mpsc};
use tokio::time::{Duration, Sleep, timeout};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tonic::transport::server::Connected;

use super::limits::{
    CONNECTIONS_PER_KEY_MAX, HANDSHAKE_WAIT, HANDSHAKES_MAX, JOINS_PER_CONNECTION_MAX, STRANGER_STAY, STRANGERS_MAX,
};
use super::places::{Place, Places};

/// How long the door waits after the system refused a socket, such as for too many open files.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Whether a key is registered.
pub(crate) type Knows = Arc<dyn Fn(&PublicKey) -> bool + Send + Sync>;

/// Who is at the other end of a connection. Clones are of the same connection.
#[derive(Clone)]
pub(crate) struct Caller {
    pub(crate) key: PublicKey,
    joins: Arc<AtomicU32>,
    seat: Arc<Mutex<Seat>>,
}

/// A place among the connections of one member, or of all strangers.
type Seat = Place<Option<PublicKey>>;

impl Caller {
    /// Whether it may try to join once more.
    pub(crate) fn may_join(&self) -> bool {
        self.joins.fetch_add(1, Ordering::Relaxed) < JOINS_PER_CONNECTION_MAX
    }

    /// It has joined: it leaves its place to the next stranger.
    pub(crate) fn is_known(&self) {
        self.seat().pass_to(Some(self.key));
    }

    fn seat(&self) -> MutexGuard<'_, Seat> {
        self.seat.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The TLS configuration of the coordinator.
pub(crate) fn tls(me: &Identity) -> Result<TlsAcceptor, BadKey> {
    let any = Pins::Test(Arc::new(|_| true));
    Ok(TlsAcceptor::from(Arc::new(pinned::server_config(me, any)?)))
}

/// Lets connections in until dropped.
pub(crate) async fn accept(
    listener: TcpListener,
    tls: TlsAcceptor,
    knows: Knows,
    ready: mpsc::Sender<io::Result<Connection>>,
) {
    let handshakes = Arc::new(Semaphore::new(HANDSHAKES_MAX));
    let places = Arc::new(Places::default());
    while let Ok(handshake) = handshakes.clone().acquire_owned().await {
        let (tcp, from) = match listener.accept().await {
            Ok(accepted) => accepted,
            Err(error) => {
                // it passes, and asking again at once would spin
                tracing::warn!(%error, "no connection accepted");
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        let (tls, knows, places, ready) = (tls.clone(), knows.clone(), places.clone(), ready.clone());
        tokio::spawn(async move {
            match timeout(HANDSHAKE_WAIT, greet(tcp, &tls, &knows, &places)).await {
                // where the service has stopped, the connection goes with it
                Ok(Ok(connection)) => drop(ready.send(Ok(connection)).await),
                Ok(Err(error)) => tracing::info!(%from, %error, "refused a connection"),
                Err(_) => tracing::info!(%from, "refused a connection: no TLS handshake in time"),
            }
            drop(handshake);
        });
    }
}

async fn greet(
    tcp: TcpStream,
    tls: &TlsAcceptor,
    knows: &Knows,
    places: &Arc<Places<Option<PublicKey>>>,
) -> io::Result<Connection> {
    tcp.set_nodelay(true)?;
    let stream = tls.accept(tcp).await?;
    let certificate = stream.get_ref().1.peer_certificates().and_then(<[_]>::first);
    let key = certificate.and_then(|certificate| pinned::peer_key(certificate).ok());
    let key = key.ok_or_else(|| io::Error::other("no key in the handshake"))?;
    let known = knows(&key);
    let max = if known { CONNECTIONS_PER_KEY_MAX } else { STRANGERS_MAX };
    let seat = places.take(known.then_some(key), max).ok_or_else(|| {
        let who = if known { "this key" } else { "unregistered keys" };
        io::Error::other(format!("{who} has as many connections as it may: {}", key.fingerprint()))
    })?;
    let caller = Caller { key, joins: Arc::default(), seat: Arc::new(Mutex::new(seat)) };
    let leave = (!known).then(|| Box::pin(tokio::time::sleep(STRANGER_STAY)));
    Ok(Connection { stream, caller, leave })
}

/// A connection whose other end showed a key.
pub(crate) struct Connection {
    stream: TlsStream<TcpStream>,
    caller: Caller,
    leave: Option<Pin<Box<Sleep>>>,
}

impl Connected for Connection {
    type ConnectInfo = Caller;

    fn connect_info(&self) -> Caller {
        self.caller.clone()
    }
}

impl Connection {
    /// Whether a stranger has stayed too long.
    fn is_over(&mut self, cx: &mut Context<'_>) -> bool {
        let Some(leave) = &mut self.leave else { return false };
        if leave.as_mut().poll(cx).is_pending() {
            return false;
        }
        self.leave = None;
        self.caller.seat().of().is_none()
    }
}

impl AsyncRead for Connection {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.is_over(cx) {
            return Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, "this key did not join in time")));
        }
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for Connection {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
