//! One party of a local run: a real node in a throw-away home, driven by its own command line and nothing else.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::time::Duration;

use banyan_proto::canonical::Digest;
use banyan_proto::identity::{Fingerprint, PublicKey};
use banyan_proto::job::State;
use banyan_protocols::party::PartyId;
use serde::Deserialize;
use serde_json::Value;
use tokio::time::{Instant, sleep};

use super::process::{Calls, Daemon};
use crate::cli::answer::Failure;
use crate::cli::programs::Program;
use crate::cli::view::JobView;

/// How long an introduction or an offer may take to reach a node that is up.
const ARRIVES_WITHIN: Duration = Duration::from_secs(60);
/// How long a node may take to end a job that another has ended.
const SETTLES_WITHIN: Duration = Duration::from_secs(10);
/// How often it is looked for.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// A node, its home, and what its `init` told.
pub(crate) struct Party {
    /// Its name.
    pub(crate) name: PartyId,
    /// Its home.
    pub(crate) home: PathBuf,
    /// Its public key.
    pub(crate) key: PublicKey,
    /// What the others pin.
    fingerprint: Fingerprint,
    node: Program,
    calls: Calls,
}

/// What `audit verify` says of a log that holds.
#[derive(Clone, Debug)]
pub(crate) struct LogProof {
    /// Whose log.
    pub(crate) party: PartyId,
    /// How many records.
    pub(crate) records: u64,
    /// The whole answer.
    pub(crate) answer: Value,
}

#[derive(Deserialize)]
struct Made {
    key: PublicKey,
    fingerprint: Fingerprint,
}

impl Party {
    /// Makes the node: its home, its keys, its approver's key; its data sets are the files in `data`.
    ///
    /// # Errors
    /// What the node's own command says.
    pub(crate) async fn init(
        name: &PartyId,
        home: PathBuf,
        node: &Program,
        calls: &Calls,
        data: &Path,
        listens: bool,
    ) -> Result<Self, Failure> {
        let listen = if listens { "127.0.0.1:0" } else { "none" };
        let args: [&OsStr; 8] = [
            "init".as_ref(),
            "--name".as_ref(),
            name.as_str().as_ref(),
            "--data".as_ref(),
            data.as_os_str(),
            "--listen".as_ref(),
            listen.as_ref(),
            "--json".as_ref(),
        ];
        let answer = calls.call(node, &at(&home, &args)).await.map_err(|failure| failure.at(name))?;
        let made: Made = serde_json::from_value(answer).map_err(|error| odd(name, "init", &error))?;
        let Made { key, fingerprint } = made;
        Ok(Self { name: name.clone(), home, key, fingerprint, node: node.clone(), calls: calls.clone() })
    }

    /// Registers the files of the data directory as data sets.
    ///
    /// # Errors
    /// What the node's own command says: it names the file, the line and the column.
    pub(crate) async fn scan(&self) -> Result<(), Failure> {
        self.call(&["data", "scan"]).await.map(|_| ())
    }

    /// Redeems an invite.
    ///
    /// # Errors
    /// What the node's own command says.
    pub(crate) async fn join(&self, token: &str) -> Result<(), Failure> {
        self.call(&["join", token]).await.map(|_| ())
    }

    /// Starts the daemon.
    ///
    /// # Errors
    /// [`Failure::NotNow`] where it does not start.
    pub(crate) fn up(&self, log: &Path) -> Result<Daemon, Failure> {
        Daemon::start(self.name.as_str(), &self.node, &at(&self.home, &["up".as_ref()]), log)
    }

    /// The file that a daemon writes when its port for peers is open.
    pub(crate) fn listen_file(&self) -> PathBuf {
        self.home.join("listen.addr")
    }

    /// The file that a daemon writes when it is up.
    pub(crate) fn admin_file(&self) -> PathBuf {
        self.home.join("admin.addr")
    }

    /// Pins `other` by the fingerprint that its own `init` printed, once the coordinator has introduced it.
    ///
    /// # Errors
    /// What the node's own command says.
    pub(crate) async fn confirm(&self, other: &Self, url: Option<&str>) -> Result<(), Failure> {
        let fingerprint = other.fingerprint.to_string();
        let mut args = vec!["peer", "confirm", other.name.as_str(), &fingerprint];
        args.extend(url.iter().flat_map(|url| ["--url", url]));
        self.until_known(&args).await.map(|_| ())
    }

