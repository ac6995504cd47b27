//! The memory that an input larger than its limit takes in buckets, measured. A process of its own: what is read here is the
//! peak of this process.

use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::Path;
use std::sync::Arc;

use banyan_node::data::{DataSet, Described, Engine, ScanOptions, Selection, Snapshot, describe};
use banyan_proto::canonical::Digest;
use banyan_proto::job::{Duplicates, Limits, Normalise, Split};

/// Keys in the form of citizens' numbers: whole, they take more than the keys' part of the least limit, 48 MiB.
const ROWS: u64 = 1_000_000;
const BUCKETS: u32 = 32;
/// Above the mean of 31 250.
const BUCKET_ROWS: u64 = 33_000;

/// What taking them may add to the process, in bytes: the keys' part. Measured: 18 MiB in a development build.
const BUDGET: u64 = 48 << 20;

#[test]
fn keys_beyond_the_limit_stay_within_it_in_buckets() {
    let home = tempfile::tempdir().unwrap();
    let set = people(home.path());
    let engine = Engine::new(&home.path().join("spill")).unwrap();
    let selection = Selection {
        key: vec!["id".into()],
        filter: None,
        duplicates: Duplicates::Error,
        normalise: Normalise::CnIdV1,
        rows_at_most: ROWS,
    };
    let limits = Limits { memory_mb: 64, ..Limits::default() };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let before = peak();
    let cut = (Split::new(&Digest([7; 32]), 0, BUCKETS), BUCKET_ROWS);
    let (mut buckets, pinned) =
        runtime.block_on(Snapshot::take_apart(&engine, &set, &selection, &limits, &[7; 32], cut)).unwrap();
    assert_eq!(pinned.len() as u64, ROWS);
    let mut found = 0;
    for number in 0..BUCKETS {
        found += buckets.take(number, pinned.len()).unwrap().items.len() as u64;
        buckets.erase(number);
    }
    assert_eq!(found, ROWS);
    let grown = peak() - before;
    assert!(grown < BUDGET, "{} MiB more at the peak, {} are the budget", grown >> 20, BUDGET >> 20);

    let whole = runtime.block_on(Snapshot::take(&engine, &set, &selection, &limits, &[7; 32]));
    assert_eq!(whole.unwrap_err().code(), "memory", "they do not fit whole");
}

/// A file of as many rows, every key once and in no order.
fn people(directory: &Path) -> Arc<DataSet> {
    let mut out = BufWriter::new(File::create(directory.join("people.csv")).unwrap());
    writeln!(out, "id").unwrap();
    for row in 0..ROWS {
        // a multiplication by an odd number permutes the numbers below a power of two
        let mixed = row.wrapping_mul(0x9E37_79B9) & ((1 << 32) - 1);
        writeln!(out, "1101{mixed:013}X").unwrap();
    }
    out.flush().unwrap();
    drop(out);
    let options = ScanOptions::default();
    let Described { set, .. } = describe(directory, "people.csv", "people".parse().unwrap(), &options).unwrap();
    Arc::new(set)
}

/// The most memory that this process has had resident.
fn peak() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().strip_suffix(" kB").unwrap().trim().parse::<u64>().unwrap() << 10
}
