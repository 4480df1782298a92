//! What is said while we are down, or while a relay is.

use super::room::Room;

#[test]
fn an_answer_that_came_while_the_gate_was_down_counts() {
    let mut room = Room::with_agents(&["ada"]).start();
    room.world.silence("ada");
    let packet = room.kim.packet_about("ada");
    room.world
        .until("the request was delivered", |world| world.says(&["pending"]).out.contains("expires at").then_some(()));
    room.world.stop();
    room.kim.replies(&packet, "deny because of the outage");
    room.kim.publishes(&room.kim.decides(&packet, "approve", "too late"));
    room.world.start_daemon();
    room.world.until_journal("ada", "denied");
    room.kim.until_told("denied by me (Nostr)");
    room.kim.until_told("already denied by me (Nostr)");
    assert_eq!(room.world.runs_of("ada"), 0);
}

#[test]
fn a_kill_loses_no_answer() {
    let mut room = Room::with_agents(&["ada"]).start();
    room.world.silence("ada");
    let packet = room.kim.packet_about("ada");
    room.kim.replies(&packet, "approve");
    room.world.kill9();
    room.world.start_daemon();
    room.world.until_journal("ada", "verified");
    assert_eq!(room.world.runs_of("ada"), 1);
}

#[test]
fn a_relay_that_ends_and_comes_back_is_used_again() {
    let mut room = Room::with_agents(&["ada"]).start();
    room.world.silence("ada");
    room.world.until("the outage is seen", |world| {
        // A connection that the relay is just working for does not hear that it ends.
        room.end_relay();
        world.says(&["status"]).out.contains("no relay is reached").then_some(())
    });
    room.new_relay();
    let packet = room.kim.packet_about("ada");
    room.kim.replies(&packet, "approve");
    room.world.until_journal("ada", "verified");
}

#[test]
fn a_relay_that_is_not_there_delays_no_other() {
    let room = Room::with_agents(&["ada"])
        .but(|world| {
            // Nobody listens there, and nothing ever answers here.
            let silent = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
            let at = silent.local_addr().unwrap();
            std::mem::forget(silent);
            let relays = world.gate["channels"]["nostr"]["relays"].as_array_mut().unwrap();
            relays.push("ws://127.0.0.1:1".into());
            relays.push(format!("ws://{at}").into());
        })
        .start();
    room.world.silence("ada");
    let packet = room.kim.packet_about("ada");
    room.kim.replies(&packet, "approve");
    room.world.until_journal("ada", "verified");
    let status = room.world.says(&["status"]).out;
    assert!(status.contains("ws://127.0.0.1:1: not connected"), "{status}");
    assert!(status.contains(&format!("{}: connected", room.url.trim_end_matches('/'))), "{status}");
}

#[test]
fn whoever_left_the_configuration_is_out() {
    let mut room = Room::with_agents(&["ada"]).start();
    room.world.silence("ada");
    let packet = room.kim.packet_about("ada");
    room.world.gate["people"]["me"]["nostr"] = serde_json::json!([room.lee.keys.public_key().to_hex()]);
    room.world.gate["people"]["lee"]["nostr"] = serde_json::json!([room.mallory.keys.public_key().to_hex()]);
    room.world.save();
    room.world.until_journal("", "new_config");
    room.kim.replies(&packet, "approve");
    room.lee.writes(&format!("deny {}", packet.code()), &[]);
    room.world.until_journal("ada", "denied");
    assert_eq!(room.world.runs_of("ada"), 0);
}

#[test]
fn somebody_who_cannot_be_reached_is_told_of() {
    let room = Room::with_agents(&["ada"])
        .but(|world| {
            world.gate["people"]["lee"]["relays"] = serde_json::json!([]);
        })
        .start();
    room.world.silence("ada");
    room.kim.packet_about("ada");
    room.kim.until_told("lee on Nostr");
    assert!(room.lee.all().iter().all(|one| one.tag("agent").is_none()));
    // As soon as lee says where, everything that waits goes there.
    let url = room.url.clone();
    room.lee.says(10_050, &[&["relay", &url]], "");
    // A list names a loopback address: it is not followed there, but this relay is one of ours.
    room.lee.packet_about("ada");
}

#[test]
fn a_list_that_leads_nowhere_does_not_cut_somebody_off() {
    let room = Room::with_agents(&["ada"]);
    // Loopback that the configuration does not name, and a private network.
    let lists: &[&[&str]] = &[&["relay", "ws://127.0.0.1:9"], &["relay", "ws://10.1.2.3"], &["relay", "ws://[::1]:9"]];
    room.lee.says(10_050, lists, "");
    let room = room.start();
    room.world.silence("ada");
    room.lee.packet_about("ada");
}

#[test]
fn whoever_was_revoked_learns_nothing_more_in_private() {
    let room = Room::with_agents(&["ada"]).start();
    room.world.says(&["revoke", "lee"]).taken();
    room.world.silence("ada");
    let packet = room.kim.packet_about("ada");
    room.kim.replies(&packet, "approve");
    room.world.until_journal("ada", "verified");
    assert!(room.lee.all().iter().all(|one| one.tag("agent").is_none()), "{:?}", room.lee.all());
}
