//! Eight elements per vector with AVX-512 IFMA, which multiplies 52-bit integers in eight lanes.
//!
//! # Safety
//! Functions below are safe ones with `#[target_feature]`: the compiler lets them call each other, and asks for `unsafe`
//! where the rest of the crate enters. That is where an engine's methods do, behind an [`Ifma`], which [`Ifma::detect`] makes
//! only where the processor has every feature named. Beside that, [`lanes`] loads and stores vectors through pointers to
//! arrays of their size.

pub(in crate::kernels) mod field;
pub(in crate::kernels) mod lanes;
pub(in crate::kernels) mod root;
#[cfg(test)]
pub(in crate::kernels) mod tests;

/// Proof that this processor has AVX-512 F, DQ, VL and IFMA.
pub(in crate::kernels) struct Ifma(());

impl Ifma {
    /// The engine, where the processor and the operating system support it.
    pub(in crate::kernels) fn detect() -> Option<Self> {
        let found = is_x86_feature_detected!("avx512f")
            && is_x86_feature_detected!("avx512dq")
            && is_x86_feature_detected!("avx512vl")
            && is_x86_feature_detected!("avx512ifma");
        found.then_some(Self(()))
    }
}
