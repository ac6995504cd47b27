//! `banyan-node join`: redeems an invite, and learns whom the coordinator introduces.

use std::io::Read;

use crate::config::{Config, Coordinator as Pinned, Home};
use crate::keys;
use crate::store::{Peer, Store};
use banyan_proto::audit::Act;
use banyan_proto::canonical::Digest;
use banyan_proto::identity::PublicKey;
use banyan_proto::invite::{Invite, InviteRole};
use banyan_proto::wire;
use banyan_protocols::party::PartyId;
use clap::Args;
use serde_json::json;
use zeroize::Zeroizing;

use super::answer::{Answer, Failure};
use super::coordinator::{Coordinator, block_on};
use super::evidence::record;
use super::parse::{address, party};
use super::text::plain;

/// More than any invite has.
const TOKEN_MAX: u64 = 4096;

/// Redeem an operator's invite, once
///
/// The invite holds the coordinator's address, its key and a secret that works one time. The coordinator introduces the
/// other parties; it cannot vouch for them: confirm each fingerprint with the department itself before pinning it.
#[derive(Args)]
#[command(after_help = "\
Examples:
  banyan-node join banyan-invite:eyJ1cmwiOi…
  cat invite.txt | banyan-node join -        (keeps the secret out of the process list)")]
pub(crate) struct Join {
    /// The invite, as the operator gave it; - reads it from stdin
    #[arg(value_name = "TOKEN")]
    token: String,
}

impl Join {
    pub(crate) fn run(self, home: &Home) -> Result<Answer, Failure> {
        let mut config = Config::load(home)?;
        let me = keys::identity(home)?;
        let token = token(self.token)?;
        let invite: Invite = token.parse().map_err(Failure::input)?;
        suits(&invite, &config)?;
        let request = wire::JoinRequest {
            version: wire::VERSION,
            name: config.name.to_string(),
            secret: invite.secret.expose().to_vec().into(),
            url: config.url.clone().unwrap_or_default(),
        };
        let roster = block_on(async {
            let mut coordinator = Coordinator::dial(invite.url.as_str(), &invite.key, &me).await?;
            coordinator.join(request).await
        })?;
        // the secret is spent: whatever fails from here on, the coordinator must be in the config
        config.coordinator = Some(Pinned { url: invite.url.to_string(), key: invite.key });
        config.save(home)?;
        let fingerprint = invite.key.fingerprint();
        record(home, Act::Pin, Digest::default(), &format!("coordinator {} {fingerprint}", invite.url))?;
        let introduced = introduced(&Store::open(home)?, &config.name, roster)?;
        Ok(answer(&config, &invite, &introduced))
    }
}

fn token(argument: String) -> Result<Zeroizing<String>, Failure> {
    if argument != "-" {
        return Ok(Zeroizing::new(argument));
    }
    let mut token = Zeroizing::new(String::with_capacity(TOKEN_MAX as usize));
    let read = std::io::stdin().take(TOKEN_MAX).read_to_string(&mut token);
    read.map_err(|error| Failure::input(format!("no invite on stdin: {error}")))?;
    Ok(token)
}

/// Whether the invite is for this node, and this node has no other coordinator.
fn suits(invite: &Invite, config: &Config) -> Result<(), Failure> {
    if invite.role != InviteRole::Node {
        return Err(Failure::input(format!(
            "this invite is for the {} {}: redeem it with `banyan join`, or ask the operator for a node's",
            invite.role.name(),
            invite.name
        )));
    }
    if invite.name != config.name {
        return Err(Failure::input(format!(
            "this invite is for {}, this node is {}: ask the operator for one in this name",
            invite.name, config.name
        )));
    }
    match &config.coordinator {
        Some(pinned) if pinned.key != invite.key => Err(Failure::refused(format!(
            "this node attends the coordinator {} at {} already; if the operator confirms the new key {}, remove \
             [coordinator] from config.toml first",
            pinned.key.fingerprint(),
            pinned.url,
            invite.key.fingerprint()
        ))),
        _ => Ok(()),
    }
}

/// Keeps whom the coordinator introduced, apart from whom this node believes.
fn introduced(store: &Store, me: &PartyId, roster: Vec<wire::Introduction>) -> Result<Vec<Peer>, Failure> {
    let mut peers = Vec::new();
    // a developer has no node: there is nobody to compute with
    for introduction in roster.into_iter().filter(|one| one.role != InviteRole::Developer.name()) {
        let odd =
            || Failure::not_now("the coordinator introduced a party with an impossible name or key; tell the operator");
        let peer = Peer {
            name: party(&introduction.name).map_err(|_| odd())?,
            key: PublicKey::from_bytes(&introduction.key).map_err(|_| odd())?,
            url: match introduction.url.as_str() {
                "" => None,
                url => Some(address(url).map_err(|_| odd())?),
            },
        };
        if peer.name != *me {
            store.introduce(&peer.name, &peer.key, peer.url.as_deref())?;
            peers.push(peer);
        }
    }
    Ok(peers)
}

fn answer(config: &Config, invite: &Invite, introduced: &[Peer]) -> Answer {
    let fingerprint = invite.key.fingerprint();
    let mut text =
        format!("joined the coordinator at {} as {}; its key is pinned: {fingerprint}\n", invite.url, config.name);
    if introduced.is_empty() {
        text.push_str("\nIt introduced nobody yet; `banyan-node peer list` shows who comes later.\n");
    } else {
        text.push_str("\nIt introduced:\n");
        for peer in introduced {
            text.push_str(&format!("  {}  {}\n", plain(peer.name.as_str()), peer.key.fingerprint()));
        }
        text.push_str(
            "\nAsk each by phone or in person for its fingerprint (its `banyan-node status` shows it), and pin what it says:\n",
        );
        for peer in introduced {
            text.push_str(&format!("  banyan-node peer confirm {} banyan:…\n", peer.name));
        }
    }
    text.push_str("\nNext: banyan-node up\n");
    let introduced: Vec<_> = introduced
        .iter()
        .map(|peer| json!({ "name": peer.name, "key": peer.key, "fingerprint": peer.key.fingerprint(), "url": peer.url }))
        .collect();
    let object = json!({
        "name": config.name,
        "coordinator": { "url": invite.url.as_str(), "key": invite.key, "fingerprint": fingerprint },
        "introduced": introduced,
    });
    Answer::yes(text, object)
}
