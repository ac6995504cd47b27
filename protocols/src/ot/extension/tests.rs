use std::sync::Mutex;

use futures::future::BoxFuture;
use proptest::prelude::*;

use super::*;
use crate::error::{Error, Fault};
use crate::message::{Message, Reader};
use crate::ot::{correlated_receive, correlated_send, random_receive, random_send};
use crate::party::Roster;
use crate::sim::{Net, Run, World};

fn pair() -> Roster {
    Roster::pair(PartyId::new("bank").unwrap(), PartyId::new("bureau").unwrap())
}

fn choices(count: usize) -> Bits {
    (0..count).map(|n| n * n % 7 < 3).collect()
}

/// What both have: the receiver one block and nothing, the sender both blocks of each transfer.
fn random(world: &World, count: usize) -> Run<Vec<[u128; 2]>> {
    world.run(&pair(), |s, role| async move {
        let peer = s.holder(role.other())?.clone();
        match role {
            Role::Receiver => {
                let blocks = random_receive(&s, &peer, choices(count)).await?;
                Ok(blocks.iter().map(|block| [*block, 0]).collect())
            }
            Role::Sender => Ok(random_send(&s, &peer, count).await?.to_vec()),
        }
    })
}

#[test]
fn random_transfers_agree_and_cost_what_they_declare() {
    for count in [0, 1, 127, 128, 129, 1000, BATCH, BATCH + 1] {
        let run = random(&World::new("ot", 1).net(Net::ROUNDS), count);
        for (party, role) in run.report.parties.iter().zip([Role::Receiver, Role::Sender]) {
            let bytes = set_up_cost(role).bytes_out + cost(count, BATCH, role).bytes_out;
            assert_eq!(party.bytes_out, bytes, "{count} {role}");
        }
        let rounds = set_up_cost(Role::Sender).rounds + cost(count, BATCH, Role::Sender).rounds;
        assert_eq!(run.report.rounds(), rounds, "{count}");
        let values = run.values().unwrap();
        let choices = choices(count);
        let mut right = values[0].iter().zip(&values[1]).zip(choices.iter());
        assert!(right.all(|((one, both), choice)| one[0] == both[usize::from(choice)]), "{count}");
        let all: std::collections::BTreeSet<u128> = values[1].iter().flatten().copied().collect();
        assert_eq!((values[0].len(), values[1].len(), all.len()), (count, count, 2 * count));
    }
}

#[test]
fn correlated_transfers_have_one_difference() {
    for count in [1, 128, 300] {
        let run = World::new("ot", 2).run(&pair(), |s, role| async move {
            let peer = s.holder(role.other())?.clone();
            match role {
                Role::Receiver => Ok((0, correlated_receive(&s, &peer, choices(count)).await?.to_vec())),
                Role::Sender => correlated_send(&s, &peer, count).await.map(|(delta, q)| (delta, q.to_vec())),
            }
        });
        let values = run.values().unwrap();
        let [(_, t), (delta, q)] = &values[..] else { panic!("two parties") };
        let right = |(n, choice): (usize, u8)| t[n] == q[n] ^ (u128::from(choice) * delta);
        assert!(choices(count).iter().enumerate().all(right) && q.len() == count);
    }
}

#[test]
fn one_set_up_serves_many_calls_and_no_block_comes_twice() {
    let run = World::new("ot", 3).run(&pair(), |s, role| async move {
        let peer = s.holder(role.other())?.clone();
        let mut all = Vec::new();
        match role {
            Role::Receiver => {
                let mut receiver = Receiver::set_up(&s, &peer).await?;
                for (step, count) in [("a", 200), ("b", 1), ("c", 400)] {
                    let blocks = receiver.random(&s.step(step), &Arc::new(choices(count)), 128)?;
                    let blocks: Vec<_> = blocks.try_collect().await?;
                    all.extend(blocks.iter().flat_map(|batch| batch.iter()).map(|block| [*block; 2]));
                }
            }
            Role::Sender => {
                let mut sender = Sender::set_up(&s, &peer).await?;
                for (step, count) in [("a", 200), ("b", 1), ("c", 400)] {
                    let blocks: Vec<_> = sender.random(&s.step(step), count, 128)?.try_collect().await?;
                    all.extend(blocks.iter().flat_map(|batch| batch.iter().copied()));
                }
            }
        }
        Ok(all)
    });
    let values = run.values().unwrap();
    let choices = [200, 1, 400].map(choices);
    let choices = choices.iter().flat_map(Bits::iter);
    assert!(choices.enumerate().all(|(n, choice)| values[0][n][0] == values[1][n][usize::from(choice)]));
    let all: std::collections::BTreeSet<u128> = values[1].iter().flatten().copied().collect();
    assert_eq!(all.len(), 2 * 601);
}

