use super::*;
use crate::error::{Error, Fault};
use crate::sim::{Edit, Tamper};
use crate::transport::LinkError;

/// Every frame of every step and direction, with every edit: whom it reaches names the sender and the step.
#[test]
fn every_edit_of_every_frame_is_named() {
    let (x, y) = (keys(0, 9), keys(4, 11));
    for form in FORMS {
        let p = parameters(form, 10, 12);
        let world = World::new("dh", 7);
        let clean = run(&world, small(4), p, &x, &y);
        let other = run(&world.clone().attempt(1).record(), small(4), p, &x, &y).transcript;
        let mut tried = 0;
        for stream in &clean.report.streams {
            for frame in 0..stream.frames {
                for edit in [
                    Edit::Flip { bit: 8 + 37 * frame as usize },
                    Edit::Truncate { bytes: 1 + frame as usize },
                    Edit::Drop,
                    Edit::Repeat,
                    Edit::Reorder,
                    Edit::Splice(other.clone()),
                ] {
                    if matches!(edit, Edit::Reorder) && frame + 1 == stream.frames {
                        continue; // nothing follows that it could change places with
                    }
                    let tamper = Tamper { from: stream.from.clone(), step: stream.step.clone(), frame, edit };
                    let outcomes = run(&world.clone().tamper(tamper.clone()), small(4), p, &x, &y).outcomes;
                    for (party, outcome) in &outcomes {
                        if *party == stream.to {
                            let Err(Error::Deviation { party, step, fault }) = outcome else {
                                panic!("{form:?} {tamper:?}: {outcomes:?}")
                            };
                            assert_eq!((party, step), (&stream.from, &stream.step), "{form:?} {tamper:?}");
                            assert!(matches!(fault, Fault::Forged { .. } | Fault::Cut), "{form:?} {tamper:?}: {fault}");
                        } else {
                            // The other may have ended already, or sees its peer leave; it accuses nobody.
                            let left = matches!(outcome, Ok(_) | Err(Error::Link { error: LinkError::Closed, .. }));
                            assert!(left, "{form:?} {tamper:?}: {outcome:?}");
                        }
                    }
                    tried += 1;
                }
            }
        }
        // Points, answers and end marks of two steps, and the matches of the third.
        let frames: u64 = if form == Form::RowsToBoth { 4 + 4 + 4 + 1 + 4 + 1 } else { 4 + 4 + 4 + 1 };
        assert_eq!(tried, 6 * frames - clean.report.streams.len() as u64, "{form:?}");
    }
}

#[test]
fn a_recorded_run_is_refused_by_a_fresh_session() {
    let (x, y) = (keys(0, 9), keys(4, 11));
    let p = parameters(Form::RowsToBoth, 10, 12);
    let world = World::new("dh", 7);
    let recorded = run(&world.clone().record(), small(4), p, &x, &y).transcript;
    let replayed = run(&world.attempt(1).replay(&recorded), small(4), p, &x, &y).outcomes;
    assert!(replayed.iter().all(|(_, outcome)| outcome.is_err()), "{replayed:?}");
    let refused =
        |outcome: &Result<Output>| matches!(outcome, Err(Error::Deviation { fault: Fault::Forged { frame: 0 }, .. }));
    assert!(replayed.iter().any(|(_, outcome)| refused(outcome)), "{replayed:?}");
}
