//! Child processes: short calls that answer with one JSON object, and daemons that are always stopped and awaited.

use std::ffi::OsStr;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::process::{Child, Command};
use tokio::time::{Instant, sleep, timeout};

use crate::cli::answer::Failure;
use crate::cli::programs::Program;
use crate::cli::text::plain_lines;

/// How long a daemon may take to come up: a loaded machine at its worst.
const UP_WITHIN: Duration = Duration::from_secs(60);
/// How long a short call may take: scanning a data set is the longest.
const CALL_WITHIN: Duration = Duration::from_secs(600);
/// How long a daemon may take to stop by itself, before it is killed.
const STOP_WITHIN: Duration = Duration::from_secs(5);
/// How often a file that a daemon will write is looked for.
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// How many of its last lines tell why a daemon died.
const LAST_LINES: usize = 5;

/// Short calls under way. One whose future is gone goes on until [`Calls::stop`] kills it and awaits it, so that nothing
/// writes any more when that returns; or until the last clone of these is dropped.
#[derive(Clone, Default)]
pub(crate) struct Calls(Arc<Mutex<Vec<Arc<tokio::sync::Mutex<Child>>>>>);

impl Calls {
    /// Runs a command to its end and gives the JSON object it answers with.
    ///
    /// # Errors
    /// The failure it tells, by its own exit code and message.
    pub(crate) async fn call<S: AsRef<OsStr>>(&self, program: &Program, args: &[S]) -> Result<Value, Failure> {
        let ended = timeout(CALL_WITHIN, self.call_long(program, args)).await;
        ended.map_err(|_| Failure::not_now(format!("{} did not answer in {CALL_WITHIN:?}", said(args))))?
    }

    /// As [`Calls::call`], for a command that has a deadline of its own.
    ///
    /// # Errors
    /// As there.
    pub(crate) async fn call_long<S: AsRef<OsStr>>(&self, program: &Program, args: &[S]) -> Result<Value, Failure> {
        let ended = self.run(program, args).await;
        let (status, stdout, stderr) =
            ended.map_err(|error| Failure::not_now(format!("{} does not start: {error}", program.path.display())))?;
        let answer: Option<Value> = serde_json::from_slice(&stdout).ok();
        match (status.success(), answer) {
            (true, Some(answer)) => Ok(answer),
            (_, answer) => {
                let told = answer.as_ref().and_then(|answer| answer["error"]["message"].as_str()).map(plain_lines);
                let stderr = || plain_lines(String::from_utf8_lossy(&stderr).trim());
                let reason = told.unwrap_or_else(stderr);
                Err(Failure::from_exit(status.code(), format!("{}: {reason}", said(args))))
            }
        }
    }

    /// Ends the calls whose futures are gone, and waits until they are.
    pub(crate) async fn stop(&self) {
        let left = std::mem::take(&mut *self.under_way());
        for child in left {
            // kill awaits; it fails only for a process that is gone
            let _ = child.lock().await.kill().await;
        }
    }

    async fn run<S: AsRef<OsStr>>(&self, program: &Program, args: &[S]) -> io::Result<(ExitStatus, Vec<u8>, Vec<u8>)> {
        let mut child = command(program, args).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
        let pipes = (child.stdout.take(), child.stderr.take());
        let child = Arc::new(tokio::sync::Mutex::new(child));
        self.under_way().push(child.clone());
        let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
        let ended = {
            let mut held = child.lock().await;
            let (out, err) = (read(pipes.0, &mut stdout), read(pipes.1, &mut stderr));
            tokio::try_join!(held.wait(), out, err)
        };
        self.under_way().retain(|one| !Arc::ptr_eq(one, &child));
        Ok((ended?.0, stdout, stderr))
    }

    fn under_way(&self) -> MutexGuard<'_, Vec<Arc<tokio::sync::Mutex<Child>>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn read(pipe: Option<impl AsyncRead + Unpin>, into: &mut Vec<u8>) -> io::Result<()> {
    match pipe {
        Some(mut pipe) => pipe.read_to_end(into).await.map(|_| ()),
        None => Ok(()),
    }
}

/// A running daemon. Dropped, it is killed; [`Daemon::stop`] also awaits it.
pub(crate) struct Daemon {
    name: String,
    child: Child,
    log: PathBuf,
}

impl Daemon {
    /// Starts a daemon whose log goes to `log`.
    ///
    /// # Errors
    /// [`Failure::NotNow`] where it does not start.
    pub(crate) fn start<S: AsRef<OsStr>>(
        name: &str,
        program: &Program,
        args: &[S],
        log: &Path,
    ) -> Result<Self, Failure> {
        let failed = |error: std::io::Error| Failure::not_now(format!("{name} does not start: {error}"));
        let file = File::create(log).map_err(failed)?;
        let stdout = file.try_clone().map_err(failed)?;
        let child = command(program, args).stdout(stdout).stderr(file).spawn().map_err(failed)?;
        Ok(Self { name: name.to_owned(), child, log: log.to_owned() })
    }

