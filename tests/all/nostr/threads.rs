//! Answers in the open that do not say whom they answer.

use super::room::Room;

#[test]
fn an_answer_that_does_not_name_us_is_seen_by_its_thread() {
    let mut room = Room::in_style("note", &["ada", "bob", "cyd", "dan", "eve"])
        .but(|world| world.gate["channels"]["nostr"]["reactions"] = true.into())
        .start();
    for agent in ["ada", "bob", "cyd", "dan", "eve"] {
        room.world.silence(agent);
    }
    let note = |agent: &str| room.kim.packet_about(agent).id.to_hex();
    room.kim.says(1, &[&["e", &note("ada"), "", "root"]], "deny");
    room.kim.says(7, &[&["e", &note("bob")]], "👎");
    room.kim.says(1111, &[&["E", &note("cyd")], &["K", "1"], &["e", &note("cyd")], &["k", "1"]], "deny it");
    for agent in ["ada", "bob", "cyd"] {
        room.world.until_journal(agent, "denied");
    }
    // A stranger's is nobody's, and a decision says to whom it is said, wherever it stands.
    room.mallory.says(1, &[&["e", &note("dan"), "", "root"]], "approve");
    let dan = room.kim.packet_about("dan");
    let tags: [&[&str]; 3] = [&["e", &dan.id.to_hex()], &["approval", dan.key()], &["decision", "approve"]];
    room.kim.says(4717, &tags, "");
    room.kim.until_told("the tag `p` is missing");
    room.kim.says(1, &[&["e", &note("dan"), "", "root"]], "deny");
    room.world.until_journal("dan", "denied");
    assert_eq!(room.world.runs_of("dan"), 0);
    // And what was said while nobody listened.
    let eve = note("eve");
    room.world.stop();
    room.kim.says(1, &[&["e", &eve, "", "root"]], "deny");
    room.world.start_daemon();
    room.world.until_journal("eve", "denied");
}
