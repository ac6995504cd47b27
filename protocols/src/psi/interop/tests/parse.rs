//! Whatever a peer sends is read or refused: no panic, and nothing larger than the stated shape.

use proptest::prelude::*;

use super::super::{Batch, Expected};
use crate::message::{Message, Reader};

proptest! {
    #[test]
    fn arbitrary_bytes_are_read_as_expected_or_refused(
        bytes in prop_oneof![
            proptest::collection::vec(any::<u8>(), 0..200),
            (0u64..3, 0u64..3, 0u64..9, proptest::collection::vec(any::<u8>(), 0..100)).prop_map(|(index, last, count, rest)| {
                [&index.to_le_bytes()[..], &last.to_le_bytes(), &count.to_le_bytes(), &rest].concat()
            }),
        ],
        width in prop_oneof![Just(12usize), Just(32), Just(33)],
        at_most in prop_oneof![0usize..9, Just(usize::MAX)],
    ) {
        let mut reader = Reader::new(&bytes);
        let expected = Expected { index: 1, width, at_most };
        if let Ok(batch) = Batch::read(&mut reader, expected)
            && reader.finish().is_ok()
        {
            prop_assert!(batch.index == 1 && batch.count <= at_most && (batch.last || batch.count > 0));
            prop_assert_eq!(batch.entries.len(), batch.count * width);
            prop_assert_eq!(&batch.to_frame()[crate::message::FRAME_HEADER..], &bytes[..]);
        }
    }

    #[test]
    fn frames_are_read_back(
        index: u32, last: bool, entries in proptest::collection::vec(any::<[u8; 12]>(), 1..9), cut in 0usize..40,
    ) {
        let batch = Batch { index, last, count: entries.len(), entries: entries.concat() };
        let frame = batch.to_frame();
        prop_assert_eq!(Batch::from_frame(&frame, 12), Ok(batch.clone()));
        prop_assert!(Batch::from_frame(&frame[..frame.len().saturating_sub(1 + cut)], 12).is_err());
        prop_assert!(Batch::from_frame(&frame, 32).is_err());
    }
}
