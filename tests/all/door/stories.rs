use lazarus_gate::mission::MissionRole;
use serde_json::{Value, json};

use super::{agent, incarnation, nonce, open};

#[test]
fn an_agent_attaches_publishes_and_hands_over_and_the_recipient_accepts() {
    let world = open(&["ada"], &[("ada-mission", "bob", MissionRole::Write)], |_| {});
    let (ada, bob) = (agent(&world, "ada"), agent(&world, "bob"));
    let at = "/v1/missions/ada-mission";

    let attached = ada.post(&format!("{at}/attach"), json!({"nonce": nonce("one")}));
    assert_eq!(attached.taken(), &json!({"mission": "ada-mission", "agent": "ada", "epoch": 0}));
    let me = incarnation(0, "one");
    let message = json!({"topic": "progress", "payload": {"done": 3}, "incarnation": me});
    assert_eq!(ada.post(&format!("{at}/messages"), message).taken()["sequence"], 1);
    let checkpoint = json!({
        "summary": "before review", "state": {"branch": "fix/883"}, "artifacts": ["docs/plan.md"], "incarnation": me,
    });
    let checkpoint = ada.post(&format!("{at}/checkpoints"), checkpoint).taken().clone();
    assert_eq!(checkpoint["sequence"], 2);
    let handoff = ada.post(&format!("{at}/handoffs"), json!({"recipient": "bob", "note": "go on", "incarnation": me}));
    let handoff = handoff.taken().clone();
    assert_eq!((&handoff["part"], &handoff["state"]), (&json!("ada"), &json!("offered")));
    let id = handoff["handoff_id"].as_str().unwrap();

    let offers = bob.get("/v1/handoffs");
    assert_eq!(offers.taken()["handoffs"], json!([handoff]));
    assert_eq!(ada.get("/v1/handoffs").taken()["handoffs"], json!([]));
    let packet = bob.get(&format!("{at}/handoffs/{id}/packet"));
    let packet = packet.taken();
    assert_eq!(packet["checkpoint"]["state"], json!({"branch": "fix/883"}));
    assert_eq!((&packet["recipient"], &packet["handoff_note"]), (&json!("bob"), &json!("go on")));
    ada.post(&format!("{at}/handoffs/{id}/accept"), json!({"incarnation": me})).refused(
        403,
        "not_the_recipient",
        "bob",
    );
    let accepted = bob.post(&format!("{at}/handoffs/{id}/accept"), json!({}));
    assert_eq!(accepted.taken()["state"], "accepted");
    assert_eq!(bob.post(&format!("{at}/handoffs/{id}/accept"), json!({})).taken(), accepted.taken(), "again: the same");
    bob.post(&format!("{at}/handoffs/{id}/decline"), json!({"reason": "no"})).refused(409, "offer_closed", "accepted");

    let page = bob.get(&format!("{at}/events?after=0&limit=2"));
    let page = page.taken();
    assert_eq!((&page["more"], page["events"].as_array().unwrap().len()), (&json!(true), 2));
    assert_eq!(page["events"][1]["event"]["checkpoint_id"], checkpoint["id"]);
    let rest = bob.get(&format!("{at}/events?after=2"));
    assert_eq!((&rest.taken()["more"], &rest.body["events"][0]["sequence"]), (&json!(false), &json!(3)));
    assert_eq!(bob.get(&format!("{at}/events")).taken()["events"][0]["sequence"], 3, "the newest first");
    world.until_journal("bob", "mission.handoff_accepted");
}

#[test]
fn an_offer_is_declined_with_a_reason() {
    let world = open(&["ada"], &[("ada-mission", "bob", MissionRole::Write)], |_| {});
    let (ada, bob) = (agent(&world, "ada"), agent(&world, "bob"));
    let at = "/v1/missions/ada-mission";
    ada.post(&format!("{at}/handoffs"), json!({"recipient": "bob"})).refused(404, "unknown_checkpoint", "last");
    ada.post(&format!("{at}/checkpoints"), json!({"summary": "half of it"})).taken();
    ada.post(&format!("{at}/handoffs"), json!({"recipient": "eve"})).refused(422, "unknown_recipient", "eve");
    let handoff = ada.post(&format!("{at}/handoffs"), json!({"recipient": "bob"})).taken().clone();
    ada.post(&format!("{at}/handoffs"), json!({"recipient": "bob"})).refused(409, "already_offered", "bob");
    let id = handoff["handoff_id"].as_str().unwrap();
    let declined = bob.post(&format!("{at}/handoffs/{id}/decline"), json!({"reason": "no room"}));
    assert_eq!(declined.taken()["state"], "declined");
    assert_eq!(bob.get("/v1/handoffs").taken()["handoffs"], json!([]));
    let told = world.until_journal("bob", "mission.handoff_declined");
    assert_eq!(told.body["reason"], "no room");
}

