//! Which directory belongs to which party of a job.

use std::collections::BTreeMap;
use std::path::PathBuf;

use banyan_proto::job::Spec;
use banyan_protocols::party::PartyId;

use crate::cli::answer::Failure;

/// One directory for every party of `spec`.
///
/// # Errors
/// [`Failure::Input`] names the party without data, or the data without a party.
pub(crate) fn of_parties(spec: &Spec, given: &[(PartyId, PathBuf)]) -> Result<BTreeMap<PartyId, PathBuf>, Failure> {
    let names: Vec<&str> = spec.parties.iter().map(|party| party.name.as_str()).collect();
    let mut data = BTreeMap::new();
    for (party, dir) in given {
        let wrong = |reason: String| Failure::Input(format!("--data {party}={}: {reason}", dir.display()));
        if spec.party(party).is_none() {
            return Err(wrong(format!("{party} is no party of this job; its parties are {}", names.join(", "))));
        }
        if !dir.is_dir() {
            return Err(wrong("no such directory".into()));
        }
        let dir = dir.canonicalize().map_err(|error| wrong(error.to_string()))?;
        if data.insert(party.clone(), dir).is_some() {
            return Err(wrong("given twice; a party has one data directory".into()));
        }
    }
    match spec.parties.iter().find(|party| !data.contains_key(&party.name)) {
        Some(party) => {
            Err(Failure::Input(format!("--data {0}=DIR is missing: where are the files of {0}?", party.name)))
        }
        None => Ok(data),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::job::check::{EXAMPLE, parse};

    #[test]
    fn every_party_needs_one_directory() {
        let (spec, _) = parse(EXAMPLE).unwrap();
        let given = |names: &[&str]| -> Vec<(PartyId, PathBuf)> {
            names.iter().map(|name| (PartyId::new(name).unwrap(), "/".into())).collect()
        };
        let said = |names: &[&str]| of_parties(&spec, &given(names)).unwrap_err().to_string();
        assert_eq!(said(&["bank"]), "--data bureau=DIR is missing: where are the files of bureau?");
        assert_eq!(said(&["bank", "bank"]), "--data bank=/: given twice; a party has one data directory");
        assert_eq!(said(&["police"]), "--data police=/: police is no party of this job; its parties are bank, bureau");
        assert_eq!(of_parties(&spec, &given(&["bureau", "bank"])).unwrap().len(), 2);
    }
}
