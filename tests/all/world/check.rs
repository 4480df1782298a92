//! What must be true at the end of every story.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use lazarus_gate::store::requests::RequestPhase;
use rustix::process::{Pid, Signal, kill_process_group};

use super::World;

impl World {
    /// Waits until nothing is under way, stops the daemon, and checks the invariants.
    pub fn check_and_stop(&mut self) {
        if self.daemon.is_some() {
            if !self.half_done {
                self.until("no execution is half done", |world| world.live_executions().is_empty().then_some(()));
            }
            let ended = self.stop();
            assert!(ended.success(), "the daemon ended with {ended}\n{}", self.everything());
        }
        self.check();
    }

    /// The invariants that the outside can see. Panics with the whole story if one does not hold.
    pub fn check(&mut self) {
        self.checked = true;
        if !self.store().exists() {
            return;
        }
        let broken = self.broken_promises();
        assert!(broken.is_empty(), "broken: {broken:#?}\n{}", self.everything());
    }

    /// Each invariant that does not hold, in words.
    pub fn broken_promises(&self) -> Vec<String> {
        let mut broken = Vec::new();
        let verified = self.says(&["journal", "verify"]);
        if verified.code != Some(0) {
            broken.push(format!("the journal is not whole: {verified:?}"));
        }
        let journal = self.journal();
        let of_kind = |kind: &'static str| journal.iter().filter(move |entry| entry.kind == kind);
        let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();

        // No execution without an approved request or the policy's yes (invariant 1).
        let mut of_request: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for entry in of_kind("ready") {
            let id = text(&entry.body["execution"]);
            let Some(row) = self.execution(&id) else {
                broken.push(format!("execution {id} is in the journal only"));
                continue;
            };
            match (row.request_id, entry.body["by_policy"] == true) {
                (None, true) => {}
                (Some(request), false) => {
                    let state = self.request(&request).map(|request| request.state);
                    if state != Some(RequestPhase::Approved) {
                        broken.push(format!("execution {id} goes by request {request}, which is {state:?}"));
                    }
                    of_request.entry(request).or_default().push(id);
                }
                (request, by_policy) => {
                    broken.push(format!("execution {id}: request {request:?}, by policy: {by_policy}"));
                }
            }
        }

        // What ran was started, and once: per run file, per execution, per decision (invariant 2).
        // What goes by HTTP has no file.
        let with_files = || of_kind("started").filter(|entry| !text(&entry.body["run"]).is_empty());
        let started: BTreeMap<String, String> =
            with_files().map(|entry| (text(&entry.body["run"]), text(&entry.body["execution"]))).collect();
        if started.len() != with_files().count() {
            broken.push("a run file was used twice".into());
        }
        let runs = self.runs();
        let mut effects: BTreeMap<&str, u32> = BTreeMap::new();
        for (agent, run) in &runs {
            match started.get(run) {
                Some(execution) => *effects.entry(execution).or_default() += 1,
                // Its shim was killed before the command could ask for its name.
                None if run.is_empty() => {}
                None => broken.push(format!("a command ran for {agent} in {run}, which was never committed")),
            }
        }
        for (execution, times) in &effects {
            if *times > 1 {
                broken.push(format!("execution {execution} took effect {times} times"));
            }
        }
        for (request, executions) in &of_request {
            let times: u32 = executions.iter().filter_map(|id| effects.get(id.as_str())).sum();
            if times > 1 {
                broken.push(format!("request {request} took effect {times} times"));
            }
        }
        for agent in runs.iter().map(|(agent, _)| agent).collect::<BTreeSet<_>>() {
            let begun = of_kind("started").filter(|entry| entry.agent.as_ref() == Some(agent)).count();
            let ran = runs.iter().filter(|(of, _)| of == agent).count();
            if ran > begun {
                broken.push(format!("{agent}: {ran} commands ran, {begun} were started"));
            }
        }
        if !self.half_done {
            for row in self.live_executions() {
                broken.push(format!("execution {} of {} was left {}", row.id, row.agent, row.state));
            }
        }
        broken
    }

    /// The process ids of this world's shims that still live, each the leader of its group.
    pub fn shims(&self) -> Vec<i32> {
        let ours = self.path("store/runs").display().to_string();
        let is_ours = |args: &[String]| args.get(1).is_some_and(|verb| verb == "shim") && args[2].starts_with(&ours);
        all_processes().filter(|(_, args)| args.len() > 2 && is_ours(args)).map(|(id, _)| id).collect()
    }

    /// Processes that have a path in this folder among their arguments.
    pub fn processes_naming(&self, folder: &Path) -> Vec<i32> {
        let folder = folder.display().to_string();
        all_processes().filter(|(_, args)| args.iter().any(|arg| arg.starts_with(&folder))).map(|(id, _)| id).collect()
    }

    /// Kills what a story has left hanging, command and shim.
    pub fn end_shims(&self) {
        for id in self.shims() {
            if let Some(group) = Pid::from_raw(id) {
                let _ = kill_process_group(group, Signal::KILL);
            }
        }
    }
}

/// The processes of this machine with their arguments.
fn all_processes() -> impl Iterator<Item = (i32, Vec<String>)> {
    let processes = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    let ids = processes.filter_map(|process| process.file_name().to_str()?.parse::<i32>().ok());
    ids.map(|id| {
        let line = std::fs::read(format!("/proc/{id}/cmdline")).unwrap_or_default();
        (id, line.split(|byte| *byte == 0).map(|arg| String::from_utf8_lossy(arg).into_owned()).collect())
    })
}
