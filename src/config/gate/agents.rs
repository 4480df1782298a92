//! The door for agents: where it listens, how much it takes, and whose heartbeats count.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use crate::config::report::below;
use crate::config::section::{Section, kind};
use crate::pool::AgentName;

/// The HTTP API for agents; without the section `agents` there is none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Agents {
    /// Where it listens; port 0 takes a free one, which `agent list` shows.
    pub listen: SocketAddr,
    /// Requests a second that one token may make, and twice as many at once.
    pub rate: u32,
    /// Connections at the same time.
    pub connections: usize,
    /// Within this time the head, and then the body, of a request must have come.
    pub arrive_within: Duration,
    /// Whose heartbeats are a signal of health.
    pub heartbeats: BTreeMap<AgentName, HeartbeatRule>,
}

/// When an agent's heartbeat speaks for its health.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HeartbeatRule {
    /// A silence that is longer speaks against it.
    pub within: Duration,
    /// How far ahead it may say that it is busy.
    pub busy_at_most: Duration,
    /// If its own count of progress stands still for longer, it speaks against it, too; none: that is not looked at.
    pub stalled_after: Option<Duration>,
}

impl Agents {
    pub(super) fn read(root: &mut Section<'_>) -> Option<Self> {
        if !root.has("agents") {
            root.take("agents");
            return None;
        }
        let mut section = root.section("agents");
        let listen = read_listen(&mut section);
        let agents = Self {
            listen: listen.unwrap_or(SocketAddr::from(([127, 0, 0, 1], 0))),
            rate: u32::try_from(section.number("rate", 50, 1, 100_000)).unwrap_or(u32::MAX),
            connections: section.number("connections", 256, 1, 65_536) as usize,
            arrive_within: section.duration("arrive_within", Duration::from_secs(5), Duration::from_millis(1)),
            heartbeats: read_heartbeats(section.section("heartbeats")),
        };
        section.finish();
        Some(agents)
    }
}

/// Other machines reach what does not listen on the loopback, and the API speaks plain HTTP: that is only done
/// when it is asked for in as many words.
fn read_listen(section: &mut Section<'_>) -> Option<SocketAddr> {
    const RIGHT: &str = "write an address with a port, such as 127.0.0.1:8750 or \"[::1]:8750\"";
    let expose = section.flag("expose", false);
    let Some(text) = section.text("listen") else {
        if !section.has("listen") {
            section.error("listen", format!("is missing; {RIGHT}, or remove `agents`"));
        }
        return None;
    };
    let Ok(listen) = text.trim().parse::<SocketAddr>() else {
        section.error("listen", format!("{text:?} is no address; {RIGHT}"));
        return None;
    };
    match (listen.ip().is_loopback(), expose) {
        (true, _) => {}
        (false, false) => section.error(
            "listen",
            format!(
                "{listen} can be reached from other machines, and tokens would travel unencrypted; listen on \
                 127.0.0.1, or add `expose: true` if only a network that you trust reaches it"
            ),
        ),
        (false, true) => {
            let trail = section.at("listen");
            let message = format!(
                "`agents.listen`: {listen} can be reached from other machines, and whoever can read the traffic can \
                 act as any agent; put a proxy with TLS before it, or listen on 127.0.0.1"
            );
            section.notes.warning(&trail, message);
        }
    }
    Some(listen)
}

fn read_heartbeats(section: Section<'_>) -> BTreeMap<AgentName, HeartbeatRule> {
    let mut rules = BTreeMap::new();
    for (agent, value) in section.entries() {
        let trail = below(section.trail(), agent);
        let name = match AgentName::new(agent) {
            Ok(name) => name,
            Err(why) => {
                section.notes.error(&trail, format!("`agents.heartbeats`: {agent:?} is no agent name: {why}"));
                continue;
            }
        };
        if !value.is_object() {
            let message = format!("is {}; write for example {{within: 90s}}", kind(value));
            section.error(agent, message);
            continue;
        }
        let mut of = Section::new(Some(value), trail, section.notes);
        if !of.has("within") {
            of.error("within", "is missing; write after how long a silence speaks against it, such as 90s");
        }
        let ms = Duration::from_millis(1);
        let rule = HeartbeatRule {
            within: of.duration("within", Duration::from_secs(90), ms),
            busy_at_most: of.duration("busy_at_most", Duration::from_secs(3600), ms),
            stalled_after: of.has("stalled_after").then(|| of.duration("stalled_after", Duration::MAX, ms)),
        };
        of.finish();
        rules.insert(name, rule);
    }
    rules
}
