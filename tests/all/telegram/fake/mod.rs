//! The fake Bot API server's own rules: the queue, refusals, faults.

mod faults;
mod queue;
mod refusals;

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use serde_json::{Value, json};

use crate::bot_api::BotApi;

const KIM: i64 = 1001;
const OPS: i64 = -1_001_234_567_890;

/// A server with Kim in the group "ops".
fn ops() -> BotApi {
    let api = BotApi::start();
    api.add_user(KIM, "Kim");
    api.add_supergroup(OPS, "ops", &[KIM]);
    api.slow_repeats(false);
    api
}

/// Longer than anything here takes.
const PATIENCE: Duration = Duration::from_secs(10);

/// Calls a method as a bot does, on a connection of its own; an error is what broke.
fn try_call(api: &BotApi, method: &str, params: &Value, patience: Duration) -> Result<Value, String> {
    let address = api.url().replace("http://", "");
    let mut stream = TcpStream::connect(&address).map_err(|error| error.to_string())?;
    stream.set_read_timeout(Some(patience)).unwrap();
    let (token, body) = (api.token(), params.to_string());
    let head = format!(
        "POST /bot{token}/{method} HTTP/1.1\r\nHost: {address}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    stream
        .write_all(head.as_bytes())
        .and_then(|()| stream.write_all(body.as_bytes()))
        .map_err(|error| error.to_string())?;
    let mut read = Vec::new();
    loop {
        let text = String::from_utf8_lossy(&read).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head.split("Content-Length: ").nth(1).unwrap().split("\r\n").next().unwrap().parse().unwrap();
            if body.len() >= length {
                return serde_json::from_str(body).map_err(|error| format!("{error}: {body}"));
            }
        }
        let mut more = [0; 65_536];
        match stream.read(&mut more) {
            Ok(0) => return Err(format!("ended after {text:?}")),
            Ok(count) => read.extend_from_slice(&more[..count]),
            Err(error) => return Err(error.to_string()),
        }
    }
}

fn call(api: &BotApi, method: &str, params: Value) -> Value {
    try_call(api, method, &params, PATIENCE).unwrap_or_else(|error| panic!("{method}: {error}\n{}", api.history()))
}

/// What a call is refused with.
fn refused(api: &BotApi, method: &str, params: Value) -> String {
    let answer = call(api, method, params);
    assert_eq!(answer["ok"], false, "{method} is not refused: {answer}");
    format!("{} {}", answer["error_code"], answer["description"].as_str().unwrap())
}

/// Sends a card with the buttons Yes and No.
fn card(api: &BotApi) -> i64 {
    let keyboard =
        json!({"inline_keyboard": [[{"text": "Yes", "callback_data": "y"}, {"text": "No", "callback_data": "n"}]]});
    let sent = call(api, "sendMessage", json!({"chat_id": OPS, "text": "Restart?", "reply_markup": keyboard}));
    sent["result"]["message_id"].as_i64().unwrap_or_else(|| panic!("{sent}"))
}
