//! What this process has used, as the operating system counts it.

/// CPU time and memory of this process.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Usage {
    /// CPU time of all threads since the start, in milliseconds.
    pub(crate) cpu_ms: u64,
    /// The largest resident memory since the start, in KiB; 0 where the system does not tell.
    pub(crate) peak_rss_kb: u64,
}

/// The usage so far.
pub(crate) fn now() -> Usage {
    let cpu = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    let cpu_ms = (cpu.tv_sec as u64) * 1000 + (cpu.tv_nsec as u64) / 1_000_000;
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")?.trim().strip_suffix("kB"));
    Usage { cpu_ms, peak_rss_kb: peak.and_then(|kb| kb.trim().parse().ok()).unwrap_or(0) }
}

#[cfg(test)]
mod tests {
    #[test]
    fn work_is_counted() {
        let before = super::now();
        let mut sum = 0_u64;
        while super::now().cpu_ms < before.cpu_ms + 5 {
            sum = (0..10_000_u64).fold(sum, |sum, n| sum ^ n);
        }
        assert!(super::now().cpu_ms >= before.cpu_ms + 5, "{sum}");
    }
}
