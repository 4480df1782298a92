use std::fs::{self, File};
use std::net::TcpListener;
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, bail};

use crate::channel::nostr::npub;
use crate::cli::example_agent::{agent_file, port_of, quickstart_lock};
use crate::cli::keys;
use crate::pool::AgentName;

/// The agents, and what the policy says of each.
const AGENTS: [(&str, &str, &str); 3] = [
    ("ada", "ledger", "people are asked before it is restarted"),
    ("bob", "errands", "it is restarted by itself"),
    ("cleo", "archive", "it is left alone"),
];

/// How long an agent may take to end.
const ENDS_WITHIN: Duration = Duration::from_secs(10);

/// A small fleet in a folder of its own, and the lock that its agents live by.
pub struct Fleet {
    dir: PathBuf,
    program: PathBuf,
    lock: File,
}

impl Fleet {
    /// Makes the folder anew, with its configuration and a free port for each agent.
    pub fn set_up(dir: &Path, uid: u32) -> anyhow::Result<Self> {
        let lock_file = quickstart_lock(dir);
        if dir.exists() && !lock_file.exists() && dir.read_dir()?.next().is_some() {
            bail!("{} is no quickstart's folder and is not empty; name another one with --dir", dir.display());
        }
        fs::DirBuilder::new().recursive(true).mode(0o700).create(dir)?;
        fs::set_permissions(dir, fs::Permissions::from_mode(0o700))?;
        let lock = File::options().create(true).write(true).truncate(false).open(&lock_file)?;
        if lock.try_lock().is_err() {
            bail!("a quickstart runs in {} already; end it, or name another folder with --dir", dir.display());
        }
        for entry in dir.read_dir()? {
            let path = entry?.path();
            if path.is_dir() {
                fs::remove_dir_all(&path)?;
            } else if path != lock_file {
                fs::remove_file(&path)?;
            }
        }
        let program = std::env::current_exe().context("this program does not know where it is")?;
        let fleet = Self { dir: dir.to_owned(), program, lock };
        fleet.write_files(uid)?;
        Ok(fleet)
    }

    /// Starts every agent.
    pub async fn start(&self) -> anyhow::Result<()> {
        for (name, _, _) in AGENTS {
            let started = tokio::process::Command::new(&self.program)
                .args(["example-agent", "--dir"])
                .arg(&self.dir)
                .arg(name)
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .status()
                .await?;
            if !started.success() {
                bail!("the agent {name} did not come up; see {}", self.dir.join("agents").display());
            }
        }
        Ok(())
    }

    /// Lets go of the lock that the agents live by, and waits until they have ended.
    pub fn stop(self) -> anyhow::Result<()> {
        let (dir, lock) = (self.dir, self.lock);
        lock.unlock()?;
        let (done, ended) = std::sync::mpsc::channel();
        let folder = dir.clone();
        std::thread::spawn(move || {
            for (name, _, _) in AGENTS {
                let Ok(agent) = AgentName::new(name) else { continue };
                if let Ok(held) = File::open(agent_file(&folder, &agent, "lock")) {
                    // An agent holds it for as long as it lives.
                    let _ = held.lock();
                }
            }
            let _ = done.send(());
        });
        if ended.recv_timeout(ENDS_WITHIN).is_err() {
            bail!("an agent does not end; its process id is in {}", dir.join("agents").display());
        }
        Ok(())
    }

    /// The gateway's file.
    pub fn config(&self) -> PathBuf {
        self.dir.join("lazarus-gate.yaml")
    }

    /// The approver's secret key.
    pub fn approver(&self) -> PathBuf {
        self.dir.join("approver.key")
    }

    /// The daemon's socket.
    pub fn socket(&self) -> PathBuf {
        self.dir.join("run").join("gate.sock")
    }

    /// Ends an agent the hard way.
    pub fn kill(&self, name: &str) -> anyhow::Result<u32> {
        let agent = AgentName::new(name)?;
        let pid: u32 = fs::read_to_string(agent_file(&self.dir, &agent, "pid"))?.trim().parse()?;
        let process = i32::try_from(pid).ok().and_then(rustix::process::Pid::from_raw).context("no process id")?;
        rustix::process::kill_process(process, rustix::process::Signal::KILL)?;
        Ok(pid)
    }

