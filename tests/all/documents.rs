//! The documents say what the program is. Whoever adds an alarm, a command, a key or an exit code
//! is told here which page still lacks it.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: &str) -> String {
    fs::read_to_string(repository().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// Every file with this ending below a folder of the repository.
fn files(folder: &str, ending: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![repository().join(folder)];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|found| found == ending) {
                found.push(path);
            }
        }
    }
    found
}

fn documents() -> Vec<PathBuf> {
    let mut all = files("docs", "md");
    all.extend(["README.md", "CONTRIBUTING.md", "CHANGELOG.md"].map(|name| repository().join(name)));
    all
}

fn help(arguments: &[&str]) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_lazarus-gate")).args(arguments).output().unwrap();
    assert!(output.status.success(), "{arguments:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// The commands of the first level, as `--help` lists them.
fn commands() -> BTreeSet<String> {
    let help = help(&["-h"]);
    let list = help.split("Commands:").nth(1).unwrap().split("Options:").next().unwrap().to_owned();
    // A continued description is indented further than a name.
    list.lines()
        .filter_map(|line| line.strip_prefix("  ").filter(|line| !line.starts_with(' ')))
        .filter_map(|line| line.split_whitespace().next().map(str::to_owned))
        .filter(|name| name != "help")
        .collect()
}

/// What stands in `code` in the first column of every table of a page.
fn first_cells(page: &str) -> Vec<String> {
    page.lines().filter_map(|line| line.strip_prefix("| `")?.split_once('`').map(|(cell, _)| cell.to_owned())).collect()
}

#[test]
fn every_alarm_has_its_place_in_the_operations_manual() {
    let source = read("src/wording/alarm.rs");
    let words: Vec<_> = source
        .lines()
        .filter_map(|line| line.trim().strip_prefix("Self::")?.split_once("{ .. } => \"")?.1.strip_suffix("\","))
        .collect();
    assert!(words.len() > 10, "the words of the alarms are not found in src/wording/alarm.rs: {words:?}");
    let manual: BTreeSet<_> = first_cells(&read("docs/operations.md")).into_iter().collect();
    for word in words {
        assert!(manual.contains(word), "docs/operations.md does not tell what to do on `{word}`");
    }
}

#[test]
fn every_command_is_in_the_readme_and_every_one_there_exists() {
    let commands = commands();
    assert!(commands.len() > 10, "{commands:?}");
    let readme = read("README.md");
    let table = readme.split("## Commands").nth(1).unwrap().split("\n## ").next().unwrap();
    let told: BTreeSet<_> =
        first_cells(table).iter().filter_map(|cell| cell.split_whitespace().next().map(str::to_owned)).collect();
    assert_eq!(told, commands);
}

#[test]
fn the_exit_codes_are_those_of_the_help() {
    let help = help(&["--help"]);
    let of_help: Vec<_> = help.split("Exit codes:").nth(1).unwrap().lines().filter_map(number).collect();
    let manual = read("docs/operations.md");
    let section = manual.split("## Exit codes").nth(1).unwrap().split("\n## ").next().unwrap();
    let of_manual: Vec<_> = section.lines().filter_map(|line| number(line.strip_prefix("| ")?)).collect();
    assert_eq!(of_manual, of_help);
}

fn number(line: &str) -> Option<u8> {
    line.split_whitespace().next()?.parse().ok()
}

#[test]
fn every_key_of_the_configuration_manual_is_read_somewhere() {
    let manual = read("docs/configuration.md");
    let mut source = String::new();
    for file in files("src/config", "rs") {
        source.push_str(&fs::read_to_string(file).unwrap());
    }
    let keys: Vec<_> =
        first_cells(&manual).into_iter().filter(|cell| !cell.contains(".yaml") && !cell.contains(".json")).collect();
    assert!(keys.len() > 40, "{keys:?}");
    for key in keys {
        for word in key.split('.') {
            assert!(source.contains(&format!("\"{word}\"")), "nothing in src/config reads `{word}` of `{key}`");
        }
    }
}

#[test]
fn every_link_leads_somewhere() {
    for document in documents() {
        let text = fs::read_to_string(&document).unwrap();
        for (_, target) in text
            .match_indices("](")
            .map(|(at, _)| text[at + 2..].split_once(')').map_or(((), ""), |(target, _)| ((), target)))
        {
            let path = target.split('#').next().unwrap_or_default();
            if path.is_empty() || target.contains("://") {
                continue;
            }
            let there = document.parent().unwrap().join(path);
            assert!(there.exists(), "{}: nothing is at {target}", document.display());
        }
    }
}

/// Each invariant names the tests that hold it.
#[test]
fn every_test_the_invariants_name_exists() {
    let page = read("docs/architecture.md");
    let section = page.split("## Invariants").nth(1).unwrap().split("\n## ").next().unwrap();
    let mut sources = String::new();
    for file in files("src", "rs").into_iter().chain(files("tests", "rs")) {
        sources.push_str(&fs::read_to_string(file).unwrap());
    }
    let rows: Vec<_> = section
        .lines()
        .filter(|line| line.starts_with("| ") && line[2..].starts_with(|c: char| c.is_ascii_digit()))
        .collect();
    assert_eq!(rows.len(), 14, "each of the 14 invariants has a row");
    for row in rows {
        let tests = row.rsplit('|').nth(1).unwrap();
        let names: Vec<_> = tests.split('`').skip(1).step_by(2).collect();
        assert!(!names.is_empty(), "no test holds: {row}");
        for name in names {
            assert!(sources.contains(&format!("fn {name}(")), "there is no test `{name}`, named by: {row}");
        }
    }
}

/// Below these the crates that read what strangers send have known faults, and with a second provider of TLS
/// rustls panics at the first connection.
#[test]
fn the_crates_that_read_strangers_words_are_mended_ones() {
    let lock = read("Cargo.lock");
    let version = |name: &str| {
        let of = format!("name = \"{name}\"\nversion = \"");
        let found: Vec<&str> = lock.split(&of).skip(1).filter_map(|rest| rest.split('"').next()).collect();
        assert_eq!(found.len(), 1, "{name} is there once: {found:?}");
        found[0].split('.').map(|part| part.parse().unwrap()).collect::<Vec<u64>>()
    };
    assert!(version("nostr") >= vec![0, 44, 8]);
    assert!(version("nostr-relay-pool") >= vec![0, 44, 3]);
    assert!(version("nostr-connect") >= vec![0, 44, 1]);
    for banned in ["aws-lc-rs", "aws-lc-sys", "openssl", "openssl-sys", "native-tls"] {
        assert!(!lock.contains(&format!("name = \"{banned}\"")), "{banned}");
        assert!(read("deny.toml").contains(&format!("crate = \"{banned}\"")), "{banned} in deny.toml");
    }
}
