//! Peers and strangers that do not keep to the rules.

use std::sync::Arc;
use std::time::{Duration, Instant};

use banyan_proto::identity::Identity;
use banyan_proto::pinned::{self, Pins};
use banyan_proto::wire::peer_client::PeerClient;
use banyan_proto::wire::{self, StepFrame, StepOpen};
use banyan_protocols::error::Error;
use banyan_protocols::transport::LinkError;
use futures::SinkExt;
use futures::channel::mpsc;
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsConnector;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Status, Streaming};

use super::town::{Blob, IDLE, Node, node, pair, session};
use crate::peer::limits::{CONNECTIONS_PER_PEER_MAX, STEPS_OPEN_MAX, STREAMS_MAX};

/// A client of one's own making, with the key of `me`.
async fn client(me: &Identity, to: &Node) -> Result<PeerClient<Channel>, tonic::transport::Error> {
    let url = to.url.clone().unwrap();
    let config = pinned::client_config(me, Pins::Only(to.identity.public())).unwrap();
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

fn opening(number: u32, step: &str) -> StepOpen {
    StepOpen {
        version: wire::VERSION,
        session: session(number).as_bytes().to_vec().into(),
        step: step.into(),
        from: "bank".into(),
        to: "tax".into(),
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
    let (_, tax) = pair([true, true], None).await;
    let stranger = Identity::generate().unwrap();
    let refused = match client(&stranger, &tax).await {
        Ok(mut client) => open(&mut client, opening(1, "test")).await.is_err(),
        Err(_) => true,
    };
    assert!(refused);
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
    let (bank, tax) = pair([true, true], None).await;
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
    assert!(started.elapsed() < IDLE + Duration::from_secs(3), "{:?}", started.elapsed());
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
    let pairing = |attempt| crate::peer::handshake::Pairing {
        session: session(attempt),
        step: banyan_protocols::transport::Step::root("test"),
        me: crate::peer::handshake::End { name: bank.name.clone(), key: bank.identity.public() },
        peer: crate::peer::handshake::End { name: tax.name.clone(), key: tax.identity.public() },
    };
    for (attempt, refused) in [(1, true), (2, false)] {
        let (hello, _) = crate::peer::handshake::hello(&pairing(attempt), &bank.identity).unwrap();
        let (_session, mut channel) = tax.channel(session(2), &bank);
        let (mut sender, _answers) = open(&mut client, opening(2, "test")).await.unwrap();
        sender.send(StepFrame { frame: hello.into(), ..StepFrame::default() }).await.unwrap();
        let error = channel.recv::<Blob>(1).await.unwrap_err();
        let deviation = matches!(error, Error::Deviation { .. });
        assert_eq!(deviation, refused, "{error}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn streams_and_connections_of_one_peer_are_bounded() {
    let (bank, tax) = pair([true, true], None).await;
    // streams that open nothing wait for their first message: they count against the connection's limit only
    let mut client_ = client(&bank.identity, &tax).await.unwrap();
    let mut senders = Vec::new();
    for _ in 0..STREAMS_MAX {
        let (sender, body) = mpsc::channel::<StepFrame>(4);
        let mut client = client_.clone();
        tokio::spawn(async move { client.step(body).await });
        senders.push(sender);
    }
    tokio::time::sleep(Duration::from_millis(300)).await;
    let more = tokio::time::timeout(Duration::from_millis(500), open(&mut client_, opening(1, "test"))).await;
    assert!(more.is_err(), "a stream above the limit was served");
    let mut clients = Vec::new();
    for _ in 1..CONNECTIONS_PER_PEER_MAX {
        let mut more = client(&bank.identity, &tax).await.unwrap();
        open(&mut more, opening(1, &format!("c{}", clients.len()))).await.unwrap();
        clients.push(more);
    }
    let refused = match client(&bank.identity, &tax).await {
        Ok(mut client) => {
            let opened = open(&mut client, opening(1, "one-more"));
            !matches!(tokio::time::timeout(Duration::from_secs(2), opened).await, Ok(Ok(_)))
        }
        Err(_) => true,
    };
    assert!(refused, "a connection above the limit was served");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_silent_peer_is_noticed_in_time() {
    let (bank, tax) = pair([true, true], None).await;
    let mut client = client(&bank.identity, &tax).await.unwrap();
    let (_session, mut channel) = tax.channel(session(1), &bank);
    let (_sender, _answers) = open(&mut client, opening(1, "test")).await.unwrap();
    let started = Instant::now();
    let error = channel.recv::<Blob>(1).await.unwrap_err();
    assert!(matches!(error, Error::Link { error: LinkError::Silent, .. }), "{error}");
    assert!(started.elapsed() < IDLE + Duration::from_secs(2), "{:?}", started.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_accepts_and_says_nothing_is_noticed() {
    let (bank, tax) = pair([true, true], None).await;
    let mute = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = mute.local_addr().unwrap().to_string();
    bank.pins.pin("tax", tax.identity.public(), Some(url.clone()));
    let (_session, mut channel) = bank.channel(session(1), &tax);
    let error = tokio::time::timeout(crate::peer::limits::HANDSHAKE_WAIT * 2, channel.recv::<Blob>(1)).await;
    assert_eq!(
        error.unwrap().unwrap_err().to_string(),
        format!("link to tax at step test: unreachable: {url}: no answer within 10 s")
    );
}
