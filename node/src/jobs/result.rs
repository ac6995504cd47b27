//! The result at its receiver: on disk without a name before anyone signs, so that a full disk or a changed file is found
//! while all parties can still fail together; named only after all have signed, together with its manifest.

use std::io::Write;
use std::path::{Path, PathBuf};

use banyan_proto::canonical::{Canonical, Digest};
use banyan_proto::evidence::{Manifest, Part, Salts};
use banyan_proto::job::{Format, Spec, When};
use banyan_proto::wire;
use data_encoding::{BASE64, HEXLOWER};
use jiff::Timestamp;
use zeroize::Zeroizing;

use super::Desk;
use super::basis::{Basis, Learned, fresh_seed};
use super::failure::Failure;
use super::release::Agreed;
use crate::data::{AtomicFile, DataError, Flag, Held, Wanted, remove_partials, write_number, write_rows};
use crate::disk;
use crate::policy::LEVEL_HIDDEN;

/// What the manifest of an attempt is called, beside its result.
pub(crate) const MANIFEST: &str = "manifest.json";

/// A result that nobody can see yet. Dropped, it is gone.
pub(crate) struct HeldResult {
    directory: PathBuf,
    file: Option<Held>,
    salt: Zeroizing<[u8; 32]>,
}

/// Writes what this party receives, if anything, to a file without a name. A result that will not be `released` is not
/// written.
pub(crate) async fn hold(desk: &Desk, basis: &Basis, learned: &Learned, released: bool) -> Result<HeldResult, Failure> {
    let spec = &basis.spec;
    let directory = desk.home.result(&spec.name, &basis.id.job, basis.id.attempt);
    let path = directory.join(file_name(basis));
    // while all can still fail together: what is there is never replaced
    if let Some(there) = [&path, &directory.join(MANIFEST)].into_iter().find(|file| file.exists()) {
        return Err(Failure::new("disk", format!("{} is there already: move it away", there.display())));
    }
    let file = match learned {
        Learned::Nothing | Learned::TooFew => None,
        _ if !released || !spec.recipients.contains(&desk.me) => None,
        Learned::Count(number) | Learned::Sum(number) => {
            make(&directory)?;
            Some(write_number(spec.result.name(), *number, spec.output.format, &path)?)
        }
        Learned::Rows(found) => {
            let columns = columns(desk, basis)?;
            make(&directory)?;
            let wanted = Wanted { columns, flags: flags(spec), format: spec.output.format, path };
            let picked = found.pick(&basis.pinned, spec.result);
            Some(write_rows(&basis.set, basis.file()?, picked, &wanted).await?)
        }
    };
    Ok(HeldResult { directory, file, salt: fresh_seed()? })
}

impl HeldResult {
    /// What this party signs for: the salted digest of the held file, or zero where it receives none.
    pub(crate) fn commitment(&self) -> Digest {
        self.file.as_ref().map(|file| Part::output_of(&self.salt, &file.digest())).unwrap_or_default()
    }

    /// Gives the result and the manifest beside it, which every party gets, their names: both, or neither. The manifest
    /// comes last, so that a crash in between is told from a release.
    pub(crate) fn release(
        self,
        desk: &Desk,
        basis: &Basis,
        agreed: &Agreed,
        matches: Option<u64>,
    ) -> Result<(), Failure> {
        make(&self.directory)?;
        let path = self.directory.join(MANIFEST);
        let manifest = self.manifest(desk, basis, agreed, matches)?;
        let mut aside = AtomicFile::create(&path)?;
        aside.write_all(&manifest.to_bytes()).map_err(|error| DataError::io(path.display().to_string(), error))?;
        let aside = aside.finish()?;
        let result = self.file.map(Held::release).transpose()?;
        aside.release()?.stay();
        if let Some(result) = result {
            result.stay();
        }
        Ok(())
    }

