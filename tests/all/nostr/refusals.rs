//! What counts for nothing, and says so.

use nostr_sdk::Timestamp;

use super::room::Room;

#[test]
fn strangers_are_not_even_answered() {
    let room = Room::with_agents(&["ada"]).start();
    room.world.silence("ada");
    let packet = room.kim.packet_about("ada");
    room.mallory.writes(&format!("approve {}", packet.code()), &[]);
    room.mallory.publishes(&room.mallory.decides(&packet, "approve", ""));
    room.lee.writes(&format!("approve {}", packet.code()), &[]);
    room.lee.until_told("lee does not approve the mission");
    assert_eq!(room.mallory.all().into_iter().filter(|one| one.private).count(), 0);
    assert_eq!(room.world.journaled("", "refused").len(), 1, "of strangers nothing is kept");
    assert_eq!(room.world.runs_of("ada"), 0);
}

#[test]
fn what_is_said_by_a_wrong_clock_or_to_another_packet_is_refused() {
    let room = Room::with_agents(&["ada", "bob"]).start();
    room.world.silence("ada");
    room.world.silence("bob");
    let (ada, bob) = (room.kim.packet_about("ada"), room.kim.packet_about("bob"));
    let now = Timestamp::now();
    let e: &[&str] = &["e", &ada.id.to_hex()];
    room.kim.writes_at("approve", &[e], now + 180u64);
    room.kim.until_told("in the future. Look at the clock");
    room.kim.writes_at("approve", &[e], now - 180u64);
    room.kim.until_told("before it was asked. Look at the clock");
    room.kim.replies(&ada, &format!("approve {}", bob.code()));
    room.kim.until_told(&format!("that was said under {} and names {}", ada.code(), bob.code()));
    room.kim.writes("approve", &[e, &["e", &bob.id.to_hex()]]);
    room.kim.until_told("that names two requests");
    // The message of one, and the key of the other.
    let (id, gate) = (ada.id.to_hex(), room.kim.gate.to_hex());
    let tags: [&[&str]; 4] = [&["e", &id], &["p", &gate], &["approval", bob.key()], &["decision", "approve"]];
    room.kim.says(4717, &tags, "");
    room.kim.until_told("belong to different requests");
    // Lee's copy is not kim's.
    let lees = room.lee.packet_about("bob");
    assert_ne!(lees.id, bob.id);
    room.kim.replies(&lees, "approve");
    room.kim.until_told("it does not say which request");
    assert_eq!((room.world.runs_of("ada"), room.world.runs_of("bob")), (0, 0));
}

#[test]
fn a_thumb_counts_only_where_thumbs_count() {
    for (reactions, runs) in [(false, 0), (true, 1)] {
        let room = Room::with_agents(&["ada"])
            .but(|world| world.gate["channels"]["nostr"]["reactions"] = reactions.into())
            .start();
        room.world.silence("ada");
        let packet = room.kim.packet_about("ada");
        let (id, gate) = (packet.id.to_hex(), room.kim.gate.to_hex());
        room.kim.says(7, &[&["e", &id], &["p", &gate]], "🤙");
        room.kim.says(7, &[&["e", &id], &["p", &gate]], "👍🏽");
        if reactions {
            room.world.until_journal("ada", "verified");
        } else {
            room.kim.writes("pending", &[]);
            room.kim.until_told("offers: restart");
        }
        assert_eq!(room.world.runs_of("ada"), runs);
    }
}
