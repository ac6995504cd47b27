//! What a gRPC stream of a step looks like to the code that seals it: frames, pulses and stops, with one kind of error.

use std::pin::Pin;

use banyan_proto::wire::{self, StepFrame};
use banyan_protocols::transport::LinkError;
use bytes::Bytes;
use futures::channel::mpsc;
use futures::stream::BoxStream;
use futures::{Sink, SinkExt, StreamExt};
use tonic::{Code, Status, Streaming};

/// What goes out.
#[derive(Debug)]
pub(crate) enum Out {
    /// A hello or a sealed frame.
    Frame(Bytes),
    /// Says that this end lives.
    Pulse,
    /// This end gives up, with a code for the peer.
    Stop(&'static str),
}

/// What comes in: a frame, or `None` for a pulse. A stop is an error.
pub(crate) type In = Result<Option<Bytes>, LinkError>;

/// Both directions of a step on one stream: ordered, bounded, not yet sealed.
pub(crate) struct Raw {
    pub(crate) outbound: Pin<Box<dyn Sink<Out, Error = LinkError> + Send>>,
    pub(crate) inbound: BoxStream<'static, In>,
}

/// Messages that wait for HTTP/2 to take them, beside the one each sender may always put: none, since both HTTP/2 and
/// the sealed link have buffers of their own.
const QUEUE: usize = 0;

/// The stream of the end that dials: its outbound half is the body of the request, which starts with `open`.
pub(crate) fn dialled(open: wire::StepOpen) -> (mpsc::Receiver<StepFrame>, impl FnOnce(Streaming<StepFrame>) -> Raw) {
    let (mut sender, body) = mpsc::channel(QUEUE);
    let opening = StepFrame { open: Some(open), ..StepFrame::default() };
    sender.try_send(opening).expect("a new channel has room for one message of its sender");
    let raw = |answers: Streaming<StepFrame>| Raw {
        outbound: Box::pin(sender.sink_map_err(|_| LinkError::Closed).with(async |out| Ok(frame_of(out)))),
        inbound: inbound(answers),
    };
    (body, raw)
}

/// The stream of the end that is dialled: its outbound half is the body of the answer.
pub(crate) fn accepted(requests: Streaming<StepFrame>) -> (mpsc::Receiver<Result<StepFrame, Status>>, Raw) {
    let (sender, body) = mpsc::channel(QUEUE);
    let answer = async |out| {
        Ok(match out {
            Out::Stop(code) => Err(Status::aborted(code)),
            out => Ok(frame_of(out)),
        })
    };
    let outbound = Box::pin(sender.sink_map_err(|_| LinkError::Closed).with(answer));
    (body, Raw { outbound, inbound: inbound(requests) })
}

fn frame_of(out: Out) -> StepFrame {
    match out {
        Out::Frame(frame) => StepFrame { frame, ..StepFrame::default() },
        Out::Pulse => StepFrame::default(),
        Out::Stop(_) => StepFrame { stop: true, ..StepFrame::default() },
    }
}

fn inbound(frames: Streaming<StepFrame>) -> BoxStream<'static, In> {
    let item = |message: Result<StepFrame, Status>| match message {
        Ok(StepFrame { open: Some(_), .. }) => Err(LinkError::Refused("a stream opens one step".into())),
        Ok(StepFrame { stop: true, .. }) => Err(LinkError::Closed),
        Ok(StepFrame { frame, .. }) if frame.is_empty() => Ok(None),
        Ok(StepFrame { frame, .. }) => Ok(Some(frame)),
        Err(status) => Err(link_error(&status)),
    };
    frames.map(item).boxed()
}

/// The longest text of a peer that is repeated in our errors.
const REMARK_MAX: usize = 200;

/// What a status means for a link. A refusal's text is the peer's: it is cut and cleaned before it enters a log.
pub(crate) fn link_error(status: &Status) -> LinkError {
    match status.code() {
        Code::InvalidArgument
        | Code::NotFound
        | Code::AlreadyExists
        | Code::PermissionDenied
        | Code::Unauthenticated
        | Code::ResourceExhausted
        | Code::FailedPrecondition
        | Code::Unimplemented
        | Code::DeadlineExceeded => LinkError::Refused(remark(status.message())),
        Code::OutOfRange => LinkError::TooLarge { max: wire::MESSAGE_MAX },
        _ => LinkError::Closed,
    }
}

/// A text that a peer may have had a hand in, fit for our errors and logs.
pub(crate) fn remark(text: &str) -> String {
    let clean = |c: char| if c.is_ascii_graphic() || c == ' ' { c } else { '?' };
    text.chars().take(REMARK_MAX).map(clean).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_is_cut_and_cleaned() {
        let status = Status::permission_denied(format!("no\n\u{1b}[2J{}", "x".repeat(1000)));
        let LinkError::Refused(text) = link_error(&status) else { panic!("a refusal") };
        assert!(text.starts_with("no??[2Jxxx") && text.len() == REMARK_MAX, "{text}");
        assert_eq!(link_error(&Status::cancelled("")), LinkError::Closed);
    }
}
