//! What the server refuses, in its words; and the markup it reads.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use serde_json::{Value, json};

use super::{KIM, OPS, call, card, ops, refused};
use crate::bot_api::{BOT, Role};

#[test]
fn sending_is_refused_in_the_servers_words() {
    let api = ops();
    api.add_user(1002, "Lee");
    api.add_forum(-1002, "forum", &[KIM]);
    let (open, closed, deleted) = (api.add_topic(-1002, "a"), api.add_topic(-1002, "b"), api.add_topic(-1002, "c"));
    api.close_topic(-1002, closed);
    api.delete_topic(-1002, deleted);
    api.block_bot(1002);
    let button = |data: &str| json!({"inline_keyboard": [[{"text": "x", "callback_data": data}]]});
    let long = "x".repeat(4097);
    let escaped = "&lt;".repeat(4096);
    for (params, expected) in [
        (json!({"chat_id": OPS, "text": escaped, "parse_mode": "HTML"}), ""),
        (json!({"chat_id": -1002, "text": "x", "message_thread_id": open}), ""),
        (json!({"chat_id": OPS, "text": "x", "message_thread_id": 77}), ""),
        (json!({"chat_id": OPS, "text": "x", "reply_markup": button(&"x".repeat(64))}), ""),
        (
            json!({"chat_id": OPS, "text": "x", "reply_markup": button(&"ü".repeat(33))}),
            "400 Bad Request: BUTTON_DATA_INVALID",
        ),
        (json!({"chat_id": OPS, "text": "x", "reply_markup": button("")}), "400 Bad Request: BUTTON_DATA_INVALID"),
        (json!({"chat_id": OPS, "text": " \n "}), "400 Bad Request: message text is empty"),
        (json!({"chat_id": OPS, "text": long}), "400 Bad Request: message is too long"),
        (json!({"chat_id": -5, "text": "x"}), "400 Bad Request: chat not found"),
        (json!({"chat_id": 1002, "text": "x"}), "403 Forbidden: bot was blocked by the user"),
        (json!({"chat_id": OPS, "text": "x", "parse_mode": "BBCode"}), "400 Bad Request: unsupported parse_mode"),
        (
            json!({"chat_id": OPS, "text": "x", "reply_parameters": {"message_id": 999}}),
            "400 Bad Request: message to be replied not found",
        ),
        (json!({"chat_id": -1002, "text": "x", "message_thread_id": 1}), "400 Bad Request: message thread not found"),
        (
            json!({"chat_id": -1002, "text": "x", "message_thread_id": deleted}),
            "400 Bad Request: message thread not found",
        ),
        (json!({"chat_id": -1002, "text": "x", "message_thread_id": closed}), "400 Bad Request: TOPIC_CLOSED"),
    ] {
        if expected.is_empty() {
            let answer = call(&api, "sendMessage", params.clone());
            assert_eq!(answer["ok"], true, "{params} -> {answer}");
        } else {
            assert_eq!(refused(&api, "sendMessage", params.clone()), expected, "{params}");
        }
    }
    assert_eq!(refused(&api, "sendPigeon", json!({})), "404 Not Found: method not found");
    api.revoke_token(true);
    assert_eq!(refused(&api, "getMe", json!({})), "401 Unauthorized");
}

#[test]
fn edits_are_refused_in_the_servers_words() {
    let api = ops();
    let card = card(&api);
    let said = api.say(OPS, KIM, "mine");
    let edit = |message: i64, text: &str, keyboard: Value| json!({"chat_id": OPS, "message_id": message, "text": text, "reply_markup": keyboard});
    let same =
        json!({"inline_keyboard": [[{"text": "Yes", "callback_data": "y"}, {"text": "No", "callback_data": "n"}]]});
    let not_modified = refused(&api, "editMessageText", edit(card, "Restart?", same));
    assert!(not_modified.starts_with("400 Bad Request: message is not modified: specified new"), "{not_modified}");
    let none = json!(null);
    assert_eq!(
        refused(&api, "editMessageText", edit(999, "x", none.clone())),
        "400 Bad Request: message to edit not found"
    );
    assert_eq!(
        refused(&api, "editMessageText", edit(said, "x", none.clone())),
        "400 Bad Request: message can't be edited"
    );
    // Without a keyboard the old one goes.
    assert_eq!(call(&api, "EDITmessageTEXT", edit(card, "Restart?", none.clone()))["ok"], true);
    assert_eq!(api.message(OPS, card).unwrap().labels(), [""; 0]);
    let not_modified = refused(&api, "editMessageReplyMarkup", edit(card, "", none));
    assert!(not_modified.starts_with("400 Bad Request: message is not modified"), "{not_modified}");
    let long = json!({"callback_query_id": "1", "text": "x".repeat(201)});
    assert_eq!(refused(&api, "answerCallbackQuery", long), "400 Bad Request: MESSAGE_TOO_LONG");
}

