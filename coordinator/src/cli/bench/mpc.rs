//! `banyan bench mpc`: one operation on shared numbers, in a simulated world.

use std::time::Instant;

use banyan_protocols::share::Provider;
use banyan_protocols::share::measure::{self, Op};
use banyan_protocols::sim::{Net, PartyReport};
use clap::builder::PossibleValuesParser;
use clap::{Args, ValueEnum};
use serde_json::{Value, json};

use super::PartyFigures;
use super::memory::{peak_rss_mb, processor_time};
use super::psi::NetName;
use crate::cli::answer::{Answer, Failure};
use crate::cli::text::{bytes, table};

/// Flags of `bench mpc`.
#[derive(Args)]
#[command(after_help = "Examples:
  banyan bench mpc --op mul-fixed --size 1000000 --json
  banyan bench mpc --op mul --size 100000 --provider ot --net wan

Two parties have shares of random 64-bit numbers and compute on them; what opens is compared with the same in clear. With \
--provider helper a third party hands out correlated randomness and receives nothing that depends on the numbers; with ot \
the two make it themselves by oblivious transfer. All are in one process, each with one virtual core; the network's time is \
simulated, and rounds and bytes are those of set-up, operation and opening. matmul and held-matmul take size entries as \
rows of 100.")]
pub(crate) struct MpcArgs {
    /// The operation
    #[arg(long, value_parser = PossibleValuesParser::new(Op::ALL.map(|(name, _)| name)))]
    op: String,
    /// How many numbers
    #[arg(long, value_parser = clap::value_parser!(u32).range(100..=1 << 24))]
    size: u32,
    /// Where correlated randomness comes from
    #[arg(long, value_enum, default_value_t = ProviderName::Helper)]
    provider: ProviderName,
    /// The network between the parties
    #[arg(long, value_enum, default_value_t = NetName::Raw)]
    net: NetName,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum ProviderName {
    Helper,
    Ot,
}

/// Measures.
pub(super) async fn run(args: MpcArgs) -> Result<Answer, Failure> {
    // the world computes in this thread, for as long as the operation takes
    let (json, text) = tokio::task::spawn_blocking(move || measured(&args)).await.map_err(Failure::not_now)??;
    let answer = if json["correct"] == true { Answer::yes } else { Answer::no };
    Ok(answer(text, json))
}

fn measured(args: &MpcArgs) -> Result<(Value, String), Failure> {
    let op: Op = args.op.parse().map_err(Failure::input)?;
    let provider = match args.provider {
        ProviderName::Helper => Provider::Helper,
        ProviderName::Ot => Provider::Transfers,
    };
    let begun = Instant::now();
    let net = args.net.net().unwrap_or(Net::INSTANT);
    let measured = measure::measure(op, args.size as usize, provider, net, processor_time);
    let measured = measured.map_err(|error| Failure::No(error.to_string()))?;
    let (report, correct) = (measured.report, measured.correct);
    let (wall_s, peak_rss_mb) = (report.elapsed.as_secs_f64(), peak_rss_mb());
    let figures = |party: &PartyReport| PartyFigures {
        name: party.party.to_string(),
        cpu_s: party.compute.as_secs_f64(),
        peak_rss_mb,
        bytes_out: party.bytes_out,
    };
    let all: Vec<PartyFigures> = report.parties.iter().map(figures).collect();
    let (helpers, parties): (Vec<_>, Vec<_>) = all.iter().partition(|party| party.name == "helper");
    let rounds = measured.declared.first.rounds;
    let name = |value: Option<clap::builder::PossibleValue>| value.map(|value| value.get_name().to_owned());
    let json = json!({
        "op": args.op,
        "size": args.size,
        "provider": name(args.provider.to_possible_value()),
        "net": name(args.net.to_possible_value()),
        "via": "memory",
        "wall_s": wall_s,
        "setup_s": (begun.elapsed().as_secs_f64() - wall_s).max(0.0),
        "rounds": rounds,
        "bytes": report.bytes(),
        "correct": correct,
        "parties": parties,
        "helper": helpers.first().map_or(Value::Null, |helper| json!(helper)),
    });
    let mut rows = vec![["PARTY", "CPU", "SENT"].map(str::to_owned).to_vec()];
    rows.extend(all.iter().map(|p| vec![p.name.clone(), format!("{:.4} s", p.cpu_s), bytes(p.bytes_out)]));
    let text = format!(
        "{wall_s:.3} s, {rounds} rounds, {} in all, {}\n{}",
        bytes(report.bytes()),
        if correct { "as in clear" } else { "NOT what it is in clear" },
        table(&rows)
    );
    Ok((json, text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn operations_are_right_with_a_helper_and_without() {
        for (op, provider, net) in
            [("mul-fixed", ProviderName::Helper, NetName::Wan), ("shuffle", ProviderName::Ot, NetName::Raw)]
        {
            let args = MpcArgs { op: op.to_owned(), size: 300, provider, net };
            let (answer, _) = measured(&args).ok().unwrap();
            assert_eq!((&answer["correct"], &answer["op"]), (&true.into(), &op.into()), "{answer:#}");
            assert_eq!(answer["helper"].is_null(), provider == ProviderName::Ot);
            assert_eq!(answer["parties"].as_array().map(Vec::len), Some(2));
            assert!(answer["bytes"].as_u64() >= Some(300 * 16), "{answer:#}");
        }
    }
}
