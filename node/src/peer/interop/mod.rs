//! A line to one party of the open interconnection standard, in the dialect of SecretFlow's link: each side serves `Push`
//! and calls the other's.

mod handshake;
mod inbox;
mod key;
mod link;
mod server;
mod tls;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use banyan_proto::names::Address;
use banyan_proto::wire::interconnection::link::receiver_service_client::ReceiverServiceClient;
use banyan_proto::wire::interconnection::link::{PushRequest, TransType};
use banyan_protocols::transport::LinkError;
use bytes::Bytes;
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Mutex, mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsConnector;
use tonic::transport::{Channel, Endpoint};

use inbox::Inbox;
use key::{ACK, FIN, Keys};
use server::Stream;
use tls::Tls;

use super::limits::{CONNECTION_WINDOW, HANDSHAKE_WAIT, HEADERS_MAX, STREAM_WINDOW};

pub(crate) use handshake::{Terms, agree};
pub(crate) use key::{LINK_ID_MAX, Lane};
pub(crate) use link::Batches;
pub(crate) use tls::{BadTls, TlsFiles};

/// How long the two parties may be started one after the other.
pub(crate) const CONNECT_WAIT: Duration = Duration::from_secs(300);
/// How often a peer that is not there yet is dialled.
const DIAL_EVERY: Duration = Duration::from_millis(500);
/// How long the peer may say nothing: it reads its table, or computes a batch. The job's deadline is apart.
const SILENCE_MAX: Duration = Duration::from_secs(300);
/// How long a push may take: the peer may make it wait until it has room.
const PUSH_WAIT: Duration = Duration::from_secs(120);
/// How long the parting words may take.
const PART_WAIT: Duration = Duration::from_secs(30);
/// Messages of ours in one lane that the peer has not confirmed: SecretFlow's own window is 10.
const WINDOW: usize = 10;
/// Confirmations that wait to be pushed.
const ACKS_MAX: usize = 64;

/// How the two parties meet.
#[derive(Clone, Debug)]
pub(crate) struct Options {
    /// Our rank, 0 or 1; the other is the peer's.
    pub(crate) rank: u32,
    /// Where the peer serves.
    pub(crate) peer_url: Address,
    /// The name of the link: both sides give it alike.
    pub(crate) link_id: String,
    /// Whether messages carry a sequence and are confirmed, as with SecretFlow's default settings.
    pub(crate) sequence: bool,
    /// Mutual TLS; none: nothing is encrypted and the peer is whoever answers.
    pub(crate) tls: Option<TlsFiles>,
    /// How long the peer may take to be there, [`CONNECT_WAIT`].
    pub(crate) patience: Duration,
}

/// Why there is no line.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// A file of TLS.
    #[error(transparent)]
    Tls(#[from] BadTls),
    /// Nobody answered as the peer.
    #[error("{url} did not answer within {} s: {why}; is the other party up, and are rank, link and certificates right?", .patience.as_secs())]
    Unreachable {
        /// Where.
        url: Address,
        /// Why not.
        why: String,
        /// How long it was waited for.
        patience: Duration,
    },
    /// The peer was reached and does not reach us.
    #[error("the peer did not greet within {} s: can it dial this node, and are rank and link right?", .patience.as_secs())]
    Ungreeted {
        /// How long it was waited for.
        patience: Duration,
    },
}

/// A line that stands. Dropped, it is gone.
pub(crate) struct Line {
    inbox: Arc<Inbox>,
    post: Arc<Post>,
    /// The number of the last message that was sent, by lane.
    numbers: Mutex<[u64; 2]>,
    acks: mpsc::Sender<u64>,
    acking: JoinHandle<()>,
    stop: Option<oneshot::Sender<()>>,
    serving: JoinHandle<()>,
}

/// What goes to the peer.
struct Post {
    keys: Keys,
    client: ReceiverServiceClient<Channel>,
    /// The sequence of the last message, over both lanes.
    sent: AtomicU64,
}

impl Line {
    /// Serves on `listener`, dials the peer, and greets it.
    ///
    /// # Errors
    /// [`Error`] says what to do.
    pub(crate) async fn open(listener: TcpListener, options: Options) -> Result<Self, Error> {
        let tls = options.tls.as_ref().map(Tls::load).transpose()?;
        let (me, peer) = (options.rank, 1 - options.rank);
        let keys = Keys { link_id: options.link_id, me, peer, sequence: options.sequence };
        let inbox = Arc::new(Inbox::new(keys.clone()));
        let (stop, stopped) = oneshot::channel::<()>();
        let served = server::serve(inbox.clone(), peer, listener, tls.clone(), async move {
            let _ = stopped.await;
        });
        let serving = tokio::spawn(async move {
            if let Err(error) = served.await {
                tracing::error!(%error, "the service for the peer ended");
            }
        });
        let (acks, to_ack) = mpsc::channel(ACKS_MAX);
        let post = Post { client: client(&options.peer_url, tls), keys, sent: AtomicU64::new(0) };
        let post = Arc::new(post);
        let acking = tokio::spawn(confirm(post.clone(), to_ack));
        let line = Self { inbox, post, numbers: Mutex::default(), acks, acking, stop: Some(stop), serving };
        line.greet(&options.peer_url, options.patience).await?;
        Ok(line)
    }

