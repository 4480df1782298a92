//! The `main` cases: the real command, with probes, service manager and clock injected.

use std::sync::Mutex;

use clap::{Args as _, Command, FromArgMatches as _};
use lazarus_gate::cli::plan::{PlanArgs, PlanSettings, PlanWorld, run};
use lazarus_gate::pool::{Execution, GatewayAnswer, RestartCommand};
use serde_json::{Value, json};

use super::adapt::{self, refusal};
use super::{Answer, Refusal};

struct Recorded<'c> {
    input: &'c Value,
    now: f64,
    commands_run: Mutex<Vec<String>>,
}

impl Recorded<'_> {
    fn run(&self, line: String) -> Execution {
        let execution = adapt::command(self.input, &line);
        self.commands_run.lock().unwrap().push(line);
        execution
    }
}

impl PlanWorld for Recorded<'_> {
    fn now_seconds(&self) -> f64 {
        self.now
    }

    fn store_holder(&self) -> Option<String> {
        None
    }

    async fn gateway(&self, url: &str) -> GatewayAnswer {
        adapt::gateway(self.input, url)
    }

    async fn is_active(&self, unit: &str) -> bool {
        self.run(format!("systemctl is-active {unit}")).executed
    }

    async fn restart(&self, command: &RestartCommand) -> Execution {
        self.run(command.to_string())
    }
}

pub fn main(input: &Value) -> Answer {
    let folder = tempfile::tempdir().map_err(|error| refusal("Test", error.to_string()))?;
    let mut arguments = vec!["plan".to_owned()];
    for (name, file) in [("registry", "registry.yaml"), ("policy", "policy.json"), ("state", "state.json")] {
        let path = folder.path().join(file);
        if let Some(text) = input["files"][name].as_str() {
            std::fs::write(&path, text).map_err(|error| refusal("Test", error.to_string()))?;
        }
        arguments.extend([format!("--{name}"), path.to_string_lossy().into_owned()]);
    }
    for argument in input["args"].as_array().into_iter().flatten() {
        arguments.push(adapt::text(argument)?.to_owned());
    }
    let world = Recorded { input, now: adapt::now(input)?, commands_run: Mutex::default() };
    let mut out = Vec::new();
    let exit_code = run_command(&arguments, &world, &mut out)?;
    let commands_run = world.commands_run.into_inner().map_err(|error| refusal("Test", error.to_string()))?;
    Ok(json!({
        "exit_code": exit_code,
        "stdout": String::from_utf8_lossy(&out),
        "state_file": std::fs::read_to_string(folder.path().join("state.json")).ok(),
        "commands_run": commands_run,
    }))
}

fn run_command(arguments: &[String], world: &Recorded<'_>, out: &mut Vec<u8>) -> Result<i32, Refusal> {
    let parsed = PlanArgs::augment_args(Command::new("plan")).try_get_matches_from(arguments);
    let args = match parsed.and_then(|matches| PlanArgs::from_arg_matches(&matches)) {
        Ok(args) => args,
        Err(error) => return Ok(error.exit_code()),
    };
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    let runtime = runtime.map_err(|error| refusal("Test", error.to_string()))?;
    Ok(match runtime.block_on(run(&args, &PlanSettings::default(), world, out)) {
        Ok(code) if code == std::process::ExitCode::SUCCESS => 0,
        Ok(_) => -1,
        Err(error) => {
            assert!(!format!("{error:#}").is_empty());
            1
        }
    })
}
