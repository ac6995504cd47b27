//! Two of our own sides over real sockets, and others that do not keep to the dialect.

mod certificates;
mod hostile;
mod inbox;
mod lines;

use std::net::SocketAddr;

use banyan_protocols::catalogue::{Form, Input, Output, Parameters, Protocol, Sizes};
use banyan_protocols::compute::Pool;
use banyan_protocols::error::Error as RunError;
use banyan_protocols::items::Items;
use banyan_protocols::party::{PartyId, Role, Roster};
use banyan_protocols::psi::interop::Interop;
use banyan_protocols::session::{Session, SessionId, SessionParts};
use zeroize::Zeroizing;

use super::*;

/// Longer than anything here takes.
const PATIENCE: Duration = Duration::from_secs(60);

fn keys() -> Keys {
    Keys { link_id: "root".into(), me: 0, peer: 1, sequence: true }
}

/// The parties by rank. Rank 0 receives.
fn names() -> [PartyId; 2] {
    ["zero", "one"].map(|name| PartyId::new(name).unwrap())
}

async fn listener() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

fn options(rank: u32, peer: SocketAddr) -> Options {
    let (peer_url, link_id) = (peer.to_string().parse().unwrap(), "root".to_owned());
    Options { rank, peer_url, link_id, sequence: true, tls: None, patience: PATIENCE }
}

async fn play(line: Arc<Line>, rank: u32, protocol: Interop, p: Parameters, items: Items) -> Result<Output, RunError> {
    let [zero, one] = names();
    let [me, peer] = if rank == 0 { [zero.clone(), one.clone()] } else { [one.clone(), zero.clone()] };
    let mut seed = Zeroizing::new([0; 32]);
    getrandom::fill(seed.as_mut_slice()).unwrap();
    let parts = SessionParts {
        id: SessionId::from_bytes([1; 32]),
        me,
        roster: Roster::pair(zero, one),
        transport: Arc::new(Batches::new(line, peer, protocol.suite())),
        compute: Arc::new(Pool::new(1).unwrap()),
        seed,
    };
    let role = if rank == 0 { Role::Receiver } else { Role::Sender };
    protocol.run(&Session::new("interop", parts), role, p, Input::Items(items)).await
}

fn ids(first: u64, count: u64) -> Items {
    (first..first + count).map(|number| format!("id-{number:08}")).collect()
}

fn parameters(form: Form, receiver: u64, sender: u64) -> Parameters {
    Parameters::new(Sizes { receiver, sender }, form)
}
