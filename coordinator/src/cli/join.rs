//! `banyan join`: makes this user a developer at a coordinator, with one line that the operator handed out.

use std::io::Read;
use std::path::Path;

use banyan_proto::invite::{Invite, InviteRole};
use clap::Args;
use serde_json::json;

use super::answer::{Answer, Failure};
use super::client::Client;
use super::developer::{CoordinatorConfig, Developer, DeveloperConfig, HomeArg};

/// The longest line read from stdin: longer than any invite.
const LINE_MAX: u64 = 4096;

/// Flags of `join`.
#[derive(Args)]
#[command(after_help = "Examples:
  banyan join banyan-invite:eyJ1cmwiOi…
  pass show banyan-invite | banyan join -      (keeps the secret out of the process list)

The operator makes the line with `banyan invite NAME --developer`. It works once.")]
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

/// Redeems an invite into a developer's home.
///
/// # Errors
/// [`Failure`] names what is wrong with the invite, or what the coordinator said.
pub(crate) async fn join(invite: &Invite, home: &Path) -> Result<Answer, Failure> {
    if invite.role != InviteRole::Developer {
        return Err(Failure::input(format!(
            "this invite is for a node called {}: use it with `banyan-node join`; for a developer, ask for \
             `banyan invite NAME --developer`",
            invite.name
        )));
    }
    let identity = Developer::key(home)?;
    let mut client = Client::dial(&invite.url.to_string(), &invite.key, &identity).await?;
    client.join(invite.name.as_str(), invite.secret.expose()).await?;
    let coordinator = CoordinatorConfig { url: invite.url.to_string(), key: invite.key };
    let config = DeveloperConfig { name: invite.name.clone(), coordinator };
    Developer::save(home, &config)?;
    let fingerprint = identity.public().fingerprint();
    let text = format!(
        "joined {} as developer {}\nyour key: {fingerprint}\nnext: banyan job check --example > job.toml",
        invite.url, invite.name
    );
    Ok(Answer::yes(text, json!({ "name": invite.name, "url": invite.url.to_string(), "fingerprint": fingerprint })))
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
