//! Whoever wants to do harm: floods, slow and large requests, and what is no request at all.

use std::io::Write as _;
use std::net::TcpStream;

use serde_json::json;

use super::{Caller, agent, door, heard, nobody, nonce, open};

#[test]
fn an_address_that_cannot_be_read_is_told_as_a_problem() {
    let world = open(&["ada"], &[], |_| {});
    let ada = agent(&world, "ada");
    ada.post("/v1/missions/%FF/attach", json!({"nonce": nonce("one")})).refused(422, "wrong_shape", "UTF-8");
    ada.get("/v1/missions/forge/handoffs/%FF/packet").refused(422, "wrong_shape", "UTF-8");
}

#[test]
fn what_is_no_request_is_told_what_is_wrong_with_it() {
    let world = open(&["ada"], &[], |_| {});
    let ada = agent(&world, "ada");
    let messages = "/v1/missions/ada-mission/messages";
    for (path, body, status, code) in [
        (messages, "", 422, "wrong_shape"),
        (messages, "{", 400, "wrong_form"),
        (messages, "[]", 422, "wrong_shape"),
        (messages, "{\"topic\": \"t\", \"payload\": {}, \"paylod\": 1}", 422, "wrong_shape"),
        (messages, "{\"topic\": \"\", \"payload\": {}}", 422, "wrong_shape"),
        (messages, "{\"topic\": \"a\\u001b[31m\", \"payload\": {}}", 422, "wrong_shape"),
        (
            messages,
            "{\"topic\": \"t\", \"payload\": {}, \"incarnation\": {\"epoch\": 0, \"nonce\": \"x\"}}",
            422,
            "bad_nonce",
        ),
        ("/v1/missions/ada-mission/attach", "{\"nonce\": \"too short\"}", 422, "bad_nonce"),
        ("/v1/missions/a;b/attach", "{\"nonce\": \"0123456789abcdef\"}", 422, "wrong_shape"),
        ("/v1/missions/%00/attach", "{\"nonce\": \"0123456789abcdef\"}", 422, "wrong_shape"),
        ("/v1/missions/ada-mission/handoffs", "{\"recipient\": \"../x\"}", 422, "wrong_shape"),
        ("/v1/missions/ada-mission/handoffs/none/accept", "", 404, "unknown_handoff"),
        ("/v1/missions/ada-mission/handoffs/none/decline", "{\"reason\": \"\"}", 422, "wrong_shape"),
        ("/v1/heartbeat", "{\"busy_until\": \"soon\"}", 422, "wrong_shape"),
        ("/v1/heartbeat", "{\"progress\": -1}", 422, "wrong_shape"),
    ] {
        let answer = ada.send("POST", path, &[], body);
        assert_eq!((answer.status, &answer.body["code"]), (status, &json!(code)), "{path} {body}: {answer:?}");
    }
    for path in ["events?limit=x", "events?after=1&before=2", "events?limit=-1", "events?unknown=1"] {
        let answer = ada.get(&format!("/v1/missions/ada-mission/{path}"));
        answer.refused(422, "wrong_shape", "");
    }
    for garbage in ["GET / HTTP/1.1\r\n", "\0\0\0\0\r\n\r\n", "GET /v1/handoffs HTTP/9.9\r\n\r\n", "\r\n\r\n\r\n"] {
        let mut stream = ada.connect();
        stream.write_all(garbage.as_bytes()).unwrap();
        stream.shutdown(std::net::Shutdown::Write).unwrap();
        let answer = heard(stream);
        assert!(matches!(answer.status, 0 | 400 | 401 | 505), "{garbage:?}: {answer:?}");
    }
    let deep = format!("{}1{}", "[".repeat(50_000), "]".repeat(50_000));
    ada.send("POST", messages, &[], &deep).refused(400, "wrong_form", "recursion limit");
    ada.get("/v1/handoffs").taken();
}

