//! kill -9 between the preview of a handoff and its end: it is posted once, or not at all, and the card says which.

use serde_json::json;

use crate::telegram::room::{KIM, OPS, Room};

/// Where the life may end in which *Post* is tapped.
const POINTS: [&str; 7] = [
    "telegram.before_kept",
    "telegram.after_kept",
    "inbox.before_handled",
    "inbox.in_handling",
    "inbox.after_handled",
    "deliver.before_marked",
    "deliver.after_marked",
];

#[test]
fn a_handoff_is_posted_once_wherever_the_daemon_dies() {
    let mut room = Room::with_agents(&["ada"])
        .but(|world, _| {
            world.gate["people"]["me"]["participant"] = json!({"forge": {"name": "kim", "role": "lead"}});
        })
        .start();
    for line in ["/newmission forge The forge", "/join forge rae write", "/checkpoint forge half of it"] {
        let asked = room.api.say(OPS, KIM, line);
        room.api.wait_message(OPS, |message| message.reply_to == Some(asked));
    }
    for (nth, point) in POINTS.into_iter().enumerate() {
        let asked = room.api.say(OPS, KIM, &format!("/handoff forge rae last try {nth}"));
        let card = room.api.wait_message(OPS, |message| message.reply_to == Some(asked));
        room.stop();
        room.kim_taps(&card, "Post");
        room.world.spawn_daemon(&[], Some(point));
        room.world.until_daemon_died();
        room.world.start_daemon();
        let offered = room.until_card_says(&card, "OFFERED to rae");
        assert!(offered.labels().is_empty(), "{point}");
        assert_eq!(room.world.journaled("kim", "mission.handoff_offered").len(), nth + 1, "{point}");
        let id = offered.text.split("`accept ").nth(1).and_then(|rest| rest.split('`').next()).expect("its id");
        // Nobody but rae could decline it; so that the next may be posted, they are rae for a moment.
        room.world.gate["people"]["me"]["participant"] = json!({"forge": {"name": "rae", "role": "write"}});
        room.world.save();
        room.world.until("it is declined", |world| {
            world.says(&["mission", "decline", id, "next"]).out.contains("Declined").then_some(())
        });
        room.until_card_says(&card, "DECLINED by rae");
        room.world.gate["people"]["me"]["participant"] = json!({"forge": {"name": "kim", "role": "lead"}});
        room.world.save();
        room.world.until("kim is kim again", |world| {
            world.says(&["mission", "publish", "forge", "t", "x", "--json"]).out.contains("\"kim\"").then_some(())
        });
    }
    room.world.says(&["mission", "verify", "forge"]).mentions("whole");
}
