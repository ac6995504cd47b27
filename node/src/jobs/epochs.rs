//! What `unbalanced` keeps from job to job, under `epochs/` of the home: at the sender a prepared set with the seed of its key, at
//! the receiver the tags. Of each use a file of its own: who asks whom, under which scenario, about which keys. Another
//! scenario, receiver, data set, key, filter or band finds another file, with another key.
//!
//! A file is a line of JSON, its [`Label`], for people and for `banyan-node status`, and then the bytes. It is for this user only
//! (mode 0600), replaced whole, and removed when its time is over or its scenario was revoked.

use std::fs;
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use banyan_proto::canonical::{Canonical, Digest};
use banyan_proto::job::{Normalise, Spec, Stage, When};
use banyan_proto::names::Name;
use banyan_protocols::party::{PartyId, Role};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::failure::Failure;
use crate::disk;

/// The longest label in bytes: two names, and a filter.
const LABEL_MAX: u64 = 64 * 1024;

/// What tags are for. Both parties know all of it from the job.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Use {
    /// The scenario's digest.
    pub(crate) scenario: Digest,
    /// Who asks.
    pub(crate) receiver: PartyId,
    /// Who answers.
    pub(crate) sender: PartyId,
    /// The sender's data set.
    pub(crate) dataset: Name,
    /// Its key columns.
    pub(crate) key: Vec<String>,
    /// Its row filter.
    filter: Option<String>,
    normalise: Normalise,
    /// Its band, in rows.
    rows: u64,
}

/// The first line of a file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Label {
    /// What it is for.
    pub(crate) of: Use,
    /// The scenario's name.
    pub(crate) scenario: Name,
    /// When the epoch ends.
    pub(crate) ends: When,
}

impl Canonical for Use {
    const DOMAIN: &'static str = "banyan/epoch-use/v1";
}

impl Use {
    /// What tags of a stage are for, which looks for the key of this number.
    pub(super) fn of(spec: &Spec, stage: &Stage, key: usize) -> Result<Self, Failure> {
        let bug = || Failure::new("bug", "a stage of unbalanced without its parties");
        let roster = stage.roster().ok_or_else(bug)?;
        let holder = |role| roster.holder(role).cloned().ok_or_else(bug);
        let (receiver, sender) = (holder(Role::Receiver)?, holder(Role::Sender)?);
        let mine = spec.party(&sender).ok_or_else(bug)?;
        Ok(Self {
            scenario: spec.scenario.digest(),
            rows: stage.task(&sender).ok_or_else(bug)?.bucket_rows,
            receiver,
            dataset: mine.dataset.clone(),
            key: mine.keys().nth(key).ok_or_else(bug)?.clone(),
            filter: mine.filter.clone(),
            normalise: spec.normalise,
            sender,
        })
    }

    /// The file of this use at one of its parties.
    pub(super) fn file(&self, epochs: &Path, role: Role) -> PathBuf {
        let kind = if role == Role::Sender { "prepared" } else { "tags" };
        epochs.join(format!("{}.{kind}", self.digest()))
    }
}

/// Reads what is kept for a use, if it is and its time is not over.
pub(super) fn read(file: &Path, of: &Use, now: When) -> io::Result<Option<Zeroizing<Vec<u8>>>> {
    let Some((label, mut rest)) = open(file)? else { return Ok(None) };
    if label.of != *of || label.ends.0 <= now.0 {
        return Ok(None);
    }
    // room for all at once: a buffer that grows leaves the old one behind
    let length = rest.get_ref().metadata()?.len();
    let mut bytes = Zeroizing::new(Vec::with_capacity(usize::try_from(length).unwrap_or(0)));
    rest.read_to_end(&mut bytes)?;
    Ok(Some(bytes))
}

/// Keeps it, whole or not at all.
pub(super) fn write(file: &Path, label: &Label, parts: &[&[u8]]) -> io::Result<()> {
    if let Some(epochs) = file.parent() {
        disk::create_private_dir(epochs)?;
    }
    let line = serde_json::to_vec(label).map_err(io::Error::other)?;
    let length = line.len() + 1 + parts.iter().map(|part| part.len()).sum::<usize>();
    let mut bytes = Zeroizing::new(Vec::with_capacity(length));
    [&line[..], b"\n"].iter().chain(parts).for_each(|part| bytes.extend_from_slice(part));
    disk::replace(file, &bytes, disk::PRIVATE_FILE)
}

/// Every label that can be read, with its file.
pub(crate) fn labels(epochs: &Path) -> io::Result<Vec<(PathBuf, Label)>> {
    let mut labels = Vec::new();
    for file in files(epochs)? {
        if let Some((label, _)) = open(&file)? {
            labels.push((file, label));
        }
    }
    labels.sort_by(|one, other| one.0.cmp(&other.0));
    Ok(labels)
}

