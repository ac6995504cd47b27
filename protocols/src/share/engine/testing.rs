//! Programs run in a world, with what they cost compared.

use super::*;
use crate::party::Roster;
use crate::sim::{Net, Run, World};

pub(in crate::share) fn seats(provider: Provider) -> (Seats, Roster) {
    let party = |name: &str| PartyId::new(name).unwrap();
    let helper = (provider == Provider::Helper).then(|| party("helper"));
    let roster = Roster::star(party("bank"), [party("bureau")].into_iter().chain(helper.clone()));
    (Seats { first: party("bank"), second: party("bureau"), helper }, roster)
}

pub(in crate::share) const PROVIDERS: [Provider; 2] = [Provider::Helper, Provider::Transfers];

/// Runs a program at every seat, and compares what it spent with what it declared, at every seat and at a rehearsal.
pub(in crate::share) fn run<T: Send>(provider: Provider, program: impl AsyncFn(&mut Engine) -> Result<T>) -> Vec<T> {
    let (seats, roster) = seats(provider);
    let run: Run<(T, Costs)> = World::new("share", 1).net(Net::ROUNDS).run(&roster, |s, _| {
        let (seats, program) = (&seats, &program);
        async move {
            let mut engine = Engine::set_up(&s, seats).await?;
            let value = program(&mut engine).await?;
            let spent = engine.spent();
            engine.finish().await?;
            Ok((value, spent))
        }
    });
    let report = run.report.clone();
    let (values, spent): (Vec<T>, Vec<Costs>) = run.values().unwrap().into_iter().unzip();
    let (_, rehearsed) = Engine::rehearse(provider, async |engine| program(engine).await).unwrap();
    assert!(spent.iter().all(|spent| *spent == rehearsed), "everybody declares the same");
    let declared = [rehearsed.first, rehearsed.second, rehearsed.helper];
    for (party, declared) in report.parties.iter().zip(declared) {
        assert_eq!(party.bytes_out, declared.bytes_out, "{} {provider:?}", party.party);
    }
    let rounds = rehearsed.first.rounds;
    // Less where one end of transfers is done with one thing before the other, and begins the next.
    let least = if provider == Provider::Helper { rounds } else { rounds / 2 };
    assert!((least..=rounds).contains(&report.rounds()), "{} rounds of {rounds}, {provider:?}", report.rounds());
    values
}
