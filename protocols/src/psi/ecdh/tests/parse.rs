//! Whatever a peer sends is read or refused: no panic, and nothing larger than the stated shape.

use proptest::prelude::*;

use super::super::msg::{Bits, Points, Tags};
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
        match read::<Bits>(&bytes, count) {
            Ok(bits) => {
                prop_assert_eq!(bits.0.len(), count);
                prop_assert_eq!(written(&bits), bytes);
            }
            Err(Malformed::Range { .. }) => prop_assert!(count % 8 != 0 && count.div_ceil(8) <= bytes.len()),
            Err(_) => prop_assert!(count.div_ceil(8) != bytes.len()),
        }
    }

    #[test]
    fn right_shapes_are_read_back(bits in proptest::collection::vec(any::<bool>(), 0..100)) {
        let count = bits.len();
        prop_assert_eq!(read::<Bits>(&written(&Bits(bits.clone())), count).unwrap().0, bits);
    }
}

#[test]
fn an_unused_bit_is_refused() {
    assert_eq!(read::<Bits>(&[0b1000], 3).map(|b| b.0), Err(Malformed::Range { field: "unused bits" }));
    assert_eq!(read::<Bits>(&[0b0101], 3).map(|b| b.0), Ok(vec![true, false, true]));
}
