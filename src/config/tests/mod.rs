//! Small inputs, one check per family.

mod files;
mod gate;
mod reload;
mod shipped;

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::gate::PeopleSeen;
use super::*;
use crate::approval::Approves;

const REGISTRY: &str = "\
fleet:
  ada: {mission: forge, health_endpoints: {gateway: 'http://127.0.0.1:1/'}, substitutes: [bob]}
  bob: {host: 10.0.0.7, mission: archive, health_endpoints: {gateway: 'http://10.0.0.7:1/'}}
";
const POLICY: &str = r#"{"default_policy": {"mode": "ask"}}"#;
const PEOPLE: &str = "people: {kim: {local_user: 1000, approves: '*'}}\n";

/// Four files in a folder of their own.
struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Self {
        let folder = Self(tempfile::tempdir().unwrap());
        folder.write("lazarus-gate.yaml", PEOPLE);
        folder.write("lazarus-registry.yaml", REGISTRY);
        folder.write("resurrection_pool.json", POLICY);
        folder.write("mission_bus_profiles.json", "{}");
        folder
    }

    fn gate(text: &str) -> Self {
        let folder = Self::new();
        folder.write("lazarus-gate.yaml", text);
        folder
    }

    fn write(&self, name: &str, text: impl AsRef<[u8]>) {
        std::fs::write(self.path(name), text).unwrap();
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn load(&self) -> Result<Loaded, Problems> {
        load(&self.path("lazarus-gate.yaml"), &users)
    }

    fn config(&self) -> Config {
        self.load().unwrap_or_else(|problems| panic!("{problems}")).config
    }

    /// All problems, without the folder's name.
    fn problems(&self) -> String {
        let problems = match self.load() {
            Ok(loaded) => loaded.warnings,
            Err(problems) => problems,
        };
        problems.to_string().replace(&format!("{}/", self.0.path().display()), "")
    }
}

fn users(name: &str) -> Option<u32> {
    match name {
        "kim" => Some(1000),
        "lee" => Some(1001),
        _ => None,
    }
}

/// `text` as the gateway's file, with people unless it names some, has exactly these problems.
#[track_caller]
fn check(text: &str, expected: &[&str]) {
    let whole = if text.starts_with("people:") { text.to_owned() } else { format!("{text}\n{PEOPLE}") };
    let folder = Folder::gate(&whole);
    let found = folder.problems();
    let found: Vec<&str> = if found.is_empty() { Vec::new() } else { found.lines().collect() };
    assert_eq!(found.len(), expected.len(), "{text}\n{found:#?}");
    for (found, expected) in found.iter().zip(expected) {
        let found = found.strip_prefix("lazarus-gate.yaml:").unwrap_or(found);
        assert!(found.contains(expected), "{text}\nfound    {found}\nexpected {expected}");
    }
}
