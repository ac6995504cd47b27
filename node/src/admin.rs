//! The admin port: is the daemon alive, is it ready, what is it doing. Loopback only, read only, and without values:
//! names, states, counts and bytes.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use banyan_protocols::party::PartyId;
use serde::{Deserialize, Serialize};
use tokio::net::TcpListener;

/// The file in the home that names the port of the running daemon.
pub const ADDR_FILE: &str = "admin.addr";

/// What the daemon says about itself. The services fill it in through [`AdminState`]; it is what `status` reads.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Snapshot {
    /// The party this node is.
    pub party: PartyId,
    /// The version of the program.
    pub version: String,
    /// The process.
    pub pid: u32,
    /// Seconds since the start.
    pub uptime_s: u64,
    /// What is not ready, by service, with the reason; empty when the node can run jobs.
    pub not_ready: BTreeMap<String, String>,
    /// Attempts by the phase they are in: `preparing`, `running`, `held`, …
    pub jobs: BTreeMap<String, u64>,
    /// Bytes sent to peers in finished attempts since the start, before sealing.
    pub bytes_out: u64,
    /// Bytes received from peers in finished attempts since the start, before sealing.
    pub bytes_in: u64,
    /// Runs spent since the start.
    pub runs_spent: u64,
    /// Records in the audit log.
    pub log_records: u64,
    /// How far this clock is ahead of the coordinator's, in milliseconds; none before the first welcome.
    pub clock_ahead_ms: Option<i64>,
}

/// The daemon's word on itself, shared by its services. Cheap to clone.
#[derive(Clone, Debug)]
pub struct AdminState(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    started: Instant,
    snapshot: Mutex<Snapshot>,
}

/// A bound admin port, not yet served.
#[derive(Debug)]
pub struct Admin {
    listener: TcpListener,
    state: AdminState,
    addr_file: PathBuf,
}

/// Why there is no admin port.
#[derive(Debug, thiserror::Error)]
pub enum AdminError {
    /// An address that others could reach.
    #[error(
        "admin = \"{0}\" in config.toml is not a loopback address: the admin port has no password, so it stays on this \
         machine; write admin = \"127.0.0.1:0\" and read it from elsewhere through ssh -L"
    )]
    NotLoopback(SocketAddr),
    /// A port that is in use.
    #[error(
        "the admin port {addr} is taken by another program ({error}); write admin = \"127.0.0.1:0\" in config.toml for \
         any free one"
    )]
    Taken {
        /// The address.
        addr: SocketAddr,
        /// What the system said.
        error: io::Error,
    },
    /// The home cannot be written.
    #[error("cannot write {path}: {error}; the daemon must own its home")]
    AddrFile {
        /// The file.
        path: PathBuf,
        /// What the system said.
        error: io::Error,
    },
}

impl AdminState {
    /// The state of a daemon that has just started. A service that is not ready says so at once.
    pub fn new(party: PartyId) -> Self {
        let snapshot = Snapshot {
            party,
            version: env!("CARGO_PKG_VERSION").into(),
            pid: std::process::id(),
            uptime_s: 0,
            not_ready: BTreeMap::new(),
            jobs: BTreeMap::new(),
            bytes_out: 0,
            bytes_in: 0,
            runs_spent: 0,
            log_records: 0,
            clock_ahead_ms: None,
        };
        Self(Arc::new(Inner { started: Instant::now(), snapshot: Mutex::new(snapshot) }))
    }

    /// Changes what the daemon says. Short: nothing else is said meanwhile.
    pub fn update(&self, change: impl FnOnce(&mut Snapshot)) {
        change(&mut self.0.snapshot.lock().unwrap_or_else(PoisonError::into_inner));
    }

    /// `service` can do its part.
    pub fn ready(&self, service: &str) {
        self.update(|snapshot| {
            snapshot.not_ready.remove(service);
        });
    }

    /// `service` cannot do its part, and why: no values, no secrets.
    pub fn not_ready(&self, service: &str, reason: impl Into<String>) {
        self.update(|snapshot| {
            snapshot.not_ready.insert(service.into(), reason.into());
        });
    }

    /// What the daemon says now.
    pub fn snapshot(&self) -> Snapshot {
        let mut snapshot = self.0.snapshot.lock().unwrap_or_else(PoisonError::into_inner).clone();
        snapshot.uptime_s = self.0.started.elapsed().as_secs();
        snapshot
    }
}

impl Admin {
    /// Binds the port and writes its address to `admin.addr` in `home`.
    ///
    /// # Errors
    /// [`AdminError`] where the address is no loopback address, is taken, or the home cannot be written.
    pub async fn bind(home: &Path, addr: SocketAddr, state: AdminState) -> Result<Self, AdminError> {
        if !addr.ip().is_loopback() {
            return Err(AdminError::NotLoopback(addr));
        }
        let taken = |error| AdminError::Taken { addr, error };
        let listener = TcpListener::bind(addr).await.map_err(taken)?;
        let bound = listener.local_addr().map_err(taken)?;
        let addr_file = home.join(ADDR_FILE);
        std::fs::write(&addr_file, bound.to_string())
            .map_err(|error| AdminError::AddrFile { path: addr_file.clone(), error })?;
        Ok(Self { listener, state, addr_file })
    }

    /// Answers until `stop`, then takes the address file away.
    pub async fn run(self, stop: impl Future<Output = ()> + Send + 'static) {
        let served = axum::serve(self.listener, routes(self.state)).with_graceful_shutdown(stop).await;
        if let Err(error) = served {
            tracing::warn!(%error, "the admin port stopped");
        }
        // a file that stays says a daemon runs; `status` finds out that it does not
        let _ = std::fs::remove_file(&self.addr_file);
    }
}

