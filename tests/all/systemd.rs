//! The service's unit, read and run by systemd itself.

use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::process::Command;

const BINARY: &str = env!("CARGO_BIN_EXE_lazarus-gate");
const REPOSITORY: &str = env!("CARGO_MANIFEST_DIR");

/// `systemd-analyze verify` refuses a unit whose program is not there, so it reads a copy that names
/// the built one.
#[test]
fn systemd_finds_nothing_wrong_with_the_unit() {
    if Command::new("systemd-analyze").arg("--version").output().is_err() {
        skipped("systemd-analyze is not installed; deploy/lazarus-gate.service is not verified");
        return;
    }
    let deploy = Path::new(REPOSITORY).join("deploy");
    let unit = fs::read_to_string(deploy.join("lazarus-gate.service")).unwrap();
    assert!(unit.contains("ExecStart=/usr/local/bin/lazarus-gate "), "the unit starts another program");
    let folder = tempfile::tempdir().unwrap();
    let copy = folder.path().join("lazarus-gate.service");
    fs::write(&copy, unit.replace("/usr/local/bin/lazarus-gate", BINARY)).unwrap();

    let verified = Command::new("systemd-analyze").arg("verify").arg(&copy).output().unwrap();
    let told = String::from_utf8_lossy(&verified.stderr);
    // It also reads the units of this machine that ours names, and may not like those.
    let ours: Vec<_> = told.lines().filter(|line| line.contains("lazarus-gate")).collect();
    assert!(verified.status.success() && ours.is_empty(), "{told}");

    let drop_in = deploy.join("lazarus-gate.service.d/sudo.conf");
    let folder_of_drop_ins = folder.path().join("lazarus-gate.service.d");
    fs::create_dir(&folder_of_drop_ins).unwrap();
    fs::copy(drop_in, folder_of_drop_ins.join("sudo.conf")).unwrap();
    let verified = Command::new("systemd-analyze").arg("verify").arg(&copy).output().unwrap();
    let told = String::from_utf8_lossy(&verified.stderr);
    assert!(verified.status.success() && !told.contains("sudo.conf"), "{told}");
}

/// Sandbox, polkit, sudo, and a restart of the daemon while its command runs: see tests/systemd/run.
#[test]
fn the_service_under_a_real_systemd() {
    if !wanted() {
        skipped("the service is not run under a real systemd; LAZARUS_SYSTEMD=1 includes that (as root)");
        return;
    }
    let ran = Command::new(Path::new(REPOSITORY).join("tests/systemd/run")).arg(BINARY).output().unwrap();
    let told = format!("{}{}", String::from_utf8_lossy(&ran.stdout), String::from_utf8_lossy(&ran.stderr));
    assert_ne!(ran.status.code(), Some(77), "LAZARUS_SYSTEMD is set, but it cannot run here:\n{told}");
    assert!(ran.status.success(), "{told}");
    println!("{told}");
}

/// Aloud: what a test that passes prints is not shown, what it writes to standard error itself is.
fn skipped(what: &str) {
    let _ = writeln!(std::io::stderr(), "SKIPPED: {what}");
}

#[expect(clippy::disallowed_methods, reason = "a switch of the tests")]
fn wanted() -> bool {
    std::env::var("LAZARUS_SYSTEMD").is_ok_and(|value| value == "1")
}
