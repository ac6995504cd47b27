//! What everyone learns from a job, in plain words, one sentence each: the same at every node, and what an approver signs.

use banyan_protocols::catalogue::{Catalogue, Disclosure, Learns};
use banyan_protocols::party::{PartyId, Role, Roster};

use super::choose::choose;
use super::plan::{parameters, roster};
use super::validate::{NUMBER_MAX, together};
use super::{Duplicates, PartySpec, Plan, ResultKind, Spec, SpecError};

impl Plan {
    /// What everyone learns, in plain words, one sentence each.
    ///
    /// # Errors
    /// As [`Plan::derive`].
    pub fn disclosures(spec: &Spec, catalogue: &Catalogue) -> Result<Vec<String>, SpecError> {
        let parameters = parameters(spec);
        let disclosed = choose(spec, catalogue, &parameters)?.protocol.disclosures(parameters.form);
        let told = Told { spec, roster: roster(spec), sizes: parameters.sizes };
        let mut sentences: Vec<String> = disclosed.iter().flat_map(|disclosure| told.sentences(disclosure)).collect();
        sentences.push(told.by_its_end());
        if spec.duplicates == Duplicates::Error {
            sentences.push(DUPLICATES.into());
        }
        sentences.extend(spec.parties.iter().filter_map(|party| told.numbers(party)));
        Ok(sentences)
    }
}

/// What `duplicates = "error"` tells by failing: the others are not told why an input does not pass.
const DUPLICATES: &str = "everyone in the job, and the coordinator, learns that a party's input does not pass if a key \
                          stands in two of its rows: the job then fails";

struct Told<'a> {
    spec: &'a Spec,
    roster: Roster,
    sizes: banyan_protocols::catalogue::Sizes,
}

impl Told<'_> {
    fn sentences(&self, d: &Disclosure) -> Vec<String> {
        let (who, there, least) = (self.name(d.to), self.set_of(d.about), self.spec.minimum_result);
        match d.learns {
            Learns::SizeBand => self.of_each(d, self.sizes.of(d.about)),
            Learns::Size => vec![format!("{who} learns how many rows {there} has, unless it is padded")],
            Learns::CurveSide => vec![format!(
                "{who} learns about one bit of every key of {there}, though not of whose it is: the standard hashes so"
            )],
            Learns::IntersectionSize => {
                vec![format!("{who} learns how many of its rows have a key in {there}, if there are at least {least}")]
            }
            Learns::Sum => vec![format!(
                "{who} learns the sum of column {} of {there} over all keys that it has too, if there are at least {least}, \
                 and not how many they are; who asks again with one row more or less learns the number of that row",
                self.summed(d.about)
            )],
            Learns::Changes => vec![format!(
                "{who} keeps tags of {there} until the key they were made with ends, which all jobs of this scenario share: from \
                 each later one it learns which of the rows it asked for in an earlier one came to {there} or went from it, and \
                 about how many other rows did; tags of rows that went stay with it until then, and tell nothing of a row it \
                 does not ask for"
            )],
            Learns::Minimum => {
                vec![format!("{who} learns whether at least {least} of its rows have a key in {there}")]
            }
            Learns::IntersectionOfAll => {
                let of_two = Disclosure { learns: Learns::Intersection, ..*d };
                let mut sentences = self.sentences(&of_two);
                sentences.push(format!(
                    "{who} together with some of the others could learn which of its own rows have a key at all the rest of them"
                ));
                sentences
            }
            Learns::Intersection if self.spec.is_cascade() => self.by_each_key(d),
            Learns::Intersection => vec![match self.spec.result {
                ResultKind::Left => format!(
                    "{who} learns of each of its own rows whether it has a key in {there}, if at least {least} have"
                ),
                ResultKind::Difference => format!(
                    "{who} learns which of its own rows have no key in {}, and so which have one, if there are at least \
                     {least} of either",
                    there.replacen("each of", "at least one of", 1)
                ),
                ResultKind::Rows | ResultKind::Count | ResultKind::Sum => {
                    format!("{who} learns which of its own rows have a key in {there}, if there are at least {least}")
                }
            }],
        }
    }

    /// One sentence for each party that learns the band of another.
    fn of_each(&self, d: &Disclosure, rows: u64) -> Vec<String> {
        let who = self.roster.holders(d.to);
        let pairs = who.flat_map(|who| self.roster.holders(d.about).map(move |about| (who, about)));
        pairs.map(|(who, about)| format!("{who} learns that {} has at most {rows} rows", self.set(about))).collect()
    }

    /// One sentence for each key of a cascade, since each tells something of its own, and one for what comes of them.
    fn by_each_key(&self, d: &Disclosure) -> Vec<String> {
        let (who, there, least) = (self.name(d.to), self.set_of(d.about), self.spec.minimum_result);
        let party = self.roster.holder(d.to).and_then(|party| self.spec.party(party));
        let keys = party.into_iter().flat_map(|party| party.keys()).enumerate();
        let mut sentences: Vec<String> = keys
            .map(|(earlier, key)| {
                let rows = if earlier == 0 { "" } else { " that no earlier key found" };
                let key = together(key);
                format!(
                    "{who} learns which of its own rows{rows} have their {key} in {there}, if all keys find {least}"
                )
            })
            .collect();
        sentences.extend(match self.spec.result {
            ResultKind::Difference => {
                Some(format!("{who} is given its own rows that no key found, if there are at least {least}"))
            }
            ResultKind::Rows | ResultKind::Left => Some(format!("{who} is told by which key each row was found")),
            ResultKind::Count | ResultKind::Sum => None,
        });
        sentences
    }

    /// A job that opens nothing ends otherwise than one that opens something, and everyone sees how it ends.
    fn by_its_end(&self) -> String {
        let least = self.spec.minimum_result;
        let rest = match self.spec.result {
            ResultKind::Difference => format!(", and at least {least} that are not"),
            ResultKind::Rows | ResultKind::Left | ResultKind::Count | ResultKind::Sum => String::new(),
        };
        format!("everyone in the job, and the coordinator, learns whether there are at least {least} common rows{rest}")
    }

    /// What a number that does not fit tells by failing.
    fn numbers(&self, party: &PartySpec) -> Option<String> {
        let column = party.sum.as_ref()?;
        Some(format!(
            "everyone in the job, and the coordinator, learns that a party's input does not pass if a number of column \
             {column} is below 0 or above {NUMBER_MAX}: the job then fails"
        ))
    }

    fn summed(&self, role: Role) -> &str {
        let party = self.roster.holder(role).and_then(|party| self.spec.party(party));
        party.and_then(|party| party.sum.as_deref()).unwrap_or("?")
    }

    fn name(&self, role: Role) -> &str {
        self.roster.holder(role).map_or("?", PartyId::as_str)
    }

    /// The data set of who has the role, or each of those of several.
    fn set_of(&self, role: Role) -> String {
        let sets: Vec<String> = self.roster.holders(role).map(|party| self.set(party)).collect();
        if sets.len() == 1 { sets.concat() } else { format!("each of {}", sets.join(" and ")) }
    }

    fn set(&self, party: &PartyId) -> String {
        let party = self.spec.party(party);
        party.map_or_else(String::new, |party| format!("{} of {}", party.dataset, party.name))
    }
}
