//! Frames between nodes that cannot be dialled. The two ends of a step are paired by what they open it with, and only
//! where they are parties of a job under way; then each end reads what the other writes. Nothing is looked at: the frames
//! are sealed between the nodes, so the relay can stop them and do no more.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use banyan_proto::canonical::Digest;
use banyan_proto::convert::{BadOpening, Opening};
use banyan_proto::wire::StepFrame;
use banyan_protocols::party::PartyId;
use banyan_protocols::session::SessionId;
use futures::{Stream, stream};
use tokio::sync::{oneshot, watch};
use tokio::time::timeout;
use tonic::{Status, Streaming};

use super::desk::{Desk, broken};
use super::jobs::Job;
use super::limits::{HANDSHAKE_WAIT, RELAY_WAIT, RELAYS_PER_PARTY_MAX, RELAYS_WAITING_MAX};

/// What one end reads: the other end's frames.
pub(crate) type Frames = Pin<Box<dyn Stream<Item = Result<StepFrame, Status>> + Send>>;

/// What both ends of a step have in common: session, step, and the two parties in the order of their names.
type Meeting = ([u8; 32], String, PartyId, PartyId);

/// The table where ends wait for each other.
#[derive(Clone, Default)]
pub(crate) struct Relays(Arc<Mutex<Table>>);

#[derive(Default)]
struct Table {
    last: u64,
    waiting: BTreeMap<Meeting, Waiting>,
    /// Ends that each party has open or waiting.
    open: BTreeMap<PartyId, usize>,
    /// Dropped when the job is over: its steps then end.
    jobs: BTreeMap<Digest, watch::Sender<()>>,
}

/// An end that came first.
struct Waiting {
    id: u64,
    party: PartyId,
    frames: Streaming<StepFrame>,
    meet: oneshot::Sender<Streaming<StepFrame>>,
}

/// A place of one party in the table, given back when dropped.
struct Place {
    party: PartyId,
    relays: Relays,
}

/// The first end's place in the queue, given up where its caller goes away.
struct Queued {
    id: u64,
    meeting: Meeting,
    relays: Relays,
}

/// What came of an end.
enum Met {
    /// The other end was there.
    Now(Streaming<StepFrame>),
    /// The other end is to come.
    Later(oneshot::Receiver<Streaming<StepFrame>>, Queued),
}

/// Opens one end of a step for `caller`, waits for the other, and gives what that one writes.
pub(crate) async fn open(desk: Arc<Desk>, caller: PartyId, mut frames: Streaming<StepFrame>) -> Result<Frames, Status> {
    let first = timeout(HANDSHAKE_WAIT, frames.message()).await;
    let first = first.map_err(|_| Status::deadline_exceeded("no opening of a step"))??;
    let opening = first.and_then(|frame| frame.open).ok_or(BadOpening::Missing).and_then(Opening::try_from);
    let opening = opening.map_err(|error| match error {
        BadOpening::Version { .. } => Status::failed_precondition(error.to_string()),
        _ => Status::invalid_argument(error.to_string()),
    })?;
    if opening.from != caller || opening.to == caller {
        return Err(Status::permission_denied("a step is opened from its own party to another"));
    }
    let (met, place, over) = desk.relays.meet(&desk, &opening, frames)?;
    let frames = match met {
        Met::Now(frames) => frames,
        Met::Later(other, queued) => {
            let mut stop = over.clone();
            let frames = tokio::select! {
                met = timeout(RELAY_WAIT, other) => match met {
                    Ok(Ok(frames)) => frames,
                    Ok(Err(_)) => return Err(ended()),
                    Err(_) => return Err(Status::deadline_exceeded(format!("{} did not open this step", opening.to))),
                },
                _ = stop.changed() => return Err(ended()),
            };
            drop(queued);
            frames
        }
    };
    Ok(pump(desk, frames, over, place))
}

