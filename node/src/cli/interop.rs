//! `banyan-node interop run`: one job with a party that is no Banyan node, by the open interconnection standard.

use std::fs::{self, File, TryLockError};
use std::io::IsTerminal;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicI64;

use banyan_proto::identity::PublicKey;
use banyan_proto::job::{Spec, validate::TEXT_MAX};
use banyan_proto::names::Address;
use banyan_protocols::compute::Pool;
use banyan_protocols::party::PartyId;
use clap::{Args, Subcommand};
use serde_json::json;
use tokio::net::TcpListener;
use tracing_subscriber::EnvFilter;

use super::answer::{Answer, Failure};
use super::text::grouped;
use super::up::{LOG_VARIABLE, stop_signal};
use crate::admin::AdminState;
use crate::audit::Log;
use crate::config::{Config, Home};
use crate::data::Engine;
use crate::disk;
use crate::jobs::Desk;
use crate::jobs::interop::{Offered, Released};
use crate::keys;
use crate::peer::interop::{CONNECT_WAIT, LINK_ID_MAX, Line, Options, TlsFiles};
use crate::peer::{self, Directory, PeerService, PinnedPeer};
use crate::store::Store;

/// The largest job file.
const JOB_MAX: u64 = 16 * TEXT_MAX as u64;

/// Jobs with parties that are no Banyan nodes
#[derive(Subcommand)]
pub(crate) enum Interop {
    Run(Run),
}

/// Run a job with a party that is no Banyan node, such as SecretFlow
///
/// By ECDH-PSI of the open interconnection standard, whose security is the standard's and not Banyan's: `banyan-node inbox
/// JOB` says what it tells the other party. The job file is an ordinary one with protocol = "interop" and the other party
/// under a name of your choice; the grant of each data set says interop = true. The first call keeps the job and asks this
/// node's approver; after `banyan-node approve JOB` the next one runs it. Both parties start within five minutes.
#[derive(Args)]
#[command(after_help = "\
Examples:
  banyan-node interop run job.toml --rank 1 --listen 0.0.0.0:7450 --peer-url party.example:9540 \\
    --certificate cert.pem --key key.pem --peer-ca peer-ca.pem
  banyan-node interop run job.toml --rank 0 --handshake …      (a vendor that wants the standard's handshake)

The other party sets its link to gRPC (SecretFlow: brpc_channel_protocol = \"h2:grpc\"), to the same link id, and to the other \
rank. With SecretFlow use the psi of spu 0.9.2b0 in ic_mode; later versions have no such mode.")]
pub(crate) struct Run {
    /// The job file
    job: PathBuf,
    /// This party's rank, 0 or 1; the other party has the other
    #[arg(long, value_parser = clap::value_parser!(u32).range(0..=1))]
    rank: u32,
    /// Where the other party serves
    #[arg(long, value_name = "HOST:PORT")]
    peer_url: Address,
    /// Where this party serves the other
    #[arg(long, value_name = "ADDRESS")]
    listen: SocketAddr,
    /// This party's certificate, in PEM
    #[arg(long, value_name = "PATH", required_unless_present = "plaintext")]
    certificate: Option<PathBuf>,
    /// The certificate's private key, in PEM
    #[arg(long, value_name = "PATH", required_unless_present = "plaintext")]
    key: Option<PathBuf>,
    /// The authority of the other party's certificates, in PEM: its own, or one that vouches for names
    #[arg(long, value_name = "PATH", required_unless_present = "plaintext")]
    peer_ca: Option<PathBuf>,
    /// The name in the other party's certificates; the default is the host of --peer-url
    #[arg(long, value_name = "NAME")]
    peer_name: Option<String>,
    /// The id of the link, as the other party has it
    #[arg(long, value_name = "ID", default_value = "root", value_parser = link_id)]
    link_id: String,
    /// Begin with the standard's handshake, which SecretFlow leaves out
    #[arg(long)]
    handshake: bool,
    /// Number and confirm no messages, as SecretFlow with disable_msg_seq_id and vendors without its extras
    #[arg(long)]
    no_sequence: bool,
    /// Without TLS: for tests, where config.toml says interop_plaintext = true
    #[arg(long, conflicts_with_all = ["certificate", "key", "peer_ca", "peer_name"])]
    plaintext: bool,
}

impl Interop {
    pub(crate) fn run(self, home: &Home) -> Result<Answer, Failure> {
        let Self::Run(run) = self;
        run.run(home)
    }
}

impl Run {
    fn run(self, home: &Home) -> Result<Answer, Failure> {
        let config = Config::load(home)?;
        if self.plaintext && !config.interop_plaintext {
            return Err(Failure::refused(
                "--plaintext sends masked keys unencrypted to whoever answers: only where config.toml says interop_plaintext \
                 = true, for tests",
            ));
        }
        let spec = self.spec()?;
        let _lock = lock(home)?;
        // why a job was refused is the command's answer
        let filter = EnvFilter::try_from_env(LOG_VARIABLE);
        let filter = filter.unwrap_or_else(|_| EnvFilter::new("warn,banyan_node::jobs::admit=error"));
        let log = tracing_subscriber::fmt().with_writer(std::io::stderr).with_env_filter(filter);
        let log = log.with_ansi(std::io::stderr().is_terminal());
        // a log that is set already is somebody's choice
        drop(log.try_init());
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(Failure::not_now)?;
        runtime.block_on(self.play(home, config, spec))
    }

