//! What a simulated network costs: latency and bandwidth of one direction between two parties.

use std::time::Duration;

/// One direction between two parties. All steps between the two share its bandwidth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Net {
    /// From the last byte leaving to the frame's arrival: half of the round-trip time.
    pub latency: Duration,
    /// In bytes per second; `None` is unlimited.
    pub bandwidth: Option<u64>,
}

impl Net {
    /// Nothing costs time: frames arrive at once, in an order drawn from the seed. Finds deadlocks soonest.
    pub const INSTANT: Self = Self { latency: Duration::ZERO, bandwidth: None };
    /// One second each way and nothing else costs time, so that seconds count rounds.
    pub const ROUNDS: Self = Self { latency: Duration::from_secs(1), bandwidth: None };
    /// One building: 1 Gbit/s, 0.2 ms round trip.
    pub const LAN: Self = Self { latency: Duration::from_micros(100), bandwidth: Some(125_000_000) };
    /// One city: 100 Mbit/s, 20 ms round trip.
    pub const WAN: Self = Self { latency: Duration::from_millis(10), bandwidth: Some(12_500_000) };

    /// How long `bytes` occupy the line, rounded up to a nanosecond.
    pub fn transmission(&self, bytes: usize) -> Duration {
        match self.bandwidth {
            None => Duration::ZERO,
            Some(rate) => {
                let nanoseconds = (bytes as u128 * 1_000_000_000).div_ceil(u128::from(rate.max(1)));
                Duration::from_nanos(u64::try_from(nanoseconds).unwrap_or(u64::MAX))
            }
        }
    }
}
