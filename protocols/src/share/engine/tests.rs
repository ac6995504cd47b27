use super::testing::{PROVIDERS, run};
use super::*;
use crate::ring::Prg;
use crate::share::arithmetic::{and, mul};

#[test]
fn products_of_numbers_and_of_bits() {
    for provider in PROVIDERS {
        for len in [0, 1, 31, 33, 1000] {
            let mut prg = Prg::new(len as u128);
            let (x, y): (Vec<u64>, Vec<u64>) = (prg.elements(len), prg.elements(len));
            let (p, q) = (prg.bits(len), prg.bits(len));
            let opened = run(provider, async |e| {
                let (x, y) = (e.input(Seat::First, len, Some(x.clone())), e.input(Seat::Second, len, Some(y.clone())));
                let p = e.input_bits(Seat::First, len, Some(p.clone()));
                let q = e.input_bits(Seat::Second, len, Some(q.clone()));
                let product = mul(e, &x, &y).await?;
                let square = mul(e, &product, &(&product - &e.public(&vec![1; len]))).await?;
                let both = and(e, &p, &e.not(&q)).await?;
                Ok((e.open(&square).await?, e.open_bits(&both).await?))
            });
            for (squares, both) in &opened[..2] {
                for n in 0..len {
                    let product = x[n].wrapping_mul(y[n]);
                    assert_eq!(squares[n], product.wrapping_mul(product.wrapping_sub(1)));
                    assert_eq!(both.get(n), p.get(n) & !q.get(n) & 1);
                }
            }
            assert!(opened[2..].iter().all(|(squares, both)| squares.is_empty() && both.is_empty()));
        }
    }
}