#[test]
fn schedules_change_nothing() {
    let world = World::new("ot", 4);
    let first = random(&world, 700).values().unwrap();
    for schedule in 0..10 {
        let world = world.clone().schedule(schedule).capacity(1 + schedule as usize % 3);
        assert_eq!(random(&world, 700).values().unwrap(), first, "schedule {schedule}");
    }
}

/// What an honest sender says of a receiver that is honest but for `cheat`.
fn verdict(cheat: impl Fn(&mut Trees, &mut Batch) + Sync) -> Result<(), Fault> {
    let fault = Mutex::new(Ok(()));
    World::new("ot", 5).run(&pair(), |s, role| -> BoxFuture<'_, Result<()>> {
        let (fault, cheat) = (&fault, &cheat);
        Box::pin(async move {
            let peer = s.holder(role.other())?.clone();
            if role == Role::Sender {
                match random_send(&s, &peer, 300).await {
                    Ok(_) => (),
                    Err(Error::Deviation { party, fault: found, .. }) => {
                        assert_eq!(party, peer);
                        *fault.lock().unwrap() = Err(found);
                    }
                    Err(other) => panic!("{other:?}"),
                }
                return Ok(());
            }
            let keys = base::send(&s.step("base"), &peer, 128).await?;
            let roots = random_blocks(TREES, &mut s.rng("roots"));
            let (core, mut trees) = ReceiverCore::new(&roots, &keys, &s.binding("ot/extension"));
            let (mut batch, _) = core.prepare(0, choices(300).blocks(), 300, &mut s.rng("unused"));
            cheat(&mut trees, &mut batch);
            let (out, _open) = s.step("trees").channel(&peer)?.split();
            out.last(&trees).await?;
            let (out, _open) = s.step("random").channel(&peer)?.split();
            out.last(&batch).await?;
            std::future::pending().await
        })
    });
    fault.into_inner().unwrap()
}

proptest! {
    #[test]
    fn arbitrary_bytes_are_read_as_the_shape_or_refused(
        bytes in proptest::collection::vec(any::<u8>(), 0..400),
        right in any::<bool>(),
        blocks in prop_oneof![1usize..8, Just(usize::MAX), any::<usize>()],
    ) {
        // Of the right length for one message or the other, or of any.
        let length = if right { Batch::bytes(blocks.min(7)) } else { bytes.len() };
        let bytes: Vec<u8> = bytes.iter().cycle().copied().take(length).collect();
        let mut reader = Reader::new(&bytes);
        let batch = Batch::read(&mut reader, blocks).and_then(|batch| reader.finish().map(|()| batch));
        prop_assert_eq!(batch.is_ok(), blocks < 8 && bytes.len() == Batch::bytes(blocks));
        let mut reader = Reader::new(&bytes);
        let trees = Trees::read(&mut reader, ()).and_then(|trees| reader.finish().map(|()| trees));
        prop_assert_eq!(trees.is_ok(), bytes.len() as u64 == Trees::BYTES);
    }
}

#[test]
fn cheating_receivers_are_named() {
    let check = |check| Err(Fault::Check { check });
    assert_eq!(verdict(|_, _| ()), Ok(()), "the scripted receiver is honest but for what it is told");
    // Other choices in one column of corrections than in the others: seen where Δ has a bit there, as four of them have.
    assert_eq!(verdict(|_, batch| batch.corrections[..12].iter_mut().for_each(|c| *c ^= 1)), check("transfers"));
    assert_eq!(verdict(|_, batch| batch.choices ^= 1), check("transfers"));
    assert_eq!(verdict(|_, batch| batch.columns[127] ^= 1 << 77), check("transfers"));
    assert_eq!(verdict(|trees, _| trees.proofs[3].digest[0] ^= 1), check("trees"));
    assert_eq!(verdict(|trees, _| trees.sums.iter_mut().for_each(|sum| sum[1] ^= 4)), check("trees"));
    let short = verdict(|_, batch| batch.corrections.truncate(100));
    assert!(matches!(short, Err(Fault::Malformed(_))), "{short:?}");
}
