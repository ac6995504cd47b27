//! Who belongs to this coordinator, and who may join. A name belongs to one key for ever: nodes have pinned it.

use banyan_proto::canonical::Digest;
use banyan_proto::identity::{Fingerprint, PublicKey};
use banyan_proto::invite::InviteRole;
use banyan_proto::names::Address;
use banyan_protocols::party::PartyId;
use bytes::Bytes;
use subtle::ConstantTimeEq;

/// A node or a developer that joined.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Member {
    /// Its name.
    pub(crate) name: PartyId,
    /// Its key, for ever.
    pub(crate) key: PublicKey,
    /// What it is.
    pub(crate) role: InviteRole,
    /// Where it can be dialled; none: it only dials out.
    pub(crate) url: Option<Address>,
    /// What it publishes of its data, as it came.
    pub(crate) catalogue: Bytes,
}

/// An invitation as it is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Invited {
    /// The digest of its secret.
    pub(crate) secret: Digest,
    /// The name it gives.
    pub(crate) name: PartyId,
    /// What it lets in.
    pub(crate) role: InviteRole,
    /// When it ends.
    pub(crate) expires_ms: i64,
    /// Who used it.
    pub(crate) used_by: Option<PublicKey>,
}

/// Somebody at the door: the key was shown in the TLS handshake, the rest is what it says.
#[derive(Clone, Debug)]
pub(crate) struct Joining {
    pub(crate) key: PublicKey,
    pub(crate) name: PartyId,
    pub(crate) secret: Digest,
    pub(crate) url: Option<Address>,
}

/// Why somebody stays outside. Fit for its ears: it learns nothing it did not bring.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum JoinError {
    /// No such secret for this name.
    #[error("no invitation of this name has this secret: ask the operator for a new one (`banyan invite NAME`)")]
    Secret,
    /// Used by another key.
    #[error("this invitation was used: it works once. If it was not you, tell the operator at once")]
    Used,
    /// Too late.
    #[error("this invitation has expired: ask the operator for a new one (`banyan invite NAME`)")]
    Expired,
    /// The name is taken.
    #[error(
        "{name} belongs to the key {key} for ever, since others have pinned it: join with that key, or ask for an \
         invitation under another name"
    )]
    Name {
        /// The name.
        name: PartyId,
        /// Its key.
        key: Fingerprint,
    },
    /// The key has another name, or another role.
    #[error("this key is registered as {role} {name} already: one key is one party", role = .role.name())]
    Key {
        /// Its name.
        name: PartyId,
        /// Its role.
        role: InviteRole,
    },
}

/// Whether `joining` may come in on one of `invitations`, all of its name, and on which. The same key may say it again:
/// the first answer may have been lost.
pub(crate) fn admit(
    joining: &Joining,
    invitations: &[Invited],
    name_holder: Option<&Member>,
    key_holder: Option<&Member>,
    now_ms: i64,
) -> Result<usize, JoinError> {
    // every digest is compared, each in constant time: how long it takes says nothing of what is kept
    let matches = |invited: &Invited| bool::from(invited.secret.0[..].ct_eq(&joining.secret.0[..]));
    let found =
        invitations.iter().enumerate().fold(None, |found, this| if matches(this.1) { Some(this) } else { found });
    let (index, invited) = found.ok_or(JoinError::Secret)?;
    if let Some(holder) = name_holder.filter(|holder| holder.key != joining.key) {
        return Err(JoinError::Name { name: holder.name.clone(), key: holder.key.fingerprint() });
    }
    if let Some(holder) = key_holder.filter(|holder| holder.name != joining.name || holder.role != invited.role) {
        return Err(JoinError::Key { name: holder.name.clone(), role: holder.role });
    }
    match invited.used_by {
        Some(key) if key == joining.key && key_holder.is_some() => Ok(index),
        Some(_) => Err(JoinError::Used),
        None if invited.expires_ms <= now_ms => Err(JoinError::Expired),
        None => Ok(index),
    }
}

#[cfg(test)]
mod tests {
    use banyan_proto::identity::Identity;

    use super::*;

    #[test]
    fn one_secret_lets_one_key_in_under_one_name() {
        let key = || Identity::generate().unwrap().public();
        let (mine, other) = (key(), key());
        let name = |name| PartyId::new(name).unwrap();
        let joining = |key, secret| Joining { key, name: name("bank"), secret: Digest([secret; 32]), url: None };
        let member = |key, called, role| Member { name: name(called), key, role, url: None, catalogue: Bytes::new() };
        let node = InviteRole::Node;
        let invited = |secret, used_by| Invited {
            secret: Digest([secret; 32]),
            name: name("bank"),
            role: node,
            expires_ms: 100,
            used_by,
        };
        let open = [invited(1, None), invited(2, None)];
        assert_eq!(admit(&joining(mine, 2), &open, None, None, 99), Ok(1));
        assert_eq!(admit(&joining(mine, 2), &open, None, None, 100), Err(JoinError::Expired));
        assert_eq!(admit(&joining(mine, 3), &open, None, None, 99), Err(JoinError::Secret));
        assert_eq!(admit(&joining(mine, 3), &[], None, None, 99), Err(JoinError::Secret));

        let bank = member(mine, "bank", node);
        let used = [invited(1, Some(mine))];
        assert_eq!(admit(&joining(mine, 1), &used, Some(&bank), Some(&bank), 200), Ok(0), "said again");
        assert_eq!(admit(&joining(other, 1), &used, None, None, 99), Err(JoinError::Used));
        let taken = admit(&joining(other, 2), &open, Some(&bank), None, 99);
        assert_eq!(taken, Err(JoinError::Name { name: name("bank"), key: mine.fingerprint() }));
        for (called, role) in [("tax", node), ("bank", InviteRole::Developer)] {
            let holder = member(mine, called, role);
            let error = admit(&joining(mine, 2), &open, None, Some(&holder), 99);
            assert_eq!(error, Err(JoinError::Key { name: name(called), role }));
        }
    }
}
