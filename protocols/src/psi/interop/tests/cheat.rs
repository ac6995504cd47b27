//! Scripted peers that break the protocol.

use futures::future::BoxFuture;

use super::super::{Batch, DUAL_ENC, ENC, TAIL};
use super::*;
use crate::error::{Error, Fault, Result};
use crate::message::Malformed;
use crate::session::Session;

/// The band of both sides.
const BAND: u64 = 8;

/// What a scripted party sends at each step.
type Script = Vec<(&'static str, Vec<Batch>)>;

/// Says what the script has, reads nothing, and stays until the other has made up its mind.
async fn scripted(s: Session, role: Role, script: Script) -> Result<Output> {
    let victim = s.holder(role.other())?.clone();
    let mut open = Vec::new();
    for (step, says) in script {
        let (mut out, unread) = s.step(step).channel(&victim)?.split();
        open.push(unread);
        for batch in says {
            out.send(&batch).await?;
        }
        out.finish().await?;
    }
    std::future::pending().await
}

/// How the bank, which receives, ends against `script`: at which step, by which fault.
fn against(protocol: Interop, script: Script) -> (String, Fault) {
    let p = parameters(Form::RowsToBoth, BAND, BAND);
    let run = World::new("interop", 1).capacity(64).run(&pair(), |s, role| -> BoxFuture<'_, _> {
        match role {
            Role::Sender => Box::pin(scripted(s, role, script.clone())),
            Role::Receiver => {
                Box::pin(async move { small(protocol, 4).run(&s, role, p, Input::Items(keys(0, 5))).await })
            }
        }
    });
    match run.outcome(&bank()) {
        Some(Err(Error::Deviation { party, step, fault })) => {
            assert_eq!(*party, bureau());
            (step.as_str().rsplit('/').next().unwrap().to_owned(), fault.clone())
        }
        other => panic!("{other:?}"),
    }
}

/// Batches of these lengths with entries of `width` bytes, and the last one.
fn batches(entries: &[Vec<u8>], lengths: &[usize]) -> Vec<Batch> {
    let mut rest = entries.iter().cycle();
    let batch = |(index, length): (usize, &usize)| Batch {
        index: index as u32,
        last: false,
        count: *length,
        entries: rest.by_ref().take(*length).flatten().copied().collect(),
    };
    let mut all: Vec<Batch> = lengths.iter().enumerate().map(batch).collect();
    all.push(Batch { index: lengths.len() as u32, last: true, count: 0, entries: vec![] });
    all
}

/// Eight good points.
fn good(protocol: Interop) -> Vec<Vec<u8>> {
    (0..BAND as u8).map(|item| protocol.suite.hash(&[&[item]])).collect()
}

fn answers() -> Vec<Vec<u8>> {
    (0..BAND as u8).map(|byte| vec![byte; TAIL]).collect()
}

fn enc(batches: Vec<Batch>) -> Script {
    vec![(DUAL_ENC, self::batches(&answers(), &[4, 4])), (ENC, batches)]
}

fn dual(protocol: Interop, batches: Vec<Batch>) -> Script {
    vec![(ENC, self::batches(&good(protocol), &[4, 4])), (DUAL_ENC, batches)]
}

#[test]
fn bad_points_are_named_before_anything_made_of_them_leaves() {
    let with = |protocol: Interop, index: usize, bad: Vec<u8>| {
        let mut all = good(protocol);
        all[index] = bad;
        // good points that the hash puts above p are none
        enc(batches(&all, &[4, 4]))
    };
    let hex = |text: &str| data_encoding::HEXLOWER.decode(text.as_bytes()).unwrap();
    let x = Interop::X25519;
    // the seven u of small order or out of range of RFC 7748's security considerations and libsodium's list
    for (bad, is_canonical) in [
        ("0000000000000000000000000000000000000000000000000000000000000000", true),
        ("0100000000000000000000000000000000000000000000000000000000000000", true),
        ("e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800", true),
        ("5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157", true),
        ("ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f", true),
        ("edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f", false),
        ("eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f", false),
        ("0900000000000000000000000000000000000000000000000000000000000080", false),
    ] {
        let index = 6;
        let fault = if is_canonical { Fault::Identity { index } } else { Fault::Encoding { index } };
        assert_eq!(against(x, with_canonical(with(x, 6, hex(bad)))), (ENC.into(), fault), "{bad}");
    }
    for protocol in [Interop::SM2, Interop::SM3] {
        let off_curve = (3u8..).map(|x| [&[2; 1][..], &[0; 31], &[x]].concat()).find(|p| !on_sm2(p)).unwrap();
        for bad in
            [vec![0; 33], vec![2; 33].into_iter().map(|_| 0xff).collect(), [&[4][..], &[1; 32]].concat(), off_curve]
        {
            let fault = Fault::Encoding { index: 1 };
            assert_eq!(against(protocol, with(protocol, 1, bad)), (ENC.into(), fault), "{protocol:?}");
        }
    }
}

