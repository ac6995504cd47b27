//! One node: its home, its data, its daemon, and what can be seen of it from outside.

use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::bin;
use crate::office::until;
use crate::process::{Daemon, Said, call};

/// A node.
#[derive(Debug)]
pub struct Party {
    /// Its name.
    pub name: String,
    /// Its home.
    pub home: PathBuf,
    /// Its data set's file.
    pub table: PathBuf,
    /// What it tells others to confirm.
    pub fingerprint: String,
    /// Its public key.
    pub key: String,
    /// Its daemon, while it runs.
    pub daemon: Option<Daemon>,
    log: PathBuf,
}

impl Party {
    /// Makes a node under `dir` whose data set is `table`.
    pub fn init(dir: &Path, name: &str, table: &str) -> Self {
        let (home, data) = (dir.join(format!("{name}-home")), dir.join(format!("{name}-data")));
        std::fs::create_dir_all(&data).expect("a data directory");
        let file = data.join(format!("{name}-rows.csv"));
        std::fs::write(&file, table).expect("a table");
        let mut party = Self {
            name: name.into(),
            home,
            table: file,
            fingerprint: String::new(),
            key: String::new(),
            daemon: None,
            log: dir.join(format!("{name}.log")),
        };
        party.make();
        party
    }

    /// `init` and `data scan`, also of a home that was thrown away.
    pub fn make(&mut self) {
        let data = self.table.parent().expect("a directory").to_owned();
        let data = data.to_str().expect("a path");
        let made = self.call(&["init", "--name", &self.name, "--data", data, "--listen", "127.0.0.1:0"]).answer();
        let text = |field: &str| made[field].as_str().expect("a text").to_owned();
        (self.fingerprint, self.key) = (text("fingerprint"), text("key"));
        self.call(&["data", "scan"]).answer();
    }

    /// A command at this node.
    pub fn call(&self, args: &[&str]) -> Said {
        let home = self.home.to_str().expect("a path");
        call(&bin("banyan-node"), &[args, &["--json", "--home", home]].concat())
    }

    /// Starts the daemon and waits until it attends the coordinator.
    pub fn up(&mut self) {
        self.start();
        until(&format!("{} is ready", self.name), || {
            assert!(self.daemon.as_mut().is_some_and(Daemon::runs), "{} ended:\n{}", self.name, self.log());
            self.not_ready().is_some_and(|services| services.is_empty())
        });
    }

    /// Starts the daemon.
    pub fn start(&mut self) {
        let home = self.home.to_str().expect("a path");
        self.daemon = Some(Daemon::start(&bin("banyan-node"), &["up", "--home", home], &self.log));
    }

    /// Ends the daemon as a power cut would.
    pub fn kill(&mut self) {
        self.daemon.take().expect("it runs").kill();
    }

    /// The running daemon.
    ///
    /// # Panics
    /// Where it does not run.
    pub fn daemon(&self) -> &Daemon {
        self.daemon.as_ref().expect("it runs")
    }

    /// What of the daemon is not ready, with the reasons; none while it does not answer.
    pub fn not_ready(&self) -> Option<serde_json::Map<String, Value>> {
        let pid = self.daemon.as_ref()?.pid();
        let status = self.call(&["status"]).answer();
        let daemon = &status["daemon"];
        (daemon["pid"] == pid).then(|| daemon["not_ready"].as_object().cloned())?
    }

    /// Pins the key of `other`, as that one told it.
    pub fn confirm(&self, other: &Self) {
        self.call(&["peer", "confirm", &other.name, &other.fingerprint]).answer();
    }

    /// Allows the scenario of a job once it was offered.
    pub fn approve(&self, job: &str) {
        self.offered(job);
        self.call(&["approve", job, "--yes"]).answer();
    }

    /// Waits until a job was offered; gives it as the inbox has it.
    pub fn offered(&self, job: &str) -> Value {
        let mut found = Value::Null;
        until(&format!("{job} is offered to {}", self.name), || {
            let inbox = self.call(&["inbox"]).answer();
            let jobs = inbox["jobs"].as_array().cloned().unwrap_or_default();
            found = jobs.into_iter().find(|one| one["name"] == job).unwrap_or_default();
            !found.is_null()
        });
        found
    }

    /// The attempts of a job here.
    pub fn attempts(&self, job: &str) -> Vec<Value> {
        let status = self.call(&["status"]).answer();
        let jobs = status["jobs"].as_array().cloned().unwrap_or_default();
        let job = jobs.into_iter().find(|one| one["name"] == job).unwrap_or_default();
        job["attempts"].as_array().cloned().unwrap_or_default()
    }

    /// Waits until the last attempt of a job has ended here; gives it.
    pub fn ended(&self, job: &str) -> Value {
        let mut last = Value::Null;
        until(&format!("the attempt of {job} ends at {}", self.name), || {
            last = self.attempts(job).pop().unwrap_or_default();
            last["state"] == "completed" || last["state"] == "failed"
        });
        last
    }

    /// Runs that are spent of all scenarios, by the store.
    pub fn runs_spent(&self) -> u64 {
        let status = self.call(&["status"]).answer();
        let budgets = status["budgets"].as_array().cloned().unwrap_or_default();
        budgets.iter().filter_map(|budget| budget["spent"].as_u64()).sum()
    }

    /// The log holds.
    pub fn verify(&self) {
        let verified = self.call(&["audit", "verify"]);
        assert_eq!(verified.exit, Some(0), "{}: {}", self.name, verified.text);
    }

    /// How many records of an act the log has.
    pub fn acts(&self, act: &str) -> usize {
        let log = std::fs::read_to_string(self.home.join("audit/log.jsonl")).unwrap_or_default();
        log.matches(&format!("\"act\":\"{act}\"")).count()
    }

    /// What the daemon said.
    pub fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Every result that is there: the job's name and the attempt, the manifest, and the text of the result file.
    ///
    /// # Panics
    /// Where anything else is under `results/`: a partial file, a result without a manifest.
    pub fn results(&self) -> Vec<(String, u64, Value, Option<String>)> {
        let mut results = Vec::new();
        for directory in entries(&self.home.join("results")) {
            let manifest = std::fs::read(directory.join("manifest.json"));
            let names: Vec<String> = entries(&directory).iter().map(|path| name_of(path)).collect();
            let manifest = manifest.unwrap_or_else(|_| panic!("{} has no manifest: {names:?}", directory.display()));
            let manifest: Value = serde_json::from_slice(&manifest).expect("a manifest");
            let file = manifest["file"].as_str().map(str::to_owned);
            let expected: Vec<String> = ["manifest.json".to_owned()].into_iter().chain(file.clone()).collect();
            assert_eq!(names, expected, "nothing else is in {}", directory.display());
            let text = file.map(|file| std::fs::read_to_string(directory.join(file)).expect("a result"));
            let job = manifest["job"].as_str().expect("a name").to_owned();
            results.push((job, manifest["attempt"].as_u64().expect("a number"), manifest, text));
        }
        results
    }
}

fn entries(directory: &Path) -> Vec<PathBuf> {
    let read = std::fs::read_dir(directory).into_iter().flatten();
    let mut paths: Vec<PathBuf> = read.map(|entry| entry.expect("an entry").path()).collect();
    paths.sort();
    paths
}

fn name_of(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}
