use super::*;
use crate::error::{Error, Fault};
use crate::sim::Edit;
use crate::transport::{LinkError, Step};

/// Every frame of this protocol's own steps, with every edit: whom it reaches names the sender and the step. Frames of the
/// correlation are those of `crate::ot::vole`'s tests.
#[test]
fn every_edit_of_every_frame_is_named() {
    let (x, y) = (keys(0, 9), keys(4, 11));
    let p = parameters(Form::RowsToBoth, 10, 12);
    let world = World::new("rr22", 7);
    let rr22 = small(Rr22::NEW, 640);
    let clean = run(&world.clone().record(), rr22, p, &x, &y).transcript.by_stream();
    let own = ["seed", "table", "tags", "matches"].map(|name| Step::root("rr22").child(name));
    let mut tried = 0;
    for frame in clean.frames().iter().filter(|frame| own.contains(&frame.step)) {
        let number = frame.frame as usize;
        for edit in
            [Edit::Flip { bit: 8 + 37 * number }, Edit::Truncate { bytes: 1 + number }, Edit::Drop, Edit::Repeat]
        {
            let tamper = frame.tampered(edit);
            let outcomes = run(&world.clone().tamper(tamper.clone()), rr22, p, &x, &y).outcomes;
            for (party, outcome) in &outcomes {
                if *party == frame.to {
                    let Err(Error::Deviation { party, step, fault }) = outcome else {
                        panic!("{tamper:?}: {outcomes:?}")
                    };
                    assert_eq!((party, step), (&frame.from, &frame.step), "{tamper:?}");
                    assert!(matches!(fault, Fault::Forged { .. } | Fault::Cut), "{tamper:?}: {fault}");
                } else {
                    // The other may have ended already, or sees its peer leave; it accuses nobody.
                    let left = matches!(outcome, Ok(_) | Err(Error::Link { error: LinkError::Closed, .. }));
                    assert!(left, "{tamper:?}: {outcome:?}");
                }
            }
            tried += 1;
        }
    }
    // With end marks: commitment, seed; coin, table in three, unused; coin, tags, unused; matches, unused.
    assert_eq!(tried, 4 * (2 + 2 + 5 + 1 + 3 + 1 + 2 + 1));
}
