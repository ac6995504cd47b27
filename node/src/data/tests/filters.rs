//! Row filters: what one may say, and what is refused, with the exact message.

use super::*;

#[test]
fn filters_are_checked_node_by_node() {
    let home = Home::new();
    let csv = FileFormat::Csv { delimiter: b',', encoding: Encoding::Utf8 };
    let set = home.set("f.csv", "", csv, "id:text AGE:integer bal:float born:date");
    for good in [
        "AGE >= 18 AND bal > -0.5",
        "AGE BETWEEN 18 AND 65 OR AGE IN (1, 2) OR NOT AGE IS NULL",
        "id LIKE '11%' AND id <> '110'",
        "born >= '1990-01-01' AND born < DATE '2000-01-01'",
        "coalesce(AGE, 0) + 1 = 2",
        "(AGE % 2 = 0) IS TRUE",
        "AGE / 10 > 3 AND bal / 0.5 > 1",
        "NOT (AGE > 1) AND -AGE < 0",
        "\"AGE\" = 1",
        "AGE = NULL",
        "AGE > 1 -- a comment is white space",
    ] {
        filter(good, &set).unwrap_or_else(|error| panic!("{good}: {error}"));
    }
    for bad in [
        "AGE IN (SELECT 1)",
        "EXISTS (SELECT 1)",
        "(SELECT 1) = 1",
        "AGE = (VALUES (1))",
        "random() > 0.5",
        "now() > born",
        "sum(AGE) > 1",
        "row_number() OVER () = 1",
        "CAST(id AS INT) = 1",
        "id::int = 1",
        "id > 5",
        "id = AGE",
        "AGE = '5'",
        "born > 5",
        "born > 'soon'",
        "AGE",
        "1",
        "AGE > 1; DROP TABLE tax",
        "AGE >",
        "",
        "AGE > 1 AS x",
        "tax.AGE > 1",
        "$1 = AGE",
        "@@x = 1",
        "AGE = ?",
        "id ~ '^1'",
        "id SIMILAR TO '1'",
        "*",
        "AGE > 1 'x",
        "age > 1",
        "__position > 1",
        "CASE WHEN AGE > 1 THEN true ELSE false END",
        "arrow_cast(id, 'Int64') = 1",
        "AGE | 1 = 1",
        "[1][1] = AGE",
        "{a: 1}.a = 1",
        "struct(AGE) = struct(1)",
        "id || 'x' = 'y'",
        "INTERVAL '1 day' > born",
        "AGE > ALL (SELECT 1)",
        "unnest([1]) = 1",
        "1 / (AGE - 41) > 0",
        "AGE % bal > 0",
        "AGE / 0 > 0",
        "AGE / -1 > 0",
        "bal / 0.0 > 0",
        "AGE * 9223372036854775808 > 0",
        "AGE = 41 AND born = DATE 'soon'",
        "AGE = CAST('x' AS BIGINT)",
        "NOT AGE",
        "id IS TRUE",
        "-id = 'x'",
        "AGE + CAST(1 AS DECIMAL(38, 0)) > 0",
    ] {
        let error = filter(bad, &set).expect_err(bad);
        assert!(matches!(error.code(), "filter" | "column"), "{bad}: {error:?}");
    }
    let message = |text: &str| filter(text, &set).unwrap_err().to_string();
    const ALLOWED: &str = "use comparisons, AND, OR, NOT, IN, BETWEEN, LIKE, IS NULL, + - * / %, coalesce and nullif";
    assert_eq!(
        message("AGEE > 1"),
        "data set `tax` has no column `AGEE`: did you mean `AGE`? there are `id`, `AGE`, `bal`, `born`"
    );
    assert_eq!(message("AGE IN (select 1)"), format!("row filter: select asks for a query; {ALLOWED}"));
    assert_eq!(message("greatest(AGE, 1) = 2"), format!("row filter: function greatest is not allowed; {ALLOWED}"));
    assert_eq!(message("sum(AGE) > 1"), format!("row filter: function sum sees more than one row; {ALLOWED}"));
    assert_eq!(
        message("AGE"),
        "row filter: it is not true or false for a row; compare something, such as \"AGE >= 18\""
    );
    assert_eq!(
        message("id > 5"),
        "row filter: it mixes types; compare text columns with texts in single quotes, number columns with numbers, dates with '2026-11-21'"
    );
    assert_eq!(
        message("1 / (AGE - 41) > 0"),
        "row filter: / by something that is not a number above zero written out; a row with a zero there would stop the job, and so show itself; multiply instead, as in A > 2 * B"
    );
    assert_eq!(
        message("AGE * 9223372036854775808 > 0"),
        "row filter: a number in it has more than 64 bits; use whole numbers of 64 bits, or numbers with a decimal point"
    );
    let granted = Filter::parse("AGE > 1 AND id = '1'", &set, &["AGE".into(), "bal".into()]).unwrap_err();
    assert_eq!(granted.to_string(), "row filter: column `id` is not granted for filtering; use `AGE`, `bal`");
    let none = Filter::parse("AGE > 1", &set, &[]).unwrap_err();
    assert_eq!(
        none.to_string(),
        "row filter: column `AGE` is not granted for filtering; the grant lists no column for filtering"
    );
    let long = vec!["AGE > 1"; 64].join(" AND ");
    filter(&long, &set).expect("64 comparisons and 63 ANDs are 255 words");
    assert_eq!(message(&format!("{long} AND AGE > 1")), "row filter: 259 words and signs; use at most 256");
    filter(&format!("{}AGE > 1{}", "(".repeat(120), ")".repeat(120)), &set)
        .expect_err("nested beyond the parser's limit");
}
