//! Real processes: commands that answer, and daemons that do not outlive their test.

use std::fs::OpenOptions;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::channel;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::office::until;

/// No command takes so long unless it hangs.
const COMMAND_MAX: Duration = Duration::from_secs(120);

/// What a command said.
#[derive(Clone, Debug)]
pub struct Said {
    /// Its exit code.
    pub exit: Option<i32>,
    /// The JSON object on stdout.
    pub json: Value,
    /// Everything on stdout and stderr.
    pub text: String,
}

impl Said {
    /// The answer of a command that did what it was asked to.
    ///
    /// # Panics
    /// Where it did not.
    pub fn answer(self) -> Value {
        assert_eq!(self.exit, Some(0), "{}", self.text);
        self.json
    }

    /// The message of a command that failed with this exit code.
    ///
    /// # Panics
    /// Where it did not.
    pub fn refusal(self, exit: i32) -> String {
        assert_eq!(self.exit, Some(exit), "{}", self.text);
        self.json["error"]["message"].as_str().expect("a message").to_owned()
    }
}

/// Runs a command to its end.
///
/// # Panics
/// Where it does not start, or does not end.
pub fn call(program: &Path, args: &[&str]) -> Said {
    let mut command = Command::new(program);
    command.args(args).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let child = command.spawn().expect("the program starts");
    let pid = pid_of(&child);
    let (ended, end) = channel::<()>();
    let guard = std::thread::spawn(move || {
        let hangs = end.recv_timeout(COMMAND_MAX).is_err();
        hangs && kill_process(pid, Signal::KILL).is_ok()
    });
    let output = child.wait_with_output().expect("its words");
    let _ = ended.send(());
    let text = [&output.stdout[..], &output.stderr[..]].map(String::from_utf8_lossy).concat();
    let killed = guard.join().expect("the guard ends");
    assert!(!killed, "{} {args:?} did not end within {COMMAND_MAX:?}:\n{text}", program.display());
    let json = serde_json::from_slice(&output.stdout).unwrap_or_default();
    Said { exit: output.status.code(), json, text }
}

/// A daemon. Dropped, it is killed and awaited.
#[derive(Debug)]
pub struct Daemon {
    child: Child,
}

impl Daemon {
    /// Starts a daemon; what it says goes to the end of `log`.
    ///
    /// # Panics
    /// Where it does not start.
    pub fn start(program: &Path, args: &[&str], log: &Path) -> Self {
        let file = OpenOptions::new().create(true).append(true).open(log).expect("a log file");
        let stdout = file.try_clone().expect("a log file");
        let mut command = Command::new(program);
        command.args(args).stdin(Stdio::null()).stdout(stdout).stderr(file);
        Self { child: command.spawn().expect("the program starts") }
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Whether it runs.
    ///
    /// # Panics
    /// Where the system does not say.
    pub fn runs(&mut self) -> bool {
        self.child.try_wait().expect("its state").is_none()
    }

    /// Ends it as a power cut would.
    pub fn kill(self) {}

    /// Tells it to stop, and waits until it has; gives its exit code.
    ///
    /// # Panics
    /// Where it does not stop.
    pub fn terminate(mut self) -> Option<i32> {
        self.signal(Signal::TERM);
        until("the daemon stops", || !self.runs());
        self.child.wait().expect("its end").code()
    }

    /// It does nothing until [`Daemon::go_on`].
    ///
    /// # Panics
    /// Where it is gone.
    pub fn freeze(&self) {
        self.signal(Signal::STOP);
    }

    /// It goes on.
    ///
    /// # Panics
    /// Where it is gone.
    pub fn go_on(&self) {
        self.signal(Signal::CONT);
    }

    fn signal(&self, signal: Signal) {
        kill_process(pid_of(&self.child), signal).expect("it runs");
    }
}

fn pid_of(child: &Child) -> Pid {
    i32::try_from(child.id()).ok().and_then(Pid::from_raw).expect("a process id")
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // both fail only for a process that is gone
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
