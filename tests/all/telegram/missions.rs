//! Missions from a chat: who may say what, a handoff from its preview to its end, documents both ways.

use insta::assert_snapshot;
use serde_json::{Value, json};

use super::room::{KIM, LEE, MALLORY, OPS, Room};
use crate::bot_api::{Fault, Message, When};
use crate::door;

/// A room in which kim leads the mission `forge`, and lee only reads it.
fn forge() -> Room {
    Room::with_agents(&["ada", "bob"]).but(|world, _| {
        world.gate["people"]["me"]["participant"] = json!({"forge": {"name": "kim", "role": "lead"}});
        world.gate["people"]["lee"]["participant"] = json!({"forge": {"name": "rae", "role": "read"}});
    })
}

impl Room {
    /// Somebody says something, and is answered.
    fn asks(&self, user: i64, line: &str) -> Message {
        let asked = self.api.say(OPS, user, line);
        self.api.wait_message(OPS, |message| message.reply_to == Some(asked))
    }

    /// Somebody says something that is answered so.
    fn hears(&self, user: i64, line: &str, answer: &str) -> Message {
        let told = self.asks(user, line);
        assert!(told.text.contains(answer), "{line}: {}", told.text);
        told
    }

    /// The mission `forge` with bob, and a checkpoint of kim's.
    fn makes_forge(&self) {
        self.hears(KIM, "/newmission forge The forge", "forge: made; kim leads it");
        self.hears(KIM, "/join forge bob write", "forge: bob takes part as write.");
        self.hears(KIM, "/checkpoint forge before review", "made as event 1");
    }
}

/// Ids and times stand for themselves.
fn masked(text: &str) -> String {
    let words = text.split(' ').map(|word| {
        let bare = word.trim_matches(|c: char| !c.is_ascii_alphanumeric());
        if bare.len() == 8 && (bare.starts_with("h-") || bare.starts_with("c-")) {
            word.replace(bare, &format!("{}-ID", &bare[..1]))
        } else if bare.len() == 8 && bare.split(':').count() == 3 {
            word.replace(bare, "TIME")
        } else {
            word.to_owned()
        }
    });
    words.collect::<Vec<_>>().join(" ")
}

fn id_of(card: &Message) -> String {
    let after = card.text.split("`accept ").nth(1).unwrap_or_else(|| panic!("no id on {card:?}"));
    after.split('`').next().unwrap_or_default().to_owned()
}

