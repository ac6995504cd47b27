//! Whole runs between two of our own sides.

use banyan_protocols::ideal;

use super::certificates::Authority;
use super::*;

/// How the two sides are set.
#[derive(Clone, Copy, Debug)]
struct Setting {
    protocol: Interop,
    form: Form,
    sequence: bool,
    handshake: bool,
    tls: bool,
}

/// Runs both sides to their parting words.
async fn both(setting: Setting, x: &Items, y: &Items) -> [Output; 2] {
    let Setting { protocol, form, sequence, handshake, tls } = setting;
    let ((here, at_zero), (there, at_one)) = (listener().await, listener().await);
    let authority = tls.then(Authority::new);
    let files = |name, peer| authority.as_ref().map(|authority| authority.files(name, peer));
    let p = parameters(form, 2 * x.len() as u64, y.len() as u64);
    let side = async |rank: u32, listener: TcpListener, peer: SocketAddr, tls: Option<TlsFiles>, items: &Items| {
        let line = Line::open(listener, Options { sequence, tls, ..options(rank, peer) }).await.unwrap();
        if handshake {
            let receiver = (form == Form::RowsToReceiver).then_some(0);
            let (items, items_of_peer) =
                if rank == 0 { (p.sizes.receiver, p.sizes.sender) } else { (p.sizes.sender, p.sizes.receiver) };
            agree(&line, rank, &Terms { suite: protocol.suite(), items, items_of_peer, receiver }).await.unwrap();
        }
        let line = Arc::new(line);
        let output = play(line.clone(), rank, protocol, p, items.clone()).await.unwrap();
        Arc::into_inner(line).unwrap().finish().await.unwrap();
        output
    };
    let zero = side(0, here, at_one, files("zero.example", "one.example"), x);
    let one = side(1, there, at_zero, files("one.example", "zero.example"), y);
    tokio::join!(zero, one).into()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_setting_gives_the_oracles_rows() {
    let plain =
        Setting { protocol: Interop::X25519, form: Form::RowsToBoth, sequence: true, handshake: false, tls: false };
    for setting in [
        plain,
        Setting { sequence: false, ..plain },
        Setting { handshake: true, tls: true, ..plain },
        Setting { protocol: Interop::SM2, handshake: true, sequence: false, ..plain },
        Setting { protocol: Interop::SM3, handshake: true, form: Form::RowsToReceiver, ..plain },
        Setting { form: Form::RowsToReceiver, sequence: false, ..plain },
    ] {
        for (n, m) in [(0, 3), (1, 1), (130, 77)] {
            let (x, y) = (ids(0, n), ids(n / 2, m));
            let [zero, one] = both(setting, &x, &y).await;
            let to_one = match setting.form {
                Form::RowsToBoth => Output::Rows(ideal::intersection(&y, &x)),
                _ => Output::Nothing,
            };
            assert_eq!((zero, one), (Output::Rows(ideal::intersection(&x, &y)), to_one), "{setting:?} {n} x {m}");
        }
    }
}

/// More batches than a window has, in either lane.
#[tokio::test(flavor = "multi_thread")]
async fn many_batches_pass_the_windows() {
    let setting =
        Setting { protocol: Interop::X25519, form: Form::RowsToBoth, sequence: true, handshake: false, tls: false };
    let (x, y) = (ids(0, 40_000), ids(39_000, 30_000));
    let [zero, one] = both(setting, &x, &y).await;
    assert_eq!(zero, Output::Rows(ideal::intersection(&x, &y)));
    assert_eq!(one, Output::Rows(ideal::intersection(&y, &x)));
}

/// Both parties answer before they read on: were the windows one, answers would wait for points that wait for answers.
#[tokio::test]
async fn points_that_nobody_reads_keep_no_answer_back() {
    let ((here, at_zero), (there, at_one)) = (listener().await, listener().await);
    let (zero, one) = tokio::join!(Line::open(here, options(0, at_one)), Line::open(there, options(1, at_zero)));
    let (zero, one) = (zero.unwrap(), one.unwrap());
    let value = Bytes::from_static(b"points");
    for _ in 0..WINDOW {
        zero.send(Lane::Main, value.clone()).await.unwrap();
    }
    let full = timeout(Duration::from_millis(50), zero.send(Lane::Main, value.clone())).await;
    assert!(full.is_err(), "the window of the lane is full");
    for _ in 0..2 * WINDOW {
        let answer = async { tokio::join!(zero.send(Lane::Dual, value.clone()), one.recv(Lane::Dual)) };
        let (sent, read) = timeout(PATIENCE, answer).await.expect("the other lane has a window of its own");
        assert_eq!((sent, read), (Ok(()), Ok(value.clone())));
    }
}

#[tokio::test]
async fn sides_that_do_not_agree_say_so() {
    let ((here, at_zero), (there, at_one)) = (listener().await, listener().await);
    let (zero, one) = tokio::join!(Line::open(here, options(0, at_one)), Line::open(there, options(1, at_zero)));
    let (zero, one) = (zero.unwrap(), one.unwrap());
    let terms = |suite, receiver| Terms { suite, items: 4, items_of_peer: 4, receiver };
    let (sm2, sm3) = (Interop::SM2.suite(), Interop::SM3.suite());
    let (at_zero, at_one) = (terms(sm2, None), terms(sm3, None));
    let (zero, one) = tokio::join!(agree(&zero, 0, &at_zero), agree(&one, 1, &at_one));
    assert_eq!(
        zero.unwrap_err().to_string(),
        "handshake: the peer has another suite than the job: compare both sides' settings"
    );
    assert_eq!(
        one.unwrap_err().to_string(),
        "handshake: the peer refused with code 31100203 of the interconnection standard"
    );
}

#[tokio::test]
async fn nobody_and_a_peer_of_another_link_are_said_to_be_missing() {
    let (here, _) = listener().await;
    let (unused, nobody) = listener().await;
    drop(unused);
    let soon = Duration::from_secs(1);
    let alone = Line::open(here, Options { patience: soon, ..options(0, nobody) }).await;
    let why = alone.err().unwrap().to_string();
    assert!(why.starts_with(&format!("{nobody} did not answer within 1 s: ")), "{why}");

    let ((here, at_zero), (there, at_one)) = (listener().await, listener().await);
    let zero = Line::open(here, Options { patience: soon, ..options(0, at_one) });
    let one = Line::open(there, Options { patience: soon, link_id: "other".into(), ..options(1, at_zero) });
    let (zero, one) = tokio::join!(zero, one);
    // greetings name no link: messages do
    let (zero, one) = (zero.unwrap(), one.unwrap());
    let refused = one.send(Lane::Main, Bytes::from_static(b"x")).await.unwrap_err();
    assert_eq!(refused, LinkError::Refused("code 31100100 of the interconnection standard".into()));
    drop(zero);
}
