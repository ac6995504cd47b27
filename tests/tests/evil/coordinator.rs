//! A coordinator whose every word is written by the test. It has its own key, as any coordinator has, and no other.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU32, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use banyan_proto::identity::{Identity, PublicKey};
use banyan_proto::invite::{Invite, InviteRole, InviteSecret};
use banyan_proto::pinned::{Pins, server_config};
use banyan_proto::wire::coordinator_server::{Coordinator, CoordinatorServer};
use banyan_proto::wire::{self, Instruction, JobReply, Report, StepFrame, instruction, report};
use banyan_protocols::party::PartyId;
use futures::StreamExt;
use futures::stream::{self, Empty};
use jiff::Timestamp;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Mutex, mpsc};
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::Server;
use tonic::transport::server::Connected;
use tonic::{Request, Response, Status, Streaming};

/// Nothing here takes so long unless it hangs.
const PATIENCE: Duration = Duration::from_secs(60);

/// The test's end of the coordinator.
pub(crate) struct Evil {
    /// Where it is dialled.
    pub(crate) address: String,
    key: PublicKey,
    words: Arc<Words>,
    lines: mpsc::Receiver<Line>,
}

/// What it says by itself.
#[derive(Default)]
struct Words {
    version: AtomicU32,
    clock_ahead_ms: AtomicI64,
    roster: std::sync::Mutex<Vec<wire::Introduction>>,
}

/// The standing line of a node that attends.
pub(crate) struct Line {
    say: mpsc::Sender<Result<Instruction, Status>>,
    reports: Streaming<Report>,
}

impl Evil {
    /// A coordinator that says only what is true, until it is told otherwise.
    pub(crate) async fn start() -> Self {
        let identity = Identity::generate().unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let tls = server_config(&identity, Pins::Test(Arc::new(|_| true))).unwrap();
        let words = Arc::new(Words { version: AtomicU32::new(wire::VERSION), ..Words::default() });
        let (attending, lines) = mpsc::channel(16);
        let service = Service { words: words.clone(), attending: Mutex::new(attending) };
        tokio::spawn(serve(listener, TlsAcceptor::from(Arc::new(tls)), service));
        Self { address, key: identity.public(), words, lines }
    }

    /// The line an operator would hand out.
    pub(crate) fn invite(&self, name: &str) -> String {
        let invite = Invite {
            url: self.address.parse().unwrap(),
            key: self.key,
            secret: InviteSecret::generate().unwrap(),
            name: PartyId::new(name).unwrap(),
            role: InviteRole::Node,
        };
        invite.to_token().to_string()
    }

    pub(crate) fn speak_version(&self, version: u32) {
        self.words.version.store(version, Ordering::Relaxed);
    }

    pub(crate) fn clock_ahead_ms(&self, ahead_ms: i64) {
        self.words.clock_ahead_ms.store(ahead_ms, Ordering::Relaxed);
    }

    pub(crate) fn introduce(&self, name: &str, key: &PublicKey, url: &str) {
        let introduction = wire::Introduction {
            name: name.into(),
            key: key.as_bytes().to_vec().into(),
            url: url.into(),
            online: true,
            role: "node".into(),
            ..Default::default()
        };
        self.words.roster.lock().unwrap().push(introduction);
    }

    /// The next line that a node opens.
    pub(crate) async fn line(&mut self) -> Line {
        timeout(PATIENCE, self.lines.recv()).await.expect("a node attends").unwrap()
    }
}

impl Line {
    pub(crate) async fn say(&self, body: instruction::Body) {
        self.say.send(Ok(Instruction { body: Some(body) })).await.expect("the line stands");
    }

    /// The next report of weight.
    pub(crate) async fn hear(&mut self) -> report::Body {
        loop {
            let next = timeout(PATIENCE, self.reports.message()).await.expect("the node says something");
            match next.expect("the line stands").expect("the line stands").body.expect("a report") {
                report::Body::Pulse(_) | report::Body::Progress(_) => {}
                body => return body,
            }
        }
    }

