use super::*;
use crate::party::Roster;
use crate::ring::Prg;
use crate::share::{and_shares, mul};
use crate::sim::{Net, Run, World};

fn seats(provider: Provider) -> (Seats, Roster) {
    let party = |name: &str| PartyId::new(name).unwrap();
    let helper = (provider == Provider::Helper).then(|| party("helper"));
    let roster = Roster::star(party("bank"), [party("bureau")].into_iter().chain(helper.clone()));
    (Seats { first: party("bank"), second: party("bureau"), helper }, roster)
}

const PROVIDERS: [Provider; 2] = [Provider::Helper, Provider::Transfers];

/// Runs a program at every seat, and compares what it spent with what it declared, at every seat and at a rehearsal.
fn run<T: Send>(provider: Provider, program: impl AsyncFn(&mut Engine) -> Result<T>) -> Vec<T> {
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

#[test]
fn products_of_numbers_and_of_bits() {
    for provider in PROVIDERS {
        for len in [0, 1, 31, 33, 1000] {
            let mut prg = Prg::new(len as u128);
            let (x, y): (Vec<u64>, Vec<u64>) = (prg.elements(len), prg.elements(len));
            let (p, q) = (prg.bits(len), prg.bits(len));
            let opened = run(provider, async |e| {
                let (x, y) = (e.input(Seat::First, len, Some(x.clone())), e.input(Seat::Second, len, Some(y.clone())));
                let p = e.input_bits(Seat::First, len, Some(p.clone()));
                let q = e.input_bits(Seat::Second, len, Some(q.clone()));
                let product = mul(e, &x, &y).await?;
                let square = mul(e, &product, &(&product - &e.public(&vec![1; len]))).await?;
                let both = and_shares(e, &p, &e.not(&q)).await?;
                Ok((e.open(&square).await?, e.open_bits(&both).await?))
            });
            for (squares, both) in &opened[..2] {
                for n in 0..len {
                    let product = x[n].wrapping_mul(y[n]);
                    assert_eq!(squares[n], product.wrapping_mul(product.wrapping_sub(1)));
                    assert_eq!(both.get(n), p.get(n) & !q.get(n) & 1);
                }
            }
            assert!(opened[2..].iter().all(|(squares, both)| squares.is_empty() && both.is_empty()));
        }
    }
}
