//! `lazarus-gate init`: a commented configuration from a few questions or flags, with a Telegram bot if wanted.
//!
//! The gateway's file is the shipped one with the answers put in, so that its comments are never
//! out of date. Names go into YAML in quotes: an agent may be called `on`, `null` or `123`.

mod telegram;

use std::fmt::Write as _;
use std::io::{self, BufRead, IsTerminal, Write};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, bail};

use super::World;
use telegram::{Bot, BotArgs, TOKEN_FILE};

use crate::config::{self, DEFAULT_PROFILES, Lookup, Users};
use crate::pool::{AgentName, HostName, MissionName, Mode};

const SHIPPED_GATE: &str = include_str!("../../config/lazarus-gate.yaml");

/// Write a commented configuration, from a few questions or from flags
#[derive(Debug, clap::Args)]
pub struct InitArgs {
    /// Where the four files go
    #[arg(long, value_name = "DIR", default_value = "config")]
    pub dir: PathBuf,
    /// An agent: its name, host (empty for this machine) and health address; repeat for each
    #[arg(long = "agent", value_name = "NAME[=HOST[=URL]]")]
    pub agents: Vec<Agent>,
    /// A mission: its name, mode (yes, no, ask) and agents (all, if none is named); repeat for each
    #[arg(long = "mission", value_name = "NAME[=MODE[=AGENT,…]]")]
    pub missions: Vec<Mission>,
    /// Who may decide: a user of this machine, by name or numeric id [default: you]
    #[arg(long, value_name = "USER")]
    pub user: Option<String>,
    /// Where the store and the socket go [default: /var/lib/lazarus-gate and /run/lazarus-gate]
    #[arg(long, value_name = "DIR")]
    pub state: Option<PathBuf>,
    /// Overwrite files that are there
    #[arg(long)]
    pub force: bool,
    /// The Telegram bot by which people are asked, if any.
    #[command(flatten)]
    pub bot: BotArgs,
}

/// One agent of the new fleet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Agent {
    name: AgentName,
    host: Option<HostName>,
    gateway: Option<String>,
}

impl std::str::FromStr for Agent {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut parts = text.splitn(3, '=').map(str::trim);
        let name = parts.next().unwrap_or_default();
        let name = AgentName::new(name).map_err(|why| format!("{name:?} is no agent name: {why}"))?;
        let host = parts.next().filter(|host| !host.is_empty());
        let host =
            host.map(|host| HostName::new(host).map_err(|why| format!("{host:?} is no host: {why}"))).transpose()?;
        let gateway = parts.next().filter(|url| !url.is_empty()).map(str::to_owned);
        if let Some(url) = gateway.as_deref().filter(|url| !is_web_address(url)) {
            return Err(format!("{url:?} is no web address; write http://… or https://…"));
        }
        Ok(Self { name, host, gateway })
    }
}

fn is_web_address(url: &str) -> bool {
    reqwest::Url::parse(url).is_ok_and(|url| matches!(url.scheme(), "http" | "https") && url.has_host())
}

/// One mission of the new policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mission {
    name: MissionName,
    mode: Mode,
    /// None for all agents.
    agents: Option<Vec<AgentName>>,
}

impl std::str::FromStr for Mission {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut parts = text.splitn(3, '=').map(str::trim);
        let name = parts.next().unwrap_or_default();
        let name = MissionName::new(name).map_err(|why| format!("{name:?} is no mission name: {why}"))?;
        let mode = match parts.next().unwrap_or("ask") {
            "ask" | "" => Mode::Ask,
            "yes" => Mode::Yes,
            "no" => Mode::No,
            other => return Err(format!("{other:?} is no mode; write yes, no or ask")),
        };
        let named =
            |agent: &str| AgentName::new(agent.trim()).map_err(|why| format!("{agent:?} is no agent name: {why}"));
        let agents = parts.next().filter(|agents| !agents.is_empty());
        let agents = agents.map(|agents| agents.split(',').map(named).collect()).transpose()?;
        Ok(Self { name, mode, agents })
    }
}

