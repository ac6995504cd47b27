//! `coordinator.toml`: where the coordinator listens, and where others dial it.

use std::fs;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use banyan_proto::names::Address;
use serde::Deserialize;

/// The largest configuration file in bytes: three lines and their comments.
const CONFIG_MAX: u64 = 64 * 1024;

/// What `coordinator.toml` says. A missing file says nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Where nodes and developers are served, such as `"0.0.0.0:7400"`.
    pub listen: Option<SocketAddr>,
    /// Where others dial, such as `"hub.example:7400"`; needed where `listen` names no one address.
    pub url: Option<Address>,
    /// The admin port, on loopback; any free port where absent.
    pub admin: Option<SocketAddr>,
}

/// What is wrong with `coordinator.toml`.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// It cannot be read.
    #[error("{}: {error}; check that this user may read it", .file.display())]
    File {
        /// The file.
        file: PathBuf,
        /// What the system says.
        error: io::Error,
    },
    /// A line that is none of the configuration.
    #[error("{}, line {line}: {reason}; it has three optional lines: listen = \"0.0.0.0:7400\", url = \"hub.example:7400\", admin = \"127.0.0.1:0\"", .file.display())]
    Line {
        /// The file.
        file: PathBuf,
        /// The line, from 1.
        line: usize,
        /// What is wrong there.
        reason: String,
    },
}

impl Config {
    /// Reads the file.
    ///
    /// # Errors
    /// [`ConfigError`] names the file, the line, what is wrong and what would be right.
    pub fn read(file: &Path) -> Result<Self, ConfigError> {
        let failed = |error| ConfigError::File { file: file.to_owned(), error };
        let text = match fs::metadata(file) {
            Ok(metadata) if metadata.len() > CONFIG_MAX => return Err(failed(io::ErrorKind::FileTooLarge.into())),
            Ok(_) => fs::read_to_string(file).map_err(failed)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Self::default()),
            Err(error) => return Err(failed(error)),
        };
        toml::from_str(&text).map_err(|error| {
            let start = error.span().map_or(0, |span| span.start.min(text.len()));
            let line = text.as_bytes()[..start].iter().filter(|byte| **byte == b'\n').count() + 1;
            ConfigError::Line { file: file.to_owned(), line, reason: error.message().to_owned() }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_and_what_is_wrong_is_placed() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("coordinator.toml");
        assert_eq!(Config::read(&file).unwrap(), Config::default());
        fs::write(&file, "listen = \"127.0.0.1:1\"\nurl = \"hub.example:7400\"\n").unwrap();
        let config = Config::read(&file).unwrap();
        assert_eq!(config.listen.unwrap().to_string(), "127.0.0.1:1");
        assert_eq!(config.url.unwrap().as_str(), "hub.example:7400");
        for (text, expected) in [
            ("\nurl = \"https://hub.example\"\n", "line 2: an address is host:port"),
            ("port = 1", "line 1: unknown field `port`"),
            ("listen = \"0.0.0.0\"", "line 1: invalid socket address syntax"),
        ] {
            fs::write(&file, text).unwrap();
            let error = Config::read(&file).unwrap_err().to_string();
            assert!(error.contains(expected) && error.contains("coordinator.toml, line"), "{error}");
        }
    }
}
