//! What a peer has pushed and nobody has read: in order for each lane, put together from chunks, and never much of it.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use banyan_protocols::message::FRAME_MAX;
use banyan_protocols::transport::LinkError;
use bytes::Bytes;
use tokio::sync::{Notify, watch};

use super::key::{Keys, Lane, Word, number};

/// The largest value: a frame, and the protobuf around it.
pub(super) const VALUE_MAX: usize = FRAME_MAX + 4096;
/// How far a lane's messages may run ahead of its reader: a push that is further waits for its answer. With the largest
/// values that is 32 MiB a lane, with SecretFlow's batches of 4096 points a tenth of it.
pub(super) const AHEAD_MAX: u64 = 32;
/// Values that are being put together from chunks: each is a message that may run ahead.
const ASSEMBLIES_MAX: usize = AHEAD_MAX as usize;
/// Chunks of one value: even a peer that cuts small needs no more.
const CHUNKS_MAX: usize = 4096;

/// Why a push is refused. The peer is told the text, which quotes nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum BadPush {
    #[error("not the rank of this link's peer")]
    Rank,
    #[error("not a key of this link")]
    Key,
    #[error("a value above {VALUE_MAX} bytes")]
    TooLarge,
    #[error("a chunk that does not fit its message")]
    Chunk,
    #[error("too many messages in chunks at once")]
    Assemblies,
    #[error("not a number")]
    Number,
    #[error("the link is closed")]
    Closed,
}

/// A message that was read, with what its sender wants confirmed.
pub(super) struct Read {
    pub(super) value: Bytes,
    /// Its sequence; 0 where the sender does not count.
    pub(super) sequence: u64,
}

/// Everything that was pushed.
pub(super) struct Inbox {
    keys: Keys,
    state: Mutex<State>,
    moved: Notify,
    connected: watch::Sender<bool>,
}

#[derive(Default)]
struct State {
    lanes: BTreeMap<Lane, Waiting>,
    assemblies: BTreeMap<String, Assembly>,
    /// Messages that came, all lanes together.
    came: u64,
    /// Sequences of ours that were not confirmed yet, with their lanes.
    unconfirmed: BTreeMap<u64, Lane>,
    /// How many messages the peer says it sent in all.
    fin: Option<u64>,
    closed: bool,
}

/// The messages of one lane.
struct Waiting {
    next: u64,
    there: BTreeMap<u64, Read>,
}

impl Default for Waiting {
    fn default() -> Self {
        Self { next: 1, there: BTreeMap::new() }
    }
}

struct Assembly {
    value: Vec<u8>,
    chunks: BTreeMap<usize, usize>,
    missing: usize,
}

impl Inbox {
    pub(super) fn new(keys: Keys) -> Self {
        Self { keys, state: Mutex::default(), moved: Notify::new(), connected: watch::Sender::new(false) }
    }

    /// Takes a whole value. Waits while the lane is too far ahead of its reader.
    pub(super) async fn push(&self, key: &str, value: Bytes) -> Result<(), BadPush> {
        if value.len() > VALUE_MAX {
            return Err(BadPush::TooLarge);
        }
        match self.keys.read(key).ok_or(BadPush::Key)? {
            Word::Connect => {
                self.connected.send_replace(true);
                Ok(())
            }
            Word::Ack => {
                let sequence = text_number(&value)?;
                self.lock().unconfirmed.remove(&sequence);
                self.moved.notify_waiters();
                Ok(())
            }
            Word::Fin => {
                let count = text_number(&value)?;
                self.lock().fin.get_or_insert(count);
                self.moved.notify_waiters();
                Ok(())
            }
            Word::Message { lane, number, sequence } => {
                let mut value = Some(value);
                self.until(|state| {
                    if state.closed {
                        return Some(Err(BadPush::Closed));
                    }
                    let waiting = state.lanes.entry(lane).or_default();
                    if number < waiting.next || waiting.there.contains_key(&number) {
                        return Some(Ok(())); // pushed again after a lost answer
                    }
                    if number >= waiting.next + AHEAD_MAX {
                        return None;
                    }
                    waiting.there.insert(number, Read { value: value.take()?, sequence });
                    state.came += 1;
                    Some(Ok(()))
                })
                .await
            }
        }
    }

    /// Takes a part of a value; the last one takes the whole.
    pub(super) async fn push_chunk(&self, key: &str, part: &[u8], offset: u64, length: u64) -> Result<(), BadPush> {
        let length = usize::try_from(length).ok().filter(|length| *length <= VALUE_MAX).ok_or(BadPush::TooLarge)?;
        self.keys.read(key).ok_or(BadPush::Key)?;
        let whole = self.lock().assemble(key, part, offset, length)?;
        match whole {
            Some(value) => self.push(key, value.into()).await,
            None => Ok(()),
        }
    }