/// Removes what has ended, and with `anew`, when nobody can be writing, what a crash left behind.
pub(super) fn sweep(epochs: &Path, now: When, anew: bool, revoked: impl Fn(&Digest) -> bool) -> io::Result<()> {
    for file in files(epochs)? {
        let half = file.extension().is_some_and(|extension| extension == "tmp");
        let over = match open(&file)? {
            _ if half => anew,
            Some((label, _)) => label.ends.0 <= now.0 || revoked(&label.of.scenario),
            None => true,
        };
        if over {
            remove(&file)?;
        }
    }
    Ok(())
}

/// Removes a file, if it is there.
pub(super) fn remove(file: &Path) -> io::Result<()> {
    match fs::remove_file(file) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

fn files(epochs: &Path) -> io::Result<Vec<PathBuf>> {
    match fs::read_dir(epochs) {
        Ok(entries) => entries.map(|entry| Ok(entry?.path())).collect(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(error),
    }
}

/// The label of a file, if it has one, and what is behind it.
fn open(file: &Path) -> io::Result<Option<(Label, BufReader<fs::File>)>> {
    let mut reader = match fs::File::open(file) {
        Ok(opened) => BufReader::new(opened),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let mut line = Vec::new();
    reader.by_ref().take(LABEL_MAX).read_until(b'\n', &mut line)?;
    Ok(serde_json::from_slice(&line).ok().map(|label| (label, reader)))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn label(scenario: u8, receiver: &str, ends: &str) -> Label {
        let party = |name: &str| PartyId::new(name).unwrap();
        let of = Use {
            scenario: Digest([scenario; 32]),
            receiver: party(receiver),
            sender: party("bureau"),
            dataset: "clients".parse().unwrap(),
            key: vec!["id".into()],
            filter: None,
            normalise: Normalise::default(),
            rows: 64,
        };
        Label { of, scenario: "credit".parse().unwrap(), ends: ends.parse().unwrap() }
    }

    #[test]
    fn what_is_kept_is_for_one_use_and_for_its_time_and_for_its_owner() {
        let dir = tempfile::tempdir().unwrap();
        let epochs = dir.path().join("epochs");
        let (now, end): (When, When) =
            ("2026-11-24T12:00:00Z".parse().unwrap(), "2026-11-24T13:00:00Z".parse().unwrap());
        let mine = label(1, "bank", "2026-11-24T13:00:00Z");
        let file = mine.of.file(&epochs, Role::Sender);
        let kept = |of: &Use, now| read(&file, of, now).unwrap().map(|bytes| bytes.to_vec());
        assert_eq!(kept(&mine.of, now), None);
        write(&file, &mine, &[b"seed", b"\nrest"]).unwrap();
        assert_eq!(kept(&mine.of, now).as_deref(), Some(&b"seed\nrest"[..]));
        assert_eq!(kept(&mine.of, end), None, "it has ended");
        assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
        for other in [label(2, "bank", "2026-11-24T13:00:00Z"), label(1, "insurer", "2026-11-24T13:00:00Z")] {
            assert_ne!(other.of.file(&epochs, Role::Sender), file, "another use is another file");
            assert_eq!(kept(&other.of, now), None, "and is not taken for it");
        }
        assert_ne!(mine.of.file(&epochs, Role::Receiver), file);
    }

    #[test]
    fn what_has_ended_is_swept_and_nothing_else() {
        let dir = tempfile::tempdir().unwrap();
        let now: When = "2026-11-24T12:00:00Z".parse().unwrap();
        let make = |scenario, receiver: &str, ends: &str| {
            let label = label(scenario, receiver, ends);
            write(&label.of.file(dir.path(), Role::Receiver), &label, &[b"x"]).unwrap();
        };
        make(1, "bank", "2026-11-24T12:00:01Z");
        make(1, "over", "2026-11-24T12:00:00Z");
        make(2, "bank", "2026-11-24T12:00:01Z");
        fs::write(dir.path().join("half.tags.17.tmp"), "half").unwrap();
        fs::write(dir.path().join("damaged.tags"), "no label").unwrap();
        let names = || -> Vec<String> {
            labels(dir.path())
                .unwrap()
                .iter()
                .map(|(_, l)| format!("{}{}", l.of.scenario.0[0], l.of.receiver))
                .collect()
        };
        sweep(dir.path(), now, false, |scenario| scenario.0[0] == 2).unwrap();
        assert_eq!(
            (names(), files(dir.path()).unwrap().len()),
            (vec!["1bank".to_owned()], 2),
            "somebody may be writing"
        );
        sweep(dir.path(), now, true, |_| false).unwrap();
        assert_eq!((names(), files(dir.path()).unwrap().len()), (vec!["1bank".to_owned()], 1));
        sweep(&dir.path().join("none"), now, true, |_| false).unwrap();
    }
}
