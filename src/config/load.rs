use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::Value;

use super::Lookup;
use super::cross::Cross;
use super::gate::{Gate, PeopleSeen};
use super::profiles;
use super::report::{Notes, Problems, Severity, Step, spell};
use super::source::{Language, Source, read_text};
use crate::pool::{self, Policy, Registry};

/// Everything that was configured, checked. Immutable, and cheap to clone.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// The gateway's own file, as it was named.
    pub path: PathBuf,
    /// What it says, defaults filled in.
    pub gate: Arc<Gate>,
    /// The fleet.
    pub registry: Arc<Registry>,
    /// The policy.
    pub policy: Arc<Policy>,
    /// Roles and isolation profiles of the mission bus, as they stand.
    pub profiles: Arc<Value>,
    /// The gateway's own file as it stands, to tell what a reload changed.
    pub(super) written: Arc<Value>,
}

impl Config {
    /// The four files, to look at for changes.
    pub fn files(&self) -> [&Path; 4] {
        let files = &self.gate.files;
        [&self.path, &files.registry, &files.policy, &files.profiles]
    }
}

/// A configuration that was taken, and what a person should still look at.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// The configuration.
    pub config: Config,
    /// Warnings only.
    pub warnings: Problems,
}

/// Loads `lazarus-gate.yaml` at `path` and the three files it names, and checks them all.
///
/// # Errors
/// All problems of all files, warnings among them, as soon as one is an error.
pub fn load(path: &Path, machine: &dyn Lookup) -> Result<Loaded, Problems> {
    let mut problems = Problems::default();
    match read(path, machine, &mut problems) {
        Some(config) if !problems.is_refused() => Ok(Loaded { config, warnings: problems }),
        Some(_) | None => Err(problems),
    }
}

fn read(path: &Path, machine: &dyn Lookup, problems: &mut Problems) -> Option<Config> {
    let Some(gate_file) = keep(Source::read(path, Language::Yaml, "the gateway's file", None), problems) else {
        read_beside(path, machine, problems);
        return None;
    };
    let (in_gate, in_registry, in_policy) = (Notes::default(), Notes::default(), Notes::default());
    let gate = Gate::read(&gate_file.value, &folder_of(path), machine, &in_gate);

    let files = &gate.files;
    let mut registry_file =
        keep(Source::read(&files.registry, Language::Yaml, "the registry", Some("files.registry")), problems);
    let mut policy_file =
        keep(Source::read(&files.policy, Language::Json, "the policy", Some("files.policy")), problems);
    let profiles = read_profiles(&files.profiles, problems);

    let registry = registry_file.as_mut().and_then(|file| typed(Registry::from_value(file.value.take()), &in_registry));
    let policy = policy_file.as_mut().and_then(|file| typed(Policy::from_value(file.value.take()), &in_policy));
    if let (Some(registry), Some(policy)) = (&registry, &policy) {
        let (dangling_there, dangling_here) = pool::dangling_names(registry, policy);
        note(dangling_there, &in_registry);
        note(dangling_here, &in_policy);
        let (in_gate, in_registry, in_policy) = (&in_gate, &in_registry, &in_policy);
        Cross { gate: &gate, registry, policy, in_gate, in_registry, in_policy }.check(machine);
    }

    gate_file.report(in_gate, problems);
    for (file, notes) in [(registry_file, in_registry), (policy_file, in_policy)] {
        if let Some(file) = file {
            file.report(notes, problems);
        }
    }
    Some(Config {
        path: path.to_owned(),
        gate: Arc::new(gate),
        registry: Arc::new(registry?),
        policy: Arc::new(policy?),
        profiles: Arc::new(profiles?),
        written: Arc::new(gate_file.value),
    })
}

/// The gateway's file cannot be read, but a person who mends it wants to hear of the others too:
/// those that lie where they lie by default.
fn read_beside(path: &Path, machine: &dyn Lookup, problems: &mut Problems) {
    let files = Gate::read(&Value::Null, &folder_of(path), machine, &Notes::default()).files;
    for (file, language, what) in
        [(files.registry, Language::Yaml, "the registry"), (files.policy, Language::Json, "the policy")]
    {
        if !file.exists() {
            continue;
        }
        let Some(mut source) = keep(Source::read(&file, language, what, None), problems) else { continue };
        let notes = Notes::default();
        match language {
            Language::Yaml => drop(typed(Registry::from_value(source.value.take()), &notes)),
            Language::Json => drop(typed(Policy::from_value(source.value.take()), &notes)),
        }
        source.report(notes, problems);
    }
}

