//! The daemon: builds the services in order, runs them until told to stop, and stops them in reverse.

use std::fs::{File, TryLockError};
use std::io;
use std::net::SocketAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::atomic::AtomicI64;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use banyan_proto::audit::Act;
use banyan_proto::canonical::{Canonical, Digest};
use banyan_proto::identity::PublicKey;
use banyan_proto::published::Published;
use banyan_protocols::compute::Pool;
use banyan_protocols::party::PartyId;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::time::timeout;
use tonic::transport::Channel;

use crate::admin::{Admin, AdminError, AdminState};
use crate::audit::{AuditError, Log};
use crate::config::{Config, ConfigError, Coordinator, Home};
use crate::data::{Catalog, DataError, Engine, KnownBands};
use crate::jobs::{self, Desk, Greeting, Jobs, told};
use crate::keys::{self, KeyError};
use crate::peer::{self, Directory, PeerService, PinnedPeer};
use crate::store::{Store, StoreError};
use crate::{dial, disk};

/// How long an answer of the admin port may take when the node stops.
const ADMIN_WAIT: Duration = Duration::from_secs(1);

/// A node, ready to run.
pub struct Node {
    home: Home,
    config: Config,
    coordinator: Coordinator,
    // held for the life of the daemon: two daemons on one home would spend the same runs
    _lock: File,
}

