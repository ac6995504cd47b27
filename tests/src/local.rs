//! A job of any parties by `banyan local`: a coordinator, the nodes and a developer as real processes over real TLS.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;
use std::process::Command;

use serde_json::Value;
use tempfile::TempDir;

use crate::bin;

/// A directory with the data of some parties.
#[derive(Debug)]
pub struct Local {
    dir: TempDir,
    parties: BTreeSet<String>,
}

/// How a job ended.
#[derive(Debug)]
pub struct End {
    exit: Option<i32>,
    /// What `banyan local` answered.
    pub answer: Value,
    dir: TempDir,
}

impl Local {
    /// With these files, each called `party/file.csv`.
    pub fn new(files: &[(&str, String)]) -> Self {
        let this = Self {
            dir: tempfile::tempdir().expect("a directory"),
            parties: files.iter().filter_map(|(path, _)| Some(path.split_once('/')?.0.to_owned())).collect(),
        };
        for (path, text) in files {
            let path = this.dir.path().join(path);
            fs::create_dir_all(path.parent().expect("a party")).expect("the party's directory");
            fs::write(path, text).expect("the file");
        }
        this
    }

    /// Runs a job file.
    pub fn run(self, job: &str, flags: &[&str]) -> End {
        fs::write(self.dir.path().join("job.toml"), job).expect("the job file");
        let mut command = Command::new(bin("banyan"));
        command.current_dir(self.dir.path()).args(["local", "job.toml", "--out", "out", "--json"]);
        for party in &self.parties {
            command.args(["--data", &format!("{party}={party}")]);
        }
        let output = command.args(flags).output().expect("banyan runs");
        let stderr = String::from_utf8_lossy(&output.stderr);
        let answer = serde_json::from_slice(&output.stdout)
            .unwrap_or_else(|_| panic!("one JSON object on stdout; stderr: {stderr}"));
        End { exit: output.status.code(), answer, dir: self.dir }
    }
}

impl End {
    /// The job was released, with all its evidence.
    pub fn released(self) -> Self {
        assert_eq!(self.exit, Some(0), "{:#}", self.answer);
        for party in self.answer["parties"].as_array().expect("parties") {
            assert_eq!(party["log"]["ok"], true, "every log holds");
        }
        self
    }

    /// The job ended with nothing released; gives the reason.
    pub fn failed(self) -> String {
        assert_eq!(self.exit, Some(1), "{:#}", self.answer);
        assert!(!self.dir.path().join("out").exists(), "nothing is left of a job that failed");
        self.answer["error"]["message"].as_str().unwrap_or_default().to_owned()
    }

    /// The job file was refused before anything ran; gives the reason.
    pub fn refused(self) -> String {
        assert_eq!(self.exit, Some(2), "{:#}", self.answer);
        self.answer["error"]["message"].as_str().unwrap_or_default().to_owned()
    }

    /// A file that the job left.
    pub fn file(&self, path: &str) -> String {
        fs::read_to_string(self.path(path)).expect("a file that the job left")
    }

    /// Where it is, or would be.
    pub fn path(&self, path: &str) -> PathBuf {
        self.dir.path().join("out").join(path)
    }
}
