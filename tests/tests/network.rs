//! Protocols over real sockets and real TLS between nodes.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use banyan_node::peer::limits::{HANDSHAKE_WAIT, STEPS_OPEN_MAX};
use banyan_node::peer::{Directory, Handle, Options, PeerService, PinnedPeer};
use banyan_proto::identity::{Identity, PublicKey};
use banyan_protocols::catalogue::{CATALOGUE, Form, Input, Output, Parameters, Sizes};
use banyan_protocols::compute::Pool;
use banyan_protocols::error::Result;
use banyan_protocols::ideal;
use banyan_protocols::items::Items;
use banyan_protocols::message::{FRAME_HEADER, FRAME_MAX, Malformed, Message, Reader, Writer};
use banyan_protocols::party::{PartyId, Role, Roster};
use banyan_protocols::session::{Session, SessionId, SessionParts};
use futures::future::{join_all, try_join};
use tokio::net::TcpListener;
use tokio::time::{sleep, timeout};
use zeroize::Zeroizing;

#[derive(Default)]
struct Pins(Mutex<BTreeMap<PartyId, PinnedPeer>>);

impl Directory for Pins {
    fn pinned(&self, party: &PartyId) -> Option<PinnedPeer> {
        self.0.lock().unwrap().get(party).cloned()
    }

    fn knows(&self, key: &PublicKey) -> bool {
        self.0.lock().unwrap().values().any(|peer| peer.key == *key)
    }
}

/// Two nodes that pinned each other, as handles: the bank's and the tax office's.
async fn pair() -> [(PartyId, Handle); 2] {
    let mut nodes = Vec::new();
    let pins = Arc::new(Pins::default());
    for name in ["bank", "tax"] {
        let (name, identity) = (PartyId::new(name).unwrap(), Arc::new(Identity::generate().unwrap()));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = Some(listener.local_addr().unwrap().to_string());
        pins.0.lock().unwrap().insert(name.clone(), PinnedPeer { key: identity.public(), url });
        let (service, handle) = PeerService::new(identity, pins.clone(), None, Options::new(name.clone(), true));
        tokio::spawn(service.run(Some(listener), std::future::pending()));
        nodes.push((name, handle));
    }
    nodes.try_into().ok().unwrap()
}

/// Both ends of a session, the bank's and the tax office's. The bank receives.
async fn sessions(root: &str) -> [Session; 2] {
    let nodes = pair().await;
    let names = [nodes[0].0.clone(), nodes[1].0.clone()];
    nodes.map(|(me, handle)| {
        let id = SessionId::derive(&[5; 32], 0, 1);
        let roster = Roster::pair(names[0].clone(), names[1].clone());
        let transport = handle.transport(id, &names).unwrap();
        let mut seed = Zeroizing::new([0; 32]);
        seed[0] = me.as_str().as_bytes()[0];
        Session::new(root, SessionParts { id, me, roster, transport, compute: Arc::new(Pool::new(1).unwrap()), seed })
    })
}

/// Nothing takes so long, even on a busy machine, unless it hangs.
const PATIENCE: Duration = Duration::from_secs(60);

/// A full frame.
#[derive(Debug)]
struct Full;

const BODY: usize = FRAME_MAX - FRAME_HEADER;

impl Message for Full {
    const KIND: &'static str = "test/full";
    type Shape = ();

    fn write(&self, w: &mut Writer) {
        w.bytes(&[1; BODY]);
    }

    fn read(r: &mut Reader<'_>, (): ()) -> Result<Self, Malformed> {
        r.bytes(BODY).map(|_| Self)
    }
}

