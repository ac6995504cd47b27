//! Data sets: what is registered, and what no node could read.

use super::*;

#[test]
fn only_files_of_the_data_directory_are_registered() {
    let node = Node::made();
    fs::write(node.dir.path().join("secret.csv"), "id\n1\n").unwrap();
    std::os::unix::fs::symlink(node.dir.path().join("secret.csv"), node.dir.path().join("data/link.csv")).unwrap();
    let refused = |found: &str| {
        format!(
            "catalog.toml: [dataset.x] file: {found}; expected a file inside the data directory, such as \"tax.csv\"; put \
             the file there and give its name"
        )
    };
    for (file, found) in [
        ("../secret.csv", "\"../secret.csv\" is not a plain path below the data directory"),
        ("link.csv", "`link.csv` leads out of the data directory"),
        ("absent.csv", "`absent.csv` cannot be opened (No such file or directory (os error 2))"),
    ] {
        node.fails(&["data", "add", "x", file], 2, &refused(found));
    }
    let outside = format!(
        "/etc/passwd is not in the data directory {}: jobs reach no other file; put it there, or give the directory it is \
         in to `banyan-node init --data`, later as data_dir in config.toml",
        node.dir.path().join("data").display()
    );
    node.fails(&["data", "add", "x", "/etc/passwd"], 2, &outside);
    let climbs = format!("{}/../secret.csv", node.dir.path().join("data").display());
    let climbs_found = refused("\"../secret.csv\" is not a plain path below the data directory");
    node.fails(&["data", "add", "x", &climbs], 2, &climbs_found);
    node.fails(
        &["data", "show", "residant"],
        2,
        "unknown data set `residant`: there is none; see `banyan-node data list`",
    );
    let said = node.say(&["data", "add", "residents", "residents.csv", "--level", "id=3", "--level", "age=2"]);
    assert!(said.exit == 0 && said.out.contains("id      text     3      key only"), "{} {}", said.out, said.error);
    assert!(!said.out.contains("110101"), "never a row");
    node.fails(
        &["data", "add", "more", "residents.csv", "--level", "idd=3"],
        2,
        "data set `more` has no column `idd`: did you mean `id`? there are `id`, `age`",
    );
    assert_eq!(node.json(&["data", "list"])["datasets"][0]["id"], "residents");
    assert_eq!(node.say(&["data", "remove", "residents"]).exit, 0);
    assert!(node.dir.path().join("data/residents.csv").exists());
}

