//! A developer's home: one key, and the coordinator it was invited to.

use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use banyan_proto::identity::{Identity, PublicKey};
use banyan_protocols::party::PartyId;
use clap::Args;
use serde::{Deserialize, Serialize};

use super::answer::Failure;

/// The file with what [`Developer`] knows besides its key.
const CONFIG: &str = "developer.toml";
/// The file with the key.
const KEY: &str = "keys/identity.pem";

/// Where a developer's key lives.
#[derive(Args, Clone)]
pub(crate) struct HomeArg {
    /// The developer's home, with its key [default: $BANYAN_DEV_HOME or ~/.banyan-dev]
    #[arg(long, value_name = "DIR")]
    home: Option<PathBuf>,
}

impl HomeArg {
    /// The directory.
    ///
    /// # Errors
    /// [`Failure::Input`] where nothing says where it is.
    pub(crate) fn path(&self) -> Result<PathBuf, Failure> {
        default_home(self.home.as_deref(), "BANYAN_DEV_HOME", ".banyan-dev")
    }
}

/// `given`, or the directory in the environment variable, or the one below the user's home.
///
/// # Errors
/// [`Failure::Input`] where none of them is there.
pub(crate) fn default_home(given: Option<&Path>, variable: &str, below: &str) -> Result<PathBuf, Failure> {
    let named = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    given
        .map(Path::to_owned)
        .or_else(|| named(variable))
        .or_else(|| named("HOME").map(|home| home.join(below)))
        .ok_or_else(|| Failure::input(format!("no home: give --home DIR, or set {variable}")))
}

/// A developer who joined a coordinator.
pub(crate) struct Developer {
    /// Its key.
    pub(crate) identity: Identity,
    /// Under which name the coordinator knows it, and which coordinator.
    pub(crate) config: DeveloperConfig,
}

/// `developer.toml`.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct DeveloperConfig {
    /// Its name.
    pub(crate) name: PartyId,
    /// The coordinator.
    pub(crate) coordinator: CoordinatorConfig,
}

/// Where the coordinator is, and which key it must have.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct CoordinatorConfig {
    /// `host:port`.
    pub(crate) url: String,
    /// Its pinned key.
    pub(crate) key: PublicKey,
}

impl Developer {
    /// The developer of an existing home.
    ///
    /// # Errors
    /// [`Failure::Input`] names the file that is missing or wrong, and the remedy.
    pub(crate) fn open(home: &Path) -> Result<Self, Failure> {
        let config = home.join(CONFIG);
        let text = fs::read_to_string(&config).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => Failure::input(format!(
                "{} is no developer's home yet: ask the operator for an invite (`banyan invite NAME --developer`) and \
                 run `banyan join TOKEN`",
                home.display()
            )),
            _ => Failure::input(format!("{}: cannot be read: {error}", config.display())),
        })?;
        let wrong = |error: toml::de::Error| Failure::input(format!("{}: {}", config.display(), error.message()));
        Ok(Self { identity: identity(home)?, config: toml::from_str(&text).map_err(wrong)? })
    }

    /// Keeps which coordinator was joined.
    ///
    /// # Errors
    /// [`Failure::NotNow`] where the file cannot be written.
    pub(crate) fn save(home: &Path, config: &DeveloperConfig) -> Result<(), Failure> {
        let text = toml::to_string(config).map_err(Failure::not_now)?;
        let (path, new) = (home.join(CONFIG), home.join("developer.toml.new"));
        let saved = write_private(&new, text.as_bytes()).and_then(|()| fs::rename(&new, &path));
        saved.map_err(|error| Failure::not_now(format!("{}: cannot be written: {error}", path.display())))
    }

    /// The key of a home, made where there is none.
    ///
    /// # Errors
    /// [`Failure`] names the file that cannot be read or written.
    pub(crate) fn key(home: &Path) -> Result<Identity, Failure> {
        let path = home.join(KEY);
        if path.exists() {
            return identity(home);
        }
        let key = Identity::generate().map_err(Failure::not_now)?;
        let made = private_dir(&home.join("keys")).and_then(|()| write_private(&path, key.to_pem().as_bytes()));
        made.map_err(|error| Failure::not_now(format!("{}: cannot be written: {error}", path.display())))?;
        Ok(key)
    }
}

/// Makes a directory that only its owner enters, and those above it.
///
/// # Errors
/// The error of the file system.
pub(crate) fn private_dir(path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(path)
}

fn identity(home: &Path) -> Result<Identity, Failure> {
    let path = home.join(KEY);
    let wrong = |reason: &dyn std::fmt::Display| Failure::input(format!("{}: {reason}", path.display()));
    let pem = fs::read_to_string(&path).map_err(|error| wrong(&format!("cannot be read: {error}")))?;
    Identity::from_pem(&pem).map_err(|error| wrong(&error))
}

fn write_private(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}
