//! Every rule denies when it should, with the reason; nothing but the whole, unchanged chain of signatures allows.

use banyan_proto::grant::Reviewer;
use banyan_proto::identity::Identity;
use banyan_proto::job::{ResultKind, When};
use proptest::prelude::*;
use serde_json::Value;

use super::*;

const JOB: &str = r#"
version = 1
name = "common-customers"
operation = "intersect"
protocol = "dh"
result = "rows"
recipients = ["bank"]
minimum_result = 50
[[parties]]
name = "bank"
dataset = "customers"
key = ["id"]
filter = "AGE >= 18"
rows_at_most = 30000
columns = ["segment"]
[[parties]]
name = "bureau"
dataset = "records"
key = ["id"]
rows_at_most = 27000
[scenario]
name = "credit-risk"
purpose = "find the customers both know"
operations = ["intersect"]
results = ["rows"]
recipients = ["bank"]
minimum_result = 50
valid_from = "2026-11-01T00:00:00Z"
valid_until = "2027-11-01T00:00:00Z"
runs = 10
[[scenario.grants]]
party = "bank"
dataset = "customers"
key = ["id"]
filter = ["AGE"]
columns = ["segment"]
[[scenario.grants]]
party = "bureau"
dataset = "records"
key = ["id"]
"#;

/// A case that is allowed, to be spoilt in one place.
struct Case {
    spec: Spec,
    plan: Option<Plan>,
    me: PartyId,
    filter_columns: Vec<String>,
    spent: bool,
    interop: bool,
    rules: Rules,
    ledger: LedgerView,
    now: Timestamp,
    approver: Identity,
}

/// What spoils a case.
type Change = fn(&mut Case);

impl Case {
    fn new() -> Self {
        let spec = Spec::from_toml(JOB).unwrap();
        let (approver, operator, authority) = (key(), key(), key());
        let review = |by: &Identity, reviewer, after| {
            let approval = Approval { party: None, reviewer, after, ..yes(&spec) };
            by.sign(&approval)
        };
        let first = review(&operator, Reviewer::Operator, None);
        let second = review(&authority, Reviewer::Authority, Some(first.digest()));
        let own = approver.sign(&Approval { after: Some(second.digest()), ..yes(&spec) });
        let column = |name: &str, level| ColumnFacts { name: name.into(), level };
        let columns = vec![column("id", 4), column("AGE", 2), column("segment", 1), column("income", 3)];
        let rules = Rules {
            approvers: vec![approver.public()],
            required_reviews: vec![
                RequiredReview { reviewer: Reviewer::Operator, key: operator.public() },
                RequiredReview { reviewer: Reviewer::Authority, key: authority.public() },
            ],
            datasets: vec![DatasetFacts { id: "customers".parse().unwrap(), columns }],
        };
        let ledger = LedgerView { approvals: vec![own], reviews: vec![first, second], ..LedgerView::default() };
        let (me, filter_columns) = (party("bank"), vec!["AGE".to_owned()]);
        let now = at("2026-12-01T00:00:00Z").0;
        Self { spec, plan: None, me, filter_columns, spent: false, interop: false, rules, ledger, now, approver }
    }

    fn spoilt(change: impl FnOnce(&mut Self)) -> Self {
        let mut case = Self::new();
        change(&mut case);
        case
    }

    /// The same people and data, for another job.
    fn new_like(other: &Self) -> Self {
        Self { rules: other.rules.clone(), ledger: other.ledger.clone(), ..Self::new() }
    }

    fn decide(&self) -> Decision {
        self.with_ask(|ask| {
            let decision = decide(ask, &self.rules, &self.ledger, self.now);
            assert_eq!(decision, decide(ask, &self.rules, &self.ledger, self.now), "the same inputs, the same answer");
            let carried = carrying_approval(ask, &self.rules, &self.ledger);
            assert!(!matches!(decision, Decision::Allow { .. }) || carried.is_some());
            decision
        })
    }

