//! Eklundh's transposition: blocks off the diagonal change places, from halves down to single bits.

use super::{COLUMNS, Tile};

pub(super) fn tile(tile: &mut Tile) {
    let mut width = COLUMNS / 2;
    let mut low = u128::MAX >> width; // the lower `width` of every 2 * `width` bits
    while width > 0 {
        for start in (0..COLUMNS).step_by(2 * width) {
            for row in start..start + width {
                let swap = (tile[row] >> width ^ tile[row + width]) & low;
                tile[row] ^= swap << width;
                tile[row + width] ^= swap;
            }
        }
        width /= 2;
        low ^= low << width;
    }
}
