//! The configuration of a node: where everything is, and what its department decided. Errors name file, line and field.

mod home;
#[cfg(test)]
mod tests;

use std::fmt::Write as _;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use banyan_proto::grant::RequiredReview;
use banyan_proto::identity::PublicKey;
use banyan_proto::names::Address;
use banyan_protocols::party::PartyId;
use serde::{Deserialize, Serialize};

pub use home::{HOME_VARIABLE, Home};

use crate::disk;

/// The largest `config.toml` in bytes.
const CONFIG_MAX: u64 = 64 * 1024;
/// The most approvers and the most required reviews: a department has a handful.
pub const APPROVERS_MAX: usize = 16;
/// The smallest memory limit of an attempt in MiB: below it nothing can be sorted.
pub const MEMORY_MB_MIN: u32 = 64;
/// The largest memory limit of an attempt in MiB: one TiB.
pub const MEMORY_MB_MAX: u32 = 1 << 20;
/// The longest use of one key: a year.
pub const EPOCH_S_MAX: u32 = 366 * 24 * 60 * 60;
/// The most answers in that time: with 2^28 tags false matches stay below 2^-32.
pub const ANSWERS_MAX: u64 = 1 << 36;
/// The most worker threads.
pub const THREADS_MAX: u32 = 1024;

/// `config.toml`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The name that specs, peers and the coordinator call this node by.
    pub name: PartyId,
    /// Where peers dial this node; none: it only dials out, through the coordinator's relay.
    #[serde(default)]
    pub listen: Option<SocketAddr>,
    /// The `host:port` that others dial; none: derived from `listen` where that names one address.
    #[serde(default)]
    pub url: Option<String>,
    /// The loopback port of `/livez`, `/readyz` and `/metrics`. Default `127.0.0.1:0`: a free port, see `admin.addr`.
    #[serde(default = "default_admin")]
    pub admin: SocketAddr,
    /// The one directory that data sets lie under, relative to the home. Default `data`.
    #[serde(default = "default_data_dir")]
    pub data_dir: PathBuf,
    /// The most memory that one attempt's keys and its local engine use, in MiB; a job may ask for less. Four attempts run
    /// at once at most. Default 1024.
    #[serde(default = "default_memory_mb")]
    pub memory_mb: u32,
    /// Worker threads of the protocols; 0: one per core. Default 0.
    #[serde(default)]
    pub threads: u32,
    /// The public keys whose approval counts. None: no job can run.
    #[serde(default)]
    pub approvers: Vec<PublicKey>,
    /// The reviews that must stand before an approval counts, in their order.
    #[serde(default)]
    pub required_reviews: Vec<RequiredReview>,
    /// Seconds for which a set that was prepared for `unbalanced` is used under one key. Default 2592000: thirty days.
    #[serde(default = "default_epoch_s")]
    pub epoch_s: u32,
    /// How many keys one party may have answered under one scenario by `unbalanced`, in any `epoch_s`: more could be guesses at
    /// who is in a set. Default 1048576.
    #[serde(default = "default_answers_per_epoch")]
    pub answers_per_epoch: u64,
    /// Whether `banyan-node interop run --plaintext` may speak without TLS: for tests. Default false.
    #[serde(default)]
    pub interop_plaintext: bool,
    /// The coordinator this node attends; none before `banyan-node join`.
    #[serde(default)]
    pub coordinator: Option<Coordinator>,
}

/// The coordinator a node attends.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Coordinator {
    /// Its `host:port`.
    pub url: String,
    /// Its public key, pinned.
    pub key: PublicKey,
}

impl Config {
    /// A configuration with every default.
    pub fn new(name: PartyId) -> Self {
        Self {
            name,
            listen: None,
            url: None,
            admin: default_admin(),
            data_dir: default_data_dir(),
            memory_mb: default_memory_mb(),
            threads: 0,
            approvers: Vec::new(),
            required_reviews: Vec::new(),
            epoch_s: default_epoch_s(),
            answers_per_epoch: default_answers_per_epoch(),
            interop_plaintext: false,
            coordinator: None,
        }
    }

    /// Reads and checks `config.toml`.
    ///
    /// # Errors
    /// [`ConfigError`] names the file, the line, the field and the remedy.
    pub fn load(home: &Home) -> Result<Self, ConfigError> {
        let file = home.config();
        let fail = |reason: String, remedy: &str| ConfigError::new(&file, None, "file", reason, remedy);
        let size = match std::fs::metadata(&file) {
            Ok(metadata) => metadata.len(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(fail("there is none".into(), "run `banyan-node init`, or give the right --home"));
            }
            Err(error) => return Err(fail(error.to_string(), "check that this user may read it")),
        };
        if size > CONFIG_MAX {
            return Err(fail(format!("{size} bytes"), "keep it below 64 KiB"));
        }
        let text = std::fs::read_to_string(&file)
            .map_err(|error| fail(error.to_string(), "check that this user may read it and that it is UTF-8"))?;
        Self::parse(&file, &text)
    }

