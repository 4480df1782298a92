//! Which program a command is started by: the small one, if it is of the same build as the daemon.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use lazarus_gate::revival::{CommandSpec, End, Launcher, RunFile, RunName, Settled, settle};

const WHOLE: &str = env!("CARGO_BIN_EXE_lazarus-gate");
const SMALL: &str = env!("CARGO_BIN_EXE_lazarus-gate-shim");

fn program(path: &Path, text: &str) {
    fs::write(path, text).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
}

#[tokio::test]
async fn a_command_runs_through_the_small_program() {
    let home = tempfile::tempdir().unwrap();
    let launcher = Launcher::new("/nowhere/lazarus-gate").or_by(Path::new(SMALL)).await;
    let argv = ["sh", "-c", "exit 7"].map(str::to_owned).to_vec();
    let spec = CommandSpec::new(argv, vec![("PATH".into(), "/usr/bin:/bin".into())]);
    let run = RunFile::create(home.path(), &RunName::new("execution", 1).unwrap(), &spec).unwrap();
    launcher.start(&run, &spec).await.unwrap().ended().await.unwrap();
    match settle(&run).unwrap() {
        Settled::Ended(outcome) => assert_eq!(outcome.end, End::Exited { code: 7 }),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn what_is_missing_or_of_another_build_is_not_used() {
    let home = tempfile::tempdir().unwrap();
    let other = home.path().join("other");
    program(&other, "#!/bin/sh\necho 0123456789abcdef\n");
    let no_program = home.path().join("no-program");
    fs::write(&no_program, "").unwrap();
    for path in [home.path().join("missing"), other, no_program, home.path().to_owned()] {
        let launcher = Launcher::new(WHOLE).or_by(&path).await;
        assert_eq!(launcher.program(), Path::new(WHOLE), "{}", path.display());
    }
}

#[tokio::test]
async fn an_upgrade_does_not_change_what_a_running_daemon_starts() {
    let home = tempfile::tempdir().unwrap();
    let small = home.path().join("lazarus-gate-shim");
    fs::copy(SMALL, &small).unwrap();
    let mut launcher = Launcher::new(WHOLE).or_by(&small).await;
    // Another test may be starting a process right now, which holds what was open for writing until it runs.
    while launcher.program() == Path::new(WHOLE) {
        launcher = launcher.or_by(&small).await;
    }
    let held = launcher.program();
    assert!(held.starts_with("/proc/self/fd"), "{}", held.display());
    let other = home.path().join("other");
    program(&other, "#!/bin/sh\n");
    // Another file in its place: the one that was found is still there, for us.
    fs::rename(&small, home.path().join("former")).unwrap();
    fs::rename(&other, &small).unwrap();
    assert_eq!(launcher.program(), held);
    // The very file written over: it is none of ours any more.
    program(&home.path().join("former"), "#!/bin/sh\n");
    assert_eq!(launcher.program(), Path::new(WHOLE));
}
