//! Sums: whose column, under which grant, and what is told.

use super::*;

/// The job with the sum of a column of the bureau, under a scenario that lets it be summed.
fn sum() -> String {
    let job = JOB.replacen("result = \"rows\"", "result = \"sum\"\nprotocol = \"auto\"", 1).replacen(
        "protocol = \"dh\"\n",
        "",
        1,
    );
    let job = job.replacen("[\"rows\", \"count\"]", "[\"rows\", \"sum\"]", 1);
    let job = job.replacen("rows_at_most = 27000\n", "rows_at_most = 27000\nsum = \"income\"\n", 1);
    job + "sum = [\"income\"]\n"
}

#[test]
fn a_sum_is_of_a_column_that_the_grant_lets_be_summed() {
    let spec = Spec::from_toml(&sum()).unwrap();
    assert_eq!(Spec::from_canonical(&spec.to_bytes()), Ok(spec.clone()));
    let plan = Plan::derive(&spec, &banyan_protocols::CATALOGUE).unwrap();
    let parameters = plan.stages[0].parameters().unwrap();
    assert_eq!((plan.stages[0].protocol.as_str(), parameters.columns), ("sum", 1));
    let told = Plan::disclosures(&spec, &banyan_protocols::CATALOGUE).unwrap();
    for sentence in [
        "bank learns the sum of column income of records of bureau over all keys that it has too, if there are at least \
         50, and not how many they are; who asks again with one row more or less learns the number of that row",
        "bureau learns whether at least 50 of its rows have a key in customers of bank",
        "everyone in the job, and the coordinator, learns that a party's input does not pass if a number of column income \
         is below 0 or above 2199023255551: the job then fails",
    ] {
        assert!(told.iter().any(|said| said == sentence), "{sentence}\nis not in {told:#?}");
    }
    assert!(!told.iter().any(|said| said.contains("which of its own rows")), "{told:#?}");
}

#[test]
fn a_sum_that_names_the_wrong_column_or_party_is_refused() {
    for (from, to, expected) in [
        (
            "sum = \"income\"\n",
            "",
            "parties[1].sum: no column is named, and the result is a sum; write sum = \"COLUMN\"",
        ),
        (
            "sum = \"income\"\n",
            "sum = \"age\"\n",
            "parties[1].sum: the scenario does not grant column age for this use; use one of: income",
        ),
        (
            "sum = [\"income\"]\n",
            "",
            "parties[1].sum: the scenario does not grant column income for this use; use one of: (none)",
        ),
        ("sum = \"income\"\n", "sum = \"\"\n", "parties[1].sum: empty"),
        (
            "rows_at_most = 30000\n",
            "rows_at_most = 30000\nsum = \"x\"\n",
            "parties[0].sum: bank receives the sum; name the column at the other party",
        ),
        (
            "result = \"sum\"",
            "result = \"rows\"",
            "parties[1].sum: the result is rows; leave it out, or ask for result = \"sum\"",
        ),
        ("recipients = [\"bank\"]", "recipients = [\"bank\", \"bureau\"]", "parties[1].sum: bureau receives the sum"),
    ] {
        let job = sum();
        assert!(job.contains(from), "{from}");
        let error = Spec::from_toml(&job.replacen(from, to, 1)).unwrap_err().to_string();
        assert!(error.starts_with(expected), "{error}\nexpected\n{expected}");
    }
    let plan = |job: String| {
        Plan::derive(&Spec::from_toml(&job).unwrap(), &banyan_protocols::CATALOGUE).unwrap_err().to_string()
    };
    let large = sum().replace("rows_at_most = 30000", "rows_at_most = 5000000");
    let refused = "protocol: sum takes at most 4194304 rows of its receiver in one run, and the job's band is 5242880; \
                   lower rows_at_most, or split the job";
    assert_eq!(plan(large.clone()), refused);
    assert_eq!(plan(large.replace("\"auto\"", "\"sum\"")), refused);
    let sm = sum().replacen("protocol =", "suite = \"sm\"\nprotocol =", 1);
    assert!(plan(sm).ends_with("name one, with its suite: sum of suite intl"));
}
