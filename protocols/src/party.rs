//! Who takes part: party names, roles, and the roster of one run.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// The longest party name, so that names fit a terminal line and a certificate.
pub const PARTY_NAME_MAX: usize = 32;

/// The name of a party, as the spec and every pinned identity use it: `[a-z0-9-]`, 1 to 32 characters. Cheap to clone.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PartyId(Arc<str>);

/// A party name that cannot be one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a party name has 1 to {PARTY_NAME_MAX} characters from a-z, 0-9 and '-', and starts with a letter")]
pub struct BadPartyName;

impl PartyId {
    /// Checks and makes a name.
    ///
    /// # Errors
    /// [`BadPartyName`] where the name is empty, too long, or has another character than `[a-z0-9-]`.
    pub fn new(name: &str) -> Result<Self, BadPartyName> {
        let good = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        let starts_well = name.starts_with(|c: char| c.is_ascii_lowercase());
        if !starts_well || name.len() > PARTY_NAME_MAX || !name.chars().all(good) {
            return Err(BadPartyName);
        }
        Ok(Self(name.into()))
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for PartyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for PartyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Serialize for PartyId {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for PartyId {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        Self::new(&name).map_err(serde::de::Error::custom)
    }
}

/// What a party does in a protocol; roles face each other on the protocol's page.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// Learns the result.
    Receiver,
    /// Contributes a set, and learns what the result form grants it.
    Sender,
}

impl Role {
    /// The role on the facing page.
    pub fn other(self) -> Self {
        match self {
            Self::Receiver => Self::Sender,
            Self::Sender => Self::Receiver,
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Receiver => "receiver",
            Self::Sender => "sender",
        })
    }
}

/// The parties of one run and their roles, in the order of the plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Roster(Vec<(PartyId, Role)>);

impl Roster {
    /// A roster of two: the receiver and the sender.
    pub fn pair(receiver: PartyId, sender: PartyId) -> Self {
        Self(vec![(receiver, Role::Receiver), (sender, Role::Sender)])
    }

    /// A roster of one receiver and any number of senders.
    pub fn star(receiver: PartyId, senders: impl IntoIterator<Item = PartyId>) -> Self {
        let senders = senders.into_iter().map(|sender| (sender, Role::Sender));
        Self([(receiver, Role::Receiver)].into_iter().chain(senders).collect())
    }

    /// Every party with its role, in the order of the plan.
    pub fn iter(&self) -> impl Iterator<Item = (&PartyId, Role)> {
        self.0.iter().map(|(party, role)| (party, *role))
    }

    /// The first party that holds `role`.
    pub fn holder(&self, role: Role) -> Option<&PartyId> {
        self.iter().find(|(_, r)| *r == role).map(|(party, _)| party)
    }

    /// Every party that holds `role`, in the order of the plan.
    pub fn holders(&self, role: Role) -> impl Iterator<Item = &PartyId> {
        self.iter().filter(move |(_, r)| *r == role).map(|(party, _)| party)
    }

    /// The role of `party`, if it takes part.
    pub fn role_of(&self, party: &PartyId) -> Option<Role> {
        self.iter().find(|(p, _)| *p == party).map(|(_, role)| role)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_checked() {
        for good in ["bank", "tax-bureau-2", "a"] {
            assert_eq!(PartyId::new(good).unwrap().as_str(), good);
        }
        for bad in ["", "Bank", "2x", "-a", "a b", "a/b", "银行", &"a".repeat(33)] {
            assert_eq!(PartyId::new(bad), Err(BadPartyName), "{bad:?}");
        }
    }
}
