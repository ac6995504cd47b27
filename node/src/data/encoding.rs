//! Files as UTF-8, chunk by chunk: byte order marks, GBK and GB18030, gzip. A byte sequence that the encoding does not
//! have is an error with its line and column, never a replacement character in somebody's id.
//!
//! What is not found: UTF-8 in a file declared as GBK or GB18030, where each run of Chinese characters has an even number
//! of them. Its bytes are text in both, so it reads as other characters; an odd run, as most names of three characters
//! are, is malformed and placed.

use std::io::{self, Read};

use encoding_rs::{Decoder, DecoderResult, GB18030};

use super::error::DataError;

/// Bytes read at a time. 128 KiB keeps system calls rare and the buffers in the second-level cache.
const CHUNK: usize = 128 * 1024;

/// How the text of a CSV file is written. A UTF-8 byte order mark in the file wins over the catalogue.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Encoding {
    /// UTF-8, with or without a byte order mark.
    #[default]
    Utf8,
    /// GBK; read as its superset GB18030.
    Gbk,
    /// GB18030.
    Gb18030,
}

impl Encoding {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Utf8, Self::Gbk, Self::Gb18030];

    /// The name in catalog.toml.
    pub fn name(self) -> &'static str {
        match self {
            Self::Utf8 => "utf-8",
            Self::Gbk => "gbk",
            Self::Gb18030 => "gb18030",
        }
    }
}

/// A stream of UTF-8 chunks over a file's bytes, counting lines.
pub(crate) struct Utf8Reader<R> {
    input: R,
    file: String,
    encoding: Encoding,
    decoder: Option<Decoder>,
    raw: Vec<u8>,
    /// Unread bytes of `raw`: from `start` to its end.
    start: usize,
    text: String,
    ended: bool,
    opened: bool,
    line: u64,
    column: u64,
}

impl<R: Read> Utf8Reader<R> {
    /// Reads `input`; `file` is its name in errors.
    pub(crate) fn new(input: R, file: impl Into<String>, encoding: Encoding) -> Self {
        Self {
            input,
            file: file.into(),
            encoding,
            decoder: None,
            raw: Vec::new(),
            start: 0,
            text: String::new(),
            ended: false,
            opened: false,
            line: 1,
            column: 1,
        }
    }

    /// The next piece of text; empty at the end of the file. The pieces are cut at character boundaries.
    pub(crate) fn chunk(&mut self) -> Result<&str, DataError> {
        self.text.clear();
        while self.text.is_empty() && !(self.ended && self.start == self.raw.len()) {
            self.fill()?;
            self.open()?;
            match self.decoder.take() {
                None => self.utf8()?,
                Some(decoder) => self.gb(decoder)?,
            }
            if self.text.contains('\0') {
                return Err(DataError::UnreadEncoding {
                    file: self.file.clone(),
                    encoding: "not text (it has zero bytes: utf-16 without a byte order mark, or a binary format)",
                });
            }
            self.count();
        }
        Ok(&self.text)
    }

    /// The line that the next piece of text begins on, counted from 1.
    pub(crate) fn line(&self) -> u64 {
        self.line
    }