/// Passes frames on as the other end reads them: HTTP/2 holds the sender back, and at most one frame is held here. Each
/// direction ends by itself.
fn pump(desk: Arc<Desk>, frames: Streaming<StepFrame>, over: watch::Receiver<()>, place: Place) -> Frames {
    Box::pin(stream::unfold(Some((frames, over)), move |state| {
        let (desk, _held) = (desk.clone(), &place);
        async move {
            let (mut frames, mut over) = state?;
            let frame = tokio::select! {
                frame = frames.message() => frame,
                _ = over.changed() => Err(ended()),
            };
            match frame {
                Ok(Some(StepFrame { open: Some(_), .. })) => {
                    Some((Err(Status::invalid_argument("a stream opens one step")), None))
                }
                Ok(Some(frame)) => {
                    desk.relayed.fetch_add(frame.frame.len() as u64, Ordering::Relaxed);
                    Some((Ok(frame), Some((frames, over))))
                }
                Ok(None) => None,
                // the other end may have been told first
                Err(_) if over.has_changed().is_err() => Some((Err(ended()), None)),
                Err(status) => {
                    Some((Err(Status::aborted(format!("the other end of the step: {}", status.code()))), None))
                }
            }
        }
    }))
}

impl Relays {
    /// Steps that are open or waiting.
    pub(crate) fn open_ends(&self) -> usize {
        self.table().open.values().sum()
    }

    /// Ends the steps of a job.
    pub(crate) fn end(&self, job: &Digest) {
        self.table().jobs.remove(job);
    }

    /// Ends every step.
    pub(crate) fn end_all(&self) {
        self.table().jobs.clear();
    }

    fn meet(
        &self,
        desk: &Desk,
        opening: &Opening,
        frames: Streaming<StepFrame>,
    ) -> Result<(Met, Place, watch::Receiver<()>), Status> {
        // The lock is held while the job is looked up: a job that ends now ends this step too.
        let mut table = self.table();
        let job = job_of(desk, opening)?;
        let party = &opening.from;
        let (low, high) = if party < &opening.to { (party, &opening.to) } else { (&opening.to, party) };
        let meeting = (*opening.session.as_bytes(), opening.step.as_str().to_owned(), low.clone(), high.clone());
        if table.waiting.get(&meeting).is_some_and(|waiting| waiting.party == *party) {
            return Err(Status::already_exists("this step is open already: a step is opened once"));
        }
        if table.waiting.len() >= RELAYS_WAITING_MAX && !table.waiting.contains_key(&meeting) {
            return Err(Status::resource_exhausted("too many steps wait for their other end"));
        }
        let open = table.open.entry(party.clone()).or_insert(0);
        if *open >= RELAYS_PER_PARTY_MAX {
            return Err(Status::resource_exhausted(format!("{party} has {RELAYS_PER_PARTY_MAX} relayed steps open")));
        }
        *open += 1;
        let place = Place { party: party.clone(), relays: self.clone() };
        let over = table.jobs.entry(job).or_insert_with(|| watch::Sender::new(())).subscribe();
        let alone = match table.waiting.remove(&meeting) {
            Some(first) => match first.meet.send(frames) {
                Ok(()) => return Ok((Met::Now(first.frames), place, over)),
                Err(frames) => frames, // it has just gone
            },
            None => frames,
        };
        let (meet, other) = oneshot::channel();
        table.last += 1;
        let id = table.last;
        table.waiting.insert(meeting.clone(), Waiting { id, party: party.clone(), frames: alone, meet });
        Ok((Met::Later(other, Queued { id, meeting, relays: self.clone() }), place, over))
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut table = self.relays.table();
        if let Some(open) = table.open.get_mut(&self.party) {
            *open -= 1;
            if *open == 0 {
                table.open.remove(&self.party);
            }
        }
    }
}

impl Drop for Queued {
    fn drop(&mut self) {
        let mut table = self.relays.table();
        if table.waiting.get(&self.meeting).is_some_and(|waiting| waiting.id == self.id) {
            table.waiting.remove(&self.meeting);
        }
    }
}

/// The job under way whose session it is, where both ends are parties of it.
fn job_of(desk: &Desk, opening: &Opening) -> Result<Digest, Status> {
    let both = |job: &Job| job.party(&opening.from).is_some() && job.party(&opening.to).is_some();
    let has =
        |job: &Job| (0..job.sessions).any(|task| SessionId::derive(&job.id.0, task, job.attempt) == opening.session);
    let jobs = desk.store.open_jobs().map_err(broken)?;
    let job = jobs.iter().find(|job| job.state.is_under_way() && both(job) && has(job));
    job.map(|job| job.id).ok_or_else(|| Status::permission_denied("no job under way of both parties has this session"))
}

fn ended() -> Status {
    Status::aborted("the job of this step is over")
}
