//! Heartbeats, beside the probes.

use std::time::Duration;

use lazarus_gate::mission::MissionRole;
use serde_json::json;

use super::{agent, ahead, door, incarnation, nonce, open};

#[test]
fn a_heartbeat_counts_only_where_it_is_configured() {
    let world = open(&["ada"], &[], |_| {});
    let ada = agent(&world, "ada");
    let beaten = ada.post("/v1/heartbeat", json!({"progress": 1, "busy_until": ahead(&ada, Duration::from_secs(60))}));
    assert_eq!((&beaten.taken()["counts"], &beaten.body["busy_until"]), (&json!(false), &json!(null)));
    world.silence("ada");
    world.asked_about("ada");
    world.revive("ada");
    world.until_journal("ada", "recovered");
}

#[test]
fn who_falls_silent_is_dead_although_it_answers() {
    let world = open(&["ada", "bob"], &[], |world| {
        world.gate["agents"]["heartbeats"] = json!({"ada": {"within": "3s"}});
    });
    let ada = agent(&world, "ada");
    ada.post("/v1/heartbeat", json!({"progress": 1})).taken();
    world.until_all_healthy();
    let opened = world.until_journal("ada", "opened");
    assert_eq!(opened.body["reasons"], json!(["heartbeat_lost"]));
    let code = world.asked_about("ada");
    assert!(world.journaled("bob", "opened").is_empty());
    // One beat makes it well again; nothing need run.
    world.until("it beats until the case is closed", |world| {
        ada.post("/v1/heartbeat", json!({"progress": 2})).taken();
        world.journaled("ada", "recovered").pop()
    });
    world.says(&["approve", &code]).refused("");
    assert_eq!(world.runs_of("ada"), 0);
    world.forget_reader();
}

#[test]
fn who_says_to_be_busy_is_not_taken_for_dead_until_then() {
    let mut world = open(&["ada"], &[], |world| {
        world.gate["agents"]["heartbeats"] = json!({"ada": {"within": "60s", "busy_at_most": "1h"}});
    });
    let ada = agent(&world, "ada");
    let limit: jiff::Timestamp = ahead(&ada, Duration::from_secs(3700)).parse().unwrap();
    let beaten =
        ada.post("/v1/heartbeat", json!({"progress": 1, "busy_until": ahead(&ada, Duration::from_secs(86_400))}));
    assert_eq!(beaten.taken()["counts"], true);
    world.until_all_healthy();
    let until: jiff::Timestamp = beaten.body["busy_until"].as_str().unwrap().parse().unwrap();
    assert!(until < limit, "an hour at most: {until}");
    world.silence("ada");
    world.until_probed("ada", 6);
    assert!(world.journaled("ada", "opened").is_empty(), "it is busy");
    // A restart of the gateway does not forget it.
    world.kill9();
    world.start_daemon();
    world.until("the door is open again", door);
    world.until_probed("ada", 6);
    assert!(world.journaled("ada", "opened").is_empty(), "it is busy still");
    let ada = super::Caller::new(door(&world).unwrap(), ada.token.clone());
    ada.post("/v1/heartbeat", json!({"progress": 2})).taken();
    world.asked_about("ada");
    world.revive("ada");
    world.until_journal("ada", "recovered");
}

#[test]
fn a_replaced_incarnation_does_not_beat_for_its_successor() {
    let world = open(&["ada", "bob"], &[("bob-mission", "ada", MissionRole::Write)], |world| {
        world.gate["agents"]["heartbeats"] = json!({"ada": {"within": "60s"}});
    });
    let ada = agent(&world, "ada");
    let at = "/v1/missions/ada-mission/attach";
    ada.post(at, json!({"nonce": nonce("one")})).taken();
    let beat = |of: &str| ada.post("/v1/heartbeat", json!({"progress": 1, "incarnation": incarnation(0, of)}));
    beat("one").taken();
    ada.post("/v1/heartbeat", json!({"progress": 1})).refused(409, "replaced", "epoch and nonce");
    beat("two").refused(409, "replaced", "another incarnation");
    let other = json!({"mission": "nowhere", "incarnation": incarnation(0, "one")});
    ada.post("/v1/heartbeat", other).refused(404, "unknown_mission", "nowhere");
    // Nor by way of another mission.
    ada.post("/v1/heartbeat", json!({"mission": "bob-mission"})).refused(409, "replaced", "epoch and nonce");
    ada.post("/v1/missions/bob-mission/attach", json!({"nonce": nonce("two")})).taken();
    let there = json!({"mission": "bob-mission", "incarnation": incarnation(0, "two")});
    ada.post("/v1/heartbeat", there).refused(409, "replaced", "another incarnation");
}
