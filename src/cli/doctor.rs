//! `lazarus-gate doctor`: is everything in order that the daemon stands on? It only looks.

mod nostr;
mod telegram;

use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use serde::Serialize;

use super::World;
use super::exit::Exit;
use super::journal::is_whole;
use super::out;
use super::place::{Place, Reach};
use crate::config::{self, Config, Lookup as _, Users};
use crate::pool::Timestamp;
use crate::store::journal::Filter;
use crate::store::{self, Reader, Store, StoreError, generation, inbox, journal, meta};
use crate::web::{folder_fault, reads};

/// Descriptors that the daemon needs besides those of its probes.
const SPARE_DESCRIPTORS: u64 = 256;
/// Probes at the same time, at most.
const PROBES: u64 = 4096;
/// What stands in the journal may be so much ahead of the clock.
const CLOCK_SLACK_MS: i64 = 2_000;

/// Look whether everything is in order: configuration, store, journal, daemon, socket, limits, clock, Telegram, Nostr
///
/// Changes nothing and posts nothing. Leaves with 1 if there is a FAIL. As the daemon's user or root it sees
/// most.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  sudo lazarus-gate doctor\n  sudo lazarus-gate doctor telegram")]
pub struct DoctorArgs {
    /// Look at this only [default: everything that is on]
    #[arg(value_name = "PART")]
    pub part: Option<Part>,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub(super) place: Place,
}

/// A part that can be looked at alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Part {
    /// The bot's token, rights, chats, topics, and who else uses it
    Telegram,
    /// The key, the relays, and where people take private messages
    Nostr,
}

/// How one thing is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "UPPERCASE")]
enum Grade {
    Ok,
    Warn,
    Fail,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
struct Finding {
    grade: Grade,
    about: &'static str,
    says: String,
}

#[derive(Debug, Default)]
struct Findings(Vec<Finding>);

impl Findings {
    fn add(&mut self, grade: Grade, about: &'static str, says: impl Into<String>) {
        self.0.push(Finding { grade, about, says: says.into() });
    }

    fn worst(&self) -> Grade {
        self.0.iter().map(|one| one.grade).max().unwrap_or(Grade::Ok)
    }

