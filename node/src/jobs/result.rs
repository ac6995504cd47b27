//! The result at its receiver: written whole under a temporary name before anyone signs, so that a full disk or a
//! changed file is found while all parties can still fail together; named only after all have signed.

use std::path::PathBuf;

use banyan_proto::canonical::{Canonical, Digest};
use banyan_proto::evidence::{Manifest, Part, Salts};
use banyan_proto::job::When;
use banyan_proto::wire;
use banyan_protocols::catalogue::Output;
use data_encoding::{BASE64, HEXLOWER};
use jiff::Timestamp;
use zeroize::Zeroizing;

use super::Desk;
use super::basis::{Basis, fresh_seed};
use super::failure::Failure;
use super::release::Agreed;
use crate::data::{Held, LEVEL_HIDDEN, Wanted, write_count, write_rows};
use crate::disk;

/// A result that nobody can see yet. Dropped, it is gone.
pub(crate) struct HeldResult {
    directory: PathBuf,
    file: Option<Held>,
    salt: Zeroizing<[u8; 32]>,
}

/// Writes what this party receives, if anything, under a temporary name.
pub(crate) async fn hold(desk: &Desk, basis: &Basis, output: &Output) -> Result<HeldResult, Failure> {
    let spec = &basis.spec;
    let directory = desk.home.result(&spec.name, &basis.id.job, basis.id.attempt);
    let path = directory.join(format!("result.{}", spec.output.format.extension()));
    let file = match output {
        Output::Nothing => None,
        _ if !spec.recipients.contains(&desk.me) => None,
        Output::Count(count) => {
            make(&directory)?;
            Some(write_count(*count, spec.output.format, &path)?)
        }
        Output::Rows(rows) => {
            let columns = columns(desk, basis)?;
            make(&directory)?;
            let wanted = Wanted { columns, format: spec.output.format, path };
            Some(write_rows(&basis.set, &basis.pinned, rows, &wanted).await?)
        }
    };
    Ok(HeldResult { directory, file, salt: fresh_seed()? })
}

impl HeldResult {
    /// What this party signs for: the salted digest of the held file, or zero where it receives none.
    pub(crate) fn commitment(&self) -> Digest {
        self.file.as_ref().map(|file| Part::output_of(&self.salt, &file.digest())).unwrap_or_default()
    }

    /// Gives the result its name, and then the manifest beside it, which every party gets.
    pub(crate) fn release(
        self,
        desk: &Desk,
        basis: &Basis,
        agreed: &Agreed,
        matches: Option<u64>,
    ) -> Result<(), Failure> {
        make(&self.directory)?;
        let salts = Salts {
            snapshot: HEXLOWER.encode(&basis.salt[..]),
            output: self.file.as_ref().map(|_| HEXLOWER.encode(&self.salt[..])),
        };
        let sha256 = self.file.as_ref().map(|file| HEXLOWER.encode(&file.digest()));
        let file = self.file.map(Held::release).transpose()?;
        let name = file.as_ref().and_then(|path| path.file_name()).map(|name| name.to_string_lossy().into_owned());
        let manifest = manifest(desk, basis, agreed, matches, name.zip(sha256), salts)?;
        disk::replace(&self.directory.join("manifest.json"), &manifest.to_bytes(), disk::PRIVATE_FILE)
            .map_err(|error| Failure::new("disk", format!("writing manifest.json: {error}")))
    }
}

fn manifest(
    desk: &Desk,
    basis: &Basis,
    agreed: &Agreed,
    matches: Option<u64>,
    file: Option<(String, String)>,
    salts: Salts,
) -> Result<Manifest, Failure> {
    let stage = basis.plan.stages.first().ok_or_else(|| Failure::new("bug", "the plan has no stage"))?;
    let (file, file_sha256) = file.unzip();
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
        file,
        file_sha256,
        matches,
        bands: stage.tasks.iter().map(|task| (task.party.clone(), task.band.rows())).collect(),
        commitment: agreed.commitment.digest(),
        salts,
        signatures: agreed.signatures.iter().map(|signed| BASE64.encode(&signed.to_bytes())).collect(),
        receipts: agreed.receipts.iter().map(|(_, receipt)| BASE64.encode(&receipt.to_bytes())).collect(),
        released: When(Timestamp::now()),
        metrics: basis.metrics.clone(),
    })
}

/// The key columns, where their level lets them into an output, and the columns the spec asks for.
fn columns(desk: &Desk, basis: &Basis) -> Result<Vec<String>, Failure> {
    let mine = desk.mine(&basis.spec)?;
    let mut columns = Vec::new();
    for name in &mine.key {
        if basis.set.column(name)?.level < LEVEL_HIDDEN {
            columns.push(name.clone());
        }
    }
    columns.extend(mine.columns.iter().filter(|name| !mine.key.contains(name)).cloned());
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
