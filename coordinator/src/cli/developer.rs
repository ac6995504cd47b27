//! Who calls the coordinator: a developer or an authority from a home of its own, with one key and the coordinator it was
//! invited to; or the operator, from the coordinator's home.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use banyan_proto::identity::{Identity, PublicKey};
use banyan_protocols::party::PartyId;
use clap::Args;
use serde::{Deserialize, Serialize};

use super::answer::Failure;
use super::serve::failure;
use crate::home::{Home, HomeError};
use crate::service::{Handle, OPERATOR};

/// Where the caller's key lives.
#[derive(Args, Clone)]
pub(crate) struct HomeArg {
    /// The developer's home, with its key; or the coordinator's, to act as the operator [default: $BANYAN_DEV_HOME or
    /// ~/.banyan-dev]
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

/// Somebody whom the coordinator knows.
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
    /// Whose home it is: of who joined, or of the coordinator itself.
    ///
    /// # Errors
    /// [`Failure`] names the file that is missing or wrong, and the remedy.
    pub(crate) fn open(home: &Path) -> Result<Self, Failure> {
        let there = Home::existing(home);
        let config = match Self::joined(home)? {
            Some(config) => config,
            None if there.state().is_file() => operator(home)?,
            None => {
                return Err(Failure::input(format!(
                    "{} is no developer's home yet: ask the operator for an invite (`banyan invite NAME --developer`) and \
                     run `banyan join TOKEN`",
                    home.display()
                )));
            }
        };
        Ok(Self { identity: there.key().map_err(unusable)?, config })
    }

    /// What was joined from a home; none where nothing was.
    ///
    /// # Errors
    /// [`Failure::Input`] names the file that cannot be read.
    pub(crate) fn joined(home: &Path) -> Result<Option<DeveloperConfig>, Failure> {
        let file = Home::existing(home).developer();
        let wrong = |reason: &dyn std::fmt::Display| Failure::input(format!("{}: {reason}", file.display()));
        match fs::read_to_string(&file) {
            Ok(text) => toml::from_str(&text).map(Some).map_err(|error: toml::de::Error| wrong(&error.message())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(wrong(&format!("cannot be read: {error}"))),
        }
    }

    /// Keeps which coordinator was joined.
    ///
    /// # Errors
    /// [`Failure::NotNow`] where the file cannot be written.
    pub(crate) fn save(home: &Path, config: &DeveloperConfig) -> Result<(), Failure> {
        let text = toml::to_string(config).map_err(Failure::not_now)?;
        let home = Home::existing(home);
        home.write(&home.developer(), &text).map_err(Failure::not_now)
    }

    /// The key of a home, made where there is none.
    ///
    /// # Errors
    /// [`Failure`] names the file that cannot be read or written.
    pub(crate) fn key(home: &Path) -> Result<Identity, Failure> {
        Home::open(home).and_then(|home| home.identity()).map_err(unusable)
    }
}

/// The operator, at the coordinator's own machine.
fn operator(home: &Path) -> Result<DeveloperConfig, Failure> {
    let handle = Handle::open(home).map_err(failure)?;
    let name = PartyId::new(OPERATOR).map_err(Failure::not_now)?;
    // where it is bound, if it runs: its url may lead around a firewall
    let bound = fs::read_to_string(Home::existing(home).listen_addr()).ok();
    let url = match bound {
        Some(bound) => bound.trim().to_owned(),
        None => handle.url().map_err(failure)?.to_string(),
    };
    Ok(DeveloperConfig { name, coordinator: CoordinatorConfig { url, key: handle.key() } })
}

fn unusable(error: HomeError) -> Failure {
    match error {
        HomeError::Open { .. } | HomeError::NoKey { .. } => Failure::input(error),
        HomeError::File { .. } | HomeError::Taken(_) => Failure::not_now(error),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_developer_has_one_private_key_and_the_operator_the_coordinators() {
        let dir = tempfile::tempdir().unwrap();
        let home = dir.path().join("ada");
        let said = |home: &Path| Developer::open(home).map(|_| ()).unwrap_err();
        assert!(said(&home).to_string().contains("is no developer's home yet: ask the operator for an invite"));
        assert!(!home.exists(), "looking makes nothing");

        let key = Developer::key(&home).unwrap().public();
        let coordinator = CoordinatorConfig { url: "hub.example:7400".into(), key };
        let config = DeveloperConfig { name: PartyId::new("ada").unwrap(), coordinator };
        Developer::save(&home, &config).unwrap();
        let developer = Developer::open(&home).unwrap();
        assert_eq!((developer.identity.public(), developer.config), (key, config));
        let file = Home::existing(&home).identity_file();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
        assert!(matches!(said(&home), Failure::Input(why) if why.contains("run `chmod 600 ")));

        let hub = Home::open(&dir.path().join("hub")).unwrap();
        let key = hub.identity().unwrap().public();
        let store = crate::store::Store::open(&hub).unwrap();
        assert!(said(&dir.path().join("hub")).to_string().contains("start it once with `banyan serve`"));
        store.set_url(&"hub.example:7400".parse().unwrap()).unwrap();
        let operator = Developer::open(&dir.path().join("hub")).unwrap();
        assert_eq!(
            (operator.config.name.as_str(), &operator.config.coordinator.url[..]),
            ("operator", "hub.example:7400")
        );
        assert_eq!((operator.identity.public(), operator.config.coordinator.key), (key, key));
    }
}