#[test]
fn who_was_thrown_out_and_what_moved_is_said() {
    let api = ops();
    let to_ops = json!({"chat_id": OPS, "text": "x"});
    api.kick_bot(OPS, KIM);
    let kicked = "403 Forbidden: bot was kicked from the supergroup chat";
    assert_eq!(refused(&api, "sendMessage", to_ops.clone()), kicked);
    assert_eq!(refused(&api, "getChat", to_ops.clone()), kicked);
    api.bring_bot_back(OPS, KIM);
    assert_eq!(call(&api, "sendMessage", to_ops.clone())["ok"], true);
    api.give_role(OPS, BOT, Role::Muted);
    let muted = "400 Bad Request: not enough rights to send text messages to the chat";
    assert_eq!(refused(&api, "sendMessage", to_ops), muted);

    api.add_group(-42, "small", &[KIM]);
    api.migrate(-42, -1009);
    let moved = call(&api, "sendMessage", json!({"chat_id": "-42", "text": "x"}));
    assert_eq!(moved["description"], "Bad Request: group chat was upgraded to a supergroup chat");
    assert_eq!(moved["parameters"]["migrate_to_chat_id"], -1009);
    let kinds: Vec<_> =
        api.updates().iter().map(|update| update.as_object().unwrap().keys().next().unwrap().clone()).collect();
    assert_eq!(kinds, ["my_chat_member", "my_chat_member", "message", "message"]);
    assert_eq!(api.updates()[2]["message"]["migrate_to_chat_id"], -1009);
    assert_eq!(api.updates()[3]["message"]["migrate_from_chat_id"], -42);
    assert_eq!(api.updates()[3]["message"]["chat"]["id"], -1009);
}

#[test]
fn html_is_read_as_the_server_reads_it() {
    let api = ops();
    for (html, text, entities) in [
        ("<b>a</b> &lt;b&gt; &amp;amp; &quot;", "a <b> &amp; \"", "bold 0 1"),
        ("  <i>x</i>\n", "x", "italic 0 1"),
        ("😀<code>1</code><b></b>", "😀1", "code 2 1"),
        ("<b><i>x</i>y</b>", "xy", "bold 0 2, italic 0 1"),
        ("<pre><code class=\"language-sh\">ls</code></pre>", "ls", "pre 0 2"),
        ("<blockquote expandable>x</blockquote>", "x", "expandable_blockquote 0 1"),
        ("<a href=\"https://example.org/?a=1&amp;b=2\">x</a>", "x", "text_link 0 1"),
        ("<a href='tg://user?id=5'>x</a>&nope; & &#65;&#x42;", "x&nope; & AB", "text_mention 0 1"),
        ("<b>x", "", "Can't find end tag corresponding to start tag \"b\""),
        ("a < b", "", "Unsupported start tag \"\" at byte offset 2"),
        ("a <b", "", "Unclosed start tag at byte offset 2"),
        ("a <ada> b", "", "Unsupported start tag \"ada\" at byte offset 2"),
        ("<b>x</i>", "", "Unmatched end tag at byte offset 4, expected \"</b>\", found \"</i>\""),
        ("x</b>", "", "Unexpected end tag at byte offset 1"),
        ("<b>x</b", "", "Unclosed end tag at byte offset 4"),
        ("<b x>x</b>", "", "Expected equal sign in declaration of an attribute of the tag \"b\" at byte offset 0"),
        ("<span class=\"x\">x</span>", "", "Tag \"span\" must have class \"tg-spoiler\" at byte offset 0"),
    ] {
        let answer = call(&api, "sendMessage", json!({"chat_id": OPS, "text": html, "parse_mode": "HTML"}));
        if text.is_empty() {
            let expected = format!("Bad Request: can't parse entities: {entities}");
            assert_eq!(answer["description"], expected, "{html}");
            continue;
        }
        let sent = &answer["result"];
        let shown =
            |entity: &Value| format!("{} {} {}", entity["type"].as_str().unwrap(), entity["offset"], entity["length"]);
        let found: Vec<_> = sent["entities"].as_array().into_iter().flatten().map(shown).collect();
        assert_eq!((sent["text"].as_str(), found.join(", ").as_str()), (Some(text), entities), "{html}: {answer}");
    }
}

#[test]
fn parameters_come_in_every_way() {
    let api = ops();
    let text = "a=1&b ü";
    let form = "chat_id=-1001234567890&text=a%3D1%26b+%C3%BC&reply_markup=%7B%22force_reply%22%3Atrue%7D";
    let part =
        |name: &str, value: &str| format!("--B\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n");
    let parts = [part("chat_id", "-1001234567890"), part("text", text), part("reply_markup", "{\"force_reply\":true}")];
    let chunked = format!("5\r\n{}\r\n{:x}\r\n{}\r\n0\r\n\r\n", &form[..5], form.len() - 5, &form[5..]);
    let urlencoded = "application/x-www-form-urlencoded";
    let with_body = |kind: &str, body: &str| {
        format!(
            "POST /bot{}/sendmessage HTTP/1.1\r\nContent-Type: {kind}\r\nContent-Length: {}\r\n\r\n{body}",
            api.token(),
            body.len()
        )
    };
    let json = json!({"chat_id": OPS, "text": text, "reply_markup": {"force_reply": true}}).to_string();
    for request in [
        format!("GET /bot{}/SendMessage?{form} HTTP/1.1\r\n\r\n", api.token()),
        with_body(urlencoded, form),
        with_body("multipart/form-data; boundary=B", &format!("{}--B--\r\n", parts.concat())),
        with_body("application/json", &json),
        format!(
            "POST /bot{}/sendMessage HTTP/1.1\r\nContent-Type: {urlencoded}\r\nTransfer-Encoding: chunked\r\n\r\n{chunked}",
            api.token()
        ),
    ] {
        let before = api.cards(OPS).len();
        let mut stream = TcpStream::connect(api.url().replace("http://", "")).unwrap();
        stream.write_all(request.as_bytes()).unwrap();
        let mut read = [0; 4096];
        let count = stream.read(&mut read).unwrap();
        let answer = String::from_utf8_lossy(&read[..count]);
        assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{request}\n{answer}");
        let cards = api.cards(OPS);
        assert_eq!((cards.len(), cards.last().unwrap().text.as_str()), (before + 1, text), "{request}");
        assert!(cards.last().unwrap().force_reply.is_some(), "{request}");
    }
}
