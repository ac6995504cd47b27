//! Kernels on blocks of 128 bits.

use std::hint::black_box;

use banyan_protocols::kernels::aes::{Aes128, Doubling, davies_meyer, prg};
use banyan_protocols::kernels::lpn::Code;
use banyan_protocols::kernels::okvs::Okvs;
use banyan_protocols::kernels::pprf::{Forest, grow, grow_punctured};
use banyan_protocols::kernels::{gf128, transpose};
use chacha20::ChaCha20Rng;
use chacha20::rand_core::SeedableRng;

use super::{Call, Secret};

/// More than any vector engine takes at a time, and not a multiple of it.
const BLOCKS: usize = 37;

/// Keys and blocks are secret, in every form of the cipher.
pub(super) fn aes(secret: &Secret) -> Call {
    let (keys, mut blocks, mut out) = (secret.blocks(0, BLOCKS), secret.blocks(1, BLOCKS), vec![0; 2 * BLOCKS]);
    Box::new(move || {
        let key = Aes128::new(keys[0]);
        key.encrypt(&mut blocks);
        key.mmo(&mut blocks);
        Doubling::new(keys[1], keys[2]).expand(&blocks, &mut out);
        davies_meyer(&keys, &mut blocks);
        prg(keys[3], 5, &mut out);
        black_box((&blocks, &out));
    })
}

/// All elements are secret.
pub(super) fn gf128_products(secret: &Secret) -> Call {
    let (mut a, b, k) = (secret.blocks(0, BLOCKS), secret.blocks(1, BLOCKS), secret.blocks(2, 1)[0]);
    Box::new(move || {
        gf128::mul_batch(&mut a, &b);
        gf128::scale(&mut a, k);
        gf128::scale_add(&mut a, &b, k);
        black_box((gf128::inner_product(&a, &b), gf128::mul(k, b[0]), gf128::inverse(k)));
    })
}

/// All bits are secret.
pub(super) fn transposition(secret: &Secret) -> Call {
    let columns = secret.blocks(0, 2 * transpose::COLUMNS);
    Box::new(move || {
        black_box(transpose::transpose(&columns));
    })
}

/// Two trees whose leaves do not fill their last level.
const FOREST: (usize, usize) = (2, 21);

/// The sender's keys are secret.
pub(super) fn forest(secret: &Secret) -> Call {
    let forest = Forest::new(FOREST.0, FOREST.1);
    let keys: Vec<_> =
        secret.blocks(0, 2 * FOREST.0 * forest.depth()).chunks(2).map(|pair| [pair[0], pair[1]]).collect();
    let mut leaves = vec![0; forest.len()];
    Box::new(move || {
        black_box((grow(&forest, &keys, &mut leaves), &leaves));
    })
}

/// The receiver's points are secret, and the keys that it got.
pub(super) fn punctured_forest(secret: &Secret) -> Call {
    let forest = Forest::new(FOREST.0, FOREST.1);
    let points = secret.bytes::<2>(0).map(|byte| u32::from(byte) % FOREST.1 as u32);
    let keys = secret.blocks(1, FOREST.0 * forest.depth());
    let pairs: Vec<_> =
        secret.blocks(2, 2 * FOREST.0 * forest.depth()).chunks(2).map(|pair| [pair[0], pair[1]]).collect();
    let mut leaves = vec![0; forest.len()];
    let sums = grow(&forest, &pairs, &mut leaves);
    Box::new(move || {
        black_box(forest.choices(&points));
        grow_punctured(&forest, &points, &keys, &sums, &mut leaves);
        black_box(&leaves);
    })
}

/// The noise is secret: where it is not zero, too. The code is public.
pub(super) fn linear_code(secret: &Secret) -> Call {
    let (outputs, length) = (64, 130);
    let mut noise = vec![0; length];
    secret.bytes::<4>(0).iter().for_each(|at| noise[usize::from(*at) % length] = u128::MAX / 3);
    Box::new(move || {
        Code::new(outputs, length).encode(&mut noise);
        black_box(&noise);
    })
}

/// The values are secret, and what fills the free slots. The keys decide what is peeled when, on the machine of who owns them
/// (see the kernel's page), and are the same in each run.
pub(super) fn okvs_values(secret: &Secret) -> Call {
    let keys: Vec<u128> = (1..=BLOCKS as u128).map(|n| n * 0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835).collect();
    let (values, seed) = (secret.blocks(0, BLOCKS), secret.bytes(1));
    Box::new(move || {
        let store = Okvs::new(BLOCKS, 7);
        let keys = store.arrange(&keys);
        let mut rng = ChaCha20Rng::from_seed(seed);
        let table = store.encode(&keys, &values, &mut rng).expect("different keys");
        let mut decoded = vec![0; BLOCKS];
        store.decode(&table, &keys, &mut decoded);
        black_box(decoded);
    })
}
