use super::*;
use crate::catalogue::{Input, Protocol, Sizes};
use crate::error::Fault;
use crate::message::Malformed;
use crate::party::Roster;
use crate::sim::{Edit, Net, Run, World};
use crate::transport::{LinkError, Step};

fn party(name: &str) -> PartyId {
    PartyId::new(name).unwrap()
}

const SENDERS: [&str; 4] = ["bureau", "clinic", "depot", "exchange"];

fn roster(senders: usize) -> Roster {
    Roster::star(party("bank"), SENDERS[..senders].iter().map(|name| party(name)))
}

fn parameters(receiver: u64, sender: u64, senders: usize) -> Parameters {
    Parameters { senders: senders as u32, ..Parameters::new(Sizes { receiver, sender }, Form::RowsToReceiver) }
}

/// The sets that a list of ranges of numbers makes, the receiver's first.
fn sets(ranges: &[std::ops::Range<u64>]) -> Vec<Items> {
    let set = |range: &std::ops::Range<u64>| range.clone().map(|number| format!("id-{number:016}")).collect();
    ranges.iter().map(set).collect()
}

fn run(world: &World, p: Parameters, sets: &[Items]) -> Run<Output> {
    let roster = roster(sets.len() - 1);
    world.run(&roster, |s, role| {
        let own = roster.iter().position(|(party, _)| party == s.me()).unwrap();
        let items: Items = sets[own].iter().collect();
        async move { Multi.run(&s, role, p, Input::Items(items)).await }
    })
}

/// The rows of the first set that all others have too, in plain code.
fn oracle(sets: &[Items]) -> Output {
    let in_all = |row: &u64| sets[1..].iter().all(|other| other.iter().any(|item| item == sets[0].get(*row as usize)));
    Output::Rows(crate::items::Rows::new((0..sets[0].len() as u64).filter(in_all).collect()))
}

fn agrees(ranges: &[std::ops::Range<u64>]) {
    let sets = sets(ranges);
    let longest = sets[1..].iter().map(Items::len).max().unwrap() as u64;
    let p = parameters(sets[0].len() as u64 + 3, longest + 5, sets.len() - 1);
    let run = run(&World::new("multi", 3).net(Net::ROUNDS), p, &sets);
    for report in &run.report.parties {
        let role = if report.party == party("bank") { Role::Receiver } else { Role::Sender };
        let (declared, rounds) = (Multi.cost(&p, role), run.report.rounds());
        let spent = (report.bytes_out, rounds);
        assert_eq!(spent, (declared.bytes_out, declared.rounds), "{} of {ranges:?}", report.party);
        assert_eq!(report.work, Multi.work(&p, role), "progress ends at its end: {} of {ranges:?}", report.party);
    }
    let outputs = run.values().unwrap();
    assert_eq!(outputs[0], oracle(&sets), "{ranges:?}");
    assert!(outputs[1..].iter().all(|output| *output == Output::Nothing));
}

#[test]
fn three_parties_agree_with_the_oracle_at_every_size() {
    for n in [0, 1, 31, 33, 1000] {
        agrees(&[0..n, n / 3..n + n / 3, n / 2..2 * n]);
    }
    agrees(&[0..6789, 3000..9789, 4000..4500]);
    agrees(&[0..40, 0..40, 0..40]);
    agrees(&[0..40, 40..80, 80..120]);
    agrees(&[0..40, 20..60, 0..0]);
    agrees(&[0..0, 20..60, 10..40]);
    agrees(&[0..2000, 500..501, 0..31]);
}

#[test]
fn two_and_five_parties_agree_too() {
    agrees(&[0..100, 50..150]);
    agrees(&[0..300, 100..400, 150..450, 0..250, 200..500]);
    agrees(&[0..33, 1..34, 2..35, 3..36, 33..66]);
}

/// What all but one have in common is hidden: the receiver's sums look as random there as anywhere outside.
#[test]
fn shares_of_an_item_that_one_sender_lacks_look_random() {
    let keys: Vec<u128> = (1..=200).map(|n| n * 0x1234_5678_9abc_def1).collect();
    let pair_keys = [[0, 11, 12], [11, 0, 22], [12, 22, 0]];
    let shares = |sender: usize| {
        let keys_of: Vec<_> =
            (0..3).filter(|other| *other != sender).map(|other| Zeroizing::new(pair_keys[sender][other])).collect();
        let mut shares = vec![0; keys.len()];
        add_shares(&mut shares, &keys, &keys_of);
        shares
    };
    let all = [shares(0), shares(1), shares(2)];
    let mut sums: Vec<u128> = Vec::new();
    for ((first, second), third) in all[0].iter().zip(&all[1]).zip(&all[2]) {
        assert_eq!(first ^ second ^ third, 0);
        sums.extend([*first, *second, first ^ second]);
    }
    let ones: u32 = sums.iter().map(|sum| sum.count_ones()).sum();
    assert!(ones.abs_diff(64 * sums.len() as u32) < 900, "{ones}"); // six standard deviations are 830
    assert_eq!(sums.iter().collect::<std::collections::BTreeSet<_>>().len(), sums.len());
}

