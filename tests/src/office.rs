//! A whole installation on one machine, set up by its command lines as its people would: a coordinator, the nodes `bank`
//! and `bureau` with a data set each, and the developer `ada`. Everything that runs is killed when it is dropped.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

use crate::bin;
use crate::job::Job;
use crate::party::Party;
use crate::process::{Daemon, Said, call};

/// Nothing here takes so long unless it hangs: far above what a loaded machine needs.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// The installation.
#[derive(Debug)]
pub struct Office {
    /// The receiver of results.
    pub bank: Party,
    /// The sender.
    pub bureau: Party,
    /// The coordinator, while it runs.
    pub coordinator: Option<Daemon>,
    address: String,
    dir: TempDir,
}

/// Which rows the parties have: the bank those below `rows`, the bureau as many from half of them on, so half are common.
pub fn id(row: usize) -> String {
    format!("3201{row:06}0101{:04}", row * 37 % 10_000)
}

impl Office {
    /// Everything up, everybody joined, keys confirmed; `rows` rows at each node.
    pub fn open(rows: usize) -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        let mut office = Self {
            bank: Party::init(dir.path(), "bank", &table("limit", 0..rows)),
            bureau: Party::init(dir.path(), "bureau", &table("age", rows / 2..rows + rows / 2)),
            coordinator: None,
            address: "127.0.0.1:0".into(),
            dir,
        };
        office.serve();
        let token = office.invite("ada", &["--developer"]);
        office.developer(&["join", &token]).answer();
        // who is confirmed before its node is up is dialled wherever the coordinator says, also after a restart
        let token = office.invite("bank", &[]);
        office.bank.call(&["join", &token]).answer();
        let token = office.invite("bureau", &[]);
        office.bureau.call(&["join", &token]).answer();
        office.bureau.confirm(&office.bank);
        office.bank.up();
        let (bank, bureau) = (&office.bank, &office.bureau);
        until("the bank hears of the bureau", || {
            bank.call(&["peer", "list"]).answer()["peers"].as_array().is_some_and(|peers| !peers.is_empty())
        });
        bank.confirm(bureau);
        office.bureau.up();
        office
    }

    /// Starts the coordinator, where it was before if it was there.
    pub fn serve(&mut self) {
        let home = self.home();
        let listen_addr = home.join("listen.addr");
        let args = ["serve", "--listen", &self.address, "--home", home.to_str().expect("a path")];
        let log = self.dir.path().join("coordinator.log");
        let known = std::fs::read_to_string(&listen_addr).ok();
        let start = || Daemon::start(&bin("banyan"), &args, &log);
        let mut daemon = start();
        until("the coordinator is up", || {
            if !daemon.runs() {
                // a node that dials again may have the port as its own end, for a moment
                assert!(known.is_some(), "it ended: {}", std::fs::read_to_string(&log).unwrap_or_default());
                daemon = start();
            }
            let now = std::fs::read_to_string(&listen_addr).ok();
            match &known {
                None => now.is_some_and(|address| !address.is_empty()),
                Some(address) => std::net::TcpStream::connect(address.trim()).is_ok() && daemon.runs(),
            }
        });
        self.address = std::fs::read_to_string(&listen_addr).expect("an address").trim().to_owned();
        self.coordinator = Some(daemon);
    }

    /// The home of the coordinator.
    pub fn home(&self) -> PathBuf {
        self.dir.path().join("coordinator")
    }

    /// Everything: homes, data, logs of the processes.
    pub fn root(&self) -> &Path {
        self.dir.path()
    }

    /// A node of either name.
    ///
    /// # Panics
    /// For another name.
    pub fn party(&mut self, name: &str) -> &mut Party {
        match name {
            "bank" => &mut self.bank,
            "bureau" => &mut self.bureau,
            other => panic!("no party {other}"),
        }
    }

    /// An invite, as the operator makes it.
    pub fn invite(&self, name: &str, flags: &[&str]) -> String {
        let home = self.home();
        let args = [&["invite", name, "--json", "--home", home.to_str().expect("a path")], flags].concat();
        call(&bin("banyan"), &args).answer()["token"].as_str().expect("a token").to_owned()
    }

    /// A command of the developer.
    pub fn developer(&self, args: &[&str]) -> Said {
        let home = self.dir.path().join("ada");
        call(&bin("banyan"), &[args, &["--json", "--home", home.to_str().expect("a path")]].concat())
    }

    /// Proposes a job, for the first time or again.
    pub fn propose(&self, job: &Job) -> Value {
        let file = self.dir.path().join(format!("{}.toml", job.name));
        std::fs::write(&file, job.to_toml()).expect("the job file");
        self.developer(&["job", "propose", file.to_str().expect("a path")]).answer()
    }

    /// Proposes a job and has both approvers allow it.
    pub fn propose_and_approve(&self, job: &Job) -> Value {
        let proposed = self.propose(job);
        self.bank.approve(&job.name);
        self.bureau.approve(&job.name);
        proposed
    }

    /// Proposes a job and has it run so far that the bank is in its protocol and cannot get on: the bureau has begun its
    /// part and stands still, until [`Daemon::go_on`]. None of it depends on who is faster.
    pub fn propose_and_stand_still(&self, job: &Job) {
        let (bank, bureau) = (&self.bank, &self.bureau);
        let ran = [bank, bureau].map(|party| party.acts("run"));
        self.propose_and_wait_for_the_bureau(job);
        // it waits for the bureau to be prepared
        bank.daemon().freeze();
        bureau.daemon().go_on();
        at_once("the bureau runs", || bureau.acts("run") > ran[1]);
        bureau.daemon().freeze();
        bank.daemon().go_on();
        at_once("the bank runs", || bank.acts("run") > ran[0]);
    }

    /// Proposes a job and has the bank prepare it. The bureau has admitted it and stands still.
    pub fn propose_and_wait_for_the_bureau(&self, job: &Job) {
        let comes_to = |name: &str, phase: &str| {
            until(&format!("{name} has {phase} {}", job.name), || {
                let job = self.job(&job.name);
                let parties = job["parties"].as_array().cloned().unwrap_or_default();
                parties.iter().any(|party| party["name"] == name && party["phase"] == phase)
            });
        };
        self.propose(job);
        self.bureau.approve(&job.name);
        comes_to("bureau", "admitted");
        self.bureau.daemon().freeze();
        self.bank.approve(&job.name);
        comes_to("bank", "prepared");
    }

    /// Where a job stands, by the coordinator.
    pub fn job(&self, name: &str) -> Value {
        self.developer(&["job", "status", name]).answer()
    }

    /// Waits until a job is over.
    pub fn over(&self, name: &str) -> Value {
        let mut last = Value::Null;
        until(&format!("{name} is over"), || {
            last = self.job(name);
            is_over(&last)
        });
        last
    }

    /// Waits until a job is over, which must be by its release, of this attempt.
    pub fn released(&self, name: &str, attempt: u64) -> Value {
        let job = self.over(name);
        assert_eq!((&job["state"], &job["attempt"]), (&"released".into(), &attempt.into()), "{job:#}{}", self.logs());
        job
    }

    /// Waits until a job is over, which must be by a failure; gives the coordinator's reason.
    pub fn failed(&self, name: &str) -> String {
        let job = self.over(name);
        assert_eq!(job["state"], "failed", "{job:#}{}", self.logs());
        job["reason"].as_str().expect("a reason").to_owned()
    }

    /// What the processes said, for the message of a failed test.
    pub fn logs(&self) -> String {
        let log = |name: &str| {
            let text = std::fs::read_to_string(self.dir.path().join(format!("{name}.log"))).unwrap_or_default();
            let lines: Vec<&str> = text.lines().collect();
            format!("\n--- {name}\n{}", lines[lines.len().saturating_sub(12)..].join("\n"))
        };
        ["coordinator", "bank", "bureau"].map(log).concat()
    }
}