fn routes(state: AdminState) -> Router {
    Router::new()
        .route("/livez", get(async || "alive\n"))
        .route("/readyz", get(readyz))
        .route("/metrics", get(async |State(state): State<AdminState>| metrics(&state.snapshot()).into_response()))
        .route("/status", get(status))
        .with_state(state)
}

async fn readyz(State(state): State<AdminState>) -> Response {
    let not_ready = state.snapshot().not_ready;
    if not_ready.is_empty() {
        return "ready\n".into_response();
    }
    let reasons: String = not_ready.iter().map(|(service, reason)| format!("{service}: {reason}\n")).collect();
    (StatusCode::SERVICE_UNAVAILABLE, reasons).into_response()
}

async fn status(State(state): State<AdminState>) -> Response {
    match serde_json::to_string(&state.snapshot()) {
        Ok(body) => ([(header::CONTENT_TYPE, "application/json")], body).into_response(),
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

/// Prometheus text, format 0.0.4.
fn metrics(snapshot: &Snapshot) -> impl IntoResponse + use<> {
    let mut out = String::new();
    let mut figure = |name: &str, kind: &str, help: &str, value: &dyn std::fmt::Display| {
        let _ = writeln!(out, "# HELP banyan_{name} {help}\n# TYPE banyan_{name} {kind}\nbanyan_{name} {value}");
    };
    figure("ready", "gauge", "1 when the node can run jobs", &u8::from(snapshot.not_ready.is_empty()));
    figure("uptime_seconds", "gauge", "Seconds since the start", &snapshot.uptime_s);
    figure("bytes_out_total", "counter", "Bytes sent to peers in finished attempts", &snapshot.bytes_out);
    figure("bytes_in_total", "counter", "Bytes received from peers in finished attempts", &snapshot.bytes_in);
    figure("runs_spent_total", "counter", "Runs spent since the start", &snapshot.runs_spent);
    figure("audit_records", "gauge", "Records in the audit log", &snapshot.log_records);
    if let Some(ahead_ms) = snapshot.clock_ahead_ms {
        let help = "How far this clock is ahead of the coordinator's";
        figure("clock_ahead_seconds", "gauge", help, &(ahead_ms as f64 / 1000.0));
    }
    out.push_str("# HELP banyan_attempts Attempts by phase\n# TYPE banyan_attempts gauge\n");
    for (phase, count) in &snapshot.jobs {
        // phases are words of this program: nothing to escape
        let _ = writeln!(out, "banyan_attempts{{phase=\"{phase}\"}} {count}");
    }
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], out)
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    async fn ask(addr: &str, path: &str) -> String {
        let mut socket = tokio::net::TcpStream::connect(addr).await.unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
        socket.write_all(request.as_bytes()).await.unwrap();
        let mut reply = String::new();
        socket.read_to_string(&mut reply).await.unwrap();
        reply
    }

    #[tokio::test]
    async fn it_says_what_the_services_say() {
        let home = tempfile::tempdir().unwrap();
        let state = AdminState::new(PartyId::new("bank").unwrap());
        let admin = Admin::bind(home.path(), "127.0.0.1:0".parse().unwrap(), state.clone()).await.unwrap();
        let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
        let server = tokio::spawn(admin.run(async { drop(stopped.await) }));
        let addr = std::fs::read_to_string(home.path().join(ADDR_FILE)).unwrap();

        state.not_ready("coordinator", "not connected yet");
        assert!(ask(&addr, "/livez").await.ends_with("\r\n\r\nalive\n"));
        let reply = ask(&addr, "/readyz").await;
        assert!(
            reply.starts_with("HTTP/1.1 503") && reply.ends_with("\r\n\r\ncoordinator: not connected yet\n"),
            "{reply}"
        );
        state.ready("coordinator");
        state.update(|snapshot| {
            snapshot.jobs.insert("running".into(), 2);
        });
        assert!(ask(&addr, "/readyz").await.ends_with("\r\n\r\nready\n"));
        let reply = ask(&addr, "/metrics").await;
        assert!(reply.contains("\nbanyan_ready 1\n") && reply.ends_with("banyan_attempts{phase=\"running\"} 2\n"));
        let reply = ask(&addr, "/status").await;
        let body = reply.split_once("\r\n\r\n").unwrap().1;
        assert_eq!(serde_json::from_str::<Snapshot>(body).unwrap().jobs["running"], 2);

        stop.send(()).unwrap();
        server.await.unwrap();
        assert!(!home.path().join(ADDR_FILE).exists());
    }

    #[tokio::test]
    async fn others_cannot_reach_it_and_two_cannot_share_it() {
        let home = tempfile::tempdir().unwrap();
        let state = AdminState::new(PartyId::new("bank").unwrap());
        let open = Admin::bind(home.path(), "0.0.0.0:0".parse().unwrap(), state.clone()).await.unwrap_err();
        assert_eq!(
            open.to_string(),
            "admin = \"0.0.0.0:0\" in config.toml is not a loopback address: the admin port has no password, so it \
             stays on this machine; write admin = \"127.0.0.1:0\" and read it from elsewhere through ssh -L"
        );
        let other = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let taken = Admin::bind(home.path(), other.local_addr().unwrap(), state).await.unwrap_err().to_string();
        assert!(taken.starts_with("the admin port 127.0.0.1:") && taken.contains("is taken by another program"));
    }
}
