//! `banyan join`: makes this user a developer or an authority at a coordinator, with one line that the operator handed out.

use std::io::Read;
use std::path::Path;

use banyan_proto::invite::{Invite, InviteRole};
use clap::Args;
use serde_json::json;

use super::answer::{Answer, Failure};
use super::client::Client;
use super::developer::{CoordinatorConfig, Developer, DeveloperConfig, HomeArg};
use crate::home::Home;

/// The longest line read from stdin: longer than any invite.
const LINE_MAX: u64 = 4096;

/// Flags of `join`.
#[derive(Args)]
#[command(after_help = "Examples:
  banyan join banyan-invite:eyJ1cmwiOi…
  pass show banyan-invite | banyan join -      (keeps the secret out of the process list)

The operator makes the line with `banyan invite NAME --developer`, or --authority. It works once.")]
pub(crate) struct JoinArgs {
    /// The invite, as the operator gave it; - reads it from stdin
    token: String,
    #[command(flatten)]
    home: HomeArg,
}

/// Runs the command.
pub(crate) async fn run(args: JoinArgs) -> Result<Answer, Failure> {
    join(&read(&args.token)?, &args.home.path()?).await
}

/// Redeems an invite into a home of its own.
///
/// # Errors
/// [`Failure`] names what is wrong with the invite, or what the coordinator said.
pub(crate) async fn join(invite: &Invite, home: &Path) -> Result<Answer, Failure> {
    if invite.role == InviteRole::Node {
        return Err(Failure::input(format!(
            "this invite is for a node called {}: use it with `banyan-node join`; for a developer, ask for \
             `banyan invite NAME --developer`",
            invite.name
        )));
    }
    if Home::existing(home).state().is_file() {
        return Err(Failure::input(format!(
            "{} is a coordinator's home, with its key: give --home another directory",
            home.display()
        )));
    }
    if let Some(there) = Developer::joined(home)?.filter(|there| there.coordinator.key != invite.key) {
        return Err(Failure::input(format!(
            "{} is the home of {} at another coordinator, {}: give --home another directory",
            home.display(),
            there.name,
            there.coordinator.url
        )));
    }
    let identity = Developer::key(home)?;
    let mut client = Client::dial(&invite.url.to_string(), &invite.key, &identity).await?;
    client.join(invite.name.as_str(), invite.secret.expose()).await?;
    let coordinator = CoordinatorConfig { url: invite.url.to_string(), key: invite.key };
    let config = DeveloperConfig { name: invite.name.clone(), coordinator };
    Developer::save(home, &config)?;
    let fingerprint = identity.public().fingerprint();
    let (role, key) = (invite.role.name(), identity.public());
    let next = match invite.role {
        InviteRole::Authority => {
            "banyan job list; nodes that require your review have your whole key in their configuration"
        }
        _ => "banyan job check --example > job.toml",
    };
    let text = format!(
        "joined {} as {role} {}\nyour key: {fingerprint}\n          {key}\nnext: {next}",
        invite.url, invite.name
    );
    Ok(Answer::yes(
        text,
        json!({
            "name": invite.name, "role": role, "url": invite.url.to_string(), "key": key, "fingerprint": fingerprint,
        }),
    ))
}

fn read(token: &str) -> Result<Invite, Failure> {
    if token != "-" {
        return token.parse().map_err(Failure::input);
    }
    let mut line = zeroize::Zeroizing::new(String::new());
    let stdin = std::io::stdin().take(LINE_MAX).read_to_string(&mut line);
    stdin.map_err(|error| Failure::input(format!("stdin cannot be read: {error}")))?;
    line.parse().map_err(Failure::input)
}