/// Clears bit 255 of every point but the seventh: hashes have it, and what a ladder puts out has not.
fn with_canonical(mut script: Script) -> Script {
    let (_, batches) = script.last_mut().unwrap();
    for (place, point) in batches.iter_mut().flat_map(|batch| batch.entries.chunks_mut(32)).enumerate() {
        if place != 6 {
            point[31] &= 0x7f;
        }
    }
    script
}

fn on_sm2(point: &[u8]) -> bool {
    let rng = &mut <chacha20::ChaCha20Rng as rand_core::SeedableRng>::from_seed([1; 32]);
    Interop::SM2.suite.secret(rng).mask(point).is_ok()
}

#[test]
fn repeats_counts_and_numbers_that_are_wrong_are_named() {
    let range = |field| Fault::Malformed(Malformed::Range { field });
    let p = Interop::SM2;
    let points = good(p);
    let mut twice = points.clone();
    twice[7] = twice[0].clone();
    let mut again = batches(&points, &[4, 4]);
    again[1].index = 0;
    let mut endless = batches(&points, &[4, 4]);
    endless[1] = Batch { index: 1, last: false, count: 0, entries: vec![] };
    let mut cut = batches(&points, &[4, 4]);
    cut.pop();
    let mut more = batches(&points, &[4, 3]);
    more.push(Batch { index: 3, last: true, count: 0, entries: vec![] });
    let mut short = batches(&points, &[4]);
    short[0].entries.pop();
    let nine: Vec<Vec<u8>> = points.iter().cloned().chain([p.suite.hash(&[b"nine"])]).collect();
    for (case, (batches, fault)) in [
        (batches(&twice, &[4, 4]), Fault::Repeat { index: 7 }),
        (batches(&nine, &[4, 5]), range("count")),
        (again, range("batch index")),
        (endless, range("count")),
        (cut, Fault::Cut),
        (more, Fault::Trailing),
        (short, Fault::Malformed(Malformed::Short { missing: 1 })),
    ]
    .into_iter()
    .enumerate()
    {
        assert_eq!(against(p, enc(batches)), (ENC.into(), fault), "case {case}");
    }
    for (case, (batches, fault)) in [
        (batches(&answers(), &[4, 3]), Fault::Malformed(Malformed::Short { missing: TAIL })),
        (batches(&answers(), &[4, 5]), range("count")),
        (batches(&[vec![7; TAIL]], &[4, 4]), Fault::Repeat { index: 1 }),
        (batches(&points, &[4, 4]), Fault::Malformed(Malformed::Long { extra: 4 * (33 - TAIL) })),
    ]
    .into_iter()
    .enumerate()
    {
        assert_eq!(against(p, dual(p, batches)), (DUAL_ENC.into(), fault), "answers, case {case}");
    }
}

/// Every frame of every step and direction, flipped, cut, dropped, repeated: the network is caught as ever.
#[test]
fn an_edited_frame_is_named() {
    use crate::sim::Edit;
    let (x, y, p) = (keys(0, 9), keys(4, 11), parameters(Form::RowsToBoth, 10, 12));
    let sides = [small(Interop::X25519, 4); 2];
    let world = World::new("interop", 7);
    let clean = run(&world.clone().record(), sides, p, &x, &y).transcript.by_stream();
    for frame in clean.frames() {
        for edit in [Edit::Flip { bit: 40 }, Edit::Truncate { bytes: 1 }, Edit::Drop, Edit::Repeat] {
            let outcomes = run(&world.clone().tamper(frame.tampered(edit.clone())), sides, p, &x, &y).outcomes;
            let reached = outcomes.iter().find(|(party, _)| *party == frame.to).map(|(_, outcome)| outcome);
            let Some(Err(Error::Deviation { party, step, .. })) = reached else { panic!("{edit:?}: {outcomes:?}") };
            assert_eq!((party, step), (&frame.from, &frame.step), "{edit:?}");
        }
    }
}
