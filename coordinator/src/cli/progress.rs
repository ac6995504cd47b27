//! What a command says while people wait: a moving line on a terminal, JSON lines for programs, plain lines otherwise.
//! All of it goes to stderr; stdout belongs to the answer.

use std::io::{self, IsTerminal};
use std::sync::Mutex;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use serde_json::json;

use super::answer::say;

/// Steps of the bar: more than a terminal is wide.
const STEPS: u64 = 1000;
/// How often the sign of life turns.
const TICK: Duration = Duration::from_millis(100);

/// Where progress goes.
pub(crate) struct Progress {
    style: Style,
    last: Mutex<String>,
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
        Self { style, last: Mutex::new(String::new()) }
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

    /// Moves the bar to `fraction` of 1.
    pub(crate) fn fraction(&self, fraction: f64) {
        if let Style::Bar(bar) = &self.style {
            bar.set_position((fraction.clamp(0.0, 1.0) * STEPS as f64) as u64);
        }
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
