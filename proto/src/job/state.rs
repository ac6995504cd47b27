//! Where a job stands. The coordinator drives it, every node can follow it; an event that does not fit is refused.

use serde::{Deserialize, Serialize};

/// The states of a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// Offered to the parties.
    Proposed,
    /// Every party admitted it.
    Approved,
    /// Every party holds a snapshot of its input for this attempt.
    Prepared,
    /// The protocol runs.
    Running,
    /// The result is sealed at its receiver; the parties check and sign the commitment.
    Held,
    /// The result was released to its recipients.
    Released,
    /// A party refused it.
    Refused,
    /// A person stopped it.
    Stopped,
    /// Its scenario or its deadline ran out.
    Expired,
    /// An attempt failed; it may be tried again as a new attempt.
    Failed,
}

/// What moves a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Event {
    /// The last admission came in.
    Admitted,
    /// The last snapshot stands.
    Prepared,
    /// The protocol was started.
    Started,
    /// The last party holds its result.
    Held,
    /// The last party released.
    Released,
    /// A party said no.
    Refused,
    /// A person said stop.
    Stopped,
    /// Time ran out.
    Expired,
    /// An attempt failed.
    Failed,
    /// A new attempt of a job that failed, was stopped, or ran out of time.
    Retried,
}

/// An event that does not fit the state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("event {event:?} does not fit a job that is {state:?}")]
pub struct IllegalEvent {
    /// Where the job stands.
    pub state: State,
    /// What came.
    pub event: Event,
}

impl State {
    /// Every state.
    pub const ALL: [Self; 10] = [
        Self::Proposed,
        Self::Approved,
        Self::Prepared,
        Self::Running,
        Self::Held,
        Self::Released,
        Self::Refused,
        Self::Stopped,
        Self::Expired,
        Self::Failed,
    ];

    /// The next state.
    ///
    /// # Errors
    /// [`IllegalEvent`] where the event does not fit; the state stays.
    pub fn apply(self, event: Event) -> Result<Self, IllegalEvent> {
        let next = match (self, event) {
            (Self::Proposed, Event::Admitted) | (Self::Failed, Event::Retried) => Self::Approved,
            // a person or the clock ended it, perhaps before all had answered: everyone is asked again
            (Self::Stopped | Self::Expired, Event::Retried) => Self::Proposed,
            (Self::Proposed, Event::Refused) => Self::Refused,
            (Self::Approved, Event::Prepared) => Self::Prepared,
            (Self::Prepared, Event::Started) => Self::Running,
            (Self::Running, Event::Held) => Self::Held,
            // the parties release among themselves: what a person or the clock ended here may have been released there
            (Self::Held | Self::Stopped | Self::Expired, Event::Released) => Self::Released,
            (state, Event::Refused) if state.is_under_way() => Self::Refused,
            (state, Event::Stopped) if !state.is_over() => Self::Stopped,
            (state, Event::Expired) if !state.is_over() => Self::Expired,
            (state, Event::Failed) if state.is_under_way() => Self::Failed,
            (state, event) => return Err(IllegalEvent { state, event }),
        };
        Ok(next)
    }

    /// An attempt is under way.
    pub fn is_under_way(self) -> bool {
        matches!(self, Self::Approved | Self::Prepared | Self::Running | Self::Held)
    }

    /// Nothing moves it any more but a retry, and the late word that the parties had released all the same.
    pub fn is_over(self) -> bool {
        matches!(self, Self::Released | Self::Refused | Self::Stopped | Self::Expired | Self::Failed)
    }

    /// The name on the wire and on screens.
    pub fn name(self) -> &'static str {
        match self {
            Self::Proposed => "proposed",
            Self::Approved => "approved",
            Self::Prepared => "prepared",
            Self::Running => "running",
            Self::Held => "held",
            Self::Released => "released",
            Self::Refused => "refused",
            Self::Stopped => "stopped",
            Self::Expired => "expired",
            Self::Failed => "failed",
        }
    }

    /// The state of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.name() == name)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_straight_way_ends_released() {
        let events = [Event::Admitted, Event::Prepared, Event::Started, Event::Held, Event::Released];
        let end = events.into_iter().try_fold(State::Proposed, State::apply);
        assert_eq!(end, Ok(State::Released));
    }

    #[test]
    fn what_is_over_stays_over_but_for_a_retry_and_a_release_that_was_not_heard() {
        use Event::{Admitted, Expired, Failed, Held, Prepared, Refused, Started, Stopped};
        for state in State::ALL.into_iter().filter(|state| state.is_over()) {
            for event in [Admitted, Prepared, Started, Held, Refused, Stopped, Expired, Failed] {
                assert_eq!(state.apply(event), Err(IllegalEvent { state, event }));
            }
        }
        let to = |event: Event| State::ALL.map(|state| state.apply(event).ok().filter(|_| state.is_over()));
        let (approved, proposed, released) = (Some(State::Approved), Some(State::Proposed), Some(State::Released));
        // released, refused, stopped, expired, failed
        assert_eq!(to(Event::Retried)[5..], [None, None, proposed, proposed, approved]);
        assert_eq!(to(Event::Released)[5..], [None, None, released, released, None]);
    }

    proptest! {
        #[test]
        fn whatever_happens_nothing_is_released_that_did_not_run(
            events in proptest::collection::vec(proptest::sample::select(&EVENTS[..]), 0..40)
        ) {
            let mut state = State::Proposed;
            let mut attempt = Vec::new();
            for event in events {
                let Ok(next) = state.apply(event) else { continue };
                match event {
                    Event::Retried => attempt.clear(),
                    _ => attempt.push(event),
                }
                prop_assert!(state != State::Released && state != State::Refused, "{:?} moved {:?}", event, state);
                prop_assert!(next != State::Held || attempt.ends_with(&[Event::Prepared, Event::Started, Event::Held]));
                prop_assert!(event != Event::Released || !attempt.contains(&Event::Failed));
                state = next;
            }
        }
    }

    const EVENTS: [Event; 10] = [
        Event::Admitted,
        Event::Prepared,
        Event::Started,
        Event::Held,
        Event::Released,
        Event::Refused,
        Event::Stopped,
        Event::Expired,
        Event::Failed,
        Event::Retried,
    ];

    #[test]
    fn names_come_back() {
        assert!(State::ALL.into_iter().all(|state| State::from_name(state.name()) == Some(state)));
    }
}
