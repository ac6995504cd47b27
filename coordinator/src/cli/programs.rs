//! How the commands that start daemons find their programs.

use std::ffi::OsString;
use std::path::PathBuf;

use super::answer::Failure;

/// The two programs of an installation.
#[derive(Clone, Debug)]
pub struct Programs {
    found: Result<(Program, Program), String>,
}

/// A program with the arguments that always come first.
#[derive(Clone, Debug)]
pub(crate) struct Program {
    /// The executable.
    pub(crate) path: PathBuf,
    /// The arguments before any other.
    pub(crate) first: Vec<OsString>,
}

impl Programs {
    /// `banyan` is this executable, `banyan-node` the one beside it.
    pub fn side_by_side() -> Self {
        let found = this_executable().map(|path| {
            let node = path.with_file_name(format!("banyan-node{}", std::env::consts::EXE_SUFFIX));
            (Program { path, first: Vec::new() }, Program { path: node, first: Vec::new() })
        });
        Self { found }
    }

    /// Both are this executable, started with a word that tells it which of the two to be.
    pub fn in_this_executable(coordinator: &str, node: &str) -> Self {
        let as_word = |path: &PathBuf, word: &str| Program { path: path.clone(), first: vec![word.into()] };
        Self { found: this_executable().map(|path| (as_word(&path, coordinator), as_word(&path, node))) }
    }

    /// The coordinator's and the node's program.
    ///
    /// # Errors
    /// [`Failure::NotNow`] names the program that is missing.
    pub(crate) fn find(&self) -> Result<(Program, Program), Failure> {
        let (coordinator, node) = self.found.clone().map_err(Failure::NotNow)?;
        for program in [&coordinator, &node] {
            if !program.path.is_file() {
                return Err(Failure::NotNow(format!(
                    "{} is missing: banyan starts it as a process of its own; install banyan-node beside banyan, or \
                     build both with `cargo build --release`",
                    program.path.display()
                )));
            }
        }
        Ok((coordinator, node))
    }
}

fn this_executable() -> Result<PathBuf, String> {
    std::env::current_exe().map_err(|error| format!("this executable cannot be found: {error}"))
}
