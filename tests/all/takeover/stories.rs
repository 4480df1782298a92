use serde_json::{Value, json};

use super::substitute::Endpoint;
use super::{MISSION, dies_after_a_checkpoint, offered, world};
use crate::door::{self, agent, incarnation, nonce};
use crate::world::World;

#[test]
fn nobody_is_said_to_have_taken_over_before_it_has_accepted() {
    let endpoint = Endpoint::that_takes_it();
    let world = world(&endpoint, |world| {
        world.write("config/bob.token", "s3cret-of-bob\n");
        world.gate["delivery"]["bob"]["token_file"] = json!("bob.token");
    });
    let bob = agent(&world, "bob");
    let ada = dies_after_a_checkpoint(&world);
    let code = world.asked_about("ada");
    world.says(&["substitute", &code, "bob"]).taken();
    world.until_journal("ada", "done");
    let [packet] = endpoint.packets().try_into().expect("it was sent once");
    assert!(packet.headers.contains("authorization: bearer s3cret-of-bob"), "{packet:?}");
    let id = packet.body["handoff_id"].as_str().unwrap().to_owned();
    assert!(packet.headers.contains(&format!("idempotency-key: {id}")), "{packet:?}");
    assert_eq!(packet.body["resume"]["checkpoint"]["state"], json!({"branch": "fix/883"}));
    assert_eq!((&packet.body["resume"]["sender"], &packet.body["agent"]), (&json!("gateway"), &json!("ada")));

    // Healthy for long, and asked: that is not taken over.
    world.until_probed("bob", 8);
    assert!(world.journaled("ada", "verified").is_empty());
    assert!(!world.was_told("has taken over"));
    let offers = bob.get("/v1/handoffs").taken()["handoffs"].clone();
    assert_eq!((&offers[0]["handoff_id"], &offers[0]["part"]), (&json!(id), &json!("ada")));
    bob.post(&format!("{MISSION}/handoffs/{id}/accept"), json!({})).taken();
    world.until_journal("ada", "verified");
    world.until_told("bob has taken over");

    // Who comes back too late is told.
    let late = json!({"topic": "t", "payload": {}, "incarnation": incarnation(0, "one")});
    ada.post(&format!("{MISSION}/messages"), late).refused(409, "replaced", "you were replaced at");
    ada.post(&format!("{MISSION}/attach"), json!({"nonce": nonce("one")})).refused(409, "replaced", "carried out");
    assert!(!world.log.text().contains("s3cret"), "no token in the log");
}

#[test]
fn who_declines_is_not_chosen_again_and_the_next_one_is_offered_to_the_people() {
    let endpoint = Endpoint::that_answers("{\"accepted\": false, \"reason\": \"no room\"}");
    let world = world(&endpoint, |world| {
        // It would be an hour until people are asked anew, were nothing else to say.
        world.gate["timing"]["reask_after"] = json!("1h");
        world.gate["timing"]["reask_max"] = json!("1h");
        let other = json!({"run": ["/bin/sh", "-c", "echo '{{\"accepted\": true}}'"]});
        world.gate["delivery"]["cleo"] = other;
    });
    dies_after_a_checkpoint(&world);
    let code = world.asked_about("ada");
    assert_eq!(offered(&world), ["bob", "cleo"]);
    world.says(&["substitute", &code, "bob"]).taken();
    let failed = world.until_journal("ada", "not_recovered");
    assert_eq!(failed.body["why"], "it declined: no room");
    world.until_journaled("ada", "asked", 2);
    assert_eq!(offered(&world), ["cleo"], "bob is not suggested again");
    let code = world.asked_about("ada");
    world.says(&["substitute", &code, "cleo"]).taken();
    world.until_journal("ada", "verified");
    world.until_told("cleo has taken over");
    assert_eq!(endpoint.packets().len(), 1);
    let accepted = world.until_journal("gateway", "mission.handoff_accepted");
    assert_eq!((&accepted.body["recipient"], &accepted.body["part"]), (&json!("cleo"), &json!("ada")));
}

