//! Whether people can be asked on Nostr: the key, the relays, and where each person takes private messages.
//! Nothing is published.

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::fs::PermissionsExt as _;
use std::sync::Arc;

use super::{Findings, Grade};
use crate::channel::nostr::nostr_sdk::{
    Client, Filter, Kind, PublicKey, RelayUrl, Tag, Timestamp as Seconds, UnsignedEvent,
};
use crate::channel::nostr::{Bunker, Key, RemoteSigner, Signer, Transport, Verified, lists, npub};
use crate::cli::Ambient;
use crate::config::Config;
use crate::config::gate::{Nostr, NostrStyle, Person};
use crate::wording::{SHORT_MAX, harmless};

const KEY: &str = "nostr key";
const RELAY: &str = "nostr relay";
const AUDIENCE: &str = "nostr audience";
const WHO: &str = "nostr who";

/// Looks at all of it.
pub(super) async fn examine(ambient: &Ambient, config: &Config, findings: &mut Findings) {
    let nostr = &config.gate.channels.nostr;
    if !nostr.enabled {
        findings.add(Grade::Warn, RELAY, "the channel is off; `channels.nostr.enabled: true` turns it on");
    }
    let asked = audiences(config, findings);
    let Some(signer) = key(ambient, nostr, findings).await else { return };
    let client = Client::builder().signer(signer.clone()).build();
    let reached = relays(&client, nostr, findings).await;
    if reached > 0 {
        people(&client, config, &asked, findings).await;
    }
    client.shutdown().await;
    if let Signer::Remote(remote, _) = signer {
        remote.shutdown().await;
    }
}

/// What the policy wants to be asked; tells whom that means in private.
fn audiences<'c>(config: &'c Config, findings: &mut Findings) -> Vec<&'c Person> {
    let nostr = &config.gate.channels.nostr;
    let mut asked: Vec<&Person> = Vec::new();
    let mut targets =
        config.policy.channel_targets().filter(|target| target.enabled && target.name == "nostr").peekable();
    if targets.peek().is_none() {
        let says = "nobody is asked there: the policy's `approval_channels.nostr` is not enabled";
        findings.add(Grade::Fail, AUDIENCE, says);
    }
    for target in targets {
        let name = harmless(target.target.unwrap_or_default(), SHORT_MAX);
        let Some(audience) = target.target.and_then(|target| nostr.audiences.get(target)) else {
            let says = format!("the policy asks {name:?}, which is no audience of `channels.nostr.audiences`");
            findings.add(Grade::Fail, AUDIENCE, says);
            continue;
        };
        let members = config.gate.people.iter().filter(|person| audience.people.contains(person.id.as_str()));
        let members: Vec<&Person> = members.collect();
        let without: Vec<&str> =
            members.iter().filter(|person| person.nostr.is_empty()).map(|person| person.id.as_str()).collect();
        let style = if audience.style == NostrStyle::Private { "in private" } else { "in the open" };
        if members.len() == without.len() {
            findings.add(Grade::Fail, AUDIENCE, format!("nobody in {name} has a `nostr` key in `people`"));
        } else if without.is_empty() {
            findings.add(Grade::Ok, AUDIENCE, format!("the policy asks {name} {style}"));
        } else {
            findings.add(Grade::Warn, AUDIENCE, format!("without a `nostr` key in {name}: {}", without.join(", ")));
        }
        if audience.style == NostrStyle::Private {
            asked.extend(members);
        }
    }
    asked
}

async fn key(ambient: &Ambient, nostr: &Nostr, findings: &mut Findings) -> Option<Signer> {
    for path in [&nostr.secret_key_file, &nostr.remote_signer_file].into_iter().flatten() {
        if let Ok(known) = std::fs::metadata(path)
            && known.permissions().mode() & 0o077 != 0
        {
            let says = format!("{} can be read by others; `chmod 600` it", path.display());
            findings.add(Grade::Warn, KEY, says);
        }
    }
    match Key::find(nostr, &ambient.environment) {
        Ok(Key::Here(identity)) => {
            findings.add(Grade::Ok, KEY, format!("the gateway is {}", npub(&identity.hex())));
            Some(Signer::Local(identity))
        }
        Ok(Key::Remote(bunker)) => remote(ambient, bunker, nostr, findings).await,
        Err(error) => {
            findings.add(Grade::Fail, KEY, error.to_string());
            None
        }
    }
}