/// Writes the files and checks them. Leaves with 1 if the check found an error.
///
/// # Errors
/// Answers that contradict each other, files that are there already, and what the disk says.
pub fn run(world: &World, args: InitArgs) -> anyhow::Result<ExitCode> {
    let users = Users::of_this_machine();
    let uid = rustix::process::getuid().as_raw();
    let mut out = anstream::stdout().lock();
    let asking = args.agents.is_empty() && io::stdin().is_terminal();
    let mut input = io::stdin().lock();
    let args = if asking { ask(args, &users, uid, &mut input, &mut out)? } else { args };
    // Before anybody waits for a message.
    let_nothing_be_overwritten(&args)?;
    let bot = telegram::connect(&args.bot, asking, world.ambient.code(), &mut input, &mut out)?;
    let gate = write(&args, &users, uid, bot.as_ref())?;
    let shown = gate.display();
    writeln!(out, "wrote {shown} and the three files it names")?;
    match config::load(&gate, &users) {
        Ok(loaded) if loaded.warnings.0.is_empty() => {}
        Ok(loaded) => writeln!(out, "{}", loaded.warnings)?,
        Err(problems) => {
            writeln!(out, "{problems}")?;
            return Ok(ExitCode::FAILURE);
        }
    }
    if bot.is_some() {
        let token = args.dir.join(TOKEN_FILE);
        writeln!(out, "the bot's token is in {}; whoever can read it is the bot", token.display())?;
        if uid == 0 {
            writeln!(
                out,
                "  a service that runs as another user gets it as a systemd credential: let the unit have \
                 LoadCredential=telegram-token:{}, and take `token_file` out of {shown}",
                token.display()
            )?;
        }
        writeln!(out, "next: lazarus-gate doctor telegram --config {shown}   (looks whether the bot is heard)")?;
    }
    writeln!(out, "next: lazarus-gate run --observe --config {shown}   (decides and tells, runs nothing)")?;
    Ok(ExitCode::SUCCESS)
}

/// The questions of a terminal; an empty answer takes what stands in brackets.
fn ask(
    mut args: InitArgs,
    users: &Users,
    uid: u32,
    input: &mut dyn BufRead,
    out: &mut dyn Write,
) -> anyhow::Result<InitArgs> {
    let dir = line(input, out, &format!("Folder for the files [{}]: ", args.dir.display()))?;
    if !dir.is_empty() {
        args.dir = dir.into();
    }
    writeln!(out, "Agents, one a line: NAME, NAME=HOST or NAME=HOST=URL. An empty line ends the list.")?;
    loop {
        let text = line(input, out, "Agent: ")?;
        match (text.is_empty(), args.agents.is_empty()) {
            (true, false) => break,
            (true, true) => writeln!(out, "  at least one is needed")?,
            (false, _) => match text.parse() {
                Ok(agent) => args.agents.push(agent),
                Err(said) => writeln!(out, "  {said}")?,
            },
        }
    }
    writeln!(out, "Missions, one a line: NAME, NAME=yes|no|ask or NAME=ask=AGENT,AGENT. An empty line ends the list.")?;
    loop {
        let text = line(input, out, "Mission: ")?;
        if text.is_empty() {
            break;
        }
        match text.parse() {
            Ok(mission) => args.missions.push(mission),
            Err(said) => writeln!(out, "  {said}")?,
        }
    }
    let you = users.name_of(uid).map_or_else(|| uid.to_string(), str::to_owned);
    let user = line(input, out, &format!("Who may decide [{you}]: "))?;
    if !user.is_empty() {
        args.user = Some(user);
    }
    let state = line(input, out, "Folder for store and socket [/var/lib/lazarus-gate, /run/lazarus-gate]: ")?;
    if !state.is_empty() {
        args.state = Some(state.into());
    }
    Ok(args)
}

fn line(input: &mut dyn BufRead, out: &mut dyn Write, question: &str) -> anyhow::Result<String> {
    write!(out, "{question}")?;
    out.flush()?;
    let mut text = String::new();
    if input.read_line(&mut text)? == 0 {
        bail!("the input ended before the last question; nothing was written");
    }
    Ok(text.trim().to_owned())
}

