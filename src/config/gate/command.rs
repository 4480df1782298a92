//! Commands that the gateway may start: argument vectors with placeholders, never a shell line.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::Value;

use crate::config::report::{Notes, Trail, below, item, spell};
use crate::config::section::{Section, kind};
use crate::config::words::{self, suggest};

/// What stands in braces in an argument and is filled in for each run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Placeholder {
    /// `{agent}`: the dead agent.
    Agent,
    /// `{host}`: its host in the registry; local agents without one have none.
    Host,
    /// `{unit}`: its systemd unit.
    Unit,
    /// `{substitute}`: the agent that takes over.
    Substitute,
    /// `{mission}`: the mission that is taken over.
    Mission,
}

impl Placeholder {
    const ALL: [Self; 5] = [Self::Agent, Self::Host, Self::Unit, Self::Substitute, Self::Mission];

    /// The word between the braces.
    pub fn word(self) -> &'static str {
        match self {
            Self::Agent => "agent",
            Self::Host => "host",
            Self::Unit => "unit",
            Self::Substitute => "substitute",
            Self::Mission => "mission",
        }
    }
}

/// Which names something applies to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NameFilter {
    /// `'*'`, or no word about it.
    All,
    /// These.
    Names(BTreeSet<String>),
}

impl NameFilter {
    /// Whether `name` is among them; an absent name only among all.
    pub fn covers(&self, name: Option<&str>) -> bool {
        match self {
            Self::All => true,
            Self::Names(names) => name.is_some_and(|name| names.contains(name)),
        }
    }

    /// Whether `name` itself is written there; `'*'` names nobody.
    pub fn names(&self, name: &str) -> bool {
        match self {
            Self::All => false,
            Self::Names(names) => names.contains(name),
        }
    }

    fn read(section: &mut Section<'_>, key: &'static str) -> Self {
        let Some(texts) = section.texts(key) else { return Self::All };
        let names: BTreeSet<_> = texts.iter().map(|(_, text)| (*text).to_owned()).collect();
        if names.contains("*") {
            return Self::All;
        }
        if names.is_empty() {
            section.error(key, "is an empty list, so this would apply to nothing; write names or '*'");
        }
        Self::Names(names)
    }
}

/// How some agents are restarted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RestartTemplate {
    /// The agents it applies to.
    pub agents: NameFilter,
    /// The hosts it applies to.
    pub hosts: NameFilter,
    /// Program and arguments, with placeholders.
    pub argv: Vec<String>,
    /// How long the command may run.
    pub timeout: Duration,
    /// Names of the environment variables that are passed through, beside PATH, HOME and LANG.
    pub env: Vec<String>,
    /// How much output is kept, in bytes.
    pub output_limit: u64,
}

impl RestartTemplate {
    pub(super) fn read_all(root: &mut Section<'_>) -> Vec<Self> {
        let trail = root.at("restart");
        match root.take("restart") {
            None => Vec::new(),
            Some(Value::Array(list)) => list
                .iter()
                .enumerate()
                .map(|(at, value)| Self::read(Section::new(Some(value), item(&trail, at), root.notes)))
                .collect(),
            Some(other) => {
                let right = "write a list of templates, each beginning with `- `";
                root.error("restart", format!("is {}; {right}", kind(other)));
                Vec::new()
            }
        }
    }

    fn read(mut section: Section<'_>) -> Self {
        let allowed = [Placeholder::Agent, Placeholder::Host, Placeholder::Unit];
        let template = Self {
            agents: NameFilter::read(&mut section, "agents"),
            hosts: NameFilter::read(&mut section, "hosts"),
            argv: read_argv(&mut section, &allowed).unwrap_or_default(),
            timeout: read_timeout(&mut section),
            env: read_env(&mut section),
            output_limit: read_output_limit(&mut section),
        };
        section.finish();
        template
    }

    /// Whether it applies to that agent on that host.
    pub fn covers(&self, agent: &str, host: Option<&str>) -> bool {
        self.agents.covers(Some(agent)) && self.hosts.covers(host)
    }

    /// Whether it may restart an agent on the remote `host`: its command names the host, or it is
    /// made for exactly that one (invariant 14).
    pub fn reaches(&self, host: &str) -> bool {
        self.uses_host() || self.hosts.names(host)
    }

