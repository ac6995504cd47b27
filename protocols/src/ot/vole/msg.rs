//! Messages of a batch.

use subtle::ConstantTimeEq;

use crate::kernels::pprf::{self, Forest};
use crate::message::{Malformed, Message, Reader, Writer};

/// The sums of the forest, with a value added to each total.
pub(super) struct Sums(pub(super) pprf::Sums);

impl Sums {
    pub(super) fn bytes(forest: &Forest) -> usize {
        16 * forest.trees() * (2 * (forest.depth() - 1) + 1)
    }
}

impl Message for Sums {
    const KIND: &'static str = "ot/vole/sums";
    type Shape = Forest;

    fn write(&self, w: &mut Writer) {
        w.blocks(self.0.levels.as_flattened());
        w.blocks(&self.0.totals);
    }

    fn read(r: &mut Reader<'_>, forest: Forest) -> Result<Self, Malformed> {
        let levels = r.blocks(2 * forest.trees() * (forest.depth() - 1))?;
        let levels = levels.as_chunks::<2>().0.to_vec();
        Ok(Self(pprf::Sums { levels, totals: r.blocks(forest.trees())? }))
    }
}

/// χ of the check.
pub(super) struct Challenge(pub(super) u128);

impl Challenge {
    pub(super) const BYTES: usize = 16;
}

impl Message for Challenge {
    const KIND: &'static str = "ot/vole/challenge";
    type Shape = ();

    fn write(&self, w: &mut Writer) {
        w.blocks(&[self.0]);
    }

    fn read(r: &mut Reader<'_>, (): ()) -> Result<Self, Malformed> {
        Ok(Self(r.blocks(1)?[0]))
    }
}

/// What both must get from the check.
pub(super) struct Verdict(pub(super) [u8; 32]);

impl Verdict {
    pub(super) const BYTES: usize = 32;

    pub(super) fn agrees(&self, expected: &Self) -> bool {
        self.0.ct_eq(&expected.0).into()
    }
}

impl Message for Verdict {
    const KIND: &'static str = "ot/vole/verdict";
    type Shape = ();

    fn write(&self, w: &mut Writer) {
        w.bytes(&self.0);
    }

    fn read(r: &mut Reader<'_>, (): ()) -> Result<Self, Malformed> {
        let mut digest = [0; 32];
        digest.copy_from_slice(r.bytes(32)?);
        Ok(Self(digest))
    }
}
