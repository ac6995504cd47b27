//! A slow line between two processes of one machine: a TCP proxy on loopback that delays and rations bytes.
//!
//! What it models: the one-way latency and the bandwidth of each direction, shared by all connections in that direction.
//! Not modelled: loss, congestion, packet headers. The timer ticks in milliseconds, so shorter waits are left out: a
//! latency below it (`lan`: 0.1 ms) is not felt, its bandwidth is.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use banyan_protocols::sim::Net;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep_until};

use crate::cli::answer::Failure;

/// Bytes per read: small against a second of the slowest line, large against the cost of a read.
const CHUNK: usize = 16 * 1024;
/// Chunks under way in one connection: enough for a second of latency at 1 Gbit/s.
const UNDER_WAY: usize = 8192;
/// The resolution of the timer.
const TICK: Duration = Duration::from_millis(1);

/// One direction between two parties: when it is free for the next byte.
#[derive(Clone)]
pub(crate) struct Line {
    net: Net,
    free: Arc<Mutex<Instant>>,
}

/// A running proxy. Dropped, it stops.
pub(crate) struct Proxy {
    addr: SocketAddr,
    accepts: JoinHandle<()>,
}

impl Line {
    /// An empty line.
    pub(crate) fn new(net: Net) -> Self {
        Self { net, free: Arc::new(Mutex::new(Instant::now())) }
    }

    /// When `bytes` that are ready now have left, and when they arrive.
    fn send(&self, bytes: usize) -> (Instant, Instant) {
        let mut free = self.free.lock().unwrap_or_else(PoisonError::into_inner);
        let left = (*free).max(Instant::now()) + self.net.transmission(bytes);
        *free = left;
        (left, left + self.net.latency)
    }
}

impl Proxy {
    /// Starts a proxy to `target`: bytes to it go over `towards`, bytes from it over `back`.
    ///
    /// # Errors
    /// [`Failure::NotNow`] where no port is free.
    pub(crate) async fn start(target: &str, towards: Line, back: Line) -> Result<Self, Failure> {
        let failed = |error: std::io::Error| Failure::not_now(format!("no slow line to {target}: {error}"));
        let listener = TcpListener::bind("127.0.0.1:0").await.map_err(failed)?;
        let addr = listener.local_addr().map_err(failed)?;
        let target = target.to_owned();
        let accepts = tokio::spawn(async move {
            // a failed accept or dial is seen by the node as a lost peer, which is what it is
            while let Ok((near, _)) = listener.accept().await {
                let Ok(far) = TcpStream::connect(&target).await else { continue };
                if near.set_nodelay(true).is_err() || far.set_nodelay(true).is_err() {
                    continue;
                }
                let ((near_read, near_write), (far_read, far_write)) = (near.into_split(), far.into_split());
                pump(near_read, far_write, towards.clone());
                pump(far_read, near_write, back.clone());
            }
        });
        Ok(Self { addr, accepts })
    }

    /// The address to dial instead of the target's.
    pub(crate) fn url(&self) -> String {
        self.addr.to_string()
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.accepts.abort();
    }
}

/// Carries one direction of one connection until either end closes it.
fn pump(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, line: Line) {
    let (sent, mut arrives) = mpsc::channel::<(Instant, Vec<u8>)>(UNDER_WAY);
    tokio::spawn(async move {
        let mut chunk = vec![0; CHUNK];
        while let Ok(n @ 1..) = from.read(&mut chunk).await {
            let (left, arrived) = line.send(n);
            wait_until(left).await;
            if sent.send((arrived, chunk[..n].to_vec())).await.is_err() {
                return;
            }
        }
    });
    tokio::spawn(async move {
        while let Some((arrived, bytes)) = arrives.recv().await {
            wait_until(arrived).await;
            if to.write_all(&bytes).await.is_err() {
                return;
            }
        }
        // an end that is gone already needs no good-bye
        let _ = to.shutdown().await;
    });
}

async fn wait_until(time: Instant) {
    if time > Instant::now() + TICK {
        sleep_until(time).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn bytes_arrive_whole_late_and_rationed() {
        let net = Net { latency: Duration::from_millis(50), bandwidth: Some(1_000_000) };
        let server = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let target = server.local_addr().unwrap().to_string();
        let proxy = Proxy::start(&target, Line::new(net), Line::new(net)).await.unwrap();
        let sent: Vec<u8> = (0..200_000_u32).map(|i| (i % 251) as u8).collect();
        let begun = Instant::now();
        let mut client = TcpStream::connect(proxy.url()).await.unwrap();
        let (mut accepted, _) = server.accept().await.unwrap();
        let echo = tokio::spawn(async move {
            let mut all = Vec::new();
            accepted.read_to_end(&mut all).await.unwrap();
            accepted.write_all(&all[..1]).await.unwrap();
            all
        });
        client.write_all(&sent).await.unwrap();
        client.shutdown().await.unwrap();
        assert_eq!(client.read_u8().await.unwrap(), sent[0]);
        // 200 kB at 1 MB/s, then half of the round trip twice
        let (took, least) = (begun.elapsed(), Duration::from_millis(300));
        assert!(took >= least, "{took:?}");
        assert!(took < Duration::from_secs(30), "{took:?}: the line does not end");
        assert_eq!(echo.await.unwrap(), sent);
    }
}
