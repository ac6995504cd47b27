//! What a running attempt shows of itself while it runs: how far it is, and the sessions that must stay open until its end
//! was told.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use banyan_protocols::session::{Meter, Session};

use crate::store::Progress;

/// The view of one attempt, shared between who runs it and who shows it.
#[derive(Default)]
pub(crate) struct Live(Mutex<Inner>);

#[derive(Default)]
struct Inner {
    total: u64,
    /// What is behind the session that is measured.
    before: Progress,
    meter: Option<Arc<Meter>>,
    /// Kept until the end was handed to the line: were the links closed before, the peer could blame them and be heard
    /// first.
    sessions: Vec<Session>,
}

impl Live {
    /// The attempt has so many items in all.
    pub(crate) fn begin(&self, total: u64) {
        self.inner().total = total;
    }

    /// A session of the whole attempt.
    pub(crate) fn keep(&self, session: &Session) {
        self.inner().sessions.push(session.clone());
    }

    /// A session whose items are counted from now on; it takes the place of the one before.
    pub(crate) fn measure(&self, session: &Session) {
        let mut inner = self.inner();
        if inner.meter.replace(session.meter()).is_some() {
            inner.sessions.pop();
        }
        inner.sessions.push(session.clone());
    }

    /// Of the items, so many are done, whatever was measured.
    pub(crate) fn passed(&self, done: u64) {
        let mut inner = self.inner();
        inner.before.bytes = inner.now().bytes;
        inner.before.done = done;
        // the session stays, but what it counted is in `before`
        if inner.meter.is_some() {
            inner.meter = Some(Arc::default());
        }
    }

    /// How far it is; none before it runs.
    pub(crate) fn progress(&self) -> Option<Progress> {
        let inner = self.inner();
        (inner.total > 0).then(|| inner.now())
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn now(&self) -> Progress {
        let (done, bytes) = self.meter.as_ref().map_or((0, 0), |meter| (meter.work(), meter.bytes_out()));
        let done = (self.before.done + done).min(self.total);
        Progress { done, total: self.total, bytes: self.before.bytes + bytes }
    }
}
