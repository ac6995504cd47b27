//! Text for terminals: tables, and what strangers wrote made harmless.

/// Text that another party wrote, fit for a terminal: control characters, and characters that hide or turn the text
/// around it, are shown by their code.
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

/// Rows in columns, two spaces between them, the last column as long as it wants to be.
pub(crate) fn table(rows: &[Vec<String>]) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| rows.iter().filter_map(|row| row.get(column)).map(|cell| wide(cell)).max().unwrap_or(0);
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let mut out = String::new();
    for row in rows {
        let mut line = String::new();
        for (cell, width) in row.iter().zip(&widths) {
            line.push_str(cell);
            line.push_str(&" ".repeat(width - wide(cell) + 2));
        }
        out.push_str(line.trim_end());
        out.push('\n');
    }
    out
}

/// A row of a table.
pub(crate) fn row<const N: usize>(cells: [&str; N]) -> Vec<String> {
    cells.iter().map(|cell| (*cell).to_owned()).collect()
}

/// The list, or `none`.
pub(crate) fn list<T: ToString>(items: &[T], none: &str) -> String {
    if items.is_empty() {
        return none.to_owned();
    }
    items.iter().map(|item| plain(&item.to_string())).collect::<Vec<_>>().join(", ")
}

/// A number with a thin grouping, for people: `30 000`.
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

/// Columns that a terminal gives `text`: two for each East Asian wide character.
fn wide(text: &str) -> usize {
    let two = |c: char| matches!(u32::from(c), 0x1100..=0x115f | 0x2e80..=0xa4cf | 0xac00..=0xd7a3 | 0xf900..=0xfaff | 0xfe30..=0xfe6f | 0xff00..=0xff60 | 0xffe0..=0xffe6);
    text.chars().map(|c| if two(c) { 2 } else { 1 }).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strangers_cannot_move_the_cursor_or_turn_the_text() {
        assert_eq!(plain("credit\u{1b}[2Jscore\u{202e}x"), "credit\\u{1b}[2Jscore\\u{202e}x");
        assert_eq!(plain("信用评分 – ok"), "信用评分 – ok");
    }

    #[test]
    fn columns_line_up_in_chinese_too() {
        let rows = [row(["tax", "a"]), row(["税务局", "b"])];
        assert_eq!(table(&rows), "tax     a\n税务局  b\n");
    }

    #[test]
    fn numbers_read_well() {
        assert_eq!([grouped(7), grouped(30_000), grouped(1_234_567)], ["7", "30 000", "1 234 567"]);
        assert_eq!([bytes(12), bytes(1 << 20), bytes(u64::MAX)], ["12 bytes", "1.0 MiB", "16777216.0 TiB"]);
    }
}
