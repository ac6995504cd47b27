//! Whole jobs by `banyan local`: a coordinator, two nodes and a developer as real processes over real TLS.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use banyan_tests::bin;
use serde_json::Value;
use tempfile::TempDir;

/// A job with data, as a newcomer would write it, with one thing changed per test.
struct Try {
    dir: TempDir,
    job: String,
}

/// How it ended.
struct End {
    exit: Option<i32>,
    answer: Value,
    dir: TempDir,
}

/// 33 clients at the bank and 40 people at the bureau; 21 are common.
fn bank_rows() -> Vec<String> {
    (0..33).map(|i| format!("{},{}", id(i), 1000 + i)).collect()
}

fn bureau_rows() -> Vec<String> {
    (12..52).rev().map(|i| format!("{},{}", id(i), 20 + i % 50)).collect()
}

fn common() -> BTreeSet<String> {
    (12..33).map(id).collect()
}

fn id(i: u32) -> String {
    format!("11010519{:04}{:05}X", 1950 + i, i * 7)
}

const JOB: &str = r#"
version = 1
name = "common-clients"
operation = "intersect"
protocol = "dh"
result = "rows"
recipients = ["bank"]
minimum_result = 5

[limits]
deadline_s = 60
memory_mb = 128

[[parties]]
name = "bank"
dataset = "clients"
key = ["id"]
rows_at_most = 40
columns = ["limit"]

[[parties]]
name = "bureau"
dataset = "people"
key = ["id"]
rows_at_most = 40

[scenario]
name = "credit"
purpose = "find common clients before a joint credit model"
operations = ["intersect"]
results = ["rows", "left", "difference", "count"]
recipients = ["bank", "bureau"]
minimum_result = 5
valid_from = "2026-01-01T00:00:00Z"
valid_until = "2030-12-31T00:00:00Z"
runs = 3

[[scenario.grants]]
party = "bank"
dataset = "clients"
key = ["id"]
columns = ["limit"]

[[scenario.grants]]
party = "bureau"
dataset = "people"
key = ["id"]
"#;

impl Try {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let this = Self { dir, job: JOB.to_owned() };
        this.file("bank/clients.csv", &format!("id,limit\n{}\n", bank_rows().join("\n")));
        this.file("bureau/people.csv", &format!("id,age\n{}\n", bureau_rows().join("\n")));
        this
    }

    /// With a part of the job written otherwise.
    fn job(mut self, from: &str, to: &str) -> Self {
        assert!(self.job.contains(from), "{from:?} is in the job");
        self.job = self.job.replace(from, to);
        self
    }

    /// With another file.
    fn data(self, path: &str, text: &str) -> Self {
        self.file(path, text);
        self
    }

    fn file(&self, path: &str, text: &str) {
        let path = self.dir.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    fn run(self, flags: &[&str]) -> End {
        let Self { dir, job } = self;
        fs::write(dir.path().join("job.toml"), job).unwrap();
        let mut command = Command::new(bin("banyan"));
        command.current_dir(dir.path()).args(["local", "job.toml", "--out", "out", "--json"]);
        command.args(["--data", "bank=bank", "--data", "bureau=bureau"]).args(flags);
        // the homes go below the test's own directory, so that it can look whether any is left
        let homes = dir.path().join("homes");
        fs::create_dir(&homes).unwrap();
        let output = command.env("TMPDIR", &homes).output().unwrap();
        assert_eq!(fs::read_dir(&homes).unwrap().count(), 0, "the throw-away homes are gone");
        let stderr = String::from_utf8_lossy(&output.stderr);
        let answer = serde_json::from_slice(&output.stdout)
            .unwrap_or_else(|_| panic!("one JSON object on stdout; stderr: {stderr}"));
        End { exit: output.status.code(), answer, dir }
    }
}

impl End {
    fn released(self) -> Self {
        assert_eq!(self.exit, Some(0), "{:#}", self.answer);
        assert_eq!(self.answer["state"], "released");
        for party in self.answer["parties"].as_array().unwrap() {
            assert_eq!(party["log"]["ok"], true, "every log holds");
        }
        self
    }

    /// The message it failed with; nothing may be left.
    fn failed(self, exit: i32) -> String {
        assert_eq!(self.exit, Some(exit), "{:#}", self.answer);
        for party in ["bank", "bureau"] {
            for name in ["result.csv", "result.parquet", "manifest.json"] {
                assert!(!self.out(party, name).exists(), "{party} has no {name}");
            }
        }
        self.answer["error"]["message"].as_str().unwrap().to_owned()
    }