    /// Checks the configuration and replaces `config.toml` whole. Comments of its own are written, others are not kept.
    ///
    /// # Errors
    /// [`ConfigError`] where a field is wrong or the file cannot be written; the file is then as it was.
    pub fn save(&self, home: &Home) -> Result<(), ConfigError> {
        let file = home.config();
        self.check(&file, "")?;
        disk::replace(&file, self.to_toml().as_bytes(), disk::PRIVATE_FILE).map_err(|error| {
            let remedy = "check that this user may write the directory and that the disk is not full";
            ConfigError::new(&file, None, "file", error.to_string(), remedy)
        })
    }

    /// The data directory, as an absolute path where the home is one.
    pub fn data_dir(&self, home: &Home) -> PathBuf {
        home.root().join(&self.data_dir)
    }

    fn parse(file: &Path, text: &str) -> Result<Self, ConfigError> {
        let wrong = |field: String, error: &toml::de::Error| {
            let line = error.span().map(|span| line_of(text, span.start));
            let remedy = remedy(&field);
            ConfigError::new(file, line, field, error.message(), remedy)
        };
        let deserializer = toml::Deserializer::parse(text).map_err(|error| wrong("file".into(), &error))?;
        let config: Self = serde_path_to_error::deserialize(deserializer).map_err(|error| {
            let path = error.path().to_string();
            wrong(if path == "." { "file".into() } else { path }, error.inner())
        })?;
        config.check(file, text)?;
        Ok(config)
    }

    fn check(&self, file: &Path, text: &str) -> Result<(), ConfigError> {
        let wrong = |field: &str, reason: String| {
            Err(ConfigError::new(file, line_with(text, field), field, reason, remedy(field)))
        };
        if !self.admin.ip().is_loopback() {
            return wrong("admin", format!("{} can be reached from other machines", self.admin));
        }
        let no_address = |url: &str| url.parse::<Address>().is_err();
        if let Some(url) = self.url.as_ref().filter(|url| no_address(url)) {
            return wrong("url", format!("{url:?} is no host:port"));
        }
        if let Some(coordinator) = self.coordinator.as_ref().filter(|c| no_address(&c.url)) {
            return wrong("coordinator.url", format!("{:?} is no host:port", coordinator.url));
        }
        if !(MEMORY_MB_MIN..=MEMORY_MB_MAX).contains(&self.memory_mb) {
            return wrong("memory_mb", format!("{} MiB", self.memory_mb));
        }
        if self.threads > THREADS_MAX {
            return wrong("threads", format!("{} threads", self.threads));
        }
        if !(1..=EPOCH_S_MAX).contains(&self.epoch_s) {
            return wrong("epoch_s", format!("{} seconds", self.epoch_s));
        }
        if self.answers_per_epoch > ANSWERS_MAX {
            return wrong("answers_per_epoch", format!("{} answers", self.answers_per_epoch));
        }
        if self.data_dir.as_os_str().is_empty() {
            return wrong("data_dir", "empty".into());
        }
        if self.approvers.len() > APPROVERS_MAX {
            return wrong("approvers", format!("{} approvers", self.approvers.len()));
        }
        if self.required_reviews.len() > APPROVERS_MAX {
            return wrong("required_reviews", format!("{} reviews", self.required_reviews.len()));
        }
        Ok(())
    }

