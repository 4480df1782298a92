use std::collections::BTreeSet;
use std::time::Duration;

use crate::pool::{AgentName, HostName};

/// The variables every command gets, if the daemon has them.
const ALWAYS: [&str; 3] = ["PATH", "HOME", "LANG"];
/// How long a command may run, unless its template says otherwise.
const TIMEOUT: Duration = Duration::from_secs(60);

/// Why a list of arguments is no template, or a template does not fit an agent; fits after "the `restart` template: ".
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidTemplate {
    /// No argument, or an empty first one.
    #[error("it names no program; write its argument vector, as [systemctl, restart, \"{{unit}}\"]")]
    NoProgram,
    /// What is to be run must not depend on what the registry says.
    #[error("its program {0:?} holds a placeholder; only the arguments after it may")]
    PlaceholderInProgram(String),
    /// A name in braces that means nothing.
    #[error(
        "its argument {argument:?} has the unknown placeholder {{{name}}}; there are {{agent}}, {{host}} and {{unit}}, and braces are written {{{{ and }}}}"
    )]
    UnknownPlaceholder {
        /// The argument.
        argument: String,
        /// What stands in the braces.
        name: String,
    },
    /// A brace that opens or closes nothing.
    #[error("its argument {0:?} has a single brace; braces are written {{{{ and }}}}")]
    LoneBrace(String),
    /// No argument of a program can hold that.
    #[error("its argument {0:?} holds a NUL character, which no argument can")]
    Nul(String),
    /// A variable that cannot be.
    #[error("its variable {0:?} is no name of an environment variable")]
    BadVariable(String),
    /// It mentions something that this agent has not.
    #[error("it needs {{{0}}}, and this agent has none")]
    NoValue(&'static str),
    /// A unit name that could be read as something else.
    #[error(
        "{0:?} is no name of a systemd unit; use letters, digits, ':', '-', '_', '.', '\\' and '@', and begin with none of '-' and '.'"
    )]
    BadUnit(String),
}

/// A command with blanks for an agent, checked when it was loaded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template {
    argv: Vec<Vec<Piece>>,
    env: BTreeSet<String>,
    timeout: Duration,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    Text(String),
    Agent,
    Host,
    Unit,
}

/// What fills the blanks. Each stands within one argument and never makes two, whatever it holds.
#[derive(Clone, Copy, Debug)]
pub struct Values<'a> {
    /// `{agent}`
    pub agent: &'a AgentName,
    /// `{host}`, if the agent has one.
    pub host: Option<&'a HostName>,
    /// `{unit}`, if it has one.
    pub unit: Option<&'a str>,
}

impl Template {
    /// Checks `argv`. Placeholders are `{agent}`, `{host}`, `{unit}`; `{{` and `}}` stand for braces.
    pub fn parse(argv: Vec<String>) -> Result<Self, InvalidTemplate> {
        let argv = argv.iter().map(|argument| pieces(argument)).collect::<Result<Vec<_>, _>>()?;
        match argv.first().map(Vec::as_slice) {
            None | Some([]) => Err(InvalidTemplate::NoProgram),
            Some([Piece::Text(_)]) => Ok(Self { argv, env: BTreeSet::new(), timeout: TIMEOUT }),
            Some(program) => Err(InvalidTemplate::PlaceholderInProgram(shown(program))),
        }
    }

    /// Grants the command these variables of the daemon, besides `PATH`, `HOME` and `LANG`.
    pub fn with_env(mut self, names: Vec<String>) -> Result<Self, InvalidTemplate> {
        for name in names {
            if name.is_empty() || name.contains(['=', '\0']) {
                return Err(InvalidTemplate::BadVariable(name));
            }
            self.env.insert(name);
        }
        Ok(self)
    }

    /// Gives the command `timeout` instead of one minute.
    pub fn with_timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// How long the command may run.
    pub fn timeout(&self) -> Duration {
        self.timeout
    }

    /// Whether it mentions `{host}`. Only such a template may restart a remote agent (invariant 14): any other would
    /// run its command here, for an agent that lives elsewhere.
    pub fn names_host(&self) -> bool {
        self.mentions(&Piece::Host)
    }

    /// Whether it mentions `{unit}`.
    pub fn names_unit(&self) -> bool {
        self.mentions(&Piece::Unit)
    }

    fn mentions(&self, wanted: &Piece) -> bool {
        self.argv.iter().flatten().any(|piece| piece == wanted)
    }

    /// The argument vector for one agent.
    pub fn fill(&self, values: Values<'_>) -> Result<Vec<String>, InvalidTemplate> {
        if let Some(unit) = values.unit.filter(|unit| self.names_unit() && !is_unit(unit)) {
            return Err(InvalidTemplate::BadUnit(unit.to_owned()));
        }
        self.argv
            .iter()
            .map(|argument| {
                argument
                    .iter()
                    .map(|piece| match piece {
                        Piece::Text(text) => Ok(text.as_str()),
                        Piece::Agent => Ok(values.agent.as_str()),
                        Piece::Host => values.host.map(HostName::as_str).ok_or(InvalidTemplate::NoValue("host")),
                        Piece::Unit => values.unit.ok_or(InvalidTemplate::NoValue("unit")),
                    })
                    .collect()
            })
            .collect()
    }

    /// The command's whole environment: `PATH`, `HOME`, `LANG` and what the template lists, as far as `lookup` (the
    /// daemon's environment, read once) has them, by name.
    pub fn environment(&self, lookup: impl Fn(&str) -> Option<String>) -> Vec<(String, String)> {
        let names: BTreeSet<&str> = ALWAYS.into_iter().chain(self.env.iter().map(String::as_str)).collect();
        names.into_iter().filter_map(|name| Some((name.to_owned(), lookup(name)?))).collect()
    }
}