    fn out(&self, party: &str, name: &str) -> PathBuf {
        self.dir.path().join("out").join(party).join(name)
    }

    fn lines(&self, party: &str, name: &str) -> Vec<String> {
        fs::read_to_string(self.out(party, name)).unwrap().lines().map(str::to_owned).collect()
    }

    fn matches(&self, party: &str) -> Option<u64> {
        let manifest: Value = serde_json::from_slice(&fs::read(self.out(party, "manifest.json")).unwrap()).unwrap();
        manifest["matches"].as_u64()
    }
}

#[test]
fn the_receiver_gets_its_own_rows_and_the_sender_nothing() {
    let end = Try::new().run(&[]).released();
    let lines = end.lines("bank", "result.csv");
    assert_eq!(lines[0], "id,limit");
    let expected: BTreeSet<String> =
        bank_rows().into_iter().filter(|row| common().contains(row.split(',').next().unwrap())).collect();
    assert_eq!(lines[1..].iter().cloned().collect::<BTreeSet<_>>(), expected);
    assert_eq!(lines.len(), 1 + 21);
    assert_eq!((end.matches("bank"), end.matches("bureau")), (Some(21), None));
    assert!(!end.out("bureau", "result.csv").exists());
}

#[test]
fn both_get_their_rows_through_the_relay() {
    let both = Try::new().job("recipients = [\"bank\"]\n", "recipients = [\"bank\", \"bureau\"]\n");
    let end = both.run(&["--relay"]).released();
    for party in ["bank", "bureau"] {
        let ids = end.lines(party, "result.csv").into_iter().skip(1);
        let ids: BTreeSet<String> = ids.map(|line| line.split(',').next().unwrap().to_owned()).collect();
        assert_eq!(ids, common(), "{party}");
        assert_eq!(end.matches(party), Some(21));
    }
}

#[test]
fn a_count_opens_one_number() {
    let count =
        Try::new().job("result = \"rows\"", "result = \"count\"").job("\ncolumns = [\"limit\"]\n\n[[p", "\n\n[[p");
    let end = count.run(&[]).released();
    assert_eq!((end.matches("bank"), end.matches("bureau")), (Some(21), None));
    assert!(end.lines("bank", "result.csv").iter().all(|line| !line.contains("11010519")), "no id");
}

/// The ids of a result with what stands in its last column.
fn ids_with_last(lines: &[String]) -> Vec<(String, String)> {
    let ends = |line: &String| {
        let (id, last) = (line.split(',').next().unwrap(), line.rsplit(',').next().unwrap());
        (id.to_owned(), last.to_owned())
    };
    lines[1..].iter().map(ends).collect()
}

#[test]
fn a_left_join_has_every_row_and_whether_it_is_common() {
    let end = Try::new().job("result = \"rows\"", "result = \"left\"").run(&[]).released();
    let lines = end.lines("bank", "result.csv");
    assert_eq!(lines[0], "id,limit,matched");
    let expected: Vec<(String, String)> = (0..33).map(|i| (id(i), common().contains(&id(i)).to_string())).collect();
    assert_eq!(ids_with_last(&lines), expected, "in the order of the file");
    assert_eq!((end.matches("bank"), end.matches("bureau")), (Some(21), None));
}

#[test]
fn a_difference_has_the_other_rows_and_its_own_minimum() {
    let difference = || Try::new().job("result = \"rows\"", "result = \"difference\"");
    let end = difference().run(&[]).released();
    let ids: Vec<String> = ids_with_last(&end.lines("bank", "result.csv")).into_iter().map(|(id, _)| id).collect();
    assert_eq!(ids, (0..12).map(id).collect::<Vec<_>>());
    assert_eq!(end.matches("bank"), Some(21));
    // 21 are common and 12 are not: a difference of 12 is too small where 13 are asked for
    let told = difference().job("minimum_result = 5", "minimum_result = 13").run(&[]).failed(1);
    let why = "fewer than 13 common rows, or fewer than 13 rows that are not common: nothing is opened; use more data, or \
               a scenario with a lower minimum";
    assert!(told.contains(why), "{told}");
}

/// Each row of `rows` twice, the second time later.
fn twice(header: &str, rows: &[String]) -> String {
    format!("{header}\n{}\n{}\n", rows.join("\n"), rows.join("\n"))
}

