use proptest::prelude::*;

use super::super::tags::{Index, Layout};
use crate::error::Fault;
use crate::kernels::aes::prg;
use crate::message::Malformed;

fn places(index: &Index, tags: &[u128]) -> Vec<(usize, usize)> {
    let mut places = Vec::new();
    index.find(tags, |tag, at| places.push((tag, at)));
    places
}

fn random(count: u32, seed: u128) -> Vec<u128> {
    let mut tags = vec![0; count as usize];
    prg(seed, 0, &mut tags);
    tags
}

#[test]
fn every_tag_is_found_at_its_place_and_no_other() {
    for count in (0..40).chain([63, 64, 65, 1000, 6789]) {
        for bits in [40, 57, 96, 112, 120] {
            let layout = Layout::new(count, bits);
            let tags = random(count, u128::from(bits));
            let bytes = layout.write(&tags).unwrap();
            assert_eq!(bytes.len(), layout.bytes());
            let index = Index::read(layout, bytes).unwrap();
            let (found, mut sorted): (Vec<usize>, Vec<usize>) = places(&index, &tags).into_iter().unzip();
            sorted.sort_unstable();
            let all = 0..count as usize;
            assert!(found.into_iter().eq(all.clone()) && sorted.into_iter().eq(all), "{count} tags of {bits} bits");
            assert_eq!(places(&index, &random(100, 1)), []);
        }
    }
}

#[test]
fn the_coding_does_not_depend_on_the_order_and_is_as_short_as_stated() {
    let layout = Layout::new(1000, 112);
    let mut tags = random(1000, 1);
    let bytes = layout.write(&tags);
    tags.reverse();
    assert_eq!(layout.write(&tags), bytes);
    // floor(log2 1000) = 9 upper bits, and 103 bits fill 13 bytes: 1000 + 512 bits and 13 bytes each.
    assert_eq!(layout.bytes(), 189 + 13_000);
}

#[test]
fn equal_tags_are_noticed_on_both_sides() {
    let layout = Layout::new(5, 112);
    let mut tags = random(5, 1);
    tags[4] = tags[1];
    assert_eq!(layout.write(&tags), None);
    // Two bits: one tag per value; then twice the first, which leaves the second value without a tag.
    let layout = Layout::new(2, 9);
    let read = |bytes: &[u8]| Index::read(layout, bytes.to_vec()).map(drop);
    assert_eq!(read(&[0b0101, 3, 3]), Ok(()));
    assert_eq!(read(&[0b0011, 3, 4]), Ok(()));
    assert_eq!(read(&[0b0011, 3, 3]), Err(Fault::Repeat { index: 1 }));
    assert_eq!(read(&[0b0011, 4, 3]), Err(Malformed::Range { field: "order of tags" }.into()));
    for upper in [0b1001, 0b1100, 0b0001, 0b0111, 0b0000, 0b1111, 0b10101, 0b10_0000] {
        assert_eq!(read(&[upper, 3, 4]), Err(Malformed::Range { field: "upper bits" }.into()), "{upper:b}");
    }
}

proptest! {
    #[test]
    fn arbitrary_bytes_are_read_or_refused(count in 0u32..20, bytes in proptest::collection::vec(any::<u8>(), 500)) {
        let layout = Layout::new(count, 70);
        let bytes = bytes[..layout.bytes()].to_vec();
        if let Ok(index) = Index::read(layout, bytes) {
            prop_assert!(places(&index, &random(20, 1)).into_iter().all(|(_, place)| place < count as usize));
        }
    }
}
