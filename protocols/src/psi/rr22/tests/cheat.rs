//! Peers that do the correlation honestly, and then something else: each ends as a named deviation at the step where it
//! shows. Peers that cheat within the correlation are those of `crate::ot::vole`'s tests.

use futures::future::BoxFuture;

use super::super::local;
use super::super::msg::{Coded, Coin, Commitment, Matches, Seed, Slots};
use super::*;
use crate::channel::Outgoing;
use crate::error::{Error, Fault};
use crate::kernels::okvs::Shape;
use crate::message::Malformed;
use crate::ot::vole;
use crate::transport::Step;

/// The bands of both. The tags of nine take 9 + 8 bits, and 14 bytes each.
const BAND: u64 = 9;
const CODED: usize = 3 + 9 * 14;

/// What a peer says, where it could be something else than it should.
#[derive(Clone)]
enum Say {
    Coin(u128),
    Slots(Vec<u128>),
    Coded(Vec<u8>),
    Matches(Vec<u8>),
}

impl Say {
    async fn to(&self, out: &mut Outgoing) -> Result<()> {
        match self.clone() {
            Self::Coin(coin) => out.send(&Coin(coin)).await,
            Self::Slots(slots) => out.send(&Slots(slots)).await,
            Self::Coded(bytes) => out.send(&Coded(bytes)).await,
            Self::Matches(bytes) => out.send(&Matches(bytes)).await,
        }
    }
}

/// A sender that commits itself to coin 7, and says `tags` in step "tags".
async fn sender(s: Session, tags: Vec<Say>) -> Result<Output> {
    let slots = Shape::new(BAND as usize).len();
    vole::send::<u128>(&s.step("vole"), &bank(), slots).await?;
    let mut seed = s.step("seed").channel(&bank())?;
    seed.swap::<_, Seed>(&Commitment(local::commit(&s, 7)), ()).await?;
    seed.finish().await?;
    let (unused, mut table) = s.step("table").channel(&bank())?.split();
    unused.finish().await?;
    let Coin(_) = table.recv(()).await?;
    let Slots::<u128>(_) = table.recv(slots).await?;
    table.finish().await?;
    say(s.step("tags"), &bank(), tags).await
}

/// A receiver that says `table` in step "table", and `matches` in step "matches".
async fn receiver(s: Session, table: Vec<Say>, matches: Vec<Say>) -> Result<Output> {
    vole::receive::<u128>(&s.step("vole"), &bureau(), Shape::new(BAND as usize).len()).await?;
    let mut seed = s.step("seed").channel(&bureau())?;
    seed.swap::<_, Commitment>(&Seed(5), ()).await?;
    seed.finish().await?;
    say(s.step("table"), &bureau(), table).await?;
    let (unused, mut tags) = s.step("tags").channel(&bureau())?.split();
    unused.finish().await?;
    let Coin(_) = tags.recv(()).await?;
    let Coded(_) = tags.recv(CODED).await?;
    tags.finish().await?;
    say(s.step("matches"), &bureau(), matches).await
}

async fn say(s: Session, peer: &PartyId, words: Vec<Say>) -> Result<Output> {
    let (mut out, incoming) = s.channel(peer)?.split();
    for word in words {
        word.to(&mut out).await?;
    }
    out.finish().await?;
    incoming.finish().await?;
    Ok(Output::Nothing)
}

/// What the honest party in the other role says of a peer in `role`.
fn against(role: Role, words: [Vec<Say>; 2]) -> (Step, Fault) {
    let p = parameters(Form::RowsToBoth, BAND, BAND);
    let run = World::new("rr22", 1).run(&pair(), |s, mine| -> BoxFuture<'_, _> {
        let [first, second] = words.clone();
        match mine {
            _ if mine != role => Box::pin(honest(Rr22::NEW, s, mine, p, keys(0, 5))),
            Role::Sender => Box::pin(sender(s, first)),
            Role::Receiver => Box::pin(receiver(s, first, second)),
        }
    });
    let (honest, peer) = if role == Role::Sender { (bank(), bureau()) } else { (bureau(), bank()) };
    match run.outcome(&honest) {
        Some(Err(Error::Deviation { party, step, fault })) if *party == peer => (step.clone(), fault.clone()),
        other => panic!("{other:?}"),
    }
}

/// Nine different tags: one each of the first seven topmost values and two of the eighth, in ascending order.
fn coded() -> Vec<u8> {
    let upper = [0b0101_0101, 0b1101_0101, 0b0];
    upper.into_iter().chain((0..9).flat_map(|tag| [tag; 14])).collect()
}

