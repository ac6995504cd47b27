//! Whatever a peer sent or a disk kept is read or refused: no panic, and nothing larger than the stated shape.

use proptest::prelude::*;

use super::super::msg::{Have, Offer, Points, Tags};
use super::super::tags::Update;
use super::super::{Prepared, TagSet};
use super::EPOCH;
use crate::message::Malformed;
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
        match read::<Have>(&bytes, ()) {
            Ok(have) => prop_assert_eq!(written(&have), bytes.clone()),
            Err(_) => prop_assert!(bytes.len() != 32),
        }
        let m = count as u32;
        if let Ok(offer) = read::<Offer>(&bytes, m) {
            prop_assert_eq!(written(&offer), bytes.clone());
            prop_assert!(offer.follow(m) <= m);
        }
        prop_assert!(Update::parse(&bytes).is_err());
        prop_assert!(TagSet::parse(&bytes).is_err());
        prop_assert!(Prepared::parse(&bytes).is_err());
    }

    #[test]
    fn an_offer_of_changes_is_never_longer_than_the_whole(m: u32, changed: u32) {
        let offer = Offer { epoch: EPOCH, generation: 3, digest: [1; 32], changed: Some(changed) };
        let back = read::<Offer>(&written(&offer), m).map(|offer| offer.changed);
        prop_assert_eq!(back, if changed <= m / 2 { Ok(Some(changed)) } else { Err(Malformed::Range { field: "changed" }) });
    }
}
