//! Peers and strangers that do not keep to the rules.

use std::sync::Arc;
use std::time::{Duration, Instant};

use banyan_proto::convert;
use banyan_proto::identity::Identity;
use banyan_proto::pinned;
use banyan_proto::wire::coordinator_client::CoordinatorClient;
use banyan_proto::wire::peer_client::PeerClient;
use banyan_proto::wire::{self, StepFrame, StepOpen};
use banyan_protocols::error::Error;
use banyan_protocols::message::{FRAME_HEADER, Message};
use banyan_protocols::suite::seal::Sealer;
use bytes::Bytes;
use futures::SinkExt;
use futures::channel::mpsc;
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use sha2::{Digest, Sha256};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio_rustls::TlsConnector;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Status, Streaming};

use super::town::{Blob, CEILING, Node, Pins, SHORT, node, pair, pair_that, party, relay, session};
use crate::dial::{self, DialError};
use crate::peer::handshake::{self, End, Pairing};
use crate::peer::limits::{CONNECTIONS_PER_PEER_MAX, STEPS_OPEN_MAX, STOP_WAIT, STREAMS_MAX};
use crate::peer::{Options, PeerService};

/// A client of one's own making, with the key of `me`.
async fn client(me: &Identity, to: &Node) -> Result<PeerClient<Channel>, tonic::transport::Error> {
    let url = to.url.clone().unwrap();
    let config = pinned::client_config(me, pinned::Pins::Only(to.identity.public())).unwrap();
    let connector = tower::service_fn(move |_| {
        let (url, config) = (url.clone(), config.clone());
        async move {
            let name = ServerName::try_from(pinned::SERVER_NAME).unwrap();
            let tcp = TcpStream::connect(url).await?;
            TlsConnector::from(Arc::new(config)).connect(name, tcp).await.map(TokioIo::new)
        }
    });
    Ok(PeerClient::new(Endpoint::from_static("http://peer").connect_with_connector(connector).await?))
}

/// A connection as this node's own dialler makes it.
async fn dial(me: &Identity, to: &Node) -> Result<Channel, DialError> {
    dial::pinned(to.url.as_deref().unwrap(), &to.identity.public(), me, dial::KEEPALIVE).await
}

fn opening(number: u32, step: &str) -> StepOpen {
    StepOpen {
        version: wire::VERSION,
        session: session(number).as_bytes().to_vec().into(),
        step: step.into(),
        from: "bank".into(),
        to: "tax".into(),
    }
}

/// What both ends of the bank's step know, by the bank.
fn pairing(bank: &Node, tax: &Node, attempt: u32, step: &str) -> Pairing {
    let end = |node: &Node| End { name: node.name.clone(), key: node.identity.public() };
    let step = convert::step(step).unwrap();
    Pairing { session: session(attempt), step, me: end(bank), peer: end(tax) }
}

/// The next frame that is no pulse.
async fn frame(answers: &mut Streaming<StepFrame>) -> Bytes {
    loop {
        let message = answers.message().await.unwrap().expect("a frame");
        if !message.frame.is_empty() {
            return message.frame;
        }
    }
}

type Opened = Result<(mpsc::Sender<StepFrame>, Streaming<StepFrame>), Status>;

