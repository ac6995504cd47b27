//! Tags that are computed once: an epoch of many queries, with items that come and go.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use chacha20::ChaCha20Rng;
use futures::future::BoxFuture;
use rand_core::SeedableRng;
use sha2::{Digest, Sha256};

use super::super::tags::{SHARDS, Update};
use super::super::{Allowance, Epoch, EpochKey, Prepared, TagFileError, TagSet};
use super::*;
use crate::compute::Stop;
use crate::error::{Error, Fault, InputError};
use crate::ideal;
use crate::items::Rows;
use crate::message::Malformed;

const GO_ON: Stop<'static> = Stop(&|| false);

fn key() -> EpochKey {
    EpochKey::derive(&[5; 32], &EPOCH)
}

fn rng(seed: u8) -> ChaCha20Rng {
    ChaCha20Rng::from_seed([seed; 32])
}

/// As no other here.
fn fresh() -> ChaCha20Rng {
    static SEEDS: AtomicU8 = AtomicU8::new(100);
    rng(SEEDS.fetch_add(1, Ordering::Relaxed))
}

fn prepared(items: &Items, band: u32) -> Prepared {
    Prepared::new(&key(), EPOCH, items, band, &mut rng(1), &GO_ON).unwrap()
}

fn both(first: Items, second: Items) -> Items {
    first.iter().chain(second.iter()).collect()
}

/// What a run gives to the client.
type Found = Option<(Rows, Arc<TagSet>)>;

/// What two parties keep between their runs.
struct Epochs {
    server: Arc<Prepared>,
    client: Option<Arc<TagSet>>,
    key: Arc<EpochKey>,
    approved: Arc<Allowance>,
    attempt: u32,
    /// Bytes that the server sent in the last run.
    sent: u64,
}

impl Epochs {
    fn of(items: &Items, band: u32, answers: u64) -> Self {
        let (key, approved) = (Arc::new(key()), Arc::new(Allowance::of(answers)));
        Self { server: Arc::new(prepared(items, band)), client: None, key, approved, attempt: 0, sent: 0 }
    }

    fn set_to(&mut self, items: &Items) -> usize {
        let server = Arc::get_mut(&mut self.server).unwrap();
        server.set_to(&self.key, items, &mut fresh(), &GO_ON).unwrap()
    }

    /// A run, in a session of its own.
    fn query(&mut self, x: &Items, n: u64) -> Result<Rows> {
        let p = parameters(n, self.server.tags().as_slice().len() as u64);
        let world = World::new("unbalanced", 1).attempt(self.attempt);
        self.attempt += 1;
        let run = world.run(&pair(), |s, role| -> BoxFuture<'_, Result<Found>> {
            let (x, kept, t) = (x.clone(), self.client.clone(), self.server.clone());
            let (key, approved) = (&self.key, &self.approved);
            match role {
                Role::Receiver => Box::pin(async move { small(4).query_kept(&s, &p, x, kept).await.map(Some) }),
                Role::Sender => {
                    Box::pin(async move { small(4).answer_kept(&s, &p, t, key, approved).await.map(|()| None) })
                }
            }
        });
        self.sent = run.report.parties[1].bytes_out;
        let mut outcomes = run.outcomes.into_iter().map(|(_, outcome)| outcome);
        let (receiver, sender) = (outcomes.next().unwrap(), outcomes.next().unwrap());
        let (rows, t) = sender.and(receiver)?.unwrap();
        assert!(*t == *self.server.tags(), "both have the same tags");
        self.client = Some(t);
        Ok(rows)
    }
}

#[test]
fn an_epoch_answers_many_queries_over_changing_sets_until_its_allowance_is_spent() {
    let mut both_sides = Epochs::of(&keys(0, 40), 50, 60);
    let x = keys(30, 12);
    let rows = |have: Items| Ok(ideal::intersection(&x, &have));
    assert_eq!(both_sides.query(&x, 15), rows(keys(0, 40)));
    let all = both_sides.sent;

    assert_eq!(both_sides.query(&x, 15), rows(keys(0, 40)));
    assert_eq!(all - both_sides.sent, 50 * 12 + 13 * 4, "no tag is sent again");

    let now = both(keys(0, 33), keys(35, 10));
    assert_eq!(both_sides.set_to(&now), 7, "two go, five come");
    assert_eq!(both_sides.query(&x, 15), rows(now));
    assert_eq!(all - both_sides.sent, 36 * 12 + 9 * 4, "seven that come and seven that go");

    // Fifteen are left, but for one.
    assert_eq!(both_sides.approved.left(), 15);
    assert!(both_sides.query(&x, 15).is_ok());
    let refused = both_sides.query(&x, 15);
    assert!(
        matches!(refused, Err(Error::Deviation { fault: Fault::Allowance { left: 0 }, .. })),
        "one query more than approved: {refused:?}"
    );
}

