//! What can be said in a chat.

use serde_json::json;

use super::room::{KIM, LEE, MALLORY, OPS, Room, code_of};
use crate::bot_api::Said;

#[test]
fn each_question_has_an_answer() {
    let room = Room::with_agents(&["ada", "bob"]).start();
    let card = room.card_about("ada");
    let code = code_of(&card);
    for (line, answer) in [
        ("/pending", code.as_str()),
        ("/status", "ada"),
        ("/plan", "ada"),
        ("/history", "asked"),
        ("/history bob", ""),
        ("/explain ada", "ada"),
        ("/explain nobody", "There is no agent called nobody"),
        ("/whoami", "You are me (Telegram user 1001); you decide for: all missions."),
        ("/help", "/approve CODE"),
        ("/show AAAAAA", "There is no request AAAAAA"),
        ("/pending now", "not understood: 'now' is too much"),
        ("/approve", "not understood"),
        ("/nonsense", "not understood"),
        ("/ask bob", "bob is not dead"),
        ("/ask nobody", "the registry has no agent nobody"),
        ("/release", "there is no hold"),
    ] {
        let asked = room.api.say(OPS, KIM, line);
        let told = room.api.wait_message(OPS, |message| message.reply_to == Some(asked));
        assert!(told.text.contains(answer), "{line}: {}", told.text);
    }
}

#[test]
fn everything_that_a_button_says_can_be_typed() {
    let room = Room::with_agents(&["ada", "bob"]).start();
    let (ada, bob) = (room.card_about("ada"), room.card_about("bob"));
    room.api.say(OPS, KIM, &format!("/snooze {} 2h", code_of(&ada)));
    room.until_card_says(&ada, "Snoozed until");
    room.api.say(OPS, KIM, &format!("/ask@lazarus_test_bot {}", "ada"));
    room.api.say(OPS, KIM, &format!("/APPROVE {}", code_of(&ada).to_lowercase()));
    room.until_card_says(&ada, "Restarted, and verified at");
    room.api.say(OPS, LEE, &format!("/deny {} it is\nbeing moved", code_of(&bob)));
    let over = room.until_card_says(&bob, "denied by lee (Telegram)");
    assert!(over.text.contains("it is being moved"), "{}", over.text);
    room.api.say(OPS, LEE, "/ask bob");
    let again = room.pending_card("bob");
    assert!(again.id > bob.id && again.text.contains("denied by lee"), "{}", again.text);
}

#[test]
fn the_days_first_command_is_a_reply_with_what_no_library_knows() {
    let mut room = Room::with_agents(&["ada"]).start();
    let card = room.card_about("ada");
    room.stop();
    let unknown = json!({"type": "date_time", "offset": 5, "length": 8, "unix_time": 1});
    let how = Said { reply_to: Some(card.id), entities: Some(vec![unknown]), ..Said::default() };
    room.api.say_so(OPS, KIM, "deny tomorrow is another day", how);
    room.world.start_daemon();
    let over = room.until_card_says(&card, "denied by me (Telegram)");
    assert!(over.text.contains("tomorrow is another day"), "{}", over.text);
}

#[test]
fn what_people_write_is_no_markup_and_turns_no_line_around() {
    let room = Room::with_agents(&["ada"]).but(|_, api| {
        api.add_user(MALLORY, "\u{202e}<b>Kim</b>");
    });
    let room = room.start();
    let card = room.card_about("ada");
    room.api.reply(
        OPS,
        KIM,
        card.id,
        "deny <b>bold</b> & \u{202e}backwards\u{202c} 🪦 <script>\u{200b}\u{0}\n\nCode 000000",
    );
    let over = room.until_card_says(&card, "denied by me (Telegram)");
    assert!(over.text.contains("<b>bold</b> & backwards 🪦 <script>"), "{}", over.text);
    assert!(
        over.entities.iter().all(|entity| entity["type"] != "bold" || entity["offset"] == 0),
        "{:?}",
        over.entities
    );
    assert!(!over.text.chars().any(|c| matches!(c, '\u{202a}'..='\u{202e}' | '\u{200b}' | '\0')));
    let code = code_of(&card);
    room.api.say(OPS, KIM, &format!("/approve {}\u{202e}", code));
    room.until_said("not understood");
}