/// Writes the four files, or none of them, and returns the path of the gateway's.
fn write(args: &InitArgs, users: &dyn Lookup, uid: u32, bot: Option<&Bot>) -> anyhow::Result<PathBuf> {
    if args.agents.is_empty() {
        bail!("no agent was named; give at least one --agent NAME=HOST=URL");
    }
    let missions = missions_of(args)?;
    let files = [
        ("lazarus-registry.yaml", registry(args, &missions)),
        ("resurrection_pool.json", policy(args, bot)?),
        ("mission_bus_profiles.json", DEFAULT_PROFILES.to_owned()),
        // Last, since it makes a configuration of the others.
        ("lazarus-gate.yaml", gate(args, users, uid, bot)?),
    ];
    let_nothing_be_overwritten(args)?;
    std::fs::create_dir_all(&args.dir).with_context(|| format!("making the folder {}", args.dir.display()))?;
    if let Some(state) = &args.state {
        // Made here, enterable: the store makes its own folder private, and the way to the socket is not.
        std::fs::create_dir_all(state).with_context(|| format!("making the folder {}", state.display()))?;
    }
    let token = bot.map(|bot| (TOKEN_FILE, format!("{}\n", bot.token)));
    let secret = token.iter().map(|(name, text)| (*name, text, 0o600));
    for (name, text, mode) in secret.chain(files.iter().map(|(name, text)| (*name, text, 0o666))) {
        let path = args.dir.join(name);
        place(&path, text, mode, args.force).with_context(|| format!("writing {}", path.display()))?;
    }
    Ok(args.dir.join("lazarus-gate.yaml"))
}

/// The files that would be written, the token's among them.
const FILES: [&str; 5] =
    ["lazarus-registry.yaml", "resurrection_pool.json", "mission_bus_profiles.json", "lazarus-gate.yaml", TOKEN_FILE];

fn let_nothing_be_overwritten(args: &InitArgs) -> anyhow::Result<()> {
    // A token that lies there already, and is the one to be used, is no reason to refuse.
    let given = args.bot.telegram_token_file.as_ref().and_then(|path| path.canonicalize().ok());
    let mut there = FILES.iter().map(|name| args.dir.join(name)).filter(|path| path.symlink_metadata().is_ok());
    match there.find(|path| given.is_none() || path.canonicalize().ok() != given) {
        Some(first) if !args.force => bail!(
            "{} is there already, and nothing was written; name another --dir, or give --force to overwrite",
            first.display()
        ),
        Some(_) | None => Ok(()),
    }
}

/// Whole or not at all; without `force` never over a file that appeared meanwhile, unless it says the same.
fn place(path: &Path, text: &str, mode: u32, force: bool) -> io::Result<()> {
    let mut draft = path.as_os_str().to_owned();
    draft.push(".new");
    let draft = PathBuf::from(draft);
    match std::fs::remove_file(&draft) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        Ok(()) | Err(_) => {}
    }
    let mut file = std::fs::OpenOptions::new().write(true).create_new(true).mode(mode).open(&draft)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    let force = force || std::fs::read(path).is_ok_and(|there| there == text.as_bytes());
    let placed = if force { std::fs::rename(&draft, path) } else { std::fs::hard_link(&draft, path) };
    if !force || placed.is_err() {
        std::fs::remove_file(&draft)?;
    }
    placed
}

/// The mission of each agent, in the order of the agents.
fn missions_of(args: &InitArgs) -> anyhow::Result<Vec<Option<&MissionName>>> {
    for (at, agent) in args.agents.iter().enumerate() {
        if args.agents[..at].iter().any(|other| other.name == agent.name) {
            bail!("the agent {} was named twice", agent.name);
        }
    }
    let mut missions = vec![None; args.agents.len()];
    for (at, mission) in args.missions.iter().enumerate() {
        if args.missions[..at].iter().any(|other| other.name == mission.name) {
            bail!("the mission {} was named twice", mission.name);
        }
        for agent in mission.agents.iter().flatten() {
            let Some(place) = args.agents.iter().position(|known| known.name == *agent) else {
                bail!("the mission {} names {agent}, which is none of the agents", mission.name);
            };
            if let Some(other) = missions[place].replace(&mission.name) {
                bail!("{agent} has two missions, {other} and {}; an agent serves one", mission.name);
            }
        }
    }
    // A mission without agents is everybody's who has none yet.
    let mut general = args.missions.iter().filter(|mission| mission.agents.is_none());
    if let Some(mission) = general.next() {
        if let Some(other) = general.next() {
            bail!("{} and {} both name no agents; say which agents serve which", mission.name, other.name);
        }
        missions.iter_mut().for_each(|own| *own = own.or(Some(&mission.name)));
    }
    Ok(missions)
}

/// Text in quotes that YAML and JSON read alike.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

