//! Updates that come twice, out of order, cut or in no known shape.

use serde_json::json;

use super::room::{KIM, LEE, OPS, Room};

fn taken(room: &Room) {
    let card = room.card_about("ada");
    let answer = room.api.wait_answer(&room.kim_taps(&card, "Restart"));
    assert!(answer.text.contains("your approval is taken"), "{answer:?}");
    room.until_card_says(&card, "Restarted, and verified at");
    assert_eq!((room.world.runs_of("ada"), room.world.journaled("ada", "approved").len()), (1, 1));
}

#[test]
fn what_comes_twice_in_one_answer_counts_once() {
    let room = Room::with_agents(&["ada"]).start();
    room.api.deliver_twice();
    taken(&room);
    let asked = room.api.say(OPS, KIM, "/whoami");
    room.until_said("You are me");
    room.api.wait_confirmed();
    let told = room.api.messages(OPS).iter().filter(|message| message.reply_to == Some(asked)).count();
    assert_eq!(told, 1);
}

#[test]
fn what_comes_again_changes_nothing() {
    let mut room = Room::with_agents(&["ada"]).start();
    let card = room.card_about("ada");
    room.api.reply(OPS, KIM, card.id, "deny");
    room.until_card_says(&card, "denied by me");
    let ids: Vec<i64> = room.api.updates().iter().filter_map(|update| update["update_id"].as_i64()).collect();
    let said = room.api.messages(OPS).len();
    for round in 0..2 {
        for id in &ids {
            room.api.redeliver(*id);
        }
        room.api.say(OPS, LEE, "/whoami");
        room.world.until("an answer", |_| (room.api.messages(OPS).len() >= said + 2 * (round + 1)).then_some(()));
        room.stop();
        room.world.start_daemon();
    }
    assert_eq!(room.world.journaled("ada", "denied").len(), 1);
    assert_eq!(room.api.messages(OPS).len(), said + 4);
}

#[test]
fn what_comes_backwards_is_all_there() {
    let mut room = Room::with_agents(&["ada", "bob"]).start();
    let (ada, bob) = (room.card_about("ada"), room.card_about("bob"));
    room.stop();
    room.api.deliver_backwards();
    let taps = [room.kim_taps(&ada, "Deny"), room.kim_taps(&bob, "Deny")];
    room.world.start_daemon();
    for tap in &taps {
        assert!(room.api.wait_answer(tap).text.contains("your denial is taken"));
    }
    room.api.wait_confirmed();
}

#[test]
fn numbers_that_begin_anew_after_a_week_lose_nothing() {
    let room = Room::with_agents(&["ada"]).start();
    room.api.say(OPS, KIM, "/whoami");
    room.until_said("You are me");
    room.api.wait_confirmed();
    room.api.next_update_id(17);
    taken(&room);
    room.api.wait_confirmed();
    room.api.next_update_id(900_000_000);
    room.api.say(OPS, LEE, "/whoami");
    room.until_said("You are lee");
    room.api.wait_confirmed();
}

#[test]
fn what_nobody_can_read_hides_nothing() {
    let room = Room::with_agents(&["ada"]).start();
    let card = room.card_about("ada");
    room.api.push_raw(json!({"chat_from_the_future": {"x": [1, 2]}}));
    room.api.push_raw(json!({"message": 5}));
    room.api.push_raw(json!({"message": {"chat": {"id": OPS}, "text": ["/approve"], "from": "kim"}}));
    room.api.push_raw(json!({"callback_query": {"id": 7, "data": {}}}));
    room.api.push_raw(json!({"my_chat_member": {"chat": {}, "new_chat_member": []}}));
    room.api.push_raw(json!("no update at all"));
    room.api.push_raw(json!(null));
    let tap = room.kim_taps(&card, "Deny");
    assert!(room.api.wait_answer(&tap).text.contains("your denial is taken"));
    room.api.wait_confirmed();
}

#[test]
fn chatter_leaves_nothing_but_the_offset() {
    let room = Room::with_agents(&["ada"]).but(|_, api| api.reads_all(true)).start();
    for n in 0..50 {
        room.api.say(OPS, KIM, &format!("chatter {n}"));
    }
    room.api.wait_confirmed();
    let inputs = room.world.read(async |read| lazarus_gate::store::inbox::pending(read, 100).await);
    assert_eq!(inputs.map(|inputs| inputs.len()), Some(0));
    let last = room.world.read(async |read| lazarus_gate::store::inbox::offset(read, "telegram").await).flatten();
    let expected =
        room.api.updates().last().and_then(|update| update["update_id"].as_i64()).map(|id| (id + 1).to_string());
    assert_eq!(last, expected);
}
