//! CSV records with the line each starts on. Splitting is csv-core's; counting, limits and words are ours, because the
//! reader of an error needs the line in the file and must not be shown the value.

use std::io::Read;

use csv_core::{ReadRecordResult, ReaderBuilder};

use super::encoding::{Encoding, Utf8Reader};
use super::error::DataError;

/// Bytes of one row, without its quotes. A wide row has kilobytes; a quote left open has the rest of the file.
const ROW_BYTES_MAX: usize = 1 << 20;

/// Fields of one row.
const ROW_FIELDS_MAX: usize = 4096;

/// A reader of records.
pub(crate) struct Records<R> {
    text: Utf8Reader<R>,
    core: csv_core::Reader,
    quotes: Option<Quotes>,
    file: String,
    chunk: Vec<u8>,
    at: usize,
    ended: bool,
    fields: Vec<u8>,
    ends: Vec<usize>,
    count: usize,
    lines: u64,
    line: u64,
    /// The first of the empty lines that were passed over before the record.
    empty: Option<u64>,
    /// The line that the record ends on.
    last: u64,
}

impl<R: Read> Records<R> {
    /// Reads records from `input`; `file` is its name in errors.
    pub(crate) fn new(input: R, file: &str, encoding: Encoding, delimiter: u8) -> Self {
        let core = ReaderBuilder::new().delimiter(delimiter).build();
        let quotes = Quotes { delimiter, place: Place::Start, opened: 0 };
        Self::over(Utf8Reader::new(input, file, encoding), file, core, Some(quotes))
    }

    /// Reads lines as records of one field, with the quotes and delimiters they have.
    pub(crate) fn lines(input: R, file: &str, encoding: Encoding) -> Self {
        /// No text has it.
        const NONE: u8 = 0;
        let core = ReaderBuilder::new().delimiter(NONE).quoting(false).build();
        Self::over(Utf8Reader::new(input, file, encoding), file, core, None)
    }

    fn over(text: Utf8Reader<R>, file: &str, core: csv_core::Reader, quotes: Option<Quotes>) -> Self {
        Self {
            text,
            core,
            quotes,
            file: file.into(),
            chunk: Vec::new(),
            at: 0,
            ended: false,
            fields: vec![0; 4096],
            ends: vec![0; 64],
            count: 0,
            lines: 1,
            line: 0,
            empty: None,
            last: 0,
        }
    }

    /// Moves to the next record; false at the end of the file. Empty lines are passed over.
    pub(crate) fn advance(&mut self) -> Result<bool, DataError> {
        let previous = self.line;
        let (mut bytes, mut ends) = (0, 0);
        let mut started = false;
        loop {
            if self.at == self.chunk.len() && !self.ended {
                self.refill()?;
            }
            if !started {
                self.skip_line_ends();
                if self.at == self.chunk.len() && !self.ended {
                    continue;
                }
                started = true;
                self.line = self.lines;
                self.empty = Some(self.last + 1).filter(|empty| *empty < self.line);
            }
            let input = &self.chunk[self.at..];
            let (result, read, written, ended) =
                self.core.read_record(input, &mut self.fields[bytes..], &mut self.ends[ends..]);
            self.lines += newlines(&input[..read]);
            self.at += read;
            bytes += written;
            ends += ended;
            match result {
                ReadRecordResult::InputEmpty => {}
                ReadRecordResult::OutputFull => grow(&mut self.fields, ROW_BYTES_MAX, &self.file, self.line)?,
                ReadRecordResult::OutputEndsFull => grow(&mut self.ends, ROW_FIELDS_MAX, &self.file, self.line)?,
                ReadRecordResult::Record if self.line == previous => {
                    return Err(DataError::LineEnds { file: self.file.clone(), line: self.line });
                }
                ReadRecordResult::Record => {
                    self.count = ends;
                    self.last = self.lines - u64::from(input[..read].ends_with(b"\n"));
                    return Ok(true);
                }
                ReadRecordResult::End => return Ok(false),
            }
        }
    }

