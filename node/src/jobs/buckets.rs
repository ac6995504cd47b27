//! A stage in buckets, one protocol run after another: what is done at all parties is not run again, and what each run finds
//! is on the disk at all of them before the next begins.
//!
//! ```text
//! session of the attempt
//!   step "standing"   swap  my snapshot, the basis I could go on with, the buckets done on it
//! session of each bucket that is not done everywhere, under a task number of its own
//!   the protocol
//!   step "stored"     swap  its outcome is on my disk
//! ```
//!
//! So whoever is killed, and whenever, at most the one bucket that ran is run again. See [`super::checkpoint`].

use banyan_proto::audit::Act;
use banyan_proto::canonical::Digest;
use banyan_proto::job::Stage;
use banyan_protocols::catalogue::{Form, Input, Output};
use banyan_protocols::channel::Channel;
use banyan_protocols::message::{Malformed, Message, Reader, Writer};
use banyan_protocols::party::PartyId;
use banyan_protocols::session::Session;

use super::Desk;
use super::attempt::open_session;
use super::basis::{Basis, Learned};
use super::checkpoint::{basis, not_resumed};
use super::failure::Failure;
use super::live::Live;
use crate::data::{Bucket, Buckets, blocking};

/// What the attempt may do where it cannot go on with an earlier one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Anew {
    /// Its run is spent already.
    Spent,
    /// It spends a run.
    Spend,
    /// It ends: nobody asked for a new run.
    Never,
}

/// Runs the buckets of the plan's stage that are not done. Gives the session in which the release follows, and all rows
/// found.
pub(crate) async fn run(
    desk: &Desk,
    rests: &mut Basis,
    mut keys: Buckets,
    anew: Anew,
    live: &Live,
) -> Result<(Session, Learned), Failure> {
    let bug = |why: &str| Failure::new("bug", why);
    let id = rests.id;
    let stage = &rests.plan.stages.first().cloned().ok_or_else(|| bug("the plan has no stage"))?;
    let task = stage.task(&desk.me).ok_or_else(|| bug("the plan has no task for this node"))?;
    let parameters = stage.parameters().map_err(|error| bug(&error.to_string()))?;
    let protocol = desk.protocol(stage)?;
    let whole = open_session(desk, rests, stage, rests.plan.sessions() - 1)?;
    live.keep(&whole);
    let total = desk.work(stage)?;
    live.begin(total);

    let (basis, todo) = agree(desk, rests, stage, &whole, anew).await?;
    let mut left = todo.len() as u64;
    let passed = |left: u64| total - total / u64::from(stage.buckets) * left;
    live.passed(passed(left));
    for number in todo {
        // open before the keys are read, so that a faster party's streams need not wait as strangers
        let session = open_session(desk, rests, stage, number)?;
        let rows = rests.file()?.len();
        let bucket;
        (keys, bucket) = blocking("reading", move || keys.take(number, rows).map(|bucket| (keys, bucket))).await?;
        let Bucket { items, rows } = bucket;
        desk.store.begin_bucket(&id.job, &basis)?;
        desk.record(Act::Run, id.job, format!("attempt {} bucket {number} of {}", id.attempt, stage.buckets))?;
        live.measure(&session);
        let output = protocol.run(&session, task.role(), parameters, Input::Items(items)).await?;
        rests.metrics.bytes_out += session.meter().bytes_out();
        rests.metrics.bytes_in += session.meter().bytes_in();
        let places: Vec<u64> = match &output {
            Output::Rows(found) => found.as_slice().iter().filter_map(|at| rows.get(*at as usize).copied()).collect(),
            Output::Nothing => Vec::new(),
            _ => return Err(bug("no list of rows, in buckets")),
        };
        desk.keep_outcome(&id.job, &basis, number, &places)?;
        stored(&session).await?;
        keys.erase(number);
        left -= 1;
        live.passed(passed(left));
    }
    let places = desk.outcomes(&id.job, &basis, stage.buckets)?;
    let learns = task.receives || parameters.form == Form::RowsToBoth;
    let pinned = rests.file()?;
    let output = if learns { Output::Rows(pinned.positions_of(&places)) } else { Output::Nothing };
    Ok((whole, Learned::Nothing.then(output, pinned, None)?))
}

