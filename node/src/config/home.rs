//! The home of a node: every file it keeps, by its one name.

use std::io;
use std::path::{Path, PathBuf};

use banyan_proto::canonical::Digest;
use banyan_proto::names::Name;

use crate::admin::ADDR_FILE;
use crate::disk;

/// The environment variable that names the home where no `--home` is given.
pub const HOME_VARIABLE: &str = "BANYAN_HOME";
const HOME_DEFAULT: &str = ".banyan-node";

/// The directory with everything a node keeps.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Home(PathBuf);

impl Home {
    /// The home in that directory, which need not exist.
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self(root.into())
    }

    /// The home that a command means: `--home`, else `$BANYAN_HOME`, else `~/.banyan-node`.
    pub fn locate(flag: Option<PathBuf>) -> Self {
        let named = flag.or_else(|| std::env::var_os(HOME_VARIABLE).filter(|v| !v.is_empty()).map(PathBuf::from));
        Self(named.unwrap_or_else(|| std::env::home_dir().unwrap_or_default().join(HOME_DEFAULT)))
    }

    /// Makes the directories that are missing, for the owner only.
    ///
    /// # Errors
    /// As the system says.
    pub fn create(&self) -> io::Result<()> {
        let inside = [self.keys(), self.audit(), self.results(), self.tmp(), self.0.join(DATA)];
        inside.iter().try_for_each(|directory| disk::create_private_dir(directory))
    }

    /// The directory itself.
    pub fn root(&self) -> &Path {
        &self.0
    }

    /// The node's configuration.
    pub fn config(&self) -> PathBuf {
        self.0.join("config.toml")
    }

    /// The node's data sets.
    pub fn catalog(&self) -> PathBuf {
        self.0.join("catalog.toml")
    }

    /// The directory of the daemon's key.
    pub fn keys(&self) -> PathBuf {
        self.0.join("keys")
    }

    /// The node's private key.
    pub fn identity(&self) -> PathBuf {
        self.keys().join("identity.pem")
    }

    /// The approver's private key, which may be kept elsewhere.
    pub fn approver(&self) -> PathBuf {
        self.0.join("approver").join("approver.pem")
    }

    /// The database of the node's state.
    pub fn state(&self) -> PathBuf {
        self.0.join("state.sqlite")
    }

    /// The directory of the audit log.
    pub fn audit(&self) -> PathBuf {
        self.0.join("audit")
    }

    /// The audit log: one record per line.
    pub fn log(&self) -> PathBuf {
        self.audit().join("log.jsonl")
    }

    /// The signed checkpoint over the audit log.
    pub fn checkpoint(&self) -> PathBuf {
        self.audit().join("checkpoint")
    }

    /// The directory of results.
    pub fn results(&self) -> PathBuf {
        self.0.join("results")
    }

    /// The directory of one result.
    pub fn result(&self, name: &Name, job: &Digest, attempt: u32) -> PathBuf {
        self.results().join(format!("{name}-{}-{attempt}", job.short()))
    }

    /// What jobs of `unbalanced` keep from one to the next: prepared sets with their keys, and tags.
    pub fn epochs(&self) -> PathBuf {
        self.0.join("epochs")
    }

    /// Spill files of the local engine, which are emptied at start.
    pub fn tmp(&self) -> PathBuf {
        self.0.join("tmp")
    }

    /// Where the daemon writes the address of its admin port.
    pub fn admin_addr(&self) -> PathBuf {
        self.0.join(ADDR_FILE)
    }

    /// Where the daemon writes the address on which it listens for peers.
    pub fn listen_addr(&self) -> PathBuf {
        self.0.join("listen.addr")
    }
}

/// The default data directory inside the home.
pub(super) const DATA: &str = "data";
