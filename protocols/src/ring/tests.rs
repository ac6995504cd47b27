use super::*;

#[test]
fn numbers_keep_half_a_step_and_what_does_not_fit_is_named() {
    let fixed = Fixed { fraction: 18, whole: 20 };
    let values = [0.0, 1.5, -1.5, 1048575.99, -1048575.99, 1e-6, -1e-6, 3.0 / 7.0];
    for (value, back) in values.iter().zip(fixed.decode(&fixed.encode::<u64>(&values).unwrap())) {
        assert!((value - back).abs() <= 2f64.powi(-19), "{value} {back}");
    }
    assert_eq!(
        fixed.encode::<u64>(&values),
        fixed.encode::<u128>(&values).map(|all| all.iter().map(|v| *v as u64).collect())
    );
    for bad in [1048576.0, -1048576.0, 1048575.9999999, f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        assert_eq!(fixed.encode::<u64>(&[1.0, bad]), Err(OutOfRange { row: 1, whole: 20 }), "{bad}");
    }
    let exact = Fixed { fraction: 2, whole: 62 };
    let (most, least) = ((1i64 << 62) - 1, -(1i64 << 62) + 1);
    assert_eq!(
        exact.encode_integers::<u128>(&[most, least]).unwrap(),
        [(most as u128) << 2, (i128::from(least) << 2) as u128]
    );
    assert_eq!(exact.encode_integers::<u128>(&[i64::MIN]), Err(OutOfRange { row: 0, whole: 62 }));
    assert_eq!(Fixed::integers(63).encode_integers::<u64>(&[i64::MIN]), Err(OutOfRange { row: 0, whole: 63 }));
}

#[test]
fn a_stream_is_the_same_however_it_is_asked_for_in_whole_blocks() {
    let mut all = Prg::new(7);
    let mut parts = Prg::new(7);
    let whole: Vec<u64> = all.elements(6000);
    let again: Vec<u64> = [2, 2050, 0, 3948].into_iter().flat_map(|count| parts.elements::<u64>(count)).collect();
    assert_eq!(whole, again);
    assert_eq!(all.blocks(3), parts.blocks(3));
    assert_eq!(Prg::new(7).elements::<u128>(1)[0], u128::from(whole[0]) | u128::from(whole[1]) << 64);
    assert_ne!(Prg::new(8).elements::<u64>(1)[0], whole[0]);
    assert_ne!(Prg::new(7).fork().blocks(1), Prg::new(7).blocks(1));
}

#[test]
fn planes_have_the_bits_of_numbers() {
    fn check<R: Ring>() {
        for len in [0, 1, 127, 128, 129, 255, 256, 257, 1000] {
            let values: Vec<R> = Prg::new(len as u128).elements(len);
            let planes = planes(&values);
            assert_eq!(planes.len(), R::BITS as usize);
            for (place, plane) in planes.iter().enumerate() {
                let bit = |n: usize| (values[n].low() >> place) as u8 & 1;
                assert!(plane.len() == len && plane.iter().enumerate().all(|(n, b)| b == bit(n)), "{len} {place}");
            }
            let planes: Vec<_> = planes.iter().collect();
            assert_eq!(from_planes::<R>(&planes, len), values, "{len}");
            let low: Vec<R> = values.iter().map(|value| R::from_low(value.low() & 7)).collect();
            assert_eq!(from_planes::<R>(&planes[..3], len), low, "{len}");
        }
    }
    check::<u64>();
    check::<u128>();
}

#[test]
fn products_of_matrices() {
    for (rows, inner, columns) in [(0, 3, 2), (3, 0, 2), (1, 1, 1), (5, 7, 1), (1, 9, 4), (33, 65, 70), (4, 2, 3000)] {
        let mut prg = Prg::new(9);
        let (a, b): (Vec<u64>, Vec<u64>) = (prg.elements(rows * inner), prg.elements(inner * columns));
        let product = matmul(rows, inner, columns, &a, &b);
        let back = transposed(
            columns,
            rows,
            &matmul(columns, inner, rows, &transposed(inner, columns, &b), &transposed(rows, inner, &a)),
        );
        assert_eq!(product, back);
        for row in 0..rows {
            for column in 0..columns {
                let terms = (0..inner).map(|k| a[row * inner + k].wrapping_mul(b[k * columns + column]));
                assert_eq!(product[row * columns + column], terms.fold(0, u64::wrapping_add));
            }
        }
    }
}
