//! Invitations: one line that an operator hands to a node or a developer, and that joins it with one command.
//!
//! It holds where the coordinator is, which key it must show, and a secret that opens [`Join`](crate::wire) once. Whoever
//! holds the line can take the name in it, so it travels like a password and is used up by its first use.

use std::fmt;
use std::str::FromStr;

use banyan_protocols::party::PartyId;
use data_encoding::{BASE64URL_NOPAD, HEXLOWER};
use serde::{Deserialize, Serialize};
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use crate::canonical::{Canonical, Digest};
use crate::identity::PublicKey;
use crate::names::Address;

/// What every invitation starts with, so that people and scanners know it.
pub const INVITE_PREFIX: &str = "banyan-invite:";

/// The longest invitation in characters: every field at its limit, in base 64, is shorter.
const INVITE_MAX: usize = 1024;

/// An invitation. Prints neither itself nor its secret.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Invite {
    /// Where the coordinator is dialled.
    pub url: Address,
    /// The key the coordinator must show.
    pub key: PublicKey,
    /// Opens the door once.
    pub secret: InviteSecret,
    /// The name the joining key gets, for ever.
    pub name: PartyId,
    /// What it joins as.
    pub role: InviteRole,
}

/// What a party joins as.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum InviteRole {
    /// A node over tables of its own: attends, and takes part in jobs.
    Node,
    /// A developer's command line: proposes and follows jobs.
    Developer,
    /// The authority's command line: sees every job, reviews scenarios, stops jobs, and proposes none.
    Authority,
}

impl InviteRole {
    /// The name in stores and on screens.
    pub fn name(self) -> &'static str {
        match self {
            Self::Node => "node",
            Self::Developer => "developer",
            Self::Authority => "authority",
        }
    }

    /// The role of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Node, Self::Developer, Self::Authority].into_iter().find(|role| role.name() == name)
    }
}

/// The one-time secret of an invitation: 256 random bits. Prints nothing, erased on drop. It has no `==` that stops
/// early: whoever checks it compares digests.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct InviteSecret([u8; 32]);

/// A text that is no invitation. Never quotes it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no invitation: {0}; paste the whole line that `banyan invite` printed, it starts with {INVITE_PREFIX}")]
pub struct BadInvite(&'static str);

impl Canonical for Invite {
    const DOMAIN: &'static str = "banyan/invite/v1";
}

impl Invite {
    /// The line to paste.
    pub fn to_token(&self) -> Zeroizing<String> {
        let body = Zeroizing::new(self.to_bytes());
        let mut token = Zeroizing::new(String::with_capacity(INVITE_MAX));
        token.push_str(INVITE_PREFIX);
        BASE64URL_NOPAD.encode_append(&body, &mut token);
        token
    }
}

impl FromStr for Invite {
    type Err = BadInvite;

    fn from_str(text: &str) -> Result<Self, BadInvite> {
        let text = text.trim();
        let body = text.strip_prefix(INVITE_PREFIX).ok_or(BadInvite("another beginning"))?;
        if body.len() > INVITE_MAX {
            return Err(BadInvite("too long"));
        }
        let bytes = BASE64URL_NOPAD.decode(body.as_bytes()).map_err(|_| BadInvite("cut short or mistyped"))?;
        Self::from_bytes(&Zeroizing::new(bytes))
            .map_err(|_| BadInvite("made by another version, cut short or mistyped"))
    }
}

impl fmt::Debug for Invite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Invite({} as {} at {})", self.name, self.role.name(), self.url)
    }
}

impl InviteSecret {
    /// A fresh secret from the operating system.
    ///
    /// # Errors
    /// [`BadInvite`] where the system gives no randomness.
    pub fn generate() -> Result<Self, BadInvite> {
        let mut secret = Self([0; 32]);
        getrandom::fill(&mut secret.0).map_err(|_| BadInvite("the system gives no randomness"))?;
        Ok(secret)
    }

    /// The secret from what came in a [`JoinRequest`](crate::wire::JoinRequest).
    ///
    /// # Errors
    /// [`BadInvite`] where it has not 32 bytes.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, BadInvite> {
        bytes.try_into().map(Self).map_err(|_| BadInvite("a secret has 32 bytes"))
    }

    /// The bytes, for the one request that shows them.
    pub fn expose(&self) -> &[u8; 32] {
        &self.0
    }

    /// What the coordinator keeps instead: 256 random bits need no salt and no slow hash.
    pub fn digest(&self) -> Digest {
        Digest::of("banyan/invite-secret/v1", &self.0)
    }
}

impl PartialEq for InviteSecret {
    fn eq(&self, other: &Self) -> bool {
        self.digest() == other.digest()
    }
}

impl Eq for InviteSecret {}

impl fmt::Debug for InviteSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("InviteSecret")
    }
}

impl Serialize for InviteSecret {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&Zeroizing::new(HEXLOWER.encode(&self.0)))
    }
}

impl<'de> Deserialize<'de> for InviteSecret {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Zeroizing::new(String::deserialize(deserializer)?);
        let bytes = HEXLOWER.decode(text.as_bytes()).map(Zeroizing::new);
        let secret = bytes.ok().and_then(|bytes| Self::from_bytes(&bytes).ok());
        secret.ok_or_else(|| serde::de::Error::custom("a secret has 64 lower-case hexadecimal digits"))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::identity::Identity;

    fn invite() -> Invite {
        Invite {
            url: "hub.example:7400".parse().unwrap(),
            key: Identity::generate().unwrap().public(),
            secret: InviteSecret::generate().unwrap(),
            name: PartyId::new("bank").unwrap(),
            role: InviteRole::Node,
        }
    }

    #[test]
    fn comes_back_whole_and_prints_no_secret() {
        let invite = invite();
        let token = invite.to_token();
        assert_eq!(token.parse::<Invite>().unwrap(), invite);
        assert_eq!(format!(" {}\n", *token).parse::<Invite>().unwrap(), invite, "pasted with spaces");
        let shown = format!("{invite:?} {:?}", invite.secret);
        assert!(!shown.contains(&HEXLOWER.encode(invite.secret.expose())) && shown.contains("bank as node"));
        assert!(token.len() < INVITE_MAX);
    }

    #[test]
    fn a_damaged_line_is_refused_without_quoting_it() {
        let token = invite().to_token();
        for bad in [&token[1..], &token[..token.len() - 2], "banyan-invite:", "banyan-invite:e30"] {
            let error = bad.parse::<Invite>().unwrap_err().to_string();
            assert!(error.contains("banyan invite") && (bad.len() < 20 || !error.contains(&bad[20..])), "{error}");
        }
        let long = format!("{INVITE_PREFIX}{}", "A".repeat(INVITE_MAX + 1));
        assert_eq!(long.parse::<Invite>(), Err(BadInvite("too long")));
    }

    proptest! {
        #[test]
        fn a_changed_line_is_refused_or_another_whole_invite(at in 0_usize..1000, to in "[A-Za-z0-9_-]") {
            let mut token = invite().to_token().to_string();
            let at = INVITE_PREFIX.len() + at % (token.len() - INVITE_PREFIX.len());
            token.replace_range(at..=at, &to);
            if let Ok(changed) = token.parse::<Invite>() {
                prop_assert_eq!(changed.to_token().parse::<Invite>(), Ok(changed));
            }
        }
    }
}
