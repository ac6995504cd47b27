use curve25519_dalek::constants::RISTRETTO_BASEPOINT_COMPRESSED;
use futures::future::BoxFuture;

use super::*;
use crate::error::{Error, Fault};
use crate::party::Roster;
use crate::sim::{Net, Run, World};

fn pair() -> Roster {
    Roster::pair(PartyId::new("bank").unwrap(), PartyId::new("bureau").unwrap())
}

#[derive(Debug, PartialEq)]
enum Keys {
    One(Vec<u128>),
    Both(Vec<[u128; 2]>),
}

async fn honest(s: Session, role: Role, choices: Bits) -> Result<Keys> {
    let peer = s.holder(role.other())?.clone();
    match role {
        Role::Receiver => Ok(Keys::One(receive(&s, &peer, choices).await?.to_vec())),
        Role::Sender => Ok(Keys::Both(send(&s, &peer, choices.len()).await?.to_vec())),
    }
}

fn run(world: &World, choices: &Bits) -> Run<Keys> {
    world.run(&pair(), |s, role| honest(s, role, choices.clone()))
}

fn choices(count: usize) -> Bits {
    (0..count).map(|n| n * n % 7 < 3).collect()
}

#[test]
fn the_receiver_has_the_key_of_its_choice_and_all_keys_differ() {
    for count in [0, 1, 129] {
        let choices = choices(count);
        let run = run(&World::new("ot", 1).net(Net::ROUNDS), &choices);
        let declared = [Role::Receiver, Role::Sender].map(|role| cost(count, role));
        let spent = [0, 1].map(|party| run.report.parties[party].bytes_out);
        assert_eq!((run.report.rounds(), spent), (declared[0].rounds, declared.map(|cost| cost.bytes_out)));
        let keys = run.values().unwrap();
        let [Keys::One(one), Keys::Both(both)] = &keys[..] else { panic!("{keys:?}") };
        assert!(one.iter().zip(both).zip(choices.iter()).all(|((one, both), c)| *one == both[usize::from(c)]));
        let all: std::collections::BTreeSet<u128> = both.iter().flatten().copied().collect();
        assert_eq!(all.len(), 2 * count);
    }
}

/// How the honest party ends against one that sends `point` or `pairs`.
fn against(cheat: Role, point: [u8; 32], pairs: Vec<[[u8; 32]; 2]>) -> Fault {
    let run = World::new("ot", 1).run(&pair(), |s, role| -> BoxFuture<'_, Result<Keys>> {
        if role != cheat {
            return Box::pin(honest(s, role, choices(2)));
        }
        let pairs = pairs.clone();
        Box::pin(async move {
            let (out, _open) = s.channel(s.holder(role.other())?)?.split();
            match role {
                Role::Sender => out.last(&Point(point)).await?,
                Role::Receiver => out.last(&Pairs(pairs)).await?,
            }
            std::future::pending().await
        })
    });
    let honest = run
        .outcomes
        .into_iter()
        .find(|(party, _)| party.as_str() != if cheat == Role::Sender { "bureau" } else { "bank" });
    match honest {
        Some((_, Err(Error::Deviation { fault, .. }))) => fault,
        other => panic!("{other:?}"),
    }
}

#[test]
fn bad_elements_are_named() {
    let good = RISTRETTO_BASEPOINT_COMPRESSED.0;
    assert_eq!(against(Role::Sender, [0; 32], Vec::new()), Fault::Identity { index: 0 });
    assert_eq!(against(Role::Sender, [0xff; 32], Vec::new()), Fault::Encoding { index: 0 });
    let pairs = |bad| vec![[good, good], [good, bad]];
    assert_eq!(against(Role::Receiver, good, pairs([0; 32])), Fault::Identity { index: 3 });
    assert_eq!(against(Role::Receiver, good, pairs([0xff; 32])), Fault::Encoding { index: 3 });
    assert!(matches!(against(Role::Receiver, good, vec![[good, good]]), Fault::Malformed(_)));
}

#[test]
fn elements_sent_twice_give_other_keys() {
    // What the batch needs of its hashes: the same pair at two indices, and at two steps, gives unrelated keys.
    let twice = vec![[RISTRETTO_BASEPOINT_COMPRESSED.0; 2]; 2];
    let run = World::new("ot", 1).run(&pair(), |s, role| -> BoxFuture<'_, Result<Vec<[u128; 2]>>> {
        let twice = twice.clone();
        Box::pin(async move {
            let mut all = Vec::new();
            for step in ["one", "two"] {
                let s = s.step(step);
                if role == Role::Sender {
                    all.extend(send(&s, s.holder(Role::Receiver)?, 2).await?.iter());
                } else {
                    let mut channel = s.channel(s.holder(Role::Sender)?)?;
                    channel.swap::<_, Point>(&Pairs(twice.clone()), ()).await?;
                    channel.finish().await?;
                }
            }
            Ok(all)
        })
    });
    let keys = run.values().unwrap().remove(1);
    let all: std::collections::BTreeSet<u128> = keys.iter().flatten().copied().collect();
    assert_eq!(all.len(), 8);
}
