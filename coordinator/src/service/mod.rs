//! The coordinator service: it introduces nodes, circulates jobs, collects their parties' words and relays sealed frames.
//! It holds no key but its own and sees no row.

mod admin;
mod attend;
mod calls;
mod desk;
mod door;
mod gate;
pub(crate) mod jobs;
pub(crate) mod limits;
mod places;
mod relay;
#[cfg(test)]
mod tests;
mod watch;

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use banyan_proto::identity::{BadKey, PublicKey};
use banyan_proto::invite::{BadInvite, Invite, InviteRole, InviteSecret};
use banyan_proto::names::Address;
use banyan_proto::wire;
use banyan_proto::wire::coordinator_server::CoordinatorServer;
use banyan_protocols::party::PartyId;
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::Server;

use self::desk::{Desk, now_ms};
use self::limits::{
    CLOCK_TICK, CONNECTION_WINDOW, HEADERS_MAX, KEEPALIVE, RESETS_MAX, STOP_WAIT, STREAM_WINDOW, STREAMS_MAX,
};
use crate::config::{Config, ConfigError};
use crate::home::{Home, HomeError, HomeLock};
use crate::roster::Invited;
use crate::store::{Store, StoreError};

/// Where a coordinator listens when nothing says otherwise.
pub const LISTEN: &str = "0.0.0.0:7400";

/// The name under which the coordinator's own key acts.
pub(crate) const OPERATOR: &str = "operator";

/// The longest an invitation may last: an open door is forgotten sooner than this.
pub const INVITE_MAX: Duration = Duration::from_secs(30 * 24 * 3600);

/// How a coordinator is run.
#[derive(Clone, Debug)]
pub struct Options {
    /// Its home.
    pub home: PathBuf,
    /// Where it is served. Port 0 takes a free one; the home's `listen.addr` then says which.
    pub listen: SocketAddr,
    /// Where others dial it. Without it, `listen` must name one address.
    pub url: Option<Address>,
    /// The admin port, on loopback.
    pub admin: SocketAddr,
}

/// A coordinator whose ports are bound.
pub struct Service {
    desk: Arc<Desk>,
    listener: TcpListener,
    admin: TcpListener,
    tls: TlsAcceptor,
    address: SocketAddr,
    url: Address,
    key: PublicKey,
    home: Home,
    _lock: HomeLock,
}

/// What can be done with a home whether or not its daemon runs. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Handle {
    store: Store,
    key: PublicKey,
}

