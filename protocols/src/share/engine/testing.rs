//! Programs run in a world, with what they cost compared.

use super::*;
use crate::share::measure::in_world;
use crate::sim::{Net, World};

pub(in crate::share) const PROVIDERS: [Provider; 2] = [Provider::Helper, Provider::Transfers];

/// Runs a program at every seat, and compares what it spent with what it declared, at every seat and at a rehearsal.
pub(in crate::share) fn run<T>(provider: Provider, program: impl AsyncFn(&mut Engine) -> Result<T>) -> Vec<T> {
    let (values, spent, report) = in_world(provider, World::new("share", 1).net(Net::ROUNDS), &program).unwrap();
    let (_, rehearsed) = Engine::rehearse(provider, async |engine| program(engine).await).unwrap();
    assert_eq!(spent, rehearsed, "a rehearsal declares the same");
    for (party, seat) in report.parties.iter().zip([Seat::First, Seat::Second, Seat::Helper]) {
        assert_eq!(party.bytes_out, rehearsed[seat].bytes_out, "{seat:?} {provider:?}");
    }
    let rounds = rehearsed.first.rounds;
    // Fewer where one end of transfers is done with one thing before the other, and begins the next.
    let least = if provider == Provider::Helper { rounds } else { rounds / 2 };
    assert!((least..=rounds).contains(&report.rounds()), "{} rounds of {rounds}, {provider:?}", report.rounds());
    values
}