/// Whether the remote signer answers, and does all that it will be asked for.
async fn remote(ambient: &Ambient, bunker: Bunker, nostr: &Nostr, findings: &mut Findings) -> Option<Signer> {
    let at = Seconds::from(u64::try_from(ambient.now.as_secs()).unwrap_or(0));
    let remote = RemoteSigner::start(bunker, nostr.call_deadline, Arc::new(move || at));
    let public = match remote.ready(nostr.call_deadline * 2).await {
        Ok(public) => public,
        Err(why) => {
            findings.add(Grade::Fail, KEY, why.to_string());
            return None;
        }
    };
    findings.add(Grade::Ok, KEY, format!("the remote signer answers: the gateway is {}", npub(&public.to_hex())));
    // No relay would take it for anything: it says who we are to one that nobody has.
    let nothing = UnsignedEvent::new(public, at, Kind::Authentication, Vec::<Tag>::new(), "");
    if let Err(why) = remote.sign(&nothing).await {
        findings.add(Grade::Fail, KEY, why.to_string());
    }
    if let Err(why) = remote.encrypt(&public, "nothing").await {
        findings.add(Grade::Fail, KEY, format!("private messages cannot be written: {why}"));
    }
    if let Err(why) = remote.opens_at_all().await {
        findings.add(Grade::Fail, KEY, format!("private messages cannot be read: {why}"));
    }
    Some(Signer::Remote(remote, public))
}

/// Tells how many relays can be used.
async fn relays(client: &Client, nostr: &Nostr, findings: &mut Findings) -> usize {
    for relay in nostr.all_relays() {
        if let Err(error) = client.add_relay(relay.clone()).await {
            findings.add(Grade::Fail, RELAY, format!("{relay}: {error}"));
        }
    }
    let connected = client.try_connect(nostr.call_deadline).await;
    for (url, why) in &connected.failed {
        findings.add(Grade::Fail, RELAY, format!("{url}: {}", harmless(why, SHORT_MAX)));
    }
    for url in &connected.success {
        findings.add(Grade::Ok, RELAY, format!("{url} is reached"));
    }
    connected.success.len()
}

/// Where each person takes private messages.
async fn people(client: &Client, config: &Config, asked: &[&Person], findings: &mut Findings) {
    let nostr = &config.gate.channels.nostr;
    let keys = asked.iter().flat_map(|person| &person.nostr).filter_map(|key| PublicKey::from_hex(key).ok());
    let filter = Filter::new().kind(Kind::InboxRelays).authors(keys);
    let found = client.fetch_events(filter, nostr.catch_up_deadline).await;
    let mut listed: BTreeMap<String, (u64, Vec<RelayUrl>)> = BTreeMap::new();
    for event in found.into_iter().flatten() {
        let Ok(list) = Verified::new(event) else { continue };
        let (author, at) = (list.event().pubkey.to_hex(), list.event().created_at.as_secs());
        let relays = lists::inbox_relays(&list);
        if listed.get(&author).is_none_or(|(known, _)| *known < at) {
            listed.insert(author, (at, relays));
        }
    }
    let configured: BTreeSet<RelayUrl> =
        nostr.all_relays().into_iter().chain(asked.iter().flat_map(|person| person.relays.clone())).collect();
    let transport = Transport::new(configured);
    for person in asked {
        for key in &person.nostr {
            let own = listed.get(key).map(|(_, relays)| relays.as_slice()).unwrap_or_default();
            let (relays, from) =
                if own.is_empty() { (person.relays.as_slice(), "`people`") } else { (own, "a list of their own") };
            if relays.is_empty() {
                let says = format!(
                    "{} cannot be reached: no list of kind 10050 at our relays, and no `relays` in `people`",
                    person.id
                );
                findings.add(Grade::Fail, WHO, says);
                continue;
            }
            let mut usable = 0;
            for relay in relays {
                match transport.addresses(relay).await {
                    Ok(_) => usable += 1,
                    Err(why) => {
                        let says = format!("{}: {relay} is not used: {why}", person.id);
                        findings.add(Grade::Warn, WHO, says);
                    }
                }
            }
            let grade = if usable > 0 { Grade::Ok } else { Grade::Fail };
            findings.add(grade, WHO, format!("{} takes private messages at {usable} relays ({from})", person.id));
        }
    }
}
