use std::collections::BTreeMap;

use crate::config::report::below;
use crate::config::section::{Section, kind};
use crate::pool::{AgentName, HostName, LocalHosts, UnitTemplate};

/// The hosts that are this machine; its default is the set of the script this gateway replaces.
pub(super) fn read_local_hosts(root: &mut Section<'_>) -> LocalHosts {
    let Some(hosts) = root.texts("local_hosts") else { return LocalHosts::default() };
    let mut read = Vec::new();
    for (trail, host) in hosts {
        match HostName::new(host) {
            Ok(host) => read.push(String::from(host)),
            Err(why) => {
                let loopback = "addresses of 127.0.0.0/8 always count as local";
                root.notes.error(&trail, format!("`local_hosts`: {host:?} is no host: {why}; {loopback}"));
            }
        }
    }
    LocalHosts::new(read)
}

pub(super) fn read_unit(root: &mut Section<'_>) -> UnitTemplate {
    let Some(text) = root.text("unit") else { return UnitTemplate::default() };
    text.parse().unwrap_or_else(|why| {
        root.error("unit", format!("{text:?} cannot be the units of agents: {why}"));
        UnitTemplate::default()
    })
}

/// Longest name of a systemd unit, in characters.
const UNIT_MAX: usize = 255;

/// A unit is an argument of systemctl: it must not look like an option, and holds only what unit
/// names are made of.
fn check_unit(unit: &str) -> Result<(), String> {
    const TYPES: [&str; 4] = [".service", ".target", ".socket", ".timer"];
    let fine = |c: char| c.is_ascii_alphanumeric() || ":-_.\\@".contains(c);
    if unit.starts_with('-') {
        return Err("begins with '-', which systemctl takes for an option; write the unit's whole name".to_owned());
    }
    if let Some(bad) = unit.chars().find(|c| !fine(*c)) {
        return Err(format!("{bad:?} cannot be in a unit's name; use letters, digits and : - _ . \\ @"));
    }
    if unit.len() > UNIT_MAX {
        return Err(format!("a unit's name has at most {UNIT_MAX} characters"));
    }
    if !TYPES.iter().any(|ending| unit.ends_with(ending)) {
        return Err("does not end like a unit; write for example hermes-ada.service".to_owned());
    }
    Ok(())
}

pub(super) fn read_units(section: Section<'_>) -> BTreeMap<AgentName, String> {
    let mut units = BTreeMap::new();
    for (agent, unit) in section.entries() {
        let trail = below(section.trail(), agent);
        let name = match AgentName::new(agent) {
            Ok(name) => name,
            Err(why) => {
                section.notes.error(&trail, format!("`units`: {agent:?} is no agent name: {why}"));
                continue;
            }
        };
        match unit.as_str() {
            None => section.error(agent, format!("is {}; write the unit's name", kind(unit))),
            Some(unit) => match check_unit(unit) {
                Ok(()) => {
                    units.insert(name, unit.to_owned());
                }
                Err(said) => section.error(agent, said),
            },
        }
    }
    units
}

pub(super) fn read_timezone(root: &mut Section<'_>) -> jiff::tz::TimeZone {
    let Some(name) = root.text("timezone") else { return jiff::tz::TimeZone::UTC };
    // UTC must work on machines without a time zone database.
    if name.eq_ignore_ascii_case("UTC") {
        return jiff::tz::TimeZone::UTC;
    }
    jiff::tz::TimeZone::get(name).unwrap_or_else(|_| {
        let right = "write an IANA name such as Europe/Berlin or UTC (all but UTC need the package tzdata)";
        root.error("timezone", format!("{name:?} is not known on this machine; {right}"));
        jiff::tz::TimeZone::UTC
    })
}
