//! The one question a command asks: yes or no, on a terminal, never assumed.

use std::io::{self, BufRead, IsTerminal, Write};

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
    ask(question, &mut io::stdin().lock(), &mut io::stderr())
}

fn ask(question: &str, from: &mut dyn BufRead, to: &mut dyn Write) -> Result<(), Failure> {
    let asked = write!(to, "{question} Type yes to go on: ").and_then(|()| to.flush());
    let mut answer = String::new();
    let heard = io::Read::take(from, ANSWER_MAX).read_line(&mut answer);
    match (asked, heard) {
        (Ok(()), Ok(_)) if answer.trim() == "yes" => Ok(()),
        _ => Err(Failure::input("not confirmed; nothing was changed")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_yes_is_a_yes() {
        let mut asked = Vec::new();
        assert_eq!(ask("This stands for good.", &mut &b" yes \n"[..], &mut asked), Ok(()));
        assert_eq!(asked, b"This stands for good. Type yes to go on: ");
        for answer in ["", "\n", "y\n", "YES\n", "no\n", "yes, please\n"] {
            let said = ask("", &mut answer.as_bytes(), &mut io::sink());
            assert_eq!(said, Err(Failure::Input("not confirmed; nothing was changed".into())), "{answer:?}");
        }
    }
}