/// The mission bus's file. Without one its defaults hold.
fn read_profiles(path: &Path, problems: &mut Problems) -> Option<Value> {
    match Source::read(path, Language::Json, "the file of profiles", Some("files.profiles")) {
        Ok(file) => {
            let notes = Notes::default();
            profiles::check(&file.value, &notes);
            file.report(notes, problems);
            Some(file.value)
        }
        Err(mut problem) => {
            let missing = !path.exists();
            if missing {
                problem.severity = Severity::Warning;
            }
            problems.0.push(*problem);
            missing.then(profiles::default)
        }
    }
}

fn keep<T>(read: Result<T, Box<super::Problem>>, problems: &mut Problems) -> Option<T> {
    read.map_err(|problem| problems.0.push(*problem)).ok()
}

/// The typed value, its problems noted in our form.
fn typed<T>(read: pool::Checked<T>, notes: &Notes) -> Option<T> {
    match read {
        Ok((value, warnings)) => {
            note(warnings, notes);
            Some(value)
        }
        Err(problems) => {
            note(problems, notes);
            None
        }
    }
}

fn note(problems: Vec<pool::Problem>, notes: &Notes) {
    for problem in problems {
        let trail: Vec<Step> = problem
            .path
            .into_iter()
            .map(|step| match step {
                pool::PathStep::Key(key) => Step::Key(key),
                pool::PathStep::Index(index) => Step::Index(index),
            })
            .collect();
        let severity = match problem.severity {
            pool::Severity::Error => Severity::Error,
            pool::Severity::Warning => Severity::Warning,
        };
        let name = if trail.is_empty() { String::new() } else { format!("`{}`: ", spell(&trail)) };
        notes.add(&trail, severity, format!("{name}{}", problem.message));
    }
}

/// The gateway's own file alone, with defaults in the place of whatever is wrong in it: enough for the
/// command line to find socket and store while a registry, a policy or another key is being mended.
///
/// # Errors
/// The file cannot be read, or is no YAML at all.
pub fn load_gate_only(path: &Path, machine: &dyn Lookup) -> Result<Gate, Box<super::Problem>> {
    let file = Source::read(path, Language::Yaml, "the gateway's file", None)?;
    Ok(Gate::read(&file.value, &folder_of(path), machine, &Notes::default()))
}

/// The folder that relative paths of the file at `path` begin in.
fn folder_of(path: &Path) -> PathBuf {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder.to_owned(),
        Some(_) | None => PathBuf::from("."),
    }
}

/// Who `people` names, although the rest may be broken: a removal must count at once.
///
/// Where the file as a whole is no YAML, the block of `people` alone is read, provided that it
/// plainly ends (another key follows it), so that a half-written file removes nobody.
pub fn load_people_only(path: &Path, machine: &dyn Lookup) -> Option<PeopleSeen> {
    let text = read_text(path, "the gateway's file", None).ok()?;
    let whole = super::text::yaml_to_value(&text);
    let value = whole.ok().or_else(|| super::text::yaml_to_value(people_block(&text)?).ok())?;
    // A file that ends right after `people:` was not written to the end.
    value.get("people").filter(|people| !people.is_null())?;
    Gate::read_people(&value, machine)
}

/// The lines from `people:` to the next top-level key, if both stand there plainly, once.
fn people_block(text: &str) -> Option<&str> {
    let top_level = |line: &str| line.starts_with(|c: char| c.is_ascii_alphabetic() || "\"'".contains(c));
    let (mut start, mut end, mut at) = (None, None, 0);
    for line in text.split_inclusive('\n') {
        if line.starts_with("people:") {
            if start.is_some() {
                return None;
            }
            start = Some(at);
        } else if start.is_some() && end.is_none() && top_level(line) && line.contains(':') && line.ends_with('\n') {
            end = Some(at);
        }
        at += line.len();
    }
    text.get(start?..end?)
}
