//! Hashing in every suite; see `protocols/vectors/README.md` for the vectors' origin.

use data_encoding::HEXLOWER;

use super::super::EcSuite;

const VECTORS: &str = include_str!("../../../../vectors/interop.txt");

#[test]
fn hashing_is_the_standards() {
    let hex = |text: &str| HEXLOWER.decode(text.trim_matches('-').as_bytes()).unwrap();
    let mut seen = 0;
    for line in VECTORS.lines().filter(|line| !line.starts_with('#')) {
        let [what, suite, from, point] = line.split(' ').collect::<Vec<_>>()[..] else { panic!("{line}") };
        let suite = match suite {
            "x25519-sha256" => EcSuite::X25519,
            "sm2-sha256-rehash" => EcSuite::Sm2Rehash,
            "sm2-sm3-increment" => EcSuite::Sm2Increment,
            other => panic!("{other}"),
        };
        let from = hex(from);
        let hashed = match what {
            "hash" => {
                let (head, tail) = from.split_at(from.len() / 2);
                assert_eq!(suite.hash(&[head, tail]), suite.hash(&[&from]), "{line}");
                suite.hash(&[&from])
            }
            _ => suite.onto_sm2(from.try_into().unwrap()),
        };
        assert_eq!(hashed, hex(point), "{line}");
        assert_eq!(hashed.len(), suite.point_bytes());
        seen += 1;
    }
    assert_eq!(seen, 39);
}
