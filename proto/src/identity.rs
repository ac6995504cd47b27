//! Keys and signatures: who a party is, and what it signed.
//!
//! A party is one Ed25519 key: its TLS certificate holds it, its signatures are made with it, and other parties pin its
//! fingerprint. Approvers have keys of their own, apart from the daemon's.

use std::fmt;
use std::marker::PhantomData;
use std::str::FromStr;

use data_encoding::BASE32_NOPAD;
use ed25519_dalek::pkcs8::{DecodePrivateKey, EncodePrivateKey, spki::der::pem::LineEnding};
use ed25519_dalek::{Signature, Signer, SigningKey, VerifyingKey};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

use crate::canonical::{Canonical, Digest, NotCanonical};

/// An Ed25519 public key. Text form: `ed25519:` and 52 base-32 characters.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PublicKey([u8; 32]);

/// The SHA-256 of a public key, as people compare it: `banyan:` and 13 groups of 4 base-32 characters.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Fingerprint([u8; 32]);

/// A text or bytes that are no key or fingerprint.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct BadKey(pub(crate) &'static str);

const KEY_PREFIX: &str = "ed25519:";
const FINGERPRINT_PREFIX: &str = "banyan:";

impl PublicKey {
    /// A key from its 32 bytes.
    ///
    /// # Errors
    /// [`BadKey`] where they are no point of the curve, or one of small order, for which forgeries exist.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, BadKey> {
        let bytes: [u8; 32] = bytes.try_into().map_err(|_| BadKey("a public key has 32 bytes"))?;
        match VerifyingKey::from_bytes(&bytes) {
            Ok(key) if !key.is_weak() => Ok(Self(bytes)),
            _ => Err(BadKey("these 32 bytes are no Ed25519 public key")),
        }
    }

    /// The 32 bytes.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// What other parties pin.
    pub fn fingerprint(&self) -> Fingerprint {
        Fingerprint(Sha256::digest(self.0).into())
    }

    /// Checks a signature over `message`, strictly (RFC 8032 with canonical encodings and no small-order points).
    pub fn verifies(&self, message: &[u8], signature: &[u8; 64]) -> bool {
        VerifyingKey::from_bytes(&self.0)
            .is_ok_and(|key| key.verify_strict(message, &Signature::from_bytes(signature)).is_ok())
    }
}

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{KEY_PREFIX}{}", BASE32_NOPAD.encode(&self.0).to_lowercase())
    }
}

impl FromStr for PublicKey {
    type Err = BadKey;

    fn from_str(text: &str) -> Result<Self, BadKey> {
        let body = text.trim().strip_prefix(KEY_PREFIX).ok_or(BadKey("a public key starts with ed25519:"))?;
        let bytes = BASE32_NOPAD
            .decode(body.to_uppercase().as_bytes())
            .map_err(|_| BadKey("a public key has 52 base-32 characters after ed25519:"))?;
        Self::from_bytes(&bytes)
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = BASE32_NOPAD.encode(&self.0).to_lowercase();
        let groups: Vec<&str> = (0..text.len()).step_by(4).map(|i| &text[i..i + 4]).collect();
        write!(f, "{FINGERPRINT_PREFIX}{}", groups.join("-"))
    }
}

impl FromStr for Fingerprint {
    type Err = BadKey;

    fn from_str(text: &str) -> Result<Self, BadKey> {
        let body = text.trim().strip_prefix(FINGERPRINT_PREFIX).ok_or(BadKey("a fingerprint starts with banyan:"))?;
        let bytes = BASE32_NOPAD
            .decode(body.replace('-', "").to_uppercase().as_bytes())
            .map_err(|_| BadKey("a fingerprint has 13 groups of 4 base-32 characters after banyan:"))?;
        let bytes = bytes.try_into().map_err(|_| BadKey("a fingerprint has 13 groups of 4 base-32 characters"))?;
        Ok(Self(bytes))
    }
}

