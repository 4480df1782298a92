//! The `plan` command where the conformance cases do not reach.

use std::path::Path;
use std::sync::Mutex;

use clap::{Args as _, Command, FromArgMatches as _};
use lazarus_gate::cli::plan::{PlanArgs, PlanSettings, PlanWorld, StateFile, run};
use lazarus_gate::pool::{Execution, GatewayAnswer, RestartCommand};

/// The pipe of a reader that has gone.
struct Closed;

impl std::io::Write for Closed {
    fn write(&mut self, _: &[u8]) -> std::io::Result<usize> {
        Err(std::io::ErrorKind::BrokenPipe.into())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// Everybody is dead, every restart works, and everything done is noted.
#[derive(Default)]
struct World {
    holder: Option<String>,
    done: Mutex<Vec<String>>,
}

impl World {
    fn note(&self, what: impl Into<String>) {
        self.done.lock().unwrap().push(what.into());
    }

    /// Output, or the error's text.
    fn plan(&self, folder: &Path, flags: &[&str]) -> Result<String, String> {
        let file = |name: &str| folder.join(name).to_string_lossy().into_owned();
        let files = [file("registry.yaml"), file("policy.json"), file("state.json")];
        let mut arguments = vec!["plan", "--reg", &files[0], "--pol", &files[1], "--stat", &files[2]];
        arguments.extend(flags);
        let matches = PlanArgs::augment_args(Command::new("plan")).try_get_matches_from(arguments).unwrap();
        let args = PlanArgs::from_arg_matches(&matches).unwrap();
        let mut out = Vec::new();
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime
            .block_on(run(&args, &PlanSettings::default(), self, &mut out))
            .map(|_| String::from_utf8(out).unwrap())
            .map_err(|error| format!("{error:#}"))
    }

    /// Whether it ends well although nobody reads what it prints any more, as after `| head`.
    fn plans_for_nobody(&self, folder: &Path) -> bool {
        let file = |name: &str| folder.join(name).to_string_lossy().into_owned();
        let files = [file("registry.yaml"), file("policy.json"), file("state.json")];
        let arguments = ["plan", "--registry", &files[0], "--policy", &files[1], "--state", &files[2]];
        let matches = PlanArgs::augment_args(Command::new("plan")).try_get_matches_from(arguments).unwrap();
        let args = PlanArgs::from_arg_matches(&matches).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(run(&args, &PlanSettings::default(), self, &mut Closed)).is_ok()
    }

    fn done(&self) -> Vec<String> {
        self.done.lock().unwrap().clone()
    }
}

impl PlanWorld for World {
    fn now_seconds(&self) -> f64 {
        1_776_225_600.5
    }

    fn store_holder(&self) -> Option<String> {
        self.holder.clone()
    }

    async fn gateway(&self, url: &str) -> GatewayAnswer {
        self.note(format!("probe {url}"));
        GatewayAnswer::default()
    }

    async fn is_active(&self, unit: &str) -> bool {
        self.note(format!("ask {unit}"));
        false
    }

    async fn restart(&self, command: &RestartCommand) -> Execution {
        self.note(command.to_string());
        Execution::of_command(0, String::new(), String::new())
    }
}

fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("registry.yaml"), "fleet: {ezra: {mission: forge}}\n").unwrap();
    std::fs::write(folder.path().join("policy.json"), r#"{"missions": {"forge": {"mode": "yes"}}}"#).unwrap();
    folder
}

#[test]
fn flags_may_be_shortened() {
    let (folder, world) = (folder(), World::default());
    world.plan(folder.path(), &["--exec", "--js"]).unwrap();
    assert_eq!(world.done(), ["ask hermes-ezra.service", "systemctl restart hermes-ezra.service"]);
}

#[test]
fn a_reader_that_has_gone_is_no_failure() {
    assert!(World::default().plans_for_nobody(folder().path()));
}

#[test]
fn nothing_is_executed_beside_a_daemon() {
    let (folder, world) = (folder(), World { holder: Some("a daemon, pid 17,".to_owned()), ..World::default() });
    let error = world.plan(folder.path(), &["--execute"]).unwrap_err();
    assert!(error.contains("pid 17"), "{error}");
    assert!(world.done().is_empty());
    assert!(!folder.path().join("state.json").exists());
    world.plan(folder.path(), &["--execute", "--dry-run"]).unwrap();
    world.plan(folder.path(), &[]).unwrap();
}

#[test]
fn a_dry_run_leaves_no_file_behind() {
    let (folder, world) = (folder(), World::default());
    world.plan(folder.path(), &["--dry-run", "--execute"]).unwrap();
    assert_eq!(world.done(), ["ask hermes-ezra.service"]);
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 2);
}

#[test]
fn a_state_that_cannot_be_written_stops_everything_before_it_begins() {
    let (folder, world) = (folder(), World::default());
    let held = StateFile::open(&folder.path().join("state.json")).unwrap();
    assert!(world.plan(folder.path(), &["--execute"]).unwrap_err().contains("another run"));
    drop(held);
    std::fs::create_dir(folder.path().join("state.json")).unwrap();
    assert!(world.plan(folder.path(), &["--execute"]).is_err());
    assert!(world.done().is_empty());
}

#[test]
fn every_problem_of_a_file_is_told_with_its_place() {
    let (folder, world) = (folder(), World::default());
    let text = "fleet:\n  'a b': {}\n  ezra: {host: [x], substitutes: [ok, '-rf'], primary: ~}\n";
    std::fs::write(folder.path().join("registry.yaml"), text).unwrap();
    let error = world.plan(folder.path(), &[]).unwrap_err();
    for place in ["fleet.a b:", "fleet.ezra.host:", "fleet.ezra.substitutes[1]:", "fleet.ezra.primary:"] {
        assert!(error.contains(place), "{place} in {error}");
    }
    std::fs::write(folder.path().join("registry.yaml"), "fleet:\n  ezra: {}\n  ezra: {}\n").unwrap();
    let error = world.plan(folder.path(), &[]).unwrap_err();
    assert!(error.contains("line 3, column 3"), "{error}");
    assert!(world.done().is_empty());
}
