//! `banyan completions`: the script that lets a shell complete every command and flag.

use clap::{Args, CommandFactory};
use clap_complete::Shell;

use super::Cli;
use super::answer::{Answer, Failure};

/// Flags of `completions`.
#[derive(Args)]
#[command(after_help = "Examples:
  banyan completions bash > ~/.local/share/bash-completion/completions/banyan
  banyan completions zsh  > ~/.zfunc/_banyan")]
pub(crate) struct CompletionsArgs {
    /// The shell to write for
    shell: Shell,
}

/// Runs the command.
pub(crate) fn run(args: CompletionsArgs) -> Result<Answer, Failure> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "banyan", &mut script);
    let script = String::from_utf8(script).map_err(|_| Failure::not_now("the completion script is no text"))?;
    let json = serde_json::json!({ "shell": args.shell.to_string(), "script": script });
    Ok(Answer::yes(script, json))
}
