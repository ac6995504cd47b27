//! `banyan bench table`: the protocols beside each other, each measured as `bench psi` does, as rows for a README.

use clap::Args;
use serde_json::{Value, json};

use super::data::IDS_MAX;
use super::psi::{self, Measured, PsiArgs};
use super::{Figures, answered};
use crate::cli::answer::{Answer, Failure};
use crate::cli::programs::Programs;

/// Flags of `bench table`.
#[derive(Args)]
#[command(after_help = "Examples:
  banyan bench table              # 2^16 ids at each party
  banyan bench table 16 20 22     # half a minute on two idle cores

Each row is what `banyan bench psi` with its flags answers; the unbalanced row has 2^12 ids at the receiver. \
benches/peers/secretflow.py prints the same rows of SecretFlow. Run both on an idle machine, in the same minutes.")]
pub(crate) struct TableArgs {
    /// Sizes of both sets, as powers of two
    #[arg(value_name = "LOG2_SIZE", default_values_t = [16], value_parser = clap::value_parser!(u32).range(0..i64::from(IDS_MAX.ilog2())))]
    sizes: Vec<u32>,
}

/// One line of each size.
struct Row {
    protocol: &'static str,
    flags: &'static [&'static str],
    /// The largest size where it is more than a wait.
    largest: u32,
}

const ROWS: [Row; 9] = [
    Row { protocol: "rr22", flags: &[], largest: u32::MAX },
    Row { protocol: "rr22", flags: &["--low-bandwidth"], largest: 22 },
    Row { protocol: "ecdh", flags: &[], largest: 20 },
    Row { protocol: "ecdh", flags: &["--suite", "sm"], largest: 16 },
    Row { protocol: "cardinality", flags: &[], largest: 20 },
    Row { protocol: "sum", flags: &[], largest: 20 },
    Row { protocol: "circuit", flags: &[], largest: 20 },
    Row { protocol: "unbalanced", flags: &["--receiver-size", "4096"], largest: 20 },
    Row { protocol: "interop", flags: &[], largest: 20 },
];

/// Measures row by row.
pub(super) async fn run(args: &TableArgs, programs: &Programs, as_json: bool) -> Result<Answer, Failure> {
    let mut lines = vec![
        "| protocol | N | wall s | CPU s receiver, sender | MB | peak MB receiver, sender | right |".to_owned(),
        "|---|---|---|---|---|---|---|".to_owned(),
    ];
    let (mut rows, mut correct) = (Vec::new(), true);
    for &log2 in &args.sizes {
        for row in ROWS.iter().filter(|row| log2 <= row.largest) {
            let psi = PsiArgs::flags(row.protocol, 1 << log2, row.flags)?;
            let measured = Measured::of(&psi)?;
            let figures = psi::run(&psi, &measured, programs, as_json).await?;
            correct &= figures.correct;
            lines.push(line(row, log2, measured.in_memory(), &figures));
            rows.push(answered(&figures, psi::asked(&psi, &measured))?);
        }
    }
    let answer = if correct { Answer::yes } else { Answer::no };
    Ok(answer(lines.join("\n"), json!({ "rows": Value::Array(rows) })))
}

fn line(row: &Row, log2: u32, in_memory: bool, figures: &Figures) -> String {
    let name = [&[row.protocol], row.flags].concat().join(" ");
    let each =
        |of: &dyn Fn(&super::PartyFigures) -> String| figures.parties.iter().map(of).collect::<Vec<_>>().join(", ");
    // in memory the one process holds everybody, the inputs and the truth
    let peak = if in_memory { "in memory".to_owned() } else { each(&|party| format!("{:.0}", party.peak_rss_mb)) };
    format!(
        "| {name} | 2^{log2} | {:.2} | {} | {:.2} | {peak} | {} |",
        figures.wall_s,
        each(&|party| format!("{:.2}", party.cpu_s)),
        figures.bytes as f64 / 1e6,
        if figures.correct { "yes" } else { "NO" },
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_is_a_bench_that_can_be_asked_for() {
        for row in &ROWS {
            let psi = PsiArgs::flags(row.protocol, 1 << 16, row.flags).ok().unwrap();
            assert!(Measured::of(&psi).is_ok(), "{} {:?}", row.protocol, row.flags);
        }
    }
}
