//! One glance, one reply.

use super::room::Room;

#[test]
fn a_private_reply_restarts_the_agent_and_the_thread_tells_how_it_went() {
    let room = Room::with_agents(&["ada"]).start();
    room.world.silence("ada");
    let packet = room.kim.packet_about("ada");
    assert!(packet.private && packet.author == room.kim.gate);
    assert_eq!((packet.kind, packet.tag("mission"), packet.tag("ttl")), (14, Some("ada-mission"), Some("3600")));
    assert!(packet.text.contains("Reply to this message with one of:"), "{}", packet.text);
    room.kim.replies(&packet, "approve");
    room.world.until_journal("ada", "verified");
    let told = room.kim.until_told("approved by me (Nostr)");
    assert!(told.text.contains(packet.code()), "complete by itself: {}", told.text);
    assert_eq!(told.tag("e"), Some(packet.id.to_hex().as_str()), "in its thread");
    room.kim.until(|one| one.text.contains("alive again") || one.text.contains("verified"));
    assert_eq!(room.world.runs_of("ada"), 1);
    // Lee was asked as well, and hears who decided.
    room.lee.packet_about("ada");
    room.lee.until_told("approved by me (Nostr)");
}

#[test]
fn a_private_message_with_the_code_is_enough() {
    let room = Room::with_agents(&["ada"]).start();
    room.world.silence("ada");
    let packet = room.kim.packet_about("ada");
    room.kim.writes(&format!("deny {} because of the move", packet.code()), &[]);
    room.world.until_journal("ada", "denied");
    let told = room.kim.until_told("denied by me (Nostr)");
    assert!(told.text.contains("because of the move") || told.text.contains("of the move"), "{}", told.text);
    room.kim.replies(&packet, "approve");
    room.kim.until_told("already denied by me (Nostr)");
    assert_eq!(room.world.runs_of("ada"), 0);
}

#[test]
fn an_open_note_is_answered_in_its_thread() {
    let room = Room::in_style("note", &["ada"]).start();
    room.world.silence("ada");
    let packet = room.lee.packet_about("ada");
    assert_eq!((packet.kind, packet.private), (1, false));
    assert!(packet.tags.iter().any(|tag| tag[0] == "p" && tag[1] == room.kim.keys.public_key().to_hex()));
    room.lee.replies_openly(&packet, "approve");
    let refused = room.lee.until_told("lee does not approve the mission");
    assert!(refused.tags.iter().any(|tag| tag.last().is_some_and(|mark| mark == "root")), "{refused:?}");
    room.kim.replies_openly(&packet, "approve");
    room.world.until_journal("ada", "verified");
    room.kim.until_told("approved by me (Nostr)");
}

#[test]
fn whoever_asks_is_answered_in_private() {
    let room = Room::with_agents(&["ada"]).start();
    room.kim.writes("status", &[]);
    room.kim.until_told("Agents: 1 healthy");
    room.kim.writes("whoami", &[]);
    room.kim.until_told("you decide for: all missions");
    room.kim.writes("hello?", &[]);
    room.kim.until_told("there is no such command");
}

#[test]
fn a_mission_is_led_in_private_messages() {
    let room = Room::with_agents(&["ada"])
        .but(|world| {
            world.gate["people"]["me"]["participant"] = serde_json::json!({"forge": {"name": "kim", "role": "lead"}});
        })
        .start();
    room.kim.writes("newmission forge The forge", &[]);
    room.kim.until_told("forge: made; kim leads it.");
    room.kim.writes("join forge ada write", &[]);
    room.kim.until_told("forge: ada takes part as write.");
    room.kim.writes("checkpoint forge before review", &[]);
    room.kim.until_told("made as event 1");
    room.kim.writes("handoff forge ada please go on", &[]);
    let shown = room.kim.until_told("Not posted yet");
    let id = shown.text.split("`post ").nth(1).and_then(|rest| rest.split('`').next()).expect("its id").to_owned();
    room.lee.writes(&format!("post {id}"), &[]);
    room.lee.until_told("refused: me asked for this handoff");
    room.kim.writes(&format!("post {id}"), &[]);
    room.kim.until_told("is offered to ada until");
    room.kim.writes(&format!("resume {id}"), &[]);
    room.kim.until_told("\"handoff_note\": \"please go on\"");
    room.lee.writes("log forge", &[]);
    room.lee.until_told("lee lacks 'read' permission; it takes the role");
}
