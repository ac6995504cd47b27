//! How far the attempts are: bars for people, JSON lines for programs. Read from the store, so that nothing in the jobs
//! knows about screens.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::time::Duration;

use crate::store::{Attempt, Ending, Store};
use banyan_proto::canonical::Digest;
use banyan_proto::job::Spec;
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use serde_json::{Value, json};

use super::text::{bytes, plain};

/// How often the store is asked: a person sees no faster change.
const POLL: Duration = Duration::from_millis(200);

/// Who looks.
pub(crate) enum Face {
    /// A person at a terminal.
    People(MultiProgress),
    /// A program, line by line.
    Lines,
}

impl Face {
    /// A person at a terminal.
    pub(crate) fn people() -> Self {
        Self::People(MultiProgress::new())
    }
}

/// Shows what changes, until dropped.
pub(crate) async fn watch(store: Store, face: Face) {
    let mut screen = Screen { face, bars: BTreeMap::new() };
    let mut seen = BTreeMap::new();
    let mut counter = None;
    let mut tick = tokio::time::interval(POLL);
    loop {
        tick.tick().await;
        // the daemon does its work whether or not somebody can watch it
        let Ok(now) = store.change_counter() else { continue };
        if counter == Some(now) {
            continue;
        }
        counter = Some(now);
        for attempt in changed(&store, &mut seen) {
            screen.show(&store, &attempt);
        }
    }
}

type Key = (Digest, u32);

/// The attempts that are not as they were `seen`, those that ended since included.
fn changed(store: &Store, seen: &mut BTreeMap<Key, Attempt>) -> Vec<Attempt> {
    let going = store.interrupted().unwrap_or_default();
    let gone = seen.keys().filter(|key| !going.iter().any(|attempt| (attempt.job, attempt.attempt) == **key));
    let ended: Vec<Attempt> = gone.filter_map(|(job, attempt)| store.attempt(job, *attempt).ok().flatten()).collect();
    for attempt in &ended {
        seen.remove(&(attempt.job, attempt.attempt));
    }
    let mut changed = Vec::new();
    for attempt in going {
        let before = seen.insert((attempt.job, attempt.attempt), attempt.clone());
        if before.as_ref() != Some(&attempt) {
            changed.push(attempt);
        }
    }
    changed.extend(ended);
    changed
}

struct Screen {
    face: Face,
    bars: BTreeMap<Key, (String, ProgressBar)>,
}

impl Screen {
    fn show(&mut self, store: &Store, attempt: &Attempt) {
        match &self.face {
            Face::Lines => {
                let mut out = io::stdout().lock();
                // nobody reads any more: the daemon goes on
                let _ = writeln!(out, "{}", line(attempt)).and_then(|()| out.flush());
            }
            Face::People(bars) => {
                let bars = bars.clone();
                self.draw(store, &bars, attempt);
            }
        }
    }

    fn draw(&mut self, store: &Store, bars: &MultiProgress, attempt: &Attempt) {
        let key = (attempt.job, attempt.attempt);
        let (name, bar) = self.bars.entry(key).or_insert_with(|| {
            let bar = bars.add(ProgressBar::new(0));
            if let Ok(style) = ProgressStyle::with_template(
                "{prefix} [{bar:24}] {human_pos} of {human_len}, {per_sec}, {eta} left  {msg}",
            ) {
                bar.set_style(style.progress_chars("=> "));
            }
            let name = name(store, &attempt.job);
            bar.set_prefix(format!("{name} #{}", attempt.attempt));
            (name, bar)
        });
        bar.set_length(attempt.progress.total);
        bar.set_position(attempt.progress.done);
        match &attempt.ending {
            None => {
                bar.set_message(format!("{}, {} sent", attempt.phase.as_str(), bytes(attempt.progress.bytes)));
            }
            Some(ending) => {
                let said = match ending {
                    Ending::Completed => format!("✓ {name} #{}: completed", attempt.attempt),
                    Ending::Failed { code, reason } => {
                        format!("✗ {name} #{}: {} ({})", attempt.attempt, plain(reason), plain(code))
                    }
                };
                bar.finish_and_clear();
                bars.suspend(|| eprintln!("{said}"));
                self.bars.remove(&key);
            }
        }
    }
}

fn name(store: &Store, job: &Digest) -> String {
    let spec = store.offer(job).ok().flatten().and_then(|offer| Spec::from_canonical(&offer.spec).ok());
    spec.map_or_else(|| job.short(), |spec| spec.name.to_string())
}

/// One change, for programs.
fn line(attempt: &Attempt) -> Value {
    let (event, code, reason) = match &attempt.ending {
        None => ("progress", None, None),
        Some(Ending::Completed) => ("completed", None, None),
        Some(Ending::Failed { code, reason }) => ("failed", Some(code), Some(reason)),
    };
    json!({
        "event": event,
        "job": attempt.job,
        "attempt": attempt.attempt,
        "phase": attempt.phase.as_str(),
        "done": attempt.progress.done,
        "total": attempt.progress.total,
        "bytes_out": attempt.progress.bytes,
        "code": code,
        "reason": reason,
    })
}

#[cfg(test)]
mod tests {
    use crate::config::Home;
    use crate::store::{Phase, Progress};

    use super::*;

    #[test]
    fn each_change_is_told_once_and_the_end_too() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(&Home::new(dir.path())).unwrap();
        let job = Digest([7; 32]);
        let mut seen = BTreeMap::new();
        store.begin_attempt(&job, 1).unwrap();
        assert_eq!(changed(&store, &mut seen).len(), 1);
        assert_eq!(changed(&store, &mut seen).len(), 0);
        store.set_phase(&job, 1, Phase::Running).unwrap();
        store.set_progress(&job, 1, Progress { done: 1, total: 4, bytes: 9 }).unwrap();
        let told = changed(&store, &mut seen);
        assert_eq!(line(&told[0])["phase"], "running");
        let ending = Ending::Failed { code: "stopped".into(), reason: "halted".into() };
        store.end_attempt(&job, 1, &ending).unwrap();
        let told = changed(&store, &mut seen);
        assert_eq!((told.len(), line(&told[0])["event"].as_str()), (1, Some("failed")));
        assert_eq!(changed(&store, &mut seen).len(), 0);
    }
}
