//! Numbers with a fraction, as whole numbers of 2^-f; and the range that an owner's numbers are checked against.

use super::Ring;

/// How a column of numbers is put into the ring: in units of 2^-f, and below 2^b in magnitude. Public, and agreed in the plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fixed {
    /// Bits of the fraction, f.
    pub fraction: u32,
    /// Bits before the point without the sign, b: magnitudes are below 2^b.
    pub whole: u32,
}

/// A number that does not fit: names its row, never its value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the number in row {row} is not below 2^{whole} in magnitude, or is none: scale or clip the column")]
pub struct OutOfRange {
    /// Its row.
    pub row: u64,
    /// The bound's exponent.
    pub whole: u32,
}

impl Fixed {
    /// What [`crate::share`] uses unless told otherwise: steps of 2^-20, magnitudes below 2^20. A product of two such numbers, before
    /// it is cut, is below 2^80: so it is to be of numbers whose product is known to be below 2^22 (see [`Fixed::product_bits`]).
    pub const NUMBERS: Self = Self { fraction: 20, whole: 20 };

    /// Whole numbers below 2^`whole`.
    pub const fn integers(whole: u32) -> Self {
        Self { fraction: 0, whole }
    }

    /// Puts numbers into the ring, each rounded to the nearest step, ties away from zero: the error is at most half a step.
    /// The place where an owner's data enters: what is out of range, infinite or no number, is refused.
    ///
    /// # Errors
    /// [`OutOfRange`] names the first row that does not fit; the first of all where f + b does not leave room for a sign.
    pub fn encode<R: Ring>(self, values: &[f64]) -> Result<Vec<R>, OutOfRange> {
        let (bound, step) = (2f64.powi(self.whole as i32), 2f64.powi(self.fraction as i32));
        let put = |(row, value): (usize, &f64)| match (self.fits::<R>() && value.abs() < bound)
            .then(|| (value * step).round())
        {
            Some(steps) if steps.abs() < bound * step => Ok(R::from_i128(steps as i128)),
            _ => Err(OutOfRange { row: row as u64, whole: self.whole }),
        };
        values.iter().enumerate().map(put).collect()
    }

    /// Puts whole numbers into the ring, in steps of 2^-f, exactly.
    ///
    /// # Errors
    /// [`OutOfRange`] names the first row that does not fit.
    pub fn encode_integers<R: Ring>(self, values: &[i64]) -> Result<Vec<R>, OutOfRange> {
        let put = |(row, value): (usize, &i64)| {
            let fits = self.fits::<R>() && (self.whole >= 64 || value.unsigned_abs() >> self.whole == 0);
            let steps = i128::from(*value) << self.fraction;
            if fits { Ok(R::from_i128(steps)) } else { Err(OutOfRange { row: row as u64, whole: self.whole }) }
        };
        values.iter().enumerate().map(put).collect()
    }

    /// One number for a program's text, such as a coefficient, rounded to the nearest step.
    pub fn constant<R: Ring>(self, value: f64) -> R {
        R::from_i128((value * 2f64.powi(self.fraction as i32)).round() as i128)
    }

    /// The numbers that elements stand for.
    pub fn decode<R: Ring>(self, values: &[R]) -> Vec<f64> {
        let step = 2f64.powi(-(self.fraction as i32));
        values.iter().map(|value| value.to_i128() as f64 * step).collect()
    }

    /// Whether every number has its own element, with its sign.
    const fn fits<R: Ring>(self) -> bool {
        self.bits() < R::BITS
    }

    /// Bits of an element's magnitude: f + b.
    pub const fn bits(self) -> u32 {
        self.fraction + self.whole
    }

    /// Bits that the magnitude of a sum of 2^`log_terms` products of two such elements may have, before the product is cut
    /// back to one fraction. What is cut must stay below [`crate::share::arithmetic::TRUNCATED_BITS`].
    pub const fn product_bits(self, other: Self, log_terms: u32) -> u32 {
        self.bits() + other.bits() + log_terms
    }
}
