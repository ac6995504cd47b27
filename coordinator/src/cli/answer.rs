//! What a command answers: a text for people, the same as one JSON object for programs, and an exit code for both.

use std::fmt;
use std::io::{self, Write};
use std::process::ExitCode;

use serde_json::{Map, Value, json};

/// The exit codes, for the long help.
pub(crate) const EXIT_CODES: &str = "\
Exit codes:
  0   done, or the answer is yes
  1   the answer is no: the job did not end released, a result is not what it should be
  2   bad input: a wrong flag, job file, token or data directory; nothing was run
  3   not possible now: the coordinator, a node or a file is out of reach; try again
  4   refused: a node's own rules, or the coordinator, do not allow it
  70  a bug in banyan";

/// What a command has to say when it did what it was asked to.
#[derive(Debug)]
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

    /// No: the command worked, and what it looked at is not in order.
    pub(crate) fn no(text: impl Into<String>, json: Value) -> Self {
        Self::new(text.into(), json, false)
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
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Failure {
    /// Something that was typed or written in a file is wrong.
    Input(String),
    /// Something that should be there is not, now.
    NotNow(String),
    /// A node or the coordinator says no.
    Refused(String),
    /// The answer is no, and this is why.
    No(String),
}

impl Failure {
    pub(crate) fn input(reason: impl fmt::Display) -> Self {
        Self::Input(reason.to_string())
    }

    pub(crate) fn not_now(reason: impl fmt::Display) -> Self {
        Self::NotNow(reason.to_string())
    }

    /// The failure that a child process told by its exit code.
    pub(crate) fn from_exit(code: Option<i32>, reason: String) -> Self {
        match code {
            Some(1) => Self::No(reason),
            Some(2) => Self::Input(reason),
            Some(4) => Self::Refused(reason),
            _ => Self::NotNow(reason),
        }
    }

    /// The same failure, with where it happened in front.
    pub(crate) fn at(self, place: impl fmt::Display) -> Self {
        let say = |reason: String| format!("{place}: {reason}");
        match self {
            Self::Input(reason) => Self::Input(say(reason)),
            Self::NotNow(reason) => Self::NotNow(say(reason)),
            Self::Refused(reason) => Self::Refused(say(reason)),
            Self::No(reason) => Self::No(say(reason)),
        }
    }

    fn kind(&self) -> &'static str {
        match self {
            Self::Input(_) => "bad-input",
            Self::NotNow(_) => "not-now",
            Self::Refused(_) => "refused",
            Self::No(_) => "no",
        }
    }

    fn exit(&self) -> u8 {
        match self {
            Self::No(_) => 1,
            Self::Input(_) => 2,
            Self::NotNow(_) => 3,
            Self::Refused(_) => 4,
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Input(reason) | Self::NotNow(reason) | Self::Refused(reason) | Self::No(reason) => {
                f.write_str(reason)
            }
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

/// Writes a text with one line break at its end; nothing for no text.
///
/// # Errors
/// The error of the stream.
pub(crate) fn say(to: &mut dyn Write, text: &str) -> io::Result<()> {
    let text = text.trim_end_matches('\n');
    if text.is_empty() {
        return Ok(());
    }
    to.write_all(text.as_bytes())?;
    to.write_all(b"\n")?;
    to.flush()
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_outcome_is_one_object_with_its_exit_code() {
        let no = Answer::no("not released", json!({ "state": "failed" }));
        assert_eq!(as_object(&Ok(no), 1).to_string(), r#"{"ok":false,"state":"failed"}"#);
        let refused = Failure::Refused("halted".into()).at("bank");
        assert_eq!(refused.exit(), 4);
        assert_eq!(
            as_object(&Err(refused), 4).to_string(),
            r#"{"error":{"exit":4,"kind":"refused","message":"bank: halted"},"ok":false}"#
        );
    }
}
