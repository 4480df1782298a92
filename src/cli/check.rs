//! `lazarus-gate check`: every problem of every file, and nothing else.

use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use serde::Serialize;

use crate::config::{self, Lookup, Problem, Problems, Severity, Users};

/// What is checked where no file is named and none is found.
pub const DEFAULT_CONFIG: &str = "config/lazarus-gate.yaml";

/// Read the configuration, and print all problems of all its files
#[derive(Debug, clap::Args)]
pub struct CheckArgs {
    /// The gateway's file; it names the others. Found by [`ConfigAt`](super::ConfigAt).
    #[arg(skip)]
    pub config: PathBuf,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
    /// Let warnings fail too
    #[arg(long)]
    pub strict: bool,
}

/// What `--json` prints.
#[derive(Debug, Serialize)]
struct Report<'a> {
    ok: bool,
    errors: usize,
    warnings: usize,
    problems: &'a [Problem],
}

/// Checks the files as they are used on this machine. Leaves with 0, or with 1 if there is an
/// error (or, with `--strict`, a warning).
///
/// # Errors
/// Only if the report cannot be written.
pub fn run(args: &CheckArgs) -> anyhow::Result<ExitCode> {
    let (ok, problems) = check(args, &Users::of_this_machine());
    match print(args, ok, &problems, &mut anstream::stdout().lock()) {
        // Whoever closed the pipe has read enough.
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => return Err(error.into()),
        Ok(()) | Err(_) => {}
    }
    Ok(if ok { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn check(args: &CheckArgs, machine: &dyn Lookup) -> (bool, Problems) {
    let problems = match config::load(&args.config, machine) {
        Ok(loaded) => loaded.warnings,
        Err(problems) => problems,
    };
    let ok = if args.strict { problems.0.is_empty() } else { !problems.is_refused() };
    (ok, problems)
}

fn print(args: &CheckArgs, ok: bool, problems: &Problems, out: &mut dyn Write) -> io::Result<()> {
    let (errors, warnings) = (problems.errors().count(), problems.warnings().count());
    if args.json {
        let report = Report { ok, errors, warnings, problems: &problems.0 };
        serde_json::to_writer_pretty(&mut *out, &report)?;
        return writeln!(out);
    }
    for problem in &problems.0 {
        let colour = match problem.severity {
            Severity::Error => "\u{1b}[31m",
            Severity::Warning => "\u{1b}[33m",
        };
        writeln!(out, "{colour}{problem}\u{1b}[0m")?;
    }
    let count = |number: usize, word: &str| format!("{number} {word}{}", if number == 1 { "" } else { "s" });
    match (errors, warnings) {
        (0, 0) => writeln!(out, "{}: no problem", args.config.display()),
        _ => writeln!(out, "{}, {}", count(errors, "error"), count(warnings, "warning")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nobody(_: &str) -> Option<u32> {
        None
    }

    fn report(gate: &str, json: bool, strict: bool) -> (bool, String) {
        let folder = tempfile::tempdir().unwrap();
        let config = folder.path().join("g.yaml");
        std::fs::write(&config, gate).unwrap();
        std::fs::write(folder.path().join("lazarus-registry.yaml"), "fleet: {a: {mission: m}}\n").unwrap();
        std::fs::write(folder.path().join("resurrection_pool.json"), "{}").unwrap();
        std::fs::write(folder.path().join("mission_bus_profiles.json"), "{}").unwrap();
        let args = CheckArgs { config, json, strict };
        let (ok, problems) = check(&args, &nobody);
        let mut out = Vec::new();
        print(&args, ok, &problems, &mut anstream::StripStream::new(&mut out)).unwrap();
        (ok, String::from_utf8(out).unwrap().replace(&format!("{}/", folder.path().display()), ""))
    }

    const FINE: &str = "people: {kim: {local_user: 1, approves: '*'}}\n";
    const ODD: &str = "people: {kim: {local_user: 1, approves: '*'}, lee: {local_user: lee}}\n";

    #[test]
    fn the_exit_code_follows_the_worst_problem() {
        assert_eq!(report(FINE, false, true), (true, "g.yaml: no problem\n".into()));
        assert!(report(ODD, false, false).0);
        assert!(!report(ODD, false, true).0);
        let (ok, said) = report("issue: x\n", false, false);
        assert!(!ok);
        assert!(said.starts_with("g.yaml:1:1: error: `issue`: is text; write a whole number"), "{said}");
        assert!(said.ends_with("2 errors, 0 warnings\n"), "{said}");
    }

    #[test]
    fn json_holds_file_line_and_column() {
        let (_, said) = report("people: {kim: {local_user: 1, approves: '*'}}\nissue: x\n", true, false);
        let said: serde_json::Value = serde_json::from_str(&said).unwrap();
        assert_eq!(said["ok"], false);
        assert_eq!(said["errors"], 1);
        let problem = &said["problems"][0];
        assert_eq!((&problem["file"], &problem["line"], &problem["column"]), (&"g.yaml".into(), &2.into(), &1.into()));
        assert_eq!(problem["severity"], "error");
        let (_, said) = report("", true, false);
        let said: serde_json::Value = serde_json::from_str(&said).unwrap();
        assert_eq!(said["problems"][0]["line"], serde_json::Value::Null);
    }
}
