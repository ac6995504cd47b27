//! GF(2^255 - 19), which ristretto255 and Curve25519 share: eight elements per vector, and one at a time in safe code.

#[cfg(target_arch = "x86_64")]
pub(super) mod ifma;
pub(super) mod portable;

#[cfg(test)]
pub(super) mod tests;
