use super::*;

/// Columns whose bits follow no pattern.
fn columns(blocks: usize) -> Vec<u128> {
    let mut state = 0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835u128;
    let mut next = || {
        state = state.wrapping_mul(0x2360_ed05_1fc6_5da4_4385_df64_9fcc_f645).wrapping_add(1);
        state ^ state >> 61
    };
    (0..COLUMNS * blocks).map(|_| next()).collect()
}

#[test]
fn every_bit_goes_to_its_place_on_every_engine() {
    for blocks in [0, 1, 3] {
        let columns = columns(blocks);
        let bit = |column: usize, row: usize| columns[column * blocks + row / 128] >> (row % 128) & 1;
        let expected: Vec<u128> =
            (0..COLUMNS * blocks).map(|row| (0..COLUMNS).fold(0, |all, c| all | bit(c, row) << c)).collect();
        assert!(transpose_on(&columns, portable::tile) == expected, "portable, {blocks} blocks");
        assert!(transpose(&columns) == expected, "{}, {blocks} blocks", engine());
    }
}

#[test]
fn twice_is_nothing() {
    let columns = columns(1);
    assert!(transpose(&transpose(&columns)) == columns);
}
