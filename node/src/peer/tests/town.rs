//! A few nodes that know each other, and a relay.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use banyan_proto::identity::{Identity, PublicKey};
use banyan_proto::wire::coordinator_server::{Coordinator, CoordinatorServer};
use banyan_proto::wire::{self, StepFrame};
use banyan_protocols::channel::Channel;
use banyan_protocols::compute::Pool;
use banyan_protocols::message::{Malformed, Message, Reader, Writer};
use banyan_protocols::party::{PartyId, Roster};
use banyan_protocols::session::{Session, SessionId, SessionParts};
use futures::channel::mpsc;
use futures::stream::BoxStream;
use futures::{SinkExt, StreamExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tonic::transport::{Endpoint, Server};
use tonic::{Request, Response, Status, Streaming};
use zeroize::Zeroizing;

use crate::peer::{Directory, Handle, Options, PeerService, PinnedPeer, RelayLine};

/// What a node waits for where a test waits for something else: longer than any stall of a busy machine.
const LONG: Duration = Duration::from_secs(20);
/// What a test waits for, where nothing else depends on it.
pub(super) const SHORT: Duration = Duration::from_secs(1);
/// Nothing takes so long, even on a busy machine, unless it hangs.
pub(super) const CEILING: Duration = Duration::from_secs(30);

pub(super) fn party(name: &str) -> PartyId {
    PartyId::new(name).unwrap()
}

pub(super) fn session(attempt: u32) -> SessionId {
    SessionId::derive(&[3; 32], 0, attempt)
}

/// Pins that a test can change.
#[derive(Default)]
pub(super) struct Pins(Mutex<BTreeMap<PartyId, PinnedPeer>>);

impl Pins {
    pub(super) fn pin(&self, name: &str, key: PublicKey, url: Option<String>) {
        self.0.lock().unwrap().insert(party(name), PinnedPeer { key, url });
    }
}

impl Directory for Pins {
    fn pinned(&self, party: &PartyId) -> Option<PinnedPeer> {
        self.0.lock().unwrap().get(party).cloned()
    }

    fn knows(&self, key: &PublicKey) -> bool {
        self.0.lock().unwrap().values().any(|peer| peer.key == *key)
    }
}

pub(super) struct Node {
    pub(super) name: PartyId,
    pub(super) identity: Arc<Identity>,
    pub(super) pins: Arc<Pins>,
    pub(super) url: Option<String>,
    pub(super) handle: Handle,
}

/// A node, listening or not. It knows nobody yet.
pub(super) async fn node(name: &str, listens: bool, relay: Option<RelayLine>) -> Node {
    node_with(name, listens, relay, |_| {}).await
}

/// A node whose times a test has changed.
pub(super) async fn node_with(
    name: &str,
    listens: bool,
    relay: Option<RelayLine>,
    change: impl FnOnce(&mut Options),
) -> Node {
    let identity = Arc::new(Identity::generate().unwrap());
    let pins = Arc::new(Pins::default());
    let (idle, arrival, stranger) = (LONG, LONG, LONG);
    let mut options = Options { idle, arrival, stranger, ..Options::new(party(name), listens) };
    change(&mut options);
    let (service, handle) = PeerService::new(identity.clone(), pins.clone(), relay, options);
    let (mut url, mut listener) = (None, None);
    if listens {
        let socket = TcpListener::bind("127.0.0.1:0").await.unwrap();
        url = Some(socket.local_addr().unwrap().to_string());
        listener = Some(socket);
    }
    tokio::spawn(service.run(listener, std::future::pending()));
    Node { name: party(name), identity, pins, url, handle }
}

impl Node {
    pub(super) fn knows(&self, other: &Node) {
        self.pins.pin(other.name.as_str(), other.identity.public(), other.url.clone());
    }

    /// This node's session with `peer`.
    pub(super) fn session(&self, id: SessionId, peer: &PartyId) -> Session {
        let roster = [self.name.clone(), peer.clone()];
        let transport = self.handle.transport(id, &roster).unwrap();
        let [a, b] = if self.name < *peer { roster } else { [peer.clone(), self.name.clone()] };
        let compute = Arc::new(Pool::new(1).unwrap());
        let seed = Zeroizing::new([1; 32]);
        Session::new(
            "test",
            SessionParts { id, me: self.name.clone(), roster: Roster::pair(a, b), transport, compute, seed },
        )
    }

    pub(super) fn channel(&self, id: SessionId, peer: &Node) -> (Session, Channel) {
        let session = self.session(id, &peer.name);
        let channel = session.channel(&peer.name).unwrap();
        (session, channel)
    }
}

/// Two nodes that know each other, the smaller name first.
pub(super) async fn pair(listens: [bool; 2], relay: Option<RelayLine>) -> (Node, Node) {
    pair_with(listens, relay, |_| {}).await
}

/// Two that can be dialled, whose times a test has changed.
pub(super) async fn pair_that(change: impl Fn(&mut Options)) -> (Node, Node) {
    pair_with([true, true], None, change).await
}

async fn pair_with(listens: [bool; 2], relay: Option<RelayLine>, change: impl Fn(&mut Options)) -> (Node, Node) {
    let bank = node_with("bank", listens[0], relay.clone(), &change).await;
    let tax = node_with("tax", listens[1], relay, &change).await;
    bank.knows(&tax);
    tax.knows(&bank);
    (bank, tax)
}

/// A way to a node on which connections can be counted, and cut.
pub(super) struct Door {
    pub(super) url: String,
    passed: Arc<AtomicUsize>,
    cut: Arc<Notify>,
}

impl Door {
    pub(super) fn passed(&self) -> usize {
        self.passed.load(Ordering::Relaxed)
    }

    pub(super) fn cut(&self) {
        self.cut.notify_waiters();
    }
}

/// A door to what listens at `to`.
pub(super) async fn door(to: String) -> Door {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = listener.local_addr().unwrap().to_string();
    let (passed, cut) = (Arc::<AtomicUsize>::default(), Arc::<Notify>::default());
    let door = Door { url, passed: passed.clone(), cut: cut.clone() };
    tokio::spawn(async move {
        while let Ok((mut outside, _)) = listener.accept().await {
            passed.fetch_add(1, Ordering::Relaxed);
            let (to, cut) = (to.clone(), cut.clone());
            tokio::spawn(async move {
                let mut inside = TcpStream::connect(to).await.unwrap();
                tokio::select! {
                    _ = tokio::io::copy_bidirectional(&mut outside, &mut inside) => {}
                    () = cut.notified() => {}
                }
            });
        }
    });
    door
}

/// A message of any bytes.
#[derive(Debug, PartialEq)]
pub(super) struct Blob(pub(super) Vec<u8>);

impl Message for Blob {
    const KIND: &'static str = "test/blob";
    type Shape = usize;

    fn write(&self, w: &mut Writer) {
        w.bytes(&self.0);
    }

    fn read(r: &mut Reader<'_>, length: usize) -> Result<Self, Malformed> {
        Ok(Self(r.bytes(length)?.to_vec()))
    }
}

/// The end of a relayed step that came first: where its frames go, and where they come from.
type HalfOpen = (mpsc::Sender<Result<StepFrame, Status>>, Streaming<StepFrame>);

/// A relay that pairs the ends of a step, as the coordinator does, and may change a frame on the way.
#[derive(Default)]
pub(super) struct TestRelay {
    waiting: Mutex<BTreeMap<Vec<u8>, HalfOpen>>,
    tamper: Option<fn(&mut StepFrame, usize)>,
}

/// Starts a relay and gives the line to it. `tamper` sees every frame of the tax office but pulses, with its number.
pub(super) async fn relay(tamper: Option<fn(&mut StepFrame, usize)>) -> RelayLine {
    let socket = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", socket.local_addr().unwrap());
    let service = CoordinatorServer::new(TestRelay { tamper, ..TestRelay::default() })
        .max_decoding_message_size(wire::MESSAGE_MAX)
        .max_encoding_message_size(wire::MESSAGE_MAX);
    let incoming = tokio_stream::wrappers::TcpListenerStream::new(socket);
    tokio::spawn(async move { Server::builder().serve_with_incoming(service, incoming).await.unwrap() });
    let channel = Endpoint::from_shared(url).unwrap().connect_lazy();
    Arc::new(move || Some(channel.clone()))
}

async fn forward(
    mut from: Streaming<StepFrame>,
    mut to: mpsc::Sender<Result<StepFrame, Status>>,
    tamper: Option<fn(&mut StepFrame, usize)>,
) {
    let mut number = 0;
    while let Some(Ok(mut frame)) = from.next().await {
        if !frame.frame.is_empty() {
            if let Some(tamper) = tamper {
                tamper(&mut frame, number);
            }
            number += 1;
        }
        if to.send(Ok(frame)).await.is_err() {
            break;
        }
    }
}

type Answer<T> = Result<Response<T>, Status>;

fn none<T>() -> Answer<T> {
    Err(Status::unimplemented("a relay only"))
}

#[tonic::async_trait]
impl Coordinator for TestRelay {
    type AttendStream = BoxStream<'static, Result<wire::Instruction, Status>>;
    type RelayStream = mpsc::Receiver<Result<StepFrame, Status>>;
    type WatchStream = BoxStream<'static, Result<wire::JobReply, Status>>;

    async fn relay(&self, request: Request<Streaming<StepFrame>>) -> Answer<Self::RelayStream> {
        let mut frames = request.into_inner();
        let open = frames.message().await?.and_then(|frame| frame.open).unwrap();
        let tamper = |from: &str| self.tamper.filter(|_| from == "tax");
        let (of_this, of_other) = (tamper(&open.from), tamper(&open.to));
        let mut ends = [open.from, open.to];
        ends.sort();
        let key = [&open.session[..], open.step.as_bytes(), ends.concat().as_bytes()].concat();
        let (sender, receiver) = mpsc::channel(0);
        // one lock for both: two ends that come at once must not both be the first
        let mut waiting = self.waiting.lock().unwrap();
        match waiting.remove(&key) {
            Some((other, from_other)) => {
                tokio::spawn(forward(from_other, sender, of_other));
                tokio::spawn(forward(frames, other, of_this));
            }
            None => drop(waiting.insert(key, (sender, frames))),
        }
        Ok(Response::new(receiver))
    }

    async fn join(&self, _: Request<wire::JoinRequest>) -> Answer<wire::JoinReply> {
        none()
    }
    async fn attend(&self, _: Request<Streaming<wire::Report>>) -> Answer<Self::AttendStream> {
        none()
    }
    async fn propose(&self, _: Request<wire::ProposeRequest>) -> Answer<wire::JobReply> {
        none()
    }
    async fn job(&self, _: Request<wire::JobRequest>) -> Answer<wire::JobReply> {
        none()
    }
    async fn jobs(&self, _: Request<wire::JobsRequest>) -> Answer<wire::JobsReply> {
        none()
    }
    async fn watch(&self, _: Request<wire::JobRequest>) -> Answer<Self::WatchStream> {
        none()
    }
    async fn cancel(&self, _: Request<wire::CancelRequest>) -> Answer<wire::JobReply> {
        none()
    }
    async fn roster(&self, _: Request<wire::RosterRequest>) -> Answer<wire::RosterReply> {
        none()
    }
    async fn review(&self, _: Request<wire::ReviewRequest>) -> Answer<wire::JobReply> {
        none()
    }
}