#[test]
fn a_client_that_missed_changes_gets_them_as_one_and_one_that_missed_many_all() {
    let mut sides = Epochs::of(&keys(0, 30), 40, 1000);
    let x = keys(0, 6);
    assert_eq!(sides.query(&x, 6).unwrap().len(), 6);
    let all = sides.sent;
    // One comes and goes, another goes and comes back: two changes that leave one, and fill of which some came and went.
    sides.set_to(&both(keys(1, 29), keys(70, 1)));
    sides.set_to(&both(keys(0, 29), keys(80, 1)));
    assert_eq!(sides.query(&x, 6).unwrap().len(), 6);
    assert!(all - sides.sent > 25 * 12);
    sides.set_to(&keys(3, 30));
    sides.client = None;
    assert_eq!(sides.query(&x, 6).unwrap().len(), 3, "what one has lost is sent whole");
    assert_eq!(sides.sent, all);
    // More than is remembered.
    for round in 0..9 {
        sides.set_to(&keys(4 + round, 30));
    }
    sides.set_to(&keys(100, 30));
    assert_eq!(sides.query(&x, 6), Ok(Rows::default()));
    assert_eq!(sides.sent, all);
    // Tags of another set, of another size, or of another epoch are none to go on from.
    let other = |band, epoch| Prepared::new(&key(), epoch, &keys(0, 30), band, &mut rng(3), &GO_ON).unwrap();
    let later = Epoch { id: [8; 16], ..EPOCH };
    for client in [other(40, EPOCH), other(41, EPOCH), other(40, later)] {
        sides.client = Some(Arc::new(client.tags().clone()));
        assert_eq!(sides.query(&keys(100, 2), 6).unwrap().len(), 2);
        assert_eq!(sides.sent, all);
    }
}

#[test]
fn another_seed_or_expiry_finds_nothing() {
    let mut sides = Epochs::of(&keys(0, 10), 10, 100);
    let later = Epoch { not_after_s: EPOCH.not_after_s + 1, ..EPOCH };
    for key in [EpochKey::derive(&[6; 32], &EPOCH), EpochKey::derive(&[5; 32], &later)] {
        sides.key = Arc::new(key);
        assert_eq!(sides.query(&keys(0, 10), 10), Ok(Rows::default()));
    }
    sides.key = Arc::new(EpochKey::derive(&[5; 32], &EPOCH));
    assert_eq!(sides.query(&keys(0, 10), 10).unwrap().len(), 10);
}

#[test]
fn a_set_keeps_its_size_whatever_comes_and_goes() {
    let mut server = prepared(&keys(0, 20), 32);
    let mut seen: BTreeSet<_> = server.tags().as_slice().iter().copied().collect();
    for round in 0..6u64 {
        let gone = 2 * round + 2;
        let now = both(keys(gone, 20 - gone), keys(100, 3 * (round + 1)));
        let changed = server.set_to(&key(), &now, &mut fresh(), &GO_ON).unwrap();
        assert_eq!((server.tags().as_slice().len(), server.tags().generation(), changed), (32, round + 1, 5));
        // What comes was never there: a tag that returned would say that it is an item's.
        assert_eq!(server.tags().as_slice().iter().filter(|tag| seen.insert(**tag)).count(), changed);
        assert_eq!(server.set_to(&key(), &now, &mut fresh(), &GO_ON), Ok(0), "the same set");
        let backwards: Items = (0..now.len()).rev().map(|row| now.get(row).to_vec()).collect();
        assert_eq!(server.set_to(&key(), &backwards, &mut fresh(), &GO_ON), Ok(0), "the same set in another order");
        assert_eq!(server.tags().generation(), round + 1);
    }
    // Where there is little room, what goes makes it.
    let mut full = prepared(&keys(0, 8), 9);
    assert_eq!(full.set_to(&key(), &keys(5, 9), &mut fresh(), &GO_ON), Ok(6));
    assert!(full.tags().as_slice().len() == 9 && full.set_to(&key(), &keys(14, 9), &mut fresh(), &GO_ON) == Ok(9));
    assert_eq!(full.set_to(&key(), &keys(0, 0), &mut fresh(), &GO_ON), Ok(9));
    let tags = |set: &Prepared| set.tags().as_slice().to_vec();
    assert_eq!(tags(&Prepared::parse(&full.to_bytes()).unwrap()), tags(&full));
}

