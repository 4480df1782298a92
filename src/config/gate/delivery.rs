//! How a substitute is told what it is to take over.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::Value;

use super::command::SubstituteCommand;
use super::files::optional_path;
use crate::config::report::below;
use crate::config::section::{Section, kind};
use crate::pool::AgentName;

/// How substitutes are told, by name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Deliveries {
    /// Those who stand there by name.
    pub by_agent: BTreeMap<AgentName, Delivery>,
    /// All others.
    pub others: Option<Delivery>,
}

/// How one substitute is told, and how long it has to answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivery {
    /// The way.
    pub way: DeliveryWay,
    /// The offer is over if it was not accepted by then.
    pub accept_within: Duration,
}

/// The way to a substitute.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DeliveryWay {
    /// An HTTP POST of the packet.
    Post {
        /// To where.
        url: DeliveryUrl,
        /// A file with the bearer token that is sent along.
        token_file: Option<PathBuf>,
        /// How long it may take.
        timeout: Duration,
    },
    /// A command that reads the packet on its standard input.
    Command(SubstituteCommand),
}

/// An address; some hold what lets one call them, so it prints without its path.
#[derive(Clone, PartialEq, Eq)]
pub struct DeliveryUrl(String);

impl DeliveryUrl {
    /// The whole address, for the call and nothing else.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for DeliveryUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DeliveryUrl(…)")
    }
}

impl Deliveries {
    /// How `substitute` is told; none: only by the `substitute` command, if there is one.
    pub fn of(&self, substitute: &AgentName) -> Option<&Delivery> {
        self.by_agent.get(substitute).or(self.others.as_ref())
    }

    /// Whether anybody can be told this way.
    pub fn is_empty(&self) -> bool {
        self.by_agent.is_empty() && self.others.is_none()
    }

    pub(super) fn read(section: Section<'_>, folder: &Path) -> Self {
        let mut read = Self::default();
        for (agent, value) in section.entries() {
            let trail = below(section.trail(), agent);
            if !value.is_object() {
                section.error(agent, format!("is {}; write {{post: http://…}} or {{run: […]}}", kind(value)));
                continue;
            }
            let delivery = Delivery::read(Section::new(Some(value), trail.clone(), section.notes), folder);
            match AgentName::new(agent) {
                Ok(name) => read.by_agent.extend(delivery.map(|one| (name, one))),
                Err(_) if agent == "*" => read.others = delivery,
                Err(why) => {
                    section.notes.error(&trail, format!("`delivery`: {agent:?} is no agent name, nor '*': {why}"));
                }
            }
        }
        read
    }
}

impl Delivery {
    fn read(mut section: Section<'_>, folder: &Path) -> Option<Self> {
        let ms = Duration::from_millis(1);
        let accept_within = section.duration("accept_within", Duration::from_secs(15 * 60), ms);
        let way = match (section.has("post"), section.has("run")) {
            (true, false) => {
                let token_file = optional_path(&mut section, "token_file", folder);
                let timeout = section.duration("timeout", Duration::from_secs(10), ms);
                read_url(&mut section).map(|url| DeliveryWay::Post { url, token_file, timeout })
            }
            (false, true) => SubstituteCommand::read_in(&mut section).map(DeliveryWay::Command),
            (both, _) => {
                section.take("run");
                let wrong =
                    if both { "and `run` exclude each other" } else { "is missing, and so is `run`; write one" };
                section.error("post", wrong);
                section.take("post");
                None
            }
        };
        section.finish();
        way.map(|way| Self { way, accept_within })
    }
}

fn read_url(section: &mut Section<'_>) -> Option<DeliveryUrl> {
    const RIGHT: &str = "write http://HOST:PORT/PATH or https://…";
    let value = section.take("post")?;
    let Value::String(text) = value else {
        section.error("post", format!("is {}; {RIGHT}", kind(value)));
        return None;
    };
    match reqwest::Url::parse(text) {
        Ok(url) if !url.username().is_empty() || url.password().is_some() => {
            section.error("post", "holds a password; put it into a file, and name that in `token_file`");
            None
        }
        Ok(url) if matches!(url.scheme(), "http" | "https") && url.has_host() => Some(DeliveryUrl(text.clone())),
        Ok(_) | Err(_) => {
            section.error("post", format!("is no web address; {RIGHT}"));
            None
        }
    }
}
