//! Whether the daemon of this home runs, and what it says about itself: one short HTTP request to its admin port.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use crate::admin::Snapshot;
use crate::config::Home;

/// How long a daemon on this machine may take to answer.
const PATIENCE: Duration = Duration::from_secs(2);
/// The longest answer: a snapshot is under 2 KiB.
const REPLY_MAX: u64 = 64 * 1024;

/// The running daemon's word on itself; none where no daemon runs on this home.
///
/// The address file outlives a killed daemon and another program may have the port by now, so only an answer that is a
/// snapshot counts.
pub(crate) fn ask(home: &Home) -> Option<Snapshot> {
    let addr: SocketAddr = std::fs::read_to_string(home.admin_addr()).ok()?.trim().parse().ok()?;
    let mut socket = TcpStream::connect_timeout(&addr, PATIENCE).ok()?;
    socket.set_read_timeout(Some(PATIENCE)).ok()?;
    socket.set_write_timeout(Some(PATIENCE)).ok()?;
    socket.write_all(b"GET /status HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").ok()?;
    let mut reply = String::new();
    socket.take(REPLY_MAX).read_to_string(&mut reply).ok()?;
    let body = reply.strip_prefix("HTTP/1.1 200").and_then(|reply| reply.split_once("\r\n\r\n"))?.1;
    serde_json::from_str(body).ok()
}
