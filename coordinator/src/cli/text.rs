//! Text for terminals: tables, numbers for people, and what strangers wrote made harmless.

use std::time::Duration;

/// Text that another party wrote, fit for one line of a terminal: control characters, and characters that hide or turn the
/// text around it, are shown by their code.
pub(crate) fn plain(text: &str) -> String {
    let hides = |c: char| {
        c.is_control()
            || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
    };
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if hides(c) { out.extend(c.escape_unicode()) } else { out.push(c) }
    }
    out
}

/// As [`plain`], of a text of several lines, such as the last ones of a log.
pub(crate) fn plain_lines(text: &str) -> String {
    text.lines().map(plain).collect::<Vec<_>>().join("\n")
}

/// Rows in columns, two spaces between them, the last column as long as it wants to be.
pub(crate) fn table(rows: &[Vec<String>]) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| {
        rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let mut out = String::new();
    for row in rows {
        let mut line = String::new();
        for (cell, width) in row.iter().zip(&widths) {
            line.push_str(cell);
            line.push_str(&" ".repeat(width - cell.chars().count() + 2));
        }
        out.push_str(line.trim_end());
        out.push('\n');
    }
    out
}

/// A number with a thin grouping: `30 000`.
pub(crate) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            out.push(' ');
        }
        out.push(digit);
    }
    out
}

/// Bytes for people: `17.3 MiB`.
pub(crate) fn bytes(number: u64) -> String {
    const UNITS: [&str; 4] = ["KiB", "MiB", "GiB", "TiB"];
    if number < 1024 {
        return format!("{number} bytes");
    }
    let mut value = number as f64 / 1024.0;
    let mut unit = 0;
    while value >= 1024.0 && unit + 1 < UNITS.len() {
        value /= 1024.0;
        unit += 1;
    }
    format!("{value:.1} {}", UNITS[unit])
}

/// A duration for people: `0.3 s`, `42 s`, `12 min`, `3.5 h`.
pub(crate) fn span(duration: Duration) -> String {
    match duration.as_secs_f64() {
        s if s < 0.1 => "under 0.1 s".to_owned(),
        s if s < 10.0 => format!("{s:.1} s"),
        s if s < 120.0 => format!("{s:.0} s"),
        s if s < 7200.0 => format!("{:.0} min", s / 60.0),
        s => format!("{:.1} h", s / 3600.0),
    }
}

/// The list with commas, or `none`.
pub(crate) fn list<T: ToString>(items: &[T], none: &str) -> String {
    if items.is_empty() {
        return none.to_owned();
    }
    items.iter().map(|item| plain(&item.to_string())).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strangers_cannot_move_the_cursor_or_turn_the_text() {
        assert_eq!(plain("credit\u{1b}[2Jscore\u{202e}x"), "credit\\u{1b}[2Jscore\\u{202e}x");
        assert_eq!(plain("信用评分 – ok\n  scenario  open"), "信用评分 – ok\\u{a}  scenario  open");
        assert_eq!(plain_lines("one\n\u{1b}two"), "one\n\\u{1b}two");
    }

    #[test]
    fn numbers_read_well() {
        assert_eq!([grouped(7), grouped(30_000), grouped(1_234_567)], ["7", "30 000", "1 234 567"]);
        assert_eq!([bytes(12), bytes(1 << 20), bytes(u64::MAX)], ["12 bytes", "1.0 MiB", "16777216.0 TiB"]);
        let spans = [30, 340, 41_700, 720_000, 12_600_000].map(|ms| span(Duration::from_millis(ms)));
        assert_eq!(spans, ["under 0.1 s", "0.3 s", "42 s", "12 min", "3.5 h"]);
    }
}