#[test]
fn under_yes_the_next_one_is_not_chosen_by_itself_either() {
    let endpoint = Endpoint::that_answers("{\"accepted\": false}");
    let world = world(&endpoint, |world| {
        world.policy["agents"] = json!({"ada": {"mode": "yes"}});
        world.gate["restart"] = json!([]);
        world.gate["delivery"]["cleo"] = json!({"run": ["/bin/true"]});
    });
    if world.says(&["check"]).out.contains("systemd") {
        eprintln!("ada can be restarted here by systemctl");
    }
    world.silence("ada");
    let ready = world.until_journal("ada", "ready");
    if ready.body["action"] == json!("restart") {
        eprintln!("NOT TESTED: a service manager restarts ada");
        return;
    }
    world.until_journal("ada", "not_recovered");
    world.asked_about("ada");
    assert_eq!(offered(&world), ["cleo"]);
    assert_eq!(world.journaled("ada", "started").len(), 1);
}

/// The newest checkpoint, handed over by the one to the other, who accepts.
fn hands_over(from: &door::Caller, me: &serde_json::Value, to: &door::Caller, name: &str) {
    let offer = from.post(&format!("{MISSION}/handoffs"), json!({"recipient": name, "note": "", "incarnation": me}));
    let id = offer.taken()["handoff_id"].as_str().unwrap().to_owned();
    to.post(&format!("{MISSION}/handoffs/{id}/accept"), json!({})).taken();
}

#[test]
fn what_the_dead_had_handed_to_another_is_not_given_away() {
    let endpoint = Endpoint::that_takes_it();
    let world = world(&endpoint, |world| world.gate["delivery"]["cleo"] = world.gate["delivery"]["bob"].clone());
    let (ada, bob) = (agent(&world, "ada"), agent(&world, "bob"));
    ada.post(&format!("{MISSION}/checkpoints"), json!({"summary": "half of it", "state": {}})).taken();
    hands_over(&ada, &json!(null), &bob, "bob");
    world.silence("ada");
    let code = world.asked_about("ada");
    world.says(&["substitute", &code, "cleo"]).taken();
    let called_off = world.until_journal("ada", "called_off");
    assert_eq!(called_off.body["because"], json!({"not_handed_over": {"why": "its work belongs to bob"}}));
    assert!(endpoint.packets().is_empty());
    assert_eq!(agent(&world, "cleo").get("/v1/handoffs").taken()["handoffs"], json!([]));
    assert!(world.journaled("ada", "started").is_empty());
}

/// bob, who stood in for ada, is lost as well, and cleo stands in; what she is told to go on from.
fn cleo_takes_over_from_bob(world: &World, endpoint: &Endpoint) -> Value {
    world.silence("bob");
    world.until_journaled("ada", "asked", 2);
    let code = world.asked_about("ada");
    world.says(&["substitute", &code, "cleo"]).taken();
    world.until_journaled("ada", "verified", 2);
    endpoint.packets()[1].body["resume"].clone()
}

#[test]
fn the_work_of_a_lost_stand_in_goes_on_from_where_that_one_was() {
    let endpoint = Endpoint::that_answers("{\"accepted\": true}");
    let world = world(&endpoint, |world| world.gate["delivery"]["cleo"] = world.gate["delivery"]["bob"].clone());
    let bob = agent(&world, "bob");
    dies_after_a_checkpoint(&world);
    let code = world.asked_about("ada");
    world.says(&["substitute", &code, "bob"]).taken();
    world.until_journal("ada", "verified");
    let further = json!({"summary": "all but the docs", "state": {"done": 9}});
    bob.post(&format!("{MISSION}/checkpoints"), further).taken();
    let resume = cleo_takes_over_from_bob(&world, &endpoint);
    assert_eq!((&resume["recipient"], &resume["checkpoint"]["state"]), (&json!("cleo"), &json!({"done": 9})));
}

