//! What a job file that does not parse is told: the field, what is wrong with it in plain words, and how it is written.

use std::ops::Range;

use super::{Spec, SpecError};

/// The error of the field at `path`.
pub(super) fn field(text: &str, path: &str, error: &toml::de::Error) -> SpecError {
    let path = if path == "." { "" } else { path };
    let place = |what: String| format!("{what}; {}", place(text, error.span()));
    if let Some(name) = quoted_after(error.message(), "missing field `") {
        let field = if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") };
        let write = write(&field);
        // a table that is wanting in the whole file is wanting nowhere in particular
        let remedy = if path.is_empty() { format!("{write}; {WHOLE}") } else { place(write) };
        return SpecError::new(field, "missing", remedy);
    }
    let field = if path.is_empty() { "job file" } else { path };
    match of_another_type(text, error) {
        Some(reason) => SpecError::new(field, reason, place(write(path))),
        None => SpecError::new(field, error.message(), self::place(text, error.span())),
    }
}

/// Where to look.
pub(super) fn place(text: &str, span: Option<Range<usize>>) -> String {
    let Some(before) = span.and_then(|span| text.get(..span.start)) else { return WHOLE.to_owned() };
    let line = before.matches('\n').count() + 1;
    let column = before.chars().rev().take_while(|c| *c != '\n').count() + 1;
    format!("see line {line}, column {column}, and `banyan job check --example` for a whole job file")
}

const WHOLE: &str = "`banyan job check --example` prints a whole job file";

/// A value of another type than its field, in plain words.
fn of_another_type(text: &str, error: &toml::de::Error) -> Option<String> {
    let value = error.span().and_then(|span| text.get(span)).unwrap_or_default();
    let message = error.message();
    if message == "wanted string or table" {
        return Some(format!("expected one word in quotes, found {value}"));
    }
    let told = message.strip_prefix("invalid type: ").or_else(|| message.strip_prefix("invalid value: "))?;
    let (found, expected) = told.split_once(", expected ")?;
    let expected = match expected.split_whitespace().next()? {
        "u32" => "a whole number from 0 to 4294967295",
        "u64" => "a whole number, not below 0",
        "a" if expected.ends_with("string") => "text in quotes",
        "a" if expected.ends_with("sequence") => "a list in brackets",
        "struct" => "a table",
        _ => expected,
    };
    let found = match found.split_whitespace().next()? {
        // the parser hands a time over as a table
        "map" if value.starts_with(|c: char| c.is_ascii_digit()) => "a time without quotes",
        "map" => "a table",
        "sequence" => "a list",
        "string" => "text",
        "integer" | "floating" | "boolean" => value,
        _ => found,
    };
    Some(format!("expected {expected}, found {found}"))
}

/// How the field at `path` is written, as the example has it.
pub(super) fn write(path: &str) -> String {
    let (table, name) = path.rsplit_once('.').unwrap_or(("", path));
    let (table, name) = (without_positions(table), without_positions(name));
    let whole = if table.is_empty() { name.clone() } else { format!("{table}.{name}") };
    let mut within = String::new();
    for line in Spec::EXAMPLE.lines() {
        let line = line.strip_prefix("# ").unwrap_or(line);
        let line = line.split_once(" #").map_or(line, |(line, _)| line).trim_end();
        if line.starts_with('[') {
            within = line.trim_matches(['[', ']']).to_owned();
            if within == whole {
                return format!("write {line} and its fields");
            }
        }
        if within == table && line.split_once(" = ").is_some_and(|(key, _)| key == name) {
            return format!("write {line}");
        }
    }
    "write it as the example does".to_owned()
}

/// `parties[1].key[0]` as `parties.key`.
fn without_positions(path: &str) -> String {
    path.split('[').map(|part| part.split_once(']').map_or(part, |(_, rest)| rest)).collect()
}

fn quoted_after<'a>(message: &'a str, start: &str) -> Option<&'a str> {
    message.strip_prefix(start)?.split_once('`').map(|(name, _)| name)
}
