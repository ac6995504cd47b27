//! Whatever a peer sent or a disk kept is read or refused: no panic, and nothing larger than the stated shape.

use proptest::prelude::*;

use super::super::msg::{Points, Tags};
use super::super::{TagSet, Update};
use crate::message::body::{read, written};

proptest! {
    #[test]
    fn arbitrary_bytes_are_read_as_the_shape_or_refused(
        bytes in proptest::collection::vec(any::<u8>(), 0..400),
        count in prop_oneof![0usize..30, Just(usize::MAX), Just(usize::MAX / 12), any::<usize>()],
    ) {
        match read::<Points>(&bytes, count) {
            Ok(points) => prop_assert_eq!(written(&points), bytes.clone()),
            Err(_) => prop_assert!(count.checked_mul(32) != Some(bytes.len())),
        }
        match read::<Tags>(&bytes, count) {
            Ok(tags) => prop_assert_eq!(written(&tags), bytes.clone()),
            Err(_) => prop_assert!(count.checked_mul(12) != Some(bytes.len())),
        }
        prop_assert!(Update::parse(&bytes).is_err());
        prop_assert!(TagSet::from_shards([&bytes[..]; 256]).is_err());
    }
}