    /// Drops what was read and reads more behind what was not.
    fn fill(&mut self) -> Result<(), DataError> {
        self.raw.drain(..self.start);
        self.start = 0;
        let kept = self.raw.len();
        self.raw.resize(kept + CHUNK, 0);
        let read = loop {
            match self.input.read(&mut self.raw[kept..]) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                other => break other,
            }
        };
        let read = read.map_err(|error| match error.kind() {
            io::ErrorKind::InvalidInput | io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof => {
                DataError::Format { file: self.file.clone(), expected: "gzip" }
            }
            _ => DataError::io(format!("reading {}", self.file), error),
        })?;
        self.raw.truncate(kept + read);
        self.ended = read == 0;
        Ok(())
    }

    /// At the start of the file: byte order marks, then the decoder.
    fn open(&mut self) -> Result<(), DataError> {
        /// The longest mark, of GB18030.
        const MARK_MAX: usize = 4;
        if self.opened || (self.raw.len() < MARK_MAX && !self.ended) {
            return Ok(());
        }
        self.opened = true;
        let unread = |encoding| Err(DataError::UnreadEncoding { file: self.file.clone(), encoding });
        match self.raw[..] {
            [0xEF, 0xBB, 0xBF, ..] => {
                self.encoding = Encoding::Utf8;
                self.start = 3;
            }
            [0x84, 0x31, 0x95, 0x33, ..] => {
                self.encoding = Encoding::Gb18030;
                self.start = 4;
            }
            [0xFF, 0xFE, 0, 0, ..] | [0, 0, 0xFE, 0xFF, ..] => return unread("utf-32"),
            [0xFF, 0xFE, ..] | [0xFE, 0xFF, ..] => return unread("utf-16"),
            _ => {}
        }
        if self.encoding != Encoding::Utf8 {
            self.decoder = Some(GB18030.new_decoder_without_bom_handling());
        }
        Ok(())
    }

    fn utf8(&mut self) -> Result<(), DataError> {
        if !self.opened {
            return Ok(());
        }
        let bytes = &self.raw[self.start..];
        let good = match std::str::from_utf8(bytes) {
            Ok(text) => text,
            Err(error) => {
                let (good, rest) = bytes.split_at(error.valid_up_to());
                let good = std::str::from_utf8(good).unwrap_or_default();
                // a character cut by the end of the chunk waits for the next one
                if error.error_len().is_some() || (self.ended && !rest.is_empty()) {
                    self.text.push_str(good);
                    return Err(self.malformed());
                }
                good
            }
        };
        self.text.push_str(good);
        self.start += good.len();
        Ok(())
    }

    fn gb(&mut self, mut decoder: Decoder) -> Result<(), DataError> {
        let bytes = &self.raw[self.start..];
        let room = decoder.max_utf8_buffer_length_without_replacement(bytes.len()).unwrap_or(4 * CHUNK);
        self.text.reserve(room);
        let (result, read) = decoder.decode_to_string_without_replacement(bytes, &mut self.text, self.ended);
        self.start += read;
        match result {
            DecoderResult::Malformed(..) => return Err(self.malformed()),
            DecoderResult::InputEmpty | DecoderResult::OutputFull => self.decoder = Some(decoder),
        }
        Ok(())
    }

    /// The error for what follows `text`.
    fn malformed(&mut self) -> DataError {
        self.count();
        DataError::Encoding {
            file: self.file.clone(),
            line: self.line,
            column: self.column,
            encoding: self.encoding.name(),
            remedy: match self.encoding {
                Encoding::Utf8 => {
                    "set encoding = \"gb18030\" in catalog.toml if that is what the file is in; if it mixes encodings, export it again in one"
                }
                _ => {
                    "set encoding = \"utf-8\" in catalog.toml if that is what the file is in; if it mixes encodings, export it again in one"
                }
            },
        }
    }

    /// Moves line and column past `text`.
    fn count(&mut self) {
        let newlines = self.text.bytes().filter(|byte| *byte == b'\n').count();
        let tail = match self.text.rfind('\n') {
            Some(at) => {
                self.column = 1;
                &self.text[at + 1..]
            }
            None => &self.text[..],
        };
        self.line += newlines as u64;
        self.column += tail.chars().count() as u64;
    }
}

