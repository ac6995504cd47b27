//! The server's prepared set: its tags, of which it alone knows which are no item's, and how items come and go.

use std::collections::BTreeSet;

use rand_core::Rng;
use zeroize::Zeroizing;

use super::oprf::{EpochKey, Input, Tag};
use super::tags::{Epoch, TagFileError, TagSet, Update};
use crate::compute::Stop;
use crate::error::{Bug, Error, InputError, Result};
use crate::items::Items;
use crate::psi::set::{below, item_parts, refuse_duplicates};
use crate::session::SessionRng;

/// Items per call of the kernel, between which a stop is asked for.
const CHUNK: usize = 2048;

/// A server's set under the key of an epoch, filled up to a band with random tags. To a client, which cannot compute the
/// function, those look like any other. An item that comes takes the place of one of them, one that goes leaves one behind: so
/// an update shows how many items changed, and not which way, nor how many there are.
pub struct Prepared {
    tags: TagSet,
    /// The tags that are no item's.
    fill: Zeroizing<Vec<Tag>>,
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
        if items.len() > band as usize {
            return Err(InputError::TooMany { got: items.len() as u64, max: u64::from(band) }.into());
        }
        refuse_duplicates(items, stop)?;
        let mut tags = tags(key, items, stop)?;
        let fill = Zeroizing::new((items.len()..band as usize).map(|_| random_tag(rng)).collect::<Vec<_>>());
        tags.extend(fill.iter());
        tags.sort_unstable();
        let tags = TagSet::new(epoch, tags).map_err(|_| Error::Bug(Bug("two of a set's tags are the same")))?;
        Ok(Self { tags, fill })
    }

    /// From a tag file, and those of its tags that are no item's.
    ///
    /// # Errors
    /// [`TagFileError::Mismatch`] where those are not, or not once, among its tags.
    pub fn from_parts(tags: TagSet, fill: Vec<Tag>) -> Result<Self, TagFileError> {
        let fill = Zeroizing::new(fill);
        let distinct = fill.iter().collect::<BTreeSet<_>>().len() == fill.len();
        if !distinct || !fill.iter().all(|tag| tags.contains(tag)) {
            return Err(TagFileError::Mismatch);
        }
        Ok(Self { tags, fill })
    }

    /// What the client is given.
    pub fn tags(&self) -> &TagSet {
        &self.tags
    }

    /// The tags that are no item's, to be stored with the key and as secret as the set.
    pub fn fill(&self) -> &[Tag] {
        &self.fill
    }

    /// Adds items and takes others away.
    ///
    /// # Errors
    /// [`InputError`] where one to be added is there, one to be taken away is not, an item is named twice, or more would come
    /// than there is room for; or the run was stopped. The set stays as it was.
    pub fn change(
        &mut self,
        key: &EpochKey,
        add: &Items,
        remove: &Items,
        rng: &mut SessionRng,
        stop: &Stop<'_>,
    ) -> Result<Update> {
        refuse_duplicates(add, stop)?;
        refuse_duplicates(remove, stop)?;
        let (coming, going) = (tags(key, add, stop)?, tags(key, remove, stop)?);
        if let Some(item) = coming.iter().position(|tag| self.tags.contains(tag)) {
            return Err(InputError::Present { item: item as u64 }.into());
        }
        if let Some(item) = going.iter().position(|tag| !self.tags.contains(tag)) {
            return Err(InputError::Absent { item: item as u64 }.into());
        }
        if coming.len() > self.fill.len() {
            let band = self.tags.as_slice().len();
            let got = band - self.fill.len() + coming.len();
            return Err(InputError::TooMany { got: got as u64, max: band as u64 }.into());
        }
        let mut fill = self.fill.clone();
        let mut removed = going.clone();
        for _ in 0..coming.len() {
            let place = below(fill.len() as u64, rng) as usize;
            removed.push(fill.swap_remove(place));
        }
        let left: Vec<Tag> = going.iter().map(|_| random_tag(rng)).collect();
        fill.extend(&left);
        let update = Update::after(&self.tags, [coming, left].concat(), removed);
        self.tags.apply(&update).map_err(|_| Error::Bug(Bug("an update does not fit the set it was made for")))?;
        self.fill = fill;
        Ok(update)
    }
}

fn tags(key: &EpochKey, items: &Items, stop: &Stop<'_>) -> Result<Vec<Tag>> {
    let input = Input::maker();
    let mut tags = Vec::with_capacity(items.len());
    for start in (0..items.len()).step_by(CHUNK) {
        stop.check()?;
        let rows = start..items.len().min(start + CHUNK);
        tags.extend(key.tags(&rows.map(|row| input(&item_parts(items.get(row)))).collect::<Vec<_>>()));
    }
    Ok(tags)
}

fn random_tag(rng: &mut SessionRng) -> Tag {
    let mut tag = Tag::default();
    rng.fill_bytes(&mut tag);
    tag
}