    /// The file's text: every field with what it is for, those without a value as a comment.
    fn to_toml(&self) -> String {
        let mut text = String::from("# A banyan-node. `banyan-node check` tells what is wrong with it.\n");
        let mut field = |about: &str, name: &str, value: Option<String>, example: &str| {
            let line = value.map_or_else(|| format!("# {name} = {example}"), |value| format!("{name} = {value}"));
            let _ = write!(text, "\n# {about}\n{line}\n");
        };
        let quoted = |text: &dyn ToString| toml::Value::String(text.to_string()).to_string();
        let path = self.data_dir.to_string_lossy();
        let keys: Vec<String> = self.approvers.iter().map(|key| format!("\n  {},", quoted(key))).collect();
        let keys = if keys.is_empty() { "[]".into() } else { format!("[{}\n]", keys.concat()) };
        let (listen, url) = (self.listen.map(|address| quoted(&address)), self.url.as_ref().map(|url| quoted(url)));
        field(
            "The name that specs, peers and the coordinator call this node by.",
            "name",
            Some(quoted(&self.name)),
            "",
        );
        field("Where peers dial this node. Without it, it only dials out.", "listen", listen, "\"0.0.0.0:7440\"");
        field("The host:port that others dial.", "url", url, "\"node.example.org:7440\"");
        field(
            "Loopback port of /livez, /readyz and /metrics; 0: any free one.",
            "admin",
            Some(quoted(&self.admin)),
            "",
        );
        field("The one directory that data sets lie under, from the home.", "data_dir", Some(quoted(&path)), "");
        field(
            "Memory of one attempt's keys and local engine, in MiB; four attempts run at once at most.",
            "memory_mb",
            Some(self.memory_mb.to_string()),
            "",
        );
        field("Worker threads of the protocols; 0: one per core.", "threads", Some(self.threads.to_string()), "");
        field("The public keys whose approval counts. None: no job runs.", "approvers", Some(keys), "");
        field(
            "Seconds for which a set prepared for protocol unbalanced is used under one key.",
            "epoch_s",
            Some(self.epoch_s.to_string()),
            "",
        );
        field(
            "Keys that one party may have answered under one scenario by protocol unbalanced, in any such time.",
            "answers_per_epoch",
            Some(self.answers_per_epoch.to_string()),
            "",
        );
        if self.interop_plaintext {
            let about = "For tests: lets `banyan-node interop run --plaintext` speak without TLS.";
            field(about, "interop_plaintext", Some("true".into()), "");
        }
        text += "\n# Reviews that must stand before an approval counts, in their order:\n";
        text += "# [[required_reviews]]\n# reviewer = \"operator\"  # or \"authority\"\n# key = \"ed25519:…\"\n";
        for review in &self.required_reviews {
            let reviewer = toml::Value::try_from(review.reviewer).map_or_else(|_| String::new(), |v| v.to_string());
            let _ = write!(text, "\n[[required_reviews]]\nreviewer = {reviewer}\nkey = {}\n", quoted(&review.key));
        }
        match &self.coordinator {
            Some(c) => {
                let _ = write!(text, "\n[coordinator]\nurl = {}\nkey = {}\n", quoted(&c.url), quoted(&c.key));
            }
            None => text += "\n# The coordinator, written by `banyan-node join`.\n# [coordinator]\n",
        }
        text
    }
}

/// What is wrong with a configuration.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}{}: {field}: {reason}; {remedy}", .file.display(), .line.map(|line| format!(" line {line}")).unwrap_or_default())]
pub struct ConfigError {
    /// The file.
    pub file: PathBuf,
    /// The line, from 1, where it is known.
    pub line: Option<usize>,
    /// The field, or `file`.
    pub field: String,
    /// Why it is wrong.
    pub reason: String,
    /// What would be right.
    pub remedy: String,
}

impl ConfigError {
    fn new(
        file: &Path,
        line: Option<usize>,
        field: impl Into<String>,
        reason: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Self {
        Self { file: file.into(), line, field: field.into(), reason: reason.into(), remedy: remedy.into() }
    }
}

fn default_admin() -> SocketAddr {
    (Ipv4Addr::LOCALHOST, 0).into()
}

fn default_data_dir() -> PathBuf {
    home::DATA.into()
}

fn default_memory_mb() -> u32 {
    1024
}

fn default_epoch_s() -> u32 {
    30 * 24 * 60 * 60
}

/// 256 queries of 4096 keys; of the 2^34 or so national ids of a region and decade, one in 16384.
fn default_answers_per_epoch() -> u64 {
    1 << 20
}

/// What would be right, by field.
fn remedy(field: &str) -> String {
    let field = field.split('[').next().unwrap_or(field);
    match field {
        "name" => "write name = \"tax-bureau\", from a-z, 0-9 and '-'".into(),
        "listen" => "write listen = \"0.0.0.0:7440\", or leave it out if nobody can dial this node".into(),
        "url" | "coordinator.url" => "write a host and a port such as \"node.example.org:7440\"".into(),
        "admin" => "write admin = \"127.0.0.1:0\"".into(),
        "data_dir" => "write data_dir = \"data\"".into(),
        "memory_mb" => format!("give {MEMORY_MB_MIN} to {MEMORY_MB_MAX} MiB"),
        "threads" => format!("give 0 (one per core) to {THREADS_MAX}"),
        "approvers" => format!("write approvers = [\"ed25519:…\"], at most {APPROVERS_MAX}"),
        "required_reviews" => {
            format!("write [[required_reviews]] with reviewer and key, at most {APPROVERS_MAX}")
        }
        "epoch_s" => format!("give 1 to {EPOCH_S_MAX} seconds"),
        "answers_per_epoch" => format!("give 0 to {ANSWERS_MAX}"),
        "interop_plaintext" => "leave it out, or write interop_plaintext = true for tests".into(),
        "coordinator" | "coordinator.key" => "run `banyan-node join` with an invite of the coordinator".into(),
        _ => "`banyan-node init` in another --home writes a whole one to compare with".into(),
    }
}

fn line_of(text: &str, offset: usize) -> usize {
    text.bytes().take(offset).filter(|byte| *byte == b'\n').count() + 1
}

/// The line that sets the last part of `field`.
fn line_with(text: &str, field: &str) -> Option<usize> {
    let key = field.rsplit('.').next()?;
    let sets = |line: &str| line.trim_start().strip_prefix(key).is_some_and(|rest| rest.trim_start().starts_with('='));
    text.lines().position(sets).map(|index| index + 1)
}
