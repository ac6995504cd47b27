//! What a run on plain files of this machine should have given: the check that no real deployment can make.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use super::answer::Failure;

/// The keys that the columns `key` of two CSV files share. For files without quoted fields, as those of demo and bench.
///
/// # Errors
/// [`Failure::NotNow`] names the file that cannot be read.
pub(crate) fn common(a: &Path, b: &Path, key: &str) -> Result<BTreeSet<String>, Failure> {
    let b = keys(b, key)?;
    Ok(keys(a, key)?.into_iter().filter(|id| b.contains(id)).collect())
}

/// The values of the column `key` of a CSV file.
///
/// # Errors
/// [`Failure::NotNow`] names the file that cannot be read, or that has no such column.
pub(crate) fn keys(file: &Path, key: &str) -> Result<BTreeSet<String>, Failure> {
    let failed = |reason: String| Failure::NotNow(format!("{}: {reason}", file.display()));
    let text = fs::read_to_string(file).map_err(|error| failed(error.to_string()))?;
    let mut lines = text.lines();
    let position = lines.next().and_then(|header| header.split(',').position(|column| column == key));
    let position = position.ok_or_else(|| failed(format!("no column {key}")))?;
    lines
        .map(|line| line.split(',').nth(position).map(str::to_owned).ok_or_else(|| failed("a short line".into())))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn common_keys_are_found_by_column_name() {
        let dir = tempfile::tempdir().unwrap();
        let (a, b) = (dir.path().join("a.csv"), dir.path().join("b.csv"));
        fs::write(&a, "id,y\n3,0\n1,1\n2,0\n").unwrap();
        fs::write(&b, "age,id\n30,2\n31,4\n32,3\n").unwrap();
        let expected: BTreeSet<String> = ["2", "3"].map(str::to_owned).into();
        assert_eq!(common(&a, &b, "id").unwrap(), expected);
        assert!(common(&a, &b, "age").unwrap_err().to_string().ends_with("a.csv: no column age"));
    }
}
