//! More in one second than a relay gives at once.

use nostr_sdk::nips::nip44;
use nostr_sdk::{Event, EventBuilder, JsonUtil as _, Keys, Kind, Tag, Timestamp};

use super::phone::Phone;
use super::rogue::{Compares, Manners};
use super::rogues::{read_until, value, with_each};

/// `event` in a wrap of that time.
fn wrapped_at(from: &Phone, event: &Event, at: u64) -> Event {
    let ephemeral = Keys::generate();
    let text = nip44::encrypt(ephemeral.secret_key(), &from.gate, event.as_json(), nip44::Version::V2).unwrap();
    let wrap = EventBuilder::new(Kind::GiftWrap, text).tag(Tag::public_key(from.gate));
    wrap.custom_created_at(Timestamp::from(at)).sign_with_keys(&ephemeral).unwrap()
}

#[test]
fn a_crowded_second_hides_nothing_behind_it_and_is_told_of() {
    let cap = |cap: usize| Manners { cap: Some(cap), ..Manners::default() };
    // The relay, how many strangers wrote in that second, and whether all of them can be read.
    let cases = [
        (cap(25), 40, false),
        (Manners { unsorted: true, ..cap(25) }, 40, false),
        (Manners { no_since: true, ..cap(25) }, 40, false),
        (Manners { latest_first: true, ..cap(25) }, 40, false),
        (cap(1), 3, false),
        (cap(20), 25, false),
        (cap(500), 501, false),
        (cap(25), 24, true),
        (cap(500), 40, true),
        (Manners { compares: Compares::Honestly, ..cap(25) }, 40, true),
    ];
    let (room, rogues) = with_each(cases.iter().map(|_| Manners::default()));
    // Five hundred wraps take a while on a busy machine.
    let mut room = room.but(|world| world.gate["channels"]["nostr"]["catch_up_deadline"] = "10s".into()).start();
    for (agent, _) in &rogues {
        room.world.silence(agent);
    }
    let packets: Vec<_> = rogues.iter().map(|(agent, _)| room.kim.packet_about(agent)).collect();
    let read: Vec<u64> = rogues.iter().map(|(_, rogue)| read_until(&room, rogue)).collect();
    room.world.stop();
    // An hour before, within the two days that wraps are asked for.
    let second = Timestamp::now().as_secs() - 3_600;
    let stranger = room.mallory.signs(1, &[], "hay");
    let hay: Vec<Event> = (0..501).map(|_| wrapped_at(&room.mallory, &stranger, second)).collect();
    for (((manners, count, _), (_, rogue)), packet) in cases.iter().zip(&rogues).zip(&packets) {
        let answer = room.kim.decides(packet, "deny", "");
        let same_second = manners.compares == Compares::Honestly;
        // Where it can be found by comparing, it stands in that very second, behind all others.
        let at = if same_second { second } else { second - 1 };
        hay.iter().take(*count).for_each(|wrap| rogue.has(value(wrap), false));
        rogue.has(value(&wrapped_at(&room.kim, &answer, at)), false);
        rogue.behave(manners.clone());
    }
    room.world.start_daemon();
    for (agent, _) in &rogues {
        room.world.until_journal(agent, "denied");
    }
    for (number, (_, count, all)) in cases.iter().enumerate() {
        let (agent, rogue) = &rogues[number];
        let says = if *all { "connected, all read" } else { "it may have more of the second" };
        room.world.until(&format!("{agent} ({count}) says {says:?}"), |world| {
            let status = world.says(&["status"]).out;
            status.lines().any(|line| line.contains(&rogue.url) && line.contains(says)).then_some(())
        });
        assert_eq!(read_until(&room, rogue) > read[number], *all, "case {number}");
    }
}