    /// The next message of a lane.
    ///
    /// # Errors
    /// [`LinkError::Cut`] where the peer has said that nothing more comes.
    pub(super) async fn next(&self, lane: Lane) -> Result<Read, LinkError> {
        self.until(|state| {
            let over = state.closed || state.fin.is_some_and(|count| count > 0 && state.came >= count);
            let waiting = state.lanes.entry(lane).or_default();
            match waiting.there.remove(&waiting.next) {
                Some(read) => {
                    waiting.next += 1;
                    Some(Ok(read))
                }
                None if over => Some(Err(LinkError::Cut)),
                None => None,
            }
        })
        .await
    }

    /// Waits for the peer's first word.
    pub(super) async fn connected(&self) {
        // this holds the sender, so it does not end before
        let _ = self.connected.subscribe().wait_for(|connected| *connected).await;
    }

    /// Notes a message of ours before it is pushed; waits while `window` of its lane are not confirmed. Each lane has a window
    /// of its own: the peer answers in one lane before it reads on in the other, so that unread points of both sides would
    /// keep both sides' answers back for ever.
    pub(super) async fn sends(&self, lane: Lane, sequence: u64, window: usize) {
        self.until(|state| {
            let unconfirmed = state.unconfirmed.values().filter(|other| **other == lane).count();
            let room = state.closed || unconfirmed < window;
            room.then(|| state.unconfirmed.insert(sequence, lane))
        })
        .await;
    }

    /// Waits until all of ours are confirmed and the peer has said its last word.
    pub(super) async fn over(&self) {
        self.until(|state| (state.unconfirmed.is_empty() && state.fin.is_some() || state.closed).then_some(())).await;
    }

    /// Whatever is pushed from now on is refused, and nobody waits any more.
    pub(super) fn close(&self) {
        let mut state = self.lock();
        state.closed = true;
        state.assemblies.clear();
        drop(state);
        self.moved.notify_waiters();
    }

    /// Looks at the state, now and after each change, until `look` has an answer.
    async fn until<T>(&self, mut look: impl FnMut(&mut State) -> Option<T>) -> T {
        loop {
            let moved = self.moved.notified();
            tokio::pin!(moved);
            moved.as_mut().enable(); // before looking, so that no change falls in between
            let answer = look(&mut self.lock());
            if let Some(answer) = answer {
                self.moved.notify_waiters();
                return answer;
            }
            moved.await;
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// The whole value, once nothing of it is missing.
    fn assemble(&mut self, key: &str, part: &[u8], offset: u64, length: usize) -> Result<Option<Vec<u8>>, BadPush> {
        if !self.assemblies.contains_key(key) && self.assemblies.len() >= ASSEMBLIES_MAX {
            return Err(BadPush::Assemblies);
        }
        let fresh = || Assembly { value: vec![0; length], chunks: BTreeMap::new(), missing: length };
        let assembly = self.assemblies.entry(key.to_owned()).or_insert_with(fresh);
        assembly.add(part, offset, length)?;
        let whole = assembly.missing == 0;
        Ok(whole.then(|| self.assemblies.remove(key)).flatten().map(|assembly| assembly.value))
    }
}

impl Assembly {
    fn add(&mut self, part: &[u8], offset: u64, length: usize) -> Result<(), BadPush> {
        let start = usize::try_from(offset).map_err(|_| BadPush::Chunk)?;
        let end = start.checked_add(part.len()).filter(|end| *end <= length).ok_or(BadPush::Chunk)?;
        if length != self.value.len() || self.chunks.len() >= CHUNKS_MAX {
            return Err(BadPush::Chunk);
        }
        if self.chunks.get(&start) == Some(&end) {
            return Ok(()); // pushed again after a lost answer
        }
        let before = self.chunks.range(..=start).next_back().is_none_or(|(_, before)| *before <= start);
        let after = self.chunks.range(start..).next().is_none_or(|(after, _)| *after >= end);
        if part.is_empty() || !before || !after {
            return Err(BadPush::Chunk);
        }
        self.value[start..end].copy_from_slice(part);
        self.chunks.insert(start, end);
        self.missing -= part.len();
        Ok(())
    }
}

fn text_number(value: &[u8]) -> Result<u64, BadPush> {
    std::str::from_utf8(value).ok().and_then(number).ok_or(BadPush::Number)
}