    /// Waits until the daemon has written `file`, and gives its text.
    ///
    /// # Errors
    /// [`Failure::NotNow`] with the daemon's last words where it ended instead, or took too long.
    pub(crate) async fn wrote(&mut self, file: &Path) -> Result<String, Failure> {
        let until = Instant::now() + UP_WITHIN;
        loop {
            if let Ok(text) = std::fs::read_to_string(file)
                && !text.trim().is_empty()
            {
                return Ok(text.trim().to_owned());
            }
            self.check()?;
            if Instant::now() > until {
                return Err(Failure::not_now(format!("{} is not up after {UP_WITHIN:?}:\n{}", self.name, self.last())));
            }
            sleep(LOOK_EVERY).await;
        }
    }

    /// Whether it still runs.
    ///
    /// # Errors
    /// [`Failure`] with the daemon's last words where it ended.
    pub(crate) fn check(&mut self) -> Result<(), Failure> {
        match self.child.try_wait() {
            Ok(None) => Ok(()),
            Ok(Some(status)) => {
                let reason = format!("{} ended by itself ({status}):\n{}", self.name, self.last());
                Err(Failure::from_exit(status.code(), reason))
            }
            Err(error) => Err(Failure::not_now(format!("{} cannot be watched: {error}", self.name))),
        }
    }

    /// Asks it to stop, and kills it where it does not; either way it is gone afterwards.
    pub(crate) async fn stop(self) {
        self.stop_within(STOP_WITHIN).await;
    }

    async fn stop_within(mut self, patience: Duration) {
        let pid = self.child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
        // where the signal does not arrive, the process is gone or is killed below
        let asked = pid.is_some_and(|pid| kill_process(pid, Signal::TERM).is_ok());
        if !asked || timeout(patience, self.child.wait()).await.is_err() {
            // kill awaits; it fails only for a process that is gone
            let _ = self.child.kill().await;
        }
    }

    /// The last lines of its log, without control characters.
    pub(crate) fn last(&self) -> String {
        let log = std::fs::read(&self.log).unwrap_or_default();
        let log = plain_lines(&String::from_utf8_lossy(&log));
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(LAST_LINES)..].join("\n")
    }
}

fn command<S: AsRef<OsStr>>(program: &Program, args: &[S]) -> Command {
    let mut command = Command::new(&program.path);
    command.args(&program.first).args(args).stdin(Stdio::null()).kill_on_drop(true);
    command
}

/// The words of a call that say what it does: those before the first flag, and never a token.
fn said<S: AsRef<OsStr>>(args: &[S]) -> String {
    let words = args.iter().map(|arg| arg.as_ref().to_string_lossy());
    words.take_while(|word| !word.starts_with('-') && word.len() < 40).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell() -> Program {
        Program { path: "/bin/sh".into(), first: vec!["-c".into()] }
    }

    #[tokio::test]
    async fn a_call_gives_the_object_or_the_failure_it_tells() {
        let calls = Calls::default();
        let good = calls.call(&shell(), &["echo '{\"ok\":true,\"n\":3}'"]).await.unwrap();
        assert_eq!(good["n"], 3);
        let told = "echo '{\"ok\":false,\"error\":{\"message\":\"no such data set\"}}'; exit 2";
        let failure = calls.call(&shell(), &[told]).await.unwrap_err();
        assert!(matches!(&failure, Failure::Input(reason) if reason.ends_with("no such data set")), "{failure:?}");
        let failure = calls.call(&shell(), &["echo lost >&2; exit 9"]).await.unwrap_err();
        assert!(matches!(&failure, Failure::NotNow(reason) if reason.ends_with("lost")), "{failure:?}");
    }

    #[tokio::test]
    async fn a_call_that_nobody_waits_for_is_gone_after_the_stop() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("pid");
        let calls = Calls::default();
        let args = ["echo $$ > \"$0.new\"; mv \"$0.new\" \"$0\"; exec sleep 600", file.to_str().unwrap()];
        let program = shell();
        tokio::select! {
            ended = calls.call(&program, &args) => panic!("{ended:?}"),
            () = async { while !file.exists() { sleep(LOOK_EVERY).await } } => {}
        }
        calls.stop().await;
        let pid = std::fs::read_to_string(&file).unwrap();
        assert!(!Path::new(&format!("/proc/{}", pid.trim())).exists(), "the process is gone");
    }

    #[tokio::test]
    async fn a_daemon_that_dies_tells_its_last_words_and_one_that_lives_is_stopped() {
        let dir = tempfile::tempdir().unwrap();
        let log = dir.path().join("log");
        let mut dead = Daemon::start("bank", &shell(), &["echo the port is taken >&2; exit 3"], &log).unwrap();
        let failure = dead.wrote(&dir.path().join("never")).await.unwrap_err();
        assert!(failure.to_string().ends_with("the port is taken"), "{failure}");

        // ignores the request to stop, so it has to be killed
        let args = ["trap '' TERM; echo 1 > \"$0\"; while true; do sleep 0.1; done"];
        let up = dir.path().join("up");
        let args = [args[0], up.to_str().unwrap()];
        let mut alive = Daemon::start("bank", &shell(), &args, &log).unwrap();
        alive.wrote(&up).await.unwrap();
        let pid = alive.child.id().unwrap();
        alive.stop_within(Duration::from_millis(200)).await;
        assert!(!Path::new(&format!("/proc/{pid}")).exists(), "the process is gone");
    }
}
