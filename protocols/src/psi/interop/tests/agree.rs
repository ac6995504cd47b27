use super::*;
use crate::catalogue::Cost;
use crate::error::{Error, InputError};
use crate::ideal;
use crate::sim::Net;
use crate::transport::LinkError;

/// What both should get.
fn oracle(form: Form, x: &Items, y: &Items) -> Vec<Output> {
    let rows = |own, other| Output::Rows(ideal::intersection(own, other));
    match form {
        Form::RowsToBoth => vec![rows(x, y), rows(y, x)],
        _ => vec![rows(x, y), Output::Nothing],
    }
}

#[test]
fn agrees_with_the_oracle_on_nasty_sizes() {
    let sizes = [(0, 0), (0, 31), (31, 0), (1, 1), (31, 33), (33, 31), (1000, 33), (200, 200), (6789, 1000)];
    for (seed, (n, m)) in sizes.into_iter().enumerate() {
        // hashing onto SM2 takes its time without optimisation: large sets once
        let once = |protocol: &Interop, form| n < 1000 || protocol.suite == EcSuite::X25519 || form == Form::RowsToBoth;
        let all = SUITES.iter().flat_map(|protocol| FORMS.map(|form| (*protocol, form)));
        for (protocol, form) in all.filter(|(protocol, form)| once(protocol, *form)) {
            let (x, y) = (keys(0, n), keys(n / 2, m));
            let run = run(&World::new("interop", seed as u64), [protocol; 2], parameters(form, n, m), &x, &y);
            assert_eq!(run.values().unwrap(), oracle(form, &x, &y), "{protocol:?} {form:?} {n} x {m}");
        }
    }
}

#[test]
fn agrees_with_the_oracle_on_disjoint_equal_and_padded_sets_in_any_batches() {
    let sets = [
        ("disjoint", keys(0, 31), keys(31, 33)),
        ("equal", keys(0, 33), keys(0, 33)),
        ("inside", keys(0, 33), keys(7, 3)),
        ("odd items", ["", "0", "\0", "\u{1}", "银行"].iter().collect(), ["银行", "", "\0\0"].iter().collect()),
    ];
    for (name, x, y) in &sets {
        for (protocol, form) in SUITES.iter().flat_map(|protocol| FORMS.map(|form| (*protocol, form))) {
            // each side cuts as it likes
            let sides = [small(protocol, 8), small(protocol, 5)];
            let run = run(&World::new("interop", 1), sides, parameters(form, 64, 50), x, y);
            assert_eq!(run.values().unwrap(), oracle(form, x, y), "{protocol:?} {form:?} {name}");
        }
    }
}

#[test]
fn costs_exactly_what_it_declares() {
    for protocol in SUITES {
        for (batch, form, n, m) in [
            (4, Form::RowsToBoth, 0, 0),
            (4, Form::RowsToReceiver, 1, 9),
            (5, Form::RowsToBoth, 13, 10),
            (8, Form::RowsToReceiver, 8, 64),
        ] {
            let (protocol, p) = (small(protocol, batch), parameters(form, n, m));
            let run = run(&World::new("interop", 1).net(Net::ROUNDS), [protocol; 2], p, &keys(0, n / 2), &keys(1, m));
            for (report, role) in run.report.parties.iter().zip([Role::Receiver, Role::Sender]) {
                let declared = protocol.cost(&p, role);
                let spent = Cost {
                    rounds: run.report.rounds(),
                    bytes_out: report.bytes_out,
                    group_ops: report.group_ops,
                    cpu_us: declared.cpu_us,
                };
                assert_eq!(spent, declared, "{protocol:?} {form:?} {n} x {m} {role}");
            }
        }
    }
}

#[test]
fn what_is_sent_tells_nothing_about_the_true_sizes() {
    let p = parameters(Form::RowsToBoth, 20, 20);
    let sides = [small(Interop::X25519, 3); 2];
    let streams = |x: Items, y: Items| run(&World::new("interop", 1), sides, p, &x, &y).report.streams;
    assert_eq!(streams(keys(0, 20), keys(0, 20)), streams(keys(0, 0), keys(0, 1)));
}

