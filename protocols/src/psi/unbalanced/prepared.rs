//! The server's prepared set: its tags, of which it alone knows whose they are, and how items come and go.

use rand_core::Rng;
use zeroize::Zeroizing;

use super::msg::Offer;
use super::oprf::{EpochKey, Input, Mark, Tag};
use super::tags::{Epoch, TagFileError, TagSet, Update, header, read_count, read_header, sealed, unsealed};
use crate::compute::Stop;
use crate::error::{Bug, Error, InputError, Result};
use crate::items::Items;
use crate::message::Reader;
use crate::psi::set::{below, item_parts};
use crate::session::SessionRng;

/// Items per call of the kernel, between which a stop is asked for.
const CHUNK: usize = 2048;

const PREPARED: &[u8; 8] = b"bnyprep1";

/// A server's set under the key of an epoch, filled up to a band with random tags. To a client, which cannot compute the
/// function, those look like any other. An item that comes takes the place of one of them, as long as there is one, and one
/// that goes leaves one behind: so an update shows no more than about how many items changed, not which way, nor how many
/// there are.
pub struct Prepared {
    tags: TagSet,
    digest: [u8; 32],
    /// The mark of the whole set.
    all: [u8; 32],
    /// The items by their marks, ascending: what tells which ones come and go when the set is another.
    items: Zeroizing<Vec<(Mark, Tag)>>,
    /// The tags that are no item's.
    fill: Zeroizing<Vec<Tag>>,
    /// How the tags became what they are: the digest before each change, oldest first.
    history: Vec<([u8; 32], Update)>,
}

impl Prepared {
    /// Computes the tags of all items, as many threads as there are.
    ///
    /// # Errors
    /// [`InputError`] where an item is there twice, or where there are more than `band`; or the run was stopped.
    pub fn new(
        key: &EpochKey,
        epoch: Epoch,
        items: &Items,
        band: u32,
        rng: &mut SessionRng,
        stop: &Stop<'_>,
    ) -> Result<Self> {
        refuse_more(items.len(), band)?;
        let marked = marked(key, items, stop)?;
        let rows: Vec<u32> = marked.iter().map(|(_, row)| *row).collect();
        let tags = tags(key, items, &rows, stop)?;
        let all = key.mark_all(items);
        let items = marked.iter().map(|(mark, _)| *mark).zip(tags).collect();
        let fill = (rows.len()..band as usize).map(|_| random_tag(rng)).collect();
        Self::of((epoch, 0), all, items, fill, Vec::new()).ok_or(Error::Bug(Bug("two of a set's tags are the same")))
    }

    /// Tags of which it is not known whose they are, for one run.
    pub(super) fn of_run(tags: TagSet) -> Self {
        Self {
            digest: tags.digest(),
            tags,
            all: [0; 32],
            items: Zeroizing::default(),
            fill: Zeroizing::default(),
            history: Vec::new(),
        }
    }

    fn of(
        (epoch, generation): (Epoch, u64),
        all: [u8; 32],
        items: Vec<(Mark, Tag)>,
        fill: Vec<Tag>,
        history: Vec<([u8; 32], Update)>,
    ) -> Option<Self> {
        let (items, fill) = (Zeroizing::new(items), Zeroizing::new(fill));
        let mut tags: Vec<Tag> = items.iter().map(|(_, tag)| *tag).chain(fill.iter().copied()).collect();
        tags.sort_unstable();
        let tags = TagSet::of_generation(epoch, generation, tags).ok()?;
        Some(Self { digest: tags.digest(), tags, all, items, fill, history })
    }

    /// What the client is given.
    pub fn tags(&self) -> &TagSet {
        &self.tags
    }

    /// Makes it the tags of these items, of which only those are computed that were not there. Gives how many tags come, and
    /// as many go.
    ///
    /// # Errors
    /// As [`Prepared::new`]. The set stays as it was.
    pub fn set_to(&mut self, key: &EpochKey, items: &Items, rng: &mut SessionRng, stop: &Stop<'_>) -> Result<usize> {
        refuse_more(items.len(), self.tags.as_slice().len() as u32)?;
        let all = key.mark_all(items);
        if all == self.all {
            return Ok(0);
        }
        let marked = marked(key, items, stop)?;
        let there = |mark: &Mark| marked.binary_search_by(|(other, _)| other.cmp(mark)).is_ok();
        let known = |mark: &Mark| self.items.binary_search_by(|(other, _)| other.cmp(mark)).is_ok();
        let coming: Vec<(Mark, u32)> = marked.iter().filter(|(mark, _)| !known(mark)).copied().collect();
        let going: Vec<Tag> = self.items.iter().filter(|(mark, _)| !there(mark)).map(|(_, tag)| *tag).collect();
        if coming.is_empty() && going.is_empty() {
            return Ok(0);
        }
        let rows: Vec<u32> = coming.iter().map(|(_, row)| *row).collect();
        let come = tags(key, items, &rows, stop)?;

        let mut fill = self.fill.clone();
        let mut removed = going;
        for _ in 0..coming.len().min(fill.len()) {
            let place = below(fill.len() as u64, rng) as usize;
            removed.push(fill.swap_remove(place));
        }
        let left: Vec<Tag> = (come.len()..removed.len()).map(|_| random_tag(rng)).collect();
        fill.extend(&left);
        let stay = self.items.iter().filter(|(mark, _)| there(mark)).copied();
        let mut now = Zeroizing::new(Vec::with_capacity(items.len()));
        now.extend(stay.chain(coming.iter().map(|(mark, _)| *mark).zip(come.iter().copied())));
        now.sort_unstable();

        let update = Update::after(&self.tags, [come, left].concat(), removed);
        self.tags.apply(&update).map_err(|_| Error::Bug(Bug("an update does not fit the set it was made for")))?;
        let changed = update.len();
        self.history.push((self.digest, update));
        self.digest = self.tags.digest();
        (self.all, self.items, self.fill) = (all, now, fill);
        self.forget();
        Ok(changed)
    }

