//! The server's tags as the client keeps them: sorted, in shards by their first byte, with changes from one generation to
//! another. Bytes in, bytes out; where they are stored is another's business.
//!
//! A tag file is its 256 shards, one after the other, so that it is read and checked a shard at a time. A shard is `magic (8) |
//! epoch (24) | generation (8) | first byte (1) | count (4) | count tags without it (11 each) | SHA-256 of all this (32)`, an
//! update `magic (8) | epoch (24) | generation before (8) | generation after (8) | count (4) | as many tags that come (12
//! each) | as many that go | SHA-256`. Numbers are little endian, tags strictly ascending. The digest finds damage and not
//! malice: tags come from a peer that could have sent others.

use sha2::{Digest, Sha256};

use super::oprf::Tag;
use crate::message::{Malformed, Reader};
use crate::session::SessionId;

/// Shards of a tag file, one for each first byte of a tag.
pub(super) const SHARDS: usize = 256;

const SHARD: &[u8; 8] = b"bnytags1";
const UPDATE: &[u8; 8] = b"bnytupd2";
const SET: &[u8; 8] = b"bnytset1";
const DIGEST: usize = 32;
/// Bytes of a shard before its tags.
const SHARD_HEAD: usize = 8 + 24 + 8 + 1 + 4;

/// What a key is good for. Everybody who uses its tags has to know it: see [`EpochKey::derive`](super::EpochKey::derive).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Epoch {
    /// Names the epoch, drawn at random.
    pub id: [u8; 16],
    /// When it ends, in seconds since 1970. Whoever has a clock refuses it from then on.
    pub not_after_s: u64,
}

impl Epoch {
    /// Of a key that is gone with its run.
    pub(super) fn of_run(session: SessionId) -> Self {
        Self { id: std::array::from_fn(|n| session.as_bytes()[n]), not_after_s: 0 }
    }

    pub(super) fn to_bytes(self) -> [u8; 24] {
        let mut bytes = [0; 24];
        bytes[..16].copy_from_slice(&self.id);
        bytes[16..].copy_from_slice(&self.not_after_s.to_le_bytes());
        bytes
    }

    pub(super) fn read(r: &mut Reader<'_>) -> Result<Self, Malformed> {
        let [id] = r.arrays::<16>(1)?[..] else { return Err(Malformed::Range { field: "epoch" }) };
        Ok(Self { id, not_after_s: r.u64()? })
    }
}

/// What is wrong with a tag file or an update.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TagFileError {
    /// Not the bytes of one: cut, damaged, or of another version.
    #[error("{0}: fetch the tags of the epoch again")]
    Malformed(#[from] Malformed),
    /// The digest at its end is another.
    #[error("the bytes were changed after they were written: fetch the tags of the epoch again")]
    Digest,
    /// Tags that do not ascend.
    #[error("tag {index} is not above the one before it: fetch the tags of the epoch again")]
    Order {
        /// Its position.
        index: u64,
    },
    /// A shard is missing, or they are not of one epoch and generation.
    #[error("shard {shard} is missing or of another generation: fetch the tags of the epoch again")]
    Shard {
        /// Which.
        shard: usize,
    },
    /// An update of another epoch, or from another generation.
    #[error("the update does not follow generation {generation} of these tags: fetch the tags of the epoch again")]
    Generation {
        /// The generation that the tags have.
        generation: u64,
    },
    /// An update that takes what is not there, or adds what is.
    #[error("the update does not fit the tags: fetch the tags of the epoch again")]
    Mismatch,
}

/// All tags of a server in one generation, sorted.
#[derive(Clone, PartialEq, Eq)]
pub struct TagSet {
    epoch: Epoch,
    generation: u64,
    tags: Vec<Tag>,
}

impl TagSet {
    /// The first generation.
    ///
    /// # Errors
    /// The position of the first tag that is not above the one before it.
    pub fn new(epoch: Epoch, tags: Vec<Tag>) -> Result<Self, u64> {
        Self::of_generation(epoch, 0, tags)
    }

    /// Any generation.
    ///
    /// # Errors
    /// As [`TagSet::new`].
    pub(super) fn of_generation(epoch: Epoch, generation: u64, tags: Vec<Tag>) -> Result<Self, u64> {
        ascending(&tags)?;
        Ok(Self { epoch, generation, tags })
    }

    /// Of which epoch.
    pub fn epoch(&self) -> Epoch {
        self.epoch
    }

    /// How many updates they have seen.
    pub fn generation(&self) -> u64 {
        self.generation
    }

    /// The tags, ascending.
    pub fn as_slice(&self) -> &[Tag] {
        &self.tags
    }

