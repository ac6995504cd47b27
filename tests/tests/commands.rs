//! The commands of people at a coordinator, one after the other, against real daemons: what a script would rely on.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use banyan_tests::bin;
use banyan_tests::job::Job;
use banyan_tests::office::{Office, is_over, until};
use banyan_tests::process::{Said, call};
use serde_json::Value;

/// A command of `banyan` from the home of its caller.
fn at(home: &Path, args: &[&str]) -> Said {
    call(&bin("banyan"), &[args, &["--json", "--home", home.to_str().unwrap()]].concat())
}

fn claims(report: &Said) -> Vec<(bool, String)> {
    let proofs = report.json["proofs"].as_array().unwrap_or_else(|| panic!("{}", report.text)).iter();
    proofs.map(|proof| (proof["holds"].as_bool().unwrap(), proof["claim"].as_str().unwrap().to_owned())).collect()
}

#[test]
fn a_job_is_cancelled_listed_proposed_again_watched_and_reported() {
    let office = Office::open(40);
    let job = Job::new("walk", 40);
    let digest = office.propose(&job)["job"].as_str().unwrap().to_owned();
    let stopped = office.developer(&["job", "cancel", "walk", "--reason", "wrong column"]).answer();
    assert_eq!((&stopped["state"], &stopped["reason"]), (&"stopped".into(), &"stopped by ada: wrong column".into()));
    let again = office.developer(&["job", "cancel", &digest, "--reason", "again"]).refusal(2);
    assert_eq!(again, "walk is over already: stopped; nothing was changed");

    // the operator sees what the developer sees, and more
    let listed = |said: Said| {
        let list = said.answer();
        assert_eq!((&list["cut"], &list["unreadable"]), (&false.into(), &Value::Array(Vec::new())));
        let jobs = list["jobs"].as_array().unwrap().iter();
        jobs.map(|job| (job["name"].as_str().unwrap().to_owned(), job["state"].clone())).collect::<Vec<_>>()
    };
    let expected = [("walk".to_owned(), "stopped".into())];
    assert_eq!(listed(office.developer(&["job", "list"])), expected);
    assert_eq!(listed(at(&office.home(), &["job", "list"])), expected);
    assert_eq!(at(&office.home(), &["job", "status", &digest]).answer()["job"], digest.as_str());

    let proposed = office.propose(&job);
    assert_eq!((&proposed["job"], &proposed["attempt"]), (&digest.as_str().into(), &2.into()));
    office.bank.approve("walk");
    office.bureau.approve("walk");
    let watched = office.developer(&["job", "watch", &digest[..12]]).answer();
    assert_eq!((&watched["state"], &watched["attempt"]), (&"released".into(), &2.into()));
    assert_eq!(office.propose(&job)["state"], "released", "nothing is run again");

    let report = office.developer(&["job", "report", "walk"]);
    let signed = |party: &str| {
        [
            (true, format!("{party} signed that it admits this very spec and plan")),
            (true, format!("{party} signed a state of its log")),
        ]
    };
    let words = [signed("bank"), signed("bureau")].concat();
    assert_eq!((report.exit, claims(&report)), (Some(0), words.clone()), "{}", report.text);

    let results = office.bank.home.join("results").join(format!("walk-{}-2", &digest[..12]));
    let copy = office.root().join("copy");
    fs::create_dir(&copy).unwrap();
    let put = |manifest: &str, result: &str| {
        fs::write(copy.join("manifest.json"), manifest).unwrap();
        fs::write(copy.join("result.csv"), result).unwrap();
    };
    let read = |name: &str| fs::read_to_string(results.join(name)).unwrap();
    let (manifest, result) = (read("manifest.json"), read("result.csv"));
    let report = || {
        let manifest = copy.join("manifest.json");
        let report = office.developer(&["job", "report", "walk", "--manifest", manifest.to_str().unwrap()]);
        let mut claims = claims(&report);
        let last = claims.pop().unwrap();
        assert_eq!(claims, words);
        (report.exit, last)
    };
    put(&manifest, &result);
    let (exit, (holds, text)) = report();
    assert_eq!((exit, holds), (Some(0), true));
    assert!(text.starts_with("bank and bureau signed one commitment to inputs and result: "), "{text}");
    let changed = |from: &str, to: &str| {
        let mut value: Value = serde_json::from_str(&manifest).unwrap();
        value[from] = serde_json::from_str(to).unwrap();
        value.to_string()
    };
    for (manifest, result, why) in [
        (manifest.clone(), result.replacen("1", "2", 1), "the result file is not the one that was committed to"),
        (changed("file", "null"), result.clone(), "it names no result file, though a result was committed to"),
        (changed("attempt", "1"), result.clone(), "it is about attempt 1, not 2"),
        (changed("signatures", "[]"), result.clone(), "bank did not sign the commitment"),
    ] {
        put(&manifest, &result);
        assert_eq!(report(), (Some(1), (false, format!("the manifest of bank: {why}"))));
    }
}

