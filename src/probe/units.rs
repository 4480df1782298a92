//! The language of `systemctl show`: which names may be asked for, and what the printed blocks say.
//!
//! A block per unit, in the order asked for, with an empty line between; within one the properties come in an
//! order of systemd's own. A block counts for a name only if `Id` or `Names` (its aliases) says so: position
//! alone would give one unit's state to another as soon as systemd left one out.

use super::answer::{ActiveState, LoadState, UnitAnswer};

/// What is asked of each unit.
pub(super) const PROPERTIES: &str = "--property=Id,Names,LoadState,ActiveState,SubState,InvocationID,NRestarts";
/// systemd's own bound on a unit's name.
const UNIT_NAME_MAX: usize = 255;
const SUFFIXES: [&str; 11] =
    ["service", "socket", "target", "device", "mount", "automount", "swap", "timer", "path", "slice", "scope"];

/// The full name under which `systemctl` is asked for `asked`, or none if it is no unit's name.
///
/// `systemctl` would take a bare number for a process, a `*` for a pattern and a template without an
/// instance for a reason to stop right there, so these never reach it.
pub(super) fn full_name(asked: &str) -> Option<String> {
    let has_suffix = asked.rsplit_once('.').is_some_and(|(_, suffix)| SUFFIXES.contains(&suffix));
    let full = if has_suffix { asked.to_owned() } else { format!("{asked}.service") };
    let stem = full.rsplit_once('.').map_or("", |(stem, _)| stem);
    let legal = |c: char| c.is_ascii_alphanumeric() || ":_.\\-@".contains(c);
    let well_formed = !stem.is_empty()
        && !stem.starts_with(['@', '-'])
        && !stem.ends_with('@')
        && full.len() <= UNIT_NAME_MAX
        && full.chars().all(legal);
    // `-.mount` and `-.slice` exist, but no agent lives in them.
    well_formed.then_some(full)
}

/// One block of the output.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Block {
    id: String,
    names: Vec<String>,
    pub(super) answer: UnitAnswer,
}

impl Block {
    /// Whether the block speaks of the unit of this full name.
    pub(super) fn is_of(&self, full_name: &str) -> bool {
        self.id == full_name || self.names.iter().any(|name| name == full_name)
    }
}

/// All blocks of an output, or none if any of it is not understood.
pub(super) fn parse(output: &[u8]) -> Option<Vec<Block>> {
    let text = std::str::from_utf8(output).ok()?;
    let mut blocks = Vec::new();
    let mut lines: Vec<&str> = Vec::new();
    for line in text.lines().chain([""]) {
        if !line.is_empty() {
            lines.push(line);
        } else if !lines.is_empty() {
            blocks.push(parse_block(&lines)?);
            lines.clear();
        }
    }
    Some(blocks)
}

fn parse_block(lines: &[&str]) -> Option<Block> {
    let mut properties = Vec::with_capacity(lines.len());
    for line in lines {
        let (key, value) = line.split_once('=')?;
        if properties.iter().any(|(known, _)| *known == key) {
            return None;
        }
        properties.push((key, value));
    }
    let get = |key: &str| properties.iter().find(|(known, _)| *known == key).map(|(_, value)| *value);
    let sub_state = get("SubState").unwrap_or("");
    if sub_state.len() > 64 || !sub_state.chars().all(|c| c.is_ascii_alphanumeric() || c == '-') {
        return None;
    }
    let invocation_id = get("InvocationID").unwrap_or("");
    let invocation_id = match invocation_id.len() {
        0 => None,
        32 if invocation_id.chars().all(|c| c.is_ascii_hexdigit()) => Some(invocation_id.to_ascii_lowercase()),
        _ => return None,
    };
    let restarts = match get("NRestarts") {
        None | Some("") => 0,
        Some(digits) => digits.parse().ok()?,
    };
    Some(Block {
        id: get("Id").filter(|id| !id.is_empty())?.to_owned(),
        names: get("Names").unwrap_or("").split(' ').filter(|name| !name.is_empty()).map(unquoted).collect(),
        answer: UnitAnswer::Known {
            active_state: ActiveState::from_word(get("ActiveState").filter(|word| !word.is_empty())?),
            sub_state: sub_state.to_owned(),
            invocation_id,
            restarts,
            load: LoadState::from_word(get("LoadState").unwrap_or("")),
        },
    })
}