#[test]
fn a_body_that_is_too_large_or_too_slow_is_not_waited_for() {
    let world = open(&["ada"], &[], |world| world.gate["agents"]["arrive_within"] = json!("200ms"));
    let ada = agent(&world, "ada");
    let large = json!({"summary": "s", "state": {"x": "y".repeat(2 * 1024 * 1024)}}).to_string();
    ada.send("POST", "/v1/missions/ada-mission/checkpoints", &[], &large).refused(413, "too_large", "1048576 bytes");
    // A head without an end, and a body of which one byte comes.
    let mut stream = ada.connect();
    stream.write_all(b"POST /v1/heartbeat HTTP/1.1\r\nHost: x\r\n").unwrap();
    assert!(matches!(heard(stream).status, 0 | 408), "closed, with or without a word");
    let mut stream = ada.connect();
    let head = format!(
        "POST /v1/heartbeat HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {}\r\nContent-Length: 100\r\n\r\n{{",
        ada.token.as_ref().unwrap()
    );
    stream.write_all(head.as_bytes()).unwrap();
    heard(stream).refused(408, "too_slow", "200ms");
}

#[test]
fn whoever_only_holds_places_gives_way() {
    let world = open(&["ada"], &[], |world| {
        world.gate["agents"]["connections"] = json!(4);
        world.gate["agents"]["arrive_within"] = json!("20s");
    });
    let ada = agent(&world, "ada");
    let held: Vec<TcpStream> = (0..20)
        .map(|_| {
            let mut stream = ada.connect();
            stream.write_all(b"GET /v1/handoffs HTTP/1.1\r\nX-Slow: ").unwrap();
            stream
        })
        .collect();
    for _ in 0..5 {
        ada.get("/v1/handoffs").taken();
    }
    drop(held);
}

#[test]
fn a_flood_of_one_agent_keeps_no_other_out() {
    let world = open(&["ada"], &[], |world| world.gate["agents"]["rate"] = json!(1));
    let (ada, bob) = (agent(&world, "ada"), agent(&world, "bob"));
    let answers: Vec<_> = (0..6).map(|_| ada.get("/v1/handoffs")).collect();
    let refused = answers.iter().find(|answer| answer.status == 429).expect("its share has an end");
    refused.refused(429, "too_many", "1 requests a second");
    assert!(refused.headers.contains("retry-after: "), "{refused:?}");
    bob.get("/v1/handoffs").taken();
}

#[test]
fn wrong_tokens_are_counted_and_keep_no_right_one_out() {
    let world = open(&["ada"], &[], |_| {});
    let ada = agent(&world, "ada");
    let thief = Caller::new(door(&world).unwrap(), Some("lgat_guess".into()));
    let refused = (0..60).map(|_| thief.get("/v1/handoffs")).find(|answer| answer.status == 429).expect("it ends");
    refused.refused(429, "too_many_wrong_tokens", "127.0.0.1");
    nobody(&world).get("/v1/handoffs").refused(429, "too_many_wrong_tokens", "");
    ada.get("/v1/handoffs").taken();
    assert!(world.journal().iter().all(|entry| !entry.kind.contains("refused")), "the journal does not grow by it");
}

#[test]
fn refusals_without_end_do_not_fill_the_journal() {
    let world = open(&["ada"], &[], |world| world.gate["agents"]["rate"] = json!(1000));
    let eve = agent(&world, "eve");
    for _ in 0..60 {
        eve.post("/v1/missions/ada-mission/messages", json!({"topic": "t", "payload": {}})).refused(
            403,
            "lacks_capability",
            "eve",
        );
    }
    let noted = world.journaled("eve", "mission.refused").len();
    assert!((10..=40).contains(&noted), "{noted} of 60 are journaled");
}

#[test]
fn a_port_that_is_taken_stops_nothing_else() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let at = taken.local_addr().unwrap();
    let mut world = crate::world::World::with_agents(&["ada"])
        .but(|world| world.gate["agents"] = json!({"listen": at.to_string()}))
        .start();
    world.until_told("[agents_shut] the door for agents");
    world.silence("ada");
    let code = world.asked_about("ada");
    world.says(&["approve", &code]).taken();
    world.until_journal("ada", "recovered");
    drop(taken);
    world.until("the door is open after all", door);
    world.daemon();
}
