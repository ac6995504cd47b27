//! The two parties of the tests of protocols between two, and their keys.

use crate::catalogue::{Form, Parameters, Sizes};
use crate::items::Items;
use crate::party::{PartyId, Roster};

pub(super) fn bank() -> PartyId {
    PartyId::new("bank").unwrap()
}

pub(super) fn bureau() -> PartyId {
    PartyId::new("bureau").unwrap()
}

/// The bank receives, the bureau sends.
pub(super) fn pair() -> Roster {
    Roster::pair(bank(), bureau())
}

pub(super) fn parameters(form: Form, receiver: u64, sender: u64) -> Parameters {
    Parameters::new(Sizes { receiver, sender }, form)
}

/// `count` keys from `first` on.
pub(super) fn keys(first: u64, count: u64) -> Items {
    (first..first + count).map(|number| format!("id-{number:016}")).collect()
}
