//! kill -9 at every boundary of Nostr: an answer that a relay has is lost by no death, counts once, and is shown
//! once.

use std::collections::BTreeSet;
use std::os::unix::process::ExitStatusExt as _;
use std::time::{Duration, Instant};

use lazarus_gate::store::messages;
use rustix::process::Signal;

use super::play::calm;
use super::play_all;
use crate::nostr::room::Room;
use crate::world::pause;

/// How long a flow may take, with its deaths.
const DEADLINE: Duration = Duration::from_secs(60);

/// Where a life may end.
const POINTS: [&str; 14] = [
    "nostr.before_kept",
    "nostr.after_kept",
    "nostr.after_learned",
    "nostr.after_learned:2",
    "nostr.after_learned:3",
    "inbox.before_handled",
    "inbox.in_handling",
    "inbox.after_handled",
    "deliver.before_marked:1",
    "deliver.before_marked:3",
    "deliver.before_marked:5",
    "deliver.after_marked:2",
    "deliver.after_marked:4",
    "deliver.after_marked:6",
];

/// Ada dies, kim approves once, in private or by a decision, and she is restarted, over as many deaths as it takes.
fn play(point: &str) -> usize {
    let mut room = Room::with_agents(&["ada"]).but(calm);
    room.world.save();
    room.world.spawn_daemon(&[], Some(point));
    let begun = Instant::now();
    let (mut kills, mut silent, mut answered) = (0, false, false);
    loop {
        assert!(begun.elapsed() < DEADLINE, "{point} did not come to its end\n{:#?}", room.kim.all());
        if room.world.daemon().ended().is_some() {
            let ended = room.world.until_daemon_died();
            assert_eq!(ended.signal(), Some(Signal::KILL.as_raw()), "the daemon ended with {ended}");
            kills += 1;
            room.world.spawn_daemon(&[], None);
        }
        if !silent && room.world.probes_of("ada") > 4 && room.world.was_seen("ada") {
            room.world.silence("ada");
            silent = true;
        }
        if !answered && let Some(packet) = room.kim.all().iter().find(|one| one.tag("agent") == Some("ada")) {
            answered = true;
            if point.len().is_multiple_of(2) {
                room.kim.replies(packet, "approve");
            } else {
                room.kim.publishes(&room.kim.wraps(&room.kim.decides(packet, "approve", "")));
            }
        }
        let over = !room.world.journaled("ada", "recovered").is_empty();
        let told = || room.kim.all().iter().any(|one| one.text.contains("approved by me (Nostr)"));
        let nothing_due = || room.world.read(async |read| messages::count_due(read).await) == Some(0);
        if over && nothing_due() && told() {
            break;
        }
        pause(Duration::from_millis(20));
    }
    assert_eq!(room.world.runs_of("ada"), 1);
    assert_eq!(room.world.journaled("ada", "approved").len(), 1);
    let shown = room.kim.all();
    let packets: BTreeSet<_> = shown.iter().filter(|one| one.tag("agent").is_some()).map(|one| one.id).collect();
    assert_eq!(packets.len(), 1, "sent again it is the same: {shown:#?}");
    kills
}

#[test]
fn a_death_at_any_point_of_nostr_loses_nothing_and_does_nothing_twice() {
    let kills = play_all(&POINTS, |point| play(point));
    eprintln!("nostr: {} plays, {} kills", kills.len(), kills.iter().sum::<usize>());
    assert!(kills.iter().filter(|kills| **kills == 0).count() <= 4, "{kills:?}");
}

#[test]
fn an_approval_that_waits_to_begin_does_not_outlive_its_key() {
    let mut room = Room::with_agents(&["ada"]).but(calm);
    room.world.save();
    room.world.spawn_daemon(&[], Some("revive.before_running"));
    room.world.until("ada was seen", |world| (world.probes_of("ada") > 4 && world.was_seen("ada")).then_some(()));
    room.world.silence("ada");
    let packet = room.kim.packet_about("ada");
    room.kim.replies(&packet, "approve");
    let ended = room.world.until_daemon_died();
    assert_eq!(ended.signal(), Some(Signal::KILL.as_raw()), "the daemon ended with {ended}");
    assert_eq!(room.world.journaled("ada", "approved").len(), 1);
    // Kim still decides for ada's mission, with another key.
    let fresh = crate::nostr::room::keys(7);
    room.world.gate["people"]["me"]["nostr"] = serde_json::json!([fresh.public_key().to_hex()]);
    room.world.save();
    room.world.spawn_daemon(&[], None);
    let called_off = room.world.until_journal("ada", "called_off");
    assert_eq!(called_off.body["because"], "identity_revoked", "{called_off}");
    assert_eq!(room.world.runs_of("ada"), 0);
    // It is asked about anew, and the new key decides.
    let kim = room.phone_of(fresh);
    let anew = kim.until(|one| one.tag("agent") == Some("ada"));
    kim.replies(&anew, "deny");
    room.world.until_journal("ada", "denied");
}
