//! `banyan-node audit`: the log, read and checked without the daemon and without trusting it.

use std::fs;
use std::path::{Path, PathBuf};

use banyan_proto::audit::{Checkpoint, Record};
use banyan_proto::canonical::{Canonical, Digest};
use banyan_proto::identity::{PublicKey, Signed};
use banyan_protocols::party::PartyId;
use clap::Subcommand;
use data_encoding::BASE64;
use serde_json::{Value, json};

use super::answer::{Answer, Failure};
use super::evidence::state;
use super::offers;
use super::parse::party;
use super::text::{grouped, plain, row, table};
use crate::audit::{AuditError, Verified, own_checkpoint, receipts_in, records, verify};
use crate::config::Home;
use crate::{disk, keys};

/// Read and check the audit log, offline
#[derive(Subcommand)]
pub(crate) enum Audit {
    /// Check the whole log: any edit, deletion, reorder or cut is found
    ///
    /// The records are checked against each other, against the checkpoint this node signed last, and against every
    /// receipt that another party holds of this log. Who changes records and signs anew is found by those receipts.
    #[command(after_help = "\
Examples:
  banyan-node audit verify
  banyan-node audit verify --receipt tax-at-bank.checkpoint      (see `audit receipt`, at the bank)
  banyan-node audit verify --log DIR --key ed25519:…        (an exported log, on any machine)")]
    Verify {
        /// A signed checkpoint of this log that another party kept; may be given several times
        #[arg(long = "receipt", value_name = "FILE")]
        receipts: Vec<PathBuf>,
        /// An exported log instead of the one in the home
        #[arg(long, value_name = "DIR", requires = "key")]
        log: Option<PathBuf>,
        /// The public key of the node whose log it is
        #[arg(long, value_name = "KEY", requires = "log")]
        key: Option<PublicKey>,
    },
    /// Show the records
    #[command(after_help = "\
Examples:
  banyan-node audit show
  banyan-node audit show --job fraud-check
  banyan-node --json audit show | jq '.records[] | select(.act == \"release\")'")]
    Show {
        /// Only records on this job, its scenario, or a digest
        #[arg(long)]
        job: Option<String>,
    },
    /// Show the last signed checkpoint: give it to others, who can then prove any later change
    #[command(after_help = "Example:\n  banyan-node audit checkpoint --out tax.checkpoint")]
    Checkpoint {
        /// Write the signed bytes to this file
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
    },
    /// Show the last signed checkpoint of another party's log that this node keeps: who checks that log needs it
    ///
    /// At the end of each job the parties exchange signed checkpoints of their logs. A party that writes its history anew
    /// is found by those that others keep.
    #[command(after_help = "Example:\n  banyan-node audit receipt tax --out tax-at-bank.checkpoint")]
    Receipt {
        /// The other party
        #[arg(value_parser = party)]
        party: PartyId,
        /// Write the signed bytes to this file
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
    },
    /// Copy the log and its checkpoint to a directory, for an auditor
    #[command(after_help = "Example:\n  banyan-node audit export /media/audit-2026")]
    Export {
        /// A new directory
        dir: PathBuf,
    },
}

impl Audit {
    pub(crate) fn run(self, home: &Home) -> Result<Answer, Failure> {
        match self {
            Self::Verify { receipts, log, key } => check(home, &receipts, log.as_deref(), key),
            Self::Show { job } => show(home, job.as_deref()),
            Self::Checkpoint { out } => checkpoint(home, out.as_deref()),
            Self::Receipt { party, out } => receipt(home, &party, out.as_deref()),
            Self::Export { dir } => export(home, &dir),
        }
    }
}

fn check(home: &Home, files: &[PathBuf], log: Option<&Path>, key: Option<PublicKey>) -> Result<Answer, Failure> {
    let key = match key {
        Some(key) => key,
        None => keys::identity(home)?.public(),
    };
    let directory = log.map_or_else(|| home.audit(), Path::to_path_buf);
    let mut receipts = Vec::new();
    for file in files {
        receipts.extend(receipts_in(file, &key).map_err(unusable)?);
    }
    match verify(&directory, &key, &receipts) {
        Ok(verified) => Ok(holds(&verified, &key)),
        Err(error @ (AuditError::File { .. } | AuditError::Key(_))) => Err(error.into()),
        Err(error) => {
            let text = format!("✗ the log does not hold\n  {error}\n");
            Ok(Answer::no(text, json!({ "key": key, "broken": error.to_string() })))
        }
    }
}

/// A receipt file that holds none of this log is the caller's mistake, not the log's fault.
fn unusable(error: AuditError) -> Failure {
    match error {
        AuditError::Unreadable { file } => Failure::input(format!(
            "{} holds no receipt of this log; give a checkpoint that another party keeps of it, from its `banyan-node \
             audit receipt`",
            file.display()
        )),
        error => Failure::input(error),
    }
}

