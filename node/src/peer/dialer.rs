//! One HTTP/2 connection per peer, kept, and made again on demand.

use std::collections::BTreeMap;
use std::error::Error;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use banyan_proto::convert::Opening;
use banyan_proto::identity::{Identity, PublicKey};
use banyan_proto::wire;
use banyan_proto::wire::peer_client::PeerClient;
use banyan_protocols::party::PartyId;
use banyan_protocols::transport::LinkError;
use tokio::time::timeout;
use tonic::transport::Channel;
use tonic::{Code, Status};

use super::limits::HANDSHAKE_WAIT;
use super::stream::{self, Raw};
use crate::dial::{self, DialError};

/// Keeps the connections that this node dialled.
pub(crate) struct Dialer {
    me: Arc<Identity>,
    name: PartyId,
    keepalive: Duration,
    lines: Mutex<BTreeMap<PartyId, Arc<tokio::sync::Mutex<Option<Line>>>>>,
    dialled: AtomicU64,
}

/// A connection, and what it was made for: with another pin or place it is made again.
#[derive(Clone)]
struct Line {
    key: PublicKey,
    url: String,
    client: PeerClient<Channel>,
    /// Which of all connections this is.
    number: u64,
}

impl Dialer {
    pub(crate) fn new(me: Arc<Identity>, name: PartyId, keepalive: Duration) -> Self {
        Self { me, name, keepalive, lines: Mutex::default(), dialled: AtomicU64::new(0) }
    }

    /// Opens the stream of a step at the peer pinned as `key`, at `url`.
    pub(crate) async fn step(&self, opening: &Opening, key: PublicKey, url: &str) -> Result<Raw, LinkError> {
        let (line, kept) = self.connected(&opening.to, key, url).await?;
        let broken = match self.open(line.client, opening).await {
            Err(status) if kept && is_broken(&status) => status,
            Err(status) => return Err(link_error(&status, url)),
            Ok(raw) => return Ok(raw),
        };
        tracing::debug!(peer = %opening.to, error = %broken.message(), "the kept connection is gone, dialling again");
        self.forget(&opening.to, line.number).await;
        let (line, _) = self.connected(&opening.to, key, url).await?;
        self.open(line.client, opening).await.map_err(|status| link_error(&status, url))
    }

    /// Makes the connection to a peer, if there is none.
    pub(crate) async fn connect(&self, peer: &PartyId, key: PublicKey, url: &str) -> Result<(), LinkError> {
        self.connected(peer, key, url).await.map(drop)
    }

    async fn open(&self, mut client: PeerClient<Channel>, opening: &Opening) -> Result<Raw, Status> {
        let (body, raw) = stream::dialled(wire::StepOpen::from(opening));
        match timeout(HANDSHAKE_WAIT, client.step(body)).await {
            Ok(answer) => Ok(raw(answer?.into_inner())),
            Err(_) => Err(Status::unavailable("no answer to the opening of a step")),
        }
    }

    /// The connection to a peer, and whether it was there before.
    async fn connected(&self, peer: &PartyId, key: PublicKey, url: &str) -> Result<(Line, bool), LinkError> {
        let line = self.line(peer);
        // held while dialling, so that steps opened together share one connection
        let mut line = line.lock().await;
        if let Some(line) = line.as_ref().filter(|line| line.key == key && line.url == url) {
            return Ok((line.clone(), true));
        }
        *line = None;
        let client = self.dial(peer, key, url).await?;
        let number = self.dialled.fetch_add(1, Ordering::Relaxed);
        Ok((line.insert(Line { key, url: url.to_owned(), client, number }).clone(), false))
    }

    /// Drops a connection, unless another step has noticed it too and dialled again already.
    async fn forget(&self, peer: &PartyId, number: u64) {
        self.line(peer).lock().await.take_if(|line| line.number == number);
    }

    fn line(&self, peer: &PartyId) -> Arc<tokio::sync::Mutex<Option<Line>>> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner).entry(peer.clone()).or_default().clone()
    }

    async fn dial(&self, peer: &PartyId, key: PublicKey, url: &str) -> Result<PeerClient<Channel>, LinkError> {
        let channel = dial::pinned(url, &key, &self.me, self.keepalive).await.map_err(|error| match error {
            DialError::Unreachable { url, why } => LinkError::Unreachable(format!("{url}: {why}")),
            DialError::OtherKey { url, key } => LinkError::Refused(format!(
                "the key at {url} is not the pinned one of {peer}, {}: ask {peer} for its fingerprint, and pin it again only if it was changed on purpose",
                key.fingerprint()
            )),
            DialError::Stranger { .. } => {
                let (me, key) = (&self.name, self.me.public().fingerprint());
                LinkError::Refused(format!("{peer} does not know this node's key: ask it to pin {me}, {key}"))
            }
        })?;
        Ok(PeerClient::new(channel)
            .max_decoding_message_size(wire::MESSAGE_MAX)
            .max_encoding_message_size(wire::MESSAGE_MAX))
    }
}

/// What the status of a step means, at the peer that lives at `url`.
fn link_error(status: &Status, url: &str) -> LinkError {
    if !is_broken(status) {
        return stream::link_error(status);
    }
    let error: &(dyn Error + 'static) = status.source().unwrap_or(status);
    let causes = std::iter::successors(Some(error), |&error| error.source());
    let text = causes.map(ToString::to_string).collect::<Vec<_>>().join(": ");
    LinkError::Unreachable(format!("{url}: {}", stream::remark(&text)))
}

/// No word of the peer, but of the connection.
fn is_broken(status: &Status) -> bool {
    matches!(status.code(), Code::Unavailable | Code::Unknown | Code::Internal | Code::Cancelled)
}
