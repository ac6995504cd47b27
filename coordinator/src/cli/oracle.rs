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
    let rows = cells(file, [key])?;
    Ok(rows.into_iter().map(|[key]| key).collect())
}

/// The sum of `column` over the rows of a CSV file whose `key` is one of `keys`.
///
/// # Errors
/// As [`keys`], and where a cell is no number.
pub(crate) fn sum(file: &Path, column: &str, key: &str, keys: &BTreeSet<String>) -> Result<u64, Failure> {
    let rows = cells(file, [key, column])?;
    let numbers = rows.iter().filter(|[key, _]| keys.contains(key)).map(|[_, number]| number.parse::<u64>());
    let sum = numbers.sum::<Result<u64, _>>();
    sum.map_err(|_| Failure::NotNow(format!("{}: column {column} has a cell that is no number", file.display())))
}

/// The cells of some columns, row by row.
fn cells<const N: usize>(file: &Path, columns: [&str; N]) -> Result<Vec<[String; N]>, Failure> {
    let failed = |reason: String| Failure::NotNow(format!("{}: {reason}", file.display()));
    let text = fs::read_to_string(file).map_err(|error| failed(error.to_string()))?;
    let mut lines = text.lines();
    let header: Vec<&str> = lines.next().unwrap_or_default().split(',').collect();
    let mut places = [0; N];
    for (place, column) in places.iter_mut().zip(columns) {
        let found = header.iter().position(|name| *name == column);
        *place = found.ok_or_else(|| failed(format!("no column {column}")))?;
    }
    lines
        .map(|line| {
            let fields: Vec<&str> = line.split(',').collect();
            match places.iter().all(|place| *place < fields.len()) {
                true => Ok(places.map(|place| fields[place].to_owned())),
                false => Err(failed("a short line".into())),
            }
        })
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
        assert_eq!(sum(&b, "age", "id", &expected).unwrap(), 62);
        assert!(common(&a, &b, "age").unwrap_err().to_string().ends_with("a.csv: no column age"));
    }
}
