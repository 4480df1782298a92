//! What people decide, and what comes of it.

use std::fs;

use serde_json::{Value, json};

use crate::world::World;

#[test]
fn an_agent_falls_silent_is_approved_restarted_and_verified() {
    let world = World::with_agents(&["ada", "bob"]).start();
    world.silence("ada");
    let code = world.asked_about("ada");
    assert_eq!(world.runs_of("ada"), 0, "nothing runs before somebody says so");
    world.says(&["approve", &code]).taken();
    world.until_journal("ada", "recovered");
    assert_eq!((world.runs_of("ada"), world.runs_of("bob")), (1, 0));
    world.until_told("the incident is closed");
    insta::assert_snapshot!(world.words_about("ada"), @r"
    [daemon_started] the gateway has started. `status` shows what it watches.
    [#882] Approval required to revive ada for mission 'ada-mission'. Reasons: gateway_unreachable. Suggested substitute: none available. Last healthy at TIME UTC; taken for dead at TIME UTC, LENGTH later (limit LENGTH). Host: 127.0.0.1. Answer with one of: approve CODE restart ada deny CODE [reason] leave it dead snooze CODE 1h be quiet for LENGTH Code CODE, key KEY. Expires LENGTH after delivery.
    ada (CODE): approved by me (command line): restart. Nothing has been started yet.
    ada (CODE): restarting ada: the command is being started.
    ada (CODE): restarted: the command ended well; checking that it lives.
    ada (CODE): alive again, verified LENGTH after the restart.
    ada (CODE): healthy since TIME UTC; the incident is closed.
    ");
}

#[test]
fn a_denial_is_followed_by_silence_until_somebody_asks() {
    let world = World::with_agents(&["ada"]).start();
    world.silence("ada");
    let code = world.asked_about("ada");
    world.says(&["deny", &code, "being", "moved"]).taken();
    world.until_told("denied by me (command line): being moved");
    world.until_probed("ada", 8);
    assert_eq!(world.journaled("ada", "asked").len(), 1, "nobody is asked again");
    assert_eq!(world.runs_of("ada"), 0);
    world.says(&["explain", "ada"]).mentions("Denied by me");
    world.says(&["approve", &code]).refused("already denied by me");

    world.says(&["ask", "ada"]).taken();
    let new = world.asked_about("ada");
    assert_ne!(new, code, "another request has another code");
    world.says(&["approve", &new]).taken();
    world.until_journal("ada", "recovered");
    assert_eq!(world.runs_of("ada"), 1);
}

#[test]
fn a_substitute_takes_over_with_the_packet_and_people_are_asked_anew_when_it_dies() {
    let world = World::with_agents(&["ada", "bob"]).but(may_hand_over).start();
    world.silence("ada");
    let code = world.asked_about("ada");
    world.until_told(&format!("substitute {code} bob"));
    world.says(&["substitute", &code, "bob"]).taken();
    world.until_journal("ada", "verified");
    world.until_told("bob has taken over, verified");

    let text = fs::read_to_string(world.path("packet.json")).expect("the command got a packet");
    let packet: Value = serde_json::from_str(&text).expect("and it is JSON");
    let known = ["version", "agent", "substitute", "mission", "host"].map(|key| packet[key].clone());
    assert_eq!(known, [json!(1), json!("ada"), json!("bob"), json!("ada-mission"), json!("127.0.0.1")]);
    assert!(packet["approval_key"].as_str().is_some_and(|key| key.starts_with("ada:ada-mission:")), "{packet}");
    assert_eq!(packet["reasons"], json!(["gateway_unreachable"]));
    let words = fs::read_to_string(world.path("words")).expect("the command got its arguments");
    assert_eq!(words, "ada bob ada-mission\n");

    // Somebody stands in for ada: that is enough, until he dies, too.
    world.until_probed("ada", 5);
    assert_eq!(world.journaled("ada", "asked").len(), 1);
    world.says(&["explain", "ada"]).mentions("bob");
    world.silence("bob");
    world.until_journal("ada", "stand_in_lost");
    let (ada, bob) = (world.asked_about("ada"), world.asked_about("bob"));
    world.says(&["substitute", &ada, "bob"]).refused("bob is not healthy itself");
    world.says(&["approve", &ada]).taken();
    world.says(&["approve", &bob]).taken();
    world.until_journal("ada", "recovered");
    world.until_journal("bob", "recovered");
}

#[test]
fn only_a_configured_healthy_and_free_substitute_may_take_over() {
    let world = World::with_agents(&["ada", "bob", "cleo"]).but(may_hand_over).start();
    world.silence("ada");
    let code = world.asked_about("ada");
    world.says(&["substitute", &code, "cleo"]).refused("cleo is no configured substitute of it");
    world.silence("bob");
    world.asked_about("bob");
    world.until_told(&format!("ada ({code}): what can be answered has changed. It takes: approve, deny, snooze."));
    world.says(&["substitute", &code, "bob"]).refused("bob is not healthy itself");
    assert_eq!(world.pending_code("ada"), Some(code), "a refused vote leaves the request pending");
    assert!(!world.path("packet.json").exists());
}

#[test]
fn a_request_is_quiet_while_it_is_snoozed_and_stays_answerable() {
    let world = World::with_agents(&["ada"]).start();
    world.silence("ada");
    let code = world.asked_about("ada");
    world.says(&["snooze", &code, "25h"]).refused("a snooze lasts 1 d at most");
    world.says(&["snooze", &code, "1500ms"]).taken();
    world.until_journal("ada", "snoozed");
    world.says(&["pending"]).mentions(&code);
    // When it ends, the same request is shown afresh.
    world.until_journal("ada", "shown_again");
    assert_eq!(world.pending_code("ada").as_ref(), Some(&code));
    world.says(&["snooze", &code, "1h"]).taken();
    world.says(&["approve", &code]).taken();
    world.until_journal("ada", "recovered");
}

/// bob may stand in for ada; the command keeps the packet and its arguments.
fn may_hand_over(world: &mut World) {
    let at = |name: &str| world.path(name).display().to_string();
    let script = format!("cat > '{}'\necho \"$@\" > '{}'\n", at("packet.json"), at("words"));
    world.write("hand-over.sh", &script);
    let run = ["/bin/sh", &at("hand-over.sh"), "{agent}", "{substitute}", "{mission}"];
    world.gate["substitute"] = json!({"run": run, "timeout": "10s"});
    world.policy["substitutions"] = json!({"ada": ["bob"]});
}
