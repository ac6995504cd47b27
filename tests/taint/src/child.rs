//! The process that is stepped through: this program again, with one case and one secret.

use std::process::{Command, ExitCode, Stdio};

use nix::sys::ptrace;
use nix::sys::signal::{Signal, raise};

use crate::cases::{CASES, Secret};

/// The first argument of such a process; the case and the secret follow as two digits each, so that stacks are alike.
pub(crate) const FLAG: &str = "--stepped";

/// What the process raises before the call and after it.
pub(crate) const BEGIN: Signal = Signal::SIGUSR1;
pub(crate) const END: Signal = Signal::SIGUSR2;

/// The command that starts one.
pub(crate) fn command(case: usize, secret: u8) -> Command {
    let mut command = Command::new("/proc/self/exe");
    command.args([FLAG, &format!("{case:02}"), &format!("{secret:02}")]).env_clear();
    command.stdin(Stdio::null()).stdout(Stdio::null());
    command
}

/// Runs the case with another secret first, so that what is done once per process is done and the heap has grown; then
/// with the secret, between the two signals.
pub(crate) fn run(case: &str, secret: &str) -> ExitCode {
    let case = &CASES[case.parse::<usize>().expect("the parent sends a number")];
    let secret = Secret::number(secret.parse().expect("the parent sends a number"));
    // Kernels fan out with rayon; here all of it stays on the thread that is stepped.
    let pool = rayon::ThreadPoolBuilder::new().num_threads(1).use_current_thread().build_global();
    pool.expect("no pool was made before");

    let first = (case.prepare)(&Secret::number(0));
    let call = (case.prepare)(&secret);
    first();
    ptrace::traceme().expect("the parent may trace");
    raise(BEGIN).expect("a signal to oneself");
    call();
    raise(END).expect("a signal to oneself");
    ExitCode::SUCCESS
}
