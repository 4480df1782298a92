//! One flow, played from the daemon's first start to its end, over as many deaths as it takes.

use std::collections::VecDeque;
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use lazarus_gate::store::requests::{self, RequestRow};
use lazarus_gate::store::{agents, executions, messages};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;

use crate::world::{Daemon, GATE, Restart, World, pause};

/// How long a flow may take, with its deaths.
const DEADLINE: Duration = Duration::from_secs(60);
/// How often it is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// What happens to ada after she fell silent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Flow {
    /// Somebody approves; she is restarted and lives.
    Approve,
    /// Somebody says no.
    Deny,
    /// bob takes over.
    Substitute,
    /// The policy restarts her by itself; people are only asked if that comes to nothing.
    PolicyYes,
    /// Somebody approves; the gate dies, and meanwhile she comes back by herself.
    ComesBack,
}

/// Who is killed from outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Victim {
    Daemon,
    Shim,
    Both,
}

/// When, after the start of the play, somebody is killed from outside.
#[derive(Clone, Copy, Debug)]
pub struct Kill {
    pub at: Duration,
    pub who: Victim,
}

/// What a flow came to.
#[derive(Debug)]
pub struct Played {
    /// Deaths of the daemon and, at a point in it, of a shim.
    pub kills: usize,
    /// The fail points that were come to, in order, over all lives.
    pub reached: Vec<String>,
}

/// What somebody was told for a vote.
#[derive(Debug)]
pub struct Vote {
    /// About which request.
    pub code: String,
    /// The command's exit code.
    pub exit: Option<i32>,
}

/// A flow in play.
pub struct Play {
    pub world: World,
    pub flow: Flow,
    /// At which point each of the next lives is to end; those after live on.
    lives: VecDeque<String>,
    kills_at: VecDeque<Kill>,
    begun: Instant,
    /// The point of the present life.
    point: Option<String>,
    silent: bool,
    said: Option<(String, Child)>,
    pub votes: Vec<Vote>,
    pub kills: usize,
    /// Whether a command's fate may be unknown.
    pub shims_died: bool,
}

/// Kills the shims of a world, and not their commands; tells how many.
pub fn kill_shims(world: &World) -> usize {
    let shims = world.shims();
    shims.into_iter().filter_map(Pid::from_raw).filter(|pid| kill_process(*pid, Signal::KILL).is_ok()).count()
}

/// Several worlds share the machine: a probe gets the time not to take a busy agent for a dead one.
pub fn calm(world: &mut World) {
    world.gate["schedule"]["interval"] = json!("200ms");
    world.gate["schedule"]["probe_deadline"] = json!("200ms");
    world.gate["timing"]["recheck_deadline"] = json!("1s");
}

/// The world of a flow, not started yet.
pub fn world_of(flow: Flow) -> World {
    World::with_agents(&["ada", "bob"]).but(|world| {
        calm(world);
        world.gate["timing"]["verify_for"] = json!("1200ms");
        match flow {
            Flow::Approve | Flow::Deny | Flow::ComesBack => {}
            Flow::PolicyYes => world.policy["missions"] = json!({"ada-mission": {"mode": "yes"}}),
            Flow::Substitute => {
                world.policy["substitutions"] = json!({"ada": ["bob"]});
                let script = world.path("restart.sh").display().to_string();
                world.gate["substitute"] = json!({"run": ["/bin/sh", script, "{agent}"], "timeout": "60s"});
                world.restart_command(Restart::ChangesNothing);
            }
        }
    })
}

/// Plays `flow`; the first lives of the daemon end at `points`, and it is killed at those times.
pub fn play(flow: Flow, points: &[&str], kills_at: &[Kill]) -> Played {
    let mut play = Play {
        world: world_of(flow),
        flow,
        lives: points.iter().map(|point| (*point).to_owned()).collect(),
        kills_at: kills_at.iter().copied().collect(),
        begun: Instant::now(),
        point: None,
        silent: false,
        said: None,
        votes: Vec::new(),
        kills: 0,
        shims_died: false,
    };
    play.world.save();
    play.begin_life();
    while !play.has_ended() {
        play.look();
        pause(LOOK_EVERY);
    }
    play.stop();
    play.check();
    let reached = std::fs::read_to_string(play.world.path("points")).unwrap_or_default();
    Played { kills: play.kills, reached: reached.lines().map(str::to_owned).collect() }
}

impl Play {
    fn begin_life(&mut self) {
        self.point = self.lives.pop_front();
        let log = self.world.path("points").display().to_string();
        let mut env = vec![("LAZARUS_FAIL_POINT_LOG", log.as_str())];
        env.extend(self.point.as_deref().map(|point| ("LAZARUS_FAIL_POINT", point)));
        let (out, err) = (&self.world.told, &self.world.log);
        self.world.daemon = Some(Daemon::start(Path::new(GATE), &self.world.config(), &[], &env, out, err));
    }