    fn text(&self) -> String {
        let word = |grade| match grade {
            Grade::Ok => "OK  ",
            Grade::Warn => "WARN",
            Grade::Fail => "FAIL",
        };
        let line = |one: &Finding| format!("{}  {:<14} {}", word(one.grade), one.about, one.says);
        self.0.iter().map(line).collect::<Vec<_>>().join("\n")
    }
}

/// Looks, and prints what it found.
///
/// # Errors
/// Standard output cannot be written to; everything else is a finding.
pub fn run(world: &World, args: &DoctorArgs) -> anyhow::Result<Exit> {
    let findings = super::block_on(examine(world, &args.place, args.part))?;
    let value = serde_json::json!({ "worst": findings.worst(), "findings": findings.0 });
    out::print(&findings.text(), &value, args.json)?;
    Ok(if findings.worst() == Grade::Fail { Exit::Failed } else { Exit::Done })
}

async fn examine(world: &World, place: &Place, part: Option<Part>) -> Findings {
    let mut findings = Findings::default();
    let loaded = configuration(world, place, &mut findings);
    if part == Some(Part::Telegram) {
        if let Some(config) = &loaded {
            let runs = match place.reach(&world.ambient) {
                Ok(reach) => runs(&reach).await,
                Err(_) => false,
            };
            telegram::examine(&world.ambient, config, runs, &mut findings).await;
        }
        return findings;
    }
    if part == Some(Part::Nostr) {
        if let Some(config) = &loaded {
            nostr::examine(&world.ambient, config, &mut findings).await;
        }
        return findings;
    }
    service_manager(&mut findings);
    descriptors(loaded.as_ref(), &mut findings);
    let reach = match place.reach(&world.ambient) {
        Ok(reach) => reach,
        Err(error) => {
            findings.add(Grade::Fail, "daemon", format!("{error:#}"));
            return findings;
        }
    };
    let answered = reach.client().is_answered().await;
    socket(&reach, answered, &mut findings);
    if let Ok(path) = reach.store() {
        daemon(path, answered, &mut findings);
        the_store(path, world.ambient.now, answered, &mut findings).await;
    }
    if let Some(config) = loaded.as_ref().filter(|config| config.gate.channels.telegram.enabled) {
        telegram::examine(&world.ambient, config, runs(&reach).await, &mut findings).await;
    }
    if let Some(config) = loaded.as_ref().filter(|config| config.gate.channels.nostr.enabled) {
        nostr::examine(&world.ambient, config, &mut findings).await;
    }
    findings
}

/// Whether a daemon is at work here, or may be.
async fn runs(reach: &Reach) -> bool {
    reach.client().is_answered().await || reach.store().is_ok_and(|path| !matches!(store::holder(path), Ok(None)))
}

fn configuration(world: &World, place: &Place, findings: &mut Findings) -> Option<Config> {
    const ABOUT: &str = "configuration";
    let path = match place.config(&world.ambient) {
        Ok(path) => path,
        Err(error) => {
            findings.add(Grade::Fail, ABOUT, format!("{error:#}"));
            return None;
        }
    };
    match config::load(&path, &Users::of_this_machine()) {
        Ok(loaded) if loaded.warnings.0.is_empty() => {
            let agents = loaded.config.registry.fleet.len();
            findings.add(Grade::Ok, ABOUT, format!("{}: {agents} agents", path.display()));
            Some(loaded.config)
        }
        Ok(loaded) => {
            let (count, first) = (loaded.warnings.0.len(), first_of(&loaded.warnings));
            findings.add(Grade::Warn, ABOUT, format!("{count} warnings, the first: {first}; see `check`"));
            Some(loaded.config)
        }
        Err(problems) => {
            let (count, first) = (problems.errors().count(), first_of(&problems));
            findings.add(Grade::Fail, ABOUT, format!("{count} errors, the first: {first}; see `check`"));
            None
        }
    }
}

fn first_of(problems: &config::Problems) -> String {
    problems.errors().chain(problems.warnings()).next().map(ToString::to_string).unwrap_or_default()
}

fn service_manager(findings: &mut Findings) {
    if Users::of_this_machine().has_service_manager() {
        findings.add(Grade::Ok, "service manager", "systemd runs here");
    } else {
        let says = "systemd does not run here: agents are watched by their gateways only, and restarted by templates";
        findings.add(Grade::Warn, "service manager", says);
    }
}

fn descriptors(config: Option<&Config>, findings: &mut Findings) {
    let agents = config.map_or(0, |config| config.registry.fleet.len() as u64);
    let needed = agents.min(PROBES) + SPARE_DESCRIPTORS;
    // The daemon raises the soft limit itself.
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile).maximum.unwrap_or(u64::MAX);
    if limit >= needed {
        findings.add(Grade::Ok, "descriptors", format!("{limit} may be open, {needed} are needed"));
    } else {
        let says = format!(
            "{limit} may be open here, {needed} are needed to probe all agents at once: sweeps take longer; set \
             LimitNOFILE="
        );
        findings.add(Grade::Warn, "descriptors", says);
    }
}

fn socket(reach: &Reach, answered: bool, findings: &mut Findings) {
    let path = &reach.socket;
    let folder = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    if !folder.exists() {
        let grade = if answered { Grade::Fail } else { Grade::Ok };
        findings.add(grade, "socket", format!("{}: not there yet; the daemon makes it", folder.display()));
        return;
    }
    match folder_fault(folder) {
        Ok(None) if folder.metadata().is_ok_and(|seen| seen.mode() & 0o001 == 0) => {
            let says = format!(
                "{}: others may not enter this folder, so only its owner reaches the daemon; give the socket a folder of \
                 its own (mode 755)",
                folder.display()
            );
            findings.add(Grade::Warn, "socket", says);
        }
        Ok(None) => findings.add(Grade::Ok, "socket", path.display().to_string()),
        // Seen as another user, the daemon's own folder looks like somebody else's.
        Ok(Some(why)) if answered => findings.add(Grade::Warn, "socket", format!("{}: {why}", folder.display())),
        Ok(Some(why)) => findings.add(Grade::Fail, "socket", format!("{}: {why}", folder.display())),
        Err(error) => findings.add(Grade::Warn, "socket", error.to_string()),
    }
}

fn daemon(store: &Path, answered: bool, findings: &mut Findings) {
    const ABOUT: &str = "daemon";
    match (store::holder(store), answered) {
        (Ok(Some(holder)), true) => {
            let pid = holder.pid.map_or(String::new(), |pid| format!(" as process {pid}"));
            findings.add(Grade::Ok, ABOUT, format!("it runs{pid} and answers"));
        }
        (Ok(Some(holder)), false) => {
            let pid = holder.pid.map_or("a process".to_owned(), |pid| format!("process {pid}"));
            let says = format!("{pid} holds the store and does not answer on the socket: it starts, stops or is stuck");
            findings.add(Grade::Fail, ABOUT, says);
        }
        (Ok(None), true) => {
            let says = "a daemon answers, but holds another store; are these its --config and --socket?";
            findings.add(Grade::Fail, ABOUT, says);
        }
        (Ok(None), false) => findings.add(Grade::Warn, ABOUT, "it does not run"),
        (Err(_), true) => findings.add(Grade::Ok, ABOUT, "it answers"),
        (Err(error), false) => findings.add(Grade::Warn, ABOUT, format!("it does not answer; {}", chain(&error))),
    }
}

