//! Whatever a peer sends is read or refused: no panic, and nothing larger than the stated shape.

use proptest::prelude::*;

use super::super::msg::{Coded, Coin, Commitment, Matches, Seed, Slots};
use crate::message::{FRAME_HEADER, Malformed, Message, Reader, Writer};

/// Reads as a channel does, to the end of the frame, and writes back.
fn copied<M: Message>(bytes: &[u8], shape: M::Shape) -> Result<Vec<u8>, Malformed> {
    let mut reader = Reader::new(bytes);
    let message = M::read(&mut reader, shape)?;
    reader.finish()?;
    let mut writer = Writer::for_kind("");
    message.write(&mut writer);
    Ok(writer.into_frame()[FRAME_HEADER..].to_vec())
}

proptest! {
    #[test]
    fn arbitrary_bytes_are_read_as_the_shape_or_refused(
        bytes in proptest::collection::vec(any::<u8>(), 0..200),
        count in prop_oneof![0usize..30, Just(usize::MAX), Just(usize::MAX / 16), any::<usize>()],
    ) {
        let length = Some(bytes.len());
        for (read, right) in [
            (copied::<Slots<u128>>(&bytes, count), count.checked_mul(16) == length),
            (copied::<Slots<u64>>(&bytes, count), count.checked_mul(8) == length),
            (copied::<Coded>(&bytes, count), count == bytes.len()),
            (copied::<Seed>(&bytes, ()), bytes.len() == 16),
            (copied::<Coin>(&bytes, ()), bytes.len() == 16),
            (copied::<Commitment>(&bytes, ()), bytes.len() == 32),
        ] {
            prop_assert_eq!(read.is_ok(), right);
            prop_assert!(read.is_err() || read == Ok(bytes.clone()));
        }
        match copied::<Matches>(&bytes, count) {
            Ok(copy) => prop_assert!(copy == bytes && count.div_ceil(8) == bytes.len()),
            Err(Malformed::Range { .. }) => prop_assert!(count % 8 != 0 && count.div_ceil(8) <= bytes.len()),
            Err(_) => prop_assert!(count.div_ceil(8) != bytes.len()),
        }
    }
}
