use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tempfile::TempDir;

use super::servers::write_program;
use crate::probe::answer::{ActiveState, LoadState, UnitAnswer, UnitSilence};
use crate::probe::systemd::{Systemd, SystemdSettings, has_service_manager};

/// Longer than any script here takes, and short enough to wait for where one hangs.
const LONG: Duration = Duration::from_secs(60);
const SHORT: Duration = Duration::from_millis(500);

/// Prints one block for each unit asked for, from the fourth argument on.
const ANSWERS: &str = r#"shift 3
first=1
for unit; do
  [ -z "$first" ] && echo
  first=
  case $unit in
    alias.service) id=real.service;; *) id=$unit;;
  esac
  state=active sub=running load=loaded
  case $unit in
    dead*) state=failed sub=failed;;
    gone*) state=inactive sub=dead load=not-found;;
    stop*) echo "Failed to get properties: $unit" >&2; exit 1;;
  esac
  printf 'NRestarts=2\nInvocationID=0123456789abcdef0123456789abcdef\nSubState=%s\nActiveState=%s\nLoadState=%s\nNames=%s %s\nId=%s\n' \
    $sub $state $load $id $unit $id
done
"#;

/// A `systemctl` of our own, which notes how it was called.
struct Fake {
    folder: TempDir,
}

impl Fake {
    fn running(script: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let program = folder.path().join("systemctl");
        let text = format!(
            "#!/bin/sh\nprintf '%s\\n' \"$*\" >> '{calls}'\n{script}",
            calls = folder.path().join("calls").display()
        );
        write_program(&program, &text);
        Self { folder }
    }

    fn systemd(&self, deadline: Duration) -> Systemd {
        Systemd::new(SystemdSettings { program: self.program(), deadline })
    }

    fn program(&self) -> PathBuf {
        self.folder.path().join("systemctl")
    }

    fn calls(&self) -> Vec<String> {
        let text = fs::read_to_string(self.folder.path().join("calls")).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    }
}

fn names(of: &[&str]) -> Vec<String> {
    of.iter().map(|name| (*name).to_owned()).collect()
}

fn no_answer(why: UnitSilence) -> UnitAnswer {
    UnitAnswer::NoAnswer { why }
}

fn known(active_state: ActiveState, sub_state: &str, load: LoadState) -> UnitAnswer {
    UnitAnswer::Known {
        active_state,
        sub_state: sub_state.into(),
        invocation_id: Some("0123456789abcdef0123456789abcdef".into()),
        restarts: 2,
        load,
    }
}

fn running() -> UnitAnswer {
    known(ActiveState::Active, "running", LoadState::Loaded)
}

#[tokio::test]
async fn four_hundred_and_fifty_units_are_three_calls() {
    let fake = Fake::running(ANSWERS);
    let units: Vec<String> = (0..450).map(|n| format!("hermes-a{n}.service")).collect();
    let answers = fake.systemd(LONG).units(&units).await;
    assert_eq!(answers.len(), 450);
    assert!(answers.values().all(|answer| *answer == running()));
    let mut sizes: Vec<usize> = fake.calls().iter().map(|call| call.split(' ').count() - 3).collect();
    sizes.sort_unstable();
    assert_eq!(sizes, [50, 200, 200]);
    let expected = "show --property=Id,Names,LoadState,ActiveState,SubState,InvocationID,NRestarts -- hermes-a";
    assert!(fake.calls().iter().all(|call| call.starts_with(expected)), "{:?}", fake.calls());
}

#[tokio::test]
async fn every_name_gets_its_own_answer() {
    let fake = Fake::running(ANSWERS);
    let asked =
        names(&["dead.service", "gone", "alias.service", "a@b.service", "hermes-*", "; rm -rf /", "x@.service"]);
    let answers = fake.systemd(LONG).units(&asked).await;
    for (name, expected) in [
        ("dead.service", known(ActiveState::Failed, "failed", LoadState::Loaded)),
        ("gone", known(ActiveState::Inactive, "dead", LoadState::NotFound)),
        ("alias.service", running()),
        ("a@b.service", running()),
        ("hermes-*", no_answer(UnitSilence::BadName)),
        ("; rm -rf /", no_answer(UnitSilence::BadName)),
        ("x@.service", no_answer(UnitSilence::BadName)),
    ] {
        assert_eq!(answers[name], expected, "{name}");
    }
    assert!(fake.calls().iter().all(|call| !call.contains("rm")), "{:?}", fake.calls());
}