#[test]
fn with_repeated_keys_both_sides_count_the_same() {
    for (rule, rows) in [("all", 2), ("first", 1)] {
        let both = Try::new()
            .job("recipients = [\"bank\"]\n", "recipients = [\"bank\", \"bureau\"]\n")
            .job("minimum_result = 5\n\n[limits]", &format!("minimum_result = 5\nduplicates = \"{rule}\"\n\n[limits]"))
            .job("rows_at_most = 40", "rows_at_most = 80")
            .data("bank/clients.csv", &twice("id,limit", &bank_rows()))
            .data("bureau/people.csv", &format!("id,age\n{}\n", bureau_rows().join("\n")));
        let end = both.run(&[]).released();
        assert_eq!((end.matches("bank"), end.matches("bureau")), (Some(21), Some(21)), "{rule}: keys, on both sides");
        assert_eq!(end.answer["matches"], 21, "{rule}: and in the evidence");
        for party in end.answer["parties"].as_array().unwrap() {
            assert_eq!(party["matches"], 21, "{rule}: and in the summary");
        }
        let lines = |party| end.lines(party, "result.csv").len() - 1;
        assert_eq!((lines("bank"), lines("bureau")), (21 * rows, 21), "{rule}");
    }
}

/// Clients by id, else by phone and name: the last two of five have no id in common, one of them has its phone and name in
/// common, and the first one's are in common too, but its id found it before.
fn cascade() -> Try {
    let keys = "key = [\"id\"]\nelse_key = [[\"phone\", \"name\"]]";
    let bank = "id,phone,name,limit\nA,1,Li,10\nB,2,Wu,20\nC,3,Xu,30\n,4,He,40\nE,5,,50\n";
    let bureau = "id,phone,name\nB,9,Wu\nA,8,Li\nX,1,Li\n,4,He\nY,5,\nZ,3,Xi\n";
    Try::new()
        .job("minimum_result = 5", "minimum_result = 2")
        .job("key = [\"id\"]", keys)
        .data("bank/clients.csv", bank)
        .data("bureau/people.csv", bureau)
}

#[test]
fn rows_that_one_key_does_not_find_are_looked_for_by_the_next() {
    let end = cascade().run(&["--relay"]).released();
    let lines = end.lines("bank", "result.csv");
    assert_eq!(lines, ["id,phone,name,limit,matched_by", "A,1,Li,10,1", "B,2,Wu,20,1", ",4,He,40,2"]);
    assert_eq!((end.matches("bank"), end.matches("bureau")), (Some(3), None));
}

#[test]
fn a_left_join_by_several_keys_says_which_found_a_row_to_both() {
    let both = cascade()
        .job("recipients = [\"bank\"]\n", "recipients = [\"bank\", \"bureau\"]\n")
        .job("result = \"rows\"", "result = \"left\"");
    let end = both.run(&[]).released();
    assert_eq!(
        end.lines("bank", "result.csv"),
        [
            "id,phone,name,limit,matched,matched_by",
            "A,1,Li,10,true,1",
            "B,2,Wu,20,true,1",
            "C,3,Xu,30,false,",
            ",4,He,40,true,2",
            "E,5,,50,false,"
        ]
    );
    let bureau = end.lines("bureau", "result.csv");
    assert_eq!(bureau[1..5], ["B,9,Wu,true,1", "A,8,Li,true,1", "X,1,Li,false,", ",4,He,true,2"]);
    assert_eq!((end.matches("bank"), end.matches("bureau")), (Some(3), Some(3)), "the same number at both");
}

#[test]
fn below_the_minimum_nothing_is_opened_and_nothing_left() {
    let few = Try::new().job("minimum_result = 5", "minimum_result = 22");
    let why = "fewer than 22 common rows: nothing is opened; use more data, or a scenario with a lower minimum";
    let (bank, bureau) = (format!("bank: {why}"), format!("bureau: {why}"));
    // the second to find it may be stopped by the word of the first
    let told = few.run(&[]).failed(1);
    let told = told.strip_prefix("the job failed: ").expect("a failure");
    assert!([format!("{bank}; {bureau}"), bank, bureau].contains(&told.to_owned()), "{told}");
}

#[test]
fn a_data_set_that_nobody_registered_is_named() {
    let unknown = Try::new().job("dataset = \"people\"", "dataset = \"residents\"");
    assert_eq!(
        unknown.run(&[]).failed(4),
        "the job was refused: bureau: unknown-dataset: no data set residents is registered here; there are: people"
    );
}

