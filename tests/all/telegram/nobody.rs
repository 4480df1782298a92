//! Whoever and whatever never counts.

use serde_json::json;

use super::room::{KIM, LEE, MALLORY, OPS, Room, code_of};
use crate::bot_api::{Role, Said};

const BOSS: i64 = 1003;
const OTHER: i64 = -1_005_555_555_555;

/// Nothing was decided about ada, and her card still asks.
fn still_asks(room: &Room, card: &crate::bot_api::Message) {
    let now = room.api.message(OPS, card.id).expect("the card");
    assert_eq!(now.labels(), card.labels());
    for kind in ["approved", "denied"] {
        assert!(room.world.journaled("ada", kind).is_empty());
    }
    assert_eq!(room.world.runs_of("ada"), 0);
}

#[test]
fn an_anonymous_admin_is_nobody_by_word_and_somebody_by_thumb() {
    let room = Room::with_agents(&["ada"]).start();
    let card = room.card_about("ada");
    room.api.give_role(OPS, KIM, Role::Administrator);
    let how = Said { anonymous: true, ..Said::default() };
    room.api.say_so(OPS, KIM, &format!("/approve {}", code_of(&card)), how);
    room.until_said("you speak as an anonymous admin");
    still_asks(&room, &card);
    // A press tells who they are.
    room.kim_taps(&card, "Restart");
    room.until_card_says(&card, "approved by me (Telegram)");
}

#[test]
fn what_others_wrote_counts_for_nothing_when_it_is_passed_on() {
    let room = Room::with_agents(&["ada"]).but(|_, api| {
        api.add_bot(77, "Gif");
        api.reads_all(true);
    });
    let room = room.start();
    let card = room.card_about("ada");
    let line = format!("/approve {}", code_of(&card));
    room.api.say_so(OPS, KIM, &line, Said { forwarded_from: Some(LEE), ..Said::default() });
    room.until_said("a forwarded message counts for nothing");
    room.api.say_so(OPS, KIM, &line, Said { via_bot: Some(77), ..Said::default() });
    room.until_said("what another bot wrote for you counts for nothing");
    let chatter = room.api.say(OPS, KIM, "what about ada?");
    room.api.edit(OPS, chatter, &line);
    room.api.say(OPS, 77, &line);
    room.api.wait_confirmed();
    room.api.say(OPS, KIM, "/whoami");
    room.until_said("You are me");
    still_asks(&room, &card);
}

#[test]
fn a_channels_post_counts_for_nothing() {
    let news = -1_007_777_777_777;
    let room = Room::with_agents(&["ada"]).but(|world, api| {
        api.add_channel(news, "news", &[KIM]);
        world.gate["channels"]["telegram"]["chats"]["ops-room"] = json!({"chat": news});
    });
    let room = room.start();
    room.world.silence("ada");
    let card = room.api.wait_message(news, |message| !message.buttons().is_empty());
    room.api.say(news, KIM, &format!("/approve {}", code_of(&card)));
    room.api.wait_confirmed();
    room.world.until_probed("ada", 5);
    assert!(room.world.journaled("ada", "approved").is_empty());
    // A press on a channel's card tells who pressed.
    room.api.tap(news, card.id, "Restart", KIM);
    room.api.wait_edited(news, card.id, |card| card.text.contains("Restarted, and verified at"));
}

#[test]
fn nobodys_token_is_answered_too() {
    let room = Room::with_agents(&["ada"]).start();
    let card = room.card_about("ada");
    for data in ["", "AAAAAAAAAAAAAAAAAAAAAA", "approve", &"x".repeat(64)] {
        let answer = room.api.wait_answer(&room.api.tap_data(OPS, card.id, data, KIM));
        assert!(answer.show_alert && answer.text.contains("not known here"), "{data}: {answer:?}");
    }
    still_asks(&room, &card);
}

#[test]
fn a_token_counts_in_its_own_chat_only() {
    let room = Room::with_agents(&["ada"]).but(|_, api| {
        api.add_supergroup(OTHER, "other", &[KIM, MALLORY]);
    });
    let room = room.start();
    let card = room.card_about("ada");
    let data = &card.buttons()[0].data;
    for chat in [OTHER, KIM] {
        let answer = room.api.wait_answer(&room.api.tap_data(chat, 7, data, KIM));
        assert!(answer.show_alert && answer.text.contains("belongs to another chat"), "{answer:?}");
    }
    still_asks(&room, &card);
}

