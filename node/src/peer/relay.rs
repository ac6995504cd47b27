//! The same frames through the coordinator, where neither node can be dialled. It pairs the two ends of a step by what
//! they open it with; the hello of each end is checked as on a direct line, so the relay can stop frames and no more.

use std::sync::Arc;

use banyan_proto::convert::Opening;
use banyan_proto::wire;
use banyan_proto::wire::coordinator_client::CoordinatorClient;
use banyan_protocols::transport::LinkError;
use tonic::transport::Channel;

use super::stream::{self, Raw};

/// Gives the connection to the coordinator that this node has now, if it has one. Its HTTP/2 windows should be
/// [`super::limits::STREAM_WINDOW`] and [`super::limits::CONNECTION_WINDOW`].
pub type RelayLine = Arc<dyn Fn() -> Option<Channel> + Send + Sync>;

/// Opens this end of a relayed step.
pub(crate) async fn step(line: Option<&RelayLine>, opening: &Opening) -> Result<Raw, LinkError> {
    let Some(channel) = line.and_then(|line| line()) else {
        let peer = &opening.to;
        return Err(LinkError::Unreachable(format!(
            "neither this node nor {peer} can be dialled, and no coordinator is connected to relay: give one of them an address to listen on, or join a coordinator"
        )));
    };
    let mut client = CoordinatorClient::new(channel)
        .max_decoding_message_size(wire::MESSAGE_MAX)
        .max_encoding_message_size(wire::MESSAGE_MAX);
    let (body, raw) = stream::dialled(wire::StepOpen::from(opening));
    let answer = client.relay(body).await.map_err(|status| stream::link_error(&status))?;
    Ok(raw(answer.into_inner()))
}
