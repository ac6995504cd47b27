//! One line of a check-up.

use serde_json::{Value, json};

/// How one thing stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// In order.
    Good,
    /// Not in order: the check-up answers no.
    Bad,
    /// Cannot be known now, or only worth knowing.
    Note,
}

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Line {
    name: String,
    verdict: Verdict,
    detail: String,
    hint: Option<String>,
}

impl Line {
    pub(crate) fn good(name: impl Into<String>, detail: impl Into<String>) -> Self {
        Self { name: name.into(), verdict: Verdict::Good, detail: detail.into(), hint: None }
    }

    pub(crate) fn note(name: impl Into<String>, detail: impl Into<String>) -> Self {
        Self { name: name.into(), verdict: Verdict::Note, detail: detail.into(), hint: None }
    }

    pub(crate) fn bad(name: impl Into<String>, detail: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { name: name.into(), verdict: Verdict::Bad, detail: detail.into(), hint: Some(hint.into()) }
    }

    pub(crate) fn is_bad(&self) -> bool {
        self.verdict == Verdict::Bad
    }

    /// `✓ disk          51 GiB free`, with the hint below where there is one.
    pub(crate) fn text(&self) -> String {
        let sign = match self.verdict {
            Verdict::Good => '✓',
            Verdict::Bad => '✗',
            Verdict::Note => '·',
        };
        let mut text = format!("{sign} {:<14} {}\n", self.name, self.detail);
        if let Some(hint) = &self.hint {
            text.push_str(&format!("                 → {hint}\n"));
        }
        text
    }

    pub(crate) fn json(&self) -> Value {
        let verdict = match self.verdict {
            Verdict::Good => "ok",
            Verdict::Bad => "bad",
            Verdict::Note => "note",
        };
        json!({ "name": self.name, "verdict": verdict, "detail": self.detail, "hint": self.hint })
    }
}
