//! The keys of one step: a signed ephemeral Diffie-Hellman exchange between two pinned identities.
//!
//! Per session, step and pair, each end sends one hello:
//!
//! ```text
//! hello      = version ‖ session ‖ len step ‖ step ‖ len from ‖ from ‖ len to ‖ to ‖ e ‖ signature
//! signature  = Ed25519(key of from, "banyan/hello/v1\0" ‖ hello without signature ‖ key of from ‖ key of to)
//! prk        = HKDF-SHA256-Extract(salt = session, ikm = X25519(own ephemeral secret, their e))
//! low ‖ high = HKDF-SHA256-Expand(prk, "banyan/step-keys/v1\0" ‖ len step ‖ step ‖ end(low) ‖ end(high), 64)
//! end(x)     = len name ‖ name ‖ identity key ‖ e       low: the end with the alphabetically smaller name
//! ```
//!
//! `low` seals what the low end sends, `high` what the high end sends.
//!
//! Claim (Diffie-Hellman gap assumption in X25519, EUF-CMA of Ed25519, HKDF a random oracle):
//! - *mutual authentication*: who holds a step's keys holds the private half of the pinned key of `from` and chose `e`;
//!   the verifying key comes from this node's pins and never from the wire;
//! - *no unknown key share*: both names, both identity keys, session and step are signed and enter the keys, so two ends
//!   with the same keys agree on who they are and on what they run, whatever a relay or the coordinator does;
//! - *forward secrecy*: ephemeral secrets live for one hello; identity keys taken later open no recorded step;
//! - a step of a session is opened once, so an old hello that is played again finds no end that still waits for it; if it
//!   did, its keys would be unknown to the player and the first sealed frame would not open.
//!
//! Not claimed: hiding of names and step from the relay, or anything once an identity key *is* stolen.

use banyan_proto::identity::{Fingerprint, Identity, PublicKey};
use banyan_proto::wire;
use banyan_protocols::party::PartyId;
use banyan_protocols::session::SessionId;
use banyan_protocols::suite::seal::SealKey;
use banyan_protocols::transport::Step;
use hkdf::Hkdf;
use sha2::Sha256;
use zeroize::Zeroizing;

const HELLO_DOMAIN: &[u8] = b"banyan/hello/v1\0";
const KEYS_DOMAIN: &[u8] = b"banyan/step-keys/v1\0";

/// One end of a pair: a party and its identity key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct End {
    pub(crate) name: PartyId,
    pub(crate) key: PublicKey,
}

/// What both ends must agree on before they have keys.
#[derive(Clone, Debug)]
pub(crate) struct Pairing {
    pub(crate) session: SessionId,
    pub(crate) step: Step,
    pub(crate) me: End,
    pub(crate) peer: End,
}

/// The keys of both directions of a step.
pub(crate) struct StepKeys {
    pub(crate) outbound: SealKey,
    pub(crate) inbound: SealKey,
}

/// This end's half of the exchange: the hello went out, the peer's is awaited. Used once.
pub(crate) struct Ephemeral(x25519_dalek::StaticSecret);

/// Why a hello is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum BadHello {
    #[error("the hello has not the bytes of one")]
    Malformed,
    #[error("wire versions differ: the peer has {theirs}, this node has {ours}; update the older side")]
    Version { theirs: u32, ours: u32 },
    #[error("the hello is for another session")]
    Session,
    #[error("the hello is for another step")]
    Step,
    #[error("the hello is from or to another party")]
    Party,
    #[error("the hello is not signed by {pinned}, the key pinned for {party}")]
    Signature { party: PartyId, pinned: Fingerprint },
    #[error("the hello's share is a point of small order")]
    SmallOrder,
    #[error("the system gives no randomness")]
    NoRandomness,
}

/// This end's hello, and what is needed to answer the peer's.
pub(crate) fn hello(pairing: &Pairing, me: &Identity) -> Result<(Vec<u8>, Ephemeral), BadHello> {
    let mut secret = Zeroizing::new([0; 32]);
    getrandom::fill(secret.as_mut_slice()).map_err(|_| BadHello::NoRandomness)?;
    let ephemeral = Ephemeral(x25519_dalek::StaticSecret::from(*secret));
    let bytes = hello_with(pairing, me, &ephemeral, wire::VERSION);
    Ok((bytes, ephemeral))
}

fn hello_with(pairing: &Pairing, me: &Identity, ephemeral: &Ephemeral, version: u32) -> Vec<u8> {
    let mut hello = version.to_be_bytes().to_vec();
    hello.extend_from_slice(pairing.session.as_bytes());
    put(&mut hello, pairing.step.as_str());
    put(&mut hello, pairing.me.name.as_str());
    put(&mut hello, pairing.peer.name.as_str());
    hello.extend_from_slice(&ephemeral.public());
    let signature = me.sign_bytes(&to_sign(&hello, &pairing.me.key, &pairing.peer.key));
    hello.extend_from_slice(&signature);
    hello
}