#[test]
fn sets_that_do_not_fit_are_refused_and_change_nothing() {
    let mut server = prepared(&keys(0, 8), 10);
    let before = server.tags().clone();
    let twice: Items = [&b"b"[..], b"a", b"c", b"a"].iter().collect();
    for (items, error) in [
        (keys(0, 11), InputError::TooMany { got: 11, max: 10 }),
        (twice, InputError::Duplicate { first: 1, second: 3 }),
    ] {
        assert_eq!(server.set_to(&key(), &items, &mut fresh(), &GO_ON), Err(Error::Input(error)));
        assert!(*server.tags() == before);
    }
    let too_many = Prepared::new(&key(), EPOCH, &keys(0, 5), 4, &mut rng(1), &GO_ON).err();
    assert_eq!(too_many, Some(Error::Input(InputError::TooMany { got: 5, max: 4 })));
    let stopped = Prepared::new(&key(), EPOCH, &keys(0, 5), 9, &mut rng(1), &Stop(&|| true)).err();
    assert_eq!(stopped, Some(Error::Cancelled));
}

#[test]
fn a_prepared_set_is_read_back_with_its_changes_and_any_damage_is_found() {
    let mut server = prepared(&keys(0, 20), 32);
    let client = server.tags().clone();
    server.set_to(&key(), &keys(2, 20), &mut fresh(), &GO_ON).unwrap();
    server.set_to(&key(), &keys(3, 20), &mut fresh(), &GO_ON).unwrap();
    let good = server.to_bytes();
    let mut read = Prepared::parse(&good).unwrap();
    assert!(read.tags() == server.tags() && read.to_bytes() == good);
    assert_eq!(read.offer(&client.digest()).0.changed, server.offer(&client.digest()).0.changed);
    assert_eq!(read.set_to(&key(), &keys(3, 20), &mut fresh(), &GO_ON), Ok(0), "it knows its items");
    for bit in (0..good.len() * 8).step_by(977) {
        let mut bad = good.to_vec();
        bad[bit / 8] ^= 1 << (bit % 8);
        assert_eq!(Prepared::parse(&bad).err(), Some(TagFileError::Digest), "bit {bit}");
    }
    assert!((0..good.len()).step_by(31).all(|cut| Prepared::parse(&good[..cut]).is_err()));
}

fn shards(set: &TagSet) -> Vec<Vec<u8>> {
    let bytes = set.to_bytes();
    let mut rest = &bytes[..];
    let mut shards = Vec::new();
    while !rest.is_empty() {
        let length = 45 + 11 * usize::from(rest[41]) + 32;
        shards.push(rest[..length].to_vec());
        rest = &rest[length..];
    }
    shards
}

fn parse(shards: &[Vec<u8>]) -> Result<TagSet, TagFileError> {
    TagSet::parse(&shards.concat())
}

