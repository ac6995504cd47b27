//! Every limit of the lines between nodes, with its reason.

use std::time::Duration;

/// What one step may have on its way unread. One full frame, so that a sender stays a frame ahead of its reader.
pub const STREAM_WINDOW: u32 = 1 << 20;

/// What all steps of one connection may have on their way unread.
pub const CONNECTION_WINDOW: u32 = 16 << 20;

/// Steps open at once on one line (the connection to a peer, or the one to the relay).
///
/// HTTP/2 gives each stream its own back-pressure, but unread streams eat the connection's window too: were as many
/// steps open as fill it, one more would stall silently, and the run with it. So one stream's window stays free:
/// 16 MiB / 1 MiB − 1 = 15, which carries every attempt that a node runs at once.
pub const STEPS_OPEN_MAX: usize = (CONNECTION_WINDOW / STREAM_WINDOW) as usize - 1;

const _: () = assert!(
    (STEPS_OPEN_MAX + 1) * STREAM_WINDOW as usize <= CONNECTION_WINDOW as usize,
    "one window stays free; on the line to the relay it is that of the standing line"
);

/// Steps that an attempt has open at once: the two of a protocol, and the next while these close.
pub const STEPS_PER_ATTEMPT_MAX: usize = 3;

/// Steps open at once with one peer through the relay, whose line all peers share: a peer that never ends its finished
/// steps leaves the others those of an attempt.
pub const RELAYED_STEPS_MAX: usize = STEPS_OPEN_MAX - STEPS_PER_ATTEMPT_MAX;

/// HTTP/2 streams of one connection. Never below [`STEPS_OPEN_MAX`], or a step would wait for one that waits for it;
/// twice that, since a finished step's stream takes a moment to close.
pub const STREAMS_MAX: u32 = 2 * STEPS_OPEN_MAX as u32;

/// Connections of one peer: one in use, and one that takes its place while the old one still dies.
pub const CONNECTIONS_PER_PEER_MAX: usize = 2;

/// Sockets that are still in their TLS handshake, of anybody. More wait in the system's queue.
pub const HANDSHAKES_MAX: usize = 64;

/// A TLS handshake and the first message of a stream take two round trips; this is for a bad line.
pub const HANDSHAKE_WAIT: Duration = Duration::from_secs(10);

/// How long an attempt waits for its connections before it says that it is ready: a handshake over a slow line, and no
/// more, since a peer that does not answer holds up the others.
pub const CONNECT_WAIT: Duration = Duration::from_secs(1);

/// Streams of all peers together whose session is not known here yet. A peer has [`STEPS_OPEN_MAX`] of them.
pub const STRANGERS_MAX: usize = 64;

/// The coordinator starts all parties of a job within a round trip; a stream whose session is unknown for so long
/// belongs to no job of this node.
pub const STRANGER_WAIT: Duration = Duration::from_secs(30);

/// Silence that means a dead peer. A living one sends a pulse every quarter of it, however busy it is.
pub const IDLE_MAX: Duration = Duration::from_secs(60);

/// How often a connection is asked whether it is there, at the least: a machine that computes may well be late by seconds.
pub const KEEPALIVE_MIN: Duration = Duration::from_secs(10);

/// How long a step waits for its peer to open it. A peer may be computing up to the step, and has no line to say so;
/// a dead one is noticed by the coordinator long before.
pub const ARRIVAL_MAX: Duration = Duration::from_secs(600);

/// How long a finished step keeps its stream for a living peer that has not read everything yet. As [`ARRIVAL_MAX`]: a
/// peer may compute before it reads.
pub const LINGER_MAX: Duration = ARRIVAL_MAX;

/// How long open streams may take to close when the node stops.
pub const STOP_WAIT: Duration = Duration::from_secs(2);

/// Bytes of HTTP headers in one request: gRPC's own come to a few hundred.
pub const HEADERS_MAX: u32 = 8 << 10;

/// Streams reset by a client before the server saw them (the rapid reset attack): some are honest cancellations.
pub const RESETS_MAX: usize = 16;
