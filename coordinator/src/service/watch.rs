//! A job as it is now, and then at every change until it is over. A slow reader misses words in between, never the last.

use std::pin::Pin;
use std::sync::Arc;

use banyan_proto::canonical::Digest;
use banyan_proto::wire::JobReply;
use banyan_protocols::party::PartyId;
use futures::{Stream, stream};
use tokio::sync::{OwnedSemaphorePermit, watch};
use tonic::Status;

use super::desk::{Desk, broken};
use super::limits::WATCH_PAUSE;
use super::places::Place;

/// What a watch hears.
pub(crate) type Changes = Pin<Box<dyn Stream<Item = Result<JobReply, Status>> + Send>>;

/// What a watch takes of the limits.
type Held = (Place<PartyId>, OwnedSemaphorePermit);

struct Watch {
    desk: Arc<Desk>,
    job: Digest,
    changes: watch::Receiver<u64>,
    stopping: watch::Receiver<bool>,
    last: Option<JobReply>,
    over: bool,
    _held: Held,
}

/// Watches a job.
pub(crate) fn watch(desk: Arc<Desk>, job: Digest, held: Held) -> Changes {
    let (changes, stopping) = (desk.changes.subscribe(), desk.stopping.subscribe());
    let watch = Watch { desk, job, changes, stopping, last: None, over: false, _held: held };
    Box::pin(stream::unfold(watch, async |mut watch| {
        let next = watch.next().await?;
        watch.over |= next.is_err();
        Some((next, watch))
    }))
}

impl Watch {
    async fn next(&mut self) -> Option<Result<JobReply, Status>> {
        while !self.over {
            self.changes.borrow_and_update();
            let stopping = *self.stopping.borrow_and_update();
            match self.look() {
                Ok(reply) if self.last.as_ref() != Some(&reply) => {
                    self.last = Some(reply.clone());
                    return Some(Ok(reply));
                }
                Ok(_) if stopping => {
                    return Some(Err(Status::unavailable("the coordinator stops; the job goes on: watch it again")));
                }
                Ok(_) => {}
                Err(status) => return Some(Err(status)),
            }
            tokio::time::sleep(WATCH_PAUSE).await;
            tokio::select! {
                _ = self.changes.changed() => {}
                _ = self.stopping.changed() => {}
            }
        }
        None
    }

    fn look(&mut self) -> Result<JobReply, Status> {
        let job = self.desk.store.job(&self.job).map_err(broken)?;
        let job = job.ok_or_else(|| Status::not_found("the job is gone"))?;
        self.over = job.state.is_over();
        self.desk.reply_whole(&job)
    }
}