/// Why a coordinator does not run.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The home.
    #[error(transparent)]
    Home(#[from] HomeError),
    /// `coordinator.toml`.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The state.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The key.
    #[error("the coordinator's key cannot be used: {0}")]
    Key(#[from] BadKey),
    /// A port that cannot be had.
    #[error("cannot listen on {listen}: {error}; stop what listens there, or give another --listen")]
    Listen {
        /// Which.
        listen: SocketAddr,
        /// What the system says.
        error: io::Error,
    },
    /// The admin port is for this machine only.
    #[error(
        "the admin port {0} is not on loopback: it asks nobody who they are; write admin = \"127.0.0.1:0\" in coordinator.toml"
    )]
    Admin(SocketAddr),
    /// Nobody would know where to dial.
    #[error(
        "{0} names no one address that others can dial; say where they dial with --url HOST:PORT, or url in coordinator.toml"
    )]
    Url(SocketAddr),
    /// An invitation before the first start.
    #[error("nobody knows yet where this coordinator is dialled; start it once with `banyan serve`")]
    NotStarted,
    /// A home that is none.
    #[error(
        "{} is no coordinator's home: give the --home that `banyan serve` has, or start it once with `banyan serve`", .0.display()
    )]
    NoHome(PathBuf),
    /// The name under which the operator's own key acts.
    #[error("{OPERATOR} is the name of this coordinator's own key: choose another")]
    Operator,
    /// An invitation that lasts too long.
    #[error("an invitation lasts at most 30 days; make a new one when it is needed")]
    TooLong,
    /// No randomness.
    #[error(transparent)]
    Secret(#[from] BadInvite),
    /// The server ended by itself.
    #[error("the server ended: {0}")]
    Served(#[from] tonic::transport::Error),
}

impl Options {
    /// What `coordinator.toml` in `home` says, and the defaults.
    ///
    /// # Errors
    /// [`ConfigError`] names the line that is wrong.
    pub fn load(home: &Path) -> Result<Self, Error> {
        let config = Config::read(&Home::open(home)?.config())?;
        let any_port = SocketAddr::from(([127, 0, 0, 1], 0));
        Ok(Self {
            home: home.to_owned(),
            listen: config.listen.unwrap_or_else(|| LISTEN.parse().expect("an address")),
            url: config.url,
            admin: config.admin.unwrap_or(any_port),
        })
    }
}

impl Service {
    /// Makes the key at the first start, opens the state, binds the ports, and writes `listen.addr` and `admin.addr`.
    ///
    /// # Errors
    /// [`Error`] names what is in the way, and the remedy.
    pub async fn start(options: Options) -> Result<Self, Error> {
        let home = Home::open(&options.home)?;
        let lock = home.lock()?;
        let identity = home.identity()?;
        let store = Store::open(&home)?;
        let (listener, address) = bind(options.listen).await?;
        if !options.admin.ip().is_loopback() {
            return Err(Error::Admin(options.admin));
        }
        let (admin, admin_address) = bind(options.admin).await?;
        let url = advertised(options.url, address)?;
        store.set_url(&url)?;
        let tls = door::tls(&identity)?;
        let key = identity.public();
        home.write(&home.admin_addr(), &admin_address.to_string())?;
        home.write(&home.listen_addr(), &address.to_string())?;
        let desk = Arc::new(Desk::new(store, key));
        Ok(Self { desk, listener, admin, tls, address, url, key, home, _lock: lock })
    }

    /// Where it is bound.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where others dial it.
    pub fn url(&self) -> &Address {
        &self.url
    }

    /// Its key.
    pub fn key(&self) -> PublicKey {
        self.key
    }

    /// What can be done beside it.
    pub fn handle(&self) -> Handle {
        Handle { store: self.desk.store.clone(), key: self.key }
    }

    /// Serves until `stop`, then closes lines and streams. Jobs under way go on between their nodes, and here at the next
    /// start.
    ///
    /// # Errors
    /// [`Error::Served`] where the server ends by itself.
    pub async fn run(self, stop: impl Future<Output = ()> + Send) -> Result<(), Error> {
        let Self { desk, listener, admin, tls, address, url, key, home, _lock } = self;
        tracing::info!(%address, %url, key = %key.fingerprint(), "serves");
        let knows = {
            let desk = desk.clone();
            Arc::new(move |key: &PublicKey| desk.who(key).is_ok())
        };
        let (ready, connections) = mpsc::channel(1);
        let mut beside = JoinSet::new(); // ended with this future, however it ends
        beside.spawn(door::accept(listener, tls, knows, ready));
        beside.spawn(clock(desk.clone()));
        let answers = axum::serve(admin, admin::routes(desk.clone())).into_future();
        beside.spawn(async {
            if let Err(error) = answers.await {
                tracing::error!(%error, "the admin port is gone");
            }
        });
        let calls = CoordinatorServer::new(calls::Calls::new(desk.clone()))
            .max_decoding_message_size(wire::MESSAGE_MAX)
            .max_encoding_message_size(wire::MESSAGE_MAX);
        let mut stopping = desk.stopping.subscribe();
        let served = Server::builder()
            .initial_stream_window_size(STREAM_WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW)
            .max_concurrent_streams(STREAMS_MAX)
            .http2_max_header_list_size(HEADERS_MAX)
            .http2_max_pending_accept_reset_streams(Some(RESETS_MAX))
            .http2_keepalive_interval(Some(KEEPALIVE))
            .http2_keepalive_timeout(Some(KEEPALIVE))
            .serve_with_incoming_shutdown(
                gate::Gate::before(calls, desk.clone()),
                ReceiverStream::new(connections),
                async move {
                    // an error means that the desk is gone, and with it the service
                    let _ = stopping.wait_for(|stopping| *stopping).await;
                },
            );
        tokio::pin!(served);
        let ended = tokio::select! {
            ended = &mut served => ended,
            () = stop => {
                tracing::info!("stops");
                desk.stop();
                tokio::time::timeout(STOP_WAIT, served).await.unwrap_or(Ok(()))
            }
        };
        beside.shutdown().await;
        // files that stay would say that a daemon runs; a reader finds out that it does not
        let _ = std::fs::remove_file(home.listen_addr());
        let _ = std::fs::remove_file(home.admin_addr());
        Ok(ended?)
    }
}

impl Handle {
    /// A handle on the home of a coordinator that was started once, in this process or beside the daemon.
    ///
    /// # Errors
    /// [`Error`] where there is no such home, or its key or its state cannot be read.
    pub fn open(home: &Path) -> Result<Self, Error> {
        let there = Home::existing(home);
        if !there.state().is_file() {
            return Err(Error::NoHome(home.to_owned()));
        }
        Ok(Self { key: there.key()?.public(), store: Store::open(&there)? })
    }

    /// The coordinator's key: its fingerprint is what people compare.
    pub fn key(&self) -> PublicKey {
        self.key
    }

    /// Where the coordinator is dialled, as it said at its last start.
    ///
    /// # Errors
    /// [`Error::NotStarted`] before its first.
    pub(crate) fn url(&self) -> Result<Address, Error> {
        self.store.url()?.ok_or(Error::NotStarted)
    }

    /// Makes an invitation that lasts `valid_for`. Its secret is kept nowhere: the answer is the only copy.
    ///
    /// # Errors
    /// [`Error::NotStarted`] before the daemon's first start, [`Error::TooLong`] above [`INVITE_MAX`], [`Error::Operator`]
    /// for the operator's own name.
    pub fn invite(&self, name: PartyId, role: InviteRole, valid_for: Duration) -> Result<Invite, Error> {
        if valid_for > INVITE_MAX {
            return Err(Error::TooLong);
        }
        if name.as_str() == OPERATOR {
            return Err(Error::Operator);
        }
        let url = self.url()?;
        let secret = InviteSecret::generate()?;
        let expires_ms = now_ms() + i64::try_from(valid_for.as_millis()).map_err(|_| Error::TooLong)?;
        let invited = Invited { secret: secret.digest(), name: name.clone(), role, expires_ms, used_by: None };
        self.store.put_invite(&invited)?;
        Ok(Invite { url, key: self.key, secret, name, role })
    }
}

async fn bind(listen: SocketAddr) -> Result<(TcpListener, SocketAddr), Error> {
    let failed = |error| Error::Listen { listen, error };
    let listener = TcpListener::bind(listen).await.map_err(failed)?;
    let address = listener.local_addr().map_err(failed)?;
    Ok((listener, address))
}

fn advertised(url: Option<Address>, bound: SocketAddr) -> Result<Address, Error> {
    match url {
        Some(url) => Ok(url),
        None if bound.ip().is_unspecified() => Err(Error::Url(bound)),
        None => bound.to_string().parse().map_err(|_| Error::Url(bound)),
    }
}

/// Ends jobs whose time has run out.
async fn clock(desk: Arc<Desk>) {
    let mut tick = tokio::time::interval(CLOCK_TICK);
    loop {
        tick.tick().await;
        if let Err(error) = desk.expire() {
            tracing::error!(%error, "deadlines cannot be looked at");
        }
    }
}