    /// The line the record starts on, counted from 1.
    pub(crate) fn line(&self) -> u64 {
        self.line
    }

    /// The first of the empty lines before the record, if there are any.
    pub(crate) fn empty_line(&self) -> Option<u64> {
        self.empty
    }

    /// How many fields the record has.
    pub(crate) fn len(&self) -> usize {
        self.count
    }

    /// A field of the record. Out of range is empty.
    pub(crate) fn field(&self, index: usize) -> &str {
        if index >= self.count {
            return "";
        }
        let start = if index == 0 { 0 } else { self.ends[index - 1] };
        // the text is UTF-8 and its delimiters are ASCII, so fields are cut at character boundaries
        std::str::from_utf8(&self.fields[start..self.ends[index]]).unwrap_or_default()
    }

    fn refill(&mut self) -> Result<(), DataError> {
        let line = self.text.line();
        let text = self.text.chunk()?;
        self.ended = text.is_empty();
        if let Some(quotes) = &mut self.quotes {
            quotes.pass(&self.file, line, text.as_bytes())?;
        }
        self.chunk.clear();
        self.chunk.extend_from_slice(text.as_bytes());
        self.at = 0;
        Ok(())
    }

    fn skip_line_ends(&mut self) {
        let rest = &self.chunk[self.at..];
        let skipped = rest.iter().take_while(|byte| matches!(byte, b'\r' | b'\n')).count();
        self.lines += newlines(&rest[..skipped]);
        self.at += skipped;
    }
}

/// Looks at the quotes on the way. csv-core takes them as they come: one too many would join the lines up to the next one
/// into a cell, or the rest of the file, and the rows between would be gone without a word.
struct Quotes {
    delimiter: u8,
    place: Place,
    /// The line of the last quote that opened a cell.
    opened: u64,
}

/// Where in a cell.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Start,
    Plain,
    Quoted,
    /// Behind a quote within quotes: it closes the cell, or is the first of two that stand for one.
    Closing,
}

impl Quotes {
    /// Passes over text that begins on `line`; none is the end of the file.
    fn pass(&mut self, file: &str, mut line: u64, text: &[u8]) -> Result<(), DataError> {
        let ends = |byte: u8| byte == self.delimiter || byte == b'\r' || byte == b'\n';
        let outside = matches!(self.place, Place::Start | Place::Plain);
        match text.last() {
            None if self.place == Place::Quoted => {
                return Err(DataError::OpenQuote { file: file.into(), line: self.opened });
            }
            None => return Ok(()),
            Some(last) if outside && !text.contains(&b'"') => {
                self.place = if ends(*last) { Place::Start } else { Place::Plain };
                return Ok(());
            }
            Some(_) => {}
        }
        for byte in text {
            self.place = match (self.place, *byte) {
                (Place::Quoted, b'"') => Place::Closing,
                (Place::Quoted, _) | (Place::Closing, b'"') => Place::Quoted,
                (Place::Start, b'"') => {
                    self.opened = line;
                    Place::Quoted
                }
                (_, byte) if ends(byte) => Place::Start,
                (Place::Closing, _) => {
                    return Err(DataError::StrayQuote { file: file.into(), line, opened: self.opened });
                }
                (Place::Start | Place::Plain, _) => Place::Plain,
            };
            line += u64::from(*byte == b'\n');
        }
        Ok(())
    }
}

fn newlines(bytes: &[u8]) -> u64 {
    bytes.iter().filter(|byte| **byte == b'\n').count() as u64
}