    /// Whether a tag is among them.
    pub fn contains(&self, tag: &Tag) -> bool {
        self.tags.binary_search(tag).is_ok()
    }

    /// SHA-256 of epoch, generation and tags: what client and server know a generation by.
    pub fn digest(&self) -> [u8; 32] {
        let head = Sha256::new_with_prefix(header(SET, &self.epoch, self.generation));
        head.chain_update(self.tags.as_flattened()).finalize().into()
    }

    /// The generation that the update leads to.
    ///
    /// # Errors
    /// [`TagFileError`] where the update is from another one, or does not fit; the tags stay as they are.
    pub fn apply(&mut self, update: &Update) -> Result<(), TagFileError> {
        if (update.epoch, update.before) != (self.epoch, self.generation) {
            return Err(TagFileError::Generation { generation: self.generation });
        }
        let fits = |tag| self.contains(tag);
        if update.added.iter().any(fits) || !update.removed.iter().all(fits) {
            return Err(TagFileError::Mismatch);
        }
        self.tags.retain(|tag| update.removed.binary_search(tag).is_err());
        self.tags.extend(&update.added);
        self.tags.sort(); // merges two runs
        self.generation = update.generation;
        Ok(())
    }

    /// The bytes of a shard: the tags that begin with `first`.
    fn shard(&self, first: u8) -> Vec<u8> {
        let from = self.tags.partition_point(|tag| tag[0] < first);
        let to = self.tags.partition_point(|tag| tag[0] <= first);
        let mut bytes = header(SHARD, &self.epoch, self.generation);
        bytes.push(first);
        bytes.extend(((to - from) as u32).to_le_bytes());
        self.tags[from..to].iter().for_each(|tag| bytes.extend(&tag[1..]));
        sealed(bytes)
    }

    /// The bytes of the tag file: all shards.
    pub fn to_bytes(&self) -> Vec<u8> {
        (0..=u8::MAX).flat_map(|first| self.shard(first)).collect()
    }

    /// Reads a tag file.
    ///
    /// # Errors
    /// [`TagFileError`] where a shard is missing, damaged, or of another generation than the others.
    pub fn parse(mut bytes: &[u8]) -> Result<Self, TagFileError> {
        let mut shards = Vec::with_capacity(SHARDS);
        while !bytes.is_empty() && shards.len() < SHARDS {
            let mut r = Reader::new(bytes);
            r.bytes(SHARD_HEAD - 4)?;
            let length = SHARD_HEAD + read_count(&mut r)?.saturating_mul(11) + DIGEST;
            let cut = bytes.split_at_checked(length);
            let (shard, rest) = cut.ok_or_else(|| Malformed::Short { missing: length - bytes.len() })?;
            bytes = rest;
            shards.push(shard);
        }
        Reader::new(bytes).finish()?;
        Self::from_shards(shards)
    }

    /// Reads all shards, in their order.
    ///
    /// # Errors
    /// [`TagFileError`] where one is missing, damaged, or of another generation than the others.
    fn from_shards<'a>(shards: impl IntoIterator<Item = &'a [u8]>) -> Result<Self, TagFileError> {
        let mut all: Option<Self> = None;
        let mut next = 0;
        for bytes in shards {
            let (set, first) = read_shard(bytes)?;
            let all = all.get_or_insert(Self { tags: Vec::new(), ..set });
            if usize::from(first) != next || (all.epoch, all.generation) != (set.epoch, set.generation) {
                return Err(TagFileError::Shard { shard: next });
            }
            all.tags.extend(set.tags);
            next += 1;
        }
        all.filter(|_| next == SHARDS).ok_or(TagFileError::Shard { shard: next })
    }
}

/// What comes and what goes from one generation to a later one: as many of each, since a set keeps its size.
#[derive(Clone, PartialEq, Eq)]
pub struct Update {
    epoch: Epoch,
    before: u64,
    generation: u64,
    added: Vec<Tag>,
    removed: Vec<Tag>,
}

impl Update {
    /// To the next generation.
    pub(super) fn after(set: &TagSet, mut added: Vec<Tag>, mut removed: Vec<Tag>) -> Self {
        added.sort_unstable();
        removed.sort_unstable();
        Self { epoch: set.epoch, before: set.generation, generation: set.generation + 1, added, removed }
    }

    /// From a generation of the client to one of the server, as the wire has it.
    ///
    /// # Errors
    /// The position of the first tag that is not above the one before it.
    pub(super) fn to(set: &TagSet, generation: u64, added: Vec<Tag>, removed: Vec<Tag>) -> Result<Self, u64> {
        ascending(&added)?;
        ascending(&removed).map_err(|index| added.len() as u64 + index)?;
        Ok(Self { epoch: set.epoch, before: set.generation, generation, added, removed })
    }

