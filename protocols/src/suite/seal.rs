//! Sealed frames: AES-256-GCM with a key per direction of one step of one attempt, counter nonces and a last-frame flag.
//!
//! A key seals one stream only, so the nonce is the frame's number (NIST SP 800-38D, 8.2.1, deterministic construction,
//! fixed field zero) and never repeats. Changed, reordered, repeated, dropped or foreign frames do not open; a stream that
//! ends without a frame flagged as last was cut.
//!
//! **Claim**, for an ideal block cipher and one key, whose stream has at most [`FRAMES_MAX`] frames of [`FRAME_MAX`] bytes,
//! 2^34 blocks: what is sealed differs from random bytes with an advantage of at most (2^34)^2 / 2^129 = 2^-61; a forged
//! frame opens with a probability below 2^-111 for each attempt, which is its 2^16 + 2 blocks under GHASH over 2^128. A
//! reader gives the stream up at the first frame that does not open, so each key sees one attempt.

use aes_gcm::aead::AeadInOut;
use aes_gcm::{Aes256Gcm, KeyInit, Nonce};
use bytes::{Bytes, BytesMut};
use zeroize::Zeroizing;

use crate::message::FRAME_MAX;
use crate::transport::LinkError;

/// Bytes that sealing adds to a frame: the flag and the tag.
pub const SEAL_OVERHEAD: usize = 1 + 16;

/// Frames under one key, with the end-of-stream mark: twice what the largest band takes, and far below the 2^32 invocations
/// of SP 800-38D, 8.3. The claim above follows from it.
pub const FRAMES_MAX: u64 = 1 << 18;

/// The key of one direction of one stream. Prints nothing, erased on drop.
pub struct SealKey(Zeroizing<[u8; 32]>);

impl SealKey {
    /// A key from 32 bytes of a key derivation that is bound to the session, step and direction.
    pub fn new(key: [u8; 32]) -> Self {
        Self(Zeroizing::new(key))
    }
}

/// The sealing end of a stream.
pub struct Sealer {
    cipher: Aes256Gcm,
    frame: u64,
}

/// The opening end of a stream.
pub struct Opener {
    cipher: Aes256Gcm,
    frame: u64,
    ended: bool,
}

/// What a sealed frame held.
#[derive(Debug, PartialEq, Eq)]
pub enum Opened {
    /// A frame of the protocol.
    Frame(Bytes),
    /// The end-of-stream mark.
    End,
}

impl Sealer {
    /// The sealing end under `key`.
    pub fn new(key: &SealKey) -> Self {
        Self { cipher: cipher(key), frame: 0 }
    }

    /// Seals one frame of the protocol.
    ///
    /// # Errors
    /// [`LinkError::Refused`] above [`FRAMES_MAX`] frames.
    pub fn frame(&mut self, frame: &[u8]) -> Result<Bytes, LinkError> {
        self.seal(Flag::More, frame)
    }

    /// Seals the end-of-stream mark.
    ///
    /// # Errors
    /// [`LinkError::Refused`] above [`FRAMES_MAX`] frames.
    pub fn end(&mut self) -> Result<Bytes, LinkError> {
        self.seal(Flag::Last, &[])
    }

    fn seal(&mut self, flag: Flag, frame: &[u8]) -> Result<Bytes, LinkError> {
        if self.frame >= FRAMES_MAX {
            return Err(LinkError::Refused("too many frames in one step".into()));
        }
        let mut out = BytesMut::with_capacity(frame.len() + SEAL_OVERHEAD);
        out.extend_from_slice(&[flag as u8]);
        out.extend_from_slice(frame);
        let tag = self
            .cipher
            .encrypt_inout_detached(&nonce(self.frame), &[flag as u8], (&mut out[1..]).into())
            .map_err(|_| LinkError::TooLarge { max: FRAME_MAX })?;
        out.extend_from_slice(&tag);
        self.frame += 1;
        Ok(out.freeze())
    }
}

impl Opener {
    /// The opening end under `key`.
    pub fn new(key: &SealKey) -> Self {
        Self { cipher: cipher(key), frame: 0, ended: false }
    }