/// Why a node could not start, or ended.
#[derive(Debug, thiserror::Error)]
pub enum NodeError {
    /// The configuration is wrong.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// A key is missing or open to others.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The state cannot be used.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The log cannot be used: without a log there is no work.
    #[error(transparent)]
    Audit(#[from] AuditError),
    /// The catalogue or the engine cannot be used.
    #[error(transparent)]
    Data(#[from] DataError),
    /// The admin port cannot be used.
    #[error(transparent)]
    Admin(#[from] AdminError),
    /// The peer service failed.
    #[error(transparent)]
    Peer(#[from] peer::Error),
    /// The node attends no coordinator yet.
    #[error("this node attends no coordinator: ask its operator for an invite, then run `banyan-node join INVITE`")]
    NoCoordinator,
    /// Another daemon runs on this home.
    #[error("another banyan-node runs on {0}: stop it first, or give another --home")]
    Running(String),
    /// The port for peers is taken.
    #[error(
        "listen = \"{address}\" in config.toml cannot be used ({error}): stop the program that has it, or give another port"
    )]
    Port {
        /// The address.
        address: SocketAddr,
        /// What the system says.
        error: io::Error,
    },
    /// A file of the home cannot be used.
    #[error("{what}: {error}; check that this user owns the home and that the disk is not full")]
    Io {
        /// Which.
        what: String,
        /// What the system says.
        error: io::Error,
    },
    /// The runner of jobs failed.
    #[error("{0}")]
    Jobs(String),
}

impl Node {
    /// Reads the configuration of `home`, and makes sure that no other daemon runs on it.
    ///
    /// # Errors
    /// [`NodeError`] says what to do.
    pub fn new(home: Home) -> Result<Self, NodeError> {
        let config = Config::load(&home)?;
        let coordinator = config.coordinator.clone().ok_or(NodeError::NoCoordinator)?;
        let path = home.root().join("up.lock");
        let io = |error| NodeError::Io { what: path.display().to_string(), error };
        let lock = File::create(&path).map_err(io)?;
        match lock.try_lock() {
            Ok(()) => Ok(Self { home, config, coordinator, _lock: lock }),
            Err(TryLockError::WouldBlock) => Err(NodeError::Running(home.root().display().to_string())),
            Err(TryLockError::Error(error)) => Err(io(error)),
        }
    }

    /// The configuration it runs with.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// Runs until `stop` resolves. Attempts under way then end, on the record.
    ///
    /// # Errors
    /// [`NodeError`] says what to do.
    pub async fn run(self, stop: impl Future<Output = ()>) -> Result<(), NodeError> {
        let Self { home, config, coordinator, _lock } = self;
        let identity = Arc::new(keys::identity(&home)?);
        let store = Store::open(&home)?;
        let log = Log::open(&home, &config.name)?;
        make_dirs(&home)?;
        let engine = Engine::new(&home.tmp().join("spill"))?;
        Catalog::load(&home.catalog(), &config.data_dir(&home))?; // wrong from the start is better told at the start
        let compute = Arc::new(Pool::new(config.threads as usize).map_err(|error| NodeError::Jobs(error.to_string()))?);

        let admin_state = AdminState::new(config.name.clone());
        admin_state.not_ready("coordinator", "not connected yet");
        let admin = Admin::bind(home.root(), config.admin, admin_state.clone()).await?;
        let listener = listen(&home, &config).await?;
        let url = url(&config, listener.as_ref());

        let (quit, quitting) = watch::channel(false); // for the jobs
        let (halt, halted) = watch::channel(false); // for all that they need
        let line: Arc<Mutex<Option<Channel>>> = Arc::default();
        // with a connection of its own: a handshake waits for no writer of this process
        let pins = Arc::new(Pins { store: Store::open(&home)? });
        let relay = {
            let line = line.clone();
            Arc::new(move || line.lock().unwrap_or_else(PoisonError::into_inner).clone())
        };
        let options = peer::Options::new(config.name.clone(), url.is_some());
        let (peers, handle) = PeerService::new(identity.clone(), pins, Some(relay), options);

        let dial = {
            let (identity, line) = (identity.clone(), line.clone());
            move || {
                let (identity, line, coordinator) = (identity.clone(), line.clone(), coordinator.clone());
                async move {
                    let channel = dial::pinned(&coordinator.url, &coordinator.key, &identity, dial::KEEPALIVE).await;
                    let channel = channel.map_err(|error| format!("the coordinator: {error}"))?;
                    *line.lock().unwrap_or_else(PoisonError::into_inner) = Some(channel.clone());
                    Ok(channel)
                }
            }
        };
        let greet = {
            let (catalog, data, url) = (home.catalog(), config.data_dir(&home), url.unwrap_or_default());
            let known = KnownBands::default();
            move || Greeting { url: url.clone(), catalogue: published(&catalog, &data, &known) }
        };
        let (line, lining) = jobs::keep(dial, greet, halted.clone());
        let desk = Desk {
            me: config.name.clone(),
            identity,
            home,
            config,
            store,
            log,
            engine,
            peers: handle,
            compute,
            admin: admin_state,
            clock_ahead_ms: AtomicI64::new(0),
            interop: false,
        };
        desk.log.append("node", Act::Start, Digest::default(), env!("CARGO_PKG_VERSION"))?;
        let desk = Arc::new(desk);
        tracing::info!(party = %desk.me, "the node is up");

        let stopped = |mut halted: watch::Receiver<bool>| async move { told(&mut halted).await };
        let admin = tokio::spawn(admin.run(stopped(halted.clone())));
        let peers = tokio::spawn(peers.run(listener, stopped(halted.clone())));
        let jobs = tokio::spawn(Jobs::new(desk.clone(), line).run(quitting));
        tokio::pin!(stop, jobs);
        let ended = tokio::select! {
            () = &mut stop => {
                tracing::info!("stopping");
                let _ = quit.send(true);
                jobs.await
            }
            ended = &mut jobs => ended,
        };
        // the jobs have said their last: once that is heard, or nobody hears it, the rest goes
        let _ = timeout(jobs::FLUSH_WAIT, lining).await;
        let _ = halt.send(true);
        let peers = peers.await;
        let _ = timeout(ADMIN_WAIT, admin).await;
        desk.log.append("node", Act::Stop, Digest::default(), "stopped")?;
        match ended {
            Ok(Ok(())) => {}
            Ok(Err(failure)) => return Err(NodeError::Jobs(failure.detail)),
            Err(panic) => return Err(NodeError::Jobs(format!("bug: {panic} (please report it)"))),
        }
        match peers {
            Ok(ended) => Ok(ended?),
            Err(panic) => Err(NodeError::Jobs(format!("bug: {panic} (please report it)"))),
        }
    }
}

/// Makes the directories that jobs write into.
fn make_dirs(home: &Home) -> Result<(), NodeError> {
    for directory in [home.tmp(), home.results()] {
        disk::create_private_dir(&directory)
            .map_err(|error| NodeError::Io { what: directory.display().to_string(), error })?;
    }
    Ok(())
}

/// Binds the port for peers, if this node has one, and writes down which it is.
async fn listen(home: &Home, config: &Config) -> Result<Option<TcpListener>, NodeError> {
    let Some(address) = config.listen else { return Ok(None) };
    let port = |error| NodeError::Port { address, error };
    let listener = TcpListener::bind(address).await.map_err(port)?;
    let bound = listener.local_addr().map_err(port)?;
    let file = home.listen_addr();
    disk::replace(&file, format!("{bound}\n").as_bytes(), disk::PRIVATE_FILE)
        .map_err(|error| NodeError::Io { what: file.display().to_string(), error })?;
    Ok(Some(listener))
}

/// What others dial: as configured, or the bound address where that names one.
fn url(config: &Config, listener: Option<&TcpListener>) -> Option<String> {
    let bound = listener?.local_addr().ok()?;
    let derived = (!bound.ip().is_unspecified()).then(|| bound.to_string());
    config.url.clone().or(derived)
}

/// The catalogue as others may see it, in canonical bytes; an empty one where it cannot be read now. New files are read
/// whole, so other tasks leave this thread.
fn published(catalog: &Path, data: &Path, known: &KnownBands) -> Vec<u8> {
    let published = || Ok::<_, DataError>(Catalog::load(catalog, data)?.publish_readable(known));
    // whatever a file does to its reader, the line to the coordinator stands
    let published = || catch_unwind(AssertUnwindSafe(published)).unwrap_or_else(|_| Ok(Published::default()));
    tokio::task::block_in_place(published)
        .inspect_err(|error| tracing::warn!(%error, "the catalogue is not published"))
        .unwrap_or_default()
        .to_bytes()
}

/// The pins of the store, asked at every handshake.
struct Pins {
    store: Store,
}

impl Directory for Pins {
    fn pinned(&self, party: &PartyId) -> Option<PinnedPeer> {
        let peer = self.store.pinned(party).ok()??;
        // where a peer can be dialled is no secret and no promise: the key is checked there
        let introduced = || self.store.introduced(party).ok().flatten().filter(|i| i.key == peer.key)?.url;
        Some(PinnedPeer { key: peer.key, url: peer.url.clone().or_else(introduced) })
    }

    fn knows(&self, key: &PublicKey) -> bool {
        self.store.peers().is_ok_and(|peers| peers.iter().any(|peer| peer.key == *key))
    }
}
