//! The memory that a big input takes, measured. A process of its own: what is read here is the peak of this process.

use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::Path;
use std::sync::Arc;

use banyan_node::data::{DataSet, Described, Engine, ScanOptions, Selection, Snapshot, describe};
use banyan_proto::job::{Duplicates, Limits, Normalise};

/// Ten million keys, in the form of citizens' numbers.
const ROWS: u64 = 10_000_000;

/// What such a key column may take, in bytes of memory of the whole process, under the default limit of a job. Measured:
/// 453 MiB in a development build.
const BUDGET: u64 = 640 << 20;

#[test]
fn ten_million_keys_are_taken_within_the_budget() {
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
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let snapshot = runtime.block_on(Snapshot::take(&engine, &set, &selection, &Limits::default(), &[7; 32])).unwrap();
    assert_eq!(snapshot.items.len() as u64, ROWS);
    let peak = peak();
    assert!(peak < BUDGET, "{} MiB at the peak, {} are the budget", peak >> 20, BUDGET >> 20);
}

/// A file of as many rows, every key once and in no order.
fn people(directory: &Path) -> Arc<DataSet> {
    let mut out = BufWriter::new(File::create(directory.join("people.csv")).unwrap());
    writeln!(out, "id,age").unwrap();
    for row in 0..ROWS {
        // a multiplication by an odd number permutes the numbers below a power of two
        let mixed = row.wrapping_mul(0x9E37_79B9) & ((1 << 32) - 1);
        writeln!(out, "1101{mixed:013}X,{}", row % 90).unwrap();
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
