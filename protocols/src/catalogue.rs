//! What a job may name: each protocol with its claim, its disclosures and its cost. Policy reads disclosures, planners
//! read cost, and a test compares declared with measured cost.

use std::fmt;
use std::ops::RangeInclusive;

use futures::future::BoxFuture;
use serde::{Deserialize, Serialize};

use crate::bits::Bits;
use crate::error::Result;
use crate::items::{Column, Items, Rows};
use crate::party::Role;
use crate::psi::aggregate::{Cardinality, Sum};
use crate::psi::circuit::Circuit;
use crate::psi::ecdh::Ecdh;
use crate::psi::interop::Interop;
use crate::psi::multi::Multi;
use crate::psi::rr22::Rr22;
use crate::psi::unbalanced::Unbalanced;
use crate::session::Session;

/// A protocol that a spec can name.
pub trait Protocol: Send + Sync {
    /// What it is and claims.
    fn descriptor(&self) -> &'static Descriptor;

    /// Who learns what about whom under this result form. Everything not listed stays hidden, under the stated claim.
    fn disclosures(&self, form: Form) -> Vec<Disclosure>;

    /// The exact communication and the group operations of `role`, and an estimate of its processor time.
    fn cost(&self, parameters: &Parameters, role: Role) -> Cost;

    /// How many senders a run has.
    fn senders(&self) -> RangeInclusive<u32> {
        1..=1
    }

    /// What a run at `role` counts while it works, up to this number, for people to see how far it is. Its unit is the
    /// protocol's own: group operations, where it has them.
    fn work(&self, parameters: &Parameters, role: Role) -> u64 {
        self.cost(parameters, role).group_ops
    }

    /// The most rows of `role` in one run. A plan cuts a larger set into buckets, or is refused before anything is spent.
    fn rows_max(&self, role: Role) -> u64;

    /// Bytes that a run holds at `role` at its peak, short keys included: what a planner cuts large jobs by. A protocol that
    /// measured it says so; this is safe for those that need less than 200 bytes for each row of both sets.
    fn memory(&self, parameters: &Parameters, _role: Role) -> u64 {
        parameters.sizes.receiver.saturating_add(parameters.sizes.sender).saturating_mul(200)
    }

    /// Runs `role` of the protocol over `session`.
    fn run<'a>(
        &'a self,
        session: &'a Session,
        role: Role,
        parameters: Parameters,
        input: Input,
    ) -> BoxFuture<'a, Result<Output>>;
}

/// What a protocol is: the row of the README's table.
#[derive(Clone, Copy, Debug)]
pub struct Descriptor {
    /// The name a spec uses.
    pub name: &'static str,
    /// What it computes, in one line.
    pub summary: &'static str,
    /// Paper and section.
    pub paper: &'static str,
    /// Adversary and computational and statistical level.
    pub security: &'static str,
    /// The cipher suite it computes in.
    pub suite: Suite,
    /// The result forms it has.
    pub forms: &'static [Form],
    /// Whether a job that leaves the choice to its plan may get it: not where its claim is weaker than the others', nor
    /// where a party must have prepared something.
    pub auto: bool,
}

/// The family of primitives that a protocol computes in: regulations ask for one or the other.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Suite {
    /// Curve25519, SHA-2, AES: the international one.
    #[default]
    Intl,
    /// SM2, SM3, SM4: commercial cryptography of the People's Republic of China.
    Sm,
}

impl Suite {
    /// The name a spec uses.
    pub fn name(self) -> &'static str {
        match self {
            Self::Intl => "intl",
            Self::Sm => "sm",
        }
    }
}

/// What is opened, and to whom.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Form {
    /// The receiver learns which of its rows are in both sets.
    RowsToReceiver,
    /// Both learn which of their own rows are in both sets.
    RowsToBoth,
    /// The receiver learns how many rows are in both sets.
    Cardinality,
    /// The receiver learns the sum of the sender's numbers in the rows that are in both sets.
    Sum,
    /// Nobody learns anything: both have shares.
    Shares,
}

impl Form {
    /// The name a spec uses.
    pub fn name(self) -> &'static str {
        match self {
            Self::RowsToReceiver => "rows-to-receiver",
            Self::RowsToBoth => "rows-to-both",
            Self::Cardinality => "cardinality",
            Self::Sum => "sum",
            Self::Shares => "shares",
        }
    }
}

/// The agreed sizes: bands, never the true counts. Inputs are padded up to them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sizes {
    /// The receiver's band, in items.
    pub receiver: u64,
    /// The sender's band, in items.
    pub sender: u64,
}

impl Sizes {
    /// The band of `role`.
    pub fn of(&self, role: Role) -> u64 {
        match role {
            Role::Receiver => self.receiver,
            Role::Sender => self.sender,
        }
    }
}

