//! The flags of a bench as a name of the catalogue: a protocol's suite and mode are entries of their own.

use banyan_proto::job::AUTO;
use banyan_protocols::catalogue::Suite;

use crate::cli::answer::Failure;

/// The ending of an entry that computes in suite sm.
const SM: &str = "-sm";
/// The ending of an entry that trades time for bytes.
const LOW: &str = "-low";

/// The name for a protocol of a suite and mode among the `known` ones: `ecdh` of suite sm is `ecdh-sm`, `rr22` with low
/// bandwidth is `rr22-low`. A name that nothing is asked of is left for the plan to find.
///
/// # Errors
/// [`Failure::Input`] names those that are what was asked for.
pub(super) fn entry(
    known: &[(&str, Suite)],
    protocol: &str,
    suite: Option<Suite>,
    low: bool,
) -> Result<String, Failure> {
    if protocol == AUTO && low {
        return Err(Failure::input("auto looks at the bandwidth itself: take --net wan, or name a protocol"));
    }
    if protocol == AUTO || (suite.is_none() && !low) {
        return Ok(protocol.to_owned());
    }
    let with = |asked: bool, ending: &'static str| if asked && !protocol.ends_with(ending) { ending } else { "" };
    let name = format!("{protocol}{}{}", with(suite == Some(Suite::Sm), SM), with(low, LOW));
    let fits = |entry: &&(&str, Suite)| suite.is_none_or(|suite| entry.1 == suite) && (!low || entry.0.ends_with(LOW));
    let fits: Vec<&str> = known.iter().filter(fits).map(|(name, _)| *name).collect();
    if fits.contains(&&*name) {
        return Ok(name);
    }
    let suite = suite.map_or_else(String::new, |suite| format!(" of suite {}", suite.name()));
    let mode = if low { " with low bandwidth" } else { "" };
    let there = if fits.is_empty() { "none".to_owned() } else { fits.join(", ") };
    Err(Failure::input(format!("no protocol {protocol}{suite}{mode}; there are: {there}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn suite_and_mode_find_the_entry_or_teach_which_there_are() {
        let known = [("ecdh", Suite::Intl), ("ecdh-sm", Suite::Sm), ("rr22", Suite::Intl), ("rr22-low", Suite::Intl)];
        let entry = |protocol: &str, suite, low| entry(&known, protocol, suite, low).map_err(|e| e.to_string());
        let (sm, intl) = (Some(Suite::Sm), Some(Suite::Intl));
        for (protocol, suite, low, found) in [
            ("ecdh", None, false, "ecdh"),
            ("ecdh", intl, false, "ecdh"),
            ("ecdh", sm, false, "ecdh-sm"),
            ("ecdh-sm", None, false, "ecdh-sm"),
            ("ecdh-sm", sm, false, "ecdh-sm"),
            ("rr22", None, true, "rr22-low"),
            ("rr22-low", intl, true, "rr22-low"),
            ("auto", sm, false, "auto"),
            ("magic", None, false, "magic"),
        ] {
            assert_eq!(entry(protocol, suite, low).as_deref(), Ok(found), "{protocol} {suite:?} {low}");
        }
        for (protocol, suite, low, why) in [
            ("rr22", sm, false, "no protocol rr22 of suite sm; there are: ecdh-sm"),
            ("ecdh", None, true, "no protocol ecdh with low bandwidth; there are: rr22-low"),
            ("rr22", sm, true, "no protocol rr22 of suite sm with low bandwidth; there are: none"),
            ("ecdh-sm", intl, false, "no protocol ecdh-sm of suite intl; there are: ecdh, rr22, rr22-low"),
            ("auto", None, true, "auto looks at the bandwidth itself: take --net wan, or name a protocol"),
        ] {
            assert_eq!(entry(protocol, suite, low), Err(why.to_owned()), "{protocol} {suite:?} {low}");
        }
    }
}
