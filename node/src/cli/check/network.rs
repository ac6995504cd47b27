//! Ports and reachability.

use std::net::{SocketAddr, TcpListener, ToSocketAddrs};

use crate::admin::Snapshot;
use crate::config::{Config, Coordinator as Pinned};
use crate::dial::{DialError, KEEPALIVE, pinned};
use crate::store::{Peer, Store};
use banyan_proto::identity::{Identity, PublicKey};
use futures::future::join_all;
use jiff::SignedDuration;

use super::line::Line;
use crate::cli::coordinator::{Coordinator, block_on};

/// The service that the daemon reports the coordinator's line under.
const COORDINATOR: &str = "coordinator";

/// Whether the daemon runs, and is ready.
pub(super) fn daemon(daemon: Option<&Snapshot>) -> Line {
    let Some(daemon) = daemon else {
        return Line::note("daemon", "does not run; `banyan-node up` starts it");
    };
    let mut not_ready = daemon.not_ready.iter().filter(|(service, _)| *service != COORDINATOR);
    match not_ready.next() {
        None => Line::good("daemon", format!("runs since {} s, process {}", daemon.uptime_s, daemon.pid)),
        Some((service, reason)) => {
            Line::bad("daemon", format!("runs, but {service} is not ready: {reason}"), "see its log on stderr")
        }
    }
}

/// Whether peers can dial in, if they should.
pub(super) fn listen(config: &Config, daemon: Option<&Snapshot>) -> Line {
    match config.listen {
        None => Line::good("listen", "no port is open: this node only dials out, through the coordinator's relay"),
        Some(addr) if daemon.is_some() => Line::good("listen", format!("{addr}, held by the running daemon")),
        Some(addr) => free("listen", addr),
    }
}

/// Whether others are told where to dial.
pub(super) fn url(config: &Config) -> Line {
    match (&config.url, config.listen) {
        (None, None) => Line::good("url", "none is needed"),
        (None, Some(addr)) if addr.ip().is_unspecified() => Line::note(
            "url",
            format!(
                "listen = \"{addr}\" names no one address, so others are not told where to dial and use the relay; write url"
            ),
        ),
        (None, Some(addr)) => Line::good("url", format!("{addr}, from listen")),
        (Some(url), None) => Line::bad(
            "url",
            format!("{url} is told to others, but this node does not listen"),
            "write listen = \"0.0.0.0:7440\" in config.toml, or take url out",
        ),
        (Some(url), Some(_)) => match url.to_socket_addrs().ok().and_then(|mut addrs| addrs.next()) {
            Some(addr) => Line::good("url", format!("{url}, here {addr}; whether others reach it only they can tell")),
            None => Line::note("url", format!("{url} is no name that this machine knows; others may")),
        },
    }
}

/// Whether the admin port is to be had.
pub(super) fn admin(config: &Config, daemon: Option<&Snapshot>) -> Line {
    match daemon {
        Some(_) => Line::good("admin port", "answers"),
        None if config.admin.port() == 0 => Line::good("admin port", "any free one, on loopback"),
        None => free("admin port", config.admin),
    }
}

fn free(name: &str, addr: SocketAddr) -> Line {
    match TcpListener::bind(addr) {
        Ok(_) => Line::good(name, format!("{addr} is free")),
        Err(error) => Line::bad(
            name,
            format!("{addr} cannot be had: {error}"),
            format!("find who has it with `ss -ltnp 'sport = :{}'`, or write another port in config.toml", addr.port()),
        ),
    }
}

/// The coordinator, by the running daemon's word.
pub(super) fn attended(daemon: &Snapshot) -> Line {
    match daemon.not_ready.get(COORDINATOR) {
        None => Line::good("coordinator", "attended by the running daemon"),
        Some(reason) => Line::bad("coordinator", reason.clone(), "the daemon dials again by itself; ask the operator"),
    }
}

/// The coordinator, by a greeting; and how far this clock is ahead of its.
pub(super) fn greet(
    config: &Config,
    coordinator: &Pinned,
    me: &Identity,
    catalogue: Vec<u8>,
) -> (Line, Option<SignedDuration>) {
    let url = config.url.clone().unwrap_or_default();
    let greeted = block_on(async {
        let mut dialled = Coordinator::dial(&coordinator.url, &coordinator.key, me).await?;
        dialled.clock_ahead(url, catalogue).await
    });
    match greeted {
        Ok(ahead) => {
            (Line::good("coordinator", format!("{} answers with its pinned key", coordinator.url)), Some(ahead))
        }
        Err(failure) => (Line::bad("coordinator", failure.to_string(), "no job can come before it is reached"), None),
    }
}

