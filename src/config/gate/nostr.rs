//! The Nostr channel: whose key, which relays, who is asked and how.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use nostr_sdk::RelayUrl;

use super::channels::{Given, given, refuse_secret};
use super::files::optional_path;
use super::log::word;
use super::people::Person;
use crate::config::report::{Notes, Step, Trail, below, spell};
use crate::config::section::Section;
use crate::config::words::suggest;

/// The environment variable that may hold the gateway's secret key, where no `secret_key_file` is named.
pub const NOSTR_KEY_VARIABLE: &str = "LAZARUS_NOSTR_SECRET_KEY";
/// The systemd credential that may hold it, where neither is there.
pub const NOSTR_CREDENTIAL: &str = "nostr-secret-key";
/// The systemd credential that may hold the address of a remote signer instead.
pub const NOSTR_SIGNER_CREDENTIAL: &str = "nostr-remote-signer";

/// The Nostr channel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Nostr {
    /// People are asked there.
    pub enabled: bool,
    /// The audiences a policy may name as target.
    pub audiences: BTreeMap<String, Audience>,
    /// The file with the gateway's secret key; without it, the environment or a systemd credential has it.
    pub secret_key_file: Option<PathBuf>,
    /// The file with the address of a remote signer that has the gateway's key, instead of the key itself.
    pub remote_signer_file: Option<PathBuf>,
    /// Relays that are read and written.
    pub relays: Vec<RelayUrl>,
    /// A thumb under a request is an answer.
    pub reactions: bool,
    /// What the gateway is called there.
    pub name: String,
    /// Where the daemon runs a relay of its own, if it does.
    pub embedded_relay: Option<SocketAddr>,
    /// How long an attempt to connect, and one to hand an event over, may take.
    pub call_deadline: Duration,
    /// The first wait after a connection was lost; it doubles.
    pub retry: Duration,
    /// The longest such wait.
    pub retry_max: Duration,
    /// So often subscriptions and connections are looked at.
    pub watchdog: Duration,
    /// So often a relay is asked for something small; one that has said nothing at all since is left.
    pub heartbeat: Duration,
    /// How long a relay may take to say that it has told all it has.
    pub catch_up_deadline: Duration,
}

/// Some people on Nostr.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Audience {
    /// Their names in `people`.
    pub people: BTreeSet<String>,
    /// How they are written to.
    pub style: NostrStyle,
}

/// How an audience is written to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NostrStyle {
    /// Encrypted messages to each.
    Private,
    /// Notes that everybody can read.
    Note,
}

impl Default for Nostr {
    fn default() -> Self {
        Self {
            enabled: false,
            audiences: BTreeMap::new(),
            secret_key_file: None,
            remote_signer_file: None,
            relays: Vec::new(),
            reactions: false,
            name: "lazarus-gate".to_owned(),
            embedded_relay: None,
            call_deadline: Duration::from_secs(15),
            retry: Duration::from_secs(1),
            retry_max: Duration::from_secs(60),
            watchdog: Duration::from_secs(30),
            heartbeat: Duration::from_secs(30),
            catch_up_deadline: Duration::from_secs(15),
        }
    }
}

impl Nostr {
    pub(super) fn read(section: &mut Section<'_>, folder: &Path) -> Self {
        let default = Self::default();
        let trail = section.at("nostr");
        let nostr = match given(section, "nostr") {
            Given::Word(enabled) => Self { enabled, ..default },
            Given::Mapping(mut own) => {
                for secret in ["key", "secret_key", "nsec"] {
                    refuse_secret(&mut own, secret, "secret_key_file");
                }
                for secret in ["remote_signer", "bunker"] {
                    refuse_secret(&mut own, secret, "remote_signer_file");
                }
                let instant = Duration::from_millis(1);
                let read = Self {
                    enabled: own.flag("enabled", false),
                    audiences: read_audiences(own.section("audiences")),
                    secret_key_file: optional_path(&mut own, "secret_key_file", folder),
                    remote_signer_file: optional_path(&mut own, "remote_signer_file", folder),
                    relays: read_relays(&mut own),
                    reactions: own.flag("reactions", false),
                    name: own.text("name").map_or(default.name, str::to_owned),
                    embedded_relay: read_embedded(&mut own),
                    call_deadline: own.duration("call_deadline", default.call_deadline, instant),
                    retry: own.duration("retry", default.retry, instant),
                    retry_max: own.duration("retry_max", default.retry_max, instant),
                    watchdog: own.duration("watchdog", default.watchdog, instant),
                    heartbeat: own.duration("heartbeat", default.heartbeat, instant),
                    catch_up_deadline: own.duration("catch_up_deadline", default.catch_up_deadline, instant),
                };
                own.finish();
                read
            }
        };
        if nostr.enabled {
            nostr.check(&trail, section.notes);
        }
        nostr
    }

