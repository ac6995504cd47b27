//! When a person or a service manager wants this process to end.

use tokio::signal::unix::{SignalKind, signal};

/// Waits for ctrl-c, or for the request to end that service managers send.
pub(crate) async fn asked_to_stop() {
    tokio::select! {
        Ok(()) = tokio::signal::ctrl_c() => {}
        () = received(SignalKind::terminate()) => {}
    }
}

/// Waits for the terminal to go away.
pub(crate) async fn left_alone() {
    received(SignalKind::hangup()).await;
}

async fn received(kind: SignalKind) {
    match signal(kind) {
        Ok(mut signals) => {
            signals.recv().await;
        }
        // no handler: then the signal ends this process by itself
        Err(_) => std::future::pending().await,
    }
}