    /// Drops the oldest changes until all together are less than the whole.
    fn forget(&mut self) {
        let mut changed: usize = self.history.iter().map(|(_, update)| update.len()).sum();
        while changed > self.tags.as_slice().len() / 2 {
            changed -= self.history.remove(0).1.len();
        }
    }

    /// What a client needs that has the tags of this digest: what changed since, or all of them.
    pub(super) fn offer(&self, have: &[u8; 32]) -> (Offer, Option<Update>) {
        let since = self.history.iter().position(|(before, _)| before == have);
        let update = since.and_then(|first| {
            let mut updates = self.history[first..].iter().map(|(_, update)| update);
            let first = updates.next()?.clone();
            Some(updates.fold(first, Update::then))
        });
        let (epoch, generation, digest) = (self.tags.epoch(), self.tags.generation(), self.digest);
        let changed = match &update {
            Some(update) => Some(update.len() as u32),
            None => (*have == digest).then_some(0),
        };
        (Offer { epoch, generation, digest, changed }, update)
    }

    /// The bytes, as secret as the set: `magic (8) | epoch (24) | generation (8) | mark of all (32) | count (4) | mark (16) and tag (12) of each item
    /// | count (4) | tags of no item (12 each) | count (4) | of each change the digest before (32), its length (4), and
    /// the update | SHA-256`.
    pub fn to_bytes(&self) -> Zeroizing<Vec<u8>> {
        let mut bytes = Zeroizing::new(Vec::with_capacity(160 + self.items.len() * 28 + self.fill.len() * 12));
        bytes.extend(header(PREPARED, &self.tags.epoch(), self.tags.generation()));
        bytes.extend(self.all);
        bytes.extend((self.items.len() as u32).to_le_bytes());
        self.items.iter().for_each(|(mark, tag)| {
            bytes.extend_from_slice(mark);
            bytes.extend_from_slice(tag);
        });
        bytes.extend((self.fill.len() as u32).to_le_bytes());
        bytes.extend(self.fill.as_flattened());
        bytes.extend((self.history.len() as u32).to_le_bytes());
        for (before, update) in &self.history {
            let update = update.to_bytes();
            bytes.extend(before);
            bytes.extend((update.len() as u32).to_le_bytes());
            bytes.extend(update);
        }
        Zeroizing::new(sealed(std::mem::take(&mut bytes)))
    }

    /// Reads them.
    ///
    /// # Errors
    /// [`TagFileError`] where they are damaged.
    pub fn parse(bytes: &[u8]) -> Result<Self, TagFileError> {
        let mut r = Reader::new(unsealed(bytes)?);
        let (epoch, generation) = read_header(&mut r, PREPARED)?;
        let mut all = [0; 32];
        all.copy_from_slice(r.bytes(32)?);
        let count = read_count(&mut r)?;
        let items = Zeroizing::new(r.arrays::<28>(count)?);
        let count = read_count(&mut r)?;
        let fill = r.arrays(count)?;
        let mut history = Vec::new();
        for _ in 0..read_count(&mut r)? {
            let mut before = [0; 32];
            before.copy_from_slice(r.bytes(32)?);
            let length = read_count(&mut r)?;
            history.push((before, Update::parse(r.bytes(length)?)?));
        }
        r.finish()?;
        let split = |item: &[u8; 28]| {
            let (mark, tag) = item.split_at(16);
            (std::array::from_fn(|n| mark[n]), std::array::from_fn(|n| tag[n]))
        };
        let items: Vec<(Mark, Tag)> = items.iter().map(split).collect();
        let ascends = items.windows(2).all(|pair| pair[0].0 < pair[1].0);
        let set = Self::of((epoch, generation), all, items, fill, history).filter(|_| ascends);
        set.ok_or(TagFileError::Mismatch)
    }
}

fn refuse_more(items: usize, band: u32) -> Result<()> {
    match items > band as usize {
        true => Err(InputError::TooMany { got: items as u64, max: band.into() }.into()),
        false => Ok(()),
    }
}

/// The marks of all items, ascending, each with its row.
fn marked(key: &EpochKey, items: &Items, stop: &Stop<'_>) -> Result<Zeroizing<Vec<(Mark, u32)>>> {
    let mut marked = Zeroizing::new(Vec::with_capacity(items.len()));
    for (row, item) in (0..).zip(items.iter()) {
        stop.check()?;
        marked.push((key.mark(item), row));
    }
    marked.sort_unstable();
    match marked.windows(2).find(|pair| pair[0].0 == pair[1].0) {
        Some(pair) => Err(InputError::Duplicate { first: pair[0].1.into(), second: pair[1].1.into() }.into()),
        None => Ok(marked),
    }
}

fn tags(key: &EpochKey, items: &Items, rows: &[u32], stop: &Stop<'_>) -> Result<Vec<Tag>> {
    let input = Input::maker();
    let mut tags = Vec::with_capacity(rows.len());
    for rows in rows.chunks(CHUNK) {
        stop.check()?;
        let inputs: Vec<_> = rows.iter().map(|row| input(&item_parts(items.get(*row as usize)))).collect();
        tags.extend(key.tags(&inputs));
    }
    Ok(tags)
}

fn random_tag(rng: &mut SessionRng) -> Tag {
    let mut tag = Tag::default();
    rng.fill_bytes(&mut tag);
    tag
}
