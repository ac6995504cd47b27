//! The one question a command asks: yes or no, on a terminal, never assumed.

use std::io::{self, BufRead, IsTerminal, Read, Write};

use super::answer::Failure;

/// The longest answer that is read.
const ANSWER_MAX: u64 = 64;

/// Asks on the terminal and goes on at `yes` only.
///
/// # Errors
/// [`Failure::Input`] where there is no terminal to ask on, or the person says anything else than yes.
pub(crate) fn confirm(question: &str) -> Result<(), Failure> {
    if !io::stdin().is_terminal() {
        return Err(Failure::input("this needs a yes and there is no terminal to ask on; read it, then add --yes"));
    }
    let mut stderr = io::stderr();
    let asked = write!(stderr, "{question} Type yes to go on: ").and_then(|()| stderr.flush());
    let mut answer = String::new();
    let heard = io::stdin().lock().take(ANSWER_MAX).read_line(&mut answer);
    match (asked, heard) {
        (Ok(()), Ok(_)) if answer.trim() == "yes" => Ok(()),
        _ => Err(Failure::input("not confirmed; nothing was changed")),
    }
}
