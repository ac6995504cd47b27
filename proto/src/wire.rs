//! Generated code of `wire/*.proto`. Only [`crate::convert`] and the gRPC servers and clients of the daemons touch it.
#![allow(missing_docs, unreachable_pub, clippy::all)]

tonic::include_proto!("banyan.v1");

/// The open interconnection standard, which parties that are no Banyan nodes speak.
pub mod interconnection {
    tonic::include_proto!("org.interconnection");

    pub mod link {
        tonic::include_proto!("org.interconnection.link");
    }

    pub mod v2 {
        tonic::include_proto!("org.interconnection.v2");

        pub mod runtime {
            tonic::include_proto!("org.interconnection.v2.runtime");
        }

        pub mod protocol {
            tonic::include_proto!("org.interconnection.v2.protocol");
        }

        pub mod algos {
            tonic::include_proto!("org.interconnection.v2.algos");
        }
    }
}

/// The version of the wire and of everything signed. A peer with another version is refused with both numbers.
pub const VERSION: u32 = 1;

/// The largest gRPC message: a full frame, its seal and the opening. Larger ones are refused before they are read.
pub const MESSAGE_MAX: usize = banyan_protocols::message::FRAME_MAX + 4096;
