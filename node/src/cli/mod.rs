//! The commands of `banyan-node`: one file each, thin. Each gives an `Answer`, said here once for all.

mod answer;
mod approve;
mod audit;
mod check;
mod completions;
mod coordinator;
mod daemon;
mod data;
mod evidence;
mod halt;
mod inbox;
mod init;
mod interop;
mod join;
mod offers;
mod parse;
mod peer;
mod progress;
mod prompt;
mod sorted;
mod status;
mod text;
mod up;
mod words;

use std::ffi::OsString;
use std::panic::AssertUnwindSafe;
use std::path::PathBuf;
use std::process::ExitCode;

use crate::config::Home;
use clap::{Parser, Subcommand};

use answer::{Answer, EXIT_CODES, Failure, tell};

/// The exit code of a bug: sysexits' "internal software error".
const BUG: u8 = 70;

/// A department's node: it keeps the tables, decides for itself, and computes jointly without letting a row out
#[derive(Parser)]
#[command(name = "banyan-node", version, propagate_version = true, max_term_width = 100, after_long_help = EXIT_CODES)]
#[command(long_about = "\
A department's node: it keeps the tables, decides for itself, and computes jointly without letting a row out.

A first job takes six commands:
  banyan-node init --name tax --data /srv/tables
  banyan-node data add residents residents.csv
  banyan-node join banyan-invite:…
  banyan-node up
  banyan-node peer confirm bank banyan:abcd-…
  banyan-node approve fraud-check")]
pub(crate) struct Cli {
    /// The node's home directory; the default is $BANYAN_HOME, else ~/.banyan-node
    #[arg(long, global = true, value_name = "DIR", help_heading = "Everywhere")]
    home: Option<PathBuf>,
    /// Answer with one JSON object on stdout
    #[arg(long, global = true, help_heading = "Everywhere")]
    json: bool,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Init(init::Init),
    Check(check::Check),
    Up(up::Up),
    Join(join::Join),
    #[command(subcommand)]
    Peer(peer::Peer),
    #[command(subcommand)]
    Data(data::Data),
    Inbox(inbox::Inbox),
    Approve(approve::Approve),
    Deny(approve::Deny),
    Halt(halt::Halt),
    #[command(subcommand)]
    Audit(audit::Audit),
    #[command(subcommand)]
    Interop(interop::Interop),
    Status(status::Status),
    Completions(completions::Completions),
}

/// Runs `banyan-node` with the arguments of this process.
pub fn main() -> ExitCode {
    main_with_args(std::env::args_os())
}

/// Runs `banyan-node` with `args`, of which the first is the program's name: does what they say, and says how it went.
pub fn main_with_args(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    let args: Vec<OsString> = args.into_iter().collect();
    let cli = match Cli::try_parse_from(&args) {
        Ok(cli) => cli,
        Err(error) => return usage(&error, &args),
    };
    let as_json = cli.json;
    match std::panic::catch_unwind(AssertUnwindSafe(|| cli.run())) {
        Ok(outcome) => tell(&outcome, as_json),
        Err(_) => {
            eprintln!(
                "this is a bug in banyan-node; the audit log and the state are as the last finished step left them"
            );
            ExitCode::from(BUG)
        }
    }
}

impl Cli {
    fn run(self) -> Result<Answer, Failure> {
        let home = Home::locate(self.home);
        match self.command {
            Command::Init(command) => command.run(&home),
            Command::Check(command) => command.run(&home),
            Command::Up(command) => command.run(&home, self.json),
            Command::Join(command) => command.run(&home),
            Command::Peer(command) => command.run(&home),
            Command::Data(command) => command.run(&home),
            Command::Inbox(command) => command.run(&home),
            Command::Approve(command) => command.run(&home),
            Command::Deny(command) => command.run(&home),
            Command::Halt(command) => command.run(&home),
            Command::Audit(command) => command.run(&home),
            Command::Interop(command) => command.run(&home),
            Command::Status(command) => command.run(&home),
            Command::Completions(command) => command.run(),
        }
    }
}

/// Help and version for people; a wrong flag as JSON where JSON was asked for.
fn usage(error: &clap::Error, args: &[OsString]) -> ExitCode {
    if error.use_stderr() && args.iter().any(|argument| argument == "--json") {
        let message = error.render().to_string();
        return tell(&Err(Failure::input(message.trim().trim_start_matches("error: "))), true);
    }
    // nothing to do where stdout or stderr is gone
    let _ = error.print();
    ExitCode::from(if error.use_stderr() { 2 } else { 0 })
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn flags_do_not_clash() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_command_teaches_with_an_example() {
        fn visit(command: &clap::Command, path: &str) {
            for sub in command.get_subcommands() {
                let path = format!("{path} {}", sub.get_name());
                assert!(sub.get_about().is_some(), "{path} says nothing about itself");
                match sub.has_subcommands() {
                    true => visit(sub, &path),
                    false => {
                        let example = sub.get_after_help().map(ToString::to_string).unwrap_or_default();
                        assert!(example.contains("banyan-node"), "{path} has no example");
                    }
                }
            }
        }
        visit(&Cli::command(), "banyan-node");
    }
}
