//! The command line of `banyan-node`, as a person or a script meets it: the real program, a real home, exact messages.

mod daemon;
mod data;
mod home;
mod interop;
mod people;

use std::fs;
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use banyan_node::audit::Log;
use banyan_node::config::{Config, Coordinator, Home};
use banyan_node::store::Store;
use banyan_proto::audit::Act;
use banyan_proto::canonical::{Canonical, Digest};
use banyan_proto::grant::Reviewer;
use banyan_proto::identity::Identity;
use banyan_proto::invite::{Invite, InviteRole, InviteSecret};
use banyan_proto::job::Spec;
use banyan_protocols::party::PartyId;
use serde_json::Value;
use tempfile::TempDir;

/// What a command said.
struct Said {
    exit: i32,
    out: String,
    error: String,
}

/// A node in a home of its own, with a data directory beside it.
struct Node {
    dir: TempDir,
}

impl Node {
    /// Two directories and no node yet.
    fn nowhere() -> Self {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("data")).unwrap();
        fs::write(dir.path().join("data/residents.csv"), "id,age\n110101199001011234,30\n11010119900101123X,31\n")
            .unwrap();
        Self { dir }
    }

    /// A node called tax.
    fn made() -> Self {
        let node = Self::nowhere();
        let data = node.dir.path().join("data");
        let said = node.say(&["init", "--name", "tax", "--data", data.to_str().unwrap()]);
        assert_eq!(said.exit, 0, "{}", said.error);
        node
    }

    fn path(&self) -> PathBuf {
        self.dir.path().join("home")
    }

    fn home(&self) -> Home {
        Home::new(self.path())
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_banyan-node"));
        command.arg("--home").arg(self.path()).args(arguments).stdin(Stdio::null());
        command
    }

    fn say(&self, arguments: &[&str]) -> Said {
        let output = self.command(arguments).output().unwrap();
        Said {
            exit: output.status.code().unwrap(),
            out: String::from_utf8(output.stdout).unwrap(),
            error: String::from_utf8(output.stderr).unwrap(),
        }
    }

    fn json(&self, arguments: &[&str]) -> Value {
        let said = self.say(&[&["--json"], arguments].concat());
        serde_json::from_str(&said.out).unwrap_or_else(|error| panic!("{error}: {} {}", said.out, said.error))
    }

    /// Fails with this exit code, and this message and no other.
    #[track_caller]
    fn fails(&self, arguments: &[&str], exit: i32, message: &str) {
        let said = self.say(arguments);
        assert_eq!((said.exit, said.error.as_str()), (exit, format!("error: {message}\n").as_str()));
        assert_eq!(said.out, "");
    }

    /// What a coordinator would do: offers this job.
    fn offered(&self, spec: &Spec) -> Digest {
        Store::open(&self.home()).unwrap().put_offer(&spec.digest(), &spec.to_bytes(), &[]).unwrap();
        spec.digest()
    }

    /// Attends a coordinator that nobody answers for.
    fn attends_nobody(&self) -> Config {
        let mut config = Config::load(&self.home()).unwrap();
        let key = Identity::generate().unwrap().public();
        config.coordinator = Some(Coordinator { url: "127.0.0.1:1".into(), key });
        config.save(&self.home()).unwrap();
        config
    }
}

const JOB: &str = r#"
version = 1
name = "fraud-check"
operation = "intersect"
protocol = "dh"
result = "rows"
recipients = ["bank"]
minimum_result = 10

[[parties]]
name = "bank"
dataset = "customers"
key = ["id"]
rows_at_most = 30000

[[parties]]
name = "tax"
dataset = "residents"
key = ["id"]
filter = "age >= 18"
rows_at_most = 5000

[scenario]
name = "fraud"
purpose = "find applicants who are known for tax fraud"
operations = ["intersect"]
results = ["rows"]
recipients = ["bank"]
minimum_result = 10
valid_from = "2026-01-01T00:00:00Z"
valid_until = "2029-01-01T00:00:00Z"
runs = 3

[[scenario.grants]]
party = "bank"
dataset = "customers"
key = ["id"]

[[scenario.grants]]
party = "tax"
dataset = "residents"
key = ["id"]
filter = ["age"]
"#;

fn job() -> Spec {
    Spec::from_toml(JOB).unwrap()
}