/// Unread streams eat the window of their connection: with as many open as fill it, one more would stall silently.
#[tokio::test(flavor = "multi_thread")]
async fn unread_steps_up_to_the_limit_do_not_stall_the_last_one() {
    const UNREAD: usize = STEPS_OPEN_MAX - 1;
    // the receiving end takes three off the line, into its queue and its hand: what follows fills the window
    const FILLING: usize = 6;
    // far more than that
    const FRAMES: usize = 24;
    let [bank, tax] = sessions("window").await;
    let peers = [tax.me().clone(), bank.me().clone()];
    let sent: Arc<[AtomicUsize; UNREAD]> = Arc::new(std::array::from_fn(|_| AtomicUsize::new(0)));
    let mut unread = Vec::new();
    let mut senders = Vec::new();
    for n in 0..UNREAD {
        let (mut out, unused) = bank.step(n).channel(&peers[0]).unwrap().split();
        unread.push(tax.step(n).channel(&peers[1]).unwrap().split());
        let sent = sent.clone();
        senders.push(tokio::spawn(async move {
            for _ in 0..FRAMES {
                out.send(&Full).await?;
                sent[n].fetch_add(1, Ordering::Relaxed);
            }
            try_join(out.finish(), unused.finish()).await
        }));
    }
    let frames_sent = || sent.iter().map(|sent| sent.load(Ordering::Relaxed)).collect::<Vec<_>>();
    let filled = async {
        while frames_sent().iter().any(|frames| *frames < FILLING) {
            sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(PATIENCE, filled).await.unwrap_or_else(|_| panic!("the windows are not filled: {:?}", frames_sent()));
    sleep(Duration::from_millis(500)).await; // what was sent arrives; a slower line only makes it easier for the last step

    let (mut a, mut b) = (bank.step("last").channel(&peers[0]).unwrap(), tax.step("last").channel(&peers[1]).unwrap());
    let mut swap = async || try_join(a.swap::<Full, Full>(&Full, ()), b.swap::<Full, Full>(&Full, ())).await;
    // sooner than the dialler gives a connection up that takes no opening, and dials another
    timeout(HANDSHAKE_WAIT * 4 / 5, swap()).await.expect("the last step stalled").unwrap();
    for _ in 0..4 {
        timeout(PATIENCE, swap()).await.expect("the last step stalled").unwrap();
    }
    assert!(frames_sent().iter().all(|frames| *frames < FRAMES), "nothing held the senders back: {:?}", frames_sent());

    for (session, peer) in [(&bank, &peers[0]), (&tax, &peers[1])] {
        assert_eq!(
            session.step("more").channel(peer).err().unwrap().to_string(),
            format!(
                "link to {peer} at step window/more: refused: {STEPS_OPEN_MAX} steps are open to {peer}, and more could stall one \
                 another: finish one first, make steps coarser, or run fewer jobs at once"
            )
        );
    }

    // nothing was lost, and finished steps make room
    for (out, mut unread) in unread {
        let read = async {
            for _ in 0..FRAMES {
                unread.recv::<Full>(()).await?;
            }
            unread.finish().await
        };
        try_join(out.finish(), read).await.unwrap();
    }
    for sender in join_all(senders).await {
        sender.unwrap().unwrap();
    }
    try_join(a.finish(), b.finish()).await.unwrap();
    let room = async {
        while bank.step("more").channel(&peers[0]).is_err() {
            sleep(Duration::from_millis(50)).await;
        }
    };
    timeout(PATIENCE, room).await.expect("finished steps keep their place");
}

#[tokio::test(flavor = "multi_thread")]
async fn dh_over_sockets_equals_the_ideal() {
    let dh = CATALOGUE.find("dh").unwrap();
    let set = |from: u32, count: u32| (from..from + count).map(|n| format!("id-{n}")).collect::<Items>();
    let (x, y) = (set(0, 3000), set(2100, 2000));
    let sizes = Sizes { receiver: 4096, sender: 2048 };
    for form in [Form::RowsToReceiver, Form::RowsToBoth, Form::Cardinality] {
        let [bank, tax] = sessions("dh").await;
        let parameters = Parameters::new(sizes, form);
        let (received, sent) = try_join(
            dh.run(&bank, Role::Receiver, parameters, Input::Items(x.clone())),
            dh.run(&tax, Role::Sender, parameters, Input::Items(y.clone())),
        )
        .await
        .unwrap();
        let (for_receiver, for_sender) = match form {
            Form::RowsToReceiver => (Output::Rows(ideal::intersection(&x, &y)), Output::Nothing),
            Form::RowsToBoth => (Output::Rows(ideal::intersection(&x, &y)), Output::Rows(ideal::intersection(&y, &x))),
            Form::Cardinality => (Output::Count(ideal::cardinality(&x, &y)), Output::Nothing),
            Form::Sum | Form::Shares => unreachable!("not of dh"),
        };
        assert_eq!((received, sent), (for_receiver, for_sender), "{form:?}");
        for (session, role) in [(&bank, Role::Receiver), (&tax, Role::Sender)] {
            assert_eq!(session.meter().bytes_out(), dh.cost(&parameters, role).bytes_out, "{form:?}, {role}");
        }
    }
}
