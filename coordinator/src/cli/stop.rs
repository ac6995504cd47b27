//! When a person or a service manager wants this process to end.

use tokio::signal::unix::{SignalKind, signal};

/// Waits for ctrl-c, or for the request to end that service managers send.
pub(crate) async fn asked_to_stop() {
    let terminated = async {
        match signal(SignalKind::terminate()) {
            Ok(mut terminated) => {
                terminated.recv().await;
            }
            // no handler: then the signal ends this process by itself
            Err(_) => std::future::pending().await,
        }
    };
    tokio::select! {
        Ok(()) = tokio::signal::ctrl_c() => {}
        () = terminated => {}
    }
}
