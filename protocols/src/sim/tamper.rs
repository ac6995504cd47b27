//! What an attacker on the network can do to a named frame, and what a recording keeps.

use bytes::Bytes;

use crate::party::PartyId;
use crate::transport::Step;

/// One edit of one frame: the network's, so it works on sealed bytes. A cheating *party* is a scripted program instead.
#[derive(Clone, Debug)]
pub struct Tamper {
    /// Whose frame.
    pub from: PartyId,
    /// To whom.
    pub to: PartyId,
    /// At which step.
    pub step: Step,
    /// Which frame of that step and direction, counted from 0. The last one is the end-of-stream mark.
    pub frame: u64,
    /// What happens to it.
    pub edit: Edit,
}

/// What happens to a frame.
#[derive(Clone, Debug)]
pub enum Edit {
    /// Turns one bit, counted modulo the frame's length.
    Flip {
        /// Which.
        bit: usize,
    },
    /// Cuts bytes off its end.
    Truncate {
        /// How many.
        bytes: usize,
    },
    /// Never delivers it.
    Drop,
    /// Delivers it twice.
    Repeat,
    /// Delivers it after the next frame.
    Reorder,
    /// Delivers another sealed frame in its place: of another session, or of another step, direction or position of this one.
    Splice(Bytes),
}

/// Every sealed frame of a run in the order sent, before any tampering.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Transcript(Vec<Recorded>);

/// One frame of a recorded run, and its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recorded {
    /// Who sent it.
    pub from: PartyId,
    /// To whom.
    pub to: PartyId,
    /// At which step.
    pub step: Step,
    /// Which frame of that step and direction, counted from 0.
    pub frame: u64,
    /// The bytes on the wire.
    pub sealed: Bytes,
}

impl Recorded {
    /// An edit of the frame at this place.
    pub fn tampered(&self, edit: Edit) -> Tamper {
        Tamper { from: self.from.clone(), to: self.to.clone(), step: self.step.clone(), frame: self.frame, edit }
    }
}

impl Transcript {
    /// The frames in the order sent.
    pub fn frames(&self) -> &[Recorded] {
        &self.0
    }

    /// The frames of each direction and step together, whatever order the schedule sent them in.
    pub fn by_stream(&self) -> Self {
        let mut frames = self.0.clone();
        frames.sort_by(|a, b| (&a.from, &a.to, &a.step, a.frame).cmp(&(&b.from, &b.to, &b.step, b.frame)));
        Self(frames)
    }

    pub(super) fn push(&mut self, frame: Recorded) {
        self.0.push(frame);
    }
}

/// What the network makes of a frame: what it delivers now, and what it holds back until after the next frame.
pub(super) fn deliver(tamper: Option<&Tamper>, frame: Bytes) -> (Vec<Bytes>, Option<Bytes>) {
    let Some(tamper) = tamper else { return (vec![frame], None) };
    match &tamper.edit {
        Edit::Flip { bit } => {
            let mut changed = frame.to_vec();
            let bit = bit % (changed.len() * 8); // a sealed frame is never empty
            changed[bit / 8] ^= 1 << (bit % 8);
            (vec![changed.into()], None)
        }
        Edit::Truncate { bytes } => (vec![frame.slice(..frame.len().saturating_sub(*bytes))], None),
        Edit::Drop => (Vec::new(), None),
        Edit::Repeat => (vec![frame.clone(), frame], None),
        Edit::Reorder => (Vec::new(), Some(frame)),
        Edit::Splice(other) => (vec![other.clone()], None),
    }
}