    async fn greet(&self, url: &Address, patience: Duration) -> Result<(), Error> {
        let mut why = String::from("no answer");
        let dial = async {
            let key = self.post.keys.connect();
            while let Err(error) = self.post.push(key.clone(), Bytes::new()).await {
                why = error.to_string();
                sleep(DIAL_EVERY).await;
            }
        };
        let dialled = timeout(patience, dial).await;
        dialled.map_err(|_| Error::Unreachable { url: url.clone(), why, patience })?;
        timeout(patience, self.inbox.connected()).await.map_err(|_| Error::Ungreeted { patience })
    }

    /// Sends the next message of a lane.
    ///
    /// # Errors
    /// [`LinkError`] where the peer does not take it.
    pub(crate) async fn send(&self, lane: Lane, value: Bytes) -> Result<(), LinkError> {
        let number = {
            let mut numbers = self.numbers.lock().await;
            numbers[lane as usize] += 1;
            numbers[lane as usize]
        };
        let sequence = self.post.sent.fetch_add(1, Ordering::Relaxed) + 1;
        if self.post.keys.sequence {
            let sends = self.inbox.sends(lane, sequence, WINDOW);
            timeout(SILENCE_MAX, sends).await.map_err(|_| LinkError::Silent)?;
        }
        self.post.push(self.post.keys.message(lane, number, sequence), value).await
    }

    /// The peer's next message of a lane.
    ///
    /// # Errors
    /// [`LinkError`] where none comes.
    pub(crate) async fn recv(&self, lane: Lane) -> Result<Bytes, LinkError> {
        let read = timeout(SILENCE_MAX, self.inbox.next(lane)).await.map_err(|_| LinkError::Silent)??;
        if read.sequence > 0 {
            self.acks.send(read.sequence).await.map_err(|_| LinkError::Closed)?;
        }
        Ok(read.value)
    }

    /// Says that nothing more comes, and waits for the peer to say so.
    ///
    /// # Errors
    /// [`LinkError`] where it does not; what was computed stands all the same.
    pub(crate) async fn finish(mut self) -> Result<(), LinkError> {
        let sent = if self.post.keys.sequence { self.post.sent.load(Ordering::Relaxed) } else { 0 };
        let parting = async {
            self.post.push(FIN.into(), sent.to_string().into()).await?;
            self.inbox.over().await;
            Ok(())
        };
        let parted = timeout(PART_WAIT, parting).await.unwrap_or(Err(LinkError::Silent));
        // our last confirmations, which the peer waits for
        let (closed, _) = mpsc::channel(1);
        drop(std::mem::replace(&mut self.acks, closed));
        let _ = timeout(PART_WAIT, &mut self.acking).await;
        self.inbox.close();
        if let Some(stop) = self.stop.take() {
            let _ = stop.send(());
        }
        let _ = timeout(HANDSHAKE_WAIT, &mut self.serving).await;
        parted
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        self.inbox.close();
        self.acking.abort();
        self.serving.abort();
    }
}

impl Post {
    async fn push(&self, key: String, value: Bytes) -> Result<(), LinkError> {
        let sender_rank = self.keys.me.into();
        let request = PushRequest { sender_rank, key, value, trans_type: TransType::Mono.into(), chunk_info: None };
        let mut client = self.client.clone();
        let answer = timeout(PUSH_WAIT, client.push(request)).await.map_err(|_| LinkError::Silent)?;
        let answer = answer.map_err(|status| LinkError::Unreachable(told(&status)))?;
        match answer.into_inner().header.unwrap_or_default().error_code {
            0 => Ok(()),
            code => Err(LinkError::Refused(format!("code {code} of the interconnection standard"))),
        }
    }
}

/// What went wrong with a call: the status's own words where they are ours, never the peer's.
fn told(status: &tonic::Status) -> String {
    let mut source = std::error::Error::source(status);
    let mut why = format!("{:?}", status.code());
    while let Some(error) = source {
        why = error.to_string();
        source = error.source();
    }
    why.chars().filter(|c| !c.is_control()).take(200).collect()
}

async fn confirm(post: Arc<Post>, mut to_ack: mpsc::Receiver<u64>) {
    while let Some(sequence) = to_ack.recv().await {
        if let Err(error) = post.push(ACK.into(), sequence.to_string().into()).await {
            tracing::warn!(%error, "a message was not confirmed");
        }
    }
}

/// Dials at the first call, and again where the connection broke.
fn client(url: &Address, tls: Option<Tls>) -> ReceiverServiceClient<Channel> {
    let url = url.to_string();
    let connector = tower::service_fn(move |_: tonic::transport::Uri| {
        let (url, tls) = (url.clone(), tls.clone());
        async move {
            let connected = timeout(HANDSHAKE_WAIT, dial(&url, tls)).await;
            connected.unwrap_or_else(|_| Err(std::io::ErrorKind::TimedOut.into()))
        }
    });
    let channel = Endpoint::from_static("http://party")
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .http2_max_header_list_size(HEADERS_MAX)
        .connect_with_connector_lazy(connector);
    ReceiverServiceClient::new(channel)
        .max_decoding_message_size(4096 * 4)
        .max_encoding_message_size(inbox::VALUE_MAX * 2)
}

async fn dial(url: &str, tls: Option<Tls>) -> std::io::Result<TokioIo<Box<dyn Stream>>> {
    let tcp = TcpStream::connect(url).await?;
    tcp.set_nodelay(true)?;
    let stream: Box<dyn Stream> = match tls {
        Some(tls) => Box::new(TlsConnector::from(tls.client).connect(tls.peer_name, tcp).await?),
        None => Box::new(tcp),
    };
    Ok(TokioIo::new(stream))
}

#[cfg(test)]
mod tests;
