//! Generated code of `wire/*.proto`. Only [`crate::convert`] and the gRPC servers and clients of the daemons touch it.
#![allow(missing_docs, unreachable_pub, clippy::all)]

tonic::include_proto!("banyan.v1");

/// The version of the wire and of everything signed. A peer with another version is refused with both numbers.
pub const VERSION: u32 = 1;

/// The largest gRPC message: a full frame, its seal and the opening. Larger ones are refused before they are read.
pub const MESSAGE_MAX: usize = banyan_protocols::message::FRAME_MAX + 4096;
