//! The keys of pushed messages: the standard's, and what SecretFlow's link adds to them.
//!
//! ```text
//! connect_{rank}                          I am here
//! {channel}:P2P-{number}:{from}->{to}     a message; numbers count from 1 for each channel and direction
//! … 01 02 {sequence}                      SecretFlow: behind either, counted over all channels; 0 where it does not count
//! ACK 01 02                               SecretFlow: the value is the sequence of a message that was read
//! FIN 01 02                               SecretFlow: the value is how many messages were sent
//! ```

/// What SecretFlow's link puts between a key and a sequence.
const SEQUENCE: &str = "\u{1}\u{2}";
/// The key of a confirmation.
pub(super) const ACK: &str = "ACK\u{1}\u{2}";
/// The key of an end.
pub(super) const FIN: &str = "FIN\u{1}\u{2}";

/// The longest key: a channel of 64 bytes and three numbers.
pub(super) const KEY_MAX: usize = 160;
/// The longest name of a link.
pub(crate) const LINK_ID_MAX: usize = 64;

/// Which of the two channels of ECDH-PSI.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Lane {
    /// The link's own: masked points, and the handshake before them.
    Main,
    /// The first below it: doubly masked points.
    Dual,
}

/// What a key says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Word {
    /// The peer is there.
    Connect,
    /// A message, with its place.
    Message { lane: Lane, number: u64, sequence: u64 },
    /// A message of ours was read.
    Ack,
    /// The peer has sent its last.
    Fin,
}

/// How keys are made and read between two ranks.
#[derive(Clone, Debug)]
pub(super) struct Keys {
    pub(super) link_id: String,
    pub(super) me: u32,
    pub(super) peer: u32,
    /// Whether ours carry a sequence.
    pub(super) sequence: bool,
}

impl Keys {
    pub(super) fn connect(&self) -> String {
        self.with_sequence(format!("connect_{}", self.me), 0)
    }

    pub(super) fn message(&self, lane: Lane, number: u64, sequence: u64) -> String {
        self.with_sequence(format!("{}:P2P-{number}:{}->{}", self.channel(lane), self.me, self.peer), sequence)
    }

    /// What a key of the peer says; none where it says nothing that this link has.
    pub(super) fn read(&self, key: &str) -> Option<Word> {
        match key {
            _ if key.len() > KEY_MAX => return None,
            ACK => return Some(Word::Ack),
            FIN => return Some(Word::Fin),
            _ => {}
        }
        let (key, sequence) = match key.split_once(SEQUENCE) {
            Some((key, sequence)) => (key, number(sequence)?),
            None => (key, 0),
        };
        if let Some(rank) = key.strip_prefix("connect_") {
            return (number(rank)? == u64::from(self.peer)).then_some(Word::Connect);
        }
        let message = |lane| {
            let rest = key.strip_prefix(&self.channel(lane))?.strip_prefix(":P2P-")?;
            let (place, way) = rest.split_once(':')?;
            let (from, to) = way.split_once("->")?;
            let ours = number(from)? == u64::from(self.peer) && number(to)? == u64::from(self.me);
            let number = number(place).filter(|place| *place > 0 && ours)?;
            Some(Word::Message { lane, number, sequence })
        };
        message(Lane::Main).or_else(|| message(Lane::Dual))
    }

    fn channel(&self, lane: Lane) -> String {
        match lane {
            Lane::Main => self.link_id.clone(),
            Lane::Dual => format!("{}-0", self.link_id),
        }
    }

    fn with_sequence(&self, key: String, sequence: u64) -> String {
        if self.sequence { format!("{key}{SEQUENCE}{sequence}") } else { key }
    }
}

/// A number as both sides write it: digits alone, without a zero in front.
pub(super) fn number(text: &str) -> Option<u64> {
    let canonical = text == "0" || !text.starts_with('0');
    (canonical && text.len() <= 20 && text.bytes().all(|byte| byte.is_ascii_digit())).then(|| text.parse().ok())?
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn keys(me: u32, sequence: bool) -> Keys {
        Keys { link_id: "root".into(), me, peer: 1 - me, sequence }
    }

    #[test]
    fn each_end_reads_what_the_other_writes() {
        for sequence in [true, false] {
            let (zero, one) = (keys(0, sequence), keys(1, sequence));
            assert_eq!(one.read(&zero.connect()), Some(Word::Connect));
            for (lane, number, sent) in [(Lane::Main, 1, 1), (Lane::Dual, 7, 19)] {
                let key = zero.message(lane, number, sent);
                let sequence = if sequence { sent } else { 0 };
                assert_eq!(one.read(&key), Some(Word::Message { lane, number, sequence }), "{key}");
                assert_eq!(zero.read(&key), None, "our own come back to nobody");
            }
        }
        assert_eq!(keys(0, true).message(Lane::Dual, 3, 4), "root-0:P2P-3:0->1\u{1}\u{2}4");
        assert_eq!(keys(1, true).connect(), "connect_1\u{1}\u{2}0");
        assert_eq!(keys(0, true).read("ACK\u{1}\u{2}"), Some(Word::Ack));
        assert_eq!(keys(0, true).read("FIN\u{1}\u{2}"), Some(Word::Fin));
    }

    #[test]
    fn anything_else_is_no_key() {
        for key in [
            "",
            "root",
            "connect_0",
            "connect_1 ",
            "connect_01",
            "other:P2P-1:1->0",
            "root-1:P2P-1:1->0",
            "root:P2P-0:1->0",
            "root:P2P-01:1->0",
            "root:P2P-+1:1->0",
            "root:P2P-1:0->1",
            "root:P2P-1:1->2",
            "root:P2P-1:1->0\u{1}\u{2}",
            "root:P2P-1:1->0\u{1}\u{2}x",
            "root:P2P-18446744073709551616:1->0",
            "root:1:GATHER",
            "FIN\u{1}\u{2}1",
        ] {
            assert_eq!(keys(0, true).read(key), None, "{key:?}");
        }
    }

    proptest! {
        #[test]
        fn arbitrary_keys_never_panic(key in "\\PC{0,40}|(root|root-0|connect_|ACK|FIN|:P2P-|->|[0-9]|\u{1}|\u{2}){0,12}") {
            if let Some(Word::Message { lane, number, sequence }) = keys(0, true).read(&key) {
                let with = keys(1, true).message(lane, number, sequence);
                let without = keys(1, false).message(lane, number, 0);
                prop_assert!(key == with || (sequence == 0 && key == without), "{key:?}");
            }
        }
    }
}
