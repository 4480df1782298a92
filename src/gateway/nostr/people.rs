//! Who is asked, and where.

use crate::approval::{Channel, People, PersonId, Speaker};
use crate::channel::nostr::nostr_sdk::{PublicKey, RelayUrl};
use crate::channel::nostr::{Target, npub};
use crate::config::gate::{Audience, NostrStyle};
use crate::gateway::speak::Outlet;
use crate::gateway::{Gateway, InForce};

/// Where people are told on Nostr, by the files in force: each key of each person of a private audience, or
/// the audience as a whole.
pub fn outlets(in_force: &InForce) -> Vec<Outlet> {
    let nostr = &in_force.config.gate.channels.nostr;
    let mut outlets = Vec::new();
    if !nostr.enabled {
        return outlets;
    }
    let mut put = |target: Target| {
        let outlet = Outlet { channel: Channel::Nostr, target: target.to_string() };
        if !outlets.contains(&outlet) {
            outlets.push(outlet);
        }
    };
    for target in in_force.config.policy.channel_targets().filter(|target| target.enabled && target.name == "nostr") {
        let Some((name, audience)) = target.target.and_then(|name| nostr.audiences.get_key_value(name)) else {
            continue;
        };
        match audience.style {
            NostrStyle::Note => put(Target::Note(name.clone())),
            NostrStyle::Private => keys_of(in_force, audience).into_iter().map(Target::Private).for_each(&mut put),
        }
    }
    outlets
}

/// Whether everybody can read what is said there.
pub fn is_open(outlet: &Outlet) -> bool {
    outlet.channel == Channel::Nostr && matches!(outlet.target.parse(), Ok(Target::Note(_)))
}

/// Whether that is the private line of somebody who does not count any more.
pub fn is_out(outlet: &Outlet, left: &People) -> bool {
    let Ok(Target::Private(key)) = outlet.target.parse::<Target>() else { return false };
    outlet.channel == Channel::Nostr && left.who(&Speaker::Nostr(key)).is_none()
}

/// The public keys of an audience, of those who still count.
pub fn keys_of(in_force: &InForce, audience: &Audience) -> Vec<String> {
    let ids = audience.people.iter().filter_map(|name| PersonId::new(name.as_str()).ok());
    let people = ids.filter_map(|id| in_force.people.get(&id));
    people
        .flat_map(|person| &person.speaks_as)
        .filter_map(|speaker| match speaker {
            Speaker::Nostr(key) => Some(key.clone()),
            Speaker::LocalUser(_) | Speaker::Telegram(_) => None,
        })
        .collect()
}

/// All public keys that somebody speaks with.
pub fn all_keys(in_force: &InForce) -> Vec<String> {
    let speakers = in_force.people.iter().flat_map(|person| &person.speaks_as);
    let mut keys: Vec<String> = speakers
        .filter_map(|speaker| match speaker {
            Speaker::Nostr(key) => Some(key.clone()),
            Speaker::LocalUser(_) | Speaker::Telegram(_) => None,
        })
        .collect();
    keys.sort();
    keys.dedup();
    keys
}

/// The people whom an open message to `audience` names.
pub fn named_in(in_force: &InForce, audience: &str) -> Vec<PublicKey> {
    let audience = in_force.config.gate.channels.nostr.audiences.get(audience);
    let keys = audience.map(|audience| keys_of(in_force, audience)).unwrap_or_default();
    keys.iter().filter_map(|key| PublicKey::from_hex(key).ok()).collect()
}

/// Where private messages for `key` go: to the relays of its own list, or else to those of the configuration.
pub fn inbox_of(gateway: &Gateway, key: &str) -> Vec<RelayUrl> {
    let listed = gateway.nostr.list_of(key).map(|list| list.relays).unwrap_or_default();
    let listed: Vec<RelayUrl> = listed.iter().filter_map(|url| RelayUrl::parse(url).ok()).collect();
    if !listed.is_empty() {
        return listed;
    }
    known_of(gateway, key)
}

/// Where the configuration says that private messages for `key` are taken.
pub fn known_of(gateway: &Gateway, key: &str) -> Vec<RelayUrl> {
    let in_force = gateway.in_force();
    let person = in_force.config.gate.people.iter().find(|person| person.nostr.contains(key));
    person.map(|person| person.relays.clone()).unwrap_or_default()
}

/// What people call a target: whose key it is, or the audience's name.
pub fn name_of(gateway: &Gateway, target: &str) -> String {
    match target.parse::<Target>() {
        Ok(Target::Private(key) | Target::Reply(key)) => {
            let in_force = gateway.in_force();
            let person = in_force.people.who(&Speaker::Nostr(key.clone())).map(|person| person.id.to_string());
            person.map_or_else(|| npub(&key), |person| format!("{person} on Nostr"))
        }
        Ok(Target::Note(audience)) => format!("{audience} on Nostr"),
        Err(()) => target.to_owned(),
    }
}
