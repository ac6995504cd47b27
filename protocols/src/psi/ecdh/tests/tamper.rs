use super::*;
use crate::error::{Error, Fault};
use crate::sim::{Edit, Recorded};
use crate::transport::LinkError;

/// Whether the network may as well have put `other` in the place of `frame`: a neighbour in its stream, or the frame at its
/// number in another step or direction.
fn near(frame: &Recorded, other: &Recorded) -> bool {
    let stream = |frame: &Recorded| (frame.from.clone(), frame.step.clone());
    if stream(frame) == stream(other) { frame.frame.abs_diff(other.frame) == 1 } else { frame.frame == other.frame }
}

/// Every frame of every step and direction, with every edit: whom it reaches names the sender and the step.
#[test]
fn every_edit_of_every_frame_is_named() {
    let (x, y) = (keys(0, 9), keys(4, 11));
    // What is on the wire differs by group in bytes alone.
    let protocol = variants(4)[1];
    for form in FORMS {
        let p = parameters(form, 10, 12);
        let world = World::new("dh", 7);
        let recorded = |attempt| run(&world.clone().attempt(attempt).record(), protocol, p, &x, &y);
        let clean = recorded(0);
        let (streams, other) = (clean.report.streams.len(), recorded(1).transcript.by_stream());
        let clean = clean.transcript.by_stream();
        let (mut tried, mut spliced) = (0, 0);
        for (frame, of_another_session) in clean.frames().iter().zip(other.frames()) {
            let number = frame.frame as usize;
            let splices = clean.frames().iter().filter(|other| near(frame, other)).chain([of_another_session]);
            let splices: Vec<Edit> = splices.map(|other| Edit::Splice(other.sealed.clone())).collect();
            spliced += splices.len();
            for edit in [
                Edit::Flip { bit: 8 + 37 * number },
                Edit::Truncate { bytes: 1 + number },
                Edit::Drop,
                Edit::Repeat,
                Edit::Reorder,
            ]
            .into_iter()
            .chain(splices)
            {
                let is_next = |other: &Recorded| near(frame, other) && other.frame == frame.frame + 1;
                if matches!(edit, Edit::Reorder) && !clean.frames().iter().any(is_next) {
                    continue; // nothing follows that it could change places with
                }
                let tamper = frame.tampered(edit);
                let outcomes = run(&world.clone().tamper(tamper.clone()), protocol, p, &x, &y).outcomes;
                for (party, outcome) in &outcomes {
                    if *party == frame.to {
                        let Err(Error::Deviation { party, step, fault }) = outcome else {
                            panic!("{form:?} {tamper:?}: {outcomes:?}")
                        };
                        assert_eq!((party, step), (&frame.from, &frame.step), "{form:?} {tamper:?}");
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
        // Points, answers and end marks of two steps, and the matches of the third; an unused direction has its mark only.
        let lengths = if form == Form::RowsToBoth { vec![4, 4, 4, 1, 4, 1] } else { vec![4, 4, 4, 1] };
        let frames: usize = lengths.iter().sum();
        assert_eq!((lengths.len(), clean.frames().len()), (streams, frames), "{form:?}");
        // Each frame with the one of another session, each pair of neighbours, each pair of one number in two streams.
        let neighbours: usize = lengths.iter().map(|length| 2 * (length - 1)).sum();
        let at = |number| lengths.iter().filter(|length| **length > number).count();
        let opposite: usize = (0..4).map(|number| at(number) * (at(number) - 1)).sum();
        assert_eq!(spliced, frames + neighbours + opposite, "{form:?}");
        assert_eq!(tried, 5 * frames - streams + spliced, "{form:?}");
    }
}

#[test]
fn a_recorded_run_is_refused_by_a_fresh_session() {
    let (x, y) = (keys(0, 9), keys(4, 11));
    let p = parameters(Form::RowsToBoth, 10, 12);
    let world = World::new("dh", 7);
    let protocol = variants(4)[1];
    let recorded = run(&world.clone().record(), protocol, p, &x, &y).transcript;
    let replayed = run(&world.attempt(1).replay(&recorded), protocol, p, &x, &y).outcomes;
    assert!(replayed.iter().all(|(_, outcome)| outcome.is_err()), "{replayed:?}");
    let refused =
        |outcome: &Result<Output>| matches!(outcome, Err(Error::Deviation { fault: Fault::Forged { frame: 0 }, .. }));
    assert!(replayed.iter().any(|(_, outcome)| refused(outcome)), "{replayed:?}");
}