macro_rules! text_form {
    ($type:ty) => {
        impl fmt::Debug for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }
        impl Serialize for $type {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }
        impl<'de> Deserialize<'de> for $type {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}
text_form!(PublicKey);
text_form!(Fingerprint);

/// A private key of a node, a developer, a coordinator or an approver. Prints nothing, erased on drop.
pub struct Identity(SigningKey);

impl Identity {
    /// A fresh key from the operating system.
    ///
    /// # Errors
    /// [`BadKey`] where the system gives no randomness.
    pub fn generate() -> Result<Self, BadKey> {
        let mut seed = Zeroizing::new([0; 32]);
        getrandom::fill(seed.as_mut_slice()).map_err(|_| BadKey("the system gives no randomness"))?;
        Ok(Self(SigningKey::from_bytes(&seed)))
    }

    /// A key from PKCS #8 PEM text.
    ///
    /// # Errors
    /// [`BadKey`] where the text holds no Ed25519 key. The text is never quoted.
    pub fn from_pem(pem: &str) -> Result<Self, BadKey> {
        SigningKey::from_pkcs8_pem(pem).map(Self).map_err(|_| BadKey("no Ed25519 private key in PKCS #8 PEM"))
    }

    /// PKCS #8 PEM text, for a file that only its owner reads.
    pub fn to_pem(&self) -> Zeroizing<String> {
        self.0.to_pkcs8_pem(LineEnding::LF).expect("an Ed25519 key has a PKCS #8 form")
    }

    /// PKCS #8 DER bytes, for the TLS stack.
    pub(crate) fn to_pkcs8(&self) -> Vec<u8> {
        self.0.to_pkcs8_der().expect("an Ed25519 key has a PKCS #8 form").as_bytes().to_vec()
    }

    /// The public half.
    pub fn public(&self) -> PublicKey {
        PublicKey(self.0.verifying_key().to_bytes())
    }

    /// Signs a message that names its own domain.
    pub fn sign_bytes(&self, message: &[u8]) -> [u8; 64] {
        self.0.sign(message).to_bytes()
    }

    /// Signs a canonical value.
    pub fn sign<T: Canonical>(&self, value: &T) -> Signed<T> {
        let body = value.to_bytes();
        let signature = self.sign_bytes(&to_sign(&Digest::of(T::DOMAIN, &body)));
        Signed { body, by: self.public(), signature, of: PhantomData }
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Identity({})", self.public())
    }
}

/// A canonical value with its signature. The value can only be had by checking it.
#[derive(Clone, PartialEq, Eq)]
pub struct Signed<T> {
    body: Vec<u8>,
    by: PublicKey,
    signature: [u8; 64],
    of: PhantomData<fn() -> T>,
}

/// A signature that does not hold.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadSignature {
    /// Signed by another key than the expected one.
    #[error("signed by {found}, expected {expected}")]
    Signer {
        /// The key that signed.
        found: Fingerprint,
        /// The key that should have.
        expected: Fingerprint,
    },
    /// The signature does not verify.
    #[error("the signature of {by} does not hold: the content or the signature was changed")]
    Changed {
        /// In whose name.
        by: Fingerprint,
    },
    /// The signed bytes are not canonical.
    #[error(transparent)]
    Body(#[from] NotCanonical),
}

impl<T: Canonical> Signed<T> {
    /// Checks the signature and that `by` made it, and parses the value from the bytes that were signed.
    ///
    /// # Errors
    /// [`BadSignature`] names what does not hold.
    pub fn verify(&self, by: &PublicKey) -> Result<T, BadSignature> {
        if self.by != *by {
            return Err(BadSignature::Signer { found: self.by.fingerprint(), expected: by.fingerprint() });
        }
        if !self.by.verifies(&to_sign(&self.digest()), &self.signature) {
            return Err(BadSignature::Changed { by: self.by.fingerprint() });
        }
        Ok(T::from_bytes(&self.body)?)
    }

    /// The key in whose name it is signed. Not checked: see [`Signed::verify`].
    pub fn signer(&self) -> PublicKey {
        self.by
    }

    /// The digest of the signed value.
    pub fn digest(&self) -> Digest {
        Digest::of(T::DOMAIN, &self.body)
    }

    /// Bytes for wire and store: key, signature, body.
    pub fn to_bytes(&self) -> Vec<u8> {
        [&self.by.0[..], &self.signature, &self.body].concat()
    }

    /// Splits the bytes of [`Signed::to_bytes`]; checks lengths and the key only.
    ///
    /// # Errors
    /// [`BadSignature::Body`] where they are too short or the key is none.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, BadSignature> {
        let bad = |why: &str| BadSignature::Body(NotCanonical(why.into()));
        if bytes.len() < 96 || bytes.len() > 96 + crate::canonical::CANONICAL_MAX {
            return Err(bad("a signed value has a 32-byte key, a 64-byte signature and a body"));
        }
        let by = PublicKey::from_bytes(&bytes[..32]).map_err(|error| bad(error.0))?;
        let mut signature = [0; 64];
        signature.copy_from_slice(&bytes[32..96]);
        Ok(Self { body: bytes[96..].to_vec(), by, signature, of: PhantomData })
    }
}

impl<T> fmt::Debug for Signed<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Signed(by {})", self.by.fingerprint())
    }
}

fn to_sign(digest: &Digest) -> Vec<u8> {
    [&b"banyan/signature/v1\0"[..], &digest.0].concat()
}
