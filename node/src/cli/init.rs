//! `banyan-node init`: the home of a node, its keys, an empty catalogue, and the first record of its log.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::str::FromStr;

use crate::audit::Log;
use crate::config::{Config, Home};
use crate::keys::{self, KeyError};
use crate::{disk, store::Store};
use banyan_proto::identity::Identity;
use banyan_protocols::party::PartyId;
use clap::Args;
use serde_json::json;

use super::answer::{Answer, Failure};
use super::parse::{address, party};

/// What a new catalogue says.
const CATALOG: &str = "\
# The data sets of this node. `banyan-node data scan` and `data add` write them here; grade every column by hand:
# level 1 (open) to 4 (most sensitive); columns of level 3 and 4 can be keys, they never enter a result.
";

/// Make a node: its home, its keys, its log
///
/// Makes two keys. The identity is who this node is: TLS and signatures. The approver key is who allows scenarios: the
/// daemon knows its public half only, and the private half may be moved off this machine at once.
#[derive(Args)]
#[command(after_help = "\
Examples:
  banyan-node init --name tax --data /srv/tables
  banyan-node init --name bank --listen 0.0.0.0:7440 --url bank.example:7440")]
pub(crate) struct Init {
    /// What specs, peers and the coordinator call this node: a-z, 0-9 and '-'
    #[arg(long, value_parser = party)]
    name: PartyId,
    /// The one directory that data sets lie under; the default is `data` in the home
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Where peers can dial this node; `none`: it only dials out, and frames travel sealed through the relay
    #[arg(long, value_name = "IP:PORT|none", default_value = "none")]
    listen: Listen,
    /// The address that others dial, where it is not the one of --listen
    #[arg(long, value_name = "HOST:PORT", value_parser = address)]
    url: Option<String>,
}

#[derive(Clone, Debug)]
struct Listen(Option<SocketAddr>);

impl FromStr for Listen {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "none" => Ok(Self(None)),
            text => text.parse().map(|addr| Self(Some(addr))).map_err(
                |_| "expected an address of this machine and a port such as 0.0.0.0:7440 (all) or [::]:7440, or none",
            ),
        }
    }
}

impl Init {
    pub(crate) fn run(self, home: &Home) -> Result<Answer, Failure> {
        if home.config().exists() {
            return Err(Failure::input(format!(
                "{} holds a node already, and a node is made once; give another --home, or go on with `banyan-node check`",
                home.root().display()
            )));
        }
        let unwritable = |error: io::Error| {
            Failure::not_now(format!("{}: {error}; give a --home that this user may write", home.root().display()))
        };
        home.create().map_err(unwritable)?;
        let mut config = Config::new(self.name);
        config.listen = self.listen.0;
        config.url = self.url;
        if let Some(dir) = self.data {
            config.data_dir = dir.canonicalize().map_err(|error| {
                Failure::input(format!("--data {}: {error}; give the directory that holds the tables", dir.display()))
            })?;
        }
        // an init that was cut short left keys behind: they are the node's
        let me = made_or_there(keys::create_identity(home), || keys::identity(home))?;
        let approver = made_or_there(keys::create_approver(home), || keys::approver(home))?;
        config.approvers = vec![approver.public()];
        if !home.catalog().exists() {
            disk::create(&home.catalog(), CATALOG.as_bytes(), disk::PRIVATE_FILE).map_err(unwritable)?;
        }
        drop(Store::open(home)?);
        // begins the log with the key that signs it
        drop(Log::open(home, &config.name)?);
        // last: a home with a config is a whole one
        config.save(home)?;
        Ok(answer(home, &config, &me, &approver))
    }
}

fn made_or_there(
    made: Result<Identity, KeyError>,
    there: impl FnOnce() -> Result<Identity, KeyError>,
) -> Result<Identity, Failure> {
    match made {
        Err(KeyError::Exists { .. }) => Ok(there()?),
        made => Ok(made?),
    }
}

fn answer(home: &Home, config: &Config, me: &Identity, approver: &Identity) -> Answer {
    let fingerprint = me.public().fingerprint();
    let approver_file = home.approver();
    let reached = match (&config.listen, &config.url) {
        (None, _) => "no port is open: this node only dials out".to_owned(),
        (Some(listen), None) => format!("peers dial {listen}"),
        (Some(listen), Some(url)) if listen.to_string() == *url => format!("peers dial {listen}"),
        (Some(listen), Some(url)) => format!("peers dial {url}, which leads to {listen}"),
    };
    let text = format!(
        "\
This node is {name}. Its home is {home}.

  fingerprint   {fingerprint}
                tell it to the other departments by phone or in person
  approver key  {approver}
                its private half is {approver_file}; move it to the approver's own machine or stick
  data          {data}
  network       {reached}

Next:
  banyan-node data scan               register the tables in the data directory, then grade their columns
  banyan-node join TOKEN              with the invite that the operator gave you
  banyan-node check                   see what is still missing
",
        name = config.name,
        home = home.root().display(),
        approver = approver.public(),
        approver_file = approver_file.display(),
        data = config.data_dir(home).display(),
    );
    let object = json!({
        "name": config.name,
        "home": home.root(),
        "key": me.public(),
        "fingerprint": fingerprint,
        "approver": approver.public(),
        "approver_file": approver_file,
        "data_dir": config.data_dir(home),
        "listen": config.listen,
        "url": config.url,
    });
    Answer::yes(text, object)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn listen_says_what_it_wants() {
        assert_eq!("none".parse::<Listen>().map(|listen| listen.0), Ok(None));
        assert_eq!("[::]:7440".parse::<Listen>().map(|listen| listen.0.map(|addr| addr.port())), Ok(Some(7440)));
        assert!("bank.example:7440".parse::<Listen>().unwrap_err().contains("0.0.0.0:7440"));
    }
}
