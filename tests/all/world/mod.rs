//! A world for stories: a folder with written files, fake agents, the real daemon, and people at the
//! command line.
//!
//! ```ignore
//! let mut world = World::with_agents(&["ada", "bob"]).start();
//! world.silence("ada");
//! let code = world.asked_about("ada");
//! world.says(&["approve", &code]).taken();
//! world.until_journal("ada", "verified");
//! ```
//!
//! Waiting is looking again and again for an event, with a generous deadline; whoever waits in vain
//! is shown all that the daemon said and did. On the way out every world checks the invariants, and
//! that nothing was left half done.

mod agents;
mod check;
mod daemon;
mod inside;
mod people;
mod record;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use lazarus_gate::store::Reader;
use lazarus_gate::store::agents::{self as agents_on_record, Health};
use rustix::process::Signal;
use serde_json::{Value, json};

use agents::FakeAgent;
pub use daemon::{Daemon, GATE, Written};
pub use inside::Inside;
pub use people::{Heard, can_be_others, hear};
pub use record::Entry;

/// How long a story waits for anything.
pub const DEADLINE: Duration = Duration::from_secs(20);
/// How often it looks.
const LOOK_EVERY: Duration = Duration::from_millis(30);

/// What the restart command does, besides noting that it ran.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Restart {
    /// Brings the agent back.
    Revives,
    /// Ends well, and changes nothing.
    ChangesNothing,
    /// Ends with this status.
    Fails(u8),
    /// Never ends by itself.
    Hangs,
    /// Writes a gigabyte, then brings the agent back.
    Prints1Gb,
    /// Waits until [`World::let_commands_go_on`], then brings the agent back.
    Waits,
}

/// Everything a story plays in.
pub struct World {
    home: tempfile::TempDir,
    agents: BTreeMap<String, FakeAgent>,
    /// `lazarus-gate.yaml`; JSON is YAML, too. Written at the start and by [`World::save`].
    pub gate: Value,
    /// `lazarus-registry.yaml`.
    pub registry: Value,
    /// `resurrection_pool.json`.
    pub policy: Value,
    /// The daemon, while one runs.
    pub daemon: Option<Daemon>,
    /// What daemons of this world wrote to their output: what people were told.
    pub told: Written,
    /// Their logs.
    pub log: Written,
    runtime: tokio::runtime::Runtime,
    reader: RefCell<Option<Reader>>,
    /// Whether a story ends in the middle of something on purpose.
    half_done: bool,
    checked: bool,
}

/// Waits a little before looking again.
pub fn pause(time: Duration) {
    // Nothing is ever sent here; waiting for it is the pause.
    let (_never, nothing) = mpsc::channel::<()>();
    let _ = nothing.recv_timeout(time);
}

/// The user that the tests run as.
pub fn own_uid() -> u32 {
    rustix::process::geteuid().as_raw()
}

impl World {
    /// A fleet of these agents, each on a mission called after it (`ada` on `ada-mission`) and each
    /// asked about; `me`, the user of the tests, may decide everything; the restart command revives.
    pub fn with_agents(names: &[&str]) -> Self {
        // Socket paths are short, so the folder's is.
        let home = tempfile::Builder::new().prefix("lg").tempdir().expect("a folder for the world");
        fs::set_permissions(home.path(), fs::Permissions::from_mode(0o755)).expect("a folder others can pass");
        for folder in ["config", "revived", "store", "go-on"] {
            fs::create_dir(home.path().join(folder)).expect("the world's folders");
        }
        fs::set_permissions(home.path().join("store"), fs::Permissions::from_mode(0o700)).expect("the store's folder");
        let at = |path: &str| home.path().join(path).display().to_string();
        let gate = json!({
            "store": {"path": at("store/gate.db")},
            "socket": at("run/gate.sock"),
            "schedule": {"interval": "100ms", "probe_deadline": "100ms", "jitter": 0},
            "timing": {
                "healthy_for": "200ms", "verify_gap": "100ms", "verify_for": "2s", "reask_after": "300ms",
                "reask_max": "1s", "recheck_deadline": "300ms", "back_off": ["100ms", "200ms", "300ms"],
                "start_grace": "0ms", "idle_tick": "100ms", "reload_check": "100ms",
                "reconnect": "3s",
            },
            "restart": [{"run": ["/bin/sh", at("restart.sh"), "{agent}"], "timeout": "60s"}],
            "people": {"me": {"local_user": own_uid(), "approves": "*"}},
            "channels": {"terminal": {"enabled": true}},
        });
        let mut world = Self {
            agents: BTreeMap::new(),
            gate,
            registry: json!({"fleet": {}}),
            policy: json!({
                "dead_timeout_seconds": 0, "default_policy": {"mode": "ask"}, "missions": {}, "agents": {},
                "substitutions": {}, "approval_channels": {},
            }),
            daemon: None,
            told: Written::default(),
            log: Written::default(),
            runtime: tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime"),
            reader: RefCell::new(None),
            half_done: false,
            checked: false,
            home,
        };
        world.restart_command(Restart::Revives);
        for name in names {
            world.add_agent(name);
        }
        world
    }

