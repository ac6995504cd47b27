//! Wire into domain: parsed once at the border, then never doubted. What is checked here is shape, not truth: whose
//! words they are is settled by TLS and by the signed hello of a step.

use banyan_protocols::party::PartyId;
use banyan_protocols::session::SessionId;
use banyan_protocols::transport::{STEP_MAX, Step};

use crate::wire;

/// How a stream between nodes opens: which step of which session, from whom to whom.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Opening {
    /// The attempt.
    pub session: SessionId,
    /// The step of it.
    pub step: Step,
    /// The party that dialled.
    pub from: PartyId,
    /// The party that it wants.
    pub to: PartyId,
}

/// An opening that cannot be one. Its text is fit for the peer: it quotes nothing but numbers.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadOpening {
    /// The first message of a stream opens nothing.
    #[error("the first message of a stream opens a step")]
    Missing,
    /// Another version of the wire.
    #[error("wire versions differ: the stream has {theirs}, this node has {ours}; update the older side")]
    Version {
        /// The version stated.
        theirs: u32,
        /// The version of this program.
        ours: u32,
    },
    /// A field outside its shape.
    #[error("field {field} of the opening: expected {expected}")]
    Field {
        /// Which.
        field: &'static str,
        /// What would be right.
        expected: &'static str,
    },
}

impl TryFrom<wire::StepOpen> for Opening {
    type Error = BadOpening;

    fn try_from(open: wire::StepOpen) -> Result<Self, BadOpening> {
        if open.version != wire::VERSION {
            return Err(BadOpening::Version { theirs: open.version, ours: wire::VERSION });
        }
        let session = <[u8; 32]>::try_from(&open.session[..])
            .map_err(|_| BadOpening::Field { field: "session", expected: "32 bytes" })?;
        Ok(Self {
            session: SessionId::from_bytes(session),
            step: step(&open.step)?,
            from: party("from", &open.from)?,
            to: party("to", &open.to)?,
        })
    }
}

impl From<&Opening> for wire::StepOpen {
    fn from(opening: &Opening) -> Self {
        Self {
            version: wire::VERSION,
            session: opening.session.as_bytes().to_vec().into(),
            step: opening.step.as_str().to_owned(),
            from: opening.from.as_str().to_owned(),
            to: opening.to.as_str().to_owned(),
        }
    }
}

/// The step that `text` names: 1 to [`STEP_MAX`] visible ASCII characters, since it goes into keys and logs.
///
/// # Errors
/// [`BadOpening::Field`].
pub fn step(text: &str) -> Result<Step, BadOpening> {
    if text.is_empty() || text.len() > STEP_MAX || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(BadOpening::Field { field: "step", expected: "1 to 128 visible ASCII characters" });
    }
    Ok(Step::root(text))
}

fn party(field: &'static str, name: &str) -> Result<PartyId, BadOpening> {
    PartyId::new(name).map_err(|_| BadOpening::Field { field, expected: "a party name" })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn opening() -> Opening {
        let party = |name| PartyId::new(name).unwrap();
        Opening {
            session: SessionId::derive(&[1; 32], 2, 3),
            step: Step::root("dh").child("points"),
            from: party("bank"),
            to: party("tax"),
        }
    }

    #[test]
    fn what_is_written_is_read() {
        assert_eq!(Opening::try_from(wire::StepOpen::from(&opening())), Ok(opening()));
    }

    #[test]
    fn every_field_is_checked() {
        let field = |change: fn(&mut wire::StepOpen)| {
            let mut open = wire::StepOpen::from(&opening());
            change(&mut open);
            Opening::try_from(open).unwrap_err().to_string()
        };
        assert_eq!(
            field(|open| open.version = 7),
            "wire versions differ: the stream has 7, this node has 1; update the older side"
        );
        assert_eq!(field(|open| open.session.truncate(31)), "field session of the opening: expected 32 bytes");
        let step = "field step of the opening: expected 1 to 128 visible ASCII characters";
        assert_eq!(field(|open| open.step.clear()), step);
        assert_eq!(field(|open| open.step = "a".repeat(129)), step);
        assert_eq!(field(|open| open.step = "a\nb".into()), step);
        assert_eq!(field(|open| open.from = "../x".into()), "field from of the opening: expected a party name");
        assert_eq!(field(|open| open.to = "a".repeat(33)), "field to of the opening: expected a party name");
    }

    proptest! {
        #[test]
        fn a_changed_opening_is_refused_or_read_back(at in 0_usize..200, to in any::<u8>()) {
            use prost::Message;
            let mut bytes = wire::StepOpen::from(&opening()).encode_to_vec();
            let at = at % bytes.len();
            bytes[at] = to;
            if let Ok(open) = wire::StepOpen::decode(&bytes[..])
                && let Ok(opening) = Opening::try_from(open.clone())
            {
                prop_assert_eq!(wire::StepOpen::from(&opening), open);
            }
        }
    }
}