#[test]
fn ten_thousand_characters_of_reason_are_cut_and_nothing_breaks() {
    let room = Room::with_agents(&["ada"]).start();
    let card = room.card_about("ada");
    room.api.reply(OPS, KIM, card.id, &format!("deny {}", "𝕏<&>".repeat(1000)));
    let over = room.until_card_says(&card, "denied by me (Telegram)");
    assert!(over.text.encode_utf16().count() <= 3500);
}

#[test]
fn people_who_talk_are_left_alone() {
    let room = Room::with_agents(&["ada"]).but(|_, api| api.reads_all(true)).start();
    let card = room.card_about("ada");
    let before = room.api.messages(OPS).len();
    room.api.say(OPS, KIM, "shall I approve ada?");
    room.api.say(OPS, KIM, "/approve@other_bot AAAAAA");
    room.api.say(OPS, KIM, "approve AAAAAA");
    let theirs = room.api.say(OPS, LEE, "what is it?");
    room.api.reply(OPS, KIM, theirs, "approve");
    room.api.wait_confirmed();
    room.api.reply(OPS, KIM, card.id, "hm");
    room.until_said("not understood");
    assert_eq!(room.api.messages(OPS).len(), before + 7, "{}", room.api.history());
}

#[test]
fn a_reply_to_a_closed_card_is_about_its_request() {
    let room = Room::with_agents(&["ada"]).start();
    let card = room.card_about("ada");
    room.kim_taps(&card, "Deny");
    room.until_card_says(&card, "denied by me");
    room.api.reply(OPS, LEE, card.id, "approve");
    room.until_said("already denied by me (Telegram)");
    assert_eq!(room.world.runs_of("ada"), 0);
}

#[test]
fn a_long_answer_is_turned_page_by_page_and_nothing_is_cut() {
    let names: Vec<String> = (0..60).map(|n| format!("agent-with-a-rather-long-name-{n:02}")).collect();
    let room = Room::with_agents(&["ada"]).but(|world, _| {
        world.gate["schedule"]["interval"] = json!("500ms");
        for name in &names {
            world.registry["fleet"][name] = json!({
                "host": "127.0.0.1", "mission": "many", "health_endpoints": {"gateway": "http://127.0.0.1:9/"},
            });
        }
    });
    let mut room = room;
    room.world.save();
    room.world.start_daemon();
    room.world.until("all are asked about", |world| (world.journaled("", "asked").len() >= 60).then_some(()));
    let asked = room.api.say(OPS, KIM, "/pending");
    let first = room.api.wait_message(OPS, |message| message.reply_to == Some(asked));
    assert_eq!(first.labels(), ["Next"]);
    let mut text = first.text.clone();
    let mut page = first.clone();
    while page.labels().contains(&"Next".to_owned()) {
        let before = page.text.clone();
        let turned = room.api.tap(OPS, page.id, "Next", LEE);
        page = room.api.wait_edited(OPS, first.id, |message| message.text != before);
        assert!(!room.api.wait_answer(&turned).show_alert);
        text.push_str(&page.text);
    }
    assert!(names.iter().all(|name| text.contains(name)), "{text}");
    assert_eq!(page.labels(), ["Back"]);
    let second_to_last = room.api.tap(OPS, page.id, "Back", MALLORY);
    room.api.wait_answer(&second_to_last);
    room.api.wait_edited(OPS, first.id, |message| message.labels().contains(&"Next".to_owned()));
}

#[test]
fn the_menu_holds_every_command() {
    let room = Room::with_agents(&["ada"]).start();
    room.api.wait_call("setMyCommands", |call| call.outcome == "ok");
    let all = room.api.commands().to_string();
    for verb in [
        "pending",
        "approve",
        "deny",
        "substitute",
        "snooze",
        "ask",
        "show",
        "status",
        "plan",
        "history",
        "hold",
        "release",
        "whoami",
        "help",
        "explain",
    ] {
        assert!(all.contains(&format!("\"{verb}\"")), "{verb} in {all}");
    }
    assert!(all.contains(&OPS.to_string()), "{all}");
}
