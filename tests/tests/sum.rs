//! The sum of one party's column over the common keys, by real processes: right, to one party, and not below the minimum.

use banyan_tests::local::Local;

/// 33 clients at the bank and 40 people at the bureau; 21 are common.
fn files() -> [(&'static str, String); 2] {
    let ids = |ids: std::ops::Range<u64>, column: &str, number: fn(u64) -> u64| {
        let rows = ids.map(|i| format!("11010519{:04}{:05}X,{}\n", 1950 + i, i * 7, number(i)));
        std::iter::once(format!("id,{column}\n")).chain(rows).collect::<String>()
    };
    [("bank/clients.csv", ids(0..33, "limit", |i| 1000 + i)), ("bureau/people.csv", ids(12..52, "income", income))]
}

fn income(i: u64) -> u64 {
    5_000_000_000 + i * i
}

const JOB: &str = r#"
version = 1
name = "income-of-clients"
operation = "intersect"
protocol = "auto"
result = "sum"
recipients = ["bank"]
minimum_result = 5

[limits]
deadline_s = 60
memory_mb = 128

[[parties]]
name = "bank"
dataset = "clients"
key = ["id"]
rows_at_most = 40

[[parties]]
name = "bureau"
dataset = "people"
key = ["id"]
rows_at_most = 48
sum = "income"

[scenario]
name = "credit"
purpose = "how much the common clients earn together"
operations = ["intersect"]
results = ["sum"]
recipients = ["bank"]
minimum_result = 5
valid_from = "2026-01-01T00:00:00Z"
valid_until = "2030-12-31T00:00:00Z"
runs = 3

[[scenario.grants]]
party = "bank"
dataset = "clients"
key = ["id"]

[[scenario.grants]]
party = "bureau"
dataset = "people"
key = ["id"]
sum = ["income"]
"#;

#[test]
fn the_recipient_gets_the_sum_and_the_other_nothing() {
    let end = Local::new(&files()).run(JOB, &[]).released();
    let sum: u64 = (12..33).map(income).sum();
    assert_eq!(end.file("bank/result.csv"), format!("sum\n{sum}\n"));
    assert!(!end.path("bureau/result.csv").exists());
    for party in ["bank", "bureau"] {
        let manifest: serde_json::Value = serde_json::from_str(&end.file(&format!("{party}/manifest.json"))).unwrap();
        assert_eq!((&manifest["protocol"], &manifest["form"]), (&"sum".into(), &"sum".into()));
        assert!(manifest["matches"].is_null(), "nobody learns how many they are: {manifest}");
        assert!(!manifest.to_string().contains(&sum.to_string()), "a manifest is evidence, and has no value");
    }
}

#[test]
fn all_rows_of_a_key_add_up_and_an_empty_cell_adds_nothing() {
    let [bank, (path, people)] = files();
    let twice = people.lines().nth(1).unwrap().split(',').next().unwrap();
    let people = people.replacen(&format!("{}\n", income(13)), "\n", 1) + &format!("{twice},17\n");
    let end =
        Local::new(&[bank, (path, people)]).run(&JOB.replacen("minimum", "duplicates = \"all\"\nminimum", 1), &[]);
    let sum: u64 = (12..33).map(income).sum();
    assert_eq!(end.released().file("bank/result.csv"), format!("sum\n{}\n", sum - income(13) + 17));
}

#[test]
fn below_the_minimum_nothing_is_opened() {
    let end = Local::new(&files()).run(&JOB.replace("minimum_result = 5", "minimum_result = 22"), &[]);
    let why = end.failed();
    assert!(why.contains("fewer than 22 common rows: nothing is opened"), "{why}");
}

#[test]
fn a_number_that_does_not_fit_fails_before_anything_is_sent_and_is_not_told() {
    let [bank, (path, people)] = files();
    let people = people.replacen(&income(20).to_string(), "-412345678", 1);
    let why = Local::new(&[bank, (path, people)]).run(JOB, &[]).failed();
    let said = "bureau: people.csv line 10, column `income`: the number is below 0 or above";
    assert!(why.contains(said), "{why}");
    assert!(!why.contains("412345678"), "no value: {why}");
}

#[test]
fn the_example_sums_real_credit() {
    let data = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/data/default_credit");
    let read = |file: &str| std::fs::read_to_string(data.join(file)).unwrap();
    let (customers, people) = (read("bank/customers.csv"), read("bureau/people.csv"));
    let known: std::collections::BTreeSet<&str> = people.lines().map(|line| line.split(',').next().unwrap()).collect();
    let credit = customers.lines().skip(1).filter_map(|line| {
        let mut cells = line.split(',');
        known.contains(cells.next()?).then(|| cells.nth(1).unwrap().parse::<u64>().unwrap())
    });
    let credit: u64 = credit.sum();
    let job = read("sum.toml");
    let end = Local::new(&[("bank/customers.csv", customers.clone()), ("bureau/people.csv", people.clone())]);
    assert_eq!(end.run(&job, &[]).released().file("bureau/result.csv"), format!("sum\n{credit}\n"));
}