    fn with_ask<T>(&self, then: impl FnOnce(&Ask<'_>) -> T) -> T {
        let plan =
            self.plan.clone().unwrap_or(Plan { spec: self.spec.digest(), reason: String::new(), stages: vec![] });
        let (spec, me, spent) = (&self.spec, &self.me, self.spent);
        then(&Ask { spec, plan: &plan, me, filter_columns: &self.filter_columns, spent, interop: self.interop })
    }

    fn allows(&self) -> bool {
        matches!(self.decide(), Decision::Allow { .. })
    }

    /// The first rule that denies, with its reason.
    fn denied(&self) -> (String, String) {
        match self.decide() {
            Decision::Deny { because } => (because[0].name.clone(), because[0].reason.clone()),
            other => panic!("{other:?}"),
        }
    }

    /// Who is asked, under which rule, and why.
    fn asked(&self) -> (Reviewer, String, String) {
        match self.decide() {
            Decision::AskPerson { reviewer, because } => (reviewer, because[0].name.clone(), because[0].reason.clone()),
            other => panic!("{other:?}"),
        }
    }
}

fn key() -> Identity {
    Identity::generate().unwrap()
}

fn party(name: &str) -> PartyId {
    PartyId::new(name).unwrap()
}

fn at(text: &str) -> When {
    text.parse().unwrap()
}

fn yes(spec: &Spec) -> Approval {
    Approval {
        scenario: spec.scenario.digest(),
        reviewer: Reviewer::Source,
        party: Some(party("bank")),
        approved: true,
        after: None,
        at: at("2026-11-21T00:00:00Z"),
    }
}

#[test]
fn what_was_approved_is_allowed_with_its_obligations() {
    let limits = [Obligation::RowsAtMost(30_000), Obligation::MinimumResult(50)];
    let Decision::Allow { obligations, because } = Case::new().decide() else { panic!("not allowed") };
    assert_eq!(obligations, [vec![Obligation::SpendRun], limits.to_vec()].concat());
    assert_eq!(because[0].name, rule::APPROVED);
    let again = Case::spoilt(|case| (case.spent, case.ledger.runs_spent) = (true, 10));
    let Decision::Allow { obligations, .. } = again.decide() else { panic!("the last run may release its result") };
    assert_eq!(obligations, limits);
}

#[test]
fn every_rule_denies_with_its_reason() {
    let cases: [(&str, Change, &str); 21] = [
        (rule::HALTED, |c| c.ledger.halted = Some("risk".into()), "everything is halted here: risk; `banyan-node halt"),
        (rule::NOT_A_PARTY, |c| c.me = party("tax"), "tax is no party of job common-customers"),
        (
            rule::PLAN,
            |c| c.plan = Some(Plan { spec: Digest([1; 32]), reason: String::new(), stages: vec![] }),
            "not of this spec",
        ),
        (
            rule::UNKNOWN_DATASET,
            |c| c.rules.datasets.clear(),
            "no data set customers is registered here; there are: none",
        ),
        (
            rule::MISSING_COLUMN,
            |c| drop(c.rules.datasets[0].columns.remove(0)),
            "data set customers has no column id; it has: AGE, segment, income",
        ),
        (
            rule::LEVEL,
            |c| c.rules.datasets[0].columns[2].level = 3,
            "column segment is of level 3 and may not be in a result",
        ),
        (
            rule::LEVEL,
            |c| c.rules.datasets[0].columns[1].level = 4,
            "column AGE is of level 4 and may not be read by a row",
        ),
        (
            rule::SCENARIO_NOT_YET_VALID,
            |c| c.now = at("2026-10-31T23:59:59Z").0,
            "scenario credit-risk is valid from 2026-11-01T00:00:00Z, it is 2026-10-31T23:59:59Z",
        ),
        (
            rule::SCENARIO_EXPIRED,
            |c| c.now = at("2027-11-01T00:00:01Z").0,
            "scenario credit-risk was valid until 2027-11-01T00:00:00Z, it is 2027-11-01T00:00:01Z",
        ),
        (rule::SCENARIO_REVOKED, |c| c.ledger.revoked = true, "scenario credit-risk was revoked, for good"),
        (
            rule::RECIPIENT,
            |c| c.spec.recipients = vec![party("bureau")],
            "bureau may not receive a result of scenario credit-risk; allowed: bank",
        ),
        (
            rule::OPERATION,
            |c| c.spec.result = ResultKind::Count,
            "scenario credit-risk allows intersect with results rows, not intersect with count",
        ),
        (
            rule::OUTSIDE_GRANT,
            |c| c.spec.parties[0].columns = vec!["AGE".into()],
            "does not grant column AGE in a result",
        ),
        (
            rule::OUTSIDE_GRANT,
            |c| c.filter_columns = vec!["segment".into()],
            "does not grant column segment in a row filter",
        ),
        (
            rule::OUTSIDE_GRANT,
            |c| c.spec.parties[0].sum = Some("segment".into()),
            "does not grant column segment to be summed",
        ),
        (
            rule::LEVEL,
            |c| c.spec.parties[0].sum = Some("income".into()),
            "column income is of level 3 and may not be summed",
        ),
        (
            rule::MINIMUM_RESULT,
            |c| c.spec.minimum_result = 49,
            "from 49 rows are asked for; the scenario opens none below 50",
        ),
        (rule::RUNS_EXHAUSTED, |c| c.ledger.runs_spent = 10, "all 10 runs of scenario credit-risk are spent"),
        (
            rule::REVIEW_CHANGED,
            |c| {
                let authority = key();
                c.rules.required_reviews[1].key = authority.public();
                let first = Approval { party: None, reviewer: Reviewer::Authority, after: None, ..yes(&c.spec) };
                c.ledger.reviews[1] = authority.sign(&first);
            },
            "ask the operator for the reviews as they were signed",
        ),
        (
            rule::REVIEW_DENIED,
            |c| {
                let operator = key();
                c.rules.required_reviews[0].key = operator.public();
                let no = Approval { approved: false, party: None, reviewer: Reviewer::Operator, ..yes(&c.spec) };
                c.ledger.reviews[0] = operator.sign(&no);
            },
            "the Operator reviewer said no",
        ),
        (
            rule::APPROVAL_DENIED,
            |c| c.ledger.approvals.push(key().sign(&Approval { approved: false, ..yes(&c.spec) })),
            "denied scenario credit-risk, for good",
        ),
    ];
    assert!(Case::new().allows());
    for (name, change, reason) in cases {
        let (found, why) = Case::spoilt(change).denied();
        assert_eq!(found, name);
        assert!(why.contains(reason), "{name}: {why}");
    }
}

/// A job of protocol interop that this node's people run, which its scenario allows.
fn interop() -> Case {
    Case::spoilt(|c| {
        c.spec.protocol = "interop".parse().unwrap();
        c.spec.scenario.grants[0].interop = true;
        c.interop = true;
        let scenario = c.spec.scenario.digest();
        c.rules.required_reviews.clear();
        c.ledger.approvals = vec![c.approver.sign(&Approval { scenario, ..yes(&c.spec) })];
    })
}

#[test]
fn a_party_of_the_standard_is_where_people_allowed_it_and_nowhere_else() {
    assert!(interop().allows());
    let cases: [(Change, &str); 4] = [
        (|c| c.interop = false, "this node's people run it, with `banyan-node interop run`"),
        (|c| c.spec.protocol = "dh".parse().unwrap(), "protocol dh is between Banyan nodes: propose the job"),
        (|c| c.spec.scenario.grants[0].interop = false, "scenario credit-risk does not let data set customers go to a"),
        (
            |c| c.spec.recipients = vec![party("bureau")],
            "a minimum of 50 rows is asked for, and a party of the interconnection standard that receives alone keeps none",
        ),
    ];
    for (change, reason) in cases {
        let mut case = interop();
        change(&mut case);
        let Decision::Deny { because } = case.decide() else { panic!("{reason}") };
        assert!(because.iter().any(|rule| rule.name == rule::INTEROP && rule.reason.contains(reason)), "{because:?}");
    }
    let mut alone = interop();
    alone.spec.recipients = vec![party("bureau")];
    alone.spec.minimum_result = 1;
    let Decision::Deny { because } = alone.decide() else { panic!() };
    assert!(because.iter().all(|rule| rule.name != rule::INTEROP), "without a minimum it may: {because:?}");
}

#[test]
fn a_code_is_known_as_a_rule_or_not() {
    assert!(rule::is(rule::HALTED) && rule::is(rule::INTEROP) && rule::is(rule::APPROVAL_NEEDED));
    assert!(!rule::is("link") && !rule::is(""));
}

#[test]
fn each_kind_of_result_needs_its_own_leave() {
    use ResultKind::{Count, Difference, Left, Rows};
    let all = [Rows, Left, Difference, Count];
    let job = |asked, allowed: &[ResultKind]| {
        let mut case = Case::new();
        case.spec.result = asked;
        case.spec.scenario.results = allowed.to_vec();
        case
    };
    for asked in all {
        let others: Vec<ResultKind> = all.into_iter().filter(|kind| *kind != asked).collect();
        let names: Vec<&str> = others.iter().map(|kind| kind.name()).collect();
        let (rule, why) = job(asked, &others).denied();
        let expected = format!(
            "scenario credit-risk allows intersect with results {}, not intersect with {}",
            names.join(", "),
            asked.name()
        );
        assert_eq!((&*rule, why), (rule::OPERATION, expected));
        let others_denied = match job(asked, &[asked]).decide() {
            Decision::Deny { because } => because.iter().any(|because| because.name == rule::OPERATION),
            _ => false,
        };
        assert!(!others_denied, "{asked:?} is in the scenario");
    }
}

#[test]
fn each_key_after_the_first_needs_its_own_leave() {
    let columns = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
    let job = |keys: &[&[&str]], granted: &[&[&str]]| {
        let mut case = Case::new();
        for name in ["phone", "name"] {
            case.rules.datasets[0].columns.push(ColumnFacts { name: name.into(), level: 4 });
        }
        case.spec.parties[0].else_key = keys.iter().map(|key| columns(key)).collect();
        case.spec.scenario.grants[0].else_key = granted.iter().map(|key| columns(key)).collect();
        case
    };
    let both: &[&str] = &["phone", "name"];
    for (keys, granted, why) in [
        (&[both][..], &[][..], "the scenario does not grant phone and name as a key after the first; granted: none"),
        (
            &[&["name"][..]],
            &[both],
            "the scenario does not grant name as a key after the first; granted: phone and name",
        ),
        (
            &[both, &["phone"]],
            &[both, &["name"]],
            "the scenario does not grant phone as a key after the first; granted: phone and name; name",
        ),
        (&[&["id"]], &[both], "the scenario does not grant id as a key after the first; granted: phone and name"),
    ] {
        assert_eq!(job(keys, granted).denied(), (rule::OUTSIDE_GRANT.to_owned(), why.to_owned()));
    }
    let denied = |case: Case| match case.decide() {
        Decision::Deny { because } => because.iter().map(|because| because.name.clone()).collect(),
        _ => Vec::new(),
    };
    let granted = denied(job(&[both], &[both]));
    assert!(!granted.contains(&rule::OUTSIDE_GRANT.to_owned()), "hidden columns may be keys: {granted:?}");
    let mut missing = job(&[both], &[both]);
    missing.rules.datasets[0].columns.pop();
    assert_eq!(missing.denied().1, "data set customers has no column name; it has: id, AGE, segment, income, phone");
}

#[test]
fn the_first_and_the_last_moment_are_valid() {
    for moment in ["2026-11-01T00:00:00Z", "2027-11-01T00:00:00Z"] {
        assert!(Case::spoilt(|case| case.now = at(moment).0).allows(), "{moment}");
    }
}

#[test]
fn people_are_asked_in_their_order() {
    let ask = |change: Change| Case::spoilt(change).asked();
    let (reviewer, name, _) = ask(|c| c.ledger.reviews.clear());
    assert_eq!((reviewer, name.as_str()), (Reviewer::Operator, rule::REVIEW_MISSING));
    let (reviewer, name, _) = ask(|c| c.ledger.reviews.truncate(1));
    assert_eq!((reviewer, name.as_str()), (Reviewer::Authority, rule::REVIEW_MISSING));
    // the authority was quicker than the operator: its word waits
    let (reviewer, name, _) = ask(|c| drop(c.ledger.reviews.remove(0)));
    assert_eq!((reviewer, name.as_str()), (Reviewer::Operator, rule::REVIEW_MISSING));
    let reasons: [(Change, &str); 6] = [
        (|c| c.ledger.approvals.clear(), "read it with `banyan-node inbox`"),
        (|c| (c.ledger.approvals, c.rules.approvers) = (vec![], vec![]), "config.toml names no approvers"),
        (|c| c.rules.approvers = vec![key().public()], "but is no approver in config.toml"),
        (|c| c.ledger.approvals = vec![c.approver.sign(&yes(&c.spec))], "before the reviews stood"),
        (
            |c| {
                let after = Some(c.ledger.reviews[1].digest());
                let word = Approval { after, party: Some(party("bureau")), ..yes(&c.spec) };
                c.ledger.approvals = vec![c.approver.sign(&word)];
            },
            "but not for bank",
        ),
        (
            |c| c.ledger.approvals = vec![c.approver.sign(&Approval { scenario: Digest([3; 32]), ..yes(&c.spec) })],
            "an approver of bank must decide on scenario credit-risk",
        ),
    ];
    for (change, reason) in reasons {
        let (reviewer, name, why) = ask(change);
        assert_eq!((reviewer, name.as_str()), (Reviewer::Source, rule::APPROVAL_NEEDED));
        assert!(why.contains(reason), "{why}");
    }
}

#[test]
fn reviews_that_nobody_requires_change_nothing() {
    let mut case = Case::spoilt(|case| case.rules.required_reviews.clear());
    case.ledger.approvals = vec![case.approver.sign(&yes(&case.spec))];
    assert!(case.allows());
    // nor do the words of strangers, or in another capacity, beside the required ones
    let stranger = key().sign(&Approval { party: None, reviewer: Reviewer::Operator, ..yes(&case.spec) });
    let mut case = Case::new();
    case.ledger.reviews.insert(0, stranger);
    case.ledger.reviews.swap(1, 2);
    assert!(case.allows());
}

#[test]
fn of_two_words_of_a_reviewer_the_no_counts() {
    for turn in [0, 1] {
        let mut case = Case::spoilt(|case| {
            let operator = key();
            case.rules.required_reviews = vec![RequiredReview { reviewer: Reviewer::Operator, key: operator.public() }];
            let word = |approved| Approval { approved, party: None, reviewer: Reviewer::Operator, ..yes(&case.spec) };
            case.ledger.reviews = vec![operator.sign(&word(true)), operator.sign(&word(false))];
        });
        case.ledger.reviews.rotate_left(turn);
        assert_eq!(case.denied().0, rule::REVIEW_DENIED);
    }
    let alone = Case::spoilt(|case| {
        let authority = key();
        case.rules.required_reviews[1].key = authority.public();
        let no = Approval { approved: false, party: None, reviewer: Reviewer::Authority, ..yes(&case.spec) };
        case.ledger.reviews = vec![authority.sign(&no)];
    });
    assert_eq!(alone.denied().0, rule::REVIEW_DENIED, "also before the operator spoke");
}

#[test]
fn every_reason_is_given_and_the_first_rule_comes_first() {
    let case = Case::spoilt(|case| {
        case.ledger.halted = Some("risk".into());
        case.ledger.revoked = true;
        case.ledger.runs_spent = 99;
    });
    let Decision::Deny { because } = case.decide() else { panic!("not denied") };
    let names: Vec<&str> = because.iter().map(|rule| rule.name.as_str()).collect();
    assert_eq!(names, [rule::HALTED, rule::SCENARIO_REVOKED, rule::RUNS_EXHAUSTED]);
}

/// Every leaf of a JSON value, changed to something else of its kind.
fn with_each_leaf_changed(value: &Value) -> Vec<Value> {
    match value {
        Value::Object(fields) => fields
            .iter()
            .flat_map(|(name, field)| {
                with_each_leaf_changed(field).into_iter().map(|changed| {
                    let mut fields = fields.clone();
                    fields.insert(name.clone(), changed);
                    Value::Object(fields)
                })
            })
            .collect(),
        Value::Array(items) => {
            let changed = items.iter().enumerate().flat_map(|(at, item)| {
                with_each_leaf_changed(item).into_iter().map(move |changed| {
                    let mut items = items.clone();
                    items[at] = changed;
                    Value::Array(items)
                })
            });
            changed.chain([Value::Array([&items[..], &items[..]].concat())]).collect()
        }
        Value::Number(number) => vec![(number.as_u64().unwrap_or(0) + 1).into()],
        Value::String(text) => vec![format!("{text}x").into(), text.replace('2', "3").replace("rows", "count").into()],
        other => panic!("{other}"),
    }
}

#[test]
fn a_scenario_with_any_changed_field_is_not_what_was_approved() {
    let case = Case::new();
    let good = serde_json::to_value(&case.spec.scenario).unwrap();
    let changed = with_each_leaf_changed(&good).into_iter().filter(|changed| *changed != good);
    let scenarios: Vec<_> = changed.filter_map(|changed| serde_json::from_value(changed).ok()).collect();
    assert!(scenarios.len() > 20, "{}", scenarios.len());
    for scenario in scenarios {
        let case = Case { spec: Spec { scenario, ..case.spec.clone() }, ..Case::new_like(&case) };
        assert!(!case.allows(), "{:?}", case.spec.scenario);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_changed_byte_of_any_signature_on_it_never_allows(
        which in 0_usize..3, at in any::<prop::sample::Index>(), flip in 1_u8..,
    ) {
        let mut case = Case::new();
        let signed = match which { 2 => &mut case.ledger.approvals[0], n => &mut case.ledger.reviews[n] };
        let mut bytes = signed.to_bytes();
        let at = at.index(bytes.len());
        bytes[at] ^= flip;
        // bytes that are no signed value do not come out of the store at all
        if let Ok(changed) = Signed::from_bytes(&bytes) {
            *signed = changed;
            prop_assert!(!case.allows());
        }
    }

    #[test]
    fn no_run_beyond_the_approved_ones(spent in 0_u32..30) {
        prop_assert_eq!(Case::spoilt(|case| case.ledger.runs_spent = spent).allows(), spent < 10);
    }

    #[test]
    fn the_order_of_words_does_not_matter(seed in any::<u64>()) {
        let mut case = Case::new();
        let stranger = key().sign(&yes(&case.spec));
        let elsewhere = case.approver.sign(&Approval { scenario: Digest([9; 32]), ..yes(&case.spec) });
        case.ledger.approvals.extend([stranger, elsewhere]);
        case.ledger.approvals.rotate_left((seed % 3) as usize);
        if seed % 2 == 0 {
            case.ledger.approvals.swap(0, 1);
        }
        prop_assert!(case.allows());
    }
}