#[test]
fn schedules_give_the_same_result_and_the_same_streams() {
    let (x, y) = (keys(0, 40), keys(25, 37));
    for form in FORMS {
        let (p, sides) = (parameters(form, 45, 40), [small(Interop::X25519, 3); 2]);
        let world = World::new("interop", 3).record();
        let first = run(&world, sides, p, &x, &y);
        for schedule in 0..50 {
            let again = run(&world.clone().schedule(schedule).capacity(1 + schedule as usize % 3), sides, p, &x, &y);
            assert_eq!(again.transcript.by_stream(), first.transcript.by_stream(), "{form:?} schedule {schedule}");
            assert_eq!(again.values().unwrap(), oracle(form, &x, &y), "{form:?} schedule {schedule}");
        }
    }
}

/// The bureau wants so many common rows before it answers; twelve are common.
fn withheld(minimum: u64, form: Form) -> Vec<Result<Output, Error>> {
    let (x, y) = (keys(0, 30), keys(18, 40));
    let sides = [small(Interop::X25519, 7), small(Interop::X25519, 7).withholding(minimum)];
    let run = run(&World::new("interop", 1), sides, parameters(form, 32, 40), &x, &y);
    run.outcomes.into_iter().map(|(_, outcome)| outcome).collect()
}

#[test]
fn a_party_that_demands_a_minimum_answers_only_where_it_is_met() {
    let (x, y) = (keys(0, 30), keys(18, 40));
    for minimum in [0, 1, 12] {
        let outcomes: Result<Vec<_>, _> = withheld(minimum, Form::RowsToBoth).into_iter().collect();
        assert_eq!(outcomes.unwrap(), oracle(Form::RowsToBoth, &x, &y), "{minimum}");
    }
    let outcomes = withheld(13, Form::RowsToBoth);
    assert_eq!(outcomes[1], Ok(Output::Rows(ideal::intersection(&y, &x))), "it knows, and opens nothing");
    assert!(outcomes[0].is_err(), "the other learns nothing: {:?}", outcomes[0]);
}

#[test]
fn two_that_withhold_wait_for_each_other_and_say_so() {
    let sides = [Interop::X25519.withholding(1); 2];
    let run = run(&World::new("interop", 1), sides, parameters(Form::RowsToBoth, 4, 4), &keys(0, 4), &keys(0, 4));
    for (party, outcome) in run.outcomes {
        assert!(matches!(outcome, Err(Error::Link { error: LinkError::Silent, .. })), "{party}: {outcome:?}");
    }
}

#[test]
fn inputs_that_do_not_fit_are_the_owners_to_mend() {
    let outcome = |x: Items, p| {
        let run = run(&World::new("interop", 1), [Interop::X25519; 2], p, &x, &keys(0, 3));
        run.outcomes.into_iter().next().unwrap().1
    };
    let p = parameters(Form::RowsToBoth, 4, 4);
    assert_eq!(outcome(keys(0, 5), p), Err(Error::Input(InputError::TooMany { got: 5, max: 4 })));
    let twice: Items = ["a", "b", "c", "b"].iter().collect();
    assert_eq!(outcome(twice, p), Err(Error::Input(InputError::Duplicate { first: 1, second: 3 })));
    let count = outcome(keys(0, 1), parameters(Form::Cardinality, 4, 4));
    assert!(matches!(count, Err(Error::Input(InputError::Unsupported { protocol: "interop", .. }))));
    let huge = parameters(Form::RowsToBoth, super::super::BAND_MAX + 1, 4);
    assert!(matches!(
        outcome(keys(0, 1), huge),
        Err(Error::Input(InputError::Unsupported { protocol: "interop", .. }))
    ));
}
