//! Tags that are computed once: an epoch of many queries, with items that come and go.

use std::collections::BTreeSet;
use std::sync::Arc;

use chacha20::ChaCha20Rng;
use futures::future::BoxFuture;
use rand_core::SeedableRng;
use sha2::{Digest, Sha256};

use super::super::{Allowance, Epoch, EpochKey, Prepared, SHARDS, TagFileError, TagSet, Update};
use super::*;
use crate::compute::Stop;
use crate::error::{Error, Fault, InputError};
use crate::ideal;
use crate::items::Rows;
use crate::message::Malformed;

const GO_ON: Stop<'static> = Stop(&|| false);
const EPOCH: Epoch = Epoch { id: [7; 16], not_after_s: 1_800_000_000 };

fn key() -> EpochKey {
    EpochKey::derive(&[5; 32], &EPOCH)
}

fn rng(seed: u8) -> ChaCha20Rng {
    ChaCha20Rng::from_seed([seed; 32])
}

fn prepared(items: &Items, band: u32) -> Prepared {
    Prepared::new(&key(), EPOCH, items, band, &mut rng(1), &GO_ON).unwrap()
}

fn shards(set: &TagSet) -> Vec<Vec<u8>> {
    (0..=u8::MAX).map(|first| set.shard(first)).collect()
}

fn parse(shards: &[Vec<u8>]) -> Result<TagSet, TagFileError> {
    TagSet::from_shards(shards.iter().map(Vec::as_slice))
}

/// A query of `x` against tags that were fetched before, in a session of its own.
fn query(x: &Items, n: u32, t: &TagSet, key: &Arc<EpochKey>, approved: &Arc<Allowance>, attempt: u32) -> Result<Rows> {
    let run = World::new("unbalanced", 1).attempt(attempt).run(&pair(), |s, role| -> BoxFuture<'_, Result<Rows>> {
        let (x, t) = (x.clone(), Arc::new(t.clone()));
        match role {
            Role::Receiver => Box::pin(async move { small(4).query(&s, n, x, t).await }),
            Role::Sender => {
                Box::pin(async move { small(4).answer(&s, n, key, approved).await.map(|()| Rows::default()) })
            }
        }
    });
    let mut outcomes = run.outcomes.into_iter().map(|(_, outcome)| outcome);
    let (receiver, sender) = (outcomes.next().unwrap(), outcomes.next().unwrap());
    sender.and(receiver)
}

#[test]
fn an_epoch_answers_many_queries_over_changing_sets_until_its_allowance_is_spent() {
    let mut server = prepared(&keys(0, 40), 50);
    let mut client = parse(&shards(server.tags())).unwrap();
    let (key, approved) = (Arc::new(key()), Arc::new(Allowance::of(45)));
    let x = keys(30, 12);
    let rows = |have: Items| Ok(ideal::intersection(&x, &have));
    assert_eq!(query(&x, 15, &client, &key, &approved, 0), rows(keys(0, 40)));

    let update = server.change(&key, &keys(40, 5), &keys(33, 2), &mut rng(2), &GO_ON).unwrap();
    assert_eq!(update.len(), 7);
    client.apply(&Update::parse(&update.to_bytes()).unwrap()).unwrap();
    assert!(client == *server.tags());
    let now: Items = keys(0, 33).iter().chain(keys(35, 10).iter()).collect();
    assert_eq!(query(&x, 15, &client, &key, &approved, 1), rows(now));

    // Fifteen are left, but for one.
    assert_eq!(approved.left(), 15);
    assert!(query(&x, 15, &client, &key, &approved, 2).is_ok());
    let refused = query(&x, 15, &client, &key, &approved, 3);
    assert!(
        matches!(refused, Err(Error::Deviation { fault: Fault::Allowance { left: 0 }, .. })),
        "one query more than approved: {refused:?}"
    );
}

#[test]
fn another_seed_or_expiry_finds_nothing() {
    let server = prepared(&keys(0, 10), 10);
    let later = Epoch { not_after_s: EPOCH.not_after_s + 1, ..EPOCH };
    for (attempt, key) in
        [EpochKey::derive(&[6; 32], &EPOCH), EpochKey::derive(&[5; 32], &later)].into_iter().enumerate()
    {
        let found =
            query(&keys(0, 10), 10, server.tags(), &Arc::new(key), &Arc::new(Allowance::of(10)), attempt as u32);
        assert_eq!(found, Ok(Rows::default()));
    }
}