    async fn play(self, home: &Home, config: Config, spec: Spec) -> Result<Answer, Failure> {
        let desk = desk(home, config)?;
        desk.settle().map_err(|failure| Failure::not_now(failure.detail))?;
        let offered = Offered::keep(&desk, spec.clone()).map_err(failed)?;
        let job = offered.job;
        let stop = stop_signal()?;
        tokio::pin!(stop);
        let line = tokio::select! {
            line = self.line() => line?,
            () = &mut stop => return Err(Failure::not_now("stopped before the other party was there; nothing was spent")),
        };
        let released = offered.run(&desk, line, self.rank, self.handshake, stop).await.map_err(failed)?;
        let Released { attempt, matches, metrics } = released;
        let directory = home.result(&spec.name, &job, attempt);
        let found = match matches {
            Some(matches) => format!("{} common rows", grouped(matches)),
            None => "done; the other party receives the result".to_owned(),
        };
        Ok(Answer::yes(
            format!("{found}\nresult and manifest: {}", directory.display()),
            json!({ "job": job, "attempt": attempt, "matches": matches, "directory": directory, "metrics": metrics }),
        ))
    }

    async fn line(&self) -> Result<Line, Failure> {
        let listener = TcpListener::bind(self.listen).await.map_err(|error| {
            Failure::not_now(format!("--listen {}: {error}; give a free port of this machine", self.listen))
        })?;
        let tls = match (&self.certificate, &self.key, &self.peer_ca) {
            (Some(certificate), Some(key), Some(peer_ca)) => Some(TlsFiles {
                certificate: certificate.clone(),
                key: key.clone(),
                peer_ca: peer_ca.clone(),
                peer_name: self.peer_name.clone().unwrap_or_else(|| host(&self.peer_url).to_owned()),
            }),
            _ => None,
        };
        let options = Options {
            rank: self.rank,
            peer_url: self.peer_url.clone(),
            link_id: self.link_id.clone(),
            sequence: !self.no_sequence,
            tls,
            patience: CONNECT_WAIT,
        };
        Line::open(listener, options).await.map_err(|error| match error {
            peer::interop::Error::Tls(_) => Failure::input(error),
            _ => Failure::not_now(error),
        })
    }

    fn spec(&self) -> Result<Spec, Failure> {
        let file = self.job.display();
        let size = fs::metadata(&self.job).map_err(|error| Failure::input(format!("{file}: {error}")))?.len();
        if size > JOB_MAX {
            return Err(Failure::input(format!("{file}: {size} bytes; a job file has at most {JOB_MAX}")));
        }
        let text = fs::read_to_string(&self.job).map_err(|error| Failure::input(format!("{file}: {error}")))?;
        Ok(Spec::from_toml(&text)?)
    }
}

/// What an attempt needs of this node, beside or without its daemon.
fn desk(home: &Home, config: Config) -> Result<Desk, Failure> {
    let identity = Arc::new(keys::identity(home)?);
    for directory in [home.tmp(), home.results()] {
        disk::create_private_dir(&directory)
            .map_err(|error| Failure::not_now(format!("{}: {error}", directory.display())))?;
    }
    let engine = Engine::new(&home.tmp().join("interop"))?; // the daemon empties its own
    let compute = Pool::new(config.threads as usize).map_err(Failure::not_now)?;
    let options = peer::Options::new(config.name.clone(), false);
    let (_, peers) = PeerService::new(identity.clone(), Arc::new(Nobody), None, options);
    Ok(Desk {
        me: config.name.clone(),
        identity,
        home: home.clone(),
        store: Store::open(home)?,
        log: Log::open(home, &config.name)?,
        engine,
        peers,
        compute: Arc::new(compute),
        admin: AdminState::new(config.name.clone()),
        clock_ahead_ms: AtomicI64::new(0),
        interop: true,
        config,
    })
}

/// Makes sure that no other such run is under way here: what one left unfinished, the next one settles.
fn lock(home: &Home) -> Result<File, Failure> {
    let path = home.root().join("interop.lock");
    let io = |error: std::io::Error| Failure::not_now(format!("{}: {error}", path.display()));
    let lock = File::create(&path).map_err(io)?;
    match lock.try_lock() {
        Ok(()) => Ok(lock),
        Err(TryLockError::WouldBlock) => {
            Err(Failure::not_now("another `banyan-node interop run` is under way here: wait for it"))
        }
        Err(TryLockError::Error(error)) => Err(io(error)),
    }
}

/// Nobody is pinned: such a run has no Banyan node at the other end.
struct Nobody;

impl Directory for Nobody {
    fn pinned(&self, _: &PartyId) -> Option<PinnedPeer> {
        None
    }

    fn knows(&self, _: &PublicKey) -> bool {
        false
    }
}

/// What keeps a job from running, by what its people can do about it.
fn failed(failure: crate::jobs::interop::Failure) -> Failure {
    let text = format!("{}: {}", failure.code, failure.detail);
    match failure.code.as_str() {
        "spec" | "not-a-party" => Failure::input(text),
        code if crate::policy::rule::is(code) || code == "below-minimum" => Failure::refused(text),
        _ => Failure::not_now(text),
    }
}

fn host(url: &Address) -> &str {
    let host = url.as_str().rsplit_once(':').map_or(url.as_str(), |(host, _)| host);
    host.trim_start_matches('[').trim_end_matches(']')
}

fn link_id(text: &str) -> Result<String, String> {
    let good = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    match (1..=LINK_ID_MAX).contains(&text.len()) && text.chars().all(good) {
        true => Ok(text.to_owned()),
        false => Err(format!("a link id has 1 to {LINK_ID_MAX} letters, digits, '_' and '-'")),
    }
}