impl Ephemeral {
    /// Checks the peer's hello against what this end expects, and derives the keys.
    pub(crate) fn agree(self, pairing: &Pairing, theirs: &[u8]) -> Result<StepKeys, BadHello> {
        let hello = Hello::parse(theirs)?;
        if hello.session != pairing.session.as_bytes() {
            return Err(BadHello::Session);
        }
        if hello.step != pairing.step.as_str().as_bytes() {
            return Err(BadHello::Step);
        }
        if hello.from != pairing.peer.name.as_str().as_bytes() || hello.to != pairing.me.name.as_str().as_bytes() {
            return Err(BadHello::Party);
        }
        let signed = to_sign(hello.unsigned, &pairing.peer.key, &pairing.me.key);
        if !pairing.peer.key.verifies(&signed, hello.signature) {
            let (party, pinned) = (pairing.peer.name.clone(), pairing.peer.key.fingerprint());
            return Err(BadHello::Signature { party, pinned });
        }
        let mine = self.public();
        let shared = self.0.diffie_hellman(&x25519_dalek::PublicKey::from(*hello.share));
        if !shared.was_contributory() {
            return Err(BadHello::SmallOrder);
        }
        Ok(schedule(pairing, shared.as_bytes(), &mine, hello.share))
    }

    fn public(&self) -> [u8; 32] {
        x25519_dalek::PublicKey::from(&self.0).to_bytes()
    }
}

fn schedule(pairing: &Pairing, shared: &[u8; 32], mine: &[u8; 32], theirs: &[u8; 32]) -> StepKeys {
    let i_am_low = pairing.me.name < pairing.peer.name;
    let ends = [(&pairing.me, mine), (&pairing.peer, theirs)];
    let [low, high] = if i_am_low { ends } else { [ends[1], ends[0]] };
    let mut info = KEYS_DOMAIN.to_vec();
    put(&mut info, pairing.step.as_str());
    for (end, share) in [low, high] {
        put(&mut info, end.name.as_str());
        info.extend_from_slice(end.key.as_bytes());
        info.extend_from_slice(share);
    }
    let mut keys = Zeroizing::new([0; 64]);
    Hkdf::<Sha256>::new(Some(pairing.session.as_bytes()), shared)
        .expand(&info, keys.as_mut_slice())
        .expect("64 bytes are fewer than 255 blocks");
    let key = |half: usize| {
        let mut key = Zeroizing::new([0; 32]);
        key.copy_from_slice(&keys[32 * half..32 * half + 32]);
        SealKey::new(*key)
    };
    let (low, high) = (key(0), key(1));
    if i_am_low { StepKeys { outbound: low, inbound: high } } else { StepKeys { outbound: high, inbound: low } }
}

fn to_sign(unsigned: &[u8], from: &PublicKey, to: &PublicKey) -> Vec<u8> {
    [HELLO_DOMAIN, unsigned, from.as_bytes(), to.as_bytes()].concat()
}

/// Appends a text of at most 255 bytes behind its length. Names have 32 and steps [`banyan_protocols::transport::STEP_MAX`].
fn put(out: &mut Vec<u8>, text: &str) {
    out.push(u8::try_from(text.len()).expect("names and steps are checked to be short"));
    out.extend_from_slice(text.as_bytes());
}

/// The parts of a hello's bytes. Nothing in it is true before its signature was checked.
struct Hello<'a> {
    session: &'a [u8],
    step: &'a [u8],
    from: &'a [u8],
    to: &'a [u8],
    share: &'a [u8; 32],
    signature: &'a [u8; 64],
    unsigned: &'a [u8],
}

impl<'a> Hello<'a> {
    fn parse(hello: &'a [u8]) -> Result<Self, BadHello> {
        let mut rest = hello;
        let version = take(&mut rest, 4)?;
        let theirs = u32::from_be_bytes(version.try_into().map_err(|_| BadHello::Malformed)?);
        if theirs != wire::VERSION {
            return Err(BadHello::Version { theirs, ours: wire::VERSION });
        }
        let session = take(&mut rest, 32)?;
        let step = text(&mut rest)?;
        let from = text(&mut rest)?;
        let to = text(&mut rest)?;
        let share = take(&mut rest, 32)?.try_into().map_err(|_| BadHello::Malformed)?;
        let unsigned = &hello[..hello.len() - rest.len()];
        let signature = rest.try_into().map_err(|_| BadHello::Malformed)?;
        Ok(Self { session, step, from, to, share, signature, unsigned })
    }
}

fn take<'a>(rest: &mut &'a [u8], count: usize) -> Result<&'a [u8], BadHello> {
    let (head, tail) = rest.split_at_checked(count).ok_or(BadHello::Malformed)?;
    *rest = tail;
    Ok(head)
}

fn text<'a>(rest: &mut &'a [u8]) -> Result<&'a [u8], BadHello> {
    let length = take(rest, 1)?[0];
    take(rest, usize::from(length))
}
