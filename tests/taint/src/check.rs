//! Runs of a case with each secret, compared.

use std::process::ExitCode;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use nix::sys::personality::{self, Persona};

use crate::cases::{CASES, Case, SECRETS};
use crate::instructions::Instructions;
use crate::stepper::Stepper;
use crate::symbols;

/// Checks the cases whose name has `part` in it, and says what was found.
pub(crate) fn all(part: &str) -> ExitCode {
    if let Err(error) = personality::get().and_then(|now| personality::set(now | Persona::ADDR_NO_RANDOMIZE)) {
        eprintln!("addresses stay randomised ({error}): run this where the personality may be set");
        return ExitCode::FAILURE;
    }
    let chosen: Vec<_> = CASES.iter().enumerate().filter(|(_, case)| case.name.contains(part)).collect();
    if chosen.is_empty() {
        eprintln!("nothing here is called {part:?}");
        return ExitCode::from(2);
    }
    let (next, wrong) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        // A process can be stepped by the thread that started it only, so a case stays on one thread.
        for _ in 0..cores {
            scope.spawn(|| {
                while let Some((number, case)) = chosen.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let begun = Instant::now();
                    let (right, text) = verdict(case, compare(*number));
                    wrong.fetch_add(usize::from(!right), Ordering::Relaxed);
                    let ok = if right { "ok" } else { "WRONG" };
                    println!("{ok:5} {} ({:.1} s): {text}", case.name, begun.elapsed().as_secs_f32());
                }
            });
        }
    });
    if wrong.into_inner() > 0 { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

/// What the runs of a case showed.
enum Outcome {
    /// So many instructions and addresses, the same in each run.
    Same { instructions: u64, addresses: u64 },
    /// The first thing that differs.
    Differs(String),
}

/// Whether that is as it should be, and what to say.
fn verdict(case: &Case, outcome: Result<Outcome, String>) -> (bool, String) {
    match (outcome, case.leaks) {
        (Err(error), _) => (false, error),
        (Ok(Outcome::Same { instructions, addresses }), leaks) => {
            let text = format!("{SECRETS} secrets, {instructions} instructions and {addresses} operands, all the same");
            (leaks.is_none(), text)
        }
        (Ok(Outcome::Differs(what)), leaks) => (leaks.is_some_and(|word| what.contains(word)), what),
    }
}

/// Records a run with the first secret, and holds the others to it.
fn compare(case: usize) -> Result<Outcome, String> {
    let mut known = Instructions::new();
    let mut seen = Vec::new();
    let first = Stepper::start(case, 0)?;
    let mut record = Record::default();
    while first.step(&mut known, &mut seen)?.is_some() {
        record.push(&seen);
    }
    for secret in 1..SECRETS {
        let stepper = Stepper::start(case, secret)?;
        let mut steps = record.steps();
        let mut before = None;
        loop {
            let now = stepper.step(&mut known, &mut seen)?.map(|()| &seen[..]);
            let then = steps.next();
            if now != then {
                return Ok(Outcome::Differs(difference(&stepper, before, then, now)));
            }
            let Some(step) = now else { break };
            before = Some(step[0]);
        }
    }
    Ok(record.same())
}

/// Names the instruction at which two runs part.
fn difference(stepper: &Stepper, before: Option<u64>, then: Option<&[u64]>, now: Option<&[u64]>) -> String {
    match (then, now) {
        (Some([a, ..]), Some([b, ..])) if a == b => {
            format!("an address or operand of {} depends on the secret", symbols::name(stepper, *a))
        }
        _ => {
            let at = before.map_or_else(|| "the call".to_owned(), |rip| symbols::name(stepper, rip));
            format!("where {at} goes on depends on the secret")
        }
    }
}

/// What was seen of each instruction of a run: a count, then as many numbers.
#[derive(Default)]
struct Record(Vec<u64>);

impl Record {
    fn push(&mut self, seen: &[u64]) {
        self.0.push(seen.len() as u64);
        self.0.extend_from_slice(seen);
    }

    fn steps(&self) -> impl Iterator<Item = &[u64]> {
        let mut rest = &self.0[..];
        std::iter::from_fn(move || {
            let (count, after) = rest.split_first()?;
            let (step, after) = after.split_at(*count as usize);
            rest = after;
            Some(step)
        })
    }

    fn same(&self) -> Outcome {
        let instructions = self.steps().count() as u64;
        let addresses = self.steps().map(|step| step.len() as u64 - 1).sum();
        Outcome::Same { instructions, addresses }
    }
}
