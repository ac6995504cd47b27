//! The numbers beside the keys: of the first row of a key or of all, in the keys' order; what does not fit names its place.

use super::*;

const ROWS: &str = "id,age\nb,1\na,\n,3\nb,4\nc,5\n\"\",7\n";

/// The numbers of `age` beside the keys of `content`.
async fn of(content: &str, duplicates: Duplicates, text: Option<&str>, max: u64) -> Result<Vec<u64>, String> {
    let home = Home::new();
    let set = home.csv(content);
    let mut selection = by(&["id"]);
    (selection.duplicates, selection.filter) = (duplicates, text.map(|text| filter(text, &set).unwrap()));
    let snapshot = home.take(&set, &selection).await.unwrap();
    let numbers = numbers(&set, &snapshot.pinned, "age", max).await.map_err(|error| error.to_string())?;
    assert_eq!(numbers.len(), snapshot.items.len());
    Ok(numbers.as_slice().to_vec())
}

#[tokio::test]
async fn each_key_has_the_number_of_its_rows_and_an_empty_cell_adds_nothing() {
    assert_eq!(of(ROWS, Duplicates::First, None, 5).await, Ok(vec![1, 0, 5]));
    assert_eq!(of(ROWS, Duplicates::All, None, 5).await, Ok(vec![5, 0, 5]), "b has two rows");
    assert_eq!(of(ROWS, Duplicates::First, Some("age > 1"), 5).await, Ok(vec![4, 5]), "of what the filter lets in");
}

#[tokio::test]
async fn a_number_that_does_not_fit_names_its_place_and_no_value() {
    let refused = |place: &str, max: u64| {
        Err(format!(
            "tax.csv line {place}, column `age`: the number of this key is below 0 or above {max}, beyond which the sum might \
             not fit 63 bits; correct it at its source, give the column in a larger unit, or lower rows_at_most in the job"
        ))
    };
    assert_eq!(of(ROWS, Duplicates::First, None, 4).await, refused("6", 4));
    assert_eq!(of(ROWS, Duplicates::All, None, 4).await, refused("5", 4), "where the rows of a key add up beyond it");
    assert_eq!(of("id,age\nb,1\na,-7\n", Duplicates::Error, None, 9).await, refused("3", 9));
    let largest = format!("id,age\nb,{0}\nb,{0}\n", i64::MAX);
    assert_eq!(of(&largest, Duplicates::All, None, u64::MAX).await, Ok(vec![u64::MAX - 1]));
    let three = format!("{largest}b,2\n");
    assert_eq!(of(&three, Duplicates::All, None, u64::MAX).await, refused("4", u64::MAX), "no overflow is silent");
    let skipped = "id,age\n,-7\nb,1\n";
    assert_eq!(of(skipped, Duplicates::Error, None, 9).await, Ok(vec![1]), "what is not selected is not asked");
}

#[tokio::test]
async fn only_whole_numbers_of_the_pinned_file_are_summed() {
    let home = Home::new();
    let set = home.csv(ROWS);
    let mut selection = by(&["id"]);
    selection.duplicates = Duplicates::First;
    let snapshot = home.take(&set, &selection).await.unwrap();
    let refused = numbers(&set, &snapshot.pinned, "id", 9).await.unwrap_err();
    assert!(
        refused.to_string().starts_with("column `id` of data set `tax` has type text, and what is summed"),
        "{refused}"
    );
    fs::write(home.directory.path().join("tax.csv"), ROWS.replace('5', "6")).unwrap();
    let refused = numbers(&set, &snapshot.pinned, "age", 9).await.unwrap_err();
    assert!(refused.to_string().starts_with("tax.csv changed during the job"), "{refused}");
}

#[test]
fn a_number_is_a_table_of_one_row() {
    let home = Home::new();
    let path = home.directory.path().join("result");
    let held = write_number("sum", 1 << 40, Format::Csv, &path).unwrap();
    assert_eq!(fs::read_to_string(held.release().unwrap().path()).unwrap(), "sum\n1099511627776\n");
    assert!(write_number("sum", 1 << 63, Format::Csv, &home.directory.path().join("large")).is_err());
}
