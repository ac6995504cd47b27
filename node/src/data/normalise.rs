//! Keys in one form, by the named and versioned rules of the spec, so that both parties compare the same bytes. The
//! bytes of a key never pass through a number: leading zeros and all eighteen digits survive.

use banyan_proto::job::Normalise;

/// Appends the normal form of `key` to `out`. Idempotent.
///
/// `trim-v1`: white space around goes (Unicode White_Space, so the full-width space U+3000 too).
/// `cn-id-v1`: first full-width U+FF01..U+FF5E and U+3000 become half-width, then the trimming, then the check digit:
/// 17 digits and an `x` end in `X`. Nothing else changes: capitals and inner spaces of other keys stay.
pub(super) fn normalise(rule: Normalise, key: &str, out: &mut Vec<u8>) {
    match rule {
        Normalise::TrimV1 => out.extend_from_slice(key.trim().as_bytes()),
        Normalise::CnIdV1 if key.is_ascii() => cn_id(key.trim(), out),
        Normalise::CnIdV1 => cn_id(key.chars().map(half_width).collect::<String>().trim(), out),
    }
}

fn cn_id(key: &str, out: &mut Vec<u8>) {
    /// GB 11643: 17 digits and a check digit, `0..9` or `X`.
    const DIGITS: usize = 17;
    match key.as_bytes() {
        [digits @ .., b'x'] if digits.len() == DIGITS && digits.iter().all(u8::is_ascii_digit) => {
            out.extend_from_slice(digits);
            out.push(b'X');
        }
        bytes => out.extend_from_slice(bytes),
    }
}

fn half_width(c: char) -> char {
    /// The distance of U+FF01 from `!`, the same for the whole block.
    const SHIFT: u32 = 0xFF01 - 0x21;
    match c {
        '\u{3000}' => ' ',
        '\u{FF01}'..='\u{FF5E}' => char::from_u32(c as u32 - SHIFT).unwrap_or(c),
        other => other,
    }
}

/// Appends one column of a composite key: its length as u32 big-endian, then its bytes, so that ("1", "23") and
/// ("12", "3") differ. A key of a single column is its bytes alone.
pub(super) fn join_part(part: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(&u32::try_from(part.len()).unwrap_or(u32::MAX).to_be_bytes());
    out.extend_from_slice(part);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn normal(rule: Normalise, key: &str) -> String {
        let mut out = Vec::new();
        normalise(rule, key, &mut out);
        String::from_utf8(out).expect("normal forms are UTF-8")
    }

    #[test]
    fn ids_as_people_type_them_become_one() {
        for typed in [
            "11010519491231002X",
            "11010519491231002x",
            " 11010519491231002x\t",
            "\u{3000}１１０１０５１９４９１２３１００２ｘ\u{3000}",
            "１1０１０５１９４９１２３１００２Ｘ\u{a0}",
        ] {
            assert_eq!(normal(Normalise::CnIdV1, typed), "11010519491231002X");
        }
        assert_eq!(normal(Normalise::CnIdV1, "000123"), "000123", "leading zeros stay");
        assert_eq!(normal(Normalise::CnIdV1, "abcx"), "abcx", "only check digits change case");
        assert_eq!(normal(Normalise::CnIdV1, "张　三"), "张 三");
        assert_eq!(normal(Normalise::TrimV1, "\u{3000}Ａx "), "Ａx");
        assert_eq!(normal(Normalise::CnIdV1, "\u{3000} \t"), "");
    }

    proptest! {
        #[test]
        fn twice_is_once(key in "\\PC{0,40}|[ 　０-９0-9xXｘＸ]{0,24}") {
            for rule in [Normalise::TrimV1, Normalise::CnIdV1] {
                let once = normal(rule, &key);
                prop_assert_eq!(normal(rule, &once), once);
            }
        }

        #[test]
        fn composite_keys_are_unambiguous(a in proptest::collection::vec(".{0,6}", 2), b in proptest::collection::vec(".{0,6}", 2)) {
            let join = |parts: &[String]| {
                let mut out = Vec::new();
                for part in parts { join_part(part.as_bytes(), &mut out); }
                out
            };
            prop_assert_eq!(join(&a) == join(&b), a == b);
        }
    }
}