    /// Signs the scenario of an offered job with the approver's key.
    ///
    /// # Errors
    /// What the node's own command says, such as a scenario that has expired.
    pub(crate) async fn approve(&self, job: &Digest) -> Result<(), Failure> {
        let job = job.to_string();
        self.until_known(&["approve", &job, "--yes"]).await.map(|_| ())
    }

    /// Why this node ended a job, in its own words: how its attempt failed, else which of its rules said no. None where it
    /// only stopped because others did. It may still be at it when another node's failure is heard: it is asked until it
    /// is done, for a while.
    pub(crate) async fn why(&self, job: &JobView) -> Option<String> {
        let until = Instant::now() + SETTLES_WITHIN;
        loop {
            match self.settled(job).await {
                Some(why) => return why,
                None if Instant::now() > until => return None,
                None => sleep(LOOK_EVERY).await,
            }
        }
    }

    /// As [`Party::why`], once this node is done with the job.
    async fn settled(&self, job: &JobView) -> Option<Option<String>> {
        let digest = Value::String(job.digest.to_string());
        let of_job = |answer: &Value| answer["jobs"].as_array()?.iter().find(|one| one["job"] == digest).cloned();
        let text = |value: &Value| value.as_str().filter(|text| !text.is_empty()).map(str::to_owned);
        let status = of_job(&self.call(&["status"]).await.ok()?)?;
        match status["attempts"].as_array()?.iter().find(|attempt| attempt["attempt"] == job.attempt) {
            Some(attempt) if attempt["state"] == "under-way" => None,
            Some(attempt) if attempt["code"] == "stopped" => Some(None),
            Some(attempt) => Some(text(&attempt["reason"])),
            None if job.state == State::Failed => None, // it has not begun yet
            None => {
                let offer = of_job(&self.call(&["inbox"]).await.ok()?)?;
                match text(&offer["why"]) {
                    None if offer["standing"] == "waiting" => None, // it has not decided yet
                    // one that was stopped stood with the others' refusal
                    why => Some(why.filter(|why| offer["standing"] == "refused" && !why.starts_with("stopped: "))),
                }
            }
        }
    }

    /// Checks the whole log off line, also against the signed words on it that others keep in files.
    ///
    /// # Errors
    /// [`Failure::No`] where it does not hold.
    pub(crate) async fn verify_log(&self, receipts: Vec<PathBuf>) -> Result<LogProof, Failure> {
        let mut args: Vec<&OsStr> = vec!["audit".as_ref(), "verify".as_ref()];
        args.extend(receipts.iter().flat_map(|file| ["--receipt".as_ref(), file.as_os_str()]));
        let answer = self.call(&args).await?;
        let records = answer["records"].as_u64().unwrap_or_default();
        Ok(LogProof { party: self.name.clone(), records, answer })
    }

    /// Where its result of an attempt is.
    pub(crate) fn result_dir(&self, job: &str, digest: &Digest, attempt: u32) -> PathBuf {
        self.home.join("results").join(format!("{job}-{}-{attempt}", digest.short()))
    }

    /// Calls again while the node does not know yet what is spoken of: it hears from the coordinator a moment later.
    async fn until_known(&self, args: &[&str]) -> Result<Value, Failure> {
        let until = Instant::now() + ARRIVES_WITHIN;
        loop {
            match self.call(args).await {
                Err(Failure::Input(_)) if Instant::now() < until => sleep(LOOK_EVERY).await,
                end => return end,
            }
        }
    }

    async fn call<S: AsRef<OsStr>>(&self, args: &[S]) -> Result<Value, Failure> {
        let args: Vec<&OsStr> = args.iter().map(AsRef::as_ref).chain([OsStr::new("--json")]).collect();
        self.calls.call(&self.node, &at(&self.home, &args)).await.map_err(|failure| failure.at(&self.name))
    }
}

/// The arguments with the home behind the command's words, where every command takes it.
fn at(home: &Path, args: &[&OsStr]) -> Vec<OsString> {
    args.iter().copied().chain(["--home".as_ref(), home.as_os_str()]).map(OsStr::to_owned).collect()
}

fn odd(name: &PartyId, command: &str, error: &dyn std::fmt::Display) -> Failure {
    Failure::not_now(format!(
        "{name}: `banyan-node {command}` answered with something else ({error}); are banyan and banyan-node of one version?"
    ))
}