#[test]
fn a_data_set_is_registered_once_and_only_as_the_node_can_read_it() {
    let node = Node::made();
    let data = node.dir.path().join("data");
    let write = |name: &str, text: &str| fs::write(data.join(name), text).unwrap();
    let said = node.say(&["data", "add", "residents", "residents.csv"]);
    assert_eq!(said.exit, 0, "{}", said.error);
    let message = format!(
        "data set residents is registered already; remove it first, or correct it in {}/catalog.toml",
        node.path().display()
    );
    node.fails(&["data", "add", "residents", "residents.csv"], 2, &message);

    write("frame.csv", ",id,age\n0,x1,30\n1,x2,31\n");
    let said = node.say(&["data", "scan"]);
    let left = "frame  frame.csv: id text, age integer\nleft out: column 1 of the file, without a name, with one that \
                starts with \"__\", or of a type that is not read\n";
    assert!(said.exit == 0 && said.out.contains(left), "{} {}", said.out, said.error);
    write("again.csv", "id,__x\n1,2\n");
    assert_eq!(node.json(&["data", "add", "again", "again.csv"])["left_out"], serde_json::json!([2]));

    let catalog = fs::read(node.path().join("catalog.toml")).unwrap();
    let refused = |column: usize| {
        format!(
            "catalog.toml: [dataset.bad.column {column}] name: not a column name; expected 1 to 128 bytes, no control \
             characters or spaces around, not starting with \"__\" (kept for the node); rename the column in the file and \
             here"
        )
    };
    let many: Vec<String> = (0..1025).map(|column| format!("c{column}")).collect();
    let too_many = "catalog.toml: [dataset.bad] column: missing, empty or too many; expected 1 to 1024 tables \
                    [[dataset.bad.column]]; let `banyan-node data scan` write them";
    for (header, message) in [
        (format!("id,{}", "n".repeat(129)), refused(2)),
        ("id,\"a\nb\"".to_owned(), refused(2)),
        (many.join(","), too_many.to_owned()),
    ] {
        write("bad.csv", &format!("{header}\n{}\n", vec!["1"; header.matches(',').count() + 1].join(",")));
        node.fails(&["data", "add", "bad", "bad.csv"], 2, &message);
        node.fails(&["data", "scan"], 2, &message);
        node.fails(&["data", "scan", "--dry-run"], 2, &message);
    }
    fs::remove_file(data.join("bad.csv")).unwrap();
    assert_eq!(fs::read(node.path().join("catalog.toml")).unwrap(), catalog, "what is refused changes nothing");
    assert_eq!(node.json(&["data", "list"])["datasets"].as_array().unwrap().len(), 3);
    assert_eq!(node.say(&["audit", "verify"]).exit, 0);

    write("Residents.csv", "id\n1\n");
    node.fails(
        &["data", "scan"],
        2,
        "catalog.toml: [dataset.residents] file: residents.csv gives an id that another file gives too; expected one file \
         for each id; rename one of the files",
    );
    fs::rename(data.join("residents.csv"), data.join("older.txt")).unwrap();
    node.fails(
        &["data", "scan"],
        2,
        "Residents.csv would be data set residents, which is another file already; give it an id of its own: banyan-node \
         data add ID Residents.csv",
    );
}

#[test]
fn no_row_of_a_bad_file_is_told_or_kept() {
    let node = Node::made();
    let file = node.dir.path().join("data/people.csv");
    const CANARY: &str = "110105194912310021";
    for (text, exit, message) in [
        (
            "110105194912310021,44\n110105194912310022,45\n",
            2,
            "the first line of people.csv looks like a row: a name of a column is no number or date, and has no six digits \
             in a row; add a header line",
        ),
        (
            "id,age\n110105194912310021,44,1\n",
            2,
            "people.csv line 2: 3 fields, but the header has 2; put quotes around fields that hold the delimiter, and \
             correct the row at its source",
        ),
        (
            "id,age\n\"110105194912310021,44\n110105194912310022,45\n",
            2,
            "people.csv line 2: the quote that is opened here is never closed, so the rest of the file would be one cell; \
             close it, and write a quote inside quotes twice",
        ),
    ] {
        fs::write(&file, text).unwrap();
        node.fails(&["data", "scan"], exit, message);
        node.fails(&["data", "add", "people", "people.csv"], exit, message);
    }
    fs::write(&file, format!("id,age\n{CANARY},44\n")).unwrap();
    assert_eq!(node.say(&["data", "scan"]).exit, 0);
    fs::write(&file, format!("id,age\n{CANARY},{CANARY}{CANARY}\n{CANARY},1,2\n")).unwrap();
    let check = node.say(&["check"]);
    assert!(
        check.exit == 1 && check.out.contains("✗ data           people: people.csv line 3: 3 fields"),
        "{}",
        check.out
    );
    for said in [check, node.say(&["data", "show", "people"]), node.say(&["audit", "show"]), node.say(&["status"])] {
        assert!(!said.out.contains(CANARY) && !said.error.contains(CANARY), "{}{}", said.out, said.error);
    }
    for kept in ["catalog.toml", "audit/log.jsonl", "state.sqlite"] {
        let bytes = fs::read(node.path().join(kept)).unwrap();
        assert!(!bytes.windows(CANARY.len()).any(|window| window == CANARY.as_bytes()), "{kept}");
    }
}