    fn add_agent(&mut self, name: &str) {
        let agent = FakeAgent::start(self.path("revived").join(name));
        self.registry["fleet"][name] = json!({
            "host": "127.0.0.1", "mission": format!("{name}-mission"), "health_endpoints": {"gateway": agent.url()},
        });
        self.agents.insert(name.to_owned(), agent);
    }

    /// Changes something before the start (or before [`World::save`]).
    pub fn but(mut self, change: impl FnOnce(&mut Self)) -> Self {
        change(&mut self);
        self
    }

    /// A file of the world.
    pub fn path(&self, name: &str) -> PathBuf {
        self.home.path().join(name)
    }

    /// The gateway's file.
    pub fn config(&self) -> PathBuf {
        self.path("config/lazarus-gate.yaml")
    }

    /// Writes the three files as they stand in `gate`, `registry` and `policy`, each whole at once.
    pub fn save(&self) {
        for (name, value) in [
            ("lazarus-gate.yaml", &self.gate),
            ("lazarus-registry.yaml", &self.registry),
            ("resurrection_pool.json", &self.policy),
            ("mission_bus_profiles.json", &Value::Null),
        ] {
            let text = match value {
                Value::Null => lazarus_gate::config::DEFAULT_PROFILES.to_owned(),
                value => format!("{value:#}"),
            };
            self.write(&format!("config/{name}"), &text);
        }
    }

    /// Writes a file of the world, whole at once.
    pub fn write(&self, name: &str, text: &str) {
        let (path, new) = (self.path(name), self.path("new-file"));
        fs::write(&new, text).and_then(|()| fs::rename(&new, &path)).expect("the world's files can be written");
    }

    /// What the restart command does from now on. Each run adds a line to `runs.log`: the agent and
    /// the run file's name, which it sees from its shim's arguments.
    pub fn restart_command(&self, does: Restart) {
        let home = self.home.path().display();
        let revive = format!(": > '{home}/revived/'\"$1\"");
        let then = match does {
            Restart::Revives => revive,
            Restart::ChangesNothing => "true".to_owned(),
            Restart::Fails(status) => format!("echo 'it went wrong' >&2; exit {status}"),
            Restart::Hangs => "exec sleep 1000".to_owned(),
            Restart::Prints1Gb => format!("head -c 1000000000 /dev/zero; {revive}"),
            Restart::Waits => format!("while [ ! -e '{home}/go-on/'\"$1\" ]; do sleep 0.05; done; {revive}"),
        };
        let script =
            format!("run=$(tr '\\0' ' ' < /proc/$PPID/cmdline)\necho \"$1 $run\" >> '{home}/runs.log'\n{then}\n");
        self.write("restart.sh", &script);
    }

    /// Restart commands that wait go on.
    pub fn let_commands_go_on(&self) {
        for name in self.agents.keys() {
            fs::write(self.path("go-on").join(name), "").expect("a sign for the command");
        }
    }

