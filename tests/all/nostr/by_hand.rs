//! Deciding at the command line, with a key of one's own.

use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;

use nostr_sdk::ToBech32 as _;

use super::room::Room;
use crate::world::{GATE, hear};

#[test]
fn an_approver_signs_at_the_command_line_of_any_machine() {
    let room = Room::with_agents(&["ada"]).start();
    room.world.silence("ada");
    let packet = room.kim.packet_about("ada");
    let gateway = room.kim.gate.to_bech32().unwrap();
    let say = |key: &str, args: &[&str]| {
        let mut command = Command::new(GATE);
        command.args(args).args(["--nostr", "--gateway", &gateway, "--relay", &room.url, "--key"]);
        command.arg(room.world.path(key));
        hear(command, args)
    };
    for (name, keys) in [("lee.key", &room.lee.keys), ("kim.key", &room.kim.keys)] {
        room.world.write(name, &keys.secret_key().to_bech32().unwrap());
    }
    say("lee.key", &["approve", packet.code()]).ended_with(3, "lee does not approve the mission");
    say("kim.key", &["approve", "ZZZZZZ"]).ended_with(4, "no relay has a request ZZZZZZ");
    say("kim.key", &["deny", packet.key(), "it is moved"]).ended_with(0, "");
    room.kim.until_told("denied by me (Nostr)");
    room.world.until_journal("ada", "denied");
    say("kim.key", &["approve", packet.code()]).ended_with(3, "already denied by me (Nostr)");
}

#[test]
fn the_doctor_looks_at_key_relays_and_people() {
    let room = Room::with_agents(&["ada"]).but(|world| {
        world.gate["people"]["lee"]["relays"] = serde_json::json!([]);
        world.gate["channels"]["nostr"]["relays"].as_array_mut().unwrap().push("ws://127.0.0.1:1".into());
    });
    room.world.save();
    let seen = room.world.says(&["doctor", "nostr"]);
    seen.ended_with(1, "");
    for said in [
        "the gateway is npub1",
        "is reached",
        "ws://127.0.0.1:1: Connection refused",
        "lee cannot be reached",
        "me takes private messages at 1",
    ] {
        seen.mentions(said);
    }
    let own = room.url.clone();
    room.lee.says(10_050, &[&["relay", "ws://10.1.2.3"], &["relay", &own]], "");
    let seen = room.world.says(&["doctor", "nostr"]);
    seen.mentions("lee: ws://10.1.2.3 is not used: its address is not public");
    seen.mentions("lee takes private messages at 1 relays (a list of their own)");
}

#[test]
fn a_key_is_made_once_and_its_secret_shown_when_asked_for() {
    let room = Room::with_agents(&["ada"]);
    room.world.save();
    let file = room.world.path("fresh.key");
    let said = |args: &[&str]| {
        let mut command = Command::new(GATE);
        command.args(args).arg(&file);
        hear(command, args)
    };
    let made = said(&["keys", "generate"]);
    made.mentions("npub1");
    assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    let secret = std::fs::read_to_string(&file).unwrap();
    assert!(secret.starts_with("nsec1") && !made.out.contains("nsec1"));
    said(&["keys", "generate"]).ended_with(1, "was not made");
    assert_eq!(std::fs::read_to_string(&file).unwrap(), secret);
    assert!(!said(&["keys", "show"]).out.contains("nsec1"));
    said(&["keys", "show", "--secret"]).mentions(secret.trim());
    let own = room.world.says(&["keys", "show"]);
    own.mentions(&room.kim.gate.to_bech32().unwrap());
}