/// Who is believed and whether they answer, who waits to be believed, and whose introduction does not fit. All are dialled
/// at once.
pub(super) fn peers(store: &Store, me: Option<&Identity>) -> Vec<Line> {
    let (pinned, introduced) = match (store.peers(), store.introductions()) {
        (Ok(pinned), Ok(introduced)) => (pinned, introduced),
        (Err(error), _) | (_, Err(error)) => return vec![Line::bad("peers", error.to_string(), "no job can run")],
    };
    let asked = pinned.iter().map(|peer| {
        let introduced = introduced.iter().find(|other| other.name == peer.name);
        async move {
            match introduced {
                Some(other) if other.key != peer.key => swapped(peer, &other.key),
                other => reached(peer, other.and_then(|other| other.url.as_deref()), me).await,
            }
        }
    });
    let mut lines = match block_on(async { Ok(join_all(asked).await) }) {
        Ok(lines) => lines,
        Err(failure) => vec![Line::bad("peers", failure.to_string(), "they could not be dialled")],
    };
    let waiting = introduced.iter().filter(|one| !pinned.iter().any(|peer| peer.name == one.name));
    lines.extend(waiting.map(|peer| {
        let detail = format!("{0} is introduced, not confirmed: `banyan-node peer confirm {0} FINGERPRINT`", peer.name);
        Line::note("peer", detail)
    }));
    if lines.is_empty() {
        lines.push(Line::note("peers", "none yet: they come with `banyan-node join`, or `banyan-node peer add`"));
    }
    lines
}

fn swapped(peer: &Peer, other: &PublicKey) -> Line {
    Line::bad(
        "peer",
        format!("{} is pinned, and the coordinator now gives it another key, {}", peer.name, other.fingerprint()),
        format!(
            "ask {0}: with a new key, `banyan-node peer remove {0}` and confirm the new one; else tell the operator",
            peer.name
        ),
    )
}

/// Whether a pinned peer answers, where it is pinned or else where it was introduced.
async fn reached(peer: &Peer, introduced: Option<&str>, me: Option<&Identity>) -> Line {
    let (name, fingerprint) = (&peer.name, peer.key.fingerprint());
    let Some(url) = peer.url.as_deref().or(introduced) else {
        let detail = format!("{name} is pinned, {fingerprint}; it only dials out, so nobody can ask whether it is up");
        return Line::note("peer", detail);
    };
    let Some(me) = me else {
        return Line::note(
            "peer",
            format!("{name} is pinned, {fingerprint}; not dialled: this node has no key to show it"),
        );
    };
    let Err(error) = pinned(url, &peer.key, me, KEEPALIVE).await else {
        return Line::good("peer", format!("{name} answers at {url} with its pinned key, {fingerprint}"));
    };
    let hint = match &error {
        DialError::Unreachable { .. } => {
            "is its daemon up, and does a firewall let this machine dial it? `banyan-node peer add` with --url moves it"
                .to_owned()
        }
        DialError::OtherKey { .. } => format!(
            "somebody else answers there, or {name} has a new key: ask it, then `banyan-node peer remove {name}` and pin \
             the new one"
        ),
        DialError::Stranger { .. } => {
            format!(
                "{name} has not pinned this node: tell it this node's fingerprint, for its `banyan-node peer confirm`"
            )
        }
    };
    Line::bad("peer", format!("{name} is pinned, but {error}"), hint)
}

#[cfg(test)]
mod tests {
    use banyan_protocols::party::PartyId;

    use super::*;

    #[test]
    fn a_taken_port_is_named_with_the_command_that_finds_who_has_it() {
        let other = TcpListener::bind("127.0.0.1:0").unwrap();
        let addr = other.local_addr().unwrap();
        let mut config = Config::new(PartyId::new("tax").unwrap());
        config.listen = Some(addr);
        let line = listen(&config, None);
        assert!(line.is_bad());
        let expected = format!("✗ listen         {addr} cannot be had: Address already in use (os error 98)\n");
        assert!(line.text().starts_with(&expected), "{}", line.text());
        assert!(line.text().contains(&format!("`ss -ltnp 'sport = :{}'`", addr.port())));
    }

    #[test]
    fn a_url_without_a_port_behind_it_is_bad() {
        let mut config = Config::new(PartyId::new("tax").unwrap());
        assert!(!url(&config).is_bad());
        config.url = Some("tax.example:7440".into());
        assert!(url(&config).is_bad());
        config.listen = Some("0.0.0.0:7440".parse().unwrap());
        assert!(!url(&config).is_bad());
    }
}
