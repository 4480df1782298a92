//! Deciding at the command line: which word of the gateway is the answer, and a request among many messages.

use std::process::Command;

use nostr_sdk::nips::nip44;
use nostr_sdk::prelude::*;
use serde_json::Value;

use super::rogue::{Manners, Rogue};
use super::room::{Room, keys};
use crate::world::{DEADLINE, GATE, Heard, hear};

/// The command line of kim, at one relay.
fn say(room: &Room, url: &str, args: &[&str]) -> Heard {
    hear(command(room, url, args), args)
}

fn command(room: &Room, url: &str, args: &[&str]) -> Command {
    let gateway = room.kim.gate.to_bech32().unwrap();
    room.world.write("kim.key", &room.kim.keys.secret_key().to_bech32().unwrap());
    let mut command = Command::new(GATE);
    command.args(args).args(["--nostr", "--gateway", &gateway, "--relay", url, "--key"]);
    command.arg(room.world.path("kim.key"));
    command
}

/// The gateway says this to kim in private, whether or not it runs.
fn gateway_says(room: &Room, text: &str, tags: &[&[&str]]) -> EventId {
    let mut all = vec![Tag::public_key(room.kim.keys.public_key())];
    all.extend(tags.iter().map(|tag| Tag::parse(tag.iter().copied()).unwrap()));
    let gate = keys(1);
    let mut rumor = UnsignedEvent::new(gate.public_key(), Timestamp::now(), Kind::PrivateDirectMessage, all, text);
    let id = rumor.id();
    let kim = room.kim.keys.public_key();
    let wrap = room.handle().block_on(EventBuilder::gift_wrap(&gate, &kim, rumor, []));
    room.mallory.publishes(&wrap.unwrap());
    id
}

/// The next decision that reaches the gateway's relay in a wrap.
async fn next_decision(url: String) -> Event {
    let gate = keys(1);
    let client = Client::new(gate.clone());
    client.add_relay(&url).await.unwrap();
    client.connect().await;
    client.wait_for_connection(DEADLINE).await;
    let mut notes = client.notifications();
    let wraps = Filter::new().kind(Kind::GiftWrap).pubkey(gate.public_key());
    client.subscribe(wraps, None).await.unwrap();
    loop {
        let RelayPoolNotification::Event { event, .. } = notes.recv().await.unwrap() else { continue };
        let Ok(inner) = nip44::decrypt(gate.secret_key(), &event.pubkey, &event.content) else { continue };
        let Ok(inner) = Event::from_json(inner) else { continue };
        if inner.kind.as_u16() == 4717 {
            client.shutdown().await;
            return inner;
        }
    }
}

const KEY: &str = "ada:ada-mission:1795416000";

/// How a denial ends that is answered with these words and this outcome, after the end of a request that somebody
/// else decided has been told in its thread.
fn a_denial_that_is_answered(text: &str, outcome: Option<&str>) -> Heard {
    let room = Room::with_agents(&["ada"]);
    let packet = gateway_says(&room, "ada is dead", &[&["approval", KEY], &["code", "7K3QXM"]]).to_hex();
    let deciding = room.handle().spawn(next_decision(room.url.clone()));
    std::thread::scope(|scope| {
        let args = ["deny", "7K3QXM", "it is moved"];
        let command = command(&room, &room.url, &args);
        let cli = scope.spawn(move || hear(command, &args));
        let decision = room.handle().block_on(async { tokio::time::timeout(DEADLINE, deciding).await });
        let id = decision.expect("a decision").unwrap().id.to_hex();
        gateway_says(&room, "ada (7K3QXM): approved by lee (Nostr): restart.", &[&["e", &packet]]);
        gateway_says(&room, "You are kim.", &[]);
        let named = ["e", &id, ""];
        let tagged = outcome.map(|outcome| ["outcome", outcome]);
        let tags: Vec<&[&str]> =
            std::iter::once(named.as_slice()).chain(tagged.iter().map(<[&str; 2]>::as_slice)).collect();
        gateway_says(&room, text, &tags);
        cli.join().unwrap()
    })
}

#[test]
fn only_the_answer_to_the_decision_itself_is_its_answer() {
    a_denial_that_is_answered("refused: already approved by lee", None).ended_with(3, "already approved by lee");
}

#[test]
fn the_outcome_of_an_answer_is_what_its_tag_says() {
    a_denial_that_is_answered("there is none", Some("not_found")).ended_with(4, "there is none");
    a_denial_that_is_answered("refused, and yet taken", Some("taken")).ended_with(0, "and yet taken");
}

#[test]
fn a_request_is_found_behind_two_thousand_messages_at_a_relay_that_gives_twenty() {
    let mut room = Room::with_agents(&["ada"]);
    let rogue = Rogue::start(room.handle(), Manners { cap: Some(20), ..Manners::default() });
    room.moves_to(&rogue.url);
    let room = room.start();
    room.world.silence("ada");
    let packet = room.kim.packet_about("ada");
    let sender = keys(9);
    let now = Timestamp::now().as_secs();
    for number in 0..2_000 {
        // All are younger than the packet's own wrap can be said to be, or as old as that.
        let wrap = UnsignedEvent::new(
            sender.public_key(),
            Timestamp::from(now - number * 86),
            Kind::GiftWrap,
            [Tag::public_key(room.kim.keys.public_key())],
            format!("to somebody, number {number}"),
        );
        let wrap = wrap.sign_with_keys(&sender).unwrap();
        rogue.has(serde_json::from_str::<Value>(&wrap.as_json()).unwrap(), false);
    }
    let said = say(&room, &rogue.url, &["deny", packet.code(), "it is moved"]);
    said.ended_with(0, "");
    room.world.until_journal("ada", "denied");
    say(&room, &rogue.url, &["deny", "ZZZZZZ"]).ended_with(4, "no relay has a request ZZZZZZ");
}

#[test]
fn what_a_relay_does_not_tell_whole_is_not_said_to_be_missing() {
    let mut room = Room::with_agents(&["ada"]);
    let rogue = Rogue::start(room.handle(), Manners { closes: Some(("error: later".into(), 9)), ..Manners::default() });
    room.moves_to(&rogue.url);
    let said = say(&room, &rogue.url, &["deny", "ZZZZZZ"]);
    said.ended_with(1, "not all could be read");
    said.mentions("error: later");
}
