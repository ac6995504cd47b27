use sha2::{Digest, Sha256};

use super::*;

/// Every length through two blocks, in batches that are full and not.
fn agrees<E: Engine>(engine: &E) {
    let prefix: [u8; 64] = std::array::from_fn(|n| n as u8);
    let text: Vec<u8> = (0..200).map(|n| (n * 7) as u8).collect();
    for count in [0, 1, 15, 16, 17, 150] {
        let mut out = vec![0; count];
        let write = |place: usize, ending: &mut Ending| {
            let (head, tail) = text[..place].split_at(place / 3);
            ending.put(head);
            ending.put(tail);
        };
        Prefixed::new(&prefix).hash_on(engine, &mut out, write);
        for (place, hash) in out.into_iter().enumerate() {
            let digest = Sha256::new_with_prefix(prefix).chain_update(&text[..place]).finalize();
            assert_eq!(hash.to_le_bytes(), digest[..16], "{place} bytes");
        }
    }
}

#[test]
fn the_portable_engine_agrees_with_the_crate() {
    agrees(&Portable);
}

#[cfg(target_arch = "x86_64")]
#[test]
fn the_vector_engine_agrees_with_the_crate() {
    if let Some(engine) = avx512::Avx512::detect() {
        agrees(&engine);
    }
}

/// FIPS 180-2, appendix B.2, whose message of two blocks is the shortest published one that has a first block of its own: the
/// 448-bit message of which 56 bytes leave no room for the padding.
#[test]
fn a_published_digest_of_each_engine() {
    let mut first = [0; 64];
    first[..56].copy_from_slice(b"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq");
    first[56] = 0x80;
    let mut second = [0; 64];
    second[62..].copy_from_slice(&448u16.to_be_bytes());
    let Prefixed(state) = Prefixed::new(&first);
    let expected: [u32; 8] =
        [0x248d6a61, 0xd20638b8, 0xe5c02693, 0x0c3e6039, 0xa33ce459, 0x64ff2167, 0xf6ecedd4, 0x19db06c1];
    let mut states = [state; BATCH];
    Portable.compress(&mut states, &[second; BATCH]);
    assert_eq!(states, [expected; BATCH]);
    #[cfg(target_arch = "x86_64")]
    if let Some(engine) = avx512::Avx512::detect() {
        let mut states = [state; BATCH];
        engine.compress(&mut states, &[second; BATCH]);
        assert_eq!(states, [expected; BATCH]);
    }
}
