//! Products of matrices, row by row, in safe loops that compilers make vectors of.

use rayon::prelude::*;

use super::Ring;

/// Entries of the right matrix that stay in the first cache: 16 KiB of 64-bit numbers.
const STRIP: usize = 1 << 11;

/// The product of a `rows` x `inner` and an `inner` x `columns` matrix. Panics where they have other sizes.
pub fn matmul<R: Ring>(rows: usize, inner: usize, columns: usize, a: &[R], b: &[R]) -> Vec<R> {
    assert!(a.len() == rows * inner && b.len() == inner * columns, "matrices of the stated sizes");
    let mut product = vec![R::ZERO; rows * columns];
    if product.is_empty() || inner == 0 {
        return product;
    }
    if columns == 1 {
        // one sum per row
        let dot = |row: &[R]| row.iter().zip(b).fold(R::ZERO, |sum, (a, b)| sum.plus(a.times(*b)));
        product.par_iter_mut().with_min_len(256).zip(a.par_chunks(inner)).for_each(|(out, row)| *out = dot(row));
        return product;
    }
    let together = (STRIP / columns).max(1);
    product.par_chunks_mut(columns).with_min_len(16).zip(a.par_chunks(inner)).for_each(|(out, row)| {
        for (a, b) in row.chunks(together).zip(b.chunks(together * columns)) {
            for (a, b) in a.iter().zip(b.chunks_exact(columns)) {
                out.iter_mut().zip(b).for_each(|(out, b)| *out = out.plus(a.times(*b)));
            }
        }
    });
    product
}

/// Rows and columns exchanged.
pub fn transposed<R: Ring>(rows: usize, columns: usize, values: &[R]) -> Vec<R> {
    (0..columns).flat_map(|column| (0..rows).map(move |row| values[row * columns + column])).collect()
}