/// What all parties agree on before a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Parameters {
    /// The padded sizes.
    pub sizes: Sizes,
    /// The result form.
    pub form: Form,
    /// How many parties send: one, but where a protocol takes more.
    pub senders: u32,
    /// The fewest common rows with which anything is opened, where the protocol enforces it itself; below 2^31.
    pub minimum: u64,
    /// Columns of numbers that the sender brings beside its keys.
    pub columns: u32,
}

impl Parameters {
    /// Of a protocol with one sender, without a minimum and without columns.
    pub const fn new(sizes: Sizes, form: Form) -> Self {
        Self { sizes, form, senders: 1, minimum: 0, columns: 0 }
    }
}

/// `to` learns `learns` about `about`'s input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Disclosure {
    /// Who learns.
    pub to: Role,
    /// What.
    pub learns: Learns,
    /// About whose input.
    pub about: Role,
}

impl fmt::Display for Disclosure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.learns {
            Learns::SizeBand => write!(f, "{} learns the {}'s size band", self.to, self.about),
            Learns::Size => write!(f, "{} learns how many rows the {} has", self.to, self.about),
            Learns::CurveSide => write!(f, "{} learns about one bit of each key of the {}", self.to, self.about),
            Learns::Intersection => write!(f, "{} learns which of its own rows the {} has too", self.to, self.about),
            Learns::IntersectionOfAll => write!(f, "{} learns which of its own rows every {} has", self.to, self.about),
            Learns::IntersectionSize => {
                write!(f, "{} learns how many rows the {} has in common with it", self.to, self.about)
            }
            Learns::Sum => write!(f, "{} learns the sum of the {}'s numbers in common rows", self.to, self.about),
            Learns::Changes => write!(
                f,
                "{} learns, while the {} keeps its key, which rows it asked for came or went since, and about how many others",
                self.to, self.about
            ),
            Learns::Minimum => {
                write!(
                    f,
                    "{} learns whether it has the agreed minimum of rows in common with the {}",
                    self.to, self.about
                )
            }
        }
    }
}

/// What can be learned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Learns {
    /// The size band, not the size.
    SizeBand,
    /// The size, as far as the other does not pad its set.
    Size,
    /// Of each masked key, whether its hash lies on the curve or on its twist: about one bit of each, not of whose.
    CurveSide,
    /// Which of the learner's own rows are also in the other's set.
    Intersection,
    /// Which of the learner's own rows are also in the sets of all others.
    IntersectionOfAll,
    /// How many rows are in both sets.
    IntersectionSize,
    /// The sum of a column over the rows that are in both sets.
    Sum,
    /// Whether as many rows as agreed are in both sets.
    Minimum,
    /// From runs under one key: which of the rows that the learner asked for came or went in between, and about how many of
    /// the others.
    Changes,
}

/// What one role spends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cost {
    /// Messages one after another on the longest path of the whole protocol.
    pub rounds: u32,
    /// Bytes this role sends: frames with their headers, before sealing.
    pub bytes_out: u64,
    /// Group scalar multiplications of this role.
    pub group_ops: u64,
    /// Microseconds of one core that this role computes: an estimate, from figures of the reference core, which is one
    /// vCPU of an AMD EPYC with AVX-512 IFMA, release build (the README's figures). Other processors differ, and all
    /// protocols with them, though not by one factor: without IFMA those that multiply points take about seven times as
    /// long. Integers, so that every node derives the same.
    pub cpu_us: u64,
}

impl Cost {
    /// One after the other: rounds add.
    #[must_use]
    pub fn then(self, next: Self) -> Self {
        Self { rounds: self.rounds + next.rounds, ..self.beside(next) }
    }

    /// At the same time: the longer one's rounds.
    #[must_use]
    pub fn beside(self, other: Self) -> Self {
        Self {
            rounds: self.rounds.max(other.rounds),
            bytes_out: self.bytes_out + other.bytes_out,
            group_ops: self.group_ops + other.group_ops,
            cpu_us: self.cpu_us + other.cpu_us,
        }
    }
}

/// A party's input.
#[derive(Debug)]
pub enum Input {
    /// A set of keys.
    Items(Items),
    /// A set of keys, and columns with a number for each.
    Table {
        /// The keys.
        items: Items,
        /// The columns, in the order of the plan.
        columns: Vec<Column>,
    },
}

impl Input {
    /// The keys and the columns, if any.
    pub fn table(self) -> (Items, Vec<Column>) {
        match self {
            Self::Items(items) => (items, Vec::new()),
            Self::Table { items, columns } => (items, columns),
        }
    }
}

/// A party's output.
#[derive(Debug, PartialEq, Eq)]
pub enum Output {
    /// This role learns nothing.
    Nothing,
    /// The positions of this party's own items that are in both sets, ascending.
    Rows(Rows),
    /// How many items are in both sets.
    Count(u64),
    /// The sum of the sender's numbers over the items that are in both sets.
    Sum(u64),
    /// Fewer items than the agreed minimum are in both sets, and nothing was opened.
    BelowMinimum,
    /// This party's shares.
    Shares(Shared),
}

