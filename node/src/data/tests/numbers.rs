//! The numbers beside the keys: of the first row of a key or of all, in the keys' order; what does not fit names its place.

use super::*;

const ROWS: &str = "id,age\nb,1\na,\n,3\nb,4\nc,5\n\"\",7\n";

/// The numbers of `age` beside the keys of `content`.
async fn of(content: &str, duplicates: Duplicates, text: Option<&str>) -> Result<Vec<u64>, String> {
    let home = Home::new();
    let set = home.csv(content);
    let mut selection = by(&["id"]);
    (selection.duplicates, selection.filter) = (duplicates, text.map(|text| filter(text, &set).unwrap()));
    let snapshot = home.take(&set, &selection).await.unwrap();
    let numbers = numbers(&set, &snapshot.pinned, "age").await.map_err(|error| error.to_string())?;
    assert_eq!(numbers.len(), snapshot.items.len());
    Ok(numbers.as_slice().to_vec())
}

#[tokio::test]
async fn each_key_has_the_number_of_its_rows_and_an_empty_cell_adds_nothing() {
    assert_eq!(of(ROWS, Duplicates::First, None).await, Ok(vec![1, 0, 5]));
    assert_eq!(of(ROWS, Duplicates::All, None).await, Ok(vec![5, 0, 5]), "b has two rows");
    assert_eq!(of(ROWS, Duplicates::First, Some("age > 1")).await, Ok(vec![4, 5]), "of what the filter lets in");
}

#[tokio::test]
async fn a_number_that_does_not_fit_names_its_place_and_no_value() {
    let refused = |line: u32| {
        Err(format!(
            "tax.csv line {line}, column `age`: the number is below 0 or above 2199023255551, and such a column is not summed; \
             correct it at its source, or give the column in a larger unit"
        ))
    };
    let rows = |number: i64| format!("id,age\na,1\nb,{number}\n");
    assert_eq!(of(&rows(2_199_023_255_551), Duplicates::Error, None).await, Ok(vec![1, 2_199_023_255_551]));
    for number in [2_199_023_255_552, i64::MAX, -7] {
        assert_eq!(of(&rows(number), Duplicates::Error, None).await, refused(3), "{number}");
        let left_out = of(&rows(number), Duplicates::Error, Some("age = 1")).await;
        assert_eq!(left_out, refused(3), "{number}: what a job selects does not decide whether it fails");
    }
}

#[tokio::test]
async fn only_whole_numbers_of_the_pinned_file_are_summed() {
    let home = Home::new();
    let set = home.csv(ROWS);
    let mut selection = by(&["id"]);
    selection.duplicates = Duplicates::First;
    let snapshot = home.take(&set, &selection).await.unwrap();
    let refused = numbers(&set, &snapshot.pinned, "id").await.unwrap_err();
    assert!(
        refused.to_string().starts_with("column `id` of data set `tax` has type text, and what is summed"),
        "{refused}"
    );
    fs::write(home.directory.path().join("tax.csv"), ROWS.replace('5', "6")).unwrap();
    let refused = numbers(&set, &snapshot.pinned, "age").await.unwrap_err();
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