    /// Opens the next frame.
    ///
    /// # Errors
    /// [`LinkError::Forged`] where it is not the peer's next frame.
    pub fn open(&mut self, sealed: &[u8]) -> Result<Opened, LinkError> {
        let forged = LinkError::Forged { frame: self.frame };
        if self.ended || sealed.len() < SEAL_OVERHEAD {
            return Err(forged);
        }
        let (flag, rest) = sealed.split_at(1);
        let (body, tag) = rest.split_at(rest.len() - 16);
        let mut frame = BytesMut::from(body);
        let tag = tag.try_into().map_err(|_| forged.clone())?;
        self.cipher
            .decrypt_inout_detached(&nonce(self.frame), flag, (&mut frame[..]).into(), tag)
            .map_err(|_| forged.clone())?;
        self.frame += 1;
        match flag[0] {
            f if f == Flag::More as u8 => Ok(Opened::Frame(frame.freeze())),
            f if f == Flag::Last as u8 && frame.is_empty() => {
                self.ended = true;
                Ok(Opened::End)
            }
            _ => Err(forged),
        }
    }

    /// What an end of the underlying stream means now: nothing after the end mark, [`LinkError::Cut`] before it.
    pub fn ended(&self) -> Result<(), LinkError> {
        if self.ended { Ok(()) } else { Err(LinkError::Cut) }
    }
}

#[derive(Clone, Copy)]
enum Flag {
    More = 0,
    Last = 1,
}

fn cipher(key: &SealKey) -> Aes256Gcm {
    Aes256Gcm::new((&*key.0).into())
}

fn nonce(frame: u64) -> Nonce<aes_gcm::aead::consts::U12> {
    let mut nonce = [0; 12];
    nonce[4..].copy_from_slice(&frame.to_be_bytes());
    nonce.into()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn pair() -> (Sealer, Opener) {
        let key = SealKey::new([7; 32]);
        (Sealer::new(&key), Opener::new(&key))
    }

    #[test]
    fn frames_open_in_order_and_the_end_is_marked() {
        let (mut seal, mut open) = pair();
        for text in [&b"one"[..], b"", b"three"] {
            assert_eq!(open.open(&seal.frame(text).unwrap()), Ok(Opened::Frame(Bytes::copy_from_slice(text))));
        }
        assert_eq!(open.ended(), Err(LinkError::Cut));
        assert_eq!(open.open(&seal.end().unwrap()), Ok(Opened::End));
        assert_eq!(open.ended(), Ok(()));
        assert_eq!(open.open(&seal.frame(b"late").unwrap()), Err(LinkError::Forged { frame: 4 }));
    }

    #[test]
    fn every_bit_flip_every_cut_a_swap_and_a_repeat_are_forged() {
        let (mut seal, _) = pair();
        let (first, second) = (seal.frame(b"payload").unwrap(), seal.frame(b"payload").unwrap());
        let fresh = || pair().1;
        for bit in 0..first.len() * 8 {
            let mut changed = first.to_vec();
            changed[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(fresh().open(&changed), Err(LinkError::Forged { frame: 0 }), "bit {bit}");
        }
        for cut in 0..first.len() {
            assert_eq!(fresh().open(&first[..cut]), Err(LinkError::Forged { frame: 0 }), "cut at {cut}");
        }
        assert_eq!(fresh().open(&second), Err(LinkError::Forged { frame: 0 }));
        let mut open = fresh();
        open.open(&first).unwrap();
        assert_eq!(open.open(&first), Err(LinkError::Forged { frame: 1 }));
        let mut other = Opener::new(&SealKey::new([8; 32]));
        assert_eq!(other.open(&first), Err(LinkError::Forged { frame: 0 }));
    }

    #[test]
    fn a_key_seals_no_more_than_its_claim_allows() {
        let mut seal = Sealer { frame: FRAMES_MAX - 1, ..pair().0 };
        seal.frame(b"the last").unwrap();
        let refused = LinkError::Refused("too many frames in one step".into());
        assert_eq!((seal.frame(b""), seal.end()), (Err(refused.clone()), Err(refused)));
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_never_open_and_never_panic(
            foreign in proptest::collection::vec(any::<u8>(), 0..80),
            (kept, flag) in (0usize..24, 0u8..4),
        ) {
            let (mut seal, mut open) = pair();
            let frame = seal.frame(b"payload").unwrap();
            let forged = || Err(LinkError::Forged { frame: 0 });
            // Bytes of nobody, behind each flag, and behind the head of a frame of the peer.
            prop_assert_eq!(open.open(&foreign), forged());
            prop_assert_eq!(open.open(&[&[flag][..], &foreign].concat()), forged());
            let grafted = [&frame[..kept.min(frame.len() - 1)], &foreign].concat();
            if grafted != frame {
                prop_assert_eq!(open.open(&grafted), forged());
            }
            prop_assert_eq!(open.open(&frame), Ok(Opened::Frame(Bytes::from_static(b"payload"))));
        }
    }
}
