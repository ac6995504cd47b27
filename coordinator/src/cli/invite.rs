//! `banyan invite`: one line that lets one node, one developer or one authority in, once.

use std::time::Duration;

use banyan_proto::invite::InviteRole;
use banyan_protocols::party::PartyId;
use clap::Args;
use serde_json::json;

use super::answer::{Answer, Failure};
use super::serve::{CoordinatorHome, failure};
use crate::service::Handle;

/// Flags of `invite`.
#[derive(Args)]
#[command(after_help = "Examples:
  banyan invite bank                   # for a node: banyan-node join …
  banyan invite li-lei --developer     # for a developer: banyan join …
  banyan invite data-bureau --authority
  banyan invite bank --hours 1

The line holds the coordinator's address and key and a secret that works once. Send it like a password, to the one who \
shall have that name. It is kept nowhere: if it is lost, make another.")]
pub(crate) struct InviteArgs {
    /// The name it gets: a-z, 0-9 and '-'. Specs and peers will use it
    #[arg(value_parser = party)]
    name: PartyId,
    /// For a developer's command line, not for a node
    #[arg(long)]
    developer: bool,
    /// For an authority: it sees every job, reviews scenarios, and stops jobs
    #[arg(long, conflicts_with = "developer")]
    authority: bool,
    /// How long it may wait before it is used
    #[arg(long, default_value_t = 48, value_parser = clap::value_parser!(u64).range(1..=720))]
    hours: u64,
    #[command(flatten)]
    home: CoordinatorHome,
}

fn party(text: &str) -> Result<PartyId, String> {
    PartyId::new(text).map_err(|error| error.to_string())
}

/// Runs the command.
pub(crate) fn run(args: InviteArgs) -> Result<Answer, Failure> {
    let handle = Handle::open(&args.home.path()?).map_err(failure)?;
    let role = match (args.developer, args.authority) {
        (true, _) => InviteRole::Developer,
        (_, true) => InviteRole::Authority,
        _ => InviteRole::Node,
    };
    let valid_for = Duration::from_secs(args.hours * 3600);
    let invite = handle.invite(args.name, role, valid_for).map_err(failure)?;
    let token = invite.to_token();
    let program = if role == InviteRole::Node { "banyan-node" } else { "banyan" };
    let text = format!(
        "{}\n\nfor {} ({}), once, within {} hours:\n  {program} join TOKEN\nthe coordinator's key: {}",
        token.as_str(),
        invite.name,
        role.name(),
        args.hours,
        handle.key().fingerprint()
    );
    let json = json!({
        "token": token.as_str(), "name": invite.name, "role": role.name(), "hours": args.hours,
        "fingerprint": handle.key().fingerprint(),
    });
    Ok(Answer::yes(text, json))
}
