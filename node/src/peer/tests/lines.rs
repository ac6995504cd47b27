//! Frames get through, however the two ends meet; and what ends a link is named.

use std::time::{Duration, Instant};

use banyan_proto::identity::Identity;
use banyan_proto::wire::StepFrame;
use banyan_protocols::error::{Error, Fault};
use banyan_protocols::transport::LinkError;
use tokio::net::TcpSocket;

use super::town::{Blob, CEILING, Node, SHORT, door, node, node_with, pair, pair_that, party, relay, session};

/// Ten rounds of what grows up to a full frame, then the end marks.
async fn ping_pong(bank: &Node, tax: &Node) {
    let ((_one, mut a), (_two, mut b)) = (bank.channel(session(1), tax), tax.channel(session(1), bank));
    let sizes = [0usize, 1, 100, 4096, 65_535, 65_536, 300_000, 1 << 19, (1 << 20) - 4, 3];
    let ping = async {
        for size in sizes {
            assert_eq!(a.swap::<Blob, Blob>(&Blob(vec![1; size]), size).await?, Blob(vec![2; size]));
        }
        a.finish().await
    };
    let pong = async {
        for size in sizes {
            let heard: Blob = b.recv(size).await?;
            assert_eq!(heard, Blob(vec![1; size]));
            b.send(&Blob(vec![2; size])).await?;
        }
        b.finish().await
    };
    futures::future::try_join(ping, pong).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn frames_get_through_whoever_can_be_dialled() {
    for listens in [[true, true], [true, false], [false, true]] {
        let (bank, tax) = pair(listens, None).await;
        ping_pong(&bank, &tax).await;
        ping_pong_again(&bank, &tax).await;
    }
}

/// The session was closed when its parties dropped it, so its steps can be opened anew, over the kept connection.
async fn ping_pong_again(bank: &Node, tax: &Node) {
    ping_pong(bank, tax).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn frames_get_through_a_relay() {
    let (bank, tax) = pair([false, false], Some(relay(None).await)).await;
    ping_pong(&bank, &tax).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_relay_the_remedy_is_named() {
    let (bank, tax) = pair([false, false], None).await;
    let (_session, mut channel) = bank.channel(session(1), &tax);
    assert_eq!(
        channel.recv::<Blob>(0).await.unwrap_err().to_string(),
        "link to tax at step test: unreachable: neither this node nor tax can be dialled, and no coordinator is \
         connected to relay: give one of them an address to listen on, or join a coordinator"
    );
}

/// What the bank hears at the link to the tax office when it sends and waits.
async fn heard(bank: &Node, tax: &Node) -> Error {
    let (_session, mut channel) = bank.channel(session(1), tax);
    channel.swap::<Blob, Blob>(&Blob(vec![1]), 1).await.unwrap_err()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_peer_with_another_key_is_refused_by_name() {
    let (bank, tax) = pair([true, true], None).await;
    let other = Identity::generate().unwrap().public();
    let url = tax.url.clone();
    bank.pins.pin("tax", other, url.clone());
    assert_eq!(
        heard(&bank, &tax).await.to_string(),
        format!(
            "link to tax at step test: refused: the key at {} is not the pinned one of tax, {}: ask tax for its \
             fingerprint, and pin it again only if it was changed on purpose",
            url.unwrap(),
            other.fingerprint()
        )
    );
    // pinned rightly again, it takes effect at once
    bank.knows(&tax);
    ping_pong(&bank, &tax).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_peer_that_does_not_know_us_says_so() {
    let (bank, tax) = pair([true, true], None).await;
    tax.pins.pin("bank", Identity::generate().unwrap().public(), bank.url.clone());
    assert_eq!(
        heard(&bank, &tax).await.to_string(),
        format!(
            "link to tax at step test: refused: tax does not know this node's key: ask it to pin bank, {}",
            bank.identity.public().fingerprint()
        )
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pinned_peer_cannot_speak_in_anothers_name() {
    let (bank, tax) = pair([true, true], None).await;
    // the tax office knows the bank's key, but as that of somebody else
    tax.pins.pin("agency", bank.identity.public(), None);
    tax.pins.pin("bank", Identity::generate().unwrap().public(), bank.url.clone());
    assert_eq!(
        heard(&bank, &tax).await.to_string(),
        "link to tax at step test: refused: not the key pinned for this name"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_at_home_is_unreachable() {
    let (bank, tax) = pair([true, true], None).await;
    // bound, so that nobody else gets the port meanwhile; it does not listen
    let nobody = TcpSocket::new_v4().unwrap();
    nobody.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let gone = nobody.local_addr().unwrap().to_string();
    bank.pins.pin("tax", tax.identity.public(), Some(gone.clone()));
    let error = heard(&bank, &tax).await;
    let Error::Link { error: LinkError::Unreachable(why), .. } = &error else { panic!("{error}") };
    assert!(why.starts_with(&gone) && why.contains("refused"), "{why}");
}

/// One may live while the old one dies, and no more: steps that find the kept one dead together dial one new one.
#[tokio::test(flavor = "multi_thread")]
async fn steps_that_lose_their_connection_together_share_the_next() {
    let (bank, tax) = pair([true, true], None).await;
    let door = door(tax.url.clone().unwrap()).await;
    bank.pins.pin("tax", tax.identity.public(), Some(door.url.clone()));
    ping_pong(&bank, &tax).await;
    assert_eq!(door.passed(), 1);
    door.cut();
    let (of_bank, of_tax) = (bank.session(session(2), &tax.name), tax.session(session(2), &bank.name));
    let steps = (0..8).map(async |step| {
        let (mut a, mut b) = (of_bank.step(step).channel(&tax.name)?, of_tax.step(step).channel(&bank.name)?);
        let (one, two) = (Blob(vec![1]), Blob(vec![2]));
        futures::future::try_join(a.swap::<Blob, Blob>(&one, 1), b.swap::<Blob, Blob>(&two, 1)).await
    });
    for swapped in futures::future::join_all(steps).await {
        assert_eq!(swapped.unwrap(), (Blob(vec![2]), Blob(vec![1])));
    }
    assert_eq!(door.passed(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_step_is_opened_once_and_by_parties_of_the_session() {
    let (bank, tax) = pair([true, true], None).await;
    let s = bank.session(session(1), &tax.name);
    let _open = s.channel(&tax.name).unwrap();
    let again = |party| match s.channel(&party) {
        Err(Error::Link { error, .. }) => error,
        _ => panic!("opened"),
    };
    assert_eq!(again(tax.name.clone()), LinkError::AlreadyOpen);
    assert_eq!(again(party("health")), LinkError::UnknownPeer);
    assert_eq!(again(bank.name.clone()), LinkError::UnknownPeer);
    assert_eq!(bank.handle.transport(session(1), &[]).err(), Some(LinkError::AlreadyOpen));
    bank.handle.close(session(1));
    assert!(matches!(s.step("x").channel(&tax.name), Err(Error::Link { error: LinkError::Closed, .. })));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_that_ends_early_closes_its_links_and_blames_nobody() {
    let (bank, tax) = pair([true, true], None).await;
    for ends in [&bank, &tax] {
        let ((_one, mut a), (_two, mut b)) = (bank.channel(session(1), &tax), tax.channel(session(1), &bank));
        let one = Blob(vec![1]);
        let (sent, heard) = tokio::join!(a.send(&one), b.recv::<Blob>(1));
        sent.unwrap();
        assert_eq!(heard.unwrap(), Blob(vec![1]));
        ends.handle.close(session(1));
        for channel in [&mut a, &mut b] {
            let error = channel.recv::<Blob>(1).await.unwrap_err();
            assert!(matches!(error, Error::Link { error: LinkError::Closed, .. }), "{error}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_step_may_arrive_long_before_it_is_opened_and_be_read_long_after_it_ended() {
    let idle = Duration::from_secs(6);
    let (bank, tax) = pair_that(|options| options.idle = idle).await;
    let tax_session = tax.session(session(1), &bank.name);
    let (bank_session, mut a) = bank.channel(session(1), &tax);
    // the bank is done, and waits for nothing but the end mark
    let bank = tokio::spawn(async move {
        for _ in 0..3 {
            a.send(&Blob(vec![7; 1 << 19])).await?;
        }
        let ended = a.finish().await;
        drop(bank_session);
        ended
    });
    // longer than silence may last: what keeps the line is the pulse
    tokio::time::sleep(idle + SHORT).await;
    let (outgoing, mut incoming) = tax_session.channel(&party("bank")).unwrap().split();
    outgoing.finish().await.unwrap();
    tokio::time::sleep(idle + SHORT).await;
    for _ in 0..3 {
        assert_eq!(incoming.recv::<Blob>(1 << 19).await.unwrap(), Blob(vec![7; 1 << 19]));
    }
    incoming.finish().await.unwrap();
    bank.await.unwrap().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_that_the_peer_does_not_have_is_refused_in_time() {
    let (bank, tax) = pair_that(|options| options.stranger = SHORT).await;
    let started = Instant::now();
    let error = heard(&bank, &tax).await;
    assert!(matches!(error, Error::Link { error: LinkError::Closed, .. }), "{error}");
    assert!((SHORT..CEILING).contains(&started.elapsed()), "{:?}", started.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_peer_that_never_dials_is_named() {
    let (bank, tax) = pair_that(|options| options.arrival = SHORT).await;
    // the bank would dial
    let (_session, mut channel) = tax.channel(session(1), &bank);
    assert_eq!(
        channel.recv::<Blob>(1).await.unwrap_err().to_string(),
        "link to bank at step test: unreachable: bank did not dial within 1 s: does it know this node's url?"
    );
}

/// What the bank hears through a relay that changes what the tax office says.
async fn relayed(tamper: fn(&mut StepFrame, usize)) -> Error {
    let (bank, tax) = pair([false, false], Some(relay(Some(tamper)).await)).await;
    let ((_one, mut a), (_two, mut b)) = (bank.channel(session(1), &tax), tax.channel(session(1), &bank));
    let hears = async {
        loop {
            if let Err(error) = a.recv::<Blob>(3).await {
                return error;
            }
        }
    };
    let says = async {
        for _ in 0..2 {
            let _ = b.send(&Blob(vec![1, 2, 3])).await;
        }
        let _ = b.finish().await;
    };
    tokio::join!(hears, says).0
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_relay_changes_is_found() {
    let forged = |frame| Fault::Forged { frame };
    let fault = async |tamper| match relayed(tamper).await {
        Error::Deviation { party, fault, .. } if party.as_str() == "tax" => fault,
        error => panic!("{error}"),
    };
    // number 0 is the hello: its session
    assert_eq!(
        fault(|frame, number| if number == 0 {
            change(frame, 4)
        })
        .await,
        forged(0),
        "a hello of another session"
    );
    // its signature
    let error = relayed(|frame, number| {
        if number == 0 {
            change(frame, frame.frame.len() - 1)
        }
    })
    .await;
    assert!(error.to_string().contains("the hello is not signed by banyan:"), "{error}");
    // its version
    let error = relayed(|frame, number| {
        if number == 0 {
            change(frame, 3)
        }
    })
    .await;
    assert!(error.to_string().contains("wire versions differ: the peer has 0, this node has 1"), "{error}");
    assert_eq!(
        fault(|frame, number| if number == 2 {
            change(frame, 9)
        })
        .await,
        forged(1),
        "a changed frame"
    );
}

fn change(frame: &mut StepFrame, at: usize) {
    let mut bytes = frame.frame.to_vec();
    if let Some(byte) = bytes.get_mut(at) {
        *byte ^= 1;
    }
    frame.frame = bytes.into();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_relay_that_falls_silent_is_noticed() {
    let bank = node_with("bank", false, Some(relay(None).await), |options| options.arrival = SHORT).await;
    let tax = node("tax", false, None).await;
    bank.knows(&tax);
    // nobody comes to the other end
    assert_eq!(heard(&bank, &tax).await.to_string(), "link to tax at step test: the peer went silent");
}