    /// The runs of the restart command: agent and run file's name, in order.
    pub fn runs(&self) -> Vec<(String, String)> {
        let text = fs::read_to_string(self.path("runs.log")).unwrap_or_default();
        let lines = text.lines().filter_map(|line| line.split_once(' '));
        lines
            .map(|(agent, shim)| {
                // Whoever else is its parent has taken over an orphan: its shim was killed.
                let run = if shim.contains(" shim ") { shim.trim().rsplit('/').next() } else { None };
                let run = run.unwrap_or_default();
                (agent.to_owned(), run.to_owned())
            })
            .collect()
    }

    /// How often the restart command ran for `agent`.
    pub fn runs_of(&self, agent: &str) -> usize {
        self.runs().iter().filter(|(of, _)| of == agent).count()
    }

    /// Writes the files and starts the daemon; comes back when all agents were seen.
    pub fn start(mut self) -> Self {
        self.save();
        self.start_daemon();
        self.until_all_healthy();
        self
    }

    /// Starts a daemon over the files as they are, and waits until it answers.
    pub fn start_daemon(&mut self) {
        self.start_daemon_with(&[]);
    }

    /// As [`World::start_daemon`], with flags.
    pub fn start_daemon_with(&mut self, flags: &[&str]) {
        self.spawn_daemon(flags, None);
        self.until_daemon_answers();
    }

    /// Waits until a daemon answers.
    pub fn until_daemon_answers(&self) {
        // It listens before it answers, so the command line is asked once or twice.
        self.until("the daemon listens", |world| UnixStream::connect(world.path("run/gate.sock")).ok());
        self.until("the daemon answers", |world| world.says(&["status", "--json"]).found("daemon_since"));
    }

    /// Starts a daemon without waiting for anything, with a fail point at which it dies.
    pub fn spawn_daemon(&mut self, flags: &[&str], fail_point: Option<&str>) {
        let env: Vec<_> = fail_point.map(|point| ("LAZARUS_FAIL_POINT", point)).into_iter().collect();
        let daemon = Daemon::start(Path::new(GATE), &self.config(), flags, &env, &self.told, &self.log);
        self.daemon = Some(daemon);
    }

    /// Waits until the first daemon has seen every agent healthy.
    pub fn until_all_healthy(&self) {
        self.until("all agents are seen healthy", |world| {
            let seen = world.read(async |read| agents_on_record::load(read).await)?;
            let healthy = seen.iter().filter(|row| row.health == Health::Healthy).count();
            (healthy == world.agents.len()).then_some(())
        });
    }

    /// Whether a daemon of this world has seen `name` healthy.
    #[cfg(feature = "failpoints")]
    pub fn was_seen(&self, name: &str) -> bool {
        let rows = self.read(async |read| agents_on_record::load(read).await).unwrap_or_default();
        rows.iter().any(|row| row.agent.as_str() == name && row.last_healthy_at.is_some())
    }

    /// The running daemon.
    pub fn daemon(&mut self) -> &mut Daemon {
        self.daemon.as_mut().expect("a daemon runs")
    }

    /// Ends the daemon with SIGTERM, and tells how it ended.
    pub fn stop(&mut self) -> ExitStatus {
        self.reader.take();
        let mut daemon = self.daemon.take().expect("a daemon runs");
        daemon.signal(Signal::TERM);
        match daemon.wait(DEADLINE) {
            Some(status) => status,
            None => self.fail("the daemon does not stop"),
        }
    }

    /// Ends the daemon with SIGKILL.
    pub fn kill9(&mut self) {
        self.reader.take();
        let mut daemon = self.daemon.take().expect("a daemon runs");
        daemon.signal(Signal::KILL);
        daemon.wait(DEADLINE);
    }

    /// Waits until the daemon has died by itself, as at a fail point.
    pub fn until_daemon_died(&mut self) -> ExitStatus {
        self.reader.take();
        let ended = self.daemon().wait(DEADLINE);
        let Some(status) = ended else { self.fail("the daemon does not die") };
        self.daemon = None;
        status
    }