#[test]
fn what_a_lost_stand_in_had_made_of_its_own_work_is_not_taken_for_that_of_the_dead() {
    let endpoint = Endpoint::that_answers("{\"accepted\": true}");
    let world = world(&endpoint, |world| world.gate["delivery"]["cleo"] = world.gate["delivery"]["bob"].clone());
    let bob = agent(&world, "bob");
    dies_after_a_checkpoint(&world);
    let own = json!({"summary": "of something else", "state": {"mine": 1}});
    bob.post(&format!("{MISSION}/checkpoints"), own).taken();
    let code = world.asked_about("ada");
    world.says(&["substitute", &code, "bob"]).taken();
    world.until_journal("ada", "verified");
    let resume = cleo_takes_over_from_bob(&world, &endpoint);
    assert_eq!(resume["checkpoint"]["state"], json!({"branch": "fix/883"}), "{resume}");
}

#[test]
fn who_stays_silent_loses_the_offer() {
    let endpoint = Endpoint::that_takes_it();
    let world = world(&endpoint, |world| world.gate["delivery"]["bob"]["accept_within"] = json!("500ms"));
    let bob = agent(&world, "bob");
    dies_after_a_checkpoint(&world);
    let code = world.asked_about("ada");
    world.says(&["substitute", &code, "bob"]).taken();
    let failed = world.until_journal("ada", "not_recovered");
    assert_eq!(failed.body["why"], "it did not answer in time");
    world.until_journaled("ada", "asked", 2);
    let id = endpoint.packets()[0].body["handoff_id"].as_str().unwrap().to_owned();
    bob.post(&format!("{MISSION}/handoffs/{id}/accept"), json!({})).refused(409, "offer_closed", "expired");
}

#[test]
fn who_dies_before_it_accepts_loses_the_offer() {
    let endpoint = Endpoint::that_takes_it();
    let world = world(&endpoint, |world| world.gate["timing"]["verify_for"] = json!("500ms"));
    let bob = agent(&world, "bob");
    dies_after_a_checkpoint(&world);
    let code = world.asked_about("ada");
    world.says(&["substitute", &code, "bob"]).taken();
    world.until_journal("ada", "done");
    world.silence("bob");
    world.until_journal("ada", "not_recovered");
    let id = endpoint.packets()[0].body["handoff_id"].as_str().unwrap().to_owned();
    bob.post(&format!("{MISSION}/handoffs/{id}/accept"), json!({})).refused(409, "offer_closed", "expired");
    world.until_journal("gateway", "mission.handoff_taken_back");
    world.until_journaled("ada", "asked", 2);
    assert!(offered(&world).is_empty(), "cleo cannot be told, and bob is dead");
    world.revive("bob");
    world.revive("ada");
    world.until_journal("ada", "recovered");
}

#[test]
fn who_left_no_checkpoint_and_no_mission_leaves_what_is_known() {
    let endpoint = Endpoint::that_answers("{\"accepted\": true}");
    let world = crate::world::World::with_agents(&["ada", "bob"])
        .but(|world| {
            world.policy["substitutions"] = json!({"ada": ["bob"]});
            world.gate["delivery"] = super::delivery(&endpoint);
        })
        .start();
    world.silence("ada");
    let code = world.asked_about("ada");
    world.says(&["substitute", &code, "bob"]).taken();
    world.until_journal("ada", "verified");
    let resume = endpoint.packets()[0].body["resume"].clone();
    assert_eq!(resume["mission_id"], "ada-mission");
    assert_eq!((&resume["checkpoint"]["sender"], &resume["recipient"]), (&json!("gateway"), &json!("bob")));
    let state = &resume["checkpoint"]["state"];
    assert_eq!((&state["agent"], &state["reasons"]), (&json!("ada"), &json!(["gateway_unreachable"])));
}

