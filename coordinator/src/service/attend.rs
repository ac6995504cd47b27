//! The standing line of a node: it dials, says who it is, hears what it missed, and then both say what they have to.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;

use banyan_proto::canonical::Digest;
use banyan_proto::names::Address;
use banyan_proto::wire::{self, Hello, Instruction, Report, instruction, report, verdict};
use banyan_protocols::party::PartyId;
use bytes::Bytes;
use futures::{Stream, StreamExt, stream};
use tokio::sync::oneshot;
use tokio::time::timeout;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Status, Streaming};

use super::desk::{Attending, Desk, Progress, broken, introduction, now_ms, remark};
use super::jobs::{Answer, Ending, Phase};
use super::limits::{CATALOGUE_MAX, CLOCK_OFF_MAX_MS, EVIDENCE_MAX, HANDSHAKE_WAIT, SILENCE_MAX};
use crate::roster::Member;

/// What a node reads.
pub(crate) type Instructions = Pin<Box<dyn Stream<Item = Result<Instruction, Status>> + Send>>;

/// How far back a node that comes back is told of jobs that are over: as long as the longest deadline, after which it has
/// given them up by itself.
const REMEMBERED_MS: i64 = banyan_proto::job::validate::DEADLINE_S_MAX as i64 * 1000;

/// Opens the line of `member`: its greeting is checked, then it is heard by a task of its own.
pub(crate) async fn open(
    desk: Arc<Desk>,
    mut member: Member,
    mut reports: Streaming<Report>,
) -> Result<Instructions, Status> {
    let first = timeout(HANDSHAKE_WAIT, reports.message()).await;
    let first = first.map_err(|_| Status::deadline_exceeded("no hello"))??;
    let Some(Report { body: Some(report::Body::Hello(hello)) }) = first else {
        return Err(Status::invalid_argument("the first report of a line is a hello"));
    };
    check(&hello)?;
    let now_ms = now_ms();
    if hello.now_ms.abs_diff(now_ms) > CLOCK_OFF_MAX_MS {
        let off_s = hello.now_ms.saturating_sub(now_ms) / 1000;
        tracing::warn!(node = %member.name, off_s, "its clock is off: it will run no jobs until it is set");
    }
    member.url = url(&hello.url)?;
    member.catalogue = hello.catalogue;
    if desk.store.greet(&member.name, member.url.as_ref(), &member.catalogue).map_err(broken)? {
        desk.introduce(&member);
    }
    let attending = desk.come(&member.name);
    tracing::info!(node = %member.name, "attends");
    let welcome = welcome(&desk, &member.name, now_ms)?;
    let missed = missed(desk.clone(), &member.name, now_ms)?;
    let Attending { id, instructions, cut } = attending;
    tokio::spawn(hear(desk, member.name, id, reports, cut));
    Ok(Box::pin(stream::iter([Ok(welcome)]).chain(missed).chain(ReceiverStream::new(instructions))))
}

/// What the node hears first.
fn welcome(desk: &Desk, to: &PartyId, now_ms: i64) -> Result<Instruction, Status> {
    let online = desk.online();
    let members = desk.store.members().map_err(broken)?;
    let others = members.iter().filter(|member| member.name != *to);
    let nodes = others.filter(|member| member.role == banyan_proto::invite::InviteRole::Node);
    let roster = nodes.map(|node| introduction(node, online.contains(&node.name), false)).collect();
    let welcome = wire::Welcome { version: wire::VERSION, now_ms, roster };
    Ok(Instruction { body: Some(instruction::Body::Welcome(welcome)) })
}

/// What it missed while it was away, job by job, as it stands at the moment it is read.
fn missed(
    desk: Arc<Desk>,
    to: &PartyId,
    now_ms: i64,
) -> Result<impl Stream<Item = Result<Instruction, Status>> + Send + use<>, Status> {
    let jobs = desk.store.jobs_of_party(to, now_ms - REMEMBERED_MS).map_err(broken)?;
    let ids: Vec<Digest> =
        jobs.into_iter().filter(|job| job.reminder(to, now_ms).is_some()).map(|job| job.id).collect();
    let to = to.clone();
    Ok(stream::iter(ids).filter_map(move |id| std::future::ready(desk.reminder(&to, &id).map_err(broken).transpose())))
}

/// Hears a node until its line breaks or is cut.
async fn hear(
    desk: Arc<Desk>,
    name: PartyId,
    id: u64,
    mut reports: Streaming<Report>,
    mut cut: oneshot::Receiver<Infallible>,
) {
    let why = loop {
        let report = tokio::select! {
            report = timeout(SILENCE_MAX, reports.message()) => report,
            _ = &mut cut => break "cut".to_owned(),
        };
        match report {
            Ok(Ok(Some(Report { body: Some(body) }))) => {
                if let Err(status) = take(&desk, &name, body) {
                    break status.message().to_owned();
                }
            }
            Ok(Ok(Some(Report { body: None }))) => break "a report of another version".to_owned(),
            Ok(Ok(None)) => break "closed by the node".to_owned(),
            Ok(Err(status)) => break remark(status.message()),
            Err(_) => break format!("silent for {} s", SILENCE_MAX.as_secs()),
        }
    };
    tracing::info!(node = %name, %why, "left");
    desk.leave(&name, id);
}

