use futures::FutureExt;
use proptest::prelude::*;

use super::super::inbox::{AHEAD_MAX, BadPush, Inbox, VALUE_MAX};
use super::*;

fn inbox() -> Inbox {
    Inbox::new(keys())
}

/// A key of the peer, as it writes it.
fn key(lane: Lane, number: u64, sequence: u64) -> String {
    Keys { me: 1, peer: 0, ..keys() }.message(lane, number, sequence)
}

fn now<T>(future: impl Future<Output = T>) -> Option<T> {
    future.now_or_never()
}

fn push(inbox: &Inbox, key: &str, value: &'static [u8]) -> Option<Result<(), BadPush>> {
    now(inbox.push(key, Bytes::from_static(value)))
}

#[test]
fn messages_are_read_in_their_order_by_lane_whenever_they_come() {
    let inbox = inbox();
    for (lane, number, sequence, value) in [
        (Lane::Main, 2, 3, &b"b"[..]),
        (Lane::Dual, 1, 2, b"x"),
        (Lane::Main, 1, 1, b"a"),
        (Lane::Main, 1, 1, b"again"),
    ] {
        assert_eq!(push(&inbox, &key(lane, number, sequence), value), Some(Ok(())));
    }
    let next = |lane| now(inbox.next(lane)).map(|read| read.map(|read| (read.value, read.sequence)).unwrap());
    assert_eq!(next(Lane::Main), Some((Bytes::from_static(b"a"), 1)));
    assert_eq!(next(Lane::Main), Some((Bytes::from_static(b"b"), 3)));
    assert_eq!(next(Lane::Dual), Some((Bytes::from_static(b"x"), 2)));
    assert_eq!(next(Lane::Dual), None, "it waits");
    assert_eq!(push(&inbox, &key(Lane::Main, 2, 3), b"late again"), Some(Ok(())), "a push whose answer was lost");
    assert_eq!(next(Lane::Main), None);
    // the peer has sent three, and says so: nothing more comes
    assert_eq!(push(&inbox, FIN, b"3"), Some(Ok(())));
    assert!(matches!(now(inbox.next(Lane::Main)), Some(Err(LinkError::Cut))));
}

#[test]
fn who_runs_too_far_ahead_waits_for_the_reader() {
    let inbox = inbox();
    for number in 1..=AHEAD_MAX {
        assert_eq!(push(&inbox, &key(Lane::Main, number, number), b"v"), Some(Ok(())));
    }
    let (next, far) = (key(Lane::Main, AHEAD_MAX + 1, 0), key(Lane::Main, u64::MAX, 0));
    let mut ahead = inbox.push(&next, Bytes::from_static(b"v")).boxed();
    assert_eq!(ahead.as_mut().now_or_never(), None);
    assert!(now(inbox.next(Lane::Main)).is_some());
    assert_eq!(ahead.as_mut().now_or_never(), Some(Ok(())));
    let mut waits = inbox.push(&far, Bytes::from_static(b"v")).boxed();
    assert_eq!(waits.as_mut().now_or_never(), None);
    inbox.close();
    assert_eq!(waits.as_mut().now_or_never(), Some(Err(BadPush::Closed)));
}

#[test]
fn chunks_make_a_whole_in_any_order_and_nothing_else() {
    let inbox = inbox();
    let chunk = |key: &str, part: &[u8], offset, length| now(inbox.push_chunk(key, part, offset, length)).unwrap();
    let one = key(Lane::Main, 1, 1);
    for (part, offset) in [(&b"lo"[..], 3), (b"h", 0), (b"h", 0), (b"el", 1)] {
        assert_eq!(chunk(&one, part, offset, 5), Ok(()));
    }
    assert_eq!(now(inbox.next(Lane::Main)).unwrap().unwrap().value, &b"hello"[..]);
    let two = key(Lane::Main, 2, 2);
    assert_eq!(chunk(&two, b"abc", 1, 5), Ok(()));
    for (part, offset, length) in [
        (&b"xy"[..], 0, 5),
        (b"xy", 3, 5),
        (b"", 0, 5),
        (b"x", 5, 5),
        (b"x", u64::MAX, 5),
        (b"x", 0, 6),
        (b"abcde", 0, 4),
    ] {
        assert_eq!(chunk(&two, part, offset, length), Err(BadPush::Chunk), "{part:?} at {offset} of {length}");
    }
    assert_eq!(chunk(&two, b"x", 0, VALUE_MAX as u64 + 1), Err(BadPush::TooLarge));
    assert_eq!(chunk("root:1:GATHER", b"x", 0, 5), Err(BadPush::Key));
    let more = (3..).map(|number| chunk(&key(Lane::Main, number, number), b"x", 0, 2));
    let refused = more.take(40).position(|taken| taken == Err(BadPush::Assemblies));
    assert_eq!(refused, Some(AHEAD_MAX as usize - 1), "one is there already");
}

#[test]
fn confirmations_open_the_window_and_an_end_needs_all_of_them() {
    let inbox = inbox();
    assert!(now(inbox.sends(Lane::Main, 1, 2)).is_some() && now(inbox.sends(Lane::Main, 2, 2)).is_some());
    assert!(now(inbox.sends(Lane::Main, 3, 2)).is_none(), "the window is full");
    assert!(now(inbox.sends(Lane::Dual, 4, 2)).is_some(), "of its lane only");
    assert_eq!(push(&inbox, ACK, b"7"), Some(Ok(())), "of nothing: it changes nothing");
    assert!(now(inbox.sends(Lane::Main, 3, 2)).is_none());
    assert_eq!(push(&inbox, ACK, b"1"), Some(Ok(())));
    assert!(now(inbox.sends(Lane::Main, 3, 2)).is_some());
    assert_eq!(push(&inbox, FIN, b"0"), Some(Ok(())));
    assert!(now(inbox.over()).is_none(), "three are not confirmed");
    for sequence in [&b"2"[..], b"3", b"4"] {
        assert_eq!(now(inbox.push(ACK, Bytes::copy_from_slice(sequence))), Some(Ok(())));
    }
    assert!(now(inbox.over()).is_some());
    for bad in [&b""[..], b"-1", b"01", b"x", b"\xff", b"99999999999999999999999"] {
        assert_eq!(now(inbox.push(ACK, Bytes::copy_from_slice(bad))), Some(Err(BadPush::Number)));
        assert_eq!(now(inbox.push(FIN, Bytes::copy_from_slice(bad))), Some(Err(BadPush::Number)));
    }
}

proptest! {
    /// Whatever is pushed, nothing panics, little is held, and what is read is whole and in order.
    #[test]
    fn arbitrary_pushes_are_taken_or_refused(
        pushes in proptest::collection::vec(
            (0u64..6, 0u64..40, 0u64..12, 0u64..12, proptest::collection::vec(any::<u8>(), 0..12)), 0..120,
        ),
    ) {
        let inbox = inbox();
        for (what, number, offset, length, value) in pushes {
            let key = match what {
                0 | 1 => key(Lane::Main, number, number),
                2 => key(Lane::Dual, number, 0),
                3 => ACK.to_owned(),
                4 => FIN.to_owned(),
                _ => String::from_utf8_lossy(&value).into_owned(),
            };
            let _ = now(inbox.push_chunk(&key, &value, offset, length));
            if what % 2 == 0 {
                let _ = now(inbox.push(&key, value.into()));
            }
        }
        let mut read = 0;
        while let Some(Ok(_)) = now(inbox.next(Lane::Main)) {
            read += 1;
        }
        prop_assert!(read <= AHEAD_MAX);
    }
}
