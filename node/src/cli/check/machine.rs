//! What the machine gives: processor, memory, disk, clock.

use std::fs;
use std::path::Path;

use jiff::{SignedDuration, Timestamp};

use super::line::Line;
use crate::cli::text::bytes;

/// Below this much free space a job of ten million rows may not find room for its result and its spill.
const DISK_FREE_MIN: u64 = 2 << 30;
/// What the daemon itself needs beside the attempts' `memory_mb`.
const BASE_MEMORY: u64 = 256 << 20;
/// A clock before this program was written is wrong.
const NOT_BEFORE: &str = "2026-11-01T00:00:00Z";
/// The largest difference to the coordinator's clock at which jobs run, as the daemon has it.
const CLOCK_OFF_MAX: SignedDuration = SignedDuration::from_secs(60);

pub(crate) fn processor() -> Line {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let features = features();
    let has = features.iter().filter(|(_, has)| *has).map(|(name, _)| *name).collect::<Vec<_>>().join(" ");
    let has = if has.is_empty() { "no vector extensions that matter here".to_owned() } else { has };
    let engine = banyan_protocols::kernels::ristretto::engine();
    Line::good("processor", format!("{cores} cores; {has}; ristretto255 runs {engine}"))
}

#[cfg(target_arch = "x86_64")]
fn features() -> [(&'static str, bool); 5] {
    [
        ("avx2", std::arch::is_x86_feature_detected!("avx2")),
        ("avx512f", std::arch::is_x86_feature_detected!("avx512f")),
        ("avx512ifma", std::arch::is_x86_feature_detected!("avx512ifma")),
        ("aes", std::arch::is_x86_feature_detected!("aes")),
        ("vaes", std::arch::is_x86_feature_detected!("vaes")),
    ]
}

#[cfg(not(target_arch = "x86_64"))]
fn features() -> [(&'static str, bool); 0] {
    []
}

/// Whether `memory_mb` of the config fits what is free now, for as many attempts as run at once.
pub(crate) fn memory(memory_mb: u64, attempts: u64) -> Line {
    match fs::read_to_string("/proc/meminfo").ok().and_then(|text| available(&text)) {
        Some(free) => fits(free, memory_mb, attempts),
        None => Line::note("memory", "unknown: this system does not tell"),
    }
}

fn fits(free: u64, memory_mb: u64, attempts: u64) -> Line {
    let wanted = |attempts: u64| (memory_mb << 20).saturating_mul(attempts).saturating_add(BASE_MEMORY);
    let (one, all) = (wanted(1), wanted(attempts));
    let detail = format!(
        "{} available; {} wanted by one attempt, {} by {attempts} at once (memory_mb = {memory_mb} each, and the daemon)",
        bytes(free),
        bytes(one),
        bytes(all)
    );
    match free {
        free if free < one => {
            let hint = "lower memory_mb in config.toml, or stop other programs: a killed daemon fails its jobs";
            Line::bad("memory", detail, hint)
        }
        free if free < all => Line::note("memory", detail),
        _ => Line::good("memory", detail),
    }
}

/// `MemAvailable` of /proc/meminfo, in bytes.
fn available(meminfo: &str) -> Option<u64> {
    let line = meminfo.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
    line.trim().strip_suffix(" kB")?.trim().parse::<u64>().ok()?.checked_mul(1024)
}

/// Room where the home is.
pub(crate) fn disk(home: &Path) -> Line {
    let Ok(space) = rustix::fs::statvfs(home) else {
        return Line::note("disk", "unknown: this system does not tell");
    };
    let free = space.f_bavail.saturating_mul(space.f_frsize);
    if free < DISK_FREE_MIN {
        return Line::bad(
            "disk",
            format!("{} free at {}", bytes(free), home.display()),
            format!("make room: results, spill and the audit log want at least {}", bytes(DISK_FREE_MIN)),
        );
    }
    Line::good("disk", format!("{} free at {}", bytes(free), home.display()))
}

/// The clock, against the coordinator's where it is known (`ahead`), and against this node's own past.
pub(crate) fn clock(now: Timestamp, last_record: Option<Timestamp>, ahead: Option<SignedDuration>) -> Line {
    let hint = "set the clock, for example with chrony: validity and signatures depend on it";
    if NOT_BEFORE.parse::<Timestamp>().is_ok_and(|built| now < built) {
        return Line::bad("clock", format!("{now}: before this program was written"), hint);
    }
    if let Some(last) = last_record.filter(|last| last.duration_since(now) > CLOCK_OFF_MAX) {
        return Line::bad("clock", format!("{now}: before the last record of the audit log, of {last}"), hint);
    }
    match ahead {
        Some(ahead) if ahead.abs() > CLOCK_OFF_MAX => Line::bad(
            "clock",
            format!(
                "{} s {} the coordinator's; jobs run at a difference of 60 s at most",
                ahead.abs().as_secs(),
                side(ahead)
            ),
            hint,
        ),
        Some(ahead) => {
            Line::good("clock", format!("{:.1} s {} the coordinator's", ahead.abs().as_secs_f64(), side(ahead)))
        }
        None => Line::note("clock", format!("{now:.0}; against the coordinator's: unknown, it is not reached")),
    }
}

fn side(ahead: SignedDuration) -> &'static str {
    if ahead.is_negative() { "behind" } else { "ahead of" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_two_minutes_off_is_bad_on_either_side() {
        let now: Timestamp = "2026-11-21T12:00:00Z".parse().unwrap();
        let off = |seconds| clock(now, None, Some(SignedDuration::from_secs(seconds)));
        assert!(!off(0).is_bad() && !off(60).is_bad() && !off(-60).is_bad());
        let expected = "✗ clock          120 s behind the coordinator's; jobs run at a difference of 60 s at most";
        assert!(off(-120).text().starts_with(expected), "{}", off(-120).text());
        assert!(off(120).text().contains("120 s ahead of the coordinator's"));
        assert!(!clock(now, None, None).is_bad(), "unknown is no failure");
    }

    #[test]
    fn a_clock_that_went_back_is_bad() {
        let now: Timestamp = "2026-11-21T12:00:00Z".parse().unwrap();
        let later = now + SignedDuration::from_mins(5);
        assert!(clock(now, Some(later), None).is_bad());
        assert!(!clock(later, Some(now), None).is_bad());
        assert!(clock("2020-01-01T00:00:00Z".parse().unwrap(), None, None).is_bad());
    }

    #[test]
    fn memory_is_wanted_by_every_attempt() {
        let said = |free_mb: u64| fits(free_mb << 20, 1024, 4).text();
        assert_eq!(
            said(1279),
            "✗ memory         1.2 GiB available; 1.2 GiB wanted by one attempt, 4.2 GiB by 4 at once (memory_mb = 1024 each, and the daemon)\n                 → lower memory_mb in config.toml, or stop other programs: a killed daemon fails its jobs\n"
        );
        assert!(said(1280).starts_with("· memory "), "one fits, four may not");
        assert!(said(4352).starts_with("✓ memory "));
    }

    #[test]
    fn memory_is_read_as_the_kernel_writes_it() {
        assert_eq!(available("MemTotal:  16 kB\nMemAvailable:    1024 kB\n"), Some(1 << 20));
        assert_eq!(available("MemTotal:  16 kB\n"), None);
    }
}
