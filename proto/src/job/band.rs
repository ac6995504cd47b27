//! Size bands: what others learn of a set's size, and what it is padded to.

use serde::{Deserialize, Serialize};

/// The smallest band: sets smaller than this all look alike.
const BAND_MIN: u64 = 16;

/// A size band: 4, 5, 6 or 7 times a power of two, so that padding costs at most a quarter and the true size is hidden
/// among at least a fifth of its value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Band(u64);

impl Band {
    /// The smallest band that holds `rows`.
    pub fn covering(rows: u64) -> Self {
        if rows <= BAND_MIN {
            return Self(BAND_MIN);
        }
        // rows > 16: with `step` a quarter of the power of two at or below rows - 1, the next multiple of it is a band
        let step = 1_u64 << ((rows - 1).ilog2() - 2);
        Self(rows.div_ceil(step).saturating_mul(step))
    }

    /// The number of rows the band holds.
    pub fn rows(self) -> u64 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bands_cover_and_waste_at_most_a_quarter() {
        assert_eq!(Band::covering(0).rows(), 16);
        assert_eq!(Band::covering(17).rows(), 20);
        assert_eq!(Band::covering(30_000).rows(), 32_768);
        assert_eq!(Band::covering(1 << 16).rows(), 1 << 16);
        for rows in 17..5000_u64 {
            let band = Band::covering(rows).rows();
            assert!(band >= rows && band * 4 <= rows * 5 + 4, "{rows} -> {band}");
            assert_eq!(Band::covering(band).rows(), band, "a band is its own band");
        }
    }
}
