use chacha20::ChaCha20Rng;
use rand_core::{Rng, SeedableRng};

use super::*;

/// Every length up to three batches of every engine, and one far above.
const LENGTHS: std::ops::Range<usize> = 0..132;

fn block(hex: u128) -> u128 {
    hex.swap_bytes()
}

fn random(count: usize, seed: u8) -> Vec<u128> {
    let mut rng = ChaCha20Rng::from_seed([seed; 32]);
    (0..count).map(|_| u128::from(rng.next_u64()) << 64 | u128::from(rng.next_u64())).collect()
}

fn known_answers<E: Engine>(engine: &E) {
    // FIPS 197, appendices B and C.1.
    for (key, plain, cipher) in [
        (0x2b7e151628aed2a6abf7158809cf4f3c, 0x3243f6a8885a308d313198a2e0370734, 0x3925841d02dc09fbdc118597196a0b32),
        (0x000102030405060708090a0b0c0d0e0f, 0x00112233445566778899aabbccddeeff, 0x69c4e0d86a7b0430d8cdb78070b4c55a),
    ] {
        let (key, plain, cipher) = (block(key), block(plain), block(cipher));
        let expanded = engine.expand(key);
        let mut blocks = [plain; 37];
        engine.encrypt(&expanded, &mut blocks);
        assert_eq!(blocks, [cipher; 37]);
        let mut blocks = [plain; 37];
        engine.mmo(&expanded, &mut blocks);
        assert_eq!(blocks, [cipher ^ plain; 37]);
        let mut blocks = [plain; 37];
        engine.davies_meyer(&[key; 37], &mut blocks);
        assert_eq!(blocks, [cipher ^ plain; 37]);
    }
}

#[test]
fn the_portable_engine_gives_the_published_answers() {
    known_answers(&Portable);
}

#[cfg(target_arch = "x86_64")]
#[test]
fn the_vector_engine_gives_the_published_answers_and_those_of_the_portable_one() {
    let Some(engine) = vaes::Vaes::detect() else { return };
    known_answers(&engine);
    let keys = random(LENGTHS.end, 1);
    for length in LENGTHS {
        let (ours, theirs) = (engine.expand(keys[length]), Portable.expand(keys[length]));
        let blocks = random(length, length as u8);
        let both = |one: &dyn Fn(&mut [u128]), other: &dyn Fn(&mut [u128])| {
            let (mut one_out, mut other_out) = (blocks.clone(), blocks.clone());
            one(&mut one_out);
            other(&mut other_out);
            assert_eq!(one_out, other_out, "{length} blocks");
        };
        both(&|x| engine.encrypt(&ours, x), &|x| Portable.encrypt(&theirs, x));
        both(&|x| engine.mmo(&ours, x), &|x| Portable.mmo(&theirs, x));
        both(&|x| engine.davies_meyer(&keys[..length], x), &|x| Portable.davies_meyer(&keys[..length], x));
        let mut children = [vec![0; 2 * length], vec![0; 2 * length]];
        engine.double([&ours, &engine.expand(7)], &blocks, &mut children[0]);
        Portable.double([&theirs, &Portable.expand(7)], &blocks, &mut children[1]);
        assert_eq!(children[0], children[1], "{length} parents");
    }
}

#[test]
fn children_are_hashes_of_their_parent_under_the_two_keys() {
    let parents = random(37, 3);
    let mut children = vec![0; 74];
    Doubling::new(1, 2).expand(&parents, &mut children);
    for (side, key) in [1, 2].into_iter().enumerate() {
        let mut hashed = parents.clone();
        Aes128::new(key).mmo(&mut hashed);
        assert!(hashed.iter().eq(children.iter().skip(side).step_by(2)));
    }
}

#[test]
fn a_stream_is_the_same_wherever_it_is_entered() {
    let mut whole = vec![0; 1000];
    prg(5, 0, &mut whole);
    for first in [1, 255, 256, 700] {
        let mut part = vec![0; 1000 - first];
        prg(5, first as u64, &mut part);
        assert_eq!(part, whole[first..]);
    }
    let mut counters: Vec<u128> = (0..1000).collect();
    Aes128::new(5).encrypt(&mut counters);
    assert_eq!(counters, whole);
}
