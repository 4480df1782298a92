//! The conformance cases: what the reference programs answered, case by case.
//!
//! `core` cases must be answered exactly. An `edge` case is answered as recorded, or a [`rules`] entry
//! must explain the difference from the case's own input and our answer; rules know no case ids, so
//! an unexplained difference in any other case file fails as well. A `loose` case may also be refused.
//! Panics fail everything. `docs/compatibility.md` has one section for each rule, under its name.
//!
//! `LAZARUS_VECTORS` names another folder with files of the same names.

mod adapt;
mod bus;
mod bus_rules;
mod command;
mod compare;
mod pool;
mod rules;
mod yaml11;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;

use serde_json::Value;

/// One recorded case.
pub struct Case {
    pub id: String,
    pub function: String,
    pub level: Level,
    pub input: Value,
    /// What the reference answered; None if it failed.
    pub expected: Option<Value>,
    /// How it failed: `type` and `message`.
    pub error: Option<Value>,
}

/// How close a port must come.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Level {
    Core,
    Edge,
    Loose,
}

/// What we make of a case: an answer, or a clean refusal.
pub type Answer = Result<Value, Refusal>;

/// Why we gave no answer.
#[derive(Clone, Debug)]
pub struct Refusal {
    /// The sorts of errors: `ProblemKind`s as they print, or `Text` for a document that is no YAML or JSON.
    pub kinds: Vec<String>,
    pub message: String,
}

/// The cases of one file; a file without cases fails the test.
fn read(suite: &str) -> Vec<Case> {
    #[expect(clippy::disallowed_methods, reason = "the one setting of this test, read once")]
    let folder = std::env::var_os("LAZARUS_VECTORS")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/vectors"), PathBuf::from);
    let path = folder.join(format!("{suite}.json"));
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let file: Value = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let cases = file["cases"].as_array().unwrap_or_else(|| panic!("{}: no list of cases", path.display()));
    assert!(!cases.is_empty(), "{}: not one case", path.display());
    if let Some(count) = file["count"].as_u64() {
        assert_eq!(count, cases.len() as u64, "{}: count and cases differ", path.display());
    }
    cases.iter().map(case).collect()
}

fn case(case: &Value) -> Case {
    let text = |key: &str| case[key].as_str().unwrap_or_else(|| panic!("a case without {key}: {case}")).to_owned();
    let level = match text("level").as_str() {
        "core" => Level::Core,
        "edge" => Level::Edge,
        "loose" => Level::Loose,
        other => panic!("{}: unknown level {other}", text("id")),
    };
    assert!(case.get("expected").is_some() != case.get("error").is_some(), "{}: expected or error", text("id"));
    Case {
        id: text("id"),
        function: text("function"),
        level,
        input: case["input"].clone(),
        expected: case.get("expected").cloned(),
        error: case.get("error").cloned(),
    }
}

/// Runs a suite and fails with every case that is neither as recorded nor explained.
fn check(suite: &str, run: impl Fn(&Case) -> Answer, as_recorded: impl Fn(&Case, &Answer) -> bool) {
    let mut failures = Vec::new();
    let mut explained: Vec<(&str, String)> = Vec::new();
    for case in read(suite) {
        let Ok(answer) = catch_unwind(AssertUnwindSafe(|| run(&case))) else {
            failures.push(format!("{} ({:?}): panicked", case.id, case.level));
            continue;
        };
        if as_recorded(&case, &answer) {
            continue;
        }
        if case.level == Level::Loose && answer.is_err() {
            continue;
        }
        match rules::explaining(&case, &answer).filter(|_| case.level != Level::Core) {
            Some(rule) => explained.push((rule.name, case.id.clone())),
            None => failures.push(format!(
                "{} ({:?}, {}):\n  input    {}\n  recorded {}\n  ours     {}",
                case.id,
                case.level,
                case.function,
                case.input,
                case.expected.as_ref().map_or_else(|| "an error".to_owned(), Value::to_string),
                match &answer {
                    Ok(value) => value.to_string(),
                    Err(refusal) => format!("{refusal:?}"),
                },
            )),
        }
    }
    for (rule, id) in explained {
        println!("{id} differs by the rule `{rule}`");
    }
    assert!(failures.is_empty(), "{} unexplained:\n{}", failures.len(), failures.join("\n"));
}

#[test]
fn pool() {
    check("pool", pool::run, compare::as_recorded);
}

#[test]
fn bus() {
    check("bus", bus::run, bus::as_recorded);
}

#[test]
fn every_rule_stands_in_the_documentation() {
    let page = include_str!("../../../docs/compatibility.md");
    for rule in rules::RULES {
        assert!(page.contains(&format!("`{}`", rule.name)), "docs/compatibility.md does not explain `{}`", rule.name);
    }
}

#[test]
fn the_shipped_policy_is_that_of_the_cases() {
    let shipped = include_str!("../../../config/resurrection_pool.json");
    let shipped = lazarus_gate::config::json_to_value(shipped).expect("sound JSON");
    let file: Value = serde_json::from_str(include_str!("../../vectors/pool.json")).expect("sound JSON");
    let cases = file["cases"].as_array().expect("a list of cases");
    let case = cases.iter().find(|case| case["id"] == "resolve_policy-001").expect("the case is there");
    assert_eq!(shipped, case["input"]["policy"]);
}
