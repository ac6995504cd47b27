//! The virtual clock and what happens next on it.

use std::collections::BTreeMap;
use std::time::Duration;

use chacha20::ChaCha20Rng;
use rand_core::Rng;

/// What can happen at a moment of virtual time.
#[derive(Clone, Copy, Debug)]
pub(super) enum Event {
    /// The last byte of a frame has left its sender.
    Sent {
        /// Index of the wire.
        wire: usize,
    },
    /// The oldest parcel in flight reaches the receiver's buffer.
    Arrived {
        /// Index of the wire.
        wire: usize,
    },
    /// The job that occupies a party's processor has ended.
    Computed {
        /// Index of the party.
        party: usize,
    },
}

/// The events to come, by time; at one moment in an order drawn from the schedule's seed.
pub(super) struct Events {
    now: Duration,
    queue: BTreeMap<(Duration, u64, u64), Event>,
    sequence: u64,
    rng: ChaCha20Rng,
}

impl Events {
    pub(super) fn new(rng: ChaCha20Rng) -> Self {
        Self { now: Duration::ZERO, queue: BTreeMap::new(), sequence: 0, rng }
    }

    pub(super) fn now(&self) -> Duration {
        self.now
    }

    /// A number below `bound`, for choices of the schedule. The bias is below 2^-32: nothing secret hangs on it.
    pub(super) fn choose(&mut self, bound: usize) -> usize {
        let bound = bound.max(1) as u64;
        (self.rng.next_u64() % bound) as usize
    }

    /// A delay between zero and `most`.
    pub(super) fn jitter(&mut self, most: Duration) -> Duration {
        let most = u64::try_from(most.as_nanos()).unwrap_or(u64::MAX - 1);
        Duration::from_nanos(self.rng.next_u64() % (most + 1))
    }

    pub(super) fn at(&mut self, time: Duration, event: Event) {
        self.sequence += 1;
        let tie = self.rng.next_u64();
        self.queue.insert((time, tie, self.sequence), event);
    }

    /// Moves the clock to the next event.
    pub(super) fn next(&mut self) -> Option<Event> {
        let ((time, ..), event) = self.queue.pop_first()?;
        self.now = time;
        Some(event)
    }
}