/// What the bank receives of `rows` rows.
pub fn result(rows: usize) -> String {
    table("limit", rows / 2..rows)
}

/// Whether a job needs nothing more.
pub fn is_over(job: &Value) -> bool {
    ["released", "refused", "stopped", "expired", "failed"].contains(&job["state"].as_str().unwrap_or_default())
}

/// Waits for something, by asking again and again: with whole processes, so not too often.
///
/// # Panics
/// Where it does not come.
pub fn until(what: &str, is_so: impl FnMut() -> bool) {
    asking_every(Duration::from_millis(100), what, is_so);
}

/// As [`until`], for a moment that must not be missed and that is seen at a glance.
///
/// # Panics
/// Where it does not come.
pub fn at_once(what: &str, is_so: impl FnMut() -> bool) {
    asking_every(Duration::from_micros(500), what, is_so);
}

fn asking_every(pause: Duration, what: &str, mut is_so: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !is_so() {
        assert!(begun.elapsed() < PATIENCE, "waited {PATIENCE:?} in vain until {what}");
        std::thread::sleep(pause);
    }
}

/// The rows of a party's table: the bank's `limit`, the bureau's `age`.
pub fn table(column: &str, rows: std::ops::Range<usize>) -> String {
    let lines = rows.map(|row| format!("{},{}\n", id(row), 1000 + row));
    std::iter::once(format!("id,{column}\n")).chain(lines).collect()
}