    /// Looks at what has happened, and does the next thing that is to be done.
    fn look(&mut self) {
        if self.begun.elapsed() > DEADLINE {
            self.world.fail(&format!("{:?} did not come to its end; votes: {:?}", self.flow, self.votes));
        }
        // A shim lives for some milliseconds only: who is to be killed with one, or as one, waits for it.
        let is_there = |kill: &mut Kill| kill.who == Victim::Daemon || !self.world.shims().is_empty();
        let is_due = |kill: &mut Kill| self.begun.elapsed() >= kill.at && is_there(kill);
        if let Some(kill) = self.kills_at.pop_front_if(is_due) {
            self.kill(kill.who);
        } else if self.world.daemon().ended().is_some() {
            let ended = self.world.until_daemon_died();
            self.must_be_killed(ended);
            self.died();
        } else if self.a_shim_died_at_its_point() {
            // The shim died and the daemon lives; the next one may not die there, or none ever ran.
            self.kills += 1;
            self.shims_died = true;
            let ended = self.world.stop();
            assert!(ended.success(), "the daemon ended with {ended}");
            self.begin_life();
        }
        self.hear();
        if !self.silent && self.is_ada_seen() {
            self.world.silence("ada");
            self.silent = true;
        }
        if let Some(request) = self.pending().filter(|_| self.said.is_none()) {
            self.say(&request.code);
        }
    }

    fn kill(&mut self, who: Victim) {
        if who != Victim::Daemon {
            let killed = kill_shims(&self.world);
            self.kills += killed;
            self.shims_died |= killed > 0;
        }
        if who != Victim::Shim {
            self.world.daemon().signal(Signal::KILL);
            self.world.until_daemon_died();
            self.died();
        }
    }

    fn died(&mut self) {
        self.kills += 1;
        if self.flow == Flow::ComesBack && self.approved() {
            self.world.revive("ada");
        }
        self.begin_life();
    }

    fn approved(&self) -> bool {
        !self.world.journaled("ada", "approved").is_empty()
    }

    fn must_be_killed(&self, ended: ExitStatus) {
        if ended.signal() != Some(Signal::KILL.as_raw()) {
            self.world.fail(&format!("the daemon ended with {ended}"));
        }
    }

    fn a_shim_died_at_its_point(&self) -> bool {
        let of_shim = |point: &&String| point.starts_with("shim.") || point.starts_with("outcome.");
        let returned = ["never_started", "unknown", "failed", "done"];
        self.point.as_ref().filter(of_shim).is_some()
            && self.world.journal().iter().any(|entry| returned.contains(&entry.kind.as_str()))
    }

    fn is_ada_seen(&self) -> bool {
        let rows = self.world.read(async |read| agents::load(read).await).unwrap_or_default();
        rows.iter().any(|row| row.agent.as_str() == "ada" && row.last_healthy_at.is_some())
    }

    fn pending(&self) -> Option<RequestRow> {
        self.world.read(async |read| requests::pending(read).await).and_then(|mut rows| rows.pop())
    }

    /// Says the flow's word about a request.
    fn say(&mut self, code: &str) {
        let words = match self.flow {
            Flow::Approve | Flow::PolicyYes | Flow::ComesBack => vec!["approve", code],
            Flow::Deny => vec!["deny", code, "being", "moved"],
            Flow::Substitute => vec!["substitute", code, "bob"],
        };
        let mut command = Command::new(GATE);
        command.args(words).arg("--config").arg(self.world.config());
        command.env_clear().env("PATH", "/usr/local/bin:/usr/bin:/bin");
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        self.said = Some((code.to_owned(), command.spawn().expect("the command line starts")));
    }

    /// Takes in what the command line answered, if it has.
    fn hear(&mut self) {
        let Some((code, mut child)) = self.said.take() else { return };
        if child.try_wait().expect("the command line can be waited for").is_none() {
            self.said = Some((code, child));
            return;
        }
        let output = child.wait_with_output().expect("its output can be read");
        let exit = output.status.code();
        let unknown_before = self.votes.iter().any(|vote| vote.code == code && vote.exit != Some(0));
        match exit {
            // Taken; or nobody there, cut, failing, set aside: then it is said again.
            Some(0 | 1 | 5 | 6 | 7) => {}
            // Refused: it had counted before, or the request has ended meanwhile.
            Some(3) if unknown_before || self.pending().is_none_or(|pending| pending.code != code) => {}
            _ => self.world.fail(&format!("a vote about {code} was answered with {output:?}")),
        }
        self.votes.push(Vote { code, exit });
    }

    fn has_ended(&self) -> bool {
        if !self.silent || self.said.is_some() || !self.lives.is_empty() && self.kills == 0 && self.point.is_none() {
            return false;
        }
        let journal = self.world.journal();
        let told = |kind| journal.iter().any(|entry| entry.kind == kind && entry.agent.as_deref() == Some("ada"));
        let ended = match self.flow {
            Flow::Approve | Flow::PolicyYes | Flow::ComesBack => told("recovered"),
            Flow::Deny => told("denied"),
            Flow::Substitute => told("verified"),
        };
        ended
            && self.world.read(async |read| messages::count_due(read).await) == Some(0)
            && self.world.read(async |read| executions::live(read).await).is_some_and(|live| live.is_empty())
    }

    /// Lets the daemon go on for a while, during which nothing may happen any more, and stops it.
    fn stop(&mut self) {
        let about_ada = |world: &World| world.journal().iter().filter(|entry| entry.agent.is_some()).count();
        let entries = about_ada(&self.world);
        loop {
            if matches!(self.flow, Flow::Deny | Flow::Substitute) && self.point.is_none() {
                self.world.until_probed("ada", 4);
                assert_eq!(about_ada(&self.world), entries, "nothing more happens");
            }
            let ended = self.world.stop();
            if ended.success() {
                return;
            }
            self.must_be_killed(ended);
            self.kills += 1;
            self.begin_life();
            self.world.until("the daemon answers", |world| world.says(&["status", "--json"]).found("daemon_since"));
        }
    }
}
