//! `banyan-node completions`: what the shell needs to complete commands and flags.

use clap::{Args, CommandFactory};
use clap_complete::{Shell, generate};
use serde_json::json;

use super::answer::{Answer, Failure};

/// Write what a shell needs to complete commands and flags
#[derive(Args)]
#[command(after_help = "\
Examples:
  banyan-node completions bash > /etc/bash_completion.d/banyan-node
  banyan-node completions zsh > ~/.zfunc/_banyan-node")]
pub(crate) struct Completions {
    /// The shell to write for
    shell: Shell,
}

impl Completions {
    pub(crate) fn run(self) -> Result<Answer, Failure> {
        let mut script = Vec::new();
        generate(self.shell, &mut super::Cli::command(), "banyan-node", &mut script);
        let script = String::from_utf8_lossy(&script).into_owned();
        let object = json!({ "shell": self.shell.to_string(), "script": script });
        Ok(Answer::yes(script, object))
    }
}
