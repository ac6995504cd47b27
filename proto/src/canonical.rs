//! One canonical byte encoding with one digest for everything that is approved, signed or logged.
//!
//! The bytes are compact JSON of the value's fields in declared order, so that an auditor can read what was signed with
//! any JSON tool. There is one encoding per value: bytes that do not re-encode to themselves are refused. The digest is
//! SHA-256 over the type's domain, a zero byte and the bytes, so that a value of one type is never taken for another.

use std::fmt;
use std::str::FromStr;

use data_encoding::HEXLOWER;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

/// The largest canonical value in bytes: a spec with every limit used is far smaller.
pub const CANONICAL_MAX: usize = 256 * 1024;

/// A value that is approved, signed or logged.
pub trait Canonical: Serialize + DeserializeOwned {
    /// Separates the digests of this type from those of every other, with its version.
    const DOMAIN: &'static str;

    /// The canonical bytes.
    fn to_bytes(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("canonical types have no maps with other keys than text and no failing fields")
    }

    /// The digest of the canonical bytes.
    fn digest(&self) -> Digest {
        Digest::of(Self::DOMAIN, &self.to_bytes())
    }

    /// Parses canonical bytes, once.
    ///
    /// # Errors
    /// [`NotCanonical`] where the bytes are too long, no value of this type, or another encoding than the canonical one.
    fn from_bytes(bytes: &[u8]) -> Result<Self, NotCanonical> {
        if bytes.len() > CANONICAL_MAX {
            return Err(NotCanonical(format!("longer than {CANONICAL_MAX} bytes")));
        }
        let value: Self = serde_json::from_slice(bytes).map_err(|error| {
            // serde's messages may quote the offending value: keep the place only
            NotCanonical(format!("no {} at line {} column {}", Self::DOMAIN, error.line(), error.column()))
        })?;
        if value.to_bytes() != bytes {
            return Err(NotCanonical(format!("not the canonical encoding of {}", Self::DOMAIN)));
        }
        Ok(value)
    }
}

/// Bytes that are not the canonical encoding of the expected type.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not canonical: {0}")]
pub struct NotCanonical(pub String);

/// SHA-256 with a domain. Text form: 64 lower-case hexadecimal digits.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest(pub [u8; 32]);

impl Digest {
    /// The digest of `bytes` under `domain`.
    pub fn of(domain: &str, bytes: &[u8]) -> Self {
        let mut hash = Sha256::new();
        hash.update(domain.as_bytes());
        hash.update([0]);
        hash.update(bytes);
        Self(hash.finalize().into())
    }

    /// The first 12 hexadecimal digits, for people.
    pub fn short(&self) -> String {
        HEXLOWER.encode(&self.0[..6])
    }
}

impl TryFrom<&[u8]> for Digest {
    type Error = NotCanonical;

    fn try_from(bytes: &[u8]) -> Result<Self, NotCanonical> {
        bytes.try_into().map(Self).map_err(|_| NotCanonical("a digest has 32 bytes".into()))
    }
}

impl FromStr for Digest {
    type Err = NotCanonical;

    fn from_str(text: &str) -> Result<Self, NotCanonical> {
        let bytes = HEXLOWER
            .decode(text.as_bytes())
            .map_err(|_| NotCanonical("a digest has 64 lower-case hexadecimal digits".into()))?;
        Self::try_from(&bytes[..])
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&HEXLOWER.encode(&self.0))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.short())
    }
}

impl Serialize for Digest {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Digest {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}
