//! The `banyan` command line: one thin file per command, each giving an answer for people and the same for programs.

mod answer;
mod bench;
mod client;
mod completions;
mod demo;
mod developer;
mod evidence;
mod invite;
mod job;
mod join;
mod local;
mod oracle;
mod programs;
mod progress;
mod prompt;
mod serve;
mod stop;
mod text;
mod view;

use std::ffi::OsString;
use std::panic::AssertUnwindSafe;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use answer::{Answer, EXIT_CODES, Failure, tell};

pub use programs::Programs;

/// The exit code of a bug: sysexits' "internal software error".
const BUG: u8 = 70;

#[derive(Parser)]
#[command(
    name = "banyan",
    version,
    about = "Joint computation on data that stays where it is: the coordinator and the developer's commands",
    long_about = "Joint computation on data that stays where it is.

Departments host nodes (banyan-node) over their own tables. `banyan serve` runs the coordinator that introduces them and
carries jobs; it sees no row. With the other commands a developer writes, proposes and follows jobs.

Start here:
  banyan demo                                   the whole way in a minute, on this machine
  banyan job check --example > job.toml         a commented job file
  banyan job check job.toml                     plan, cost, and who will learn what
  banyan local job.toml --data bank=./bank --data bureau=./bureau --out ./out",
    after_long_help = EXIT_CODES,
    propagate_version = true,
    arg_required_else_help = true
)]
struct Cli {
    /// Answer with one JSON object on stdout, also where it fails
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run the coordinator until it is told to stop
    Serve(serve::ServeArgs),
    /// Make a line that lets one node, developer or authority in, once
    Invite(invite::InviteArgs),
    /// Write, propose and follow jobs
    #[command(subcommand)]
    Job(job::JobCommand),
    /// See it work: a bank and a public bureau find their common clients, in a minute
    Demo(demo::DemoArgs),
    /// Run a job on this machine, with real processes, keys, approvals and logs
    Local(local::LocalArgs),
    /// Become a developer or an authority at a coordinator, with an invite
    Join(join::JoinArgs),
    /// Measure what a job costs on this machine
    #[command(subcommand)]
    Bench(bench::BenchCommand),
    /// Write the completion script of a shell
    Completions(completions::CompletionsArgs),
}

/// Runs `banyan` with the arguments of this process.
pub fn main() -> ExitCode {
    main_with_args(std::env::args_os(), &Programs::side_by_side())
}

/// Runs `banyan` with `args`, of which the first is the program's name. The commands that start daemons find them by
/// `programs`.
pub fn main_with_args(args: impl IntoIterator<Item = OsString>, programs: &Programs) -> ExitCode {
    let args: Vec<OsString> = args.into_iter().collect();
    let cli = match Cli::try_parse_from(&args) {
        Ok(cli) => cli,
        Err(error) => return usage(&error, &args),
    };
    std::panic::catch_unwind(AssertUnwindSafe(|| run(cli, programs))).unwrap_or_else(|_| {
        eprintln!("this is a bug in banyan; what nodes and coordinator have written stands");
        ExitCode::from(BUG)
    })
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

fn run(cli: Cli, programs: &Programs) -> ExitCode {
    let json = cli.json;
    let outcome = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime.block_on(dispatch(cli, programs)),
        Err(error) => Err(Failure::not_now(format!("no threads for this process: {error}"))),
    };
    tell(&outcome, json)
}

async fn dispatch(cli: Cli, programs: &Programs) -> Result<Answer, Failure> {
    let json = cli.json;
    match cli.command {
        Command::Serve(args) => serve::run(args, json).await,
        Command::Invite(args) => invite::run(args),
        Command::Job(command) => job::run(command, json).await,
        Command::Demo(args) => demo::command(args, programs, json).await,
        Command::Bench(command) => bench::run(command, programs, json).await,
        Command::Local(args) => local::command(args, programs, json).await,
        Command::Join(args) => join::run(args).await,
        Command::Completions(args) => completions::run(args),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }
}