#[test]
fn a_reader_is_refused_and_told_who_could() {
    let world = open(&["ada"], &[("ada-mission", "rita", MissionRole::Read)], |_| {});
    let (rita, eve) = (agent(&world, "rita"), agent(&world, "eve"));
    let at = "/v1/missions/ada-mission";
    assert_eq!(rita.get(&format!("{at}/events")).taken()["events"], json!([]));
    let refused = rita.post(&format!("{at}/messages"), json!({"topic": "t", "payload": {}}));
    let problem = refused.refused(403, "lacks_capability", "rita lacks 'publish' permission");
    assert_eq!((&problem["capability"], &problem["held_by"]), (&json!("publish"), &json!(["gateway", "ada"])));
    let noted = world.until_journal("rita", "mission.refused");
    assert_eq!((&noted.body["doing"], &noted.body["capability"]), (&json!("publish"), &json!("publish")));
    // Who takes no part may not even read.
    eve.get(&format!("{at}/events")).refused(403, "lacks_capability", "'read'");
    eve.post(&format!("{at}/attach"), json!({"nonce": nonce("eve")})).refused(403, "lacks_capability", "eve");
    eve.get("/v1/missions/nowhere/events").refused(404, "unknown_mission", "nowhere");
    world.until_journal("eve", "mission.refused");
}

#[test]
fn a_stale_incarnation_is_told_that_it_was_replaced() {
    let world = open(&["ada"], &[], |_| {});
    let ada = agent(&world, "ada");
    let at = "/v1/missions/ada-mission";
    let publish = |incarnation: Value| {
        ada.post(&format!("{at}/messages"), json!({"topic": "t", "payload": {}, "incarnation": incarnation}))
    };
    publish(incarnation(0, "one")).refused(409, "not_attached", "attach first");
    assert_eq!(ada.post(&format!("{at}/attach"), json!({"nonce": nonce("one")})).taken()["epoch"], 0);
    publish(incarnation(0, "one")).taken();
    publish(Value::Null).refused(409, "replaced", "all writes need its epoch and nonce");

    world.silence("ada");
    let code = world.asked_about("ada");
    world.says(&["approve", &code]).taken();
    world.until_journal("ada", "verified");
    publish(incarnation(0, "one")).refused(409, "replaced", "you were replaced at");
    let again = ada.post(&format!("{at}/attach"), json!({"nonce": nonce("one")}));
    again.refused(409, "replaced", "an execution for you was carried out");
    assert_eq!(ada.post(&format!("{at}/attach"), json!({"nonce": nonce("two")})).taken()["epoch"], 1);
    assert_eq!(publish(incarnation(1, "two")).taken()["epoch"], 1);
    publish(incarnation(0, "one")).refused(409, "replaced", "another incarnation attached first");
    world.until_journal("ada", "recovered");
}

#[test]
fn a_request_that_is_sent_again_under_its_key_is_done_once() {
    let mut world = open(&["ada"], &[], |_| {});
    let ada = agent(&world, "ada");
    let at = "/v1/missions/ada-mission";
    let message = json!({"topic": "t", "payload": {"n": 1}});
    let first = ada.post_once("key-00001", &format!("{at}/messages"), message.clone()).taken().clone();
    assert_eq!(ada.post_once("key-00001", &format!("{at}/messages"), message.clone()).taken(), &first);
    let other = json!({"topic": "t", "payload": {"n": 2}});
    ada.post_once("key-00001", &format!("{at}/messages"), other).refused(409, "key_taken", "another request");
    ada.post_once("short", &format!("{at}/messages"), message.clone()).refused(400, "wrong_form", "8 to 64");
    // The answer outlives the daemon, as the event does.
    world.kill9();
    world.start_daemon();
    world.until("the door is open again", super::door);
    let ada = super::Caller::new(super::door(&world).unwrap(), ada.token.clone());
    assert_eq!(ada.post_once("key-00001", &format!("{at}/messages"), message).taken(), &first);
    assert_eq!(ada.get(&format!("{at}/events")).taken()["events"].as_array().unwrap().len(), 1);
}

#[test]
fn a_state_that_is_too_large_for_an_event_becomes_a_file() {
    let world = open(&["ada"], &[("ada-mission", "rita", MissionRole::Read)], |_| {});
    let (ada, rita, eve) = (agent(&world, "ada"), agent(&world, "rita"), agent(&world, "eve"));
    let at = "/v1/missions/ada-mission";
    let state = json!({"words": "x".repeat(200_000)});
    let refused = rita.post(&format!("{at}/checkpoints"), json!({"summary": "s", "state": state}));
    assert_eq!(refused.status, 403, "{refused:?}");
    assert!(!world.path("store/states").exists(), "whoever may not make checkpoints leaves no files");
    ada.post(&format!("{at}/checkpoints"), json!({"summary": "large", "state": state})).taken();
    let page = rita.get(&format!("{at}/events")).taken().clone();
    let file = &page["events"][0]["event"]["state"]["$file"];
    let address = format!("{at}/states/{}?bytes={}", file["sha256"].as_str().unwrap(), file["bytes"]);
    assert_eq!(rita.get(&address).taken(), &state);
    eve.get(&address).refused(403, "lacks_capability", "'read'");
    let none = format!("{at}/states/{}?bytes=1", "0".repeat(64));
    rita.get(&none).refused(404, "unknown_file", "no state of this hash");
    rita.get(&format!("{at}/states/..%2F..%2Fgate.db?bytes=1")).refused(422, "wrong_shape", "no SHA-256");
    let message = json!({"topic": "t", "payload": state});
    ada.post(&format!("{at}/messages"), message).refused(413, "too_large", "65536");
}