    /// What a newcomer needs to know.
    pub fn introduction(&self, auto: bool) -> String {
        let mut text = String::from("A small fleet is up: three real processes, each with a health endpoint.\n\n");
        for (name, mission, means) in AGENTS {
            let port = AgentName::new(name).ok().and_then(|agent| port_of(&self.dir, &agent).ok()).unwrap_or(0);
            text.push_str(&format!("  {name:<5} 127.0.0.1:{port:<6} mission {mission:<8} if it dies, {means}\n"));
        }
        let pid = agent_file(&self.dir, &AgentName::new("ada").unwrap_or_else(|_| unreachable!()), "pid");
        let (me, config) = (shown(&self.program), self.config());
        let config = config.display();
        if auto {
            text.push_str("\nNow watch: ada is killed, people are asked, somebody approves with a Nostr key.\n");
            return text;
        }
        text.push_str(&format!(
            "\nNow kill one, in another terminal:\n\n  kill -9 $(cat {})\n\n\
             A request will be printed here within some seconds. Answer here (approve CODE), or there:\n\n  \
             {me} --config {config} pending\n  {me} --config {config} approve CODE\n\n\
             or sign it with a key of your own, over the relay that runs here:\n\n  \
             {me} --config {config} approve CODE --nostr --key {}\n\nCtrl-C ends everything.\n",
            pid.display(),
            self.approver().display(),
        ));
        text
    }

    fn write_files(&self, uid: u32) -> anyhow::Result<()> {
        fs::create_dir(self.dir.join("agents"))?;
        // All ports are taken at the same time, so that no two agents get the same, and the relay another one.
        let listeners = AGENTS.map(|_| TcpListener::bind(("127.0.0.1", 0)));
        let relay = TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port();
        let mut registry = String::from("fleet:\n");
        for ((name, mission, _), listener) in AGENTS.into_iter().zip(listeners) {
            let port = listener?.local_addr()?.port();
            fs::write(agent_file(&self.dir, &AgentName::new(name)?, "port"), format!("{port}\n"))?;
            registry.push_str(&format!(
                "  {name}:\n    host: 127.0.0.1\n    mission: {mission}\n    \
                 health_endpoints: {{gateway: 'http://127.0.0.1:{port}/health'}}\n"
            ));
        }
        fs::write(self.dir.join("lazarus-registry.yaml"), registry)?;
        fs::write(self.dir.join("resurrection_pool.json"), POLICY)?;
        fs::write(self.dir.join("mission_bus_profiles.json"), crate::config::DEFAULT_PROFILES)?;
        let quoted = |path: &Path| serde_json::Value::from(path.to_string_lossy().into_owned()).to_string();
        let dir = fs::canonicalize(&self.dir)?;
        // The gateway's key and one approver's; the relay is between them.
        let gateway = keys::generate(&dir.join("gateway.key"))?;
        let approver = keys::generate(&dir.join("approver.key"))?;
        fs::write(self.dir.join("gateway.npub"), npub(&gateway.hex()))?;
        let gate = GATE
            .replace("$RELAY", &format!("127.0.0.1:{relay}"))
            .replace("$NPUB", &npub(&approver.hex()))
            .replace("$PROGRAM", &quoted(&self.program))
            .replace("$DIR", &quoted(&dir))
            .replace("$UID", &uid.to_string());
        fs::write(self.config(), gate)?;
        Ok(())
    }
}

/// The program as a person would type it: relative, if it lies below this folder.
fn shown(program: &Path) -> String {
    let here = std::env::current_dir().ok();
    let relative = here.and_then(|here| program.strip_prefix(here).ok().map(Path::to_owned));
    relative.unwrap_or_else(|| program.to_owned()).display().to_string()
}

const POLICY: &str = r#"{
  "dead_timeout_seconds": 2,
  "default_policy": {"mode": "ask"},
  "missions": {"ledger": {"mode": "ask"}, "errands": {"mode": "yes"}, "archive": {"mode": "no"}},
  "agents": {},
  "substitutions": {},
  "approval_channels": {"nostr": {"enabled": true, "target": "me"}}
}
"#;

const GATE: &str = r"# Made by `lazarus-gate quickstart`; everything is short here, so that one can watch.
store: {path: gate.db}
socket: run/gate.sock
schedule: {interval: 1s, probe_deadline: 500ms}
timing:
  healthy_for: 3s
  verify_gap: 1s
  verify_for: 20s
  reask_after: 15s
  back_off: [2s, 5s, 10s]
restart:
  # The example's agents are no systemd units: this starts one anew.
  - {agents: '*', run: [$PROGRAM, example-agent, --dir, $DIR, '{agent}'], timeout: 15s}
people:
  me: {local_user: $UID, nostr: $NPUB, relays: ['ws://$RELAY'], approves: '*'}
channels:
  terminal: {enabled: true}
  nostr:
    enabled: true
    # A relay inside the daemon, on this machine only.
    embedded_relay: $RELAY
    secret_key_file: gateway.key
    audiences: {me: {people: [me], style: private}}
";
