//! `banyan-node up`: the daemon, in the foreground.

use std::io::{self, IsTerminal, Write};

use crate::config::Home;
use crate::node::{Node, NodeError};
use crate::store::Store;
use clap::Args;
use indicatif::MultiProgress;
use serde_json::json;
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;

use super::answer::{Answer, Failure};
use super::progress::{Face, watch};

/// The environment variable that says how much is logged, such as `debug` or `banyan_node=debug`.
pub(super) const LOG_VARIABLE: &str = "BANYAN_LOG";

/// Run the node, in the foreground
///
/// Attends the coordinator, answers peers, and runs the jobs that this node's approver allowed. On a terminal it draws
/// progress; elsewhere it writes one JSON line per change on stdout and its log as JSON lines on stderr. SIGTERM and
/// ctrl-c stop it: attempts under way end as failed, on the record. BANYAN_LOG=debug logs more.
#[derive(Args)]
#[command(after_help = "\
Examples:
  banyan-node up
  systemd-run --user --unit banyan banyan-node --home /srv/banyan up")]
pub(crate) struct Up {}

impl Up {
    pub(crate) fn run(self, home: &Home, as_json: bool) -> Result<Answer, Failure> {
        let node = Node::new(home.clone())?;
        let name = node.config().name.clone();
        let store = Store::open(home)?;
        let face = if !as_json && io::stderr().is_terminal() { Face::people() } else { Face::Lines };
        log_to(&face);
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(Failure::not_now)?;
        let ended = runtime.block_on(async {
            let stop = stop_signal()?;
            let watching = tokio::spawn(watch(store, face));
            let ended = node.run(stop).await;
            watching.abort();
            Ok::<_, Failure>(ended)
        })?;
        ended?;
        Ok(Answer::yes("", json!({ "event": "stopped", "name": name })))
    }
}

/// Resolves at the first SIGTERM or ctrl-c. The second one ends the process as a power cut would: the store and the log
/// are made for that.
pub(super) fn stop_signal() -> Result<impl Future<Output = ()>, Failure> {
    let mut terminate = signal(SignalKind::terminate()).map_err(Failure::not_now)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(Failure::not_now)?;
    let (stop, stopped) = tokio::sync::oneshot::channel();
    tokio::spawn(async move {
        let mut next = async || {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
        };
        next().await;
        tracing::info!("stopping; a second signal does not wait");
        // nobody listens where the node ended by itself
        let _ = stop.send(());
        next().await;
        std::process::exit(3);
    });
    Ok(async move {
        let _ = stopped.await;
    })
}

fn log_to(face: &Face) {
    let filter = EnvFilter::try_from_env(LOG_VARIABLE).unwrap_or_else(|_| EnvFilter::new("info"));
    let log = tracing_subscriber::fmt().with_env_filter(filter);
    let set = match face {
        Face::People(bars) => log.with_target(false).with_writer(Above(bars.clone())).try_init(),
        Face::Lines => log.json().with_writer(io::stderr).try_init(),
    };
    // a log that is set already is somebody's choice
    drop(set);
}

/// Writes log lines above the progress bars.
#[derive(Clone)]
struct Above(MultiProgress);

impl<'a> MakeWriter<'a> for Above {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

impl Write for Above {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.0.suspend(|| io::stderr().write(line))
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}

impl From<NodeError> for Failure {
    fn from(error: NodeError) -> Self {
        match error {
            NodeError::Config(error) => error.into(),
            NodeError::Key(error) => error.into(),
            NodeError::Store(error) => error.into(),
            NodeError::Audit(error) => error.into(),
            NodeError::Data(error) => error.into(),
            NodeError::NoCoordinator => Self::input(error),
            error => Self::not_now(error),
        }
    }
}