fn holds(verified: &Verified, key: &PublicKey) -> Answer {
    let mut text = format!(
        "✓ the log of {} holds: {} records, none changed, removed, added or moved\n  root {}\n",
        verified.party,
        grouped(verified.size),
        verified.root
    );
    text.push_str(&match verified.receipts {
        0 => {
            "  no receipts given: a history written anew and signed with the node's own key would not be noticed; ask \
              the other parties for theirs\n"
                .to_owned()
        }
        1 => "  agrees with 1 receipt of another party\n".to_owned(),
        many => format!("  agrees with {many} receipts of other parties\n"),
    });
    if verified.torn > 0 {
        text.push_str(&format!(
            "  its last line was torn by a kill, {} bytes: it was never acknowledged, and is cut at the next start\n",
            verified.torn
        ));
    }
    let object = json!({
        "party": verified.party,
        "key": key,
        "records": verified.size,
        "root": verified.root,
        "last": verified.last,
        "receipts": verified.receipts,
        "torn": verified.torn,
    });
    Answer::yes(text, object)
}

fn show(home: &Home, job: Option<&str>) -> Result<Answer, Failure> {
    let subjects = job.map(|job| subjects(home, job)).transpose()?;
    let all = records(&home.audit())?;
    let wanted: Vec<&Record> = all
        .iter()
        .filter(|record| subjects.as_ref().is_none_or(|subjects| subjects.contains(&record.subject)))
        .collect();
    let mut rows = vec![row(["SEQ", "AT", "ACT", "SUBJECT", "ACTOR", "OUTCOME"])];
    let objects: Vec<Value> = wanted
        .iter()
        .map(|record| {
            let subject = if record.subject == Digest::default() { String::new() } else { record.subject.short() };
            let at = record.at.0.strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
            let (act, seq) = (json!(record.act), record.seq.to_string());
            let act = act.as_str().unwrap_or_default();
            rows.push(row([&seq, &at, act, &subject, &plain(&record.actor), &plain(&record.outcome)]));
            json!(record)
        })
        .collect();
    let text = if objects.is_empty() { "no such records".to_owned() } else { table(&rows) };
    Ok(Answer::yes(text, json!({ "records": objects })))
}

/// What the records of a job are about: its spec and its scenario; or a digest as it is.
fn subjects(home: &Home, job: &str) -> Result<Vec<Digest>, Failure> {
    if let Ok(digest) = job.parse::<Digest>() {
        return Ok(vec![digest]);
    }
    let read = offers::find(&state(home)?, job)?;
    Ok(vec![read.offer.job, read.spec.scenario.digest()])
}

fn checkpoint(home: &Home, out: Option<&Path>) -> Result<Answer, Failure> {
    let key = keys::identity(home)?.public();
    let signed = own_checkpoint(&home.audit(), &key)?;
    hand_out(&signed, out, "Give it to the other parties: with it they can prove any later change.")
}

fn receipt(home: &Home, party: &PartyId, out: Option<&Path>) -> Result<Answer, Failure> {
    let kept = state(home)?.receipts_of(party)?;
    let last = kept.last().ok_or_else(|| {
        Failure::input(format!("no receipt of {party} is kept here; parties exchange them at the end of a job"))
    })?;
    hand_out(last, out, &format!("Give it to who checks the log of {party}: banyan-node audit verify --receipt FILE"))
}

/// A signed checkpoint for others, in a new file or as a line.
fn hand_out(signed: &Signed<Checkpoint>, out: Option<&Path>, what_for: &str) -> Result<Answer, Failure> {
    let key = signed.signer();
    let inside = signed.verify(&key).map_err(Failure::input)?;
    let line = BASE64.encode(&signed.to_bytes());
    if let Some(out) = out {
        disk::create(out, format!("{line}\n").as_bytes(), disk::PRIVATE_FILE)
            .map_err(|error| Failure::input(format!("{}: {error}; give a new file", out.display())))?;
    }
    let text = match out {
        Some(out) => format!(
            "{} records of {} as of {}, signed, in {}\n{what_for}",
            inside.size,
            inside.party,
            inside.at,
            out.display()
        ),
        None => line.clone(),
    };
    Ok(Answer::yes(text, json!({ "checkpoint": inside, "signed": line, "key": key })))
}

fn export(home: &Home, dir: &Path) -> Result<Answer, Failure> {
    let key = keys::identity(home)?.public();
    let verified = verify(&home.audit(), &key, &[])?;
    let failed = |error: std::io::Error| {
        Failure::input(format!("{}: {error}; give a new directory that this user may write", dir.display()))
    };
    fs::create_dir(dir).map_err(failed)?;
    let copy = |from: &Path| fs::copy(from, dir.join(from.file_name().unwrap_or_default())).map_err(failed);
    // the checkpoint first: a record that comes between the two copies is one more than it covers, which holds
    copy(&home.checkpoint())?;
    copy(&home.log())?;
    let text = format!(
        "{} records of {} are in {}\nAnyone can check them: banyan-node audit verify --log {} --key {key}",
        grouped(verified.size),
        verified.party,
        dir.display(),
        dir.display()
    );
    Ok(Answer::yes(text, json!({ "party": verified.party, "records": verified.size, "key": key, "dir": dir })))
}