    fn check(&self, trail: &[Step], notes: &Notes) {
        let missing = |key: &str, right: &str| {
            notes.error(&below(trail, key), format!("`channels.nostr.{key}`: is missing; {right}"));
        };
        if self.relays.is_empty() && self.embedded_relay.is_none() && !notes.has_error_under(&below(trail, "relays")) {
            missing("relays", "name the relays to use, such as `relays: [wss://relay.example.org]`");
        }
        if let Some(at) = self.embedded_relay.filter(|at| !at.ip().is_loopback()) {
            let message = format!(
                "`channels.nostr.embedded_relay`: whoever reaches {at} can read every open note there, sees who gets \
                 private messages and when, and can fill it with messages for you, all of it without encryption on the \
                 way; let it listen at 127.0.0.1, behind a proxy that speaks wss"
            );
            notes.warning(&below(trail, "embedded_relay"), message);
        }
        if self.secret_key_file.is_some() && self.remote_signer_file.is_some() {
            let message = "`channels.nostr.remote_signer_file`: there is a `secret_key_file` as well; name one of them";
            notes.error(&below(trail, "remote_signer_file"), message.to_owned());
        }
        if self.audiences.is_empty() {
            missing("audiences", "say who is asked, such as `audiences: {ops: {people: [kim]}}`");
        }
    }

    /// An audience is made of entries of `people`.
    pub(super) fn check_people(&self, people: &[Person], notes: &Notes) {
        for (name, audience) in &self.audiences {
            let keys = ["channels", "nostr", "audiences", name, "people"];
            let trail: Trail = keys.into_iter().map(|key| Step::Key(key.to_owned())).collect();
            if audience.people.is_empty() && self.enabled {
                notes.warning(&trail, format!("`{}`: there is nobody in it, so nobody is asked there", spell(&trail)));
            }
            for person in &audience.people {
                let known = people.iter().map(|person| person.id.as_str());
                match people.iter().find(|known| known.id.as_str() == person) {
                    None => {
                        let hint = suggest(person, known.collect::<Vec<_>>());
                        notes.error(&trail, format!("`{}`: {person:?} is not in `people`{hint}", spell(&trail)));
                    }
                    Some(found) if found.nostr.is_empty() => {
                        let message = format!("`{}`: {person} has no `nostr` key in `people`; add one", spell(&trail));
                        notes.warning(&trail, message);
                    }
                    // Their list cannot be looked for here.
                    Some(found) if found.relays.is_empty() && self.enabled && audience.style == NostrStyle::Private => {
                        let message = format!(
                            "`{}`: {person} has no `relays` in `people`, and is reached only if a list of theirs (kind \
                             10050) is found; `doctor nostr` looks for it, or give {person} `relays`",
                            spell(&trail)
                        );
                        notes.warning(&trail, message);
                    }
                    Some(_) => {}
                }
            }
        }
    }

    /// The relays that are read and written, the daemon's own among them.
    pub fn all_relays(&self) -> Vec<RelayUrl> {
        let own = self.embedded_relay.and_then(|at| RelayUrl::parse(&format!("ws://{at}")).ok());
        let mut all = self.relays.clone();
        all.extend(own.filter(|own| !self.relays.contains(own)));
        all
    }
}

fn read_audiences(section: Section<'_>) -> BTreeMap<String, Audience> {
    let mut audiences = BTreeMap::new();
    for (name, value) in section.entries() {
        let mut own = Section::new(Some(value), section.at(name), section.notes);
        let styles = [("private", NostrStyle::Private), ("note", NostrStyle::Note)];
        let style = word(&mut own, "style", &styles, NostrStyle::Private);
        let people = own.texts("people").unwrap_or_default().into_iter().map(|(_, name)| name.to_owned()).collect();
        audiences.insert(name.to_owned(), Audience { people, style });
        own.finish();
    }
    audiences
}

/// The relays under `relays`, each once.
pub(super) fn read_relays(section: &mut Section<'_>) -> Vec<RelayUrl> {
    let mut relays = Vec::new();
    for (trail, text) in section.texts("relays").unwrap_or_default() {
        match relay(text) {
            Ok(relay) if !relays.contains(&relay) => relays.push(relay),
            Ok(_) => {}
            Err(said) => section.notes.error(&trail, format!("`{}` {said}", spell(&trail))),
        }
    }
    relays
}

fn relay(text: &str) -> Result<RelayUrl, &'static str> {
    const RIGHT: &str = "is no relay; write wss://… or ws://…";
    let url = reqwest::Url::parse(text).map_err(|_| RIGHT)?;
    if !url.username().is_empty() || url.password().is_some() {
        return Err("holds a name or password, which would end in logs; take them out");
    }
    if !url.has_host() {
        return Err(RIGHT);
    }
    RelayUrl::parse(text).map_err(|_| RIGHT)
}

fn read_embedded(own: &mut Section<'_>) -> Option<SocketAddr> {
    let text = own.text("embedded_relay")?;
    let at = text.parse::<SocketAddr>().ok().filter(|at| at.port() != 0);
    if at.is_none() {
        own.error("embedded_relay", "is no address with a port; write where the relay is to listen, 127.0.0.1:7447");
    }
    at
}
