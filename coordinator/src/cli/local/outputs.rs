//! Results that leave the throw-away homes: copied whole, with their manifests.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use banyan_proto::evidence::Manifest;
use banyan_protocols::party::PartyId;

use crate::cli::answer::Failure;

/// The manifest beside every result.
const MANIFEST: &str = "manifest.json";
/// Everything that a run may leave in a party's directory.
const NAMES: [&str; 3] = ["result.csv", "result.parquet", MANIFEST];

/// What one party got.
#[derive(Clone, Debug)]
pub(crate) struct Output {
    /// Who.
    pub(crate) party: PartyId,
    /// Where.
    pub(crate) dir: PathBuf,
    /// What its manifest says.
    pub(crate) manifest: Manifest,
}

impl Output {
    /// A party's output by its manifest.
    ///
    /// # Errors
    /// [`Failure::NotNow`] names the file and what is wrong with it.
    pub(crate) fn read(path: impl AsRef<Path>) -> Result<Self, Failure> {
        let path = path.as_ref();
        let wrong = |error: &dyn std::fmt::Display| Failure::not_now(format!("{}: {error}", path.display()));
        let bytes = fs::read(path).map_err(|error| wrong(&error))?;
        let manifest: Manifest = serde_json::from_slice(&bytes).map_err(|error| wrong(&error))?;
        let dir = path.parent().unwrap_or(Path::new(".")).to_owned();
        Ok(Self { party: manifest.party.clone(), dir, manifest })
    }

    /// The result file; none where the party receives nothing.
    pub(crate) fn file(&self) -> Option<PathBuf> {
        // only the names that a run may leave: a manifest leads nowhere else
        let name = self.manifest.file.as_deref().filter(|name| NAMES.contains(name));
        name.map(|name| self.dir.join(name))
    }
}

/// Removes what an earlier run left in `out`, by name, so that nobody takes an old result for a new one.
///
/// # Errors
/// [`Failure::Input`] names the file that cannot be removed.
pub(crate) fn clear<'a>(out: &Path, parties: impl Iterator<Item = &'a PartyId>) -> Result<(), Failure> {
    for party in parties {
        for name in NAMES {
            let file = out.join(party.as_str()).join(name);
            match fs::remove_file(&file) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    return Err(Failure::input(format!("{}: cannot be replaced: {error}", file.display())));
                }
                _ => {}
            }
        }
    }
    Ok(())
}

/// Reads the manifests where the nodes left them.
///
/// # Errors
/// [`Failure::NotNow`] names the file and what is wrong with it.
pub(crate) fn read(results: &BTreeMap<PartyId, PathBuf>) -> Result<Vec<Output>, Failure> {
    results.values().map(|dir| Output::read(dir.join(MANIFEST))).collect()
}

/// Copies every party's result and manifest to `out/<party>/`, each file whole or not at all, the manifest last.
///
/// # Errors
/// [`Failure::NotNow`] names the file that cannot be read or written.
pub(crate) fn publish(held: &[Output], out: &Path) -> Result<Vec<Output>, Failure> {
    held.iter().map(|held| publish_one(held, &out.join(held.party.as_str()))).collect()
}

fn publish_one(held: &Output, to: &Path) -> Result<Output, Failure> {
    let failed = |error: io::Error| Failure::not_now(format!("{}: cannot be written: {error}", to.display()));
    fs::create_dir_all(to).map_err(failed)?;
    for file in held.file().into_iter().chain([held.dir.join(MANIFEST)]) {
        let Some(name) = file.file_name() else { continue };
        let new = to.join(format!(".{}.new", name.to_string_lossy()));
        fs::copy(&file, &new).and_then(|_| fs::rename(&new, to.join(name))).map_err(failed)?;
    }
    Ok(Output { party: held.party.clone(), dir: to.to_owned(), manifest: held.manifest.clone() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_a_run_leaves_is_cleared() {
        let dir = tempfile::tempdir().unwrap();
        let bank = PartyId::new("bank").unwrap();
        let home = dir.path().join("bank");
        fs::create_dir(&home).unwrap();
        for name in ["result.csv", "manifest.json", "notes.txt"] {
            fs::write(home.join(name), "old").unwrap();
        }
        clear(dir.path(), [&bank].into_iter()).unwrap();
        let left: Vec<_> = fs::read_dir(&home).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(left, ["notes.txt"]);
        clear(&dir.path().join("not there"), [&bank].into_iter()).unwrap();
    }
}
