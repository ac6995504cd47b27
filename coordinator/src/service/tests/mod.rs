//! The service over real sockets and TLS, against nodes written by hand: they say exactly what a test wants them to.

mod door;
mod jobs;
mod relay;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use banyan_proto::canonical::{Canonical, Digest};
use banyan_proto::identity::{Identity, PublicKey};
use banyan_proto::invite::{Invite, InviteRole};
use banyan_proto::job::{Spec, State, When};
use banyan_proto::pinned::{Pins, SERVER_NAME, client_config};
use banyan_proto::wire::coordinator_client::CoordinatorClient;
use banyan_proto::wire::{self, Instruction, JobReply, Report, instruction, report, verdict};
use banyan_protocols::party::PartyId;
use hyper_util::rt::TokioIo;
use jiff::{Timestamp, ToSpan};
use rustls::pki_types::ServerName;
use tempfile::TempDir;
use tokio::net::TcpStream;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::{Channel, Endpoint, Uri};
use tonic::{Status, Streaming};

use super::desk::{Desk, now_ms};
use super::{Handle, Options, Service};

/// Nothing in these tests takes so long unless it hangs.
const PATIENCE: Duration = Duration::from_secs(60);

/// A coordinator in a home of its own.
struct House {
    home: TempDir,
    running: Option<(oneshot::Sender<()>, JoinHandle<()>)>,
    handle: Handle,
    address: String,
    desk: Arc<Desk>,
}

impl House {
    async fn open() -> Self {
        let home = tempfile::tempdir().unwrap();
        Self::over(home).await
    }

    async fn over(home: TempDir) -> Self {
        let any = "127.0.0.1:0".parse().unwrap();
        let options = Options { home: home.path().to_owned(), listen: any, url: None, admin: any };
        let service = Service::start(options).await.unwrap();
        let (handle, address, desk) = (service.handle(), service.address().to_string(), service.desk.clone());
        assert_eq!(service.url().as_str(), address);
        let (stop, stopped) = oneshot::channel();
        let running = tokio::spawn(async move {
            let stopped = async move { drop(stopped.await) };
            service.run(stopped).await.unwrap();
        });
        Self { home, running: Some((stop, running)), handle, address, desk }
    }

    /// Stops the daemon and starts it again over the same home, at another port.
    async fn restart(mut self) -> Self {
        let (stop, running) = self.running.take().unwrap();
        stop.send(()).unwrap();
        timeout(PATIENCE, running).await.expect("it stops").unwrap();
        Self::over(self.home).await
    }

    /// The daemon is gone in the middle of whatever it did, and started again.
    async fn crash(mut self) -> Self {
        let (_stop, running) = self.running.take().unwrap();
        running.abort();
        assert!(running.await.unwrap_err().is_cancelled());
        Self::over(self.home).await
    }

    fn path(&self) -> &Path {
        self.home.path()
    }

    fn key(&self) -> PublicKey {
        self.handle.key()
    }

    fn invite(&self, name: &str, role: InviteRole) -> Invite {
        // as `banyan invite` does, beside the daemon
        let handle = Handle::open(self.path()).unwrap();
        handle.invite(PartyId::new(name).unwrap(), role, Duration::from_secs(60)).unwrap()
    }

    async fn dial(&self, identity: &Identity) -> CoordinatorClient<Channel> {
        let tcp = TcpStream::connect(&self.address).await.unwrap();
        let config = client_config(identity, Pins::Only(self.key())).unwrap();
        let name = ServerName::try_from(SERVER_NAME).unwrap();
        let tls = TlsConnector::from(Arc::new(config)).connect(name, tcp).await.unwrap();
        let mut tls = Some(TokioIo::new(tls));
        let connector =
            tower::service_fn(move |_: Uri| std::future::ready(Ok::<_, std::io::Error>(tls.take().unwrap())));
        let endpoint = Endpoint::from_static("http://banyan").initial_stream_window_size(super::STREAM_WINDOW);
        let channel = endpoint.connect_with_connector(connector).await.unwrap();
        CoordinatorClient::new(channel).max_decoding_message_size(wire::MESSAGE_MAX)
    }

    async fn join(&self, name: &str, role: InviteRole) -> Member {
        let identity = Identity::generate().unwrap();
        let mut member = Member { name: name.into(), calls: self.dial(&identity).await, identity };
        member.calls.join(join_request(&self.invite(name, role))).await.unwrap();
        member
    }

    /// Two nodes that attend, and a developer.
    async fn with_parties(&self) -> (Node, Node, Member) {
        let bank = self.join("bank", InviteRole::Node).await.attend().await;
        let bureau = self.join("bureau", InviteRole::Node).await.attend().await;
        (bank, bureau, self.join("ada", InviteRole::Developer).await)
    }
}