    /// The agent hangs up on everybody.
    pub fn silence(&self, name: &str) {
        self.agents[name].silence();
    }

    /// The agent answers again, by itself.
    pub fn revive(&self, name: &str) {
        self.agents[name].revive();
    }

    /// How often `name` was looked at so far.
    pub fn probes_of(&self, name: &str) -> u64 {
        self.agents[name].probes()
    }

    /// Waits until `name` was looked at so many times more.
    pub fn until_probed(&self, name: &str, times: u64) {
        let from = self.probes_of(name);
        let what = format!("{name} is probed {times} times more");
        self.until(&what, |world| (world.probes_of(name) >= from + times).then_some(()));
    }

    /// Looks again and again until there is something.
    pub fn until<T>(&self, what: &str, look: impl Fn(&Self) -> Option<T>) -> T {
        let begun = Instant::now();
        loop {
            if let Some(found) = look(self) {
                return found;
            }
            if begun.elapsed() > DEADLINE {
                self.fail(&format!("it did not happen that {what}"));
            }
            pause(LOOK_EVERY);
        }
    }

    /// Ends the test and shows everything.
    pub fn fail(&self, what: &str) -> ! {
        panic!("{what}")
    }

    /// Waits until people were told this.
    pub fn until_told(&self, text: &str) {
        self.until(&format!("people are told {text:?}"), |world| world.was_told(text).then_some(()));
    }

    /// Whether people were told this.
    pub fn was_told(&self, text: &str) -> bool {
        one_line(&self.told.text()).contains(&one_line(text))
    }

    /// What people were told in a world where only `agent` died: a line a message, with codes, times
    /// and lengths masked.
    pub fn words_about(&self, agent: &str) -> String {
        let mut text = self.told.text();
        for (name, mask) in [("key", "KEY"), ("code", "CODE")] {
            for asked in self.journaled(agent, "asked") {
                text = text.replace(asked.body[name].as_str().unwrap_or_default(), mask);
            }
        }
        masked(&text).replace(" [#", "\n[#").replace(&format!(" {agent} (CODE):"), &format!("\n{agent} (CODE):"))
    }

    /// The story ends in the middle of something, on purpose.
    pub fn may_end_half_done(&mut self) {
        self.half_done = true;
    }

    /// Lets go of the store, so that it can be closed or replaced.
    pub fn forget_reader(&self) {
        self.reader.take();
    }

    /// Everything that was said and done, for a failure's message.
    fn everything(&self) -> String {
        let mut text = format!(
            "--- people were told\n{}\n--- the daemons' log\n{}\n--- the journal\n",
            self.told.text(),
            self.log.text()
        );
        for entry in self.journal() {
            text.push_str(&format!("{entry}\n"));
        }
        text.push_str("--- runs of the restart command\n");
        for (agent, run) in self.runs() {
            text.push_str(&format!("{agent} in {run}\n"));
        }
        text
    }
}

/// Without the breaks that messages are wrapped with.
fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// In one line, without times of day and lengths of time.
fn masked(text: &str) -> String {
    let mut words: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        let bare = word.trim_matches(|c: char| !c.is_ascii_alphanumeric());
        let numeric = |word: &str| word.chars().all(|c| c.is_ascii_digit() || c == '.');
        let is_unit = ["ms", "s", "min", "h"].contains(&bare);
        if bare.len() == 8 && bare.split(':').count() == 3 {
            // A time of yesterday stands with its date: a test may run over midnight.
            words.pop_if(|last| last.parse::<jiff::civil::Date>().is_ok());
            words.push(word.replace(bare, "TIME"));
        } else if is_unit && words.last().is_some_and(|last| numeric(last)) {
            words.pop();
            words.push(word.replace(bare, "LENGTH"));
        } else {
            words.push(word.to_owned());
        }
    }
    words.join(" ")
}

impl Drop for World {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("{}", self.everything());
        } else if !self.checked {
            self.checked = true;
            self.check_and_stop();
        }
        self.reader.take();
        self.daemon.take();
        // Commands that a story left hanging end with it.
        self.end_shims();
    }
}