    /// Whether its command holds `{host}`.
    pub fn uses_host(&self) -> bool {
        uses(&self.argv, Placeholder::Host)
    }
}

/// How a local agent without a template is restarted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SystemctlRestart {
    /// Program and arguments, with `{unit}`.
    pub argv: Vec<String>,
    /// How long it may run.
    pub timeout: Duration,
}

impl SystemctlRestart {
    pub(super) fn read(mut section: Section<'_>) -> Self {
        let argv = read_argv_at(&mut section, &[Placeholder::Agent, Placeholder::Unit]);
        if let Some(argv) = argv.as_ref().filter(|argv| !argv.is_empty())
            && !uses(argv, Placeholder::Unit)
        {
            section.error("run", "does not contain {unit}; write for example [systemctl, restart, \"{unit}\"]");
        }
        let default = || ["systemctl", "restart", "{unit}"].map(str::to_owned).to_vec();
        let read = Self { argv: argv.unwrap_or_else(default), timeout: read_timeout(&mut section) };
        section.finish();
        read
    }
}

/// How a substitution is delivered: the command gets the packet as JSON on its standard input.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SubstituteCommand {
    /// Program and arguments, with placeholders.
    pub argv: Vec<String>,
    /// How long the command may run.
    pub timeout: Duration,
    /// Names of the environment variables that are passed through, beside PATH, HOME and LANG.
    pub env: Vec<String>,
    /// How much output is kept, in bytes.
    pub output_limit: u64,
}

impl SubstituteCommand {
    pub(super) fn read(root: &mut Section<'_>) -> Option<Self> {
        if !root.has("substitute") {
            root.take("substitute");
            return None;
        }
        let mut section = root.section("substitute");
        let read = Self::read_in(&mut section);
        section.finish();
        read
    }

    /// Reads its keys out of a section that may have others.
    pub(super) fn read_in(section: &mut Section<'_>) -> Option<Self> {
        let allowed = [Placeholder::Agent, Placeholder::Substitute, Placeholder::Mission];
        let argv = read_argv(section, &allowed);
        let (timeout, env) = (read_timeout(section), read_env(section));
        let output_limit = read_output_limit(section);
        Some(Self { argv: argv?, timeout, env, output_limit })
    }
}

/// Whether any argument holds `{placeholder}`.
fn uses(argv: &[String], placeholder: Placeholder) -> bool {
    argv.iter().any(|argument| braced(argument).is_ok_and(|words| words.contains(&placeholder.word())))
}

fn read_timeout(section: &mut Section<'_>) -> Duration {
    section.duration("timeout", Duration::from_secs(60), Duration::from_millis(1))
}

/// `run`, which must be there.
fn read_argv(section: &mut Section<'_>, allowed: &[Placeholder]) -> Option<Vec<String>> {
    if !section.has("run") {
        section.take("run");
        section.error("run", "is missing; write the program and its arguments as a list, such as [ssh, \"{host}\", …]");
        return None;
    }
    read_argv_at(section, allowed)
}

fn read_argv_at(section: &mut Section<'_>, allowed: &[Placeholder]) -> Option<Vec<String>> {
    let value = section.take("run")?;
    let trail = section.at("run");
    let Value::Array(items) = value else {
        let right = "write a list, one item an argument, such as [ssh, \"{host}\", …]; no shell is involved";
        section.error("run", format!("is {}; {right}", kind(value)));
        return None;
    };
    let mut argv = Vec::with_capacity(items.len());
    for (at, value) in items.iter().enumerate() {
        let trail = item(&trail, at);
        let argument = match value {
            Value::String(text) => text.clone(),
            // `sleep 5` is [sleep, 5] to most people, and means one thing only.
            Value::Number(number) => number.to_string(),
            other => {
                let hint = if other.is_object() { " (write \"{agent}\" in quotes)" } else { "" };
                let message = format!("`{}` is {}; write text{hint}", spell(&trail), kind(other));
                section.notes.error(&trail, message);
                continue;
            }
        };
        check_argument(&argument, at, &trail, allowed, section.notes);
        argv.push(argument);
    }
    match argv.first() {
        None if items.is_empty() => section.error("run", "is an empty list; write the program and its arguments"),
        Some(program) if program.trim().is_empty() => section.error("run", "names no program; write it first"),
        Some(_) | None => warn_of_shell(&argv, &trail, section.notes),
    }
    Some(argv)
}