/// A key that joined.
struct Member {
    name: String,
    identity: Identity,
    calls: CoordinatorClient<Channel>,
}

impl Member {
    async fn redial(&mut self, house: &House) {
        self.calls = house.dial(&self.identity).await;
    }

    async fn propose(&mut self, spec: &Spec) -> Result<JobReply, Status> {
        let request = wire::ProposeRequest { spec: spec.to_bytes().into() };
        self.calls.propose(request).await.map(|reply| reply.into_inner())
    }

    async fn job(&mut self, id: &Digest) -> Result<JobReply, Status> {
        self.calls.job(job_request(id)).await.map(|reply| reply.into_inner())
    }

    async fn watch(&mut self, id: &Digest) -> Result<Streaming<JobReply>, Status> {
        self.calls.watch(job_request(id)).await.map(|reply| reply.into_inner())
    }

    /// Watches until the party at `index` of the job is in `phase`.
    async fn until_phase(&mut self, id: &Digest, index: usize, phase: &str) {
        let mut changes = self.watch(id).await.unwrap();
        let seen = async { while changes.message().await.unwrap().unwrap().parties[index].phase != phase {} };
        timeout(PATIENCE, seen).await.unwrap_or_else(|_| panic!("never {phase}"));
    }

    /// Watches until the job is in `state`.
    async fn until(&mut self, id: &Digest, state: State) -> JobReply {
        let mut changes = self.watch(id).await.unwrap();
        let seen = async {
            while let Some(change) = changes.message().await.unwrap() {
                if change.state == state.name() {
                    return change;
                }
                let now = State::from_name(&change.state).unwrap();
                assert!(!now.is_over(), "expected {state:?}, found {now:?}: {}", change.reason);
            }
            panic!("the watch ended before {state:?}");
        };
        timeout(PATIENCE, seen).await.unwrap_or_else(|_| panic!("never {state:?}"))
    }

    async fn try_attend(
        &mut self,
        hello: wire::Hello,
    ) -> Result<(mpsc::Sender<Report>, Streaming<Instruction>), Status> {
        let (say, said) = mpsc::channel(64);
        say.send(Report { body: Some(report::Body::Hello(hello)) }).await.unwrap();
        let instructions = self.calls.attend(ReceiverStream::new(said)).await?.into_inner();
        Ok((say, instructions))
    }

    async fn attend(mut self) -> Node {
        let (say, mut instructions) = self.try_attend(hello()).await.unwrap();
        let welcome = match timeout(PATIENCE, instructions.message()).await.unwrap().unwrap().unwrap().body {
            Some(instruction::Body::Welcome(welcome)) => welcome,
            other => panic!("a welcome, not {other:?}"),
        };
        assert_eq!(welcome.version, wire::VERSION);
        assert!((welcome.now_ms - now_ms()).abs() < 5_000);
        Node { member: self, say, instructions, welcome }
    }
}

/// A node whose every word is written by the test.
struct Node {
    member: Member,
    say: mpsc::Sender<Report>,
    instructions: Streaming<Instruction>,
    welcome: wire::Welcome,
}

impl Node {
    async fn say(&self, body: report::Body) {
        self.say.send(Report { body: Some(body) }).await.unwrap();
    }

    /// The next instruction that is no introduction.
    async fn hear(&mut self) -> instruction::Body {
        loop {
            let next = timeout(PATIENCE, self.instructions.message()).await;
            let next = next.unwrap_or_else(|_| panic!("{} hears nothing", self.member.name));
            match next.unwrap().expect("the line stands").body.unwrap() {
                instruction::Body::Introduction(_) => {}
                body => return body,
            }
        }
    }

    /// Hears nothing before the next word that all nodes hear: that `newcomer` has joined.
    async fn silence(&mut self, house: &House, newcomer: &str) {
        house.join(newcomer, InviteRole::Node).await;
        let next = timeout(PATIENCE, self.instructions.message()).await.expect("an introduction").unwrap();
        match next.and_then(|next| next.body) {
            Some(instruction::Body::Introduction(introduction)) if introduction.name == newcomer => {}
            other => panic!("{} heard {other:?}", self.member.name),
        }
    }

    async fn offered(&mut self) -> wire::Offer {
        match self.hear().await {
            instruction::Body::Offer(offer) => offer,
            other => panic!("an offer, not {other:?}"),
        }
    }

    async fn prepare(&mut self) -> wire::Prepare {
        match self.hear().await {
            instruction::Body::Prepare(prepare) => prepare,
            other => panic!("prepare, not {other:?}"),
        }
    }