#[test]
fn a_lead_posts_a_handoff_from_the_chat_and_its_recipient_accepts() {
    let room = forge().start();
    room.makes_forge();
    room.hears(KIM, "/join forge lee write", "lee takes part as write");
    let card = room.asks(KIM, "/handoff forge bob last please go on");
    assert_eq!(card.labels(), ["Post", "Cancel"]);
    let shown: String = card.text.lines().filter(|line| !line.starts_with("made by")).collect::<Vec<_>>().join("\n");
    assert_snapshot!(shown, @r"
    forge: kim hands the part of kim over to bob.
    From the checkpoint: before review
    Note: please go on
    bob is healthy. Not posted yet; once posted, bob has 15 min to accept.
    ");
    // Only who asked for it posts it, and nothing is offered before.
    let others = room.api.tap(OPS, card.id, "Post", LEE);
    assert!(room.api.wait_answer(&others).text.contains("refused: me asked for this handoff"));
    let strangers = room.api.tap(OPS, card.id, "Post", MALLORY);
    assert!(room.api.wait_answer(&strangers).text.contains("not in `people`"));
    room.hears(KIM, "/mission forge", "takes part: kim (lead), gateway (lead), rae (read), bob (write), lee (write)");
    let posted = room.kim_taps(&card, "Post");
    assert!(room.api.wait_answer(&posted).text.contains("is offered to bob until"));
    let offered = room.until_card_says(&card, "OFFERED to bob");
    assert_eq!(offered.labels(), Vec::<String>::new());
    let id = id_of(&offered);
    // A second tap that was on its way posts nothing more.
    room.hears(KIM, &format!("/post {id}"), "It was posted before");
    room.hears(KIM, &format!("/accept {id}"), &format!("refused: handoff {id} is for bob, not for kim."));
}

#[test]
fn what_a_person_posts_from_the_chat_an_agent_accepts_at_the_door() {
    let room = forge().but(|world, _| world.gate["agents"] = json!({"listen": "127.0.0.1:0"})).start();
    room.world.until("the door is open", door::door);
    let bob = door::agent(&room.world, "bob");
    room.makes_forge();
    let card = room.asks(KIM, "/handoff forge bob last please go on");
    assert_eq!(bob.get("/v1/handoffs").taken()["handoffs"], json!([]), "it was not posted yet");
    room.kim_taps(&card, "Post");
    let id = id_of(&room.until_card_says(&card, "OFFERED to bob"));
    let offer = bob.get("/v1/handoffs").taken()["handoffs"][0].clone();
    assert_eq!((&offer["handoff_id"], &offer["part"], &offer["sender"]), (&json!(id), &json!("kim"), &json!("kim")));
    let packet = bob.get(&format!("/v1/missions/forge/handoffs/{id}/packet")).taken().clone();
    assert_eq!((&packet["handoff_note"], &packet["recipient"]), (&json!("please go on"), &json!("bob")));
    let accepted = bob.post(&format!("/v1/missions/forge/handoffs/{id}/accept"), json!({}));
    assert_eq!(accepted.taken()["state"], "accepted");
    room.until_card_says(&card, "ACCEPTED by bob");
    room.hears(KIM, &format!("/accept {id}"), "is accepted; ask for a new one");
}

#[test]
fn a_reader_is_refused_with_what_is_missing_and_who_has_it() {
    let room = forge().start();
    room.makes_forge();
    let told = room.asks(LEE, "/publish forge progress half of it");
    assert_snapshot!(told.text, @"refused: rae lacks 'publish' permission; it takes the role lead or write: kim, gateway, bob.");
    // Reading is theirs, and the first word made them a participant as the files say.
    room.hears(LEE, "/log forge", "checkpoint");
    room.hears(LEE, "/mission forge", "rae (read)");
    for (line, answer) in [
        ("/checkpoint forge now", "rae lacks 'checkpoint' permission"),
        ("/handoff forge bob", "rae lacks 'handoff' permission"),
        ("/isolation forge level1-directory", "rae lacks 'configure_isolation' permission; it takes the role lead"),
        ("/join forge eve read", "rae is no lead of the mission; only a lead may say who takes part"),
    ] {
        room.hears(LEE, line, answer);
    }
    let refused = room.world.journaled("rae", "mission.refused");
    assert_eq!(refused.len(), 5, "each once: {refused:?}");
    assert_eq!(refused[0].body["capability"], "publish");
    // Who is nobody gets nothing.
    for line in ["/missions", "/log forge", "/publish forge a b", "/newmission mine Mine"] {
        let told = room.asks(MALLORY, line);
        assert!(told.text.contains("you are not in `people`"), "{line}: {}", told.text);
    }
}

#[test]
fn who_may_make_a_mission() {
    let room = forge().but(|world, _| world.gate["people"]["lee"]["approves"] = json!(["ada-mission"])).start();
    let told = room.asks(LEE, "/newmission secret A secret");
    assert_snapshot!(told.text, @"refused: lee may not make the mission secret: that takes `approves` with secret, or to be its lead by `participant`, in `people`. Who may: me.");
    room.hears(LEE, "/newmission ada-mission The archive", "ada-mission: made; lee leads it");
    room.hears(KIM, "/newmission ada-mission Again", "there is a mission ada-mission already");
    room.hears(KIM, "/missions", "ada-mission: The archive (0 events)");
    // Approving is no role on the bus.
    room.hears(KIM, "/log ada-mission", "me lacks 'read' permission");
    room.hears(LEE, "/handoff ada-mission bob", "there is no checkpoint yet");
    room.hears(LEE, "/handoff nowhere bob", "there is no mission nowhere");
    room.hears(KIM, "/join ada-mission", "not understood: it does not say whom; the form is: join MISSION AGENT ROLE");
}

#[test]
fn a_handoff_is_cancelled_declined_or_expires() {
    let room = forge()
        .but(|world, _| {
            world.gate["people"]["lee"]["participant"] = json!({"forge": {"name": "rae", "role": "write"}});
            world.gate["mission"] = json!({"handoff_ttl": "1s"});
        })
        .start();
    room.makes_forge();
    room.hears(LEE, "/publish forge hello I am here", "published as event 2");
    let first = room.asks(KIM, "/handoff forge rae");
    let cancelled = room.kim_taps(&first, "Cancel");
    assert!(room.api.wait_answer(&cancelled).text.contains("Cancelled; nothing was posted"));
    let over = room.until_card_says(&first, "CANCELLED; nothing was posted.");
    assert!(over.labels().is_empty());
    // Nobody answers.
    let second = room.asks(KIM, "/handoff forge rae");
    room.kim_taps(&second, "Post");
    room.until_card_says(&second, "EXPIRED");
    let told = room.api.wait_message(OPS, |message| message.reply_to == Some(second.id));
    assert!(told.text.contains("rae did not answer. The part of kim stays where it was."), "{}", told.text);
    room.world.until_journal("gateway", "mission.handoff_expired");
    // Somebody does not want it.
    let third = room.asks(KIM, "/handoff forge rae");
    room.kim_taps(&third, "Post");
    let id = id_of(&room.until_card_says(&third, "OFFERED"));
    room.hears(LEE, &format!("/decline {id} I have no time"), "the part of kim stays where it was");
    room.until_card_says(&third, "DECLINED by rae");
    room.hears(LEE, &format!("/accept {id}"), "is declined; ask for a new one");
    assert_eq!(room.world.journaled("kim", "mission.handoff_offered").len(), 2);
}

#[test]
fn a_restart_between_preview_and_post_changes_nothing() {
    let mut room = forge().start();
    room.makes_forge();
    let card = room.asks(KIM, "/handoff forge bob last over to you");
    room.stop();
    let tapped = room.kim_taps(&card, "Post");
    room.world.start_daemon();
    let offered = room.until_card_says(&card, "OFFERED to bob");
    assert!(room.api.wait_answer(&tapped).text.contains("is offered to bob"));
    // And one between the offer and its end.
    room.world.kill9();
    let id = id_of(&offered);
    room.world.start_daemon();
    room.hears(KIM, &format!("/resume {id}"), "the resume packet");
    assert_eq!(room.world.journaled("kim", "mission.handoff_offered").len(), 1);
}

#[test]
fn the_recipient_was_well_and_is_not_any_more() {
    let room = forge().start();
    room.makes_forge();
    let card = room.asks(KIM, "/handoff forge bob");
    room.world.silence("bob");
    room.world.until_journal("bob", "asked");
    let tapped = room.kim_taps(&card, "Post");
    assert!(room.api.wait_answer(&tapped).text.contains("bob is not as it was when you looked"));
    let again = room.until_card_says(&card, "CAREFUL: bob is not healthy.");
    assert_eq!(again.labels(), ["Post", "Cancel"]);
    room.kim_taps(&card, "Post");
    room.until_card_says(&card, "OFFERED to bob");
}

#[test]
fn state_comes_as_a_document_and_the_packet_goes_as_one() {
    let room = forge()
        .but(|world, _| {
            world.gate["people"]["lee"]["participant"] = json!({"forge": {"name": "rae", "role": "write"}});
        })
        .start();
    room.makes_forge();
    let state = br#"{"branch": "fix/883", "done": ["a", "b"]}"#;
    let sent = room.api.send_file(OPS, KIM, "state.json", state, "/checkpoint forge with a document");
    let told = room.api.wait_message(OPS, |message| message.reply_to == Some(sent));
    assert_eq!(masked(&told.text), "forge: checkpoint c-ID made as event 2.");
    // Or as a reply to one that somebody sent before.
    let lees = room.api.send_file(OPS, LEE, "other.json", b"[1, 2, 3]", "look");
    let replied = room.api.reply(OPS, KIM, lees, "/checkpoint forge in a reply");
    let told = room.api.wait_message(OPS, |message| message.reply_to == Some(replied));
    assert_eq!(masked(&told.text), "forge: checkpoint c-ID made as event 3.");
    let card = room.asks(KIM, "/handoff forge rae");
    room.kim_taps(&card, "Post");
    let id = id_of(&room.until_card_says(&card, "OFFERED"));
    room.hears(LEE, &format!("/accept {}", id.to_uppercase()), "Accepted: rae has the part of kim now.");
    room.until_card_says(&card, "ACCEPTED by rae");
    let packet = room.hears(LEE, &format!("/resume {id}"), "forge: the resume packet of");
    let (name, content) = packet.document.expect("a document");
    assert_eq!(name, format!("forge-{id}.json"));
    let packet: Value = serde_json::from_slice(&content).expect("JSON");
    assert_eq!(packet["checkpoint"]["state"], json!([1, 2, 3]));
    assert_eq!((&packet["recipient"], &packet["stream_length"]), (&json!("rae"), &json!(4)));
}

#[test]
fn a_document_that_is_of_no_use_is_told_so() {
    let room = forge().start();
    room.makes_forge();
    let answer = |bytes: &[u8], caption: &str| {
        let sent = room.api.send_file(OPS, KIM, "state.json", bytes, caption);
        room.api.wait_message(OPS, |message| message.reply_to == Some(sent)).text
    };
    let told = answer(b"{half", "/checkpoint forge broken");
    assert!(told.starts_with("refused: the document cannot be used: it is no JSON"), "{told}");
    let told = answer(&vec![b' '; 17 << 20], "/checkpoint forge huge");
    assert!(told.contains("at most 16777216 bytes are kept"), "{told}");
    // Telegram has a bad moment: it is fetched once more.
    room.api.fault("getFile", When::Next(1), Fault::Json(502));
    let told = answer(b"{\"step\": 1}", "/checkpoint forge at last");
    assert_eq!(masked(&told), "forge: checkpoint c-ID made as event 2.");
    // Larger than an event: kept beside the store under its hash.
    let large = json!({"text": "x".repeat(100_000)}).to_string();
    let told = answer(large.as_bytes(), "/checkpoint forge large");
    assert_eq!(masked(&told), "forge: checkpoint c-ID made as event 3.");
    let kept = std::fs::read_dir(room.world.path("store/states")).expect("the folder").count();
    assert_eq!(kept, 1);
    let card = room.asks(KIM, "/handoff forge bob");
    room.kim_taps(&card, "Post");
    let id = id_of(&room.until_card_says(&card, "OFFERED"));
    let (_, packet) = room.asks(KIM, &format!("/resume {id}")).document.expect("a document");
    let packet: Value = serde_json::from_slice(&packet).expect("JSON");
    assert_eq!(packet["checkpoint"]["state"]["text"].as_str().map(str::len), Some(100_000), "the whole of it");
}

#[test]
fn a_long_log_is_turned_page_by_page() {
    let room = forge().start();
    room.makes_forge();
    for n in 0..40 {
        room.api.say(OPS, KIM, &format!("/publish forge topic-{n:02} {}", "a rather long text ".repeat(8)));
    }
    room.until_said("published as event 41");
    let first = room.asks(KIM, "/log forge 40");
    assert_eq!(first.labels(), ["Next"]);
    assert!(first.text.contains("events 2 to 41"), "{}", first.text);
    room.api.tap(OPS, first.id, "Next", KIM);
    room.api.wait_edited(OPS, first.id, |message| message.text.contains("topic-39") || message.labels().len() == 2);
}
