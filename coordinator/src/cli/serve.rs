//! `banyan serve`: the coordinator, until it is told to stop.

use std::io::IsTerminal;
use std::net::SocketAddr;
use std::path::PathBuf;

use banyan_proto::names::Address;
use clap::Args;
use serde_json::json;
use tracing_subscriber::EnvFilter;

use super::answer::{Answer, Failure, say};
use super::developer::default_home;
use super::stop::asked_to_stop;
use crate::service::{Error, Options, Service};

/// Where the coordinator's home is.
#[derive(Args, Clone)]
pub(crate) struct CoordinatorHome {
    /// The coordinator's home [default: $BANYAN_COORDINATOR_HOME or ~/.banyan]
    #[arg(long, value_name = "DIR")]
    home: Option<PathBuf>,
}

impl CoordinatorHome {
    /// The directory.
    ///
    /// # Errors
    /// [`Failure::Input`] where nothing says where it is.
    pub(crate) fn path(&self) -> Result<PathBuf, Failure> {
        default_home(self.home.as_deref(), "BANYAN_COORDINATOR_HOME", ".banyan")
    }
}

/// Flags of `serve`.
#[derive(Args)]
#[command(after_help = "Examples:
  banyan serve                         # where coordinator.toml in the home has listen and url
  banyan serve --listen 0.0.0.0:7400 --url hub.example:7400
  banyan serve --home ./hub --listen 127.0.0.1:7400         # to try it on one machine

The coordinator makes its key at the first start. It introduces nodes, circulates jobs and relays sealed frames. It holds \
no key that opens them, and sees no row. Its log goes to stderr: RUST_LOG=debug says more, --json makes it JSON lines, and \
says on stdout when it is ready, and when it has stopped. \
Stop it with ctrl-c; jobs under way go on between their nodes.")]
pub(crate) struct ServeArgs {
    #[command(flatten)]
    home: CoordinatorHome,
    /// Where it is served; port 0 takes a free one, which the home's listen.addr then names
    #[arg(long, value_name = "IP:PORT")]
    listen: Option<SocketAddr>,
    /// Where others dial it, if that is not where it listens
    #[arg(long, value_name = "HOST:PORT")]
    url: Option<Address>,
}

/// Runs the command.
pub(crate) async fn run(args: ServeArgs, as_json: bool) -> Result<Answer, Failure> {
    log_to_stderr(as_json);
    let mut options = Options::load(&args.home.path()?).map_err(failure)?;
    options.listen = args.listen.unwrap_or(options.listen);
    options.url = args.url.or(options.url);
    let service = Service::start(options).await.map_err(failure)?;
    let (address, url, fingerprint) = (service.address(), service.url().to_string(), service.key().fingerprint());
    let said = json!({ "address": address, "url": url, "fingerprint": fingerprint });
    let ready = if as_json {
        json!({ "ready": said }).to_string()
    } else {
        format!(
            "serves on {address}, dialled at {url}\nkey: {fingerprint}\nnext: banyan invite NAME, for a node; banyan \
             invite NAME --developer"
        )
    };
    // without a reader it serves all the same
    let _ = say(&mut std::io::stdout(), &ready);
    service.run(asked_to_stop()).await.map_err(failure)?;
    Ok(Answer::yes("stopped", said))
}

/// What stands in the way, sorted by what the operator does next.
pub(crate) fn failure(error: Error) -> Failure {
    match error {
        Error::Config(_)
        | Error::Admin(_)
        | Error::Url(_)
        | Error::TooLong
        | Error::NoHome(_)
        | Error::Operator
        | Error::NotStarted => Failure::input(error),
        _ => Failure::not_now(error),
    }
}

fn log_to_stderr(as_json: bool) {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    // a second subscriber in one process is refused: the first one goes on
    let _ = if as_json { log.json().try_init() } else { log.with_ansi(std::io::stderr().is_terminal()).try_init() };
}