#[test]
fn an_endpoint_that_is_not_there_is_told_of_and_nothing_is_left_open() {
    let endpoint = Endpoint::that_takes_it();
    let world = world(&endpoint, |world| {
        let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        world.gate["delivery"]["bob"]["post"] = json!(format!("http://{free}/"));
    });
    dies_after_a_checkpoint(&world);
    let code = world.asked_about("ada");
    world.says(&["substitute", &code, "bob"]).taken();
    let failed = world.until_journal("ada", "failed");
    let why = failed.body["why"].as_str().unwrap();
    assert!(why.contains("could not be delivered to bob: it could not be reached"), "{why}");
    world.until_journal("gateway", "mission.handoff_taken_back");
    world.until_journaled("ada", "asked", 2);
    for says in ["302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n", "500 No\r\n\r\n"] {
        let other = Endpoint::that_says(says);
        assert!(other.url().starts_with("http://127.0.0.1:"));
    }
    assert_eq!(door::agent(&world, "bob").get("/v1/handoffs").taken()["handoffs"], json!([]));
}

#[test]
fn who_may_have_got_the_packet_may_still_accept() {
    // Takes the packet, and hangs up without a word.
    let endpoint = Endpoint::that_says("");
    let world = world(&endpoint, |_| {});
    dies_after_a_checkpoint(&world);
    let code = world.asked_about("ada");
    world.says(&["substitute", &code, "bob"]).taken();
    let unknown = world.until_journal("ada", "unknown");
    assert!(unknown.body["why"].as_str().unwrap().contains("nobody can say whether bob got the packet"), "{unknown}");
    let bob = agent(&world, "bob");
    let id = bob.get("/v1/handoffs").taken()["handoffs"][0]["handoff_id"].as_str().unwrap().to_owned();
    bob.post(&format!("{MISSION}/handoffs/{id}/accept"), json!({})).taken();
    world.until_journal("ada", "verified");
}

#[test]
fn a_redirect_is_not_followed_and_no_delivery() {
    let elsewhere = Endpoint::that_answers("{\"accepted\": true}");
    let moved = format!(
        "307 Temporary Redirect\r\nLocation: {}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
        elsewhere.url()
    );
    let endpoint = Endpoint::that_says(&moved);
    let world = world(&endpoint, |_| {});
    dies_after_a_checkpoint(&world);
    let code = world.asked_about("ada");
    world.says(&["substitute", &code, "bob"]).taken();
    let failed = world.until_journal("ada", "failed");
    assert!(failed.body["why"].as_str().unwrap().contains("status 307"), "{failed}");
    assert!(elsewhere.packets().is_empty());
    world.until_journaled("ada", "asked", 2);
}

#[test]
fn the_original_returns_and_people_say_whose_the_work_is() {
    let endpoint = Endpoint::that_answers("{\"accepted\": true}");
    let world = world(&endpoint, |_| {});
    let ada = dies_after_a_checkpoint(&world);
    let code = world.asked_about("ada");
    world.says(&["handback", "ada"]).refused("the part of ada belongs to ada");
    world.says(&["substitute", &code, "bob"]).taken();
    world.until_journal("ada", "verified");
    world.says(&["handback", "ada"]).refused("it is not seen healthy");
    world.revive("ada");
    world.until_journal("ada", "recovered");
    world.until_told("[original_returned] ada is back, and bob has its work");
    // Nothing is done by itself.
    assert_eq!(ada.get("/v1/handoffs").taken()["handoffs"], json!([]));
    world.says(&["handback", "ada"]).taken();
    let offers = ada.get("/v1/handoffs").taken()["handoffs"].clone();
    assert_eq!((&offers[0]["part"], &offers[0]["sender"]), (&json!("ada"), &json!("gateway")));
    ada.post(&format!("{MISSION}/attach"), json!({"nonce": nonce("two")})).taken();
    let accept = format!("{MISSION}/handoffs/{}/accept", offers[0]["handoff_id"].as_str().unwrap());
    ada.post(&accept, json!({"incarnation": incarnation(1, "two")})).taken();
    world.says(&["handback", "ada"]).refused("the part of ada belongs to ada");
}