#[test]
fn every_schedule_gives_the_same() {
    let sets = sets(&[0..9, 4..15, 6..17]);
    let p = parameters(10, 12, 2);
    for schedule in 0..10 {
        let world = World::new("multi", 7).schedule(schedule).capacity(1 + schedule as usize % 3);
        assert_eq!(run(&world, p, &sets).values().unwrap()[0], oracle(&sets), "{schedule}");
    }
}

#[test]
fn every_frame_that_is_changed_is_named() {
    let sets = sets(&[0..9, 4..15, 6..17]);
    let p = parameters(10, 12, 2);
    let world = World::new("multi", 7);
    let clean = run(&world.clone().record(), p, &sets).transcript.by_stream();
    // Those of the vector evaluation are tested beside it.
    let frames = clean.frames().iter().filter(|frame| !frame.step.as_str().contains("/vole"));
    for (number, frame) in frames.enumerate() {
        let edits = [Edit::Flip { bit: 8 + 37 * number }, Edit::Repeat, Edit::Truncate { bytes: 1 }];
        let tamper = frame.tampered(edits[number % edits.len()].clone());
        let outcomes = run(&world.clone().tamper(tamper.clone()), p, &sets).outcomes;
        for (party, outcome) in outcomes {
            match outcome.err() {
                Some(Error::Deviation { party: named, step, fault: Fault::Forged { .. } }) => {
                    assert_eq!((&party, &named, &step), (&frame.to, &frame.from, &frame.step), "{tamper:?}");
                }
                None | Some(Error::Link { error: LinkError::Closed | LinkError::Silent, .. }) => {
                    assert_ne!(party, frame.to, "{tamper:?}");
                }
                Some(other) => panic!("{tamper:?}: {other:?}"),
            }
        }
    }
}

/// A sender whose hints are for another number of items than the band.
#[test]
fn a_sender_with_a_wrong_count_is_named() {
    let sets = sets(&[0..9, 4..15, 6..17]);
    let p = parameters(10, 12, 2);
    let cheater = party("clinic");
    for (band, fault) in [(11, "short"), (13, "long")] {
        let run = World::new("multi", 7).run(&roster(2), |s, role| {
            let own = roster(2).iter().position(|(party, _)| party == s.me()).unwrap();
            let items: Items = sets[own].iter().collect();
            let p = if *s.me() == cheater { parameters(10, band, 2) } else { p };
            async move { Multi.run(&s, role, p, Input::Items(items)).await }
        });
        let Some(Err(Error::Deviation { party, step, fault: Fault::Malformed(malformed) })) =
            run.outcome(&party("bank"))
        else {
            panic!("{fault}: {:?}", run.outcomes)
        };
        assert_eq!((party, step), (&cheater, &Step::root("multi").child("clinic").child("hints")));
        let as_expected = match malformed {
            Malformed::Short { .. } => fault == "short",
            Malformed::Long { .. } => fault == "long",
            _ => false,
        };
        assert!(as_expected, "{fault}: {malformed}");
    }
}

#[test]
fn what_does_not_fit_is_an_input_error() {
    let refused =
        |p, ranges: &[std::ops::Range<u64>]| run(&World::new("multi", 1), p, &sets(ranges)).outcomes.remove(0).1;
    let ranges = [0..9, 4..15, 6..17];
    let too_many = refused(parameters(8, 12, 2), &ranges);
    assert_eq!(too_many, Err(InputError::TooMany { got: 9, max: 8 }.into()));
    assert!(matches!(
        refused(parameters(10, BAND_MAX + 1, 2), &ranges),
        Err(Error::Input(InputError::Unsupported { .. }))
    ));
    let form = Parameters { form: Form::RowsToBoth, ..parameters(10, 12, 2) };
    assert!(matches!(refused(form, &ranges), Err(Error::Input(InputError::Unsupported { .. }))));
    assert!(matches!(refused(parameters(10, 12, 3), &ranges), Err(Error::Bug(_))));
}