    fn manifest(&self, desk: &Desk, basis: &Basis, agreed: &Agreed, matches: Option<u64>) -> Result<Manifest, Failure> {
        let stage = basis.plan.stages.first().ok_or_else(|| Failure::new("bug", "the plan has no stage"))?;
        let file = self.file.as_ref();
        Ok(Manifest {
            version: wire::VERSION,
            job: basis.spec.name.clone(),
            spec: basis.id.job,
            plan: basis.plan.digest(),
            scenario: basis.spec.scenario.digest(),
            attempt: basis.id.attempt,
            party: desk.me.clone(),
            protocol: stage.protocol.clone(),
            form: stage.form.clone(),
            file: file.map(|_| file_name(basis)),
            file_sha256: file.map(|file| HEXLOWER.encode(&file.digest())),
            matches,
            bands: stage.tasks.iter().map(|task| (task.party.clone(), task.band.rows())).collect(),
            commitment: agreed.commitment.digest(),
            salts: Salts {
                snapshot: HEXLOWER.encode(&basis.salt[..]),
                output: file.map(|_| HEXLOWER.encode(&self.salt[..])),
            },
            signatures: agreed.signatures.iter().map(|signed| BASE64.encode(&signed.to_bytes())).collect(),
            receipts: agreed.receipts.iter().map(|(_, receipt)| BASE64.encode(&receipt.to_bytes())).collect(),
            released: When(Timestamp::now()),
            metrics: basis.metrics.clone(),
        })
    }
}

/// Removes what a crash in the middle of a release left in a result's directory, and the directory if nothing else is in
/// it.
pub(crate) fn remove_unreleased(directory: &Path) -> std::io::Result<()> {
    if !directory.is_dir() {
        return Ok(());
    }
    remove_partials(directory)?;
    if !directory.join(MANIFEST).exists() {
        for format in [Format::Csv, Format::Parquet] {
            let result = directory.join(format!("result.{}", format.extension()));
            if result.exists() {
                std::fs::remove_file(result)?;
            }
        }
    }
    let _ = std::fs::remove_dir(directory); // goes only if it is empty
    Ok(())
}

fn file_name(basis: &Basis) -> String {
    format!("result.{}", basis.spec.output.format.extension())
}

/// The columns that say how a row was found.
fn flags(spec: &Spec) -> Vec<Flag> {
    let flag = |name: &str| if name == Spec::MATCHED { Flag::Matched } else { Flag::MatchedBy };
    spec.flags().into_iter().map(flag).collect()
}

/// The key columns, where their level lets them into an output, and the columns the spec asks for.
fn columns(desk: &Desk, basis: &Basis) -> Result<Vec<String>, Failure> {
    let mine = desk.mine(&basis.spec)?;
    let mut columns: Vec<String> = Vec::new();
    let visible = |name: &String| Ok::<bool, DataError>(basis.set.column(name)?.level < LEVEL_HIDDEN);
    for (name, is_key) in mine.keys().flatten().map(|name| (name, true)).chain(mine.columns.iter().map(|n| (n, false)))
    {
        if !columns.contains(name) && (!is_key || visible(name)?) {
            columns.push(name.clone());
        }
    }
    if columns.is_empty() {
        let why =
            format!("every key column of {} has level 3 or more: grant a column, or ask for a count", mine.dataset);
        return Err(Failure::new("level", why));
    }
    Ok(columns)
}

fn make(directory: &std::path::Path) -> Result<(), Failure> {
    disk::create_private_dir(directory)
        .map_err(|error| Failure::new("disk", format!("making {}: {error}", directory.display())))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn what_a_release_began_and_did_not_finish_goes_and_what_it_finished_stays() {
        let home = tempfile::tempdir().unwrap();
        let attempt = |name: &str, files: &[&str]| {
            let directory = home.path().join(name);
            fs::create_dir(&directory).unwrap();
            for file in files {
                fs::write(directory.join(file), "id\n").unwrap();
            }
            remove_unreleased(&directory).unwrap();
            let mut left: Vec<_> = match fs::read_dir(&directory) {
                Ok(entries) => entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect(),
                Err(_) => return None,
            };
            left.sort();
            Some(left)
        };
        let left = |files: &[&str]| Some(files.iter().map(|file| (*file).to_owned()).collect::<Vec<_>>());
        assert_eq!(attempt("none", &[]), None, "an empty directory need not stay");
        assert_eq!(attempt("half", &["result.csv", ".result.csv.17.partial"]), None);
        assert_eq!(attempt("half-parquet", &["result.parquet"]), None);
        assert_eq!(attempt("whole", &["result.csv", MANIFEST]), left(&[MANIFEST, "result.csv"]));
        assert_eq!(
            attempt("notes", &["result.csv", "notes.txt"]),
            left(&["notes.txt"]),
            "what people put there is theirs"
        );
        assert!(remove_unreleased(&home.path().join("never-made")).is_ok());
    }
}
