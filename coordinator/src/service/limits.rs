//! Every limit of the service, with its reason.

use std::time::Duration;

/// What one stream may have on its way unread: one full frame of a relayed step.
pub(crate) const STREAM_WINDOW: u32 = 1 << 20;

/// What all streams of one connection may have on their way unread. With `RELAYS_UNREAD_MAX` relayed steps open,
/// all unread, one stream's window is still free for the standing line.
pub(crate) const CONNECTION_WINDOW: u32 = 16 << 20;

/// Relayed steps that may be unread at once while one stream's window stays free: 16 MiB / 1 MiB − 1.
const RELAYS_UNREAD_MAX: usize = (CONNECTION_WINDOW / STREAM_WINDOW) as usize - 1;

/// Relayed steps that a party has open or waiting: those that its windows allow, and as many that are just closing.
pub(crate) const RELAYS_PER_PARTY_MAX: usize = 2 * RELAYS_UNREAD_MAX;

const _: () = assert!(RELAYS_PER_PARTY_MAX < STREAMS_MAX as usize);

/// Relayed steps that wait for their other end, of all parties together.
pub(crate) const RELAYS_WAITING_MAX: usize = 256;

/// How long a relayed step waits for its other end. A party may be computing up to the step, and has no line to say so.
pub(crate) const RELAY_WAIT: Duration = Duration::from_secs(600);

/// HTTP/2 streams of one connection: a standing line, relayed steps, and some calls. Above what relays may use, so that a
/// step never waits for one that waits for it. Each may hold one message of up to a MiB in memory.
pub(crate) const STREAMS_MAX: u32 = 48;

/// Connections of one member: a node has one, a developer one per command.
pub(crate) const CONNECTIONS_PER_KEY_MAX: usize = 8;

/// Connections of keys that are not registered, which can do nothing but join.
pub(crate) const STRANGERS_MAX: usize = 32;

/// How long a stranger may stay: a join takes a round trip.
pub(crate) const STRANGER_STAY: Duration = Duration::from_secs(30);

/// Bytes of a join request: a secret, a name and an address come to some hundred.
pub(crate) const JOIN_MAX: usize = 4 << 10;

/// Join attempts on one connection. A person who pastes the wrong line tries again with a new command.
pub(crate) const JOINS_PER_CONNECTION_MAX: u32 = 5;

/// Sockets that are still in their TLS handshake. More wait in the system's queue.
pub(crate) const HANDSHAKES_MAX: usize = 64;

/// A TLS handshake, or the first message of a stream, takes two round trips; this is for a bad line.
pub(crate) const HANDSHAKE_WAIT: Duration = Duration::from_secs(10);

/// A connection that answers no ping for so long is dead.
pub(crate) const KEEPALIVE: Duration = Duration::from_secs(20);

/// A standing line without a report for so long is dead: nodes pulse every 15 seconds.
pub(crate) const SILENCE_MAX: Duration = Duration::from_secs(60);

/// Instructions that wait for a node to read them. A node that lets them pile up is cut off; it hears all it needs again
/// when it comes back.
pub(crate) const INSTRUCTIONS_MAX: usize = 256;

/// A clock that is further off than this is not used to run jobs.
pub(crate) const CLOCK_OFF_MAX_MS: u64 = 60_000;

/// Bytes of a signed admission, checkpoint or approval, or of figures: all are a few hundred.
pub(crate) const EVIDENCE_MAX: usize = 8 * 1024;

/// Bytes of a spec: people read it, and its usual length is two KiB.
pub(crate) const SPEC_MAX: usize = 256 * 1024;

/// Reviews of one scenario in one capacity, each by another key. Which keys count is every node's own question.
pub(crate) const REVIEWS_MAX: u32 = 8;

/// A spec travels with the reviews of both capacities, and is shown with what both parties signed and measured.
const _: () = assert!(SPEC_MAX + (2 * REVIEWS_MAX as usize + 6) * EVIDENCE_MAX < banyan_proto::wire::MESSAGE_MAX);

/// Bytes of a published catalogue.
pub(crate) const CATALOGUE_MAX: usize = 64 * 1024;

/// Characters of a remark that one party makes and another reads.
pub(crate) const REMARK_MAX: usize = 300;

/// Bytes of specs, or of catalogues, in one answer: below the largest message, with room for the rest.
pub(crate) const ANSWER_MAX: usize = 768 * 1024;

/// Jobs that one answer lists, the last changed first. Others are asked for by their digest.
pub(crate) const LISTED_MAX: u32 = 256;

/// Members: all of them fit one message without their catalogues.
pub(crate) const MEMBERS_MAX: usize = 2000;

/// Watches of one caller: a person looks at a few jobs at once.
pub(crate) const WATCHES_PER_CALLER_MAX: usize = 16;

/// Watches of all callers together: each holds one answer.
pub(crate) const WATCHES_MAX: usize = 1024;

/// The shortest time between two words of a watch.
pub(crate) const WATCH_PAUSE: Duration = Duration::from_millis(50);

/// Parties whose progress is remembered; it is shown, and nothing rests on it.
pub(crate) const PROGRESS_MAX: usize = 4096;

/// How often the clock looks for jobs whose time has run out.
pub(crate) const CLOCK_TICK: Duration = Duration::from_millis(250);

/// How long open streams may take to close when the service stops.
pub(crate) const STOP_WAIT: Duration = Duration::from_secs(2);

/// Bytes of HTTP headers in one request: gRPC's own come to a few hundred.
pub(crate) const HEADERS_MAX: u32 = 8 << 10;

/// Streams reset by a client before the server saw them (the rapid reset attack): some are honest cancellations.
pub(crate) const RESETS_MAX: usize = 16;