#[test]
fn a_tag_file_is_read_back_and_any_damage_is_found() {
    for count in [0, 1, 600] {
        let server = prepared(&keys(0, count), count as u32);
        let good = shards(server.tags());
        assert_eq!(good.iter().map(Vec::len).sum::<usize>(), SHARDS * (8 + 24 + 8 + 1 + 4 + 32) + 11 * count as usize);
        let read = parse(&good).unwrap();
        assert!(read == *server.tags());
        assert_eq!((read.epoch(), read.generation()), (EPOCH, 0));
    }

    let good = shards(prepared(&keys(0, 600), 600).tags());
    for (shard, bit) in [(0, 3), (9, 70), (255, 8 * 30), (31, 8 * 46), (31, 8 * 60)] {
        let mut bad = good.clone();
        bad[shard][bit / 8] ^= 1 << (bit % 8);
        assert_eq!(parse(&bad).err(), Some(TagFileError::Digest), "shard {shard} bit {bit}");
    }
    let mut bad = good.clone();
    bad[5].truncate(20);
    assert!(parse(&bad).is_err(), "cut");
    let mut bad = good.clone();
    bad[100][41] ^= 1;
    assert!(parse(&bad).is_err(), "another count");
    assert_eq!(parse(&good[..255]).err(), Some(TagFileError::Shard { shard: 255 }));
    assert_eq!(parse(&good[1..]).err(), Some(TagFileError::Shard { shard: 0 }));
    let mut bad = good.clone();
    bad.swap(4, 5);
    assert_eq!(parse(&bad).err(), Some(TagFileError::Shard { shard: 4 }));

    // Honestly sealed, and wrong all the same.
    let sealed = |shard: usize, edit: &dyn Fn(&mut Vec<u8>)| {
        let mut bad = good.clone();
        let content = bad[shard].len() - 32;
        bad[shard].truncate(content);
        edit(&mut bad[shard]);
        let digest = Sha256::digest(&bad[shard]);
        bad[shard].extend(digest);
        parse(&bad).err()
    };
    let field = |field| Some(TagFileError::Malformed(Malformed::Range { field }));
    assert_eq!(sealed(3, &|bytes| bytes[0] ^= 1), field("magic"));
    assert_eq!(sealed(3, &|bytes| bytes[33] ^= 1), Some(TagFileError::Shard { shard: 3 }));
    assert_eq!(sealed(3, &|bytes| bytes[10] ^= 1), Some(TagFileError::Shard { shard: 3 }));
    assert_eq!(
        parse(&[&good[..], &[vec![0]]].concat()).err(),
        Some(TagFileError::Malformed(Malformed::Long { extra: 1 }))
    );
    let last_again = |bytes: &mut Vec<u8>| {
        let last = bytes[bytes.len() - 11..].to_vec();
        bytes.extend(last);
        bytes[41] += 1;
    };
    let full = (0..SHARDS).find(|shard| good[*shard][41] > 0).unwrap();
    let index = u64::from(good[full][41]);
    assert_eq!(sealed(full, &last_again), Some(TagFileError::Order { index }));
}

#[test]
fn updates_are_applied_once_and_in_order() {
    let mut server = prepared(&keys(0, 8), 16);
    let mut sets = vec![server.tags().clone()];
    for items in [both(keys(1, 7), keys(20, 2)), both(keys(1, 7), keys(21, 3))] {
        server.set_to(&key(), &items, &mut fresh(), &GO_ON).unwrap();
        sets.push(server.tags().clone());
    }
    let between = |from: usize, to: usize| {
        let not_in = |set: &TagSet, tags: &TagSet| -> Vec<_> {
            tags.as_slice().iter().filter(|tag| !set.contains(tag)).copied().collect()
        };
        let (from, to) = (&sets[from], &sets[to]);
        Update::to(from, to.generation(), not_in(from, to), not_in(to, from)).unwrap()
    };
    let (first, second) = (between(0, 1), between(1, 2));
    let mut client = sets[0].clone();
    assert_eq!(client.apply(&second), Err(TagFileError::Generation { generation: 0 }));
    assert_eq!(client.apply(&first), Ok(()));
    assert_eq!(client.apply(&first), Err(TagFileError::Generation { generation: 1 }));
    assert_eq!(client.apply(&second), Ok(()));
    assert!(client == sets[2]);
    let both_at_once = first.clone().then(&second);
    assert!(both_at_once == between(0, 2), "what came and went is not in it");
    assert!(server.offer(&sets[0].digest()).1 == Some(both_at_once));

    // Of a set with other tags.
    let elsewhere = Prepared::new(&key(), EPOCH, &keys(50, 8), 16, &mut rng(9), &GO_ON).unwrap();
    let mut other = elsewhere.tags().clone();
    assert_eq!(other.apply(&first), Err(TagFileError::Mismatch));
    assert!(other == *elsewhere.tags());

    let bytes = first.to_bytes();
    assert!(Update::parse(&bytes).is_ok_and(|read| read == first));
    for cut in [0, 10, bytes.len() - 1] {
        assert!(Update::parse(&bytes[..cut]).is_err(), "cut at {cut}");
    }
    assert_eq!(Update::parse(&shards(server.tags())[0]).err(), {
        Some(TagFileError::Malformed(Malformed::Range { field: "magic" }))
    });
}
