use serde_json::json;

use super::{Caller, agent, door, open};

#[test]
fn a_token_is_shown_once_and_kept_as_a_hash() {
    let world = open(&["ada"], &[], |_| {});
    let told = world.says(&["agent", "token", "ada"]);
    let token = told.taken().trim().to_owned();
    told.mentions("issued: whoever has this token acts as ada");
    assert!(token.starts_with("lgat_") && token.len() > 40, "{token}");
    let ada = Caller::new(door(&world).unwrap(), Some(token.clone()));
    ada.get("/v1/missions/ada-mission/events").taken();
    world.says(&["agent", "list"]).mentions("ada: token issued");
    world.until_journal("ada", "agent.token_issued");
    // Nowhere but on the screen of who made it.
    let places = [world.log.text(), world.told.text()];
    let store = std::fs::read(world.store()).unwrap();
    let log = std::fs::read(world.path("store/gate.db-wal")).unwrap_or_default();
    assert!(places.iter().all(|text| !text.contains(&token)));
    for bytes in [store, log] {
        assert!(!bytes.windows(token.len()).any(|window| window == token.as_bytes()));
    }
}

#[test]
fn a_token_that_was_replaced_or_revoked_is_nobodys() {
    let world = open(&["ada"], &[], |_| {});
    let first = agent(&world, "ada");
    first.get("/v1/handoffs").taken();
    let second = agent(&world, "ada");
    first.get("/v1/handoffs").refused(401, "unknown_token", "was replaced, or was revoked");
    second.get("/v1/handoffs").taken();
    world.says(&["agent", "revoke", "ada"]).taken();
    second.get("/v1/handoffs").refused(401, "unknown_token", "revoked");
    world.says(&["agent", "revoke", "ada"]).ended_with(4, "ada has no token");
    world.until_journal("ada", "agent.token_revoked");
    for wrong in ["", "lgat_", "Bearer", &"x".repeat(5000)] {
        let caller = Caller::new(door(&world).unwrap(), Some(wrong.to_owned()));
        assert_eq!(caller.get("/v1/handoffs").status, 401, "{wrong}");
    }
}

#[test]
fn not_everybody_hands_out_tokens_and_not_under_every_name() {
    let mut others = false;
    let world = open(&["ada"], &[], |world| {
        others = world.hire("lee", 4001, &["ada-mission"]) && world.hire("nil", 4002, &[]);
        world.gate["people"]["me"]["participant"] = json!({"ada-mission": {"name": "kim", "role": "lead"}});
    });
    world.says(&["agent", "token", "gateway"]).refused("on the mission bus gateway is the gateway itself");
    world.says(&["agent", "token", "kim"]).refused("on the mission bus kim is me");
    if others {
        world.user_says(4001, &["agent", "token", "eve"]).refused("does not approve all");
        world.user_says(4002, &["agent", "revoke", "ada"]).refused("approves no mission");
        world.user_says(4003, &["agent", "token", "eve"]).refused("you are not in `people`");
        agent(&world, "ada");
        world.user_says(4001, &["agent", "revoke", "ada"]).taken();
    }
}
