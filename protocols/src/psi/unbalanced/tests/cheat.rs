//! Scripted peers that break the protocol inside honestly sealed frames.

use std::sync::Arc;

use chacha20::ChaCha20Rng;
use futures::future::BoxFuture;
use rand_core::SeedableRng;

use super::super::TagSet;
use super::super::msg::{Have, Offer, Points, Tags};
use super::super::oprf::{Blind, Input, Tag};
use super::*;
use crate::channel::Outgoing;
use crate::error::{Error, Fault};
use crate::items::Rows;
use crate::message::Malformed;
use crate::suite::group::Element;
use crate::transport::Step;

/// The band of both sides, in messages of four.
const BAND: u64 = 8;

type Script = Vec<(&'static str, Vec<Say>)>;

#[derive(Clone)]
enum Say {
    Points(Vec<Element>),
    Tags(Vec<Tag>),
    Have,
    /// Of this digest; and how many tags change, or that all follow.
    Offer([u8; 32], Option<u32>),
}

impl Say {
    async fn to(&self, out: &mut Outgoing) -> Result<()> {
        match self {
            Self::Points(points) => out.send(&Points(points.clone())).await,
            Self::Tags(tags) => out.send(&Tags(tags.clone())).await,
            Self::Have => out.send(&Have([0; 32])).await,
            Self::Offer(digest, changed) => {
                out.send(&Offer { epoch: EPOCH, generation: 0, digest: *digest, changed: *changed }).await
            }
        }
    }
}

/// Says what the script has, reads nothing, and stays until the other has made up its mind.
async fn scripted(s: Session, role: Role, script: Script) -> Result<Output> {
    let victim = s.holder(role.other())?.clone();
    let mut open = Vec::new();
    for (step, says) in script {
        let (mut out, unread) = s.step(step).channel(&victim)?.split();
        open.push(unread);
        for say in says {
            say.to(&mut out).await?;
        }
        out.finish().await?;
    }
    std::future::pending().await
}

/// How the honest party ends that plays against `script` in `role`.
fn against(role: Role, script: Script) -> (Step, Fault) {
    let run = World::new("unbalanced", 1).capacity(64).run(&pair(), |s, mine| -> BoxFuture<'_, _> {
        if mine == role {
            Box::pin(scripted(s, role, script.clone()))
        } else {
            Box::pin(honest(small(4), s, mine, parameters(BAND, BAND), keys(0, 5)))
        }
    });
    let (victim, cheater) = match role {
        Role::Sender => (bank(), bureau()),
        Role::Receiver => (bureau(), bank()),
    };
    match run.outcome(&victim) {
        Some(Err(Error::Deviation { party, step, fault })) => {
            assert_eq!(*party, cheater);
            (step.clone(), fault.clone())
        }
        other => panic!("against {role}: {other:?}"),
    }
}

fn good() -> Vec<Element> {
    let inputs: Vec<_> = (0..BAND as u8).map(|byte| Input::maker()(&[&[byte]])).collect();
    Blind::random(&mut ChaCha20Rng::from_seed([9; 32])).blind(&inputs)
}

/// Elements in messages of these lengths.
fn points(points: &[Element], lengths: &[usize]) -> Vec<Say> {
    let mut rest = points.iter().cycle();
    lengths.iter().map(|length| Say::Points(rest.by_ref().take(*length).copied().collect())).collect()
}

fn tags() -> Vec<Tag> {
    (0..BAND as u8).map(|byte| [byte; 12]).collect()
}

/// All tags, as offered.
fn cut(tags: &[Tag]) -> Vec<Say> {
    let digest = TagSet::new(EPOCH, tags.to_vec()).map(|t| t.digest()).unwrap_or_default();
    let four = |four: &[Tag]| Say::Tags(four.to_vec());
    [Say::Offer(digest, None)].into_iter().chain(tags.chunks(4).map(four)).collect()
}

fn bad_points() -> Vec<(Vec<Say>, Fault)> {
    let with = |index: usize, bad| {
        let mut all = good();
        all[index] = bad;
        points(&all, &[4, 4])
    };
    let malformed = Fault::Malformed;
    vec![
        (with(0, [0; 32]), Fault::Identity { index: 0 }),
        (with(6, [0; 32]), Fault::Identity { index: 6 }),
        (with(5, [0xff; 32]), Fault::Encoding { index: 5 }),
        (points(&good(), &[]), Fault::Cut),
        (points(&good(), &[4]), Fault::Cut),
        (points(&good(), &[4, 3]), malformed(Malformed::Short { missing: 32 })),
        (points(&good(), &[4, 5]), malformed(Malformed::Long { extra: 32 })),
        (points(&good(), &[4, 4, 1]), Fault::Trailing),
        (vec![Say::Tags(tags())], malformed(Malformed::Kind { expected: "unbalanced/points" })),
    ]
}