#[test]
fn a_node_that_requires_reviews_gets_them_by_command() {
    let mut office = Office::open(40);
    let hub = office.home();
    let authority = office.root().join("authority");
    let token = office.invite("data-bureau", &["--authority"]);
    let joined = at(&authority, &["join", &token]).answer();
    assert_eq!(joined["role"], "authority");
    office.propose(&Job::new("reviewed", 40));
    office.bureau.approve("reviewed"); // it requires no reviews
    let review = |home: &Path, flags: &[&str]| at(home, &[&["job", "review", "reviewed", "--yes"], flags].concat());

    let early = review(&authority, &["--as", "authority"]).refusal(2);
    let expected = "the operator has not approved this scenario, and the authority's review follows that one; ask for \
                    `banyan job review --as operator`, or give --first where nodes require none";
    assert_eq!(early, expected);
    let unasked = at(&hub, &["job", "review", "reviewed", "--as", "operator"]).refusal(2);
    assert_eq!(unasked, "this needs a yes and there is no terminal to ask on; read it, then add --yes");
    let first = review(&hub, &["--as", "operator"]).answer();
    assert_eq!((&first["approved"], &first["reviewer"]), (&true.into(), &"operator".into()));

    // the bank requires both
    let config = office.bank.home.join("config.toml");
    let mut text = fs::read_to_string(&config).unwrap();
    for (reviewer, key) in [("operator", &first["key"]), ("authority", &joined["key"])] {
        text += &format!("\n[[required_reviews]]\nreviewer = \"{reviewer}\"\nkey = {key}\n");
    }
    fs::write(&config, text).unwrap();
    office.bank.kill();
    office.bank.up();
    office.bank.offered("reviewed");
    // the offer with the operator's review may still be on its way
    let approve = || office.bank.call(&["approve", "reviewed", "--yes"]);
    until("only the authority is missing", || approve().text.contains("the review of the Authority is missing"));

    let second = review(&authority, &["--as", "authority"]).answer();
    assert_eq!((&second["scenario"], &second["key"]), (&first["scenario"], &joined["key"]));
    until("the bank may approve", || approve().exit == Some(0));
    office.released("reviewed", 1);

    let denied = review(&authority, &["--as", "authority", "--deny", "--reason", "the purpose is too wide"]).answer();
    assert_eq!(denied["approved"], false);
    let no = review(&authority, &["--as", "authority"]).refusal(2);
    assert!(no.ends_with("this key said no as the authority, and a no stands: ask for a changed scenario"), "{no}");
    assert!(is_over(&office.job("reviewed")));
}

#[test]
fn a_home_is_of_one_coordinator_and_none_is_made_by_mistake() {
    let office = Office::open(20);
    let (ada, other) = (office.root().join("ada"), office.root().join("other"));
    let mistyped = office.root().join("hbu");
    let refused = at(&mistyped, &["invite", "tax"]).refusal(2);
    assert!(refused.contains("hbu is no coordinator's home: give the --home that `banyan serve` has"), "{refused}");
    assert!(!mistyped.exists());

    let log = office.root().join("other.log");
    let args = ["serve", "--listen", "127.0.0.1:0", "--home", other.to_str().unwrap(), "--json"];
    let _daemon = banyan_tests::process::Daemon::start(&bin("banyan"), &args, &log);
    let mut ready = Value::Null;
    until("the other coordinator is ready", || {
        let text = fs::read_to_string(&log).unwrap_or_default();
        let lines = text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        ready = lines.map(|line| line["ready"].clone()).find(|ready| !ready.is_null()).unwrap_or_default();
        !ready.is_null()
    });
    assert!(ready["address"].as_str().unwrap().starts_with("127.0.0.1:"), "{ready}");
    let token = at(&other, &["invite", "ada", "--developer"]).answer()["token"].as_str().unwrap().to_owned();
    let refused = at(&ada, &["join", &token]).refusal(2);
    assert!(refused.contains("ada is the home of ada at another coordinator, 127.0.0.1:"), "{refused}");
    let refused = at(&office.home(), &["join", &token]).refusal(2);
    assert!(refused.contains("is a coordinator's home, with its key: give --home another directory"), "{refused}");
    office.developer(&["job", "list"]).answer();
}

#[test]
fn a_bench_answers_with_the_figures_that_scripts_read() {
    let figures = |flags: &[&str]| {
        let asked = ["bench", "psi", "--protocol", "dh", "--size", "100", "--receiver-size", "60", "--json"];
        let args = [&asked[..], flags].concat();
        let figures = call(&bin("banyan"), &args).answer();
        let names = |value: &Value| value.as_object().unwrap().keys().cloned().collect::<BTreeSet<_>>();
        let expected = |text: &str| text.split(' ').map(str::to_owned).collect::<BTreeSet<_>>();
        let all = "buckets bytes correct low_bandwidth matches memory_mb net ok parties protocol reason receiver_size rounds \
                   runs setup_s size suite via wall_s";
        assert_eq!(names(&figures), expected(all));
        for party in figures["parties"].as_array().unwrap() {
            assert_eq!(names(party), expected("bytes_out cpu_s name peak_rss_mb"));
        }
        assert_eq!(
            (&figures["correct"], &figures["matches"], &figures["rounds"]),
            (&true.into(), &30.into(), &2.into())
        );
        assert!(figures["wall_s"].is_f64() && figures["setup_s"].is_f64());
        figures
    };
    let (processes, memory) = (figures(&[]), figures(&["--via", "memory", "--net", "wan"]));
    assert_eq!(processes["bytes"], memory["bytes"], "the same protocol, over sockets or not");
    assert_eq!((&memory["via"], &memory["net"]), (&"memory".into(), &"wan".into()));
}

#[test]
fn a_bench_of_what_is_kept_tells_what_is_paid_once_from_what_a_query_costs() {
    let args = ["bench", "psi", "--protocol", "unbalanced", "--size", "1000", "--receiver-size", "60", "--json"];
    let figures = call(&bin("banyan"), &args).answer();
    assert_eq!((&figures["correct"], &figures["matches"]), (&true.into(), &30.into()));
    assert!(figures["offline_s"].is_f64() && figures["online_s"].is_f64());
    let number = |name: &str| figures[name].as_u64().unwrap();
    assert_eq!(number("online_bytes"), number("bytes"), "the figures are of the second job");
    assert!(number("offline_bytes") >= 1000 * 12, "twelve bytes for each of the sender's");
}
