//! Keys on disk while a job runs: one file of sealed blocks, many streams of them. The file has no name from the moment it is
//! made, so nothing of it is left after a crash; each stream has a key of its own that is in memory only, and whoever
//! drops that key has erased the stream, whatever the disk keeps.

use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;

use banyan_protocols::suite::seal::{Opened, Opener, SealKey, Sealer};
use zeroize::Zeroizing;

use super::error::DataError;
use crate::disk::PRIVATE_FILE;

/// What errors call it.
const WHAT: &str = "the keys' spill file";

/// Streams that are being written.
pub(super) struct Spill {
    file: File,
    end: u64,
    block: usize,
    streams: Vec<Writing>,
}

/// A stream that is being written.
struct Writing {
    key: SealKey,
    sealer: Sealer,
    /// The block that is being filled.
    open: Zeroizing<Vec<u8>>,
    blocks: Vec<Block>,
}

/// A sealed block's place in the file.
#[derive(Clone, Copy)]
struct Block {
    at: u64,
    len: u32,
}

/// Streams that are whole.
pub(super) struct Spilled {
    file: File,
    streams: Vec<Option<(SealKey, Vec<Block>)>>,
}

impl Spill {
    /// So many empty streams in a new file of `directory`, with blocks of `block` bytes.
    pub(super) fn create(directory: &Path, streams: u32, block: usize) -> Result<Self, DataError> {
        let failed = |error| DataError::io(WHAT, error);
        let name = directory.join(format!("keys-{:016x}", u64::from_le_bytes(random()?)));
        let file = OpenOptions::new().read(true).write(true).create_new(true).mode(PRIVATE_FILE).open(&name);
        let file = file.map_err(failed)?;
        fs::remove_file(&name).map_err(failed)?;
        let stream = |_| {
            let key: [u8; 32] = random()?;
            let key = SealKey::new(key);
            let sealer = Sealer::new(&key);
            Ok(Writing { key, sealer, open: Zeroizing::new(Vec::with_capacity(block)), blocks: Vec::new() })
        };
        Ok(Self { file, end: 0, block, streams: (0..streams).map(stream).collect::<Result<_, DataError>>()? })
    }

    /// Bytes held.
    pub(super) fn bytes(&self) -> usize {
        self.streams.len() * (self.block + size_of::<Writing>())
    }

    /// Appends a record, which is never cut.
    pub(super) fn push(&mut self, stream: u32, record: &[&[u8]]) -> Result<(), DataError> {
        let writing = &mut self.streams[stream as usize];
        let len: usize = record.iter().map(|part| part.len()).sum();
        if writing.open.len() + len > self.block {
            write(&self.file, &mut self.end, writing)?;
        }
        record.iter().for_each(|part| writing.open.extend_from_slice(part));
        Ok(())
    }

    /// Nothing more comes.
    pub(super) fn finish(mut self) -> Result<Spilled, DataError> {
        for writing in &mut self.streams {
            if !writing.open.is_empty() {
                write(&self.file, &mut self.end, writing)?;
            }
        }
        let streams = self.streams.into_iter().map(|writing| Some((writing.key, writing.blocks)));
        Ok(Spilled { file: self.file, streams: streams.collect() })
    }
}

fn write(file: &File, end: &mut u64, writing: &mut Writing) -> Result<(), DataError> {
    let sealed = writing
        .sealer
        .frame(&writing.open)
        .map_err(|_| DataError::Engine { what: WHAT.into(), class: "a bucket above its limit" })?;
    file.write_all_at(&sealed, *end).map_err(|error| DataError::io(WHAT, error))?;
    writing.blocks.push(Block { at: *end, len: sealed.len() as u32 });
    *end += sealed.len() as u64;
    writing.open.clear();
    Ok(())
}

impl Spilled {
    /// Reads a stream's blocks in order; each has whole records.
    pub(super) fn read(
        &self,
        stream: u32,
        mut block: impl FnMut(&[u8]) -> Result<(), DataError>,
    ) -> Result<(), DataError> {
        let erased = || DataError::Engine { what: WHAT.into(), class: "a bucket that was erased" };
        let (key, blocks) = self.streams[stream as usize].as_ref().ok_or_else(erased)?;
        let mut opener = Opener::new(key);
        let mut sealed = Vec::new();
        for place in blocks {
            sealed.resize(place.len as usize, 0);
            self.file.read_exact_at(&mut sealed, place.at).map_err(|error| DataError::io(WHAT, error))?;
            match opener.open(&sealed) {
                Ok(Opened::Frame(open)) => block(&open)?,
                Ok(Opened::End) | Err(_) => {
                    return Err(DataError::Engine { what: WHAT.into(), class: "changed on the disk" });
                }
            }
        }
        Ok(())
    }

    /// Forgets a stream's key, and gives its blocks back to the disk where the file system can.
    pub(super) fn erase(&mut self, stream: u32) {
        let Some((_, blocks)) = self.streams[stream as usize].take() else { return };
        for Block { at, len } in blocks {
            use rustix::fs::{FallocateFlags, fallocate};
            // best effort: what stays is noise, and goes with the file
            let _ = fallocate(&self.file, FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE, at, len.into());
        }
    }
}

fn random<const N: usize>() -> Result<[u8; N], DataError> {
    let mut bytes = [0; N];
    let none = |_| DataError::Engine { what: WHAT.into(), class: "the system gives no randomness" };
    getrandom::fill(&mut bytes).map_err(none)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_come_back_as_they_were_and_nothing_has_a_name() {
        let home = tempfile::tempdir().unwrap();
        let mut spill = Spill::create(home.path(), 3, 64).unwrap();
        assert_eq!(fs::read_dir(home.path()).unwrap().count(), 0);
        for number in 0..100_u32 {
            spill.push(number % 2, &[&number.to_le_bytes(), b"canary"]).unwrap();
        }
        let mut spilled = spill.finish().unwrap();
        let all = |spilled: &Spilled, stream| {
            let mut all = Vec::new();
            let read = spilled.read(stream, |block| {
                all.extend_from_slice(block);
                Ok(())
            });
            read.map(|()| all)
        };
        for stream in [0, 1] {
            let expected: Vec<u8> =
                (0..50_u32).flat_map(|n| [&(2 * n + stream).to_le_bytes()[..], b"canary"].concat()).collect();
            assert_eq!(all(&spilled, stream).unwrap(), expected);
        }
        assert_eq!(all(&spilled, 2).unwrap(), b"");
        let mut raw = vec![0; spilled.file.metadata().unwrap().len() as usize];
        spilled.file.read_exact_at(&mut raw, 0).unwrap();
        assert!(raw.len() > 1000 && !raw.windows(6).any(|bytes| bytes == b"canary"), "sealed");
        spilled.erase(0);
        assert!(all(&spilled, 0).is_err(), "erased");
        assert!(all(&spilled, 1).is_ok());
        spilled.file.write_all_at(&[1; 200], 0).unwrap();
        assert!(all(&spilled, 1).is_err(), "changed on the disk");
    }
}
