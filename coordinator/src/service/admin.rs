//! The admin port: alive, ready, and figures without names or values. Loopback only, since it asks nobody who they are.

use std::fmt::Write;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::get;

use super::desk::Desk;

/// The answers of the admin port.
pub(crate) fn routes(desk: Arc<Desk>) -> Router {
    Router::new()
        .route("/livez", get(async || "alive\n"))
        .route("/readyz", get(ready))
        .route("/metrics", get(metrics))
        .with_state(desk)
}

async fn ready(State(desk): State<Arc<Desk>>) -> (StatusCode, &'static str) {
    if *desk.stopping.borrow() {
        return (StatusCode::SERVICE_UNAVAILABLE, "stopping\n");
    }
    match desk.store.job_counts() {
        Ok(_) => (StatusCode::OK, "ready\n"),
        Err(error) => {
            tracing::error!(%error, "not ready");
            (StatusCode::SERVICE_UNAVAILABLE, "store: it cannot be read, the log says why\n")
        }
    }
}

async fn metrics(State(desk): State<Arc<Desk>>) -> (StatusCode, String) {
    let Ok(counts) = desk.store.job_counts() else { return (StatusCode::SERVICE_UNAVAILABLE, String::new()) };
    let mut out = String::new();
    let mut figure = |name: &str, kind: &str, help: &str, value: u64| {
        // writing to a text does not fail
        let _ = writeln!(out, "# HELP banyan_{name} {help}\n# TYPE banyan_{name} {kind}\nbanyan_{name} {value}");
    };
    figure("nodes_online", "gauge", "Nodes with a standing line", desk.online().len() as u64);
    figure("relay_ends", "gauge", "Ends of relayed steps, open or waiting", desk.relays.open_ends() as u64);
    figure("relayed_bytes_total", "counter", "Sealed bytes relayed", desk.relayed.load(Ordering::Relaxed));
    let _ = writeln!(out, "# HELP banyan_jobs Jobs by state\n# TYPE banyan_jobs gauge");
    for (state, count) in counts {
        let _ = writeln!(out, "banyan_jobs{{state=\"{}\"}} {count}", state.name());
    }
    (StatusCode::OK, out)
}