async fn open(client: &mut PeerClient<Channel>, open: StepOpen) -> Opened {
    let (mut sender, body) = mpsc::channel(4);
    sender.send(StepFrame { open: Some(open), ..StepFrame::default() }).await.unwrap();
    Ok((sender, client.step(body).await?.into_inner()))
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_key_gets_no_further_than_the_handshake() {
    let (bank, tax) = pair([true, true], None).await;
    let stranger = Identity::generate().unwrap();
    let refused = dial(&stranger, &tax).await.err();
    assert!(matches!(refused, Some(DialError::Stranger { .. })), "{refused:?}");
    let mut known = PeerClient::new(dial(&bank.identity, &tax).await.unwrap());
    open(&mut known, opening(1, "test")).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn openings_are_checked_one_by_one() {
    let (bank, tax) = pair([true, true], None).await;
    let mut client = client(&bank.identity, &tax).await.unwrap();
    let mut refused = async |change: fn(&mut StepOpen)| {
        let mut bad = opening(1, "test");
        change(&mut bad);
        let status = open(&mut client, bad).await.err().unwrap();
        (status.code(), status.message().to_owned())
    };
    let versions = "wire versions differ: the stream has 9, this node has 1; update the older side";
    assert_eq!(refused(|open| open.version = 9).await, (Code::FailedPrecondition, versions.into()));
    assert_eq!(refused(|open| open.step.clear()).await.0, Code::InvalidArgument);
    assert_eq!(refused(|open| open.session.clear()).await.0, Code::InvalidArgument);
    assert_eq!(refused(|open| open.to = "health".into()).await.0, Code::NotFound);
    assert_eq!(refused(|open| open.from = "health".into()).await.0, Code::PermissionDenied);
    let empty = futures::stream::iter([StepFrame::default()]);
    assert_eq!(client.step(empty).await.unwrap_err().code(), Code::InvalidArgument);
}

#[tokio::test(flavor = "multi_thread")]
async fn strangers_are_few_wait_for_a_while_and_others_do_not_notice() {
    let stranger = Duration::from_secs(5);
    let (bank, tax) = pair_that(|options| options.stranger = stranger).await;
    let health = node("health", true, None).await;
    tax.knows(&health);
    health.knows(&tax);
    let mut hostile = client(&bank.identity, &tax).await.unwrap();
    let started = Instant::now();
    let mut waiting = Vec::new();
    for number in 0..STEPS_OPEN_MAX {
        waiting.push(open(&mut hostile, opening(1, &format!("s{number}"))).await.unwrap());
    }
    let status = open(&mut hostile, opening(2, "one-too-many")).await.err().unwrap();
    assert_eq!(
        (status.code(), status.message()),
        (Code::ResourceExhausted, "too many steps wait here: open fewer at once")
    );
    // someone else is served meanwhile
    let ((_a, mut a), (_b, mut b)) = (health.channel(session(9), &tax), tax.channel(session(9), &health));
    let (one, two) = (Blob(vec![1]), Blob(vec![2]));
    let (x, y) = tokio::join!(a.swap::<Blob, Blob>(&one, 1), b.swap::<Blob, Blob>(&two, 1));
    assert_eq!((x.unwrap(), y.unwrap()), (Blob(vec![2]), Blob(vec![1])));
    // their time is up: pulses, then the refusal
    for (_sender, mut answers) in waiting {
        let refusal = loop {
            match answers.message().await {
                Ok(Some(frame)) => assert_eq!(frame, StepFrame::default()),
                Ok(None) => panic!("ended without a word"),
                Err(status) => break status,
            }
        };
        assert_eq!(refusal.message(), "no such session here");
    }
    assert!((stranger..CEILING).contains(&started.elapsed()), "{:?}", started.elapsed());
    open(&mut hostile, opening(2, "now-there-is-room")).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_step_that_arrives_twice_is_refused() {
    let (bank, tax) = pair([true, true], None).await;
    let mut client = client(&bank.identity, &tax).await.unwrap();
    let _early = open(&mut client, opening(1, "test")).await.unwrap();
    let twice = |opened: Opened| opened.err().map(|status| (status.code(), status.message().to_owned()));
    let expected = Some((Code::AlreadyExists, "step opened twice".to_owned()));
    assert_eq!(twice(open(&mut client, opening(1, "test")).await), expected, "before the session is known");
    let s = tax.session(session(1), &bank.name);
    assert_eq!(twice(open(&mut client, opening(1, "test")).await), expected, "before the step is opened here");
    let _open = s.channel(&bank.name).unwrap();
    assert_eq!(twice(open(&mut client, opening(1, "test")).await), expected, "after");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_spliced_hello_of_another_session_is_refused() {
    let (bank, tax) = pair([true, true], None).await;
    let mut client = client(&bank.identity, &tax).await.unwrap();
    // a true hello of the bank, of attempt 1, played into attempt 2
    for (attempt, refused) in [(1, true), (2, false)] {
        let (hello, _) = handshake::hello(&pairing(&bank, &tax, attempt, "test"), &bank.identity).unwrap();
        let (_session, mut channel) = tax.channel(session(2), &bank);
        let (mut sender, _answers) = open(&mut client, opening(2, "test")).await.unwrap();
        sender.send(StepFrame { frame: hello.into(), ..StepFrame::default() }).await.unwrap();
        sender.close_channel();
        let error = channel.recv::<Blob>(1).await.unwrap_err();
        let deviation = matches!(error, Error::Deviation { .. });
        assert_eq!(deviation, refused, "{error}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_frame_of_another_step_is_refused() {
    let (bank, tax) = pair([true, true], None).await;
    let mut client = client(&bank.identity, &tax).await.unwrap();
    let of_tax = tax.session(session(1), &bank.name);
    let mut steps = Vec::new();
    for step in ["one", "two"] {
        let channel = of_tax.step(step).channel(&bank.name).unwrap();
        let name = format!("test/{step}");
        let pairing = pairing(&bank, &tax, 1, &name);
        let (hello, ephemeral) = handshake::hello(&pairing, &bank.identity).unwrap();
        let (mut sender, mut answers) = open(&mut client, opening(1, &name)).await.unwrap();
        sender.send(StepFrame { frame: hello.into(), ..StepFrame::default() }).await.unwrap();
        let theirs = frame(&mut answers).await;
        steps.push((channel, sender, ephemeral.agree(&pairing, &theirs).unwrap()));
    }
    // of one session, one direction and one number, and a message that either step would read
    let message = [&Sha256::digest(Blob::KIND)[..FRAME_HEADER], &[7]].concat();
    let frame = Sealer::new(&steps[0].2.outbound).frame(&message).unwrap();
    let mut heard = Vec::new();
    for (channel, sender, _) in &mut steps {
        sender.send(StepFrame { frame: frame.clone(), ..StepFrame::default() }).await.unwrap();
        heard.push(channel.recv::<Blob>(1).await);
    }
    assert!(matches!(&heard[0], Ok(Blob(bytes)) if *bytes == [7]), "{heard:?}");
    assert_eq!(
        heard[1].as_ref().unwrap_err().to_string(),
        "party bank deviated at step test/two: frame 0 of this step does not open under the session's key: changed, \
         repeated, dropped or from another session"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn streams_and_connections_of_one_peer_are_bounded() {
    let (bank, tax) = pair([true, true], None).await;
    let mut first = client(&bank.identity, &tax).await.unwrap();
    let _first = open(&mut first, opening(1, "an-answer-tells-the-limits")).await.unwrap();
    // streams that open nothing wait for their first message: they count against the connection's limit only
    let (mut senders, mut streams) = (Vec::new(), Vec::new());
    for _ in 1..STREAMS_MAX {
        let (sender, body) = mpsc::channel::<StepFrame>(4);
        let mut client = first.clone();
        let mut stream = Box::pin(async move { client.step(body).await });
        // so that they come in this order
        assert!(futures::poll!(&mut stream).is_pending());
        senders.push(sender);
        streams.push(stream);
    }
    let mut more = std::pin::pin!(open(&mut first, opening(1, "test")));
    let served = tokio::time::timeout(Duration::from_millis(500), &mut more).await;
    assert!(served.is_err(), "a stream above the limit was served");
    streams.pop();
    tokio::time::timeout(CEILING, more).await.expect("one that ends makes room").unwrap();

    let mut clients = Vec::new();
    for _ in 1..CONNECTIONS_PER_PEER_MAX {
        let mut more = PeerClient::new(dial(&bank.identity, &tax).await.unwrap());
        open(&mut more, opening(1, &format!("c{}", clients.len()))).await.unwrap();
        clients.push(more);
    }
    let refused = dial(&bank.identity, &tax).await.err().map(|error| error.to_string());
    assert!(refused.as_ref().is_some_and(|why| why.contains("eof")), "{refused:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_peer_without_a_hello_is_noticed() {
    let (bank, tax) = pair_that(|options| options.arrival = SHORT).await;
    let mut client = client(&bank.identity, &tax).await.unwrap();
    let (_session, mut channel) = tax.channel(session(1), &bank);
    let (_sender, _answers) = open(&mut client, opening(1, "test")).await.unwrap();
    let error = channel.recv::<Blob>(1).await.unwrap_err();
    assert_eq!(error.to_string(), "link to bank at step test: the peer went silent");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_peer_that_goes_silent_is_noticed_in_time() {
    let (bank, tax) = pair_that(|options| options.idle = SHORT).await;
    let mut client = client(&bank.identity, &tax).await.unwrap();
    let (_session, mut channel) = tax.channel(session(1), &bank);
    let (mut sender, _answers) = open(&mut client, opening(1, "test")).await.unwrap();
    let (hello, _) = handshake::hello(&pairing(&bank, &tax, 1, "test"), &bank.identity).unwrap();
    let started = Instant::now();
    sender.send(StepFrame { frame: hello.into(), ..StepFrame::default() }).await.unwrap();
    let error = channel.recv::<Blob>(1).await.unwrap_err();
    assert_eq!(error.to_string(), "link to bank at step test: the peer went silent");
    assert!((SHORT..CEILING).contains(&started.elapsed()), "{:?}", started.elapsed());
}

/// Whoever cut it off: the peer, which was stopped, or a relay.
#[tokio::test(flavor = "multi_thread")]
async fn a_stream_without_its_end_mark_is_no_result_and_nobodys_deviation() {
    // a direct line, and one where both ends dial
    for line in [None, Some(relay(None).await)] {
        let (bank, tax) = pair([line.is_none(); 2], line.clone()).await;
        let (_session, mut channel) = tax.channel(session(1), &bank);
        let (mut sender, body) = mpsc::channel(4);
        sender.send(StepFrame { open: Some(opening(1, "test")), ..StepFrame::default() }).await.unwrap();
        let answers = match line {
            None => client(&bank.identity, &tax).await.unwrap().step(body).await,
            Some(line) => CoordinatorClient::new(line().unwrap()).relay(body).await,
        };
        let mut answers = answers.unwrap().into_inner();
        let (hello, _) = handshake::hello(&pairing(&bank, &tax, 1, "test"), &bank.identity).unwrap();
        sender.send(StepFrame { frame: hello.into(), ..StepFrame::default() }).await.unwrap();
        frame(&mut answers).await;
        sender.close_channel();
        let error = channel.recv::<Blob>(1).await.unwrap_err();
        assert_eq!(error.to_string(), "link to bank at step test: closed by the peer or the network");
    }
}

/// Open streams may take their time to close, but not for ever, and then nothing of the service is left.
#[tokio::test(flavor = "multi_thread")]
async fn a_service_that_stops_gives_its_port_back_whatever_its_peers_do() {
    let bank = node("bank", false, None).await;
    let (pins, identity) = (Arc::<Pins>::default(), Arc::new(Identity::generate().unwrap()));
    pins.pin("bank", bank.identity.public(), None);
    let (service, handle) = PeerService::new(identity.clone(), pins.clone(), None, Options::new(party("tax"), true));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = listener.local_addr().unwrap().to_string();
    let (stop, stopped) = oneshot::channel::<()>();
    let serving = tokio::spawn(service.run(Some(listener), async move { drop(stopped.await) }));
    let tax = Node { name: party("tax"), identity, pins, url: Some(url.clone()), handle };
    let mut client = client(&bank.identity, &tax).await.unwrap();
    let mut another = client.clone();
    let (_sender, body) = mpsc::channel::<StepFrame>(4);
    let mut opens_nothing = std::pin::pin!(another.step(body));
    assert!(futures::poll!(&mut opens_nothing).is_pending());
    open(&mut client, opening(1, "the-one-before-is-there")).await.unwrap();

    let started = Instant::now();
    stop.send(()).unwrap();
    tokio::time::timeout(CEILING, serving).await.expect("it stops").unwrap().unwrap();
    assert!(started.elapsed() >= STOP_WAIT, "the stream held it up: {:?}", started.elapsed());
    while TcpStream::connect(&url).await.is_ok() {
        assert!(started.elapsed() < CEILING, "somebody still listens");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_accepts_and_says_nothing_is_noticed() {
    let (bank, tax) = pair([true, true], None).await;
    let mute = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = mute.local_addr().unwrap().to_string();
    bank.pins.pin("tax", tax.identity.public(), Some(url.clone()));
    let (_session, mut channel) = bank.channel(session(1), &tax);
    let error = tokio::time::timeout(CEILING, channel.recv::<Blob>(1)).await;
    assert_eq!(
        error.unwrap().unwrap_err().to_string(),
        format!("link to tax at step test: unreachable: {url}: no answer within 10 s")
    );
}
