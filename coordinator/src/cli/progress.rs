//! What a command says while people wait: a moving line on a terminal, JSON lines for programs, plain lines otherwise.
//! All of it goes to stderr; stdout belongs to the answer.

use std::io::{self, IsTerminal};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};
use serde_json::json;

use super::answer::say;

/// Steps of the bar: more than a terminal is wide.
const STEPS: u64 = 1000;
/// How often it is said how far a job is, where lines stay.
const SAID_EVERY: Duration = Duration::from_secs(2);
/// How often the sign of life turns.
const TICK: Duration = Duration::from_millis(100);

/// Where progress goes.
pub(crate) struct Progress {
    style: Style,
    last: Mutex<String>,
    /// When it was last said how far a job is.
    said: Mutex<Option<Instant>>,
}

enum Style {
    Bar(ProgressBar),
    Lines,
    Json,
}

impl Progress {
    /// For the stderr of this process.
    pub(crate) fn new(as_json: bool) -> Self {
        let style = match (as_json, io::stderr().is_terminal()) {
            (true, _) => Style::Json,
            (false, true) => Style::Bar(bar()),
            (false, false) => Style::Lines,
        };
        Self { style, last: Mutex::default(), said: Mutex::default() }
    }

    /// Says what happens now. The same words twice in a row are said once.
    pub(crate) fn step(&self, what: &str) {
        let Ok(mut last) = self.last.lock() else { return };
        if *last == what {
            return;
        }
        *last = what.to_owned();
        // nobody reads progress: the work goes on all the same
        let _ = match &self.style {
            Style::Bar(bar) => {
                bar.set_message(what.to_owned());
                Ok(())
            }
            Style::Lines => say(&mut io::stderr(), what),
            Style::Json => say(&mut io::stderr(), &json!({ "progress": what }).to_string()),
        };
    }

    /// Says how far a job is: its slowest party in a few words, and `fraction` of 1 of the whole. On a terminal always,
    /// elsewhere not more often than anyone reads.
    pub(crate) fn far(&self, words: &str, fraction: f64) {
        if let Style::Bar(bar) = &self.style {
            bar.set_position((fraction.clamp(0.0, 1.0) * STEPS as f64) as u64);
        }
        let Ok(last) = self.last.lock() else { return };
        let Ok(mut said) = self.said.lock() else { return };
        let soon = said.is_some_and(|said| said.elapsed() < SAID_EVERY);
        if words.is_empty() || soon && !matches!(self.style, Style::Bar(_)) {
            return;
        }
        *said = Some(Instant::now());
        let _ = match &self.style {
            Style::Bar(bar) => {
                bar.set_message(format!("{last}: {words}"));
                Ok(())
            }
            Style::Lines => say(&mut io::stderr(), words),
            Style::Json => say(&mut io::stderr(), &json!({ "progress": words, "fraction": fraction }).to_string()),
        };
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Style::Bar(bar) = &self.style {
            bar.finish_and_clear();
        }
    }
}

fn bar() -> ProgressBar {
    let bar = ProgressBar::new(STEPS);
    if let Ok(style) = ProgressStyle::with_template("{spinner} [{bar:24}] {elapsed} {msg}") {
        bar.set_style(style);
    }
    bar.enable_steady_tick(TICK);
    bar
}