    async fn run(&mut self) -> wire::Run {
        match self.hear().await {
            instruction::Body::Run(run) => run,
            other => panic!("run, not {other:?}"),
        }
    }

    async fn stopped(&mut self) -> wire::Stop {
        match self.hear().await {
            instruction::Body::Stop(stop) => stop,
            other => panic!("stop, not {other:?}"),
        }
    }

    async fn answer(&self, job: &Digest, answer: verdict::Answer) {
        let job = job.0.to_vec().into();
        self.say(report::Body::Verdict(wire::Verdict { job, answer: Some(answer) })).await;
    }

    /// Admits with bytes that mean nothing: the coordinator must not mind.
    async fn admit(&self, job: &Digest) {
        self.answer(job, verdict::Answer::Admission(self.admission())).await;
    }

    fn admission(&self) -> bytes::Bytes {
        format!("admission of {}", self.member.name).into()
    }

    async fn phase(&self, job: &Digest, attempt: u32, phase: &str) {
        let job = job.0.to_vec().into();
        self.say(report::Body::Phase(wire::Phase { job, attempt, phase: phase.into() })).await;
    }

    async fn ended(&self, job: &Digest, attempt: u32) {
        let receipt = format!("receipt of {}", self.member.name).into();
        let metrics = format!("metrics of {}", self.member.name).into();
        let job = job.0.to_vec().into();
        self.say(report::Body::Ended(wire::Ended { job, attempt, ok: true, receipt, metrics, ..Default::default() }))
            .await;
    }

    async fn failed(&self, job: &Digest, attempt: u32, code: &str, detail: &str) {
        let (code, detail, job) = (code.into(), detail.into(), job.0.to_vec().into());
        self.say(report::Body::Ended(wire::Ended { job, attempt, code, detail, ..Default::default() })).await;
    }

    /// The same node on a new connection.
    async fn again(mut self, house: &House) -> Self {
        self.member.redial(house).await;
        self.member.attend().await
    }
}

/// Everybody is offered and admits a job; gives it at `Prepare`.
async fn admitted(bank: &mut Node, bureau: &mut Node, ada: &mut Member, spec: &Spec) -> Digest {
    let id = spec.digest();
    ada.propose(spec).await.unwrap();
    for node in [&mut *bank, &mut *bureau] {
        node.offered().await;
        node.admit(&id).await;
    }
    bank.prepare().await;
    bureau.prepare().await;
    id
}

/// As [`admitted`], until the protocol runs.
async fn running(bank: &mut Node, bureau: &mut Node, ada: &mut Member, spec: &Spec) -> Digest {
    let id = admitted(bank, bureau, ada, spec).await;
    for node in [&*bank, &*bureau] {
        node.phase(&id, 1, "prepared").await;
    }
    assert_eq!((bank.run().await.attempt, bureau.run().await.attempt), (1, 1));
    id
}

fn hello() -> wire::Hello {
    let url = String::new();
    wire::Hello { version: wire::VERSION, url, catalogue: bytes::Bytes::new(), now_ms: now_ms() }
}

fn join_request(invite: &Invite) -> wire::JoinRequest {
    wire::JoinRequest {
        version: wire::VERSION,
        name: invite.name.to_string(),
        secret: invite.secret.expose().to_vec().into(),
        url: String::new(),
    }
}

fn job_request(id: &Digest) -> wire::JobRequest {
    wire::JobRequest { job: id.0.to_vec().into() }
}

/// A job between bank and bureau under a scenario that is valid now.
fn spec(name: &str) -> Spec {
    spec_valid(name, 3600, Timestamp::now() + 24.hours())
}

fn spec_valid(name: &str, deadline_s: u32, valid_until: Timestamp) -> Spec {
    let (from, until) = (When(valid_until - 48.hours()), When(valid_until));
    let text = format!(
        r#"
version = 1
name = "{name}"
operation = "intersect"
protocol = "dh"
result = "rows"
recipients = ["bank"]
minimum_result = 10
limits = {{ deadline_s = {deadline_s} }}

[[parties]]
name = "bank"
dataset = "customers"
key = ["ID"]
rows_at_most = 1000

[[parties]]
name = "bureau"
dataset = "records"
key = ["ID"]
rows_at_most = 1000

[scenario]
name = "credit"
purpose = "common customers"
operations = ["intersect"]
results = ["rows"]
recipients = ["bank"]
minimum_result = 10
valid_from = "{from}"
valid_until = "{until}"
runs = 3

[[scenario.grants]]
party = "bank"
dataset = "customers"
key = ["ID"]

[[scenario.grants]]
party = "bureau"
dataset = "records"
key = ["ID"]
"#
    );
    Spec::from_toml(&text).unwrap()
}