#[test]
fn a_sender_that_breaks_its_promise_of_a_coin_or_sends_bad_tags_is_named() {
    let step = Step::root("rr22").child("tags");
    let changed = |at: usize, byte: u8| {
        let mut bytes = coded();
        bytes[at] ^= byte;
        Say::Coded(bytes)
    };
    let mut equal = coded();
    equal.copy_within(CODED - 28..CODED - 14, CODED - 14);
    let coin = Say::Coin(7);
    let upper = Fault::Malformed(Malformed::Range { field: "upper bits" });
    for (case, (words, fault)) in [
        (vec![Say::Coin(6), Say::Coded(coded())], Fault::Check { check: "the coin" }),
        (vec![], Fault::Cut),
        (vec![coin.clone()], Fault::Cut),
        (vec![Say::Coded(coded())], Fault::Malformed(Malformed::Kind { expected: "rr22/coin" })),
        (vec![coin.clone(), Say::Coded(coded()[1..].to_vec())], Fault::Malformed(Malformed::Short { missing: 1 })),
        (vec![coin.clone(), Say::Coded([coded(), vec![0]].concat())], Fault::Malformed(Malformed::Long { extra: 1 })),
        (vec![coin.clone(), Say::Coded(coded()), Say::Coded(coded())], Fault::Trailing),
        (vec![coin.clone(), changed(0, 0b1)], upper.clone()),
        (vec![coin.clone(), changed(2, 0b1)], upper.clone()),
        (vec![coin.clone(), changed(2, 0b10)], upper),
        (vec![coin.clone(), Say::Coded(equal)], Fault::Repeat { index: 8 }),
        (vec![coin, changed(CODED - 1, 0x8)], Fault::Malformed(Malformed::Range { field: "order of tags" })),
    ]
    .into_iter()
    .enumerate()
    {
        assert_eq!(against(Role::Sender, [words, vec![]]), (step.clone(), fault), "case {case}");
    }
}

/// No receiver makes a store larger than the plan's, which is what bounds how many items it can ask for.
#[test]
fn a_receiver_with_more_or_fewer_slots_than_the_plan_is_named() {
    let step = Step::root("rr22").child("table");
    let slots = Shape::new(BAND as usize).len();
    let table = |count: usize| Say::Slots(vec![3; count]);
    let coin = Say::Coin(7);
    for (case, (words, fault)) in [
        (vec![coin.clone()], Fault::Cut),
        (vec![table(slots)], Fault::Malformed(Malformed::Kind { expected: "rr22/coin" })),
        (vec![coin.clone(), table(slots - 1)], Fault::Malformed(Malformed::Short { missing: 16 })),
        (vec![coin.clone(), table(slots + 1)], Fault::Malformed(Malformed::Long { extra: 16 })),
        (vec![coin, table(slots), table(slots)], Fault::Trailing),
    ]
    .into_iter()
    .enumerate()
    {
        assert_eq!(against(Role::Receiver, [words, vec![]]), (step.clone(), fault), "case {case}");
    }
}

#[test]
fn a_receiver_with_bad_matches_is_named() {
    let step = Step::root("rr22").child("matches");
    let table = vec![Say::Coin(7), Say::Slots(vec![3; Shape::new(BAND as usize).len()])];
    for (case, (words, fault)) in [
        (vec![], Fault::Cut),
        (vec![Say::Matches(vec![0])], Fault::Malformed(Malformed::Short { missing: 1 })),
        (vec![Say::Matches(vec![0; 3])], Fault::Malformed(Malformed::Long { extra: 1 })),
        (vec![Say::Matches(vec![0, 2])], Fault::Malformed(Malformed::Range { field: "unused bits" })),
        (vec![Say::Matches(vec![0, 1]), Say::Matches(vec![])], Fault::Trailing),
    ]
    .into_iter()
    .enumerate()
    {
        assert_eq!(against(Role::Receiver, [table.clone(), words]), (step.clone(), fault), "case {case}");
    }
}

#[test]
fn bits_at_dummies_give_no_row() {
    let table = vec![Say::Coin(7), Say::Slots(vec![3; Shape::new(BAND as usize).len()])];
    let p = parameters(Form::RowsToBoth, BAND, BAND);
    let run = World::new("rr22", 1).run(&pair(), |s, role| -> BoxFuture<'_, _> {
        match role {
            Role::Receiver => Box::pin(receiver(s, table.clone(), vec![Say::Matches(vec![0xff, 1])])),
            Role::Sender => Box::pin(honest(Rr22::NEW, s, role, p, keys(0, 5))),
        }
    });
    let rows = crate::items::Rows::new((0..5).collect());
    assert_eq!(run.outcome(&bureau()), Some(&Ok(Output::Rows(rows))));
}

/// The masked tables and the tags of two attempts with the same sets have no slot and no tag in common, and a table
/// has no slot twice, though most of its pairs of slots belong to dummies.
#[test]
fn another_attempt_masks_the_same_keys_anew() {
    let p = parameters(Form::RowsToReceiver, 40, 40);
    let seen = |attempt| {
        let run = run(&World::new("rr22", 3).attempt(attempt).record(), Rr22::NEW, p, &keys(0, 40), &keys(0, 40));
        run.transcript.by_stream()
    };
    let (first, second) = (seen(0), seen(1));
    assert_eq!(first, seen(0), "the same attempt repeats, so another is what makes the difference");
    assert_ne!(first, second);
}