/// The encoding that all of `input` is valid in: UTF-8 where that fits, then GB18030. Where neither fits, the error is
/// the one of UTF-8 and names the first bad line.
pub(crate) fn detect<R: Read>(
    mut open: impl FnMut() -> Result<R, DataError>,
    file: &str,
) -> Result<Encoding, DataError> {
    let mut valid = |encoding| {
        let mut reader = Utf8Reader::new(open()?, file, encoding);
        while !reader.chunk()?.is_empty() {}
        Ok(reader.encoding)
    };
    valid(Encoding::Utf8).or_else(|utf8| match utf8 {
        DataError::Encoding { file, line, column, .. } => valid(Encoding::Gb18030).map_err(|_| DataError::Encoding {
            file,
            line,
            column,
            encoding: "utf-8, and the file is not gb18030 either",
            remedy: "it mixes encodings or is damaged: export it again in one encoding, best in utf-8",
        }),
        other => Err(other),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Gives its bytes three at a time, so that characters are cut everywhere.
    struct Drip<'a>(&'a [u8]);

    impl Read for Drip<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let n = self.0.len().min(3);
            buffer[..n].copy_from_slice(&self.0[..n]);
            self.0 = &self.0[n..];
            Ok(n)
        }
    }

    fn read(bytes: &[u8], encoding: Encoding) -> Result<String, DataError> {
        let mut reader = Utf8Reader::new(Drip(bytes), "t.csv", encoding);
        let mut all = String::new();
        loop {
            match reader.chunk()? {
                "" => return Ok(all),
                text => all.push_str(text),
            }
        }
    }

    const TEXT: &str = "编号,姓名\n1,张三\n2,𠮷野家é\n";

    #[test]
    fn every_encoding_gives_the_same_text() {
        let gb = GB18030.encode(TEXT).0;
        assert_eq!(read(TEXT.as_bytes(), Encoding::Utf8).unwrap(), TEXT);
        assert_eq!(read(&gb, Encoding::Gbk).unwrap(), TEXT);
        assert_eq!(read(&gb, Encoding::Gb18030).unwrap(), TEXT);
        assert_eq!(read(&[b"\xEF\xBB\xBF", TEXT.as_bytes()].concat(), Encoding::Gbk).unwrap(), TEXT, "the mark wins");
        assert_eq!(read(&[b"\x84\x31\x95\x33", &gb[..]].concat(), Encoding::Utf8).unwrap(), TEXT);
        assert_eq!(read(b"", Encoding::Utf8).unwrap(), "");
        assert_eq!(read(b"a", Encoding::Gbk).unwrap(), "a");
    }

    #[test]
    fn malformed_bytes_are_placed_not_replaced() {
        assert_eq!(
            read(b"id,name\n1,abc\n2,\xD5\xC5\xC8\xFD\n", Encoding::Utf8).unwrap_err().to_string(),
            "t.csv line 3, column 3: not valid utf-8; set encoding = \"gb18030\" in catalog.toml if that is what the file is in; if it mixes encodings, export it again in one"
        );
        assert_eq!(
            read(b"id\n\xFF\n", Encoding::Gbk).unwrap_err().to_string(),
            "t.csv line 2, column 1: not valid gbk; set encoding = \"utf-8\" in catalog.toml if that is what the file is in; if it mixes encodings, export it again in one"
        );
        assert!(
            read("a\n张".as_bytes().split_last().unwrap().1, Encoding::Utf8).is_err(),
            "cut at the end of the file"
        );
        assert_eq!(
            read(b"\xFF\xFEi\0d\0", Encoding::Utf8).unwrap_err().to_string(),
            "t.csv is utf-16, which is not read; save it as utf-8"
        );
        assert_eq!(read(b"i\0d\0", Encoding::Utf8).unwrap_err().code(), "encoding");
    }

    #[test]
    fn utf8_in_a_gb_file_is_placed_where_it_can_be_told() {
        let gb = GB18030.encode("编号,姓名\n1,李四\n").0;
        for (encoding, name) in [(Encoding::Gbk, "gbk"), (Encoding::Gb18030, "gb18030")] {
            let mixed = [&gb[..], "2,张三丰\n".as_bytes()].concat();
            let message = format!(
                "t.csv line 3, column 7: not valid {name}; set encoding = \"utf-8\" in catalog.toml if that is what the file is in; if it mixes encodings, export it again in one"
            );
            assert_eq!(read(&mixed, encoding).unwrap_err().to_string(), message);
            let even = read(&[&gb[..], "2,张三\n".as_bytes()].concat(), encoding).unwrap();
            assert!(!even.contains("张三"), "the limit that the head of this file states");
        }
    }

    #[test]
    fn detection_prefers_utf8_and_refuses_mixtures() {
        let detect = |bytes: &[u8]| detect(|| Ok(io::Cursor::new(bytes.to_vec())), "t.csv");
        assert_eq!(detect(TEXT.as_bytes()).unwrap(), Encoding::Utf8);
        assert_eq!(detect(&GB18030.encode(TEXT).0).unwrap(), Encoding::Gb18030);
        let mixed = [&GB18030.encode("编号\n李四\n").0[..], "张\n".as_bytes()].concat();
        assert_eq!(
            detect(&mixed).unwrap_err().to_string(),
            "t.csv line 1, column 1: not valid utf-8, and the file is not gb18030 either; it mixes encodings or is damaged: export it again in one encoding, best in utf-8"
        );
    }
}
