//! `banyan bench psi --protocol interop`: two of our own nodes that meet as parties of the interconnection standard do, with
//! its wire on loopback, without TLS and without a coordinator.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::time::Instant;

use banyan_proto::evidence::RunMetrics;
use banyan_proto::job::Spec;
use futures::future::try_join;
use serde::Deserialize;

use super::Figures;
use super::data::Sets;
use super::psi::{figures, write_files};
use crate::cli::answer::Failure;
use crate::cli::local::{Calls, Homes};
use crate::cli::oracle;
use crate::cli::programs::{Program, Programs};
use crate::cli::progress::Progress;

/// What `banyan-node interop run` answers, as far as it is looked at.
#[derive(Deserialize)]
struct Ran {
    directory: PathBuf,
    metrics: RunMetrics,
}

/// Measures.
pub(super) async fn run(spec: &Spec, sets: Sets, programs: &Programs, as_json: bool) -> Result<Figures, Failure> {
    let begun = Instant::now();
    let files = Homes::new()?;
    let (_, node) = programs.find()?;
    let progress = Progress::new(as_json);
    progress.step("making up ids");
    let data = write_files(spec, sets, &files)?;
    let job = files.home("job.toml");
    let text = toml::to_string(spec).map_err(Failure::not_now)?;
    fs::write(&job, text).map_err(|error| Failure::not_now(format!("{}: {error}", job.display())))?;

    let calls = Calls::default();
    let measured = async {
        let mut homes = Vec::new();
        for party in &spec.parties {
            progress.step(&format!("{}: keys, data, approval", party.name));
            let home = files.home(&format!("{}-home", party.name));
            make(&calls, &node, &home, party.name.as_str(), &data[&party.name], &job, spec).await?;
            homes.push(home);
        }
        progress.step("the protocol");
        let ports = free_ports()?;
        let side = |rank: usize| meet(&calls, &node, &homes[rank], &job, rank, ports);
        let (setup, ran) = (begun.elapsed(), Instant::now());
        let (receiver, sender) = try_join(side(0), side(1)).await?;
        Ok((setup, ran.elapsed(), [receiver, sender]))
    };
    let measured = measured.await;
    calls.stop().await;
    let (setup, ran, sides) = measured?;
    drop(progress);

    let csv = |index: usize| data[&spec.parties[index].name].join("ids.csv");
    let expected = oracle::common(&csv(0), &csv(1), "id")?;
    let found = oracle::keys(&sides[0].directory.join("result.csv"), "id")?;
    let metrics: Vec<_> = spec.parties.iter().zip(&sides).map(|(party, side)| (&party.name, &side.metrics)).collect();
    Ok(figures(setup, ran, &metrics, found.len() as u64, found == expected))
}

/// Makes a node, its data and its approval of the job. Without TLS a node must be told that it may.
async fn make(
    calls: &Calls,
    node: &Program,
    home: &Path,
    name: &str,
    data: &Path,
    job: &Path,
    spec: &Spec,
) -> Result<(), Failure> {
    let data = data.as_os_str();
    calls.call(node, &at(home, &["init".as_ref(), "--name".as_ref(), name.as_ref(), "--data".as_ref(), data])).await?;
    let config = home.join("config.toml");
    let told =
        fs::read_to_string(&config).and_then(|text| fs::write(&config, format!("interop_plaintext = true\n{text}")));
    told.map_err(|error| Failure::not_now(format!("{}: {error}", config.display())))?;
    calls.call(node, &at(home, &["data".as_ref(), "scan".as_ref()])).await?;
    match meet(calls, node, home, job, 0, [1, 1]).await {
        // it asks its approver first
        Err(Failure::Refused(_)) => {}
        Err(failure) => return Err(failure),
        Ok(_) => return Err(Failure::No("a job ran that nobody approved".into())),
    }
    let approve = ["approve".as_ref(), spec.name.as_str().as_ref(), "--yes".as_ref()];
    calls.call(node, &at(home, &approve)).await.map(drop)
}

/// One side of the job.
async fn meet(
    calls: &Calls,
    node: &Program,
    home: &Path,
    job: &Path,
    rank: usize,
    ports: [u16; 2],
) -> Result<Ran, Failure> {
    let address = |rank: usize| format!("127.0.0.1:{}", ports[rank]);
    let words =
        ["interop", "run", "--plaintext", "--rank", &rank.to_string(), "--listen", &address(rank)].map(str::to_owned);
    let words = words.into_iter().chain(["--peer-url".to_owned(), address(1 - rank)]);
    let words: Vec<OsString> = words.map(OsString::from).chain([job.into()]).collect();
    let words: Vec<&OsStr> = words.iter().map(OsString::as_os_str).collect();
    let answer = calls.call_long(node, &at(home, &words)).await?;
    serde_json::from_value(answer).map_err(Failure::not_now)
}

fn at(home: &Path, args: &[&OsStr]) -> Vec<OsString> {
    args.iter().copied().chain(["--json".as_ref(), "--home".as_ref(), home.as_os_str()]).map(OsStr::to_owned).collect()
}

/// Two ports that nobody has at this moment.
fn free_ports() -> Result<[u16; 2], Failure> {
    let bind = || TcpListener::bind((Ipv4Addr::LOCALHOST, 0));
    // both are bound before either is given back, so that they differ
    let bound = bind().and_then(|one| Ok([one, bind()?]));
    let ports = bound.and_then(|[one, two]| Ok([one.local_addr()?.port(), two.local_addr()?.port()]));
    ports.map_err(|error| Failure::not_now(format!("no free port: {error}")))
}