    /// Both as one. What came and went in between, or went and came back, is not in it.
    #[must_use]
    pub(super) fn then(self, next: &Self) -> Self {
        let without = |tags: &[Tag], others: &[Tag]| -> Vec<Tag> {
            tags.iter().filter(|tag| others.binary_search(tag).is_err()).copied().collect()
        };
        let mut added = [without(&self.added, &next.removed), without(&next.added, &self.removed)].concat();
        let mut removed = [without(&self.removed, &next.added), without(&next.removed, &self.added)].concat();
        added.sort_unstable();
        removed.sort_unstable();
        Self { added, removed, generation: next.generation, ..self }
    }

    /// How many tags come, and as many go.
    pub fn len(&self) -> usize {
        self.added.len()
    }

    /// Whether nothing changes.
    pub fn is_empty(&self) -> bool {
        self.added.is_empty()
    }

    /// The tags that come, and behind them those that go.
    pub(super) fn tags(&self) -> Vec<Tag> {
        [&self.added[..], &self.removed].concat()
    }

    /// The bytes.
    pub(super) fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = header(UPDATE, &self.epoch, self.before);
        bytes.extend(self.generation.to_le_bytes());
        bytes.extend((self.added.len() as u32).to_le_bytes());
        bytes.extend(self.added.as_flattened());
        bytes.extend(self.removed.as_flattened());
        sealed(bytes)
    }

    /// Reads one.
    ///
    /// # Errors
    /// [`TagFileError`] where it is damaged.
    pub(super) fn parse(bytes: &[u8]) -> Result<Self, TagFileError> {
        let mut r = Reader::new(unsealed(bytes)?);
        let (epoch, before) = read_header(&mut r, UPDATE)?;
        let generation = r.u64()?;
        let count = read_count(&mut r)?;
        let (added, removed) = (r.arrays(count)?, r.arrays(count)?);
        r.finish()?;
        refuse_disorder(&added)?;
        refuse_disorder(&removed)?;
        Ok(Self { epoch, before, generation, added, removed })
    }
}

fn read_shard(bytes: &[u8]) -> Result<(TagSet, u8), TagFileError> {
    let mut r = Reader::new(unsealed(bytes)?);
    let (epoch, generation) = read_header(&mut r, SHARD)?;
    let first = r.bytes(1)?[0];
    let count = read_count(&mut r)?;
    let whole = |rest: &[u8; 11]| std::array::from_fn(|n| if n == 0 { first } else { rest[n - 1] });
    let tags: Vec<Tag> = r.arrays(count)?.iter().map(whole).collect();
    r.finish()?;
    refuse_disorder(&tags)?;
    Ok((TagSet { epoch, generation, tags }, first))
}

pub(super) fn header(magic: &[u8; 8], epoch: &Epoch, generation: u64) -> Vec<u8> {
    [&magic[..], &epoch.to_bytes(), &generation.to_le_bytes()].concat()
}

pub(super) fn read_header(r: &mut Reader<'_>, magic: &[u8; 8]) -> Result<(Epoch, u64), Malformed> {
    if r.bytes(magic.len())? != magic {
        return Err(Malformed::Range { field: "magic" });
    }
    Ok((Epoch::read(r)?, r.u64()?))
}

pub(super) fn read_count(r: &mut Reader<'_>) -> Result<usize, Malformed> {
    let bytes = r.bytes(4)?;
    Ok(u32::from_le_bytes(std::array::from_fn(|n| bytes[n])) as usize)
}

pub(super) fn sealed(mut bytes: Vec<u8>) -> Vec<u8> {
    let digest = Sha256::digest(&bytes);
    bytes.extend(digest);
    bytes
}

pub(super) fn unsealed(bytes: &[u8]) -> Result<&[u8], TagFileError> {
    let missing = Malformed::Short { missing: DIGEST.saturating_sub(bytes.len()) };
    let (content, digest) = bytes.split_last_chunk::<DIGEST>().ok_or(missing)?;
    if Sha256::digest(content)[..] == digest[..] { Ok(content) } else { Err(TagFileError::Digest) }
}

/// The first that is not above the one before it.
fn ascending(tags: &[Tag]) -> Result<(), u64> {
    match tags.windows(2).position(|pair| pair[0] >= pair[1]) {
        None => Ok(()),
        Some(before) => Err(before as u64 + 1),
    }
}

fn refuse_disorder(tags: &[Tag]) -> Result<(), TagFileError> {
    ascending(tags).map_err(|index| TagFileError::Order { index })
}