/// systemd puts what holds a backslash into quotes and doubles it, in lists (`Names`) only.
fn unquoted(word: &str) -> String {
    word.trim_matches('"').replace("\\\\", "\\")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_of_units_reach_systemctl() {
        let long = format!("{}.service", "x".repeat(247));
        for (asked, full) in [
            ("hermes-ezra.service", Some("hermes-ezra.service")),
            ("hermes-ezra", Some("hermes-ezra.service")),
            ("a.b", Some("a.b.service")),
            ("hermes@ezra.service", Some("hermes@ezra.service")),
            ("a\\x2db.service", Some("a\\x2db.service")),
            ("123", Some("123.service")),
            (long.as_str(), Some(long.as_str())),
            (&format!("x{long}"), None),
            ("", None),
            (".service", None),
            ("hermes@.service", None),
            ("@x.service", None),
            ("--help", None),
            ("-.mount", None),
            ("hermes-*", None),
            ("a b.service", None),
            ("a; rm -rf /", None),
            ("a\nb", None),
            ("a/b", None),
            ("é", None),
        ] {
            assert_eq!(full_name(asked).as_deref(), full, "{asked:?}");
        }
    }

    #[test]
    fn blocks_are_read_strictly() {
        let good = "Id=a.service\nNames=b.service a.service\nActiveState=active\nSubState=running\n\
                    InvocationID=0123456789abcdef0123456789ABCDEF\nNRestarts=3\nLoadState=loaded\n";
        let blocks = parse(format!("{good}\n{}", good.replace("a.service", "c.service")).as_bytes()).unwrap();
        assert_eq!(blocks.len(), 2);
        assert!(blocks[0].is_of("a.service") && blocks[0].is_of("b.service") && !blocks[0].is_of("c.service"));
        assert_eq!(
            blocks[0].answer,
            UnitAnswer::Known {
                active_state: ActiveState::Active,
                sub_state: "running".into(),
                invocation_id: Some("0123456789abcdef0123456789abcdef".into()),
                restarts: 3,
                load: LoadState::Loaded,
            }
        );
        assert_eq!(parse(b""), Some(vec![]));
        for bad in [
            "hello",
            "Id=a.service\nId=a.service\nActiveState=active",
            "Id=a.service",
            "ActiveState=active",
            "Id=a.service\nActiveState=active\nInvocationID=xyz",
            "Id=a.service\nActiveState=active\nNRestarts=-1",
            "Id=a.service\nActiveState=active\nSubState=\u{1b}[31m",
        ] {
            assert_eq!(parse(bad.as_bytes()), None, "{bad:?}");
        }
        assert_eq!(parse(b"Id=\xff"), None);
    }

    #[test]
    fn what_systemd_252_really_prints_is_understood() {
        let output = "NRestarts=0\nId=real.service\nNames=real.service alias.service \"a\\\\x2db.service\"\n\
                      LoadState=loaded\nActiveState=active\nSubState=running\n\
                      InvocationID=c0a69cdf482b4944be370b1aa8c241a9\n\n\
                      NRestarts=0\nId=masked.service\nNames=masked.service\nLoadState=masked\n\
                      ActiveState=inactive\nSubState=dead\nInvocationID=\n";
        let blocks = parse(output.as_bytes()).unwrap();
        for name in ["real.service", "alias.service", "a\\x2db.service"] {
            assert!(blocks[0].is_of(name), "{name}");
        }
        assert_eq!((blocks[0].answer.alive(), blocks[1].answer.alive()), (Some(true), Some(false)));
    }

    #[test]
    fn which_states_are_alive() {
        for (active, sub, alive) in [
            ("active", "running", Some(true)),
            ("active", "exited", Some(true)),
            ("reloading", "reload", Some(true)),
            ("refreshing", "refresh", Some(true)),
            ("activating", "auto-restart", Some(false)),
            ("activating", "auto-restart-queued", Some(false)),
            ("activating", "start-pre", None),
            ("activating", "start", None),
            ("inactive", "dead", Some(false)),
            ("failed", "failed", Some(false)),
            ("deactivating", "stop-sigterm", Some(false)),
            ("maintenance", "cleaning", Some(false)),
            ("dreaming", "x", None),
        ] {
            let block = parse(format!("Id=a.service\nActiveState={active}\nSubState={sub}").as_bytes()).unwrap();
            assert_eq!(block[0].answer.alive(), alive, "{active} {sub}");
        }
    }
}
