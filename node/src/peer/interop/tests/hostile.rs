//! A peer that speaks gRPC well and the dialect not: what it can do is end its own run, by name.

use banyan_proto::wire::interconnection::link::ChunkInfo;
use banyan_proto::wire::interconnection::v2::runtime::EcdhPsiCipherBatch;
use banyan_protocols::error::Fault;
use banyan_protocols::message::Malformed;
use banyan_protocols::psi::interop::{DUAL_ENC, ENC};
use prost::Message;

use super::*;

/// Our side as rank 0, and a client of the other that says what it likes. Our side has greeted.
async fn met() -> (Line, ReceiverServiceClient<Channel>) {
    let ((here, at_zero), (there, at_one)) = (listener().await, listener().await);
    let zero = tokio::spawn(Line::open(here, options(0, at_one)));
    // somebody has to answer what we say: another inbox, which nobody reads
    let other = Arc::new(Inbox::new(Keys { me: 1, peer: 0, ..keys() }));
    tokio::spawn(server::serve(other, 0, there, None, std::future::pending()));
    let mut client = client(&at_zero.to_string().parse().unwrap(), None);
    let hello = PushRequest { sender_rank: 1, key: "connect_1".into(), ..PushRequest::default() };
    assert_eq!(push(&mut client, hello).await, 0);
    (zero.await.unwrap().unwrap(), client)
}

async fn push(client: &mut ReceiverServiceClient<Channel>, request: PushRequest) -> i32 {
    client.push(request).await.unwrap().into_inner().header.unwrap().error_code
}

fn message(lane: Lane, number: u64, value: &[u8]) -> PushRequest {
    let key = Keys { me: 1, peer: 0, ..keys() }.message(lane, number, number);
    PushRequest { sender_rank: 1, key, value: Bytes::copy_from_slice(value), ..PushRequest::default() }
}

#[tokio::test]
async fn pushes_that_are_none_are_refused_and_the_line_lives_on() {
    let (line, mut client) = met().await;
    let good = message(Lane::Main, 1, b"value");
    let chunk = |message_length, chunk_offset| Some(ChunkInfo { message_length, chunk_offset });
    for (case, bad) in [
        PushRequest { sender_rank: 0, ..good.clone() },
        PushRequest { sender_rank: u64::MAX, ..good.clone() },
        PushRequest { key: String::new(), ..good.clone() },
        PushRequest { key: "k".repeat(10_000), ..good.clone() },
        PushRequest { key: "root:P2P-1:0->1".into(), ..good.clone() },
        PushRequest { trans_type: 7, ..good.clone() },
        PushRequest { trans_type: 1, ..good.clone() },
        PushRequest { trans_type: 1, chunk_info: chunk(u64::MAX, 0), ..good.clone() },
        PushRequest { trans_type: 1, chunk_info: chunk(3, 0), ..good.clone() },
        PushRequest { trans_type: 1, chunk_info: chunk(9, u64::MAX), ..good.clone() },
        PushRequest { key: FIN.into(), ..good.clone() },
    ]
    .into_iter()
    .enumerate()
    {
        assert_eq!(push(&mut client, bad).await, 31_100_100, "case {case}");
    }
    let large = PushRequest { value: vec![0; super::super::inbox::VALUE_MAX * 2].into(), ..good.clone() };
    assert!(client.push(large).await.is_err(), "gRPC itself has a limit");
    assert_eq!(push(&mut client, good).await, 0);
    assert_eq!(line.recv(Lane::Main).await.unwrap(), &b"value"[..]);
}

/// How our side ends a run whose peer pushes this value as its first batch of masked points.
async fn against(value: Vec<u8>) -> Result<Output, RunError> {
    let (line, mut client) = met().await;
    assert_eq!(push(&mut client, message(Lane::Main, 1, &value)).await, 0);
    play(Arc::new(line), 0, Interop::X25519, parameters(Form::RowsToBoth, 8, 8), ids(0, 8)).await
}

#[tokio::test]
async fn values_that_are_no_batch_are_the_peers_deviation() {
    let good = EcdhPsiCipherBatch {
        r#type: ENC.into(),
        batch_index: 0,
        is_last_batch: false,
        count: 2,
        ciphertext: vec![9; 64].into(),
    };
    let range = |field| Malformed::Range { field };
    for (bad, malformed) in [
        (EcdhPsiCipherBatch { r#type: DUAL_ENC.into(), ..good.clone() }, range("type of the cipher batch")),
        (EcdhPsiCipherBatch { batch_index: -1, ..good.clone() }, range("batch index")),
        (EcdhPsiCipherBatch { batch_index: 1, ..good.clone() }, range("batch index")),
        (EcdhPsiCipherBatch { count: -2, ..good.clone() }, range("count")),
        (EcdhPsiCipherBatch { count: i32::MAX, ..good.clone() }, Malformed::Short { missing: 68_719_476_640 }),
        (EcdhPsiCipherBatch { count: 1, ..good.clone() }, Malformed::Long { extra: 32 }),
        (EcdhPsiCipherBatch { count: 0, ciphertext: Bytes::new(), ..good.clone() }, range("count")),
    ] {
        match against(bad.encode_to_vec()).await {
            Err(RunError::Deviation { party, step, fault }) => {
                assert_eq!((party, step.as_str()), (names()[1].clone(), "interop/enc"));
                assert_eq!(fault, Fault::Malformed(malformed), "{bad:?}");
            }
            other => panic!("{bad:?}: {other:?}"),
        }
    }
    let junk = against(b"\xff\xff\xff canary".to_vec()).await.unwrap_err().to_string();
    assert!(junk.contains("cipher batch") && !junk.contains("canary"), "{junk}");
}

#[tokio::test]
async fn a_peer_that_ends_early_is_named() {
    let (line, mut client) = met().await;
    assert_eq!(push(&mut client, message(Lane::Main, 1, b"one")).await, 0);
    assert_eq!(push(&mut client, PushRequest { key: FIN.into(), ..message(Lane::Main, 1, b"1") }).await, 0);
    assert_eq!(line.recv(Lane::Main).await.unwrap(), &b"one"[..]);
    assert_eq!(line.recv(Lane::Main).await, Err(LinkError::Cut));
    assert_eq!(line.recv(Lane::Dual).await, Err(LinkError::Cut));
}
