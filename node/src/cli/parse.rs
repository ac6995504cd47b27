//! How flags are read, where a type does not say it itself.

use banyan_proto::names::Address;
use banyan_protocols::party::PartyId;

/// A party's name.
pub(crate) fn party(text: &str) -> Result<PartyId, String> {
    PartyId::new(text).map_err(|error| error.to_string())
}

/// A `host:port` that others dial.
pub(crate) fn address(text: &str) -> Result<String, &'static str> {
    text.parse::<Address>().map(|address| address.to_string())
}

/// The longest reason: a line or two in the log.
const REASON_MAX: usize = 500;

/// Why somebody decided something, for the log.
pub(crate) fn reason(text: &str) -> Result<String, String> {
    let text = text.trim();
    if text.is_empty() || text.len() > REASON_MAX || text.chars().any(char::is_control) {
        return Err(format!("expected one line of at most {REASON_MAX} bytes that says why"));
    }
    Ok(text.to_owned())
}
