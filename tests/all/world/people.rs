//! People at the command line: real processes, with other users' ids where the tests may.

use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use lazarus_gate::store::requests;
use serde_json::Value;

use super::{GATE, World, own_uid};

/// What a command of the command line answered.
#[derive(Debug)]
pub struct Heard {
    /// The arguments, for the message of a failure.
    #[expect(dead_code, reason = "read by Debug only")]
    said: Vec<String>,
    /// The exit code; none after a signal.
    pub code: Option<i32>,
    /// Standard output.
    pub out: String,
    /// Standard error.
    pub err: String,
}

impl Heard {
    /// It was done; returns what was printed.
    #[track_caller]
    pub fn taken(&self) -> &str {
        assert_eq!(self.code, Some(0), "{self:?}");
        &self.out
    }

    /// It was refused, in these words among others.
    #[track_caller]
    pub fn refused(&self, because: &str) {
        assert_eq!(self.code, Some(3), "{self:?}");
        self.mentions(because);
    }

    /// It ended with this code, in these words among others.
    #[track_caller]
    pub fn ended_with(&self, code: i32, words: &str) {
        assert_eq!(self.code, Some(code), "{self:?}");
        self.mentions(words);
    }

    /// It holds these words.
    #[track_caller]
    pub fn mentions(&self, words: &str) -> &Self {
        let all = super::one_line(&format!("{} {}", self.out, self.err));
        assert!(all.contains(words), "no word of {words:?} in {self:?}");
        self
    }

    /// The output as JSON.
    pub fn json(&self) -> Option<Value> {
        serde_json::from_str(&self.out).ok()
    }

    /// A field of the output that is there and not null.
    pub fn found(&self, field: &str) -> Option<Value> {
        self.json()?.get(field).filter(|value| !value.is_null()).cloned()
    }
}

/// The command line of the user of the tests.
pub struct CommandLine {
    config: PathBuf,
}

impl CommandLine {
    /// Says something.
    pub fn says(&self, args: &[&str]) -> Heard {
        let mut command = Command::new(GATE);
        command.args(args).arg("--config").arg(&self.config);
        hear(command, args)
    }
}

impl World {
    /// The user of the tests says something at the command line.
    pub fn says(&self, args: &[&str]) -> Heard {
        self.command_line().says(args)
    }

    /// The command line alone, for several threads.
    pub fn command_line(&self) -> CommandLine {
        CommandLine { config: self.config() }
    }

    /// Adds a person with a user id of their own, who may decide these missions (`*` for all).
    /// Says aloud, and returns false, where the tests cannot be other users.
    #[must_use]
    pub fn hire(&mut self, person: &str, uid: u32, approves: &[&str]) -> bool {
        let approves = if approves == ["*"] { Value::from("*") } else { Value::from(approves.to_vec()) };
        self.gate["people"][person] = serde_json::json!({"local_user": uid, "approves": approves});
        can_be_others()
    }

    /// Another user of the machine says something; they know the socket and cannot read the files.
    pub fn user_says(&self, uid: u32, args: &[&str]) -> Heard {
        hear(self.as_user(uid, args), args)
    }

    /// The same, not started yet.
    pub fn as_user(&self, uid: u32, args: &[&str]) -> Command {
        let mut command = Command::new(GATE);
        command.args(args).arg("--socket").arg(self.path("run/gate.sock")).current_dir("/").uid(uid).gid(uid);
        command
    }

    /// The code of the pending request about `agent`, once people were told of it.
    pub fn asked_about(&self, agent: &str) -> String {
        let code = self.until(&format!("people are asked about {agent}"), |world| world.pending_code(agent));
        self.until_told(&code);
        code
    }

    /// The code of the pending request about `agent`, if there is one.
    pub fn pending_code(&self, agent: &str) -> Option<String> {
        self.pending(agent)?["code"].as_str().map(str::to_owned)
    }

    /// The pending request about `agent`, if there is one.
    pub fn pending(&self, agent: &str) -> Option<Value> {
        let pending = self.read(async |read| requests::pending(read).await)?;
        let of_agent = pending.into_iter().find(|request| request.agent.as_str() == agent)?;
        serde_json::from_str(&of_agent.body).ok()
    }
}

/// Runs a command to its end.
pub fn hear(mut command: Command, args: &[&str]) -> Heard {
    command.env_clear().env("PATH", "/usr/local/bin:/usr/bin:/bin").stdin(Stdio::null());
    let output = command.output().expect("the command line starts");
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    Heard {
        said: args.iter().map(|&arg| arg.to_owned()).collect(),
        code: output.status.code(),
        out: text(output.stdout),
        err: text(output.stderr),
    }
}

/// Whether the tests can run the command line as other users: they are root, and others can reach
/// the program.
pub fn can_be_others() -> bool {
    if own_uid() != 0 {
        eprintln!("NOT TESTED: other users; the tests are not root");
        return false;
    }
    let reached = Command::new(GATE).arg("--version").uid(65534).gid(65534).current_dir("/").output();
    if !reached.is_ok_and(|output| output.status.success()) {
        eprintln!("NOT TESTED: other users; they cannot run {GATE}");
        return false;
    }
    true
}
