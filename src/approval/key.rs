use std::fmt;

use serde::{Deserialize, Serialize};

use crate::pool::{AgentName, MissionName, Timestamp};

/// `agent:mission:unix-seconds` of the request's creation. Names hold no `:`, so a key reads back
/// in one way only. It stays the same while its request is pending.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ApprovalKey {
    agent: AgentName,
    mission: MissionName,
    second: i64,
}

/// The text is no approval key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an approval key is AGENT:MISSION:SECONDS, like ezra:archive:1776225600")]
pub struct InvalidKey;

impl ApprovalKey {
    /// The key of a request made at `now`. Its second is raised past that of the agent's `last`
    /// key, so that two requests in one second, or after the clock went back, never share one.
    pub fn new(agent: AgentName, mission: MissionName, now: Timestamp, last: Option<i64>) -> Self {
        let second = match last {
            Some(last) => now.as_secs().max(last.saturating_add(1)),
            None => now.as_secs(),
        };
        Self { agent, mission, second }
    }

    /// The second in it, to be handed to [`ApprovalKey::new`] as the agent's last.
    pub fn second(&self) -> i64 {
        self.second
    }

    /// Reads `agent:mission:seconds`.
    pub fn parse(text: &str) -> Result<Self, InvalidKey> {
        let mut parts = text.splitn(3, ':');
        let mut next = || parts.next().ok_or(InvalidKey);
        let (agent, mission, second) = (next()?, next()?, next()?);
        Ok(Self {
            agent: AgentName::new(agent).map_err(|_| InvalidKey)?,
            mission: MissionName::new(mission).map_err(|_| InvalidKey)?,
            second: second.parse().map_err(|_| InvalidKey)?,
        })
    }
}

impl fmt::Display for ApprovalKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.agent, self.mission, self.second)
    }
}

impl TryFrom<String> for ApprovalKey {
    type Error = InvalidKey;
    fn try_from(text: String) -> Result<Self, InvalidKey> {
        Self::parse(&text)
    }
}

impl From<ApprovalKey> for String {
    fn from(key: ApprovalKey) -> String {
        key.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_read_back_and_never_repeat() {
        let agent = AgentName::new("ezra").unwrap();
        let mission = MissionName::new("archive").unwrap();
        let now = Timestamp::from_millis(3_000_900);
        let first = ApprovalKey::new(agent.clone(), mission.clone(), now, None);
        assert_eq!(first.to_string(), "ezra:archive:3000");
        assert_eq!(ApprovalKey::parse("ezra:archive:3000"), Ok(first.clone()));
        let second = ApprovalKey::new(agent.clone(), mission.clone(), now, Some(first.second()));
        assert_eq!(second.to_string(), "ezra:archive:3001");
        let clock_went_back = ApprovalKey::new(agent, mission, Timestamp::from_millis(0), Some(second.second()));
        assert_eq!(clock_went_back.to_string(), "ezra:archive:3002");
        for bad in ["", "a:b", "a:b:c", "a b:c:1", "a:b:1:2", "a::1"] {
            assert_eq!(ApprovalKey::parse(bad), Err(InvalidKey), "{bad}");
        }
    }
}
