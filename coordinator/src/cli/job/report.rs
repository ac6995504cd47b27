//! `banyan job report`: what was planned, what it cost, and what can be proven of it.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::PathBuf;

use banyan_proto::canonical::Canonical;
use banyan_proto::identity::{PublicKey, Signed};
use banyan_proto::job::Plan;
use banyan_protocols::CATALOGUE;
use banyan_protocols::party::PartyId;
use banyan_protocols::sim::Net;
use clap::Args;
use serde_json::{Value, json};

use super::estimate::estimate;
use super::pick::pick;
use super::status::describe;
use super::words::{listed, plan_table};
use crate::cli::answer::{Answer, Failure};
use crate::cli::client::Client;
use crate::cli::developer::{Developer, HomeArg};
use crate::cli::evidence::{self, Evidence};
use crate::cli::local::Output;
use crate::cli::text::{bytes, grouped, span, table};
use crate::cli::view::{JobView, PartyView};

/// Flags of `job report`.
#[derive(Args)]
#[command(after_help = "Examples:
  banyan job report common-customers
  banyan job report common-customers --manifest bank/manifest.json --manifest bureau/manifest.json

The coordinator keeps states, byte counts and signed words on logs. The commitment that all parties signed stands in the \
manifest.json beside each party's result: give those you have, and they are checked too. Answers 1 where something that \
is claimed does not hold.")]
pub(crate) struct ReportArgs {
    /// The job, by its name or the first digits of its digest
    job: String,
    /// A party's manifest.json, with its result beside it; may be given several times
    #[arg(long = "manifest", value_name = "FILE")]
    manifests: Vec<PathBuf>,
    #[command(flatten)]
    home: HomeArg,
}

/// A claim, and whether it holds.
struct Proof {
    holds: bool,
    text: String,
}

/// Runs the command.
pub(crate) async fn run(args: ReportArgs) -> Result<Answer, Failure> {
    let developer = Developer::open(&args.home.path()?)?;
    let mut client = Client::of(&developer).await?;
    let job = pick(&mut client, &args.job).await?;
    let plan = Plan::derive(&job.spec, &CATALOGUE).map_err(Failure::input)?;
    let keys = keys(&mut client, &job).await?;
    let mut proofs = signed_words(&job, &plan, &keys);
    let outputs = args.manifests.iter().map(Output::read).collect::<Result<Vec<_>, _>>()?;
    if !outputs.is_empty() {
        proofs.push(match evidence::check(&job.digest, &outputs, &keys) {
            Ok(evidence) => Proof { holds: true, text: committed(&evidence) },
            Err(failure) => Proof { holds: false, text: failure.to_string() },
        });
    }
    let answer = if proofs.iter().all(|proof| proof.holds) { Answer::yes } else { Answer::no };
    Ok(answer(told(&job, &plan, &proofs), as_json(&job, &plan, &proofs)))
}

/// The keys under which the coordinator introduces the parties.
async fn keys(client: &mut Client, job: &JobView) -> Result<BTreeMap<PartyId, PublicKey>, Failure> {
    let mut keys = BTreeMap::new();
    for introduced in client.roster().await? {
        let Ok(name) = PartyId::new(&introduced.name) else { continue };
        if job.spec.party(&name).is_some() {
            keys.insert(name, PublicKey::from_bytes(&introduced.key).map_err(Failure::not_now)?);
        }
    }
    Ok(keys)
}

fn signed_words(job: &JobView, plan: &Plan, keys: &BTreeMap<PartyId, PublicKey>) -> Vec<Proof> {
    let mut proofs = Vec::new();
    for party in &job.parties {
        let Some(key) = keys.get(&party.name) else { continue };
        if let Some(signed) = &party.admission {
            let ours = |a: &banyan_proto::grant::Admission| {
                a.spec == job.digest && a.plan == plan.digest() && a.party == party.name
            };
            let text = format!("{} signed that it admits this very spec and plan", party.name);
            proofs.push(proof(signed, key, ours, &text));
        }
        if let Some(signed) = &party.receipt {
            let ours = |c: &banyan_proto::audit::Checkpoint| c.party == party.name;
            let text = format!("{} signed the state of its log at the end", party.name);
            proofs.push(proof(signed, key, ours, &text));
        }
    }
    proofs
}

fn proof<T: Canonical>(signed: &Signed<T>, key: &PublicKey, ours: impl Fn(&T) -> bool, text: &str) -> Proof {
    match signed.verify(key) {
        Ok(value) if ours(&value) => Proof { holds: true, text: text.to_owned() },
        Ok(_) => Proof { holds: false, text: format!("{text}: no, it signed something else") },
        Err(error) => Proof { holds: false, text: format!("{text}: no, {error}") },
    }
}

fn committed(evidence: &Evidence) -> String {
    let signers: Vec<&str> = evidence.signers.iter().map(|party| party.as_str()).collect();
    let digest = evidence.commitment.digest().short();
    format!("{} signed one commitment to inputs and result: {digest}", signers.join(" and "))
}

fn told(job: &JobView, plan: &Plan, proofs: &[Proof]) -> String {
    let mut out = describe(job);
    let _ = write!(out, "\nPlan {}\n{}", plan.digest().short(), plan_table(plan));
    let _ = write!(out, "\nCost against plan\n{}", table(&costs(job, plan)));
    let expected = estimate(plan, Net::LAN).total;
    let _ = writeln!(out, "expected in one building: about {} for the run", span(expected));
    out.push_str("\nProofs, checked here with the keys under which the coordinator introduces the parties:\n");
    let sign = |proof: &Proof| format!("{} {}", if proof.holds { '✓' } else { '✗' }, proof.text);
    out.push_str(&listed(&proofs.iter().map(sign).collect::<Vec<_>>()));
    if proofs.is_empty() {
        out.push_str("  none yet\n");
    }
    out
}

fn costs(job: &JobView, plan: &Plan) -> Vec<Vec<String>> {
    let header = ["PARTY", "RUN", "SENT", "PLANNED"];
    let mut rows = vec![header.map(str::to_owned).to_vec()];
    let ms = |ms: u64| format!("{:.2} s", ms as f64 / 1e3);
    let row = |party: &PartyView| {
        let planned = planned(plan, &party.name);
        let Some(m) = &party.metrics else {
            return vec![party.name.to_string(), "not yet".into()];
        };
        vec![
            party.name.to_string(),
            ms(m.run_ms),
            format!("{} ({} bytes)", bytes(m.bytes_out), grouped(m.bytes_out)),
            if m.bytes_out == planned { "the same".into() } else { format!("{} bytes", grouped(planned)) },
        ]
    };
    rows.extend(job.parties.iter().map(row));
    rows
}

fn planned(plan: &Plan, party: &PartyId) -> u64 {
    plan.stages.iter().filter_map(|stage| stage.task(party)).map(|task| task.bytes_out).sum()
}

fn as_json(job: &JobView, plan: &Plan, proofs: &[Proof]) -> Value {
    let mut json = job.as_json();
    if let Value::Object(json) = &mut json {
        json.insert("plan".into(), json!(plan));
        json.insert("plan_digest".into(), json!(plan.digest()));
        json.insert("expected_run_s".into(), json!(estimate(plan, Net::LAN).total.as_secs_f64()));
        let proofs: Vec<Value> = proofs.iter().map(|p| json!({ "holds": p.holds, "claim": p.text })).collect();
        json.insert("proofs".into(), json!(proofs));
    }
    json
}