async fn the_store(path: &Path, now: Timestamp, answered: bool, findings: &mut Findings) {
    const ABOUT: &str = "store";
    let reader = match Store::open_read_only(path).await {
        Ok(reader) => reader,
        Err(error @ StoreError::Missing { .. }) if !answered => {
            findings.add(Grade::Warn, ABOUT, error.to_string());
            return;
        }
        Err(error) => {
            // The store is private; that says nothing about how it is.
            let private =
                matches!(&error, StoreError::Io { source, .. } if source.kind() == ErrorKind::PermissionDenied);
            let hint = if private { "; look as its owner or root" } else { "" };
            findings.add(if private { Grade::Warn } else { Grade::Fail }, ABOUT, chain(&error) + hint);
            return;
        }
    };
    match store::damage(&reader).await {
        Ok(found) if found.is_empty() => {
            let says = format!("{}: version {}, no damage found", path.display(), store::newest_version());
            findings.add(Grade::Ok, ABOUT, says);
        }
        Ok(found) => {
            let says =
                format!("{}: damaged ({}); stop the daemon and restore a backup", path.display(), found.join("; "));
            findings.add(Grade::Fail, ABOUT, says);
        }
        Err(error) => findings.add(Grade::Fail, ABOUT, chain(&error)),
    }
    for looked in [
        the_journal(&reader, now, findings).await,
        restored(&reader, path, answered, findings).await,
        set_aside(&reader, findings).await,
    ] {
        if let Err(error) = looked {
            findings.add(Grade::Fail, ABOUT, chain(&error));
        }
    }
    reader.close().await;
}

async fn the_journal(reader: &Reader, now: Timestamp, findings: &mut Findings) -> Result<(), StoreError> {
    let verified = reads::verify(reader, |_, _| {}).await?;
    match verified.value.get("entries") {
        Some(entries) if is_whole(&verified) => findings.add(Grade::Ok, "journal", format!("whole, {entries} entries")),
        _ => findings.add(Grade::Fail, "journal", verified.text.lines().next().unwrap_or_default()),
    }

    let newest = journal::page(&mut reader.read().await?, None, 1, &Filter::default()).await?;
    match newest.first() {
        Some(entry) if entry.at.as_millis() > now.as_millis().saturating_add(CLOCK_SLACK_MS) => {
            let says = format!(
                "it is {now} here, but the journal's newest entry is of {}: the clock went back, and waits last longer",
                entry.at
            );
            findings.add(Grade::Warn, "clock", says);
        }
        _ => findings.add(Grade::Ok, "clock", format!("{now}, not behind the journal")),
    }
    Ok(())
}

/// The same look as at a start, without its effects. A running daemon has settled it.
async fn restored(reader: &Reader, path: &Path, answered: bool, findings: &mut Findings) -> Result<(), StoreError> {
    if answered {
        return Ok(());
    }
    let mut db = reader.read().await?;
    let of_store = meta::get(&mut db, "generation").await?.and_then(|text| text.parse::<i64>().ok()).unwrap_or(0);
    let stamped = meta::get(&mut db, "stamp").await?.is_some();
    let beside = std::fs::read_to_string(generation::file_beside(path)).ok();
    let beside = beside.and_then(|text| text.trim().parse::<i64>().ok());
    let older = beside.is_some_and(|beside| beside > of_store);
    if stamped || older || (beside.is_none() && of_store > 0) {
        let says = "the store is a restored backup: the next start asks everything pending anew and runs nothing old";
        findings.add(Grade::Warn, "generation", says);
    } else {
        findings.add(Grade::Ok, "generation", format!("{of_store}, as the file beside the store says"));
    }
    Ok(())
}

async fn set_aside(reader: &Reader, findings: &mut Findings) -> Result<(), StoreError> {
    match inbox::set_aside(&mut reader.read().await?, 1000).await?.len() {
        0 => findings.add(Grade::Ok, "inbox", "nothing was set aside"),
        count => findings.add(Grade::Warn, "inbox", format!("{count} inputs were set aside; see `inbox list`")),
    }
    Ok(())
}

/// An error with its causes, in one line.
fn chain(error: &StoreError) -> String {
    causes(error)
}

fn causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(&format!(": {error}"));
        cause = error.source();
    }
    text
}