/// Bad elements, and one query more than was approved: [`Fault::Trailing`].
#[test]
fn a_receiver_with_bad_queries_is_named() {
    let step = Step::root("unbalanced").child("queries");
    for (case, (a, fault)) in bad_points().into_iter().enumerate() {
        let script = vec![("tags", vec![Say::Have]), ("queries", a)];
        assert_eq!(against(Role::Receiver, script), (step.clone(), fault), "case {case}");
    }
}

#[test]
fn a_sender_with_bad_answers_is_named() {
    let step = Step::root("unbalanced").child("queries");
    for (case, (b, fault)) in bad_points().into_iter().enumerate() {
        let script = vec![("tags", cut(&tags())), ("queries", b)];
        assert_eq!(against(Role::Sender, script), (step.clone(), fault), "case {case}");
    }
}

#[test]
fn a_sender_with_bad_tags_is_named() {
    let step = Step::root("unbalanced").child("tags");
    let swapped = |one: usize, other: usize| {
        let mut tags = tags();
        tags.swap(one, other);
        cut(&tags)
    };
    let mut twice = tags();
    twice[4] = twice[3];
    let nine = [tags(), vec![[9; 12]]].concat();
    let malformed = Fault::Malformed;
    for (case, (t, fault)) in [
        (cut(&twice), Fault::Order { index: 4 }),
        (swapped(0, 1), Fault::Order { index: 1 }),
        (swapped(6, 7), Fault::Order { index: 7 }),
        (cut(&tags()[..4]), Fault::Cut),
        (cut(&tags()[..7]), malformed(Malformed::Short { missing: 12 })),
        (cut(&nine), Fault::Trailing),
        (points(&good(), &[4, 4]), malformed(Malformed::Kind { expected: "unbalanced/offer" })),
        (vec![], Fault::Cut),
        ([vec![Say::Offer([0; 32], None)], cut(&tags())[1..].to_vec()].concat(), Fault::Check { check: "the tags" }),
        (vec![Say::Offer([0; 32], Some(0))], Fault::Check { check: "the tags" }),
        (vec![Say::Offer([0; 32], Some(5))], malformed(Malformed::Range { field: "changed" })),
    ]
    .into_iter()
    .enumerate()
    {
        let script = vec![("queries", points(&good(), &[4, 4])), ("tags", t)];
        assert_eq!(against(Role::Sender, script), (step.clone(), fault), "case {case}");
    }
}

#[test]
fn a_receiver_that_says_more_than_what_it_has_is_named() {
    let step = Step::root("unbalanced").child("tags");
    for (says, fault) in [
        (vec![], Fault::Cut),
        (vec![Say::Have, Say::Have], Fault::Trailing),
        (vec![Say::Tags(tags())], Fault::Malformed(Malformed::Kind { expected: "unbalanced/have" })),
    ] {
        let script = vec![("queries", points(&good(), &[4, 4])), ("tags", says)];
        assert_eq!(against(Role::Receiver, script), (step.clone(), fault));
    }
}

/// Changes that do not fit what the receiver kept, or do not lead to what was offered.
#[test]
fn a_sender_with_bad_changes_is_named() {
    let kept = || Arc::new(TagSet::new(EPOCH, tags()).unwrap());
    let wrong = |changed: u32, says: Vec<Tag>| {
        let script = vec![Say::Offer([3; 32], Some(changed)), Say::Tags(says)];
        let world = World::new("unbalanced", 1).capacity(64);
        let run = world.run(&pair(), |s, role| -> BoxFuture<'_, Result<Rows>> {
            match role {
                Role::Sender => {
                    let script = vec![("queries", points(&good(), &[4, 4])), ("tags", script.clone())];
                    Box::pin(async move { scripted(s, role, script).await.map(|_| Rows::default()) })
                }
                Role::Receiver => Box::pin(async move {
                    let p = parameters(BAND, BAND);
                    small(4).query_kept(&s, &p, keys(0, 5), Some(kept())).await.map(|(rows, _)| rows)
                }),
            }
        });
        match run.outcome(&bank()) {
            Some(Err(Error::Deviation { party, fault, .. })) if *party == bureau() => fault.clone(),
            other => panic!("{other:?}"),
        }
    };
    let odd = Fault::Check { check: "the tags" };
    assert_eq!(wrong(1, vec![[100; 12], [3; 12]]), odd, "they fit, and lead elsewhere");
    assert_eq!(wrong(1, vec![[100; 12], [99; 12]]), odd, "it goes and was not there");
    assert_eq!(wrong(1, vec![[2; 12], [3; 12]]), odd, "it comes and was there");
    assert_eq!(wrong(2, vec![[100; 12], [100; 12], [3; 12], [4; 12]]), Fault::Order { index: 1 });
    assert_eq!(wrong(2, vec![[100; 12], [101; 12], [4; 12], [3; 12]]), Fault::Order { index: 3 });
}
