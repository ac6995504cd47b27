//! The `ReceiverService` that the peer pushes into: one peer, few connections, a limit on everything.

use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use banyan_proto::wire::interconnection::ResponseHeader;
use banyan_proto::wire::interconnection::link::receiver_service_server::{ReceiverService, ReceiverServiceServer};
use banyan_proto::wire::interconnection::link::{PushRequest, PushResponse, TransType};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::Server;
use tonic::transport::server::Connected;
use tonic::{Request, Response, Status};

use super::inbox::{AHEAD_MAX, BadPush, Inbox, VALUE_MAX};
use super::key::KEY_MAX;
use super::tls::Tls;
use crate::peer::limits::{CONNECTION_WINDOW, HANDSHAKE_WAIT, HEADERS_MAX, RESETS_MAX, STREAM_WINDOW};

/// Connections at once, those in their handshake included: brpc makes one, and a new one where it fails.
const CONNECTIONS_MAX: usize = 8;
/// Pushes at once: what may run ahead in both lanes, with as many confirmations.
const PUSHES_MAX: u32 = 4 * AHEAD_MAX as u32;
/// `INVALID_REQUEST` of the standard.
const INVALID_REQUEST: i32 = 31_100_100;

/// Serves the peer on `listener` until `stop`.
pub(super) async fn serve(
    inbox: Arc<Inbox>,
    peer_rank: u32,
    listener: TcpListener,
    tls: Option<Tls>,
    stop: impl Future<Output = ()>,
) -> Result<(), tonic::transport::Error> {
    let (ready, connections) = mpsc::channel(1);
    // dropped with this future, it gives the port back
    let mut accepting = JoinSet::new();
    accepting.spawn(accept(listener, tls, ready));
    let service = ReceiverServiceServer::new(Pushes { inbox, peer_rank })
        .max_decoding_message_size(VALUE_MAX + KEY_MAX + 64)
        .max_encoding_message_size(4096);
    Server::builder()
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_concurrent_streams(PUSHES_MAX)
        .http2_max_header_list_size(HEADERS_MAX)
        .http2_max_pending_accept_reset_streams(Some(RESETS_MAX))
        .serve_with_incoming_shutdown(service, ReceiverStream::new(connections), stop)
        .await
}

async fn accept(listener: TcpListener, tls: Option<Tls>, ready: mpsc::Sender<std::io::Result<Connection>>) {
    let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    loop {
        let Ok(place) = places.clone().acquire_owned().await else { return };
        let (tcp, from) = match listener.accept().await {
            Ok(accepted) => accepted,
            Err(error) => {
                // such as too many open files: it passes, and asking again at once would spin
                tracing::warn!(%error, "no connection accepted");
                tokio::time::sleep(std::time::Duration::from_millis(100)).await;
                continue;
            }
        };
        let (tls, ready) = (tls.clone(), ready.clone());
        tokio::spawn(async move {
            match timeout(HANDSHAKE_WAIT, greet(tcp, tls)).await {
                Ok(Ok(stream)) => drop(ready.send(Ok(Connection { stream, from, _place: place })).await),
                Ok(Err(error)) => tracing::warn!(%from, %error, "refused a connection"),
                Err(_) => tracing::warn!(%from, "refused a connection: no TLS handshake in time"),
            }
        });
    }
}

async fn greet(tcp: TcpStream, tls: Option<Tls>) -> std::io::Result<Box<dyn Stream>> {
    tcp.set_nodelay(true)?;
    let Some(tls) = tls else { return Ok(Box::new(tcp)) };
    let stream = TlsAcceptor::from(tls.server.clone()).accept(tcp).await?;
    let certificate = stream.get_ref().1.peer_certificates().and_then(<[_]>::first);
    match certificate {
        Some(certificate) if tls.is_peer(certificate) => Ok(Box::new(stream)),
        _ => Err(std::io::Error::other("its certificate has another name than the peer's: see --peer-name")),
    }
}

/// A connection, with or without TLS.
pub(super) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

struct Connection {
    stream: Box<dyn Stream>,
    from: SocketAddr,
    _place: OwnedSemaphorePermit,
}

impl Connected for Connection {
    type ConnectInfo = SocketAddr;

    fn connect_info(&self) -> SocketAddr {
        self.from
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

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

struct Pushes {
    inbox: Arc<Inbox>,
    peer_rank: u32,
}

#[tonic::async_trait]
impl ReceiverService for Pushes {
    async fn push(&self, request: Request<PushRequest>) -> Result<Response<PushResponse>, Status> {
        let taken = self.take(request.into_inner()).await;
        let header = match taken {
            Ok(()) => ResponseHeader::default(),
            Err(bad) => {
                tracing::warn!(%bad, "refused a push");
                ResponseHeader { error_code: INVALID_REQUEST, error_msg: bad.to_string() }
            }
        };
        Ok(Response::new(PushResponse { header: Some(header) }))
    }
}

impl Pushes {
    async fn take(&self, push: PushRequest) -> Result<(), BadPush> {
        if push.sender_rank != u64::from(self.peer_rank) {
            return Err(BadPush::Rank);
        }
        match (TransType::try_from(push.trans_type), push.chunk_info) {
            (Ok(TransType::Mono), _) => self.inbox.push(&push.key, push.value).await,
            (Ok(TransType::Chunked), Some(chunk)) => {
                self.inbox.push_chunk(&push.key, &push.value, chunk.chunk_offset, chunk.message_length).await
            }
            _ => Err(BadPush::Chunk),
        }
    }
}
