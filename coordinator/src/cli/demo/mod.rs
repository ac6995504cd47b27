//! `banyan demo`: two institutions, one question, a minute; on real data and with every real part.

mod story;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use banyan_proto::job::Spec;
use banyan_protocols::party::PartyId;
use clap::Args;

use super::answer::{Answer, Failure, say};
use super::job::check;
use super::local::{Done, Homes, Order, Way, run};
use super::oracle;
use super::programs::Programs;
use super::progress::Progress;

/// The job of the demo.
const JOB: &str = include_str!("../../../../examples/data/default_credit/job.toml");
/// The clients of the bank. Origin and licence: `examples/data/default_credit/README.md`.
const CUSTOMERS: &[u8] = include_bytes!("../../../../examples/data/default_credit/bank/customers.csv");
/// The register of the bureau. Of the same origin.
const PEOPLE: &[u8] = include_bytes!("../../../../examples/data/default_credit/bureau/people.csv");

/// Flags of `demo`.
#[derive(Args)]
#[command(after_help = "Examples:
  banyan demo
  banyan demo --out demo      # keep the results and their manifests
  banyan demo --relay         # the same, where no node can be dialled

The data is in this program: 30,000 credit card clients of a bank in Taiwan, 2005 (I-Cheng Yeh 2016, UCI, CC BY 4.0).")]
pub(crate) struct DemoArgs {
    /// Keep results and manifests in this directory
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Open no port at any node: sealed frames travel through the coordinator
    #[arg(long)]
    relay: bool,
}

/// What the demo shows, beyond what a local run gives.
struct Shown {
    done: Done,
    spec: Spec,
    /// The ids that a plain join of both files has.
    expected: u64,
    /// Whether the bank's result has exactly those.
    correct: bool,
    /// The first lines of the bank's result.
    head: Vec<String>,
    kept: Option<PathBuf>,
}

/// Runs the command.
pub(crate) async fn command(args: DemoArgs, programs: &Programs, as_json: bool) -> Result<Answer, Failure> {
    let (spec, plan) = check::bundled(JOB)?;
    if !as_json {
        // the story is read while the work begins; without a reader the work still goes on
        let _ = say(&mut std::io::stdout(), &story::before(&spec));
    }
    let files = Homes::new()?;
    let data = write_data(&spec, files.path())?;
    let out = args.out.clone().unwrap_or_else(|| files.home("out"));
    let way = if args.relay { Way::Relay } else { Way::Direct };
    let progress = Progress::new(as_json);
    let order =
        Order { programs, spec: &spec, plan: &plan, before: None, data: &data, out: &out, way, progress: &progress };
    let done = run(&order).await?;
    drop(progress);
    let shown = compare(done, spec, files.path(), args.out)?;
    let answer = if shown.correct { Answer::yes } else { Answer::no };
    Ok(answer(story::after(&shown), story::as_json(&shown)))
}

fn write_data(spec: &Spec, root: &Path) -> Result<BTreeMap<PartyId, PathBuf>, Failure> {
    let mut data = BTreeMap::new();
    for (party, bytes) in spec.parties.iter().zip([CUSTOMERS, PEOPLE]) {
        let dir = root.join(party.name.as_str());
        let written = fs::create_dir(&dir).and_then(|()| fs::write(file_of(&dir, party.dataset.as_str()), bytes));
        written.map_err(|error| Failure::not_now(format!("{}: cannot be written: {error}", dir.display())))?;
        data.insert(party.name.clone(), dir);
    }
    Ok(data)
}

fn file_of(dir: &Path, dataset: &str) -> PathBuf {
    dir.join(format!("{dataset}.csv"))
}

/// Compares the bank's result with a plain join of both files, which nobody could make outside of a demo.
fn compare(done: Done, spec: Spec, root: &Path, kept: Option<PathBuf>) -> Result<Shown, Failure> {
    let files: Vec<PathBuf> =
        spec.parties.iter().map(|p| file_of(&root.join(p.name.as_str()), p.dataset.as_str())).collect();
    let expected = oracle::common(&files[0], &files[1], "id")?;
    let result = done.outputs.iter().find_map(|output| output.file());
    let result = result.ok_or_else(|| Failure::No("nobody received a result".into()))?;
    let correct = oracle::keys(&result, "id")? == expected;
    let text =
        fs::read_to_string(&result).map_err(|error| Failure::not_now(format!("{}: {error}", result.display())))?;
    let head = text.lines().take(4).map(str::to_owned).collect();
    Ok(Shown { done, spec, expected: expected.len() as u64, correct, head, kept })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bundled_files_overlap_as_the_story_says() {
        let (spec, plan) = check::bundled(JOB).unwrap();
        let dir = tempfile::tempdir().unwrap();
        let data = write_data(&spec, dir.path()).unwrap();
        assert_eq!(data.len(), 2);
        let (bank, bureau) = (dir.path().join("bank/customers.csv"), dir.path().join("bureau/people.csv"));
        assert_eq!(oracle::keys(&bank, "id").unwrap().len(), 27_000);
        assert_eq!(oracle::keys(&bureau, "id").unwrap().len(), 27_000);
        assert_eq!(oracle::common(&bank, &bureau, "id").unwrap().len(), 24_000);
        assert!(story::before(&spec).contains("27 000"));
        assert_eq!(plan.stages.len(), 1);
    }
}
