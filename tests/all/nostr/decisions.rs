//! Decisions as events of their own.

use super::room::Room;

#[test]
fn a_signed_decision_in_the_open_counts_and_is_kept_as_its_receipt() {
    let room = Room::with_agents(&["ada", "bob"]).with_a_substitute().start();
    room.world.silence("ada");
    let packet = room.kim.packet_about("ada");
    let decision = room.kim.decides(&packet, "substitute bob", "disk is full");
    room.kim.publishes(&decision);
    room.world.until_journal("ada", "verified");
    room.kim.until_told("approved by me (Nostr)");
    let receipts = room.world.journaled("", "receipt");
    assert_eq!(receipts.len(), 1);
    assert_eq!(receipts[0].body["signed"], decision.id.to_hex());
    let verified = room.world.says(&["journal", "verify"]);
    assert!(verified.out.contains("1 receipts prove"), "{verified:?}");
    assert!(verified.out.contains("1 decisions over Nostr are what their receipts say"), "{verified:?}");
}

#[test]
fn one_that_comes_open_and_wrapped_and_again_is_one_vote() {
    let room = Room::with_agents(&["ada"]).start();
    room.world.silence("ada");
    let packet = room.kim.packet_about("ada");
    let decision = room.kim.decides(&packet, "deny", "");
    room.kim.publishes(&room.kim.wraps(&decision));
    room.kim.publishes(&room.kim.wraps(&decision));
    room.kim.publishes(&decision);
    room.world.until_journal("ada", "denied");
    room.kim.writes(&format!("deny {}", packet.code()), &[]);
    room.kim.until_told("already denied by me (Nostr)");
    assert_eq!(room.world.journaled("", "receipt").len(), 1);
}
