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
    let (me, peer) = ((&pairing.me, mine), (&pairing.peer, theirs));
    let ends = if i_am_low { [me, peer] } else { [peer, me] };
    let keys = keys_of(pairing, shared, ends);
    let key = |half: &[u8]| {
        let mut key = Zeroizing::new([0; 32]);
        key.copy_from_slice(half);
        SealKey::new(*key)
    };
    let (low, high) = (key(&keys[..32]), key(&keys[32..]));
    if i_am_low { StepKeys { outbound: low, inbound: high } } else { StepKeys { outbound: high, inbound: low } }
}

/// `low ‖ high`, from the ends in the order of their names.
fn keys_of(pairing: &Pairing, shared: &[u8; 32], ends: [(&End, &[u8; 32]); 2]) -> Zeroizing<[u8; 64]> {
    let mut info = KEYS_DOMAIN.to_vec();
    put(&mut info, pairing.step.as_str());
    for (end, share) in ends {
        put(&mut info, end.name.as_str());
        info.extend_from_slice(end.key.as_bytes());
        info.extend_from_slice(share);
    }
    let mut keys = Zeroizing::new([0; 64]);
    Hkdf::<Sha256>::new(Some(pairing.session.as_bytes()), shared)
        .expand(&info, keys.as_mut_slice())
        .expect("64 bytes are fewer than 255 blocks");
    keys
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

#[cfg(test)]
mod tests {
    use banyan_protocols::suite::seal::{Opened, Opener, Sealer};
    use data_encoding::HEXLOWER;
    use proptest::prelude::*;

    use super::*;

    struct Two {
        bank: Identity,
        tax: Identity,
    }

    impl Two {
        fn new() -> Self {
            Self { bank: Identity::generate().unwrap(), tax: Identity::generate().unwrap() }
        }

        /// The bank's view and the tax office's, of the same step.
        fn pairings(&self) -> (Pairing, Pairing) {
            let end = |name, identity: &Identity| End { name: PartyId::new(name).unwrap(), key: identity.public() };
            let (me, peer) = (end("bank", &self.bank), end("tax", &self.tax));
            let (session, step) = (SessionId::derive(&[1; 32], 0, 1), Step::root("dh"));
            let of_bank = Pairing { session, step, me: me.clone(), peer: peer.clone() };
            (of_bank.clone(), Pairing { me: peer, peer: me, ..of_bank })
        }
    }

    #[test]
    fn both_ends_have_the_same_keys_one_per_direction() {
        let two = Two::new();
        let (of_bank, of_tax) = two.pairings();
        let (from_bank, bank) = hello(&of_bank, &two.bank).unwrap();
        let (from_tax, tax) = hello(&of_tax, &two.tax).unwrap();
        let bank = bank.agree(&of_bank, &from_tax).unwrap();
        let tax = tax.agree(&of_tax, &from_bank).unwrap();
        let crosses = |from: &SealKey, to: &SealKey| Opener::new(to).open(&Sealer::new(from).frame(b"x").unwrap());
        assert_eq!(crosses(&bank.outbound, &tax.inbound), Ok(Opened::Frame("x".into())));
        assert_eq!(crosses(&tax.outbound, &bank.inbound), Ok(Opened::Frame("x".into())));
        assert!(crosses(&bank.outbound, &bank.inbound).is_err(), "the directions have one key");
    }

    #[test]
    fn a_hello_of_elsewhere_is_refused() {
        let two = Two::new();
        let (of_bank, of_tax) = two.pairings();
        let heard = |of_tax: &Pairing, by: &Identity| {
            let (theirs, _) = hello(of_tax, by).unwrap();
            let (_, ephemeral) = hello(&of_bank, &two.bank).unwrap();
            ephemeral.agree(&of_bank, &theirs).map(|_| ())
        };
        assert_eq!(heard(&of_tax, &two.tax), Ok(()));
        let changed = |change: fn(&mut Pairing)| {
            let mut pairing = of_tax.clone();
            change(&mut pairing);
            heard(&pairing, &two.tax)
        };
        assert_eq!(changed(|p| p.session = SessionId::derive(&[1; 32], 0, 2)), Err(BadHello::Session));
        assert_eq!(changed(|p| p.step = p.step.child("x")), Err(BadHello::Step));
        assert_eq!(changed(|p| p.me.name = PartyId::new("health").unwrap()), Err(BadHello::Party));
        assert_eq!(changed(|p| p.peer.name = PartyId::new("health").unwrap()), Err(BadHello::Party));
        let signature =
            || BadHello::Signature { party: of_tax.me.name.clone(), pinned: two.tax.public().fingerprint() };
        let other = Identity::generate().unwrap();
        assert_eq!(heard(&of_tax, &other), Err(signature()));
        // unknown key share: signed for another identity behind this one's name
        let mut pairing = of_tax.clone();
        pairing.peer.key = other.public();
        assert_eq!(heard(&pairing, &two.tax), Err(signature()));
        // reflected
        let (mine, ephemeral) = hello(&of_bank, &two.bank).unwrap();
        assert_eq!(ephemeral.agree(&of_bank, &mine).err(), Some(BadHello::Party));
    }

    #[test]
    fn another_version_is_refused_with_both_numbers() {
        let two = Two::new();
        let (of_bank, of_tax) = two.pairings();
        let (_, ephemeral) = hello(&of_tax, &two.tax).unwrap();
        let theirs = hello_with(&of_tax, &two.tax, &ephemeral, 9);
        let error = hello(&of_bank, &two.bank).unwrap().1.agree(&of_bank, &theirs).err().unwrap();
        assert_eq!(error.to_string(), "wire versions differ: the peer has 9, this node has 1; update the older side");
    }

    #[test]
    fn shares_of_small_order_are_refused() {
        // every u-coordinate of order dividing 8, with the non-canonical ones (RFC 7748 section 6.1 asks for the check)
        for share in [
            "0000000000000000000000000000000000000000000000000000000000000000",
            "0100000000000000000000000000000000000000000000000000000000000000",
            "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
            "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
            "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
            "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
            "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        ] {
            let two = Two::new();
            let (of_bank, of_tax) = two.pairings();
            let (mut theirs, _) = hello(&of_tax, &two.tax).unwrap();
            let end = theirs.len() - 64;
            theirs[end - 32..end].copy_from_slice(&HEXLOWER.decode(share.as_bytes()).unwrap());
            let signature = two.tax.sign_bytes(&to_sign(&theirs[..end], &of_tax.me.key, &of_tax.peer.key));
            theirs[end..].copy_from_slice(&signature);
            let (_, ephemeral) = hello(&of_bank, &two.bank).unwrap();
            assert_eq!(ephemeral.agree(&of_bank, &theirs).err(), Some(BadHello::SmallOrder), "{share}");
        }
    }

    #[test]
    fn every_changed_bit_of_a_hello_is_refused() {
        let two = Two::new();
        let (of_bank, of_tax) = two.pairings();
        let (theirs, _) = hello(&of_tax, &two.tax).unwrap();
        for bit in 0..theirs.len() * 8 {
            let mut changed = theirs.clone();
            changed[bit / 8] ^= 1 << (bit % 8);
            let (_, ephemeral) = hello(&of_bank, &two.bank).unwrap();
            assert!(ephemeral.agree(&of_bank, &changed).is_err(), "bit {bit}");
        }
    }

    /// The shared secret and shares of RFC 7748 section 6.1, the identity keys of RFC 8032 section 7.1 tests 1 and 2;
    /// the output was computed apart from this code with HMAC-SHA256 of another library.
    #[test]
    fn the_key_schedule_has_a_known_answer() {
        let hex = |text: &str| <[u8; 32]>::try_from(HEXLOWER.decode(text.as_bytes()).unwrap()).unwrap();
        let end = |name, key| End { name: PartyId::new(name).unwrap(), key: PublicKey::from_bytes(&hex(key)).unwrap() };
        let pairing = Pairing {
            session: SessionId::from_bytes([0x5a; 32]),
            step: Step::root("dh/receiver"),
            me: end("bank", "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a"),
            peer: end("tax", "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c"),
        };
        let alice = hex("8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a");
        let bob = hex("de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f");
        let shared = hex("4a5d9d5ba4ce2de1728e3bf480350f25e07e21c947d19e3376f09b3c1e161742");
        let keys = keys_of(&pairing, &shared, [(&pairing.me, &alice), (&pairing.peer, &bob)]);
        assert_eq!(
            HEXLOWER.encode(&keys[..]),
            "cdf668074df48308fc89a09ce261550325c423b0cf83ea5641fb6d3e21616d19a4076e0210069045857a7e102e041097e8079b2975c5c99692cf74a64a47df58"
        );
    }

    proptest! {
        #[test]
        fn any_bytes_are_refused(bytes in proptest::collection::vec(any::<u8>(), 0..400), versioned: bool) {
            let two = Two::new();
            let (of_bank, _) = two.pairings();
            let mut bytes = bytes;
            if versioned && bytes.len() >= 4 {
                bytes[..4].copy_from_slice(&wire::VERSION.to_be_bytes());
            }
            let (_, ephemeral) = hello(&of_bank, &two.bank).unwrap();
            prop_assert!(ephemeral.agree(&of_bank, &bytes).is_err());
        }
    }
}