#[test]
fn a_set_keeps_its_size_whatever_comes_and_goes() {
    let mut server = prepared(&keys(0, 20), 32);
    let mut seen: BTreeSet<_> = server.tags().as_slice().iter().copied().collect();
    for round in 0..6u64 {
        let (add, remove) = (keys(100 + 2 * round, 2), keys(2 * round, 1 + round % 2));
        let update = server.change(&key(), &add, &remove, &mut rng(round as u8), &GO_ON).unwrap();
        let size = server.tags().as_slice().len();
        assert_eq!((size, server.tags().generation(), update.len()), (32, round + 1, 2 + remove.len()));
        // What comes was never there: a tag that returned would say that it is an item's.
        let new = server.tags().as_slice().iter().filter(|tag| seen.insert(**tag)).count();
        assert_eq!(new, update.len());
    }
    assert!(server.fill().iter().all(|tag| server.tags().contains(tag)));
    assert_eq!(server.fill().len(), 32 - (20 + 12 - 9));
    let again =
        |fill: &[[u8; 12]]| Prepared::from_parts(server.tags().clone(), fill.to_vec()).map(|set| set.tags().clone());
    assert!(again(server.fill()).is_ok_and(|tags| tags == *server.tags()));
    let fill = server.fill();
    for wrong in [&[[0; 12]][..], &[fill[0], fill[0]]] {
        assert_eq!(again(wrong).err(), Some(TagFileError::Mismatch));
    }
}

#[test]
fn changes_that_do_not_fit_are_refused_and_change_nothing() {
    let mut server = prepared(&keys(0, 8), 10);
    let before = server.tags().clone();
    let none = Items::default();
    let both: Items = [&b"a"[..], b"a"].iter().collect();
    for (add, remove, error) in [
        (keys(7, 2), none.clone(), InputError::Present { item: 0 }),
        (none.clone(), keys(6, 4), InputError::Absent { item: 2 }),
        (keys(20, 3), keys(0, 3), InputError::TooMany { got: 11, max: 10 }),
        (both.clone(), none.clone(), InputError::Duplicate { first: 0, second: 1 }),
        (none.clone(), both, InputError::Duplicate { first: 0, second: 1 }),
    ] {
        let refused = server.change(&key(), &add, &remove, &mut rng(3), &GO_ON).map(|update| update.len());
        assert_eq!(refused, Err(Error::Input(error)));
        assert!(*server.tags() == before);
    }
    let too_many = Prepared::new(&key(), EPOCH, &keys(0, 5), 4, &mut rng(1), &GO_ON).err();
    assert_eq!(too_many, Some(Error::Input(InputError::TooMany { got: 5, max: 4 })));
    let stopped = Prepared::new(&key(), EPOCH, &keys(0, 5), 9, &mut rng(1), &Stop(&|| true)).err();
    assert_eq!(stopped, Some(Error::Cancelled));
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
    for (shard, bit) in [(0, 3), (9, 70), (255, 8 * 30), (100, 8 * 41), (31, 8 * 46), (31, 8 * 60)] {
        let mut bad = good.clone();
        bad[shard][bit / 8] ^= 1 << (bit % 8);
        assert_eq!(parse(&bad).err(), Some(TagFileError::Digest), "shard {shard} bit {bit}");
    }
    let mut bad = good.clone();
    bad[5].truncate(20);
    assert_eq!(parse(&bad).err(), Some(TagFileError::Malformed(Malformed::Short { missing: 12 })));
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
    let long = Some(TagFileError::Malformed(Malformed::Long { extra: 1 }));
    assert_eq!(sealed(3, &|bytes| bytes.push(0)), long);
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
    let mut client = server.tags().clone();
    let first = server.change(&key(), &keys(20, 2), &keys(0, 1), &mut rng(2), &GO_ON).unwrap();
    let second = server.change(&key(), &keys(30, 2), &keys(20, 1), &mut rng(3), &GO_ON).unwrap();
    assert_eq!(client.apply(&second), Err(TagFileError::Generation { generation: 0 }));
    assert_eq!(client.apply(&first), Ok(()));
    assert_eq!(client.apply(&first), Err(TagFileError::Generation { generation: 1 }));
    assert_eq!(client.apply(&second), Ok(()));
    assert!(client == *server.tags());

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
