//! Schedules, changed frames, and parties that cheat.

use super::testing::PROVIDERS;
use super::*;
use crate::message::Malformed;
use crate::share::Matrix;
use crate::share::arithmetic::{mul, permute, truncate};
use crate::share::correlation::{Permuted, PermutedShape, Triples};
use crate::share::measure::seats;
use crate::sim::{Edit, Run, World};

/// Products, cut and in the second party's order, opened.
async fn program(e: &mut Engine) -> Result<Vec<u64>> {
    let ours = |seat: Seat, values: Vec<u64>| (e.seat() == seat).then_some(values);
    let x = e.input(Seat::First, 40, ours(Seat::First, (0..40).map(|n| n << 8).collect()));
    let y = e.input(Seat::Second, 40, ours(Seat::Second, vec![3; 40]));
    let product = mul(e, &x, &y).await?;
    let cut = truncate(e, &product, 4).await?;
    let order = (e.seat() == Seat::Second).then(|| Arc::new((0..40).rev().collect()));
    let turned = permute(e, Seat::Second, order, &Matrix::new(40, 1, cut)).await?;
    e.open(&turned.entries).await
}

fn run(world: &World, provider: Provider, program: impl AsyncFn(&mut Engine) -> Result<Vec<u64>>) -> Run<Vec<u64>> {
    let (seats, roster) = seats(provider);
    world.run(&roster, |s, _| {
        let (seats, program) = (&seats, &program);
        async move {
            let mut engine = Engine::set_up(&s, seats).await?;
            let value = program(&mut engine).await?;
            engine.finish().await?;
            Ok(value)
        }
    })
}

#[test]
fn schedules_change_nothing() {
    for provider in PROVIDERS {
        let world = World::new("share", 3);
        let first = run(&world, provider, program).values().unwrap();
        assert!(first[0].iter().enumerate().all(|(n, cut)| cut.abs_diff((39 - n as u64) * 48) <= 1));
        for schedule in 0..10 {
            let jitter = std::time::Duration::from_millis(schedule % 2);
            let world = world.clone().schedule(schedule).capacity(1 + schedule as usize % 3).jitter(jitter);
            assert_eq!(run(&world, provider, program).values().unwrap(), first, "schedule {schedule}");
        }
    }
}

#[test]
fn a_changed_frame_is_named_by_who_reads_it() {
    for provider in PROVIDERS {
        let world = World::new("share", 7);
        let clean = run(&world.clone().record(), provider, program).transcript.by_stream();
        let said = clean.frames().iter().filter(|frame| frame.step.as_str() == "share/shares").count();
        assert_eq!(said, 11, "the common seed, four exchanges, and both ends of the stream");
        for (n, frame) in clean.frames().iter().enumerate() {
            // All frames of the engine's own streams, and the first of each of the transfers'.
            if frame.frame > 0 && frame.step.as_str().contains("transfers") {
                continue;
            }
            let tampered = world.clone().tamper(frame.tampered(Edit::Flip { bit: 7 * n + 1 }));
            let outcomes = run(&tampered, provider, program).outcomes;
            let reached = outcomes.iter().find(|(party, _)| *party == frame.to).map(|(_, outcome)| outcome);
            let Some(Err(Error::Deviation { party, step, fault: Fault::Forged { .. } })) = reached else {
                panic!("{} {}: {outcomes:?}", frame.step, frame.frame)
            };
            assert_eq!((party, step), (&frame.from, &frame.step));
        }
    }
}

/// How the first party ends against a second one that cheats.
fn against(
    cheat: impl AsyncFn(&mut Engine) -> Result<Vec<u64>>,
    honest: impl AsyncFn(&mut Engine) -> Result<Vec<u64>>,
) -> Fault {
    let world = World::new("share", 1);
    let run = run(
        &world,
        Provider::Helper,
        async |e| {
            if e.seat() == Seat::Second { cheat(e).await } else { honest(e).await }
        },
    );
    match &run.outcomes[0].1 {
        Err(Error::Deviation { party, fault, .. }) => {
            assert_eq!(party.as_str(), "second");
            fault.clone()
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn parties_that_cheat_are_named() {
    let zeros = |e: &Engine| e.input(Seat::First, 8, e.computes().then(|| vec![0u64; 8]));
    let honest = async |e: &mut Engine| {
        let x = zeros(e);
        mul(e, &x, &x).await.map(|_| Vec::new())
    };
    let short = async |e: &mut Engine| {
        e.deal::<Triples<u64>>(8).await?;
        e.swap([16, 15], Arc::new(vec![0u64; 15])).await
    };
    assert_eq!(against(short, honest), Fault::Malformed(Malformed::Short { missing: 8 }));

    let more = async |e: &mut Engine| {
        let x = zeros(e);
        mul(e, &x, &x).await?;
        e.tell(Seat::Second, 1, Arc::new(vec![0u64])).await
    };
    assert_eq!(against(more, honest), Fault::Trailing);

    let order = async |e: &mut Engine| {
        let table = Matrix::new(8, 1, zeros(e));
        permute(e, Seat::Second, None, &table).await.map(|_| Vec::new())
    };
    let twice = async |e: &mut Engine| {
        e.deal::<Permuted<u64>>(PermutedShape { owner: Seat::Second, rows: 8, columns: 1 }).await?;
        e.swap([8, 4], Arc::new(vec![0u64; 4])).await
    };
    assert_eq!(against(twice, order), Fault::Check { check: "permutation" });
}