#[test]
fn a_column_that_is_not_there_is_named() {
    let missing = Try::new().job("key = [\"id\"]", "key = [\"national_id\"]");
    assert_eq!(
        missing.run(&[]).failed(4),
        "the job was refused: bank: missing-column: data set clients has no column national_id; it has: id, limit; \
         bureau: missing-column: data set people has no column national_id; it has: id, age"
    );
}

#[test]
fn a_file_with_nothing_but_a_header_is_named() {
    let empty = Try::new().data("bureau/people.csv", "id,age\n");
    assert_eq!(
        empty.run(&[]).failed(2),
        "bureau: data scan: people.csv has a header but no rows: expected at least one row; export it again"
    );
}

#[test]
fn a_key_in_two_rows_is_placed_and_never_quoted() {
    let mut rows = bureau_rows();
    rows[7] = rows[3].clone();
    let twice = format!("id,age\n{}\n", rows.join("\n"));
    assert_eq!(
        Try::new().data("bureau/people.csv", &twice).run(&[]).failed(1),
        "the job failed: bureau: people.csv line 9: the key (`id`) repeats the one of people.csv line 5; 1 of the \
         selected rows repeat an earlier key; remove them at the source, or set duplicates = \"first\" or \
         \"all\" in the job"
    );
}

#[test]
fn a_recipient_outside_the_scenario_is_refused_before_anything_starts() {
    let wrong = Try::new().job("recipients = [\"bank\", \"bureau\"]", "recipients = [\"bureau\"]");
    assert_eq!(
        wrong.run(&[]).failed(2),
        "job.toml: recipients: bank is not in scenario.recipients; name a recipient that the scenario allows"
    );
}

#[test]
fn a_scenario_that_ended_is_refused() {
    let ended = Try::new().job("2030-12-31T00:00:00Z", "2026-02-01T00:00:00Z");
    let message = ended.run(&[]).failed(2);
    let expected = "scenario.valid_until: 2026-02-01T00:00:00Z is past; ask for a new scenario";
    assert!(message.starts_with("the coordinator at 127.0.0.1:") && message.ends_with(expected), "{message}");
}

#[test]
fn a_scenario_that_has_not_begun_is_refused() {
    let early = Try::new().job("2026-01-01T00:00:00Z", "2030-01-01T00:00:00Z");
    let message = early.run(&[]).failed(4);
    let expected = "bank: scenario-not-yet-valid: scenario credit is valid from 2030-01-01T00:00:00Z, it is ";
    assert!(message.starts_with(&format!("the job was refused: {expected}")), "{message}");
}

#[test]
fn ctrl_c_stops_every_process_and_leaves_nothing() {
    let homes = tempfile::tempdir().unwrap();
    let mut command = Command::new(bin("banyan"));
    command.args(["demo", "--json"]).env("TMPDIR", homes.path());
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let begun = Instant::now();
    let up = |command: &[String]| command.iter().any(|word| word == "up");
    while commands_below(homes.path()).into_iter().filter(|command| up(command)).count() < 2 {
        assert!(begun.elapsed() < Duration::from_secs(120), "both nodes come up");
        assert!(child.try_wait().unwrap().is_none(), "the demo ended before it could be interrupted");
        std::thread::sleep(Duration::from_millis(5));
    }
    let interrupt = Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
    assert!(interrupt.success());
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(3));
    let answer: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(answer["error"]["message"], "interrupted: every process was stopped, nothing was released");
    assert_eq!(commands_below(homes.path()), Vec::<Vec<String>>::new(), "every process is gone");
    assert_eq!(fs::read_dir(homes.path()).unwrap().count(), 0, "and every home with its keys");
}

/// The command lines of the processes that were given a path below `dir`.
fn commands_below(dir: &Path) -> Vec<Vec<String>> {
    let dir = dir.to_str().unwrap();
    let words = |process: fs::DirEntry| -> Vec<String> {
        // a process that has just gone has none
        let command = fs::read(process.path().join("cmdline")).unwrap_or_default();
        String::from_utf8_lossy(&command).split('\0').map(str::to_owned).collect()
    };
    let commands = fs::read_dir("/proc").unwrap().filter_map(Result::ok).map(words);
    commands.filter(|command| command.iter().any(|word| word.contains(dir))).collect()
}
