//! `banyan job report`: what was planned, what it cost, and what can be proven of it.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::PathBuf;
use std::time::Duration;

use banyan_proto::audit::Checkpoint;
use banyan_proto::canonical::Canonical;
use banyan_proto::grant::Admission;
use banyan_proto::identity::{PublicKey, Signed};
use banyan_proto::job::{Line, Plan, State};
use banyan_protocols::party::PartyId;
use clap::Args;
use serde_json::{Value, json};

use super::check;
use super::pick::pick;
use super::status::describe;
use super::words::{listed, plan_table, protocol};
use crate::cli::answer::{Answer, Failure};
use crate::cli::client::Client;
use crate::cli::developer::{Developer, HomeArg};
use crate::cli::evidence::{self, Evidence, Subject};
use crate::cli::local::Output;
use crate::cli::text::{bytes, grouped, span, table};
use crate::cli::view::{Claim, JobView, PartyView};

/// Flags of `job report`.
#[derive(Args)]
#[command(after_help = "Examples:
  banyan job report common-customers
  banyan job report common-customers --manifest bank/manifest.json --manifest bureau/manifest.json

The coordinator keeps states, byte counts and signed words on logs. The commitment that all parties signed stands in the \
manifest.json beside each party's result: give those you have, and they are checked too. Answers 1 where something that \
is claimed does not hold, or that a released job must have is missing.")]
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
    let plan = check::plan(&job.spec)?;
    let keys = keys(&mut client, &job).await?;
    let mut proofs = signed_words(&job, &plan, &keys);
    let read = |manifest| Output::read(manifest).map_err(|error| Failure::input(error.to_string()));
    let outputs = args.manifests.iter().map(read).collect::<Result<Vec<_>, _>>()?;
    if !outputs.is_empty() {
        let subject = Subject { job: job.digest, plan: plan.digest(), attempt: job.attempt };
        proofs.push(match evidence::check(&subject, &outputs, &keys) {
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
    let due = job.state == State::Released;
    let mut proofs = Vec::new();
    for party in &job.parties {
        let key = keys.get(&party.name);
        let ours = |a: &Admission| a.spec == job.digest && a.plan == plan.digest() && a.party == party.name;
        let text = format!("{} signed that it admits this very spec and plan", party.name);
        proofs.extend(proof(&party.admission, key, ours, text, due));
        let ours = |c: &Checkpoint| c.party == party.name;
        proofs.extend(proof(&party.receipt, key, ours, format!("{} signed a state of its log", party.name), due));
        if let Some(Err(error)) = &party.metrics {
            proofs.push(Proof { holds: false, text: format!("{} sent figures of its run: no, {error}", party.name) });
        }
    }
    proofs
}

/// Whether a claim holds; none where nothing is claimed, and nothing has to be yet.
fn proof<T: Canonical>(
    claim: &Claim<Signed<T>>,
    key: Option<&PublicKey>,
    ours: impl Fn(&T) -> bool,
    text: String,
    due: bool,
) -> Option<Proof> {
    let no = |why: &dyn std::fmt::Display| Some(Proof { holds: false, text: format!("{text}: no, {why}") });
    let signed = match claim {
        None if due => return no(&"the coordinator has nothing of the kind"),
        None => return None,
        Some(Err(error)) => return no(error),
        Some(Ok(signed)) => signed,
    };
    match key.map(|key| signed.verify(key)) {
        Some(Ok(value)) if ours(&value) => Some(Proof { holds: true, text }),
        Some(Ok(_)) => no(&"it signed something else"),
        Some(Err(error)) => no(&error),
        None => no(&"the coordinator introduces nobody of that name"),
    }
}

fn committed(evidence: &Evidence) -> String {
    let signers: Vec<&str> = evidence.signers.iter().map(|party| party.as_str()).collect();
    let digest = evidence.commitment.digest().short();
    // of the manifests given here: those that have a number have the same
    let count = evidence.matches.map_or_else(String::new, |count| format!(", with {} common keys", grouped(count)));
    format!("{} signed one commitment to inputs and result: {digest}{count}", signers.join(" and "))
}

fn told(job: &JobView, plan: &Plan, proofs: &[Proof]) -> String {
    let mut out = describe(job);
    let _ = write!(out, "\nPlan {}\n{}", plan.digest().short(), plan_table(plan));
    let _ = writeln!(out, "protocol {}", protocol(plan));
    let _ = write!(out, "\nCost against plan\n{}", table(&costs(job, plan)));
    let _ = writeln!(out, "expected in one building: about {} for the run", span(expected_run(plan)));
    out.push_str("\nProofs, checked here with the keys under which the coordinator introduces the parties:\n");
    let sign = |proof: &Proof| format!("{} {}", if proof.holds { '✓' } else { '✗' }, proof.text);
    out.push_str(&listed(&proofs.iter().map(sign).collect::<Vec<_>>()));
    if proofs.is_empty() {
        out.push_str("  none yet\n");
    }
    out
}

fn expected_run(plan: &Plan) -> Duration {
    Duration::from_micros(plan.expect(Line::LAN).total_us)
}

fn costs(job: &JobView, plan: &Plan) -> Vec<Vec<String>> {
    let header = ["PARTY", "RUN", "SENT", "PLANNED"];
    let mut rows = vec![header.map(str::to_owned).to_vec()];
    let ms = |ms: u64| format!("{:.2} s", ms as f64 / 1e3);
    let row = |party: &PartyView| {
        let planned = planned(plan, &party.name);
        let m = match &party.metrics {
            None => return vec![party.name.to_string(), "not yet".into()],
            Some(Err(_)) => return vec![party.name.to_string(), "cannot be read".into()],
            Some(Ok(metrics)) => metrics,
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
        json.insert("expected_run_s".into(), json!(expected_run(plan).as_secs_f64()));
        let proofs: Vec<Value> = proofs.iter().map(|p| json!({ "holds": p.holds, "claim": p.text })).collect();
        json.insert("proofs".into(), json!(proofs));
    }
    json
}

#[cfg(test)]
mod tests {
    use banyan_proto::identity::Identity;
    use banyan_proto::wire;

    use super::super::check::tests::example_plan;
    use super::*;

    #[test]
    fn what_a_released_job_must_have_is_missed_and_what_a_party_sent_is_never_believed() {
        let (spec, plan) = example_plan();
        let (bank, stranger) = (Identity::generate().unwrap(), Identity::generate().unwrap());
        let name = PartyId::new("bank").unwrap();
        let keys = BTreeMap::from([(name.clone(), bank.public())]);
        let admission = |plan| Admission {
            spec: spec.digest(),
            plan,
            party: name.clone(),
            approval: spec.digest(),
            at: spec.scenario.valid_from,
        };
        let said = |state: &str, admission: Vec<u8>| {
            let party = |name: &str, admission: Vec<u8>| wire::PartyState {
                name: name.into(),
                admission: admission.into(),
                ..wire::PartyState::default()
            };
            let reply = wire::JobReply {
                job: spec.digest().0.to_vec().into(),
                spec: spec.to_bytes().into(),
                state: state.into(),
                parties: vec![party("bank", admission.clone()), party("bureau", admission)],
                ..wire::JobReply::default()
            };
            let proofs = signed_words(&reply.try_into().unwrap(), &plan, &keys);
            proofs.into_iter().map(|proof| (proof.holds, proof.text)).collect::<Vec<_>>()
        };
        let admits =
            |party: &str, why: &str| (false, format!("{party} signed that it admits this very spec and plan{why}"));
        let log = |party: &str| {
            (false, format!("{party} signed a state of its log: no, the coordinator has nothing of the kind"))
        };
        let nobody = ": no, the coordinator introduces nobody of that name";

        assert!(said("running", Vec::new()).is_empty(), "nothing is due yet");
        let missing = ": no, the coordinator has nothing of the kind";
        let (no_bank, no_bureau) = (admits("bank", missing), admits("bureau", missing));
        assert_eq!(said("released", Vec::new()), [no_bank, log("bank"), no_bureau, log("bureau")]);

        let good = bank.sign(&admission(plan.digest())).to_bytes();
        let yes = (true, admits("bank", "").1);
        assert_eq!(said("released", good.clone()), [yes.clone(), log("bank"), admits("bureau", nobody), log("bureau")]);
        assert_eq!(said("failed", good), [yes, admits("bureau", nobody)]);
        for (bytes, why) in [
            (bank.sign(&admission(spec.digest())).to_bytes(), ": no, it signed something else"),
            (stranger.sign(&admission(plan.digest())).to_bytes(), ": no, signed by "),
            (vec![1, 2, 3], ": no, not canonical: a signed value has a 32-byte key"),
        ] {
            let (holds, text) = said("failed", bytes).remove(0);
            assert!(!holds && text.starts_with(&admits("bank", why).1), "{text}");
        }
    }
}
