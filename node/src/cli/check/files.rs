//! What the home holds: keys, catalogue, log.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use crate::config::{Config, Home};
use crate::data::Catalog;
use crate::keys::{self, KeyError};
use banyan_proto::canonical::Canonical;
use banyan_proto::identity::Identity;
use banyan_proto::published::Published;
use jiff::Timestamp;

use super::line::Line;
use crate::audit::verify;
use crate::cli::text::grouped;

/// Whether the home is there and its owner's only.
pub(super) fn home(home: &Home) -> Line {
    let root = home.root();
    match fs::metadata(root) {
        Err(error) => Line::bad(
            "home",
            format!("{}: {error}", root.display()),
            "run `banyan-node init --name NAME`, or give the right --home",
        ),
        Ok(metadata) if metadata.permissions().mode() & 0o077 != 0 => Line::bad(
            "home",
            format!("{} is open to other users of this machine", root.display()),
            format!("run `chmod 700 {}`", root.display()),
        ),
        Ok(_) => Line::good("home", root.display().to_string()),
    }
}

/// Who this node is.
pub(super) fn identity(me: &Result<Identity, KeyError>) -> Line {
    match me {
        Ok(me) => Line::good("identity", me.public().fingerprint().to_string()),
        Err(error) => Line::bad("identity", error.to_string(), "without its key nobody knows this node"),
    }
}

/// Whether anybody can approve here.
pub(super) fn approver(home: &Home, config: &Config) -> Line {
    if config.approvers.is_empty() {
        let hint = "write the approver's public key into approvers = [\"ed25519:…\"] of config.toml";
        return Line::bad("approver", "no key counts: no job can ever run", hint);
    }
    let counts = match config.approvers.len() {
        1 => "1 key counts".to_owned(),
        many => format!("{many} keys count"),
    };
    match keys::approver(home) {
        Ok(key) if config.approvers.contains(&key.public()) => Line::good(
            "approver",
            format!("{counts}; a private half is in this home: move it away for a daemon that cannot approve"),
        ),
        Ok(key) => Line::bad(
            "approver",
            format!("{counts}, but the key in this home, {}, does not", key.public()),
            "write it into approvers of config.toml, or take it away",
        ),
        Err(KeyError::Missing { .. }) => Line::good("approver", format!("{counts}; no private half is in this home")),
        Err(error) => Line::bad("approver", error.to_string(), "an approver key is its person's only"),
    }
}

/// Every data set, read whole; and what of them others may know, as the coordinator gets it.
pub(super) fn data(home: &Home, config: &Config) -> (Vec<Line>, Vec<u8>) {
    let mut published = Published::default();
    let directory = config.data_dir(home);
    let catalog = match Catalog::load(&home.catalog(), &directory) {
        Ok(catalog) => catalog,
        Err(error) => {
            let line = Line::bad("data", error.to_string(), "correct the catalogue; jobs name data sets by it");
            return (vec![line], published.to_bytes());
        }
    };
    let mut lines = Vec::new();
    for set in catalog.iter() {
        match Catalog::new([(**set).clone()]).publish() {
            Ok(one) => {
                let band = one.datasets.first().map_or(0, |set| set.band.rows());
                let columns = set.columns.len();
                let detail = format!("{}: {columns} columns, at most {} rows", set.id, grouped(band));
                lines.push(Line::good("data", detail));
                published.datasets.extend(one.datasets);
            }
            Err(error) => {
                lines.push(Line::bad("data", format!("{}: {error}", set.id), "jobs over this data set would fail"));
            }
        }
    }
    if lines.is_empty() {
        let detail = format!("none registered: put tables into {}, then `banyan-node data scan`", directory.display());
        lines.push(Line::note("data", detail));
    }
    (lines, published.to_bytes())
}

/// The audit log, checked whole; and the time of its last record.
pub(super) fn audit(home: &Home, me: Option<&Identity>) -> (Line, Option<Timestamp>) {
    let Some(me) = me else {
        return (Line::note("audit log", "not checked: the node's key is needed for its checkpoint"), None);
    };
    match verify(&home.audit(), &me.public(), &[]) {
        Ok(verified) => {
            let detail = format!("{} records, none changed, removed, added or moved", grouped(verified.size));
            (Line::good("audit log", detail), verified.last.map(|last| last.0))
        }
        Err(error) => {
            let hint = "`banyan-node audit verify --receipt FILE` with the other parties' receipts tells more";
            (Line::bad("audit log", error.to_string(), hint), None)
        }
    }
}
