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
    file: String,
    chunk: Vec<u8>,
    at: usize,
    ended: bool,
    fields: Vec<u8>,
    ends: Vec<usize>,
    count: usize,
    lines: u64,
    line: u64,
}

impl<R: Read> Records<R> {
    /// Reads records from `input`; `file` is its name in errors.
    pub(crate) fn new(input: R, file: &str, encoding: Encoding, delimiter: u8) -> Self {
        Self {
            text: Utf8Reader::new(input, file, encoding),
            core: ReaderBuilder::new().delimiter(delimiter).build(),
            file: file.into(),
            chunk: Vec::new(),
            at: 0,
            ended: false,
            fields: vec![0; 4096],
            ends: vec![0; 64],
            count: 0,
            lines: 1,
            line: 0,
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
        let text = self.text.chunk()?;
        self.ended = text.is_empty();
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
