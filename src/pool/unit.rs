use std::fmt;

use super::name::AgentName;

/// Where the agent's name goes in a template.
const SLOT: &str = "{agent}";
/// Longest unit name that systemd takes, in characters.
const UNIT_MAX: usize = 255;
/// Longest agent name, in characters.
const AGENT_MAX: usize = 64;

/// How an agent's systemd unit is called: one template, for asking and for restarting.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnitTemplate {
    before: String,
    after: String,
}

/// Why a text cannot be a unit template.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidUnit {
    /// The place for the agent's name is missing, or there are several.
    #[error("{{agent}} must stand in it exactly once, as in hermes-{{agent}}.service")]
    Slot,
    /// A character that unit names do not have.
    #[error("{0:?} is not allowed in a unit name")]
    BadCharacter(char),
    /// An option, not a name.
    #[error("it must not begin with '-' or '.'")]
    Beginning,
    /// No ending that says what sort of unit it is.
    #[error("it must end with the sort of unit, as in hermes-{{agent}}.service")]
    Ending,
    /// With the longest agent name it would not fit.
    #[error("it is too long: a unit name has at most 255 characters, an agent's name 64 of them")]
    TooLong,
}

impl Default for UnitTemplate {
    /// `hermes-{agent}.service`.
    fn default() -> Self {
        Self { before: "hermes-".to_owned(), after: ".service".to_owned() }
    }
}

impl std::str::FromStr for UnitTemplate {
    type Err = InvalidUnit;

    fn from_str(text: &str) -> Result<Self, InvalidUnit> {
        let (before, after) = text.split_once(SLOT).ok_or(InvalidUnit::Slot)?;
        if after.contains(SLOT) {
            return Err(InvalidUnit::Slot);
        }
        let allowed = |c: &char| c.is_ascii_alphanumeric() || ":_.\\@-".contains(*c);
        if let Some(bad) = before.chars().chain(after.chars()).find(|c| !allowed(c)) {
            return Err(InvalidUnit::BadCharacter(bad));
        }
        if before.starts_with(['-', '.']) {
            return Err(InvalidUnit::Beginning);
        }
        const SORTS: [&str; 4] = [".service", ".target", ".socket", ".scope"];
        if !SORTS.iter().any(|sort| after.ends_with(sort)) {
            return Err(InvalidUnit::Ending);
        }
        if before.len() + after.len() + AGENT_MAX > UNIT_MAX {
            return Err(InvalidUnit::TooLong);
        }
        Ok(Self { before: before.to_owned(), after: after.to_owned() })
    }
}

impl UnitTemplate {
    /// The unit of `agent`.
    pub fn unit(&self, agent: &AgentName) -> String {
        [&self.before, agent.as_str(), &self.after].concat()
    }

    /// What restarts the unit of `agent` on this machine.
    pub fn restart(&self, agent: &AgentName) -> RestartCommand {
        RestartCommand { unit: self.unit(agent) }
    }
}

impl fmt::Display for UnitTemplate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{SLOT}{}", self.before, self.after)
    }
}

/// The restart of one unit on this machine. It runs as an argument vector, never through a shell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RestartCommand {
    unit: String,
}

impl RestartCommand {
    /// The unit that is restarted.
    pub fn unit(&self) -> &str {
        &self.unit
    }

    /// Program and arguments.
    pub fn argv(&self) -> [&str; 3] {
        ["systemctl", "restart", &self.unit]
    }
}

impl fmt::Display for RestartCommand {
    /// `systemctl restart hermes-ezra.service`, for reading.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.argv().join(" "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn templates_are_checked() {
        let ezra = AgentName::new("ezra").unwrap();
        let agent_at: UnitTemplate = "agent@{agent}.service".parse().unwrap();
        assert_eq!(agent_at.unit(&ezra), "agent@ezra.service");
        assert_eq!(agent_at.to_string(), "agent@{agent}.service");
        assert_eq!(UnitTemplate::default().restart(&ezra).to_string(), "systemctl restart hermes-ezra.service");
        for bad in [
            "hermes.service",
            "{agent}-{agent}.service",
            "a b{agent}.service",
            "-x{agent}.service",
            "{agent}",
            "x;{agent}.service",
            &format!("{}{{agent}}.service", "x".repeat(190)),
        ] {
            assert!(bad.parse::<UnitTemplate>().is_err(), "{bad}");
        }
    }
}