#[test]
fn who_approves_another_mission_is_told_so_and_journaled_once() {
    let room = Room::with_agents(&["ada"]).but(|world, _| {
        world.gate["people"]["lee"] = json!({"telegram": LEE, "approves": ["bob-mission"]});
        world.registry["fleet"]["bob"] = json!({"host": "127.0.0.1", "mission": "bob-mission"});
    });
    let room = room.start();
    let card = room.card_about("ada");
    let answer = room.api.wait_answer(&room.api.tap(OPS, card.id, "Restart", LEE));
    assert!(answer.show_alert && answer.text.contains("lee does not approve the mission 'ada-mission'"), "{answer:?}");
    assert_eq!(room.world.journaled("ada", "refused").len(), 1);
    still_asks(&room, &card);
}

#[test]
fn a_newcomer_learns_what_to_paste_and_nothing_else() {
    let room = Room::with_agents(&["ada"]).but(|_, api| {
        api.add_user(BOSS, "Boss");
    });
    let room = room.start();
    let card = room.card_about("ada");
    room.api.say(BOSS, BOSS, "/whoami");
    let told = room.api.wait_message(BOSS, |message| message.text.contains("nobody here yet"));
    assert!(told.text.contains(&format!("NAME: {{telegram: {BOSS}, approves: [MISSION]}}")), "{}", told.text);
    room.api.say(BOSS, BOSS, "/start");
    room.api.wait_message(BOSS, |message| message.text.contains("/approve CODE"));
    for line in ["/pending", "/status", "/history", "/plan", "/explain ada", &format!("/show {}", code_of(&card))] {
        let before = room.api.messages(BOSS).len();
        room.api.say(BOSS, BOSS, line);
        room.world.until("an answer", |_| (room.api.messages(BOSS).len() >= before + 2).then_some(()));
        let last = room.api.messages(BOSS).pop().expect("an answer").text;
        assert!(last.contains("you are not in `people`") && !last.contains("ada"), "{line}: {last}");
    }
    room.api.say(BOSS, BOSS, &format!("/approve {}", code_of(&card)));
    room.api.say(BOSS, BOSS, "/hold");
    room.world.until("all were refused", |world| (world.journaled("", "refused").len() >= 8).then_some(()));
    still_asks(&room, &card);
}

#[test]
fn a_flood_of_strangers_ends_at_the_door() {
    let room = Room::with_agents(&["ada"]).but(|_, api| {
        api.add_user(BOSS, "Boss");
    });
    let room = room.start();
    for _ in 0..200 {
        room.api.say(BOSS, BOSS, "/status");
    }
    let card = room.card_about("ada");
    room.kim_taps(&card, "Deny");
    room.until_card_says(&card, "denied by me");
    room.api.wait_confirmed();
    assert!(room.world.journaled("", "refused").len() <= 60, "{}", room.world.journaled("", "refused").len());
}

#[test]
fn a_flood_of_strange_thumbs_cannot_fill_the_journal() {
    let room = Room::with_agents(&["ada"]).start();
    let card = room.card_about("ada");
    for _ in 0..400 {
        room.api.tap(OPS, card.id, "Restart", MALLORY);
    }
    let tap = room.kim_taps(&card, "Deny");
    assert!(room.api.wait_answer(&tap).text.contains("your denial is taken"));
    room.api.wait_confirmed();
    assert!(room.world.journaled("", "refused").len() <= 130, "{}", room.world.journaled("", "refused").len());
}

#[test]
fn whoever_is_revoked_is_nobody_at_the_next_tap() {
    let room = Room::with_agents(&["ada"]).start();
    let card = room.card_about("ada");
    room.world.says(&["revoke", "lee"]).taken();
    let answer = room.api.wait_answer(&room.api.tap(OPS, card.id, "Restart", LEE));
    assert!(answer.show_alert && answer.text.starts_with("refused"), "{answer:?}");
    still_asks(&room, &card);
}
