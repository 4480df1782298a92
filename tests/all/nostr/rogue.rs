//! A relay that does what it likes: it keeps and forwards events as relays do, but for what a test tells it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::runtime::Handle;
use tokio::sync::mpsc;
use tokio_tungstenite::tungstenite::Message;

/// How it behaves.
#[derive(Clone, Debug, Default)]
pub struct Manners {
    /// It says CLOSED with these words, so many times, to what is asked; then it answers.
    pub closes: Option<(String, u32)>,
    /// It never says that this was all.
    pub no_eose: bool,
    /// It says once more that this was all when it is asked the next time.
    pub late_eose: bool,
    /// It never says OK.
    pub no_ok: bool,
    /// It refuses every event with these words.
    pub refuses: Option<String>,
    /// It gives so many events to a question at most.
    pub cap: Option<usize>,
    /// It gives them in no order.
    pub unsorted: bool,
    /// Of one second, it gives those first that it got last.
    pub latest_first: bool,
    /// It does not look at `since`.
    pub no_since: bool,
}

type Lines = BTreeMap<u64, (mpsc::UnboundedSender<String>, Vec<String>)>;

#[derive(Default)]
struct Inner {
    manners: Manners,
    events: Vec<Value>,
    lines: Lines,
    asked: u64,
    next: u64,
    ended: Option<String>,
}

/// The relay.
#[derive(Clone)]
pub struct Rogue {
    inner: Arc<Mutex<Inner>>,
    pub url: String,
}

impl Rogue {
    /// Listens on a free port.
    pub fn start(handle: &Handle, manners: Manners) -> Self {
        let listener = handle.block_on(TcpListener::bind(("127.0.0.1", 0))).unwrap();
        let url = format!("ws://{}", listener.local_addr().unwrap());
        let inner = Arc::new(Mutex::new(Inner { manners, ..Inner::default() }));
        let served = Arc::clone(&inner);
        handle.spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(Arc::clone(&served), stream));
            }
        });
        Self { inner, url }
    }

    /// It behaves so from now on.
    pub fn behave(&self, manners: Manners) {
        self.inner.lock().unwrap().manners = manners;
    }

    /// Puts an event there, whatever it is, and tells it to everybody who listens, or to nobody.
    pub fn has(&self, event: Value, tell: bool) {
        let mut inner = self.inner.lock().unwrap();
        if tell {
            tell_all(&inner.lines, &event);
        }
        inner.events.push(event);
    }

    /// How many questions it was asked.
    pub fn asked(&self) -> u64 {
        self.inner.lock().unwrap().asked
    }

    /// Says something to everybody.
    pub fn says(&self, text: &str) {
        for (line, _) in self.inner.lock().unwrap().lines.values() {
            let _ = line.send(text.to_owned());
        }
    }
}

fn tell_all(lines: &Lines, event: &Value) {
    for (line, questions) in lines.values() {
        for question in questions {
            let _ = line.send(json!(["EVENT", question, event]).to_string());
        }
    }
}

async fn serve(inner: Arc<Mutex<Inner>>, stream: tokio::net::TcpStream) {
    let Ok(socket) = tokio_tungstenite::accept_async(stream).await else { return };
    let (mut out, mut into) = socket.split();
    let (line, mut lines) = mpsc::unbounded_channel::<String>();
    let number = {
        let mut inner = inner.lock().unwrap();
        inner.next += 1;
        let number = inner.next;
        inner.lines.insert(number, (line, Vec::new()));
        number
    };
    loop {
        tokio::select! {
            Some(text) = lines.recv() => if out.send(Message::text(text)).await.is_err() { break },
            got = into.next() => match got {
                Some(Ok(Message::Text(text))) => heard(&inner, number, &serde_json::from_str(&text).unwrap()),
                Some(Ok(Message::Close(_)) | Err(_)) | None => break,
                Some(Ok(_)) => {}
            },
        }
    }
    inner.lock().unwrap().lines.remove(&number);
}

fn heard(inner: &Mutex<Inner>, number: u64, message: &Value) {
    let mut inner = inner.lock().unwrap();
    let Some((line, _)) = inner.lines.get(&number) else { return };
    let line = line.clone();
    let say = |value: Value| drop(line.send(value.to_string()));
    match message[0].as_str() {
        Some("EVENT") => {
            let event = message[1].clone();
            let words = inner.manners.refuses.clone();
            if words.is_none() {
                tell_all(&inner.lines, &event);
                inner.events.push(event.clone());
            }
            if !inner.manners.no_ok {
                say(json!(["OK", event["id"], words.is_none(), words.unwrap_or_default()]));
            }
        }
        Some("REQ") => {
            inner.asked += 1;
            let id = message[1].as_str().unwrap_or_default().to_owned();
            if let Some((words, left)) = &mut inner.manners.closes
                && *left > 0
            {
                *left -= 1;
                return say(json!(["CLOSED", id, words]));
            }
            if let Some(ended) = inner.ended.take() {
                say(json!(["EOSE", ended]));
            }
            if inner.manners.late_eose {
                inner.ended = Some(id.clone());
            }
            let filter = message[2].clone();
            let mut found: Vec<Value> =
                inner.events.iter().filter(|one| fits(one, &filter, &inner.manners)).cloned().collect();
            if inner.manners.latest_first {
                found.reverse();
            }
            found.sort_by_key(|one| std::cmp::Reverse(one["created_at"].as_u64().unwrap_or(0)));
            found.truncate(inner.manners.cap.unwrap_or(usize::MAX));
            if inner.manners.unsorted {
                found.sort_by_key(|one| one["id"].as_str().unwrap_or_default().to_owned());
            }
            found.into_iter().for_each(|one| say(json!(["EVENT", id, one])));
            if !inner.manners.no_eose {
                say(json!(["EOSE", id]));
            }
            if let Some((_, questions)) = inner.lines.get_mut(&number) {
                questions.retain(|one| *one != id);
                questions.push(id);
            }
        }
        Some("CLOSE") => {
            if let Some((_, questions)) = inner.lines.get_mut(&number) {
                questions.retain(|one| Some(one.as_str()) != message[1].as_str());
            }
        }
        _ => {}
    }
}

fn fits(event: &Value, filter: &Value, manners: &Manners) -> bool {
    let among = |name: &str, field: &Value| filter[name].as_array().is_none_or(|all| all.contains(field));
    let at = event["created_at"].as_u64().unwrap_or(0);
    let since = if manners.no_since { 0 } else { filter["since"].as_u64().unwrap_or(0) };
    let tagged = filter["#p"].as_array().is_none_or(|all| {
        let tags = event["tags"].as_array().into_iter().flatten();
        tags.into_iter().any(|tag| tag[0] == "p" && all.contains(&tag[1]))
    });
    among("kinds", &event["kind"])
        && among("authors", &event["pubkey"])
        && tagged
        && at >= since
        && at <= filter["until"].as_u64().unwrap_or(u64::MAX)
}
