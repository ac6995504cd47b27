//! Short calls to the coordinator, for `join` and `check`: over TLS to the one key that is pinned for it.

use std::time::Duration;

use banyan_proto::identity::{Identity, PublicKey};
use banyan_proto::wire::coordinator_client::CoordinatorClient;
use banyan_proto::wire::{self, instruction, report};
use jiff::{SignedDuration, Timestamp};
use tonic::transport::Channel;

use super::answer::Failure;
use crate::dial::{DialError, KEEPALIVE, pinned};

/// How long the coordinator may take to greet.
const PATIENCE: Duration = Duration::from_secs(10);

/// A coordinator that answered with the expected key.
pub(crate) struct Coordinator {
    url: String,
    client: CoordinatorClient<Channel>,
}

/// Runs one conversation to its end.
pub(crate) fn block_on<T>(work: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(Failure::not_now)?;
    runtime.block_on(work)
}

impl Coordinator {
    /// Dials `url` and believes only `key`.
    pub(crate) async fn dial(url: &str, key: &PublicKey, me: &Identity) -> Result<Self, Failure> {
        let channel = pinned(url, key, me, KEEPALIVE).await.map_err(|error| match error {
            DialError::Unreachable { .. } | DialError::Stranger { .. } => Failure::not_now(format!(
                "the coordinator at {error}; is it up, and does a firewall let this machine dial it?"
            )),
            DialError::OtherKey { .. } => Failure::refused(format!(
                "{error}: somebody else answers there, or the coordinator has a new key; ask the operator by phone, \
                 and for a new invite"
            )),
        })?;
        let client = CoordinatorClient::new(channel).max_decoding_message_size(wire::MESSAGE_MAX);
        Ok(Self { url: url.into(), client })
    }

    /// Redeems an invite; gives the parties that the coordinator introduces.
    pub(crate) async fn join(&mut self, request: wire::JoinRequest) -> Result<Vec<wire::Introduction>, Failure> {
        Ok(self.client.join(request).await.map_err(|status| self.said(&status))?.into_inner().roster)
    }

    /// How far this clock is ahead of the coordinator's, from one greeting.
    pub(crate) async fn clock_ahead(&mut self, url: String, catalogue: Vec<u8>) -> Result<SignedDuration, Failure> {
        let now_ms = Timestamp::now().as_millisecond();
        let hello = wire::Hello { version: wire::VERSION, url, catalogue: catalogue.into(), now_ms };
        let report = wire::Report { body: Some(report::Body::Hello(hello)) };
        let mut replies =
            self.client.attend(tokio_stream::once(report)).await.map_err(|status| self.said(&status))?.into_inner();
        let reply = tokio::time::timeout(PATIENCE, replies.message()).await;
        match reply.map_err(Failure::not_now)?.map_err(|status| self.said(&status))?.and_then(|reply| reply.body) {
            // half of the way there and back is in the difference: well below what matters
            Some(instruction::Body::Welcome(welcome)) => Ok(SignedDuration::from_millis(now_ms - welcome.now_ms)),
            _ => Err(Failure::not_now(format!("the coordinator at {} did not greet back", self.url))),
        }
    }

    fn said(&self, status: &tonic::Status) -> Failure {
        let text = format!("the coordinator at {} said: {}", self.url, super::text::plain(status.message()));
        match status.code() {
            tonic::Code::PermissionDenied | tonic::Code::Unauthenticated => Failure::refused(text),
            tonic::Code::FailedPrecondition | tonic::Code::InvalidArgument | tonic::Code::AlreadyExists => {
                Failure::input(text)
            }
            _ => Failure::not_now(text),
        }
    }
}