    /// How an attempt ended: its code, or none where it released. Phases on the way are passed over.
    pub(crate) async fn ended(&mut self, attempt: u32) -> wire::Ended {
        loop {
            match self.hear().await {
                report::Body::Ended(ended) if ended.attempt == attempt => return ended,
                report::Body::Phase(_) => {}
                other => panic!("the end of attempt {attempt}, not {other:?}"),
            }
        }
    }
}

struct Service {
    words: Arc<Words>,
    attending: Mutex<mpsc::Sender<Line>>,
}

async fn serve(listener: TcpListener, tls: TlsAcceptor, service: Service) {
    let incoming = stream::unfold((listener, tls), async |(listener, tls)| {
        loop {
            let (tcp, _) = listener.accept().await.ok()?;
            // a stranger that ends the handshake ends nothing else
            if let Ok(stream) = tls.accept(tcp).await {
                return Some((Ok::<_, std::io::Error>(Connection(stream)), (listener, tls)));
            }
        }
    });
    let served = Server::builder().serve_with_incoming(CoordinatorServer::new(service), incoming.boxed());
    served.await.expect("it serves until the test ends");
}

type Reply<T> = Result<Response<T>, Status>;

/// What no node asks for.
fn nothing<T>() -> Reply<T> {
    Err(Status::permission_denied("not here"))
}

#[tonic::async_trait]
impl Coordinator for Service {
    type AttendStream = ReceiverStream<Result<Instruction, Status>>;
    type RelayStream = Empty<Result<StepFrame, Status>>;
    type WatchStream = Empty<Result<JobReply, Status>>;

    async fn join(&self, _: Request<wire::JoinRequest>) -> Reply<wire::JoinReply> {
        Ok(Response::new(wire::JoinReply { roster: self.words.roster.lock().unwrap().clone() }))
    }

    async fn attend(&self, request: Request<Streaming<Report>>) -> Reply<Self::AttendStream> {
        let mut reports = request.into_inner();
        let Some(Report { body: Some(report::Body::Hello(_)) }) = reports.message().await? else {
            return Err(Status::invalid_argument("no hello"));
        };
        let (say, said) = mpsc::channel(64);
        let welcome = wire::Welcome {
            version: self.words.version.load(Ordering::Relaxed),
            now_ms: Timestamp::now().as_millisecond() + self.words.clock_ahead_ms.load(Ordering::Relaxed),
            roster: self.words.roster.lock().unwrap().clone(),
        };
        let welcome = Instruction { body: Some(instruction::Body::Welcome(welcome)) };
        say.send(Ok(welcome)).await.map_err(|_| Status::cancelled("gone"))?;
        // a test that no longer listens lets the node go
        let _ = self.attending.lock().await.send(Line { say, reports }).await;
        Ok(Response::new(ReceiverStream::new(said)))
    }

    async fn relay(&self, _: Request<Streaming<StepFrame>>) -> Reply<Self::RelayStream> {
        nothing()
    }

    async fn propose(&self, _: Request<wire::ProposeRequest>) -> Reply<JobReply> {
        nothing()
    }

    async fn job(&self, _: Request<wire::JobRequest>) -> Reply<JobReply> {
        nothing()
    }

    async fn jobs(&self, _: Request<wire::JobsRequest>) -> Reply<wire::JobsReply> {
        nothing()
    }

    async fn watch(&self, _: Request<wire::JobRequest>) -> Reply<Self::WatchStream> {
        nothing()
    }

    async fn cancel(&self, _: Request<wire::CancelRequest>) -> Reply<JobReply> {
        nothing()
    }

    async fn roster(&self, _: Request<wire::RosterRequest>) -> Reply<wire::RosterReply> {
        nothing()
    }

    async fn review(&self, _: Request<wire::ReviewRequest>) -> Reply<JobReply> {
        nothing()
    }
}

struct Connection(TlsStream<TcpStream>);

impl Connected for Connection {
    type ConnectInfo = ();

    fn connect_info(&self) {}
}

impl AsyncRead for Connection {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, buf)
    }
}

impl AsyncWrite for Connection {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<std::io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}
