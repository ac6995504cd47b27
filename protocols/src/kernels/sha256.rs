//! SHA-256 (FIPS 180-4) of many short messages that start with the same block: what stands for the items of a set.
//!
//! Time depends on how many messages there are, and on the lengths of those longer than [`ENDING`]. Copies of messages on
//! stack and heap are not erased.

#[cfg(target_arch = "x86_64")]
mod avx512;
mod portable;

#[cfg(test)]
mod tests;

use sha2::block_api::compress256;

use portable::Portable;

/// Bytes after the common block for which a message ends in its second block.
pub const ENDING: usize = 55;

/// Messages that are hashed together.
const BATCH: usize = 16;

/// The initial state (FIPS 180-4, 5.3.3).
const INITIAL: [u32; 8] =
    [0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19];

/// SHA-256 after the first block of all messages.
pub struct Prefixed([u32; 8]);

impl Prefixed {
    /// After this block.
    pub fn new(block: &[u8; 64]) -> Self {
        let mut state = INITIAL;
        compress256(&mut state, &[*block]);
        Self(state)
    }

    /// The first 16 bytes of the digest of each message as a little-endian number. A message is the common block and then
    /// what `write` puts for its place.
    pub fn hash_batch(&self, out: &mut [u128], write: impl Fn(usize, &mut Ending)) {
        #[cfg(target_arch = "x86_64")]
        if let Some(engine) = avx512::Avx512::detect() {
            return self.hash_on(&engine, out, write);
        }
        self.hash_on(&Portable, out, write);
    }

    fn hash_on<E: Engine>(&self, engine: &E, out: &mut [u128], write: impl Fn(usize, &mut Ending)) {
        for (batch, out) in out.chunks_mut(BATCH).enumerate() {
            let mut blocks = [[0; 64]; BATCH];
            let mut long: [Option<[u32; 8]>; BATCH] = [None; BATCH];
            for place in 0..out.len() {
                let mut ending = Ending::default();
                write(batch * BATCH + place, &mut ending);
                match ending.padded() {
                    Ok(block) => blocks[place] = block,
                    Err(padded) => {
                        let mut state = self.0;
                        compress256(&mut state, padded.as_chunks().0);
                        long[place] = Some(state);
                    }
                }
            }
            let mut states = [self.0; BATCH];
            engine.compress(&mut states, &blocks);
            for ((out, state), long) in out.iter_mut().zip(states).zip(long) {
                *out = number(&long.unwrap_or(state));
            }
        }
    }
}

/// A message after the common block.
pub struct Ending {
    block: [u8; 64],
    length: usize,
    /// All of it, where it is too long for the block.
    long: Vec<u8>,
}

impl Default for Ending {
    fn default() -> Self {
        Self { block: [0; 64], length: 0, long: Vec::new() }
    }
}

impl Ending {
    /// Appends bytes.
    #[inline]
    pub fn put(&mut self, bytes: &[u8]) {
        let end = self.length + bytes.len();
        if end <= ENDING {
            self.block[self.length..end].copy_from_slice(bytes);
        } else {
            if self.long.is_empty() {
                self.long.extend_from_slice(&self.block[..self.length]);
            }
            self.long.extend_from_slice(bytes);
        }
        self.length = end;
    }

    /// The padded block (FIPS 180-4, 5.1.1), or the padded blocks of a long message.
    #[inline]
    fn padded(mut self) -> Result<[u8; 64], Vec<u8>> {
        let bits = 8 * (64 + self.length as u64);
        if self.length <= ENDING {
            self.block[self.length] = 0x80;
            self.block[56..].copy_from_slice(&bits.to_be_bytes());
            return Ok(self.block);
        }
        self.long.push(0x80);
        self.long.resize((self.length + 9).next_multiple_of(64) - 8, 0);
        self.long.extend(bits.to_be_bytes());
        Err(self.long)
    }
}

/// The first 16 bytes of a digest.
fn number(state: &[u32; 8]) -> u128 {
    state[..4].iter().rev().fold(0, |number, word| number << 32 | u128::from(word.swap_bytes()))
}

/// An implementation, on the calling thread.
trait Engine {
    /// One compression of each state with its block.
    fn compress(&self, states: &mut [[u32; 8]; BATCH], blocks: &[[u8; 64]; BATCH]);
}
