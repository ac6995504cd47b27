//! Names people probably meant.

/// Names that differ from `name` in capitals, or in at most two letters; the nearest first.
pub(crate) fn near<'a>(name: &str, candidates: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
    let wanted = name.to_lowercase();
    let mut found: Vec<(usize, &str)> = candidates
        .map(|candidate| (distance(&wanted, &candidate.to_lowercase()), candidate))
        .filter(|(distance, _)| *distance <= if wanted.chars().count() < 4 { 1 } else { 2 })
        .collect();
    found.sort();
    found.into_iter().map(|(_, candidate)| candidate).collect()
}

/// Names in backticks with commas between; at most ten of them.
pub(crate) fn list<'a>(names: impl IntoIterator<Item = &'a str>) -> String {
    const SHOWN: usize = 10;
    let names: Vec<&str> = names.into_iter().collect();
    let shown: Vec<String> = names.iter().take(SHOWN).map(|name| format!("`{name}`")).collect();
    match names.len().saturating_sub(SHOWN) {
        0 => shown.join(", "),
        more => format!("{} and {more} more", shown.join(", ")),
    }
}

/// "did you mean `a`?" or "there are `a`, `b`".
pub(crate) fn hint<'a>(name: &str, candidates: impl Iterator<Item = &'a str> + Clone) -> String {
    let near = near(name, candidates.clone());
    let all = list(candidates);
    match (near.is_empty(), all.is_empty()) {
        (_, true) => "there is none".into(),
        (true, false) => format!("there are {all}"),
        (false, false) => format!("did you mean {}? there are {all}", list(near)),
    }
}

/// Levenshtein distance in characters; names are short.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let replaced = diagonal + usize::from(x != *y);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_names_come_first_and_far_ones_not_at_all() {
        assert_eq!(near("AGEE", ["id", "PAGES", "AGE", "age", "PACKAGES"].into_iter()), ["AGE", "age", "PAGES"]);
        assert!(near("zz", ["id", "AGE"].into_iter()).is_empty());
        assert_eq!(distance("kitten", "sitting"), 3);
        assert_eq!(hint("x", std::iter::empty()), "there is none");
    }
}
