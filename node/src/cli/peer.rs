//! `banyan-node peer`: which keys this node believes. The coordinator introduces, a person confirms.

use crate::config::Home;
use crate::store::Peer as Pinned;
use banyan_proto::audit::Act;
use banyan_proto::canonical::Digest;
use banyan_proto::identity::{Fingerprint, PublicKey};
use banyan_protocols::party::PartyId;
use clap::Subcommand;
use serde_json::json;

use super::answer::{Answer, Failure};
use super::evidence::{record, state};
use super::parse::{address, party};
use super::text::{row, table};

/// Pin the keys of other parties, or see and remove them
#[derive(Subcommand)]
pub(crate) enum Peer {
    /// Who is pinned, and who was introduced and waits for a confirmation
    #[command(after_help = "Example:\n  banyan-node peer list")]
    List,
    /// Pin an introduced party, by the fingerprint that it told you itself
    ///
    /// Ask the department by phone or in person for the fingerprint that its `banyan-node status` shows, and type it
    /// here. A key with another fingerprint is refused, whoever introduced it.
    #[command(after_help = "Example:\n  banyan-node peer confirm bank banyan:k3fa-…")]
    Confirm {
        /// The party
        #[arg(value_parser = party)]
        name: PartyId,
        /// Its fingerprint, from itself
        fingerprint: Fingerprint,
        /// Where to dial it, if not where the coordinator says
        #[arg(long, value_name = "HOST:PORT", value_parser = address)]
        url: Option<String>,
    },
    /// Pin a party by its key, without any coordinator
    #[command(after_help = "Example:\n  banyan-node peer add bank ed25519:mfrg… --url bank.example:7441")]
    Add {
        /// The party
        #[arg(value_parser = party)]
        name: PartyId,
        /// Its public key, from itself
        key: PublicKey,
        /// Where to dial it; without, frames go through the coordinator's relay
        #[arg(long, value_name = "HOST:PORT", value_parser = address)]
        url: Option<String>,
    },
    /// Stop believing a party: jobs with it are refused from now on
    #[command(after_help = "Example:\n  banyan-node peer remove bank")]
    Remove {
        /// The party
        #[arg(value_parser = party)]
        name: PartyId,
    },
}

impl Peer {
    pub(crate) fn run(self, home: &Home) -> Result<Answer, Failure> {
        match self {
            Self::List => list(home),
            Self::Confirm { name, fingerprint, url } => confirm(home, &name, &fingerprint, url),
            Self::Add { name, key, url } => pin(home, &name, &key, url),
            Self::Remove { name } => remove(home, &name),
        }
    }
}

fn list(home: &Home) -> Result<Answer, Failure> {
    let store = state(home)?;
    let (pinned, introduced) = (store.peers()?, store.introductions()?);
    let waiting: Vec<&Pinned> =
        introduced.iter().filter(|one| !pinned.iter().any(|peer| peer.name == one.name)).collect();
    let mut rows = vec![row(["PARTY", "STANDING", "URL", "FINGERPRINT"])];
    let mut entry = |peer: &Pinned, standing: &str| {
        let url = peer.url.as_deref().unwrap_or("(relay)");
        rows.push(row([peer.name.as_str(), standing, url, &peer.key.fingerprint().to_string()]));
        json!({
            "name": peer.name,
            "standing": standing,
            "url": peer.url,
            "key": peer.key,
            "fingerprint": peer.key.fingerprint(),
        })
    };
    let mut peers = Vec::new();
    for peer in &pinned {
        let swapped = introduced.iter().any(|other| other.name == peer.name && other.key != peer.key);
        peers.push(entry(peer, if swapped { "pinned; introduced with another key since" } else { "pinned" }));
    }
    peers.extend(waiting.into_iter().map(|peer| entry(peer, "introduced, not confirmed")));
    let text = match peers.len() {
        0 => "no peers yet: `banyan-node join` with an invite, or `banyan-node peer add NAME KEY`".to_owned(),
        _ => table(&rows),
    };
    Ok(Answer::yes(text, json!({ "peers": peers })))
}

fn confirm(home: &Home, name: &PartyId, fingerprint: &Fingerprint, url: Option<String>) -> Result<Answer, Failure> {
    let Some(peer) = state(home)?.introduced(name)? else {
        return Err(Failure::input(format!(
            "nobody introduced {name} to this node; join a coordinator that knows it, or pin its key with \
             `banyan-node peer add {name} KEY`"
        )));
    };
    let found = peer.key.fingerprint();
    if found != *fingerprint {
        return Err(Failure::refused(format!(
            "the key that was introduced for {name} has fingerprint {found}, not {fingerprint}; nothing was pinned: \
             either the fingerprint was typed wrong, or the coordinator gave another key than the party's own; ask the \
             party again, and tell the operator if the two still differ"
        )));
    }
    pin(home, name, &peer.key, url.or(peer.url))
}

fn pin(home: &Home, name: &PartyId, key: &PublicKey, url: Option<String>) -> Result<Answer, Failure> {
    let fingerprint = key.fingerprint();
    let store = state(home)?;
    record(home, Act::Pin, Digest::default(), &format!("pin {name} {fingerprint}"))?;
    if let Err(error) = store.pin_peer(name, key, url.as_deref()) {
        record(home, Act::Pin, Digest::default(), &format!("pin {name} {fingerprint}: not done"))?;
        return Err(error.into());
    }
    let way = url.as_deref().map_or("through the relay".to_owned(), |url| format!("at {url}"));
    let text = format!("{name} is pinned: {fingerprint}, reached {way}");
    Ok(Answer::yes(text, json!({ "name": name, "fingerprint": fingerprint, "key": key, "url": url })))
}

fn remove(home: &Home, name: &PartyId) -> Result<Answer, Failure> {
    let store = state(home)?;
    if store.pinned(name)?.is_none() {
        return Err(Failure::input(format!("{name} is not pinned; see `banyan-node peer list`")));
    }
    record(home, Act::Pin, Digest::default(), &format!("unpin {name}"))?;
    store.unpin(name)?;
    let text = format!("{name} is no longer believed; jobs with it are refused from now on");
    Ok(Answer::yes(text, json!({ "name": name })))
}