#[tokio::test]
async fn a_unit_at_which_systemd_stops_hides_no_other() {
    let fake = Fake::running(ANSWERS);
    let asked = names(&["a", "b", "stop1", "stop2", "t", "stop3"]);
    let answers = fake.systemd(LONG).units(&asked).await;
    for name in ["a", "b", "t"] {
        assert_eq!(answers[name], running(), "{name}");
    }
    for name in ["stop1", "stop2", "stop3"] {
        assert_eq!(answers[name], no_answer(UnitSilence::LeftOut), "{name}");
    }
}

#[tokio::test]
async fn without_a_manager_nothing_is_known() {
    for (asked, calls) in [(names(&["a"]), 1), (names(&["a", "b"]), 2), (names(&["a", "b", "c", "d", "e"]), 3)] {
        let fake = Fake::running("echo 'System has not been booted with systemd' >&2; exit 1");
        let answers = fake.systemd(LONG).units(&asked).await;
        assert_eq!(answers.len(), asked.len());
        assert!(answers.values().all(|answer| *answer == no_answer(UnitSilence::NoManager)), "{answers:?}");
        assert_eq!(fake.calls().len(), calls);
    }
}

#[tokio::test]
async fn what_is_not_understood_is_no_answer() {
    let one = |id: &str| format!("printf 'Id={id}\\nActiveState=active\\n\\n'");
    for (name, script) in [
        ("prose", "echo hello".to_owned()),
        ("nothing, and content with it", "exit 0".to_owned()),
        ("another unit", one("z.service")),
        ("in another order", format!("{}; {}", one("b.service"), one("a.service"))),
        ("one too many", format!("{}; {}; {}", one("a.service"), one("b.service"), one("c.service"))),
        ("one too few, and content with it", one("a.service")),
        ("binary", "head -c 100000 /dev/zero".to_owned()),
        ("endless", "yes Id=a.service".to_owned()),
    ] {
        let answers = Fake::running(&script).systemd(LONG).units(&names(&["a", "b"])).await;
        assert_eq!(answers.len(), 2);
        assert!(answers.values().all(|answer| *answer == no_answer(UnitSilence::Garbled)), "{name}: {answers:?}");
    }
}

#[tokio::test]
async fn a_call_that_hangs_is_ended_with_all_it_began() {
    let fake = Fake::running("echo $$ > \"$0.pid\"; sleep 1000 & echo $! > \"$0.child\"; exec sleep 1000");
    let units: Vec<String> = (0..2000).map(|n| format!("a{n}")).collect();
    let answers = fake.systemd(SHORT).units(&units).await;
    assert_eq!(answers.len(), 2000);
    assert!(answers.values().all(|answer| *answer == no_answer(UnitSilence::TimedOut(SHORT))));
    // One deadline for all: the calls that were still to come are not begun.
    assert!(fake.calls().len() <= 4, "{}", fake.calls().len());
    for file in ["pid", "child"] {
        let pid = fs::read_to_string(format!("{}.{file}", fake.program().display())).unwrap();
        assert!(!lives(pid.trim()), "{file}");
    }
}

/// Whether a process runs; what only waits to be reaped does not.
fn lives(pid: &str) -> bool {
    let stat = fs::read_to_string(Path::new("/proc").join(pid).join("stat")).unwrap_or_default();
    stat.rsplit_once(") ").is_some_and(|(_, rest)| !rest.starts_with(['Z', 'X']))
}

#[tokio::test]
async fn a_missing_program_is_no_answer() {
    let folder = tempfile::tempdir().unwrap();
    let plain = folder.path().join("plain");
    fs::write(&plain, "no program").unwrap();
    for program in [folder.path().join("none"), plain, PathBuf::from("no-such-program-anywhere")] {
        let systemd = Systemd::new(SystemdSettings { program, deadline: LONG });
        assert_eq!(systemd.units(&names(&["a"])).await["a"], no_answer(UnitSilence::NoProgram));
    }
}

#[tokio::test]
async fn the_environment_is_ours_alone() {
    let fake = Fake::running("env > \"$0.env\"; exit 1");
    fake.systemd(LONG).units(&names(&["a"])).await;
    let env = fs::read_to_string(format!("{}.env", fake.program().display())).unwrap();
    let mut keys: Vec<&str> = env.lines().filter_map(|line| line.split_once('=').map(|(key, _)| key)).collect();
    keys.retain(|key| !["PWD", "OLDPWD", "SHLVL", "_"].contains(key));
    keys.sort_unstable();
    assert_eq!(keys, ["LANG", "LC_ALL", "PATH", "SYSTEMD_COLORS", "SYSTEMD_PAGER"]);
}

#[test]
fn a_manager_is_there_if_its_folder_is() {
    let root = tempfile::tempdir().unwrap();
    assert!(!has_service_manager(root.path()));
    fs::create_dir_all(root.path().join("run/systemd/system")).unwrap();
    assert!(has_service_manager(root.path()));
}
