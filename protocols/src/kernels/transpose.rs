//! Transposition of bit matrices with 128 columns: from columns, as generators give them, to rows, as transfers use them.

#[cfg(target_arch = "x86_64")]
mod gfni;
mod portable;

#[cfg(test)]
mod tests;

/// Columns of a matrix, and bits of a row.
pub const COLUMNS: usize = 128;

/// The rows of a bit matrix of 128 columns. Column c is the blocks `columns[c * n..(c + 1) * n]`, where n is a 128th of all
/// blocks, with its first bit lowest. Row i has the bit of column c at place c; there are 128 n rows.
///
/// Panics where the blocks are no multiple of 128.
pub fn transpose(columns: &[u128]) -> Vec<u128> {
    assert!(columns.len().is_multiple_of(COLUMNS), "whole columns");
    #[cfg(target_arch = "x86_64")]
    if let Some(engine) = gfni::Gfni::detect() {
        return transpose_on(columns, |tile| engine.tile(tile));
    }
    transpose_on(columns, portable::tile)
}

/// Transposes squares of 128 x 128 bits in place: bit c of row r comes to bit r of row c. Panics where the blocks are no
/// multiple of 128.
pub fn transpose_tiles(blocks: &mut [u128]) {
    let (tiles, rest) = blocks.as_chunks_mut::<COLUMNS>();
    assert!(rest.is_empty(), "whole squares");
    #[cfg(target_arch = "x86_64")]
    if let Some(engine) = gfni::Gfni::detect() {
        return tiles.iter_mut().for_each(|tile| engine.tile(tile));
    }
    tiles.iter_mut().for_each(portable::tile);
}

/// The engine that runs here, for people.
pub fn engine() -> &'static str {
    #[cfg(target_arch = "x86_64")]
    if gfni::Gfni::detect().is_some() {
        return "AVX-512 VBMI with GFNI, 8 x 8 bits per quadword";
    }
    "portable"
}

/// A square of 128 x 128 bits.
type Tile = [u128; COLUMNS];

fn transpose_on(columns: &[u128], transpose: impl Fn(&mut Tile)) -> Vec<u128> {
    let blocks = columns.len() / COLUMNS;
    let mut rows = vec![0; columns.len()];
    let (tiles, _) = rows.as_chunks_mut::<COLUMNS>();
    for (block, tile) in tiles.iter_mut().enumerate() {
        for (column, out) in tile.iter_mut().enumerate() {
            *out = columns[column * blocks + block];
        }
        transpose(tile);
    }
    rows
}
