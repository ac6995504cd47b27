//! What a command answers: a text for people, the same as one JSON object for programs, and an exit code for both.

use std::fmt;
use std::io::{self, Write};
use std::process::ExitCode;

use serde_json::{Map, Value, json};

/// The exit codes, for the long help.
pub(crate) const EXIT_CODES: &str = "\
Exit codes:
  0   done, or the answer is yes
  1   the answer is no: a check failed, a log does not hold
  2   bad input: a wrong flag, name, file or key; nothing was changed
  3   not possible now: the daemon, the coordinator or a file is out of reach; try again
  4   refused: this node's own rules do not allow it
  70  a bug in banyan-node";

/// What a command has to say when it did what it was asked to.
pub(crate) struct Answer {
    text: String,
    json: Map<String, Value>,
    yes: bool,
}

impl Answer {
    /// Done, or yes. `json` is an object.
    pub(crate) fn yes(text: impl Into<String>, json: Value) -> Self {
        Self::new(text.into(), json, true)
    }

    /// No: the command worked and what it looked at is not in order.
    pub(crate) fn no(text: impl Into<String>, json: Value) -> Self {
        Self::new(text.into(), json, false)
    }

    /// Adds a line for people.
    pub(crate) fn add(&mut self, line: &str) {
        self.text.push_str(line);
    }

    /// Adds a field for programs.
    pub(crate) fn tell(&mut self, field: &str, value: Value) {
        self.json.insert(field.to_owned(), value);
    }

    fn new(text: String, json: Value, yes: bool) -> Self {
        let json = match json {
            Value::Object(fields) => fields,
            other => Map::from_iter([("value".to_owned(), other)]),
        };
        Self { text, json, yes }
    }
}

/// Why a command did not do what it was asked to. The text names the place and the remedy.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Failure {
    /// Something that was typed or written in a file is wrong.
    Input(String),
    /// Something that should be there is not, now.
    NotNow(String),
    /// This node's rules say no.
    Refused(String),
}

impl Failure {
    pub(crate) fn input(reason: impl fmt::Display) -> Self {
        Self::Input(reason.to_string())
    }

    pub(crate) fn not_now(reason: impl fmt::Display) -> Self {
        Self::NotNow(reason.to_string())
    }

    pub(crate) fn refused(reason: impl fmt::Display) -> Self {
        Self::Refused(reason.to_string())
    }

    fn kind(&self) -> &'static str {
        match self {
            Self::Input(_) => "bad-input",
            Self::NotNow(_) => "not-now",
            Self::Refused(_) => "refused",
        }
    }

    fn exit(&self) -> u8 {
        match self {
            Self::Input(_) => 2,
            Self::NotNow(_) => 3,
            Self::Refused(_) => 4,
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Input(reason) | Self::NotNow(reason) | Self::Refused(reason) => f.write_str(reason),
        }
    }
}

/// Says the outcome: the text, or exactly one JSON object, on stdout; a failure for people on stderr.
pub(crate) fn tell(outcome: &Result<Answer, Failure>, as_json: bool) -> ExitCode {
    let exit = match outcome {
        Ok(answer) if answer.yes => 0,
        Ok(_) => 1,
        Err(failure) => failure.exit(),
    };
    let said = match outcome {
        _ if as_json => say(&mut io::stdout(), &as_object(outcome, exit).to_string()),
        Ok(answer) => say(&mut io::stdout(), &answer.text),
        Err(failure) => say(&mut io::stderr(), &format!("error: {failure}")),
    };
    match said {
        Ok(()) => ExitCode::from(exit),
        // the reader went away, as `head` does: it has what it wanted
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => ExitCode::from(exit),
        Err(_) => ExitCode::from(3),
    }
}

fn as_object(outcome: &Result<Answer, Failure>, exit: u8) -> Value {
    match outcome {
        Ok(answer) => {
            let mut object = Map::from_iter([("ok".to_owned(), Value::Bool(answer.yes))]);
            object.extend(answer.json.clone());
            Value::Object(object)
        }
        Err(failure) => {
            json!({ "ok": false, "error": { "kind": failure.kind(), "message": failure.to_string(), "exit": exit } })
        }
    }
}

fn say(to: &mut dyn Write, text: &str) -> io::Result<()> {
    let text = text.trim_end_matches('\n');
    if text.is_empty() {
        return Ok(());
    }
    to.write_all(text.as_bytes())?;
    to.write_all(b"\n")?;
    to.flush()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_outcome_is_one_object_with_its_exit_code() {
        let no = Answer::no("✗ clock", json!({ "checks": [] }));
        assert_eq!(as_object(&Ok(no), 1).to_string(), r#"{"checks":[],"ok":false}"#);
        let refused: Result<Answer, _> = Err(Failure::refused("halted"));
        assert_eq!(
            as_object(&refused, 4).to_string(),
            r#"{"error":{"exit":4,"kind":"refused","message":"halted"},"ok":false}"#
        );
    }
}