fn registry(args: &InitArgs, missions: &[Option<&MissionName>]) -> String {
    let mut text = String::from(
        "# The fleet: who is watched, where, and who may stand in (`substitutes`).\n\
         # The gateway probes `health_endpoints.gateway`; agents on this machine are looked up in systemd too.\n\
         fleet:\n",
    );
    for (agent, mission) in args.agents.iter().zip(missions) {
        let host = agent.host.as_ref().map_or("127.0.0.1", HostName::as_str);
        let _ = writeln!(text, "  {}:\n    host: {}", quoted(agent.name.as_str()), quoted(host));
        if let Some(mission) = mission {
            let _ = writeln!(text, "    mission: {}", quoted(mission.as_str()));
        }
        if let Some(url) = &agent.gateway {
            let _ = writeln!(text, "    health_endpoints: {{gateway: {}}}", quoted(url));
        }
        text.push_str("    substitutes: []\n");
    }
    text
}

fn policy(args: &InitArgs, bot: Option<&Bot>) -> anyhow::Result<String> {
    let missions: serde_json::Map<_, _> = args
        .missions
        .iter()
        .map(|mission| (mission.name.to_string(), serde_json::json!({"mode": mission.mode.as_str()})))
        .collect();
    let mut channels = serde_json::json!({"terminal": {"enabled": true}});
    if bot.is_some() {
        channels["telegram"] = serde_json::json!({"enabled": true, "target": CHAT});
    }
    let policy = serde_json::json!({
        "dead_timeout_seconds": 600,
        "default_policy": {"mode": "ask"},
        "missions": missions,
        "agents": {},
        "substitutions": {},
        "approval_channels": channels,
    });
    Ok(format!("{}\n", serde_json::to_string_pretty(&policy)?))
}

/// The chat's name in the files, as the shipped ones have it.
const CHAT: &str = "ops-room";

fn gate(args: &InitArgs, users: &dyn Lookup, uid: u32, bot: Option<&Bot>) -> anyhow::Result<String> {
    let (person, local_user) = match &args.user {
        None => ("me".to_owned(), uid.to_string()),
        Some(user) => match user.parse::<u32>() {
            Ok(uid) if uid != u32::MAX => ("me".to_owned(), uid.to_string()),
            Ok(_) => bail!("{user} is no user id"),
            Err(_) if users.uid_of(user).is_some() => {
                let person = MissionName::new(user.as_str()).map_or_else(|_| "me".to_owned(), |_| user.clone());
                (person, quoted(user))
            }
            Err(_) => bail!("there is no user {user:?} on this machine; give a name of /etc/passwd or a numeric id"),
        },
    };
    let mut text = SHIPPED_GATE.to_owned();
    let mut put = |from: &str, to: &str| -> anyhow::Result<()> {
        let (before, after) = text.split_once(from).with_context(|| format!("the shipped file has no {from:?}"))?;
        text = [before, to, after].concat();
        Ok(())
    };
    let shipped_person = "  root:\n    local_user: 0 ";
    let telegram = bot.map_or(String::new(), |bot| format!("    telegram: {}\n", bot.user));
    put(shipped_person, &format!("  {}:\n{telegram}    local_user: {local_user} ", quoted(&person)))?;
    // The chat and the audience that the shipped policy names are nobody's here.
    match bot {
        Some(bot) => {
            put("  telegram:\n    enabled: false", "  telegram:\n    enabled: true")?;
            put("    # token_file: telegram.token", &format!("    token_file: {TOKEN_FILE}"))?;
            let topic = bot.place.topic.map_or("null".to_owned(), |topic| topic.to_string());
            let chat = format!("{{chat: {}, topic: {topic}}}", bot.place.chat);
            put("{chat: -1001234567890, topic: null}", &chat)?;
            if let Some(url) = &bot.api_url {
                put("    # api_url: https://api.telegram.org", &format!("    api_url: {}", quoted(url)))?;
            }
        }
        None => put("    chats:\n      ops-room: ", "    # chats:\n    #   ops-room: ")?,
    }
    put("    audiences:\n      nostr-ops: ", "    # audiences:\n    #   nostr-ops: ")?;
    if let Some(state) = &args.state {
        let state = std::path::absolute(state)?;
        let state = state.to_str().context("the folder of the state has a name that is not UTF-8")?;
        put("/var/lib/lazarus-gate/gate.db", &quoted(&format!("{state}/store/gate.db")))?;
        put("/run/lazarus-gate/gate.sock", &quoted(&format!("{state}/run/gate.sock")))?;
    }
    Ok(text)
}

#[cfg(test)]
mod tests;
