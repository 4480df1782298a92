//! What the benches share: a gateway's files for a fleet, and a real daemon.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use lazarus_gate::web::{Client, Patience};

/// A fleet and how it is looked after.
pub struct Fleet<'a> {
    /// How many agents.
    pub agents: usize,
    /// Where the `n`-th is asked whether it lives.
    pub url: &'a dyn Fn(usize) -> String,
    /// The schedule's settings, as they stand in the file.
    pub schedule: &'a str,
    /// The argument vector of a restart, as it stands in the file.
    pub restart: &'a str,
}

/// A new folder on the disk that the build is on: a temporary file system in memory would flatter the disk.
pub fn folder(name: &str) -> std::io::Result<tempfile::TempDir> {
    tempfile::Builder::new().prefix(name).tempdir_in(env!("CARGO_TARGET_TMPDIR"))
}

impl Fleet<'_> {
    /// Writes the gateway's files into `dir`; the path of its own.
    pub fn write(&self, dir: &Path) -> std::io::Result<PathBuf> {
        let mut registry = String::from("fleet:\n");
        for n in 0..self.agents {
            let url = (self.url)(n);
            let _ = writeln!(
                registry,
                "  agent-{n:05}:\n    host: 127.0.0.1\n    mission: forge\n    health_endpoints: {{gateway: '{url}'}}"
            );
        }
        std::fs::write(dir.join("lazarus-registry.yaml"), registry)?;
        let policy = r#"{"dead_timeout_seconds": 0, "default_policy": {"mode": "ask"}, "missions": {"forge": {"mode": "ask"}},
            "agents": {}, "substitutions": {}, "approval_channels": {}}"#;
        std::fs::write(dir.join("resurrection_pool.json"), policy)?;
        std::fs::write(dir.join("mission_bus_profiles.json"), lazarus_gate::config::DEFAULT_PROFILES)?;
        let (schedule, restart, uid) = (self.schedule, self.restart, rustix::process::geteuid().as_raw());
        // What was started is not looked at for long: the fleet stays dead.
        let gate = format!(
            "store: {{path: gate.db}}\nsocket: run/gate.sock\nschedule: {schedule}\n\
             timing: {{verify_gap: 1s, verify_for: 1s}}\n\
             restart:\n  - {{agents: '*', run: {restart}, timeout: 15s}}\n\
             people:\n  me: {{local_user: {uid}, approves: '*'}}\nchannels:\n  terminal: {{enabled: true}}\n"
        );
        let path = dir.join("lazarus-gate.yaml");
        std::fs::write(&path, gate)?;
        Ok(path)
    }
}

/// A real daemon; it is killed when this is dropped.
pub struct Daemon {
    child: Child,
    /// Speaks to it.
    pub client: Client,
}

impl Daemon {
    /// Starts one in `dir` and waits until it answers.
    pub async fn start(dir: &Path) -> std::io::Result<Self> {
        Self::start_with(dir, &[]).await
    }

    /// The same, with more in its environment.
    pub async fn start_with(dir: &Path, environment: &[(&str, &str)]) -> std::io::Result<Self> {
        let child = Command::new(env!("CARGO_BIN_EXE_lazarus-gate"))
            .envs(environment.iter().copied())
            .arg("run")
            .arg("--config")
            .arg(dir.join("lazarus-gate.yaml"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(std::fs::File::create(dir.join("log"))?)
            .spawn()?;
        let daemon = Self { child, client: Client::new(&dir.join("run/gate.sock"), Patience::default()) };
        let start = Instant::now();
        while !daemon.client.is_answered().await {
            assert!(start.elapsed() < Duration::from_secs(30), "no daemon: {}", text(&dir.join("log")));
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Ok(daemon)
    }

    /// The codes of all pending requests, once there are `many`.
    pub async fn codes(&self, many: usize) -> Vec<String> {
        let start = Instant::now();
        loop {
            let shown = self.client.read("/v1/pending").await.expect("what is pending");
            let requests = shown.value["requests"].as_array().expect("a list of requests");
            if requests.len() == many {
                let code = |view: &serde_json::Value| view["request"]["code"].as_str().expect("a code").to_owned();
                return requests.iter().map(code).collect();
            }
            assert!(start.elapsed() < Duration::from_secs(60), "{} of {many} are asked about", requests.len());
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }

    /// Its process.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// A line of its `/proc/PID/status` in KiB: `VmHWM`, `VmRSS`.
    pub fn memory_kib(&self, line: &str) -> u64 {
        memory_kib(self.child.id(), line)
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A line of `/proc/PID/status` in KiB.
pub fn memory_kib(pid: u32, line: &str) -> u64 {
    let status = text(Path::new(&format!("/proc/{pid}/status")));
    let found = status.lines().find_map(|one| one.strip_prefix(line)?.strip_prefix(':'));
    found.and_then(|rest| rest.trim().trim_end_matches(" kB").parse().ok()).unwrap_or(0)
}

/// The time that a process has spent on processors, in milliseconds, to the hundredth of a second.
pub fn cpu_ms(pid: u32) -> f64 {
    let stat = text(Path::new(&format!("/proc/{pid}/stat")));
    // The name of the program, in brackets, may hold anything.
    let after = stat.rsplit_once(')').map_or("", |(_, after)| after);
    let ticks = after.split_whitespace().skip(11).take(2).filter_map(|ticks| ticks.parse::<f64>().ok());
    ticks.sum::<f64>() * 10.0
}

/// A file, or nothing.
pub fn text(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_default()
}