fn check_argument(argument: &str, at: usize, trail: &Trail, allowed: &[Placeholder], notes: &Notes) {
    let name = spell(trail);
    if argument.contains('\0') {
        notes.error(trail, format!("`{name}`: an argument cannot hold a NUL character"));
    }
    let words: Vec<_> = allowed.iter().map(|placeholder| placeholder.word()).collect();
    let found = braced(argument).unwrap_or_else(|said| {
        notes.error(trail, format!("`{name}` {said}"));
        Vec::new()
    });
    for word in found {
        if at == 0 {
            notes.error(trail, format!("`{name}`: the program itself cannot be {{{word}}}; write it out"));
        } else if !words.contains(&word) {
            let known_elsewhere = Placeholder::ALL.iter().any(|placeholder| placeholder.word() == word);
            let why = if known_elsewhere { "does not exist here" } else { "is not known" };
            notes.error(trail, format!("`{name}`: {{{word}}} {why}{}", suggest(word, words.iter().copied())));
        }
    }
}

/// The words in braces; `{{` and `}}` stand for the braces themselves.
fn braced(argument: &str) -> Result<Vec<&str>, &'static str> {
    const LONE: &str = "has a single brace; write {{ and }} for braces that mean themselves";
    let mut words = Vec::new();
    let mut rest = argument;
    while let Some(at) = rest.find(['{', '}']) {
        let brace = &rest[at..=at];
        rest = &rest[at + 1..];
        if let Some(after) = rest.strip_prefix(brace) {
            rest = after;
        } else if brace == "{" {
            let (word, after) = rest.split_once('}').ok_or(LONE)?;
            words.push(word);
            rest = after;
        } else {
            return Err(LONE);
        }
    }
    Ok(words)
}

/// A placeholder inside a shell's script would be read by the shell (invariant 11).
fn warn_of_shell(argv: &[String], trail: &Trail, notes: &Notes) {
    const SHELLS: [&str; 6] = ["sh", "bash", "dash", "zsh", "ksh", "ash"];
    let program = argv.first().map_or("", |program| program.rsplit('/').next().unwrap_or(program));
    let Some(at) = argv.iter().position(|argument| argument == "-c") else { return };
    let Some(script) = argv.get(at + 1).filter(|_| SHELLS.contains(&program)) else { return };
    if let Some(word) = braced(script).unwrap_or_default().first() {
        let trail = item(trail, at + 1);
        let message = format!(
            "`{}`: {{{word}}} becomes part of a script; hand it over as an argument instead: \
             [{program}, -c, 'command \"$1\"', {program}, \"{{{word}}}\"]",
            spell(&trail)
        );
        notes.warning(&trail, message);
    }
}

fn read_env(section: &mut Section<'_>) -> Vec<String> {
    let mut names = Vec::new();
    for (trail, name) in section.texts("env").unwrap_or_default() {
        let fine = |c: char| c.is_ascii_alphanumeric() || c == '_';
        if let Some((name, _)) = name.split_once('=') {
            let right = format!("write only the name {name:?}; the value comes from the daemon's environment");
            section.notes.error(&trail, format!("`{}` sets a value; {right}", spell(&trail)));
        } else if name.is_empty() || !name.chars().all(fine) || name.starts_with(|c: char| c.is_ascii_digit()) {
            section.notes.error(&trail, format!("`{}`: {name:?} is no name of a variable", spell(&trail)));
        } else {
            names.push(name.to_owned());
        }
    }
    names
}

fn read_output_limit(section: &mut Section<'_>) -> u64 {
    const KEY: &str = "output_limit";
    const DEFAULT: u64 = 64 * 1024;
    const MOST: u64 = 16 * 1024 * 1024;
    let Some(value) = section.take(KEY) else { return DEFAULT };
    let said = match value {
        Value::Number(number) => words::size(&number.to_string()),
        Value::String(text) => words::size(text),
        other => Err(format!("is {}; write a size such as 64KiB", kind(other))),
    };
    match said {
        Ok(bytes) if (1..=MOST).contains(&bytes) => bytes,
        Ok(_) => {
            section.error(KEY, "is out of range; write 1 byte to 16MiB");
            DEFAULT
        }
        Err(said) => {
            section.notes.error(&below(section.trail(), KEY), format!("`{}`: {said}", spell(&section.at(KEY))));
            DEFAULT
        }
    }
}
