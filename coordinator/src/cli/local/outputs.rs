//! Results that leave the throw-away homes: copied whole, with their manifests.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use banyan_proto::evidence::Manifest;
use banyan_protocols::party::PartyId;

use crate::cli::answer::Failure;

/// The manifest beside every result.
pub(super) const MANIFEST: &str = "manifest.json";
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

/// Removes what an earlier run left in `out`, so that nobody takes an old result for a new one. Only what a manifest of
/// this program says a run has left goes; files of the same names that are somebody's own stay, and are in the way.
///
/// # Errors
/// [`Failure::Input`] names the directory that is not for results, or the file that is in the way.
pub(crate) fn clear(out: &Path, data: &BTreeMap<PartyId, PathBuf>) -> Result<(), Failure> {
    let dirs: Vec<(&PartyId, PathBuf)> = data.keys().map(|party| (party, out.join(party.as_str()))).collect();
    for (_, dir) in &dirs {
        let there = resolved(dir).map_err(|error| Failure::input(format!("{}: {error}", dir.display())))?;
        if let Some(data) = data.values().find(|data| there.starts_with(data)) {
            return Err(Failure::input(format!(
                "{} is in the data directory {}: results would stand among the data; give --out another directory",
                dir.display(),
                data.display()
            )));
        }
    }
    dirs.iter().try_for_each(|(party, dir)| clear_one(party, dir))
}

fn clear_one(party: &PartyId, dir: &Path) -> Result<(), Failure> {
    let Some(there) = NAMES.iter().map(|name| dir.join(name)).find(|file| file.symlink_metadata().is_ok()) else {
        return Ok(());
    };
    if Output::read(dir.join(MANIFEST)).ok().is_none_or(|output| output.party != *party) {
        return Err(Failure::input(format!(
            "{} is there, and no manifest of {party} beside it says that a run has left it; move it away, or give --out \
             another directory",
            there.display()
        )));
    }
    // the manifest last: what is left of an interrupted clearing is cleared by the next one
    for file in NAMES.map(|name| dir.join(name)) {
        match fs::remove_file(&file) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(Failure::input(format!("{}: cannot be replaced: {error}", file.display())));
            }
            _ => {}
        }
    }
    Ok(())
}

/// Where a path leads of which only the beginning may be there.
fn resolved(path: &Path) -> io::Result<PathBuf> {
    match (path.canonicalize(), path.parent(), path.file_name()) {
        (Err(error), Some(parent), Some(name)) if error.kind() == io::ErrorKind::NotFound => {
            let parent = if parent.as_os_str().is_empty() { Path::new(".") } else { parent };
            Ok(resolved(parent)?.join(name))
        }
        (resolved, _, _) => resolved,
    }
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

    fn manifest(party: &str) -> String {
        let zero = banyan_proto::canonical::Digest::default();
        serde_json::json!({
            "version": 1, "job": "common", "spec": zero, "plan": zero, "scenario": zero, "attempt": 1, "party": party,
            "protocol": "dh", "form": "rows-to-receiver", "file": null, "file_sha256": null, "matches": null, "bands": [],
            "commitment": zero, "salts": { "snapshot": "", "output": null }, "signatures": [], "receipts": [],
            "released": "2026-11-21T00:00:00Z", "metrics": banyan_proto::evidence::RunMetrics::default(),
        })
        .to_string()
    }

    fn names(dir: &Path) -> Vec<String> {
        let names = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let mut names: Vec<String> = names.collect();
        names.sort();
        names
    }

    #[test]
    fn only_what_a_run_has_left_is_cleared() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().canonicalize().unwrap();
        let data: BTreeMap<PartyId, PathBuf> = [(PartyId::new("bank").unwrap(), root.join("data"))].into();
        let home = root.join("out/bank");
        fs::create_dir_all(&home).unwrap();
        let put = |name: &str, text: &str| fs::write(home.join(name), text).unwrap();
        put("notes.txt", "mine");
        clear(&root.join("out"), &data).unwrap();
        put("result.csv", "mine");
        for not_ours in [None, Some("{}".to_owned()), Some(manifest("bureau"))] {
            if let Some(text) = &not_ours {
                put(MANIFEST, text);
            }
            let said = clear(&root.join("out"), &data).unwrap_err().to_string();
            let expected = "result.csv is there, and no manifest of bank beside it says that a run has left it; move it \
                            away, or give --out another directory";
            assert!(said.ends_with(expected), "{said}");
            assert!(names(&home).contains(&"result.csv".to_owned()));
        }
        put(MANIFEST, &manifest("bank"));
        clear(&root.join("out"), &data).unwrap();
        assert_eq!(names(&home), ["notes.txt"]);
        clear(&root.join("not there"), &data).unwrap();
    }

    #[test]
    fn results_never_go_among_the_data() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().canonicalize().unwrap();
        let bank = root.join("bank");
        fs::create_dir_all(&bank).unwrap();
        for name in ["result.csv", MANIFEST] {
            fs::write(bank.join(name), manifest("bank")).unwrap();
        }
        let data: BTreeMap<PartyId, PathBuf> = [(PartyId::new("bank").unwrap(), bank.clone())].into();
        std::os::unix::fs::symlink(&bank, root.join("elsewhere")).unwrap();
        for out in [root.clone(), bank.clone(), bank.join("new/deep"), root.join("elsewhere")] {
            let said = clear(&out, &data).unwrap_err().to_string();
            let expected = format!(
                "{} is in the data directory {}: results would stand among the data; give --out another directory",
                out.join("bank").display(),
                bank.display()
            );
            assert_eq!(said, expected);
        }
        assert_eq!(names(&bank), [MANIFEST, "result.csv"]);
    }
}