/// Finds out with the others what the attempt rests on, and which buckets are to be run.
async fn agree(
    desk: &Desk,
    rests: &Basis,
    stage: &Stage,
    session: &Session,
    anew: Anew,
) -> Result<(Digest, Vec<u32>), Failure> {
    let id = rests.id;
    let kept = match anew {
        Anew::Spent => None,
        Anew::Spend | Anew::Never => desk.checkpoint(&id.job, stage.buckets)?,
    };
    let mine = Standing {
        snapshot: rests.snapshot(),
        basis: kept.as_ref().map(|kept| kept.basis).unwrap_or_default(),
        done: marks(kept.as_ref().map_or(&[], |kept| &kept.done), stage.buckets),
    };
    let mut all = vec![(desk.me.clone(), mine)];
    for (peer, mut channel) in channels(&session.step("standing"))? {
        let theirs: Standing = channel.swap(&all[0].1, stage.buckets).await?;
        channel.finish().await?;
        all.push((peer, theirs));
    }
    let order: Vec<&PartyId> = stage.tasks.iter().map(|task| &task.party).collect();
    all.sort_by_key(|(party, _)| order.iter().position(|other| *other == party));
    let snapshots: Vec<(PartyId, Digest)> = all.iter().map(|(party, said)| (party.clone(), said.snapshot)).collect();

    if let Some(kept) = kept {
        let before = basis(&rests.plan, kept.attempt, &snapshots);
        if all.iter().all(|(_, said)| said.basis == before) {
            let done = |bucket: &u32| all.iter().all(|(_, said)| said.done[*bucket as usize]);
            let todo: Vec<u32> = (0..stage.buckets).filter(|bucket| !done(bucket)).collect();
            let behind = stage.buckets as usize - todo.len();
            let of = stage.buckets;
            let what =
                format!("attempt {} goes on with attempt {}: {behind} of {of} buckets", id.attempt, kept.attempt);
            desk.record(Act::Run, id.job, what)?;
            return Ok((before, todo));
        }
    }
    match anew {
        Anew::Spent => {}
        Anew::Spend => desk.spend(id, &rests.spec.scenario)?,
        Anew::Never => return Err(not_resumed()),
    }
    let now = basis(&rests.plan, id.attempt, &snapshots);
    desk.store.begin_checkpoint(&id.job, &now, id.attempt)?;
    let what = format!("attempt {} {} {} in {} buckets", id.attempt, stage.protocol, stage.form, stage.buckets);
    desk.record(Act::Run, id.job, what)?;
    Ok((now, (0..stage.buckets).collect()))
}

/// Waits until a bucket's outcome is on everyone's disk.
async fn stored(session: &Session) -> Result<(), Failure> {
    for (_, mut channel) in channels(&session.step("stored"))? {
        let Stored = channel.swap(&Stored, ()).await?;
        channel.finish().await?;
    }
    Ok(())
}

fn channels(session: &Session) -> Result<Vec<(PartyId, Channel)>, Failure> {
    let peers = session.roster().iter().map(|(party, _)| party).filter(|party| *party != session.me());
    let channels = peers.map(|peer| Ok((peer.clone(), session.channel(peer)?)));
    channels.collect()
}

fn marks(done: &[u32], buckets: u32) -> Vec<bool> {
    let mut marks = vec![false; buckets as usize];
    for bucket in done {
        if let Some(mark) = marks.get_mut(*bucket as usize) {
            *mark = true;
        }
    }
    marks
}

/// Where a party stands before the first bucket.
struct Standing {
    snapshot: Digest,
    /// What it could go on with; zero where there is nothing.
    basis: Digest,
    done: Vec<bool>,
}

/// The outcome of a bucket is on the sender's disk.
struct Stored;

impl Message for Standing {
    const KIND: &'static str = "buckets/standing";
    type Shape = u32;

    fn write(&self, w: &mut Writer) {
        w.bytes(&self.snapshot.0);
        w.bytes(&self.basis.0);
        self.done.iter().for_each(|done| w.bytes(&[u8::from(*done)]));
    }

    fn read(r: &mut Reader<'_>, buckets: u32) -> Result<Self, Malformed> {
        let mut digest = || r.bytes(32)?.try_into().map(Digest).map_err(|_| Malformed::Range { field: "digest" });
        let (snapshot, basis) = (digest()?, digest()?);
        let done = r.bytes(buckets as usize)?;
        match done.iter().all(|mark| *mark < 2) {
            true => Ok(Self { snapshot, basis, done: done.iter().map(|mark| *mark == 1).collect() }),
            false => Err(Malformed::Range { field: "done" }),
        }
    }
}

impl Message for Stored {
    const KIND: &'static str = "buckets/stored";
    type Shape = ();

    fn write(&self, _: &mut Writer) {}

    fn read(_: &mut Reader<'_>, (): ()) -> Result<Self, Malformed> {
        Ok(Self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_standing_has_a_mark_for_every_bucket_and_nothing_else() {
        let bytes = [&[1; 32][..], &[2; 32], &[1, 0, 1]].concat();
        let said = Standing::read(&mut Reader::new(&bytes), 3).unwrap();
        assert_eq!((said.snapshot, said.basis), (Digest([1; 32]), Digest([2; 32])));
        assert_eq!(said.done, marks(&[0, 2, 9], 3), "a bucket that is not in the plan is none");
        assert!(Standing::read(&mut Reader::new(&bytes), 4).is_err(), "too few");
        let odd = [&bytes[..66], &[2]].concat();
        assert!(Standing::read(&mut Reader::new(&odd), 3).is_err(), "neither done nor not");
    }
}