/// One party's shares of an intersection, in the receiver's bin order. There are more bins than rows of the receiver; one
/// without a row matches nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shared {
    /// The receiver's row in each bin. The sender has none of it.
    pub rows: Vec<Option<u32>>,
    /// For each bin, a share by exclusive or of whether its row is in both sets.
    pub matches: Bits,
    /// Of each column of the sender, a share modulo 2^64 of its number in the matching row; anything where none matches.
    pub sender_columns: Vec<Column>,
    /// The receiver's own columns in bin order, zero where a bin has no row. The sender has none of it.
    pub receiver_columns: Vec<Column>,
}

/// Every protocol of this build, in the order of the README's table.
pub struct Catalogue(&'static [&'static dyn Protocol]);

impl Catalogue {
    /// A catalogue of the given protocols.
    pub const fn new(protocols: &'static [&'static dyn Protocol]) -> Self {
        Self(protocols)
    }

    /// The protocol of that name.
    pub fn find(&self, name: &str) -> Option<&'static dyn Protocol> {
        self.iter().find(|protocol| protocol.descriptor().name == name)
    }

    /// Every protocol.
    pub fn iter(&self) -> impl Iterator<Item = &'static dyn Protocol> {
        self.0.iter().copied()
    }
}

/// The protocols of this build.
pub static CATALOGUE: Catalogue = Catalogue::new(&[
    &Rr22::NEW,
    &Rr22::LOW,
    &Ecdh::DH,
    &Ecdh::ECDH,
    &Ecdh::ECDH_SM,
    &Unbalanced::NEW,
    &Multi,
    &Circuit,
    &Cardinality,
    &Sum,
    &Interop::X25519,
    &Interop::SM2,
    &Interop::SM3,
]);

#[cfg(test)]
mod tests {
    use super::*;

    /// The table of both READMEs as the catalogue has it. What is the same for every result of a protocol is said once.
    fn table() -> String {
        let sizes = Sizes { receiver: 1 << 16, sender: 1 << 16 };
        let mut table = String::from(
            "| protocol | result | paper | security | rounds | bytes | who learns what |\n|---|---|---|---|---|---|---|\n",
        );
        for protocol in CATALOGUE.iter() {
            let d = protocol.descriptor();
            for (index, form) in d.forms.iter().enumerate() {
                let cost = |role| protocol.cost(&Parameters::new(sizes, *form), role);
                let (receiver, sender) = (cost(Role::Receiver), cost(Role::Sender));
                assert_eq!(receiver.rounds, sender.rounds, "rounds are of the whole protocol");
                let learns: Vec<String> = protocol.disclosures(*form).iter().map(Disclosure::to_string).collect();
                let bytes = receiver.bytes_out + sender.bytes_out;
                let (result, learns) = (form.name(), learns.join("; "));
                let (paper, security) = if index == 0 { (d.paper, d.security) } else { ("as above", "as above") };
                let row = [d.name, result, paper, security, &receiver.rounds.to_string(), &bytes.to_string(), &learns];
                table += &format!("| {} |\n", row.join(" | "));
            }
        }
        table
    }

    #[test]
    fn the_tables_of_the_readmes_are_the_catalogue() {
        let readmes =
            [("README.md", include_str!("../../README.md")), ("protocols/README.md", include_str!("../README.md"))];
        for (name, readme) in readmes {
            let shown =
                readme.split("<!-- table -->\n").nth(1).and_then(|rest| rest.split("<!-- end of table -->").next());
            assert_eq!(shown, Some(table().as_str()), "put this into {name}:\n{}", table());
        }
    }

    #[test]
    fn what_auto_may_choose_says_how_long_it_computes() {
        for protocol in CATALOGUE.iter().filter(|protocol| protocol.descriptor().auto) {
            for form in protocol.descriptor().forms {
                // the slower role: a protocol that forgot its time would win every choice
                let slower = |rows: u64| {
                    let p = Parameters::new(Sizes { receiver: rows, sender: rows }, *form);
                    [Role::Receiver, Role::Sender]
                        .map(|role| protocol.cost(&p, role).cpu_us)
                        .into_iter()
                        .max()
                        .unwrap_or(0)
                };
                let (small, large) = (slower(1 << 16), slower(1 << 20));
                // the figures that are aimed at are above a tenth of a microsecond a row
                assert!(large > small && large > (1 << 20) / 10, "{} {}", protocol.descriptor().name, form.name());
            }
        }
    }

    #[test]
    fn names_are_unique_and_found() {
        for protocol in CATALOGUE.iter() {
            let name = protocol.descriptor().name;
            assert_eq!(CATALOGUE.iter().filter(|other| other.descriptor().name == name).count(), 1, "{name}");
            assert!(CATALOGUE.find(name).is_some(), "{name}");
        }
        assert!(CATALOGUE.find("DH").is_none());
        assert!(CATALOGUE.find("auto").is_none(), "a job writes it where its plan chooses");
    }
}