/// Takes one report. What breaks a limit breaks the line.
fn take(desk: &Desk, from: &PartyId, body: report::Body) -> Result<(), Status> {
    match body {
        report::Body::Hello(_) => return Err(Status::invalid_argument("a second hello")),
        report::Body::Pulse(_) => {}
        report::Body::Progress(progress) => {
            let job = digest(&progress.job)?;
            if desk.store.job(&job).map_err(broken)?.is_some_and(|job| job.party(from).is_some()) {
                let wire::Progress { attempt, done, total, bytes_out, .. } = progress;
                desk.progress(job, from, Progress { attempt, done, total, bytes_out });
            }
        }
        report::Body::Verdict(verdict) => {
            let job = digest(&verdict.job)?;
            let answer = match verdict.answer {
                Some(verdict::Answer::Admission(bytes)) => Answer::Admission(limited("admission", bytes)?),
                Some(verdict::Answer::Refusal(refusal)) => Answer::Refusal(coded(&refusal.code, &refusal.detail)),
                Some(verdict::Answer::Waiting(who)) => Answer::Waiting(remark(&who)),
                None => return Err(Status::invalid_argument("a verdict of another version")),
            };
            act(desk, from, &job, |job| job.verdict(from, answer, now_ms()))?;
        }
        report::Body::Phase(report) => {
            let job = digest(&report.job)?;
            let Some(phase) = Phase::reported(&report.phase) else {
                return Err(Status::invalid_argument("a phase of another version"));
            };
            act(desk, from, &job, |job| job.phase(from, report.attempt, phase))?;
        }
        report::Body::Ended(ended) => {
            let job = digest(&ended.job)?;
            let ending = Ending {
                attempt: ended.attempt,
                failure: (!ended.ok).then(|| coded(&ended.code, &ended.detail)),
                cut_off: matches!(ended.code.as_str(), "restarted" | "stopped" | "link"),
                receipt: limited("receipt", ended.receipt)?,
                metrics: limited("metrics", ended.metrics)?,
                at_ms: now_ms(),
            };
            act(desk, from, &job, |job| job.ended(from, ending))?;
        }
    }
    Ok(())
}

fn act(
    desk: &Desk,
    from: &PartyId,
    id: &Digest,
    change: impl FnOnce(&mut super::jobs::Job) -> Vec<(PartyId, super::jobs::Say)>,
) -> Result<(), Status> {
    match desk.act(id, |job| Ok::<_, Infallible>(change(job))).map_err(broken)? {
        Some(Ok(job)) => {
            tracing::debug!(node = %from, job = %id.short(), state = job.state.name(), "heard");
        }
        // such as a node that outlived the coordinator's home
        _ => tracing::warn!(node = %from, job = %id.short(), "a report of no job here"),
    }
    Ok(())
}

fn check(hello: &Hello) -> Result<(), Status> {
    version(hello.version)?;
    if hello.catalogue.len() > CATALOGUE_MAX {
        return Err(Status::invalid_argument(format!("a published catalogue has at most {CATALOGUE_MAX} bytes")));
    }
    Ok(())
}

/// Refuses another version of the wire, naming both.
pub(crate) fn version(theirs: u32) -> Result<(), Status> {
    if theirs == wire::VERSION {
        return Ok(());
    }
    let ours = wire::VERSION;
    Err(Status::failed_precondition(format!(
        "wire versions differ: you have {theirs}, this coordinator has {ours}; update the older side"
    )))
}

/// The address where a party says it is dialled, or none.
pub(crate) fn url(text: &str) -> Result<Option<Address>, Status> {
    match text {
        "" => Ok(None),
        text => text.parse().map(Some).map_err(|error: &str| Status::invalid_argument(format!("url: {error}"))),
    }
}

/// A digest that a caller names.
pub(crate) fn digest(bytes: &[u8]) -> Result<Digest, Status> {
    Digest::try_from(bytes).map_err(|error| Status::invalid_argument(error.to_string()))
}

fn limited(what: &str, bytes: Bytes) -> Result<Vec<u8>, Status> {
    if bytes.len() > EVIDENCE_MAX {
        return Err(Status::invalid_argument(format!("{what}: more than {EVIDENCE_MAX} bytes")));
    }
    Ok(bytes.into())
}

fn coded(code: &str, detail: &str) -> String {
    match (remark(code), remark(detail)) {
        (code, detail) if detail.is_empty() => code,
        (code, detail) => format!("{code}: {detail}"),
    }
}