fn grow<T: Default + Clone>(buffer: &mut Vec<T>, max: usize, file: &str, line: u64) -> Result<(), DataError> {
    if buffer.len() >= max {
        return Err(DataError::RowTooLong { file: file.into(), line, max });
    }
    buffer.resize((buffer.len() * 2).min(max), T::default());
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Vec<(u64, Vec<String>)>, DataError> {
        let mut records = Records::new(text.as_bytes(), "t.csv", Encoding::Utf8, b',');
        let mut all = Vec::new();
        while records.advance()? {
            all.push((records.line(), (0..records.len()).map(|i| records.field(i).to_owned()).collect()));
        }
        Ok(all)
    }

    fn row(line: u64, fields: &[&str]) -> (u64, Vec<String>) {
        (line, fields.iter().map(|field| (*field).to_owned()).collect())
    }

    #[test]
    fn lines_are_those_of_the_file() {
        for end in ["\n", "\r\n"] {
            let text = ["a,b", "1,\"x", "y\"", "", "2,\"\"\"q\"\"\"", "3,"].join(end);
            let inner = format!("x{end}y");
            let rows = [row(1, &["a", "b"]), row(2, &["1", &inner]), row(5, &["2", "\"q\""]), row(6, &["3", ""])];
            assert_eq!(read(&text).unwrap(), rows);
            assert_eq!(read(&(text + end)).unwrap(), rows, "a last line end changes nothing");
        }
        assert!(read("").unwrap().is_empty());
        assert!(read("\n\r\n").unwrap().is_empty());
    }

    #[test]
    fn empty_lines_are_passed_over_and_placed() {
        for end in ["\n", "\r\n"] {
            let text = ["a", "\"1", "\"", "", "", "2", "3"].join(end);
            let mut records = Records::new(text.as_bytes(), "t.csv", Encoding::Utf8, b',');
            let mut seen = Vec::new();
            while records.advance().unwrap() {
                seen.push((records.line(), records.empty_line()));
            }
            assert_eq!(seen, [(1, None), (2, None), (6, Some(4)), (7, None)]);
        }
    }

    #[test]
    fn a_quote_left_open_swallows_no_row() {
        let open = |text: &str| read(text).unwrap_err().to_string();
        let message = |line: u64| {
            format!(
                "t.csv line {line}: the quote that is opened here is never closed, so the rest of the file would be one cell; close it, and write a quote inside quotes twice"
            )
        };
        assert_eq!(open("id,name\n1,\"abc\n2,def\n3,ghi\n"), message(2));
        assert_eq!(open("id,name\n1,a\n2,\"abc"), message(3));
        assert_eq!(open("\""), message(1));
        assert_eq!(open("a,\"x\ny\",\"z\n"), message(2), "not where the row starts");
        for (text, lines) in
            [("id,name\n1,\"abc\n2,def\n3,\"ghi\n", [4, 2]), ("\"a\"b\n", [1, 1]), ("a\n\"b\" ,c\n", [2, 2])]
        {
            let [line, opened] = lines;
            let message = format!(
                "t.csv line {line}: text behind the quote that closes the one of line {opened}; one of the two is left over: write a quote inside quotes twice, and nothing between a closing quote and the delimiter"
            );
            assert_eq!(open(text), message, "{text:?}");
        }
        assert_eq!(read("5\" disk,a\"\n").unwrap(), [row(1, &["5\" disk", "a\""])], "no cell opens there");
        for closed in ["a,\"b\"", "a,\"b\"\n", "a,\"b\"\r"] {
            assert_eq!(read(closed).unwrap(), [row(1, &["a", "b"])], "{closed:?}");
        }
        assert_eq!(read("a,").unwrap(), [row(1, &["a", ""])]);
    }

    #[test]
    fn what_is_no_row_is_refused() {
        assert_eq!(
            read("a,b\r1,2\r").unwrap_err().to_string(),
            "t.csv line 1: rows end in a bare carriage return; save the file with LF or CRLF line ends"
        );
        let open = format!("a\n\"{}", "x\n".repeat(ROW_BYTES_MAX));
        assert_eq!(
            read(&open).unwrap_err().to_string(),
            "t.csv line 2: a row longer than 1048576 bytes or fields; is a quote left open on this line?"
        );
        assert!(matches!(
            read(&",".repeat(ROW_FIELDS_MAX + 1)),
            Err(DataError::RowTooLong { max: ROW_FIELDS_MAX, .. })
        ));
    }
}