fn pieces(argument: &str) -> Result<Vec<Piece>, InvalidTemplate> {
    if argument.contains('\0') {
        return Err(InvalidTemplate::Nul(argument.to_owned()));
    }
    let lone_brace = || InvalidTemplate::LoneBrace(argument.to_owned());
    let mut pieces = Vec::new();
    let mut text = String::new();
    let mut rest = argument;
    while let Some(at) = rest.find(['{', '}']) {
        text.push_str(&rest[..at]);
        let brace = &rest[at..=at];
        rest = &rest[at + 1..];
        if let Some(after) = rest.strip_prefix(brace) {
            text.push_str(brace);
            rest = after;
            continue;
        }
        if brace == "}" {
            return Err(lone_brace());
        }
        let (name, after) = rest.split_once('}').ok_or_else(lone_brace)?;
        let piece = match name {
            "agent" => Piece::Agent,
            "host" => Piece::Host,
            "unit" => Piece::Unit,
            _ => {
                let (argument, name) = (argument.to_owned(), name.to_owned());
                return Err(InvalidTemplate::UnknownPlaceholder { argument, name });
            }
        };
        if !text.is_empty() {
            pieces.push(Piece::Text(std::mem::take(&mut text)));
        }
        pieces.push(piece);
        rest = after;
    }
    text.push_str(rest);
    if !text.is_empty() {
        pieces.push(Piece::Text(text));
    }
    Ok(pieces)
}

fn shown(argument: &[Piece]) -> String {
    argument
        .iter()
        .map(|piece| match piece {
            Piece::Text(text) => text.as_str(),
            Piece::Agent => "{agent}",
            Piece::Host => "{host}",
            Piece::Unit => "{unit}",
        })
        .collect()
}

/// The characters that systemd allows, in a name that cannot be taken for an option.
fn is_unit(text: &str) -> bool {
    let good = |c: char| c.is_ascii_alphanumeric() || ":-_.\\@".contains(c);
    !text.is_empty() && text.len() <= 255 && !text.starts_with(['-', '.']) && text.chars().all(good)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(argv: &[&str]) -> Result<Template, InvalidTemplate> {
        Template::parse(argv.iter().map(|argument| (*argument).to_owned()).collect())
    }

    fn fill(argv: &[&str], host: Option<&str>, unit: Option<&str>) -> Result<Vec<String>, InvalidTemplate> {
        let agent = AgentName::new("ada").unwrap();
        let host = host.map(|host| HostName::new(host).unwrap());
        parse(argv)?.fill(Values { agent: &agent, host: host.as_ref(), unit })
    }

    #[test]
    fn blanks_are_filled_within_their_argument() {
        let unit = Some("hermes-ada.service");
        for (argv, filled) in [
            (vec!["systemctl", "restart", "{unit}"], vec!["systemctl", "restart", "hermes-ada.service"]),
            (vec!["ssh", "{host}", "--", "r", "{agent}@{host}!"], vec!["ssh", "10.0.0.7", "--", "r", "ada@10.0.0.7!"]),
            (vec!["awk", "{{print $1}}", "{{agent}}", ""], vec!["awk", "{print $1}", "{agent}", ""]),
            (vec!["x", "{agent}{agent}", "{{{agent}}}"], vec!["x", "adaada", "{ada}"]),
        ] {
            assert_eq!(fill(&argv, Some("10.0.0.7"), unit).unwrap(), filled);
        }
    }

    #[test]
    fn what_means_nothing_is_refused_when_loaded() {
        for argv in [
            vec![],
            vec![""],
            vec!["{agent}"],
            vec!["/opt/{agent}/restart"],
            vec!["x", "{mission}"],
            vec!["x", "{}"],
            vec!["x", "{agent"],
            vec!["x", "agent}"],
            vec!["x", "{ agent }"],
            vec!["x", "a\0b"],
            vec!["x\0"],
        ] {
            assert!(parse(&argv).is_err(), "{argv:?}");
        }
    }

    #[test]
    fn an_agent_without_the_value_gets_no_command() {
        assert_eq!(fill(&["x", "{host}"], None, None), Err(InvalidTemplate::NoValue("host")));
        assert_eq!(fill(&["x", "{unit}"], None, None), Err(InvalidTemplate::NoValue("unit")));
        for unit in ["", "-a", ".a", "a b", "a;b", "a/b", "a\nb", "é", &"x".repeat(256)] {
            assert!(matches!(fill(&["x", "{unit}"], None, Some(unit)), Err(InvalidTemplate::BadUnit(_))), "{unit}");
        }
        for unit in ["a@b.service", "a\\x2db.service", "dbus-:1.2-a.service"] {
            assert!(fill(&["x", "{unit}"], None, Some(unit)).is_ok(), "{unit}");
        }
    }

    #[test]
    fn a_template_for_elsewhere_says_so() {
        assert!(parse(&["ssh", "root@{host}", "reboot"]).unwrap().names_host());
        assert!(!parse(&["ssh", "{{host}}", "{agent}"]).unwrap().names_host());
    }

    #[test]
    fn the_environment_is_a_closed_list() {
        let template = parse(&["x"]).unwrap().with_env(vec!["TOKEN".into(), "ABSENT".into()]).unwrap();
        let has = |name: &str| (name != "ABSENT" && name != "LANG").then(|| name.to_lowercase());
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let expected = [pair("HOME", "home"), pair("PATH", "path"), pair("TOKEN", "token")];
        assert_eq!(template.environment(has), expected);
        for bad in ["", "a=b", "a\0"] {
            assert!(parse(&["x"]).unwrap().with_env(vec![bad.into()]).is_err(), "{bad}");
        }
    }
}
