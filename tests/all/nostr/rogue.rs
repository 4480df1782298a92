//! A relay that does what it likes: it keeps and forwards events as relays do, but for what a test tells it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::{SinkExt as _, StreamExt as _};
use negentropy::{Id, Negentropy, NegentropyStorageVector};
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
    /// It says that this was all to a question that nobody put.
    pub foreign_eose: bool,
    /// It says once more that this was all when it is asked the next time.
    pub late_eose: bool,
    /// It never says OK.
    pub no_ok: bool,
    /// It says OK only after so long.
    pub slow_ok: Option<Duration>,
    /// It says OK to this id, whatever it was given.
    pub ok_to: Option<String>,
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
    /// So many connections end before they began.
    pub hangs_up: u32,
    /// So many questions end the connection.
    pub drops: u32,
    /// When it wants to know who asks.
    pub auth: Auth,
    /// How it compares sets of events (NIP-77).
    pub compares: Compares,
    /// It gives nothing of what it has to the question that stays open for private messages.
    pub forgets_private: bool,
}

/// When a relay wants to know who asks (NIP-42).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Auth {
    #[default]
    Never,
    AtConnect,
    AfterQuestion,
    OnEvent,
    /// At connect, and again when it has been told.
    Twice,
    /// It asks, and takes no answer.
    Refused,
}

/// How a relay compares sets of events.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Compares {
    #[default]
    Not,
    Honestly,
    /// It begins, and says nothing more.
    Stalls,
    /// It says what is no number.
    Garbage,
    /// It says that nothing is missing.
    Conceals,
    /// It names what it does not have.
    Invents,
    /// It refuses.
    Refuses,
    /// It ends the connection at a word that it does not know.
    HangsUp,
}

/// One connection.
struct Line {
    say: mpsc::UnboundedSender<Message>,
    questions: BTreeMap<String, Value>,
    known: bool,
    challenges: u32,
    /// What it is told is lost, and so is what it says.
    frozen: bool,
}

impl Line {
    fn say(&self, value: &Value) {
        if !self.frozen {
            let _ = self.say.send(Message::text(value.to_string()));
        }
    }

    fn challenge(&mut self) {
        self.challenges += 1;
        self.say(&json!(["AUTH", format!("challenge {}", self.challenges)]));
    }
}

#[derive(Default)]
struct Inner {
    manners: Manners,
    events: Vec<Value>,
    lines: BTreeMap<u64, Line>,
    asked: Vec<Value>,
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
            for line in inner.lines.values() {
                line.questions.keys().for_each(|id| line.say(&json!(["EVENT", id, event])));
            }
        }
        inner.events.push(event);
    }

    /// How many events of a kind it was given.
    pub fn count(&self, kind: u16) -> usize {
        self.inner.lock().unwrap().events.iter().filter(|event| event["kind"] == kind).count()
    }

    /// How many questions it was asked.
    pub fn asked(&self) -> usize {
        self.inner.lock().unwrap().asked.len()
    }

    /// The questions that it was asked from number `from` on, as they came.
    pub fn questions(&self, from: usize) -> Vec<Value> {
        self.inner.lock().unwrap().asked[from..].to_vec()
    }

    /// Says something to everybody.
    pub fn says(&self, text: &str) {
        self.says_message(&Message::text(text));
    }

    /// The same, in any form.
    pub fn says_message(&self, message: &Message) {
        for line in self.inner.lock().unwrap().lines.values() {
            let _ = line.say.send(message.clone());
        }
    }

    /// Ends all connections.
    pub fn cut(&self) {
        self.inner.lock().unwrap().lines.clear();
    }

    /// All connections that there are take every word from now on, and bring none.
    pub fn freeze(&self) {
        self.inner.lock().unwrap().lines.values_mut().for_each(|line| line.frozen = true);
    }
}

async fn serve(inner: Arc<Mutex<Inner>>, stream: tokio::net::TcpStream) {
    {
        let manners = &mut inner.lock().unwrap().manners;
        if manners.hangs_up > 0 {
            manners.hangs_up -= 1;
            return;
        }
    }
    let Ok(socket) = tokio_tungstenite::accept_async(stream).await else { return };
    let (mut out, mut into) = socket.split();
    let (say, mut said) = mpsc::unbounded_channel();
    let number = {
        let mut inner = inner.lock().unwrap();
        inner.next += 1;
        let mut line = Line { say, questions: BTreeMap::new(), known: false, challenges: 0, frozen: false };
        if [Auth::AtConnect, Auth::Twice].contains(&inner.manners.auth) {
            line.challenge();
        }
        let number = inner.next;
        inner.lines.insert(number, line);
        number
    };
    loop {
        tokio::select! {
            message = said.recv() => match message {
                Some(message) => if out.send(message).await.is_err() { break },
                // It was cut.
                None => break,
            },
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
    let mut guard = inner.lock().unwrap();
    let inner = &mut *guard;
    if inner.lines.get(&number).is_none_or(|line| line.frozen) {
        return;
    }
    match message[0].as_str() {
        Some("EVENT") => take(inner, number, &message[1]),
        Some("REQ") => {
            inner.asked.push(message.clone());
            if inner.manners.drops > 0 {
                inner.manners.drops -= 1;
                inner.lines.remove(&number);
                return;
            }
            answer(inner, number, message);
        }
        Some("CLOSE") => {
            if let (Some(line), Some(id)) = (inner.lines.get_mut(&number), message[1].as_str()) {
                line.questions.remove(id);
            }
        }
        Some("AUTH") => {
            let Some(line) = inner.lines.get_mut(&number) else { return };
            let id = &message[1]["id"];
            if inner.manners.auth == Auth::Refused {
                return line.say(&json!(["OK", id, false, "restricted: you are not one of us"]));
            }
            line.known = inner.manners.auth != Auth::Twice || line.challenges > 1;
            line.say(&json!(["OK", id, true, ""]));
            if !line.known {
                line.challenge();
            }
        }
        Some("NEG-OPEN" | "NEG-MSG") => {
            inner.asked.push(message.clone());
            compare(inner, number, message);
        }
        _ => {}
    }
}

/// It is given an event.
fn take(inner: &mut Inner, number: u64, event: &Value) {
    let manners = &inner.manners;
    let wants_auth = !matches!(manners.auth, Auth::Never | Auth::AfterQuestion | Auth::Refused);
    let Some(line) = inner.lines.get_mut(&number) else { return };
    if wants_auth && !line.known {
        if manners.auth == Auth::OnEvent {
            line.challenge();
        }
        return line.say(&json!(["OK", event["id"], false, "auth-required: who are you"]));
    }
    let id = manners.ok_to.clone().map_or_else(|| event["id"].clone(), Value::from);
    let ok = json!(["OK", id, manners.refuses.is_none(), manners.refuses.clone().unwrap_or_default()]);
    if let Some(after) = manners.slow_ok {
        let say = line.say.clone();
        tokio::spawn(async move {
            tokio::time::sleep(after).await;
            let _ = say.send(Message::text(ok.to_string()));
        });
    } else if !manners.no_ok {
        line.say(&ok);
    }
    if manners.refuses.is_none() {
        for line in inner.lines.values() {
            let asked = line.questions.iter().filter(|(_, filter)| fits(event, filter, manners));
            asked.for_each(|(id, _)| line.say(&json!(["EVENT", id, event])));
        }
        inner.events.push(event.clone());
    }
}

/// It is asked something.
fn answer(inner: &mut Inner, number: u64, message: &Value) {
    let (id, filter) = (message[1].as_str().unwrap_or_default().to_owned(), message[2].clone());
    let Some(line) = inner.lines.get_mut(&number) else { return };
    let manners = &mut inner.manners;
    if !matches!(manners.auth, Auth::Never | Auth::OnEvent) && !line.known {
        if [Auth::AfterQuestion, Auth::Refused].contains(&manners.auth) {
            line.challenge();
        }
        return line.say(&json!(["CLOSED", id, "auth-required: who are you"]));
    }
    if let Some((words, left)) = &mut manners.closes
        && *left > 0
    {
        *left -= 1;
        return line.say(&json!(["CLOSED", id, words]));
    }
    if let Some(ended) = inner.ended.take() {
        line.say(&json!(["EOSE", ended]));
    }
    if manners.late_eose {
        inner.ended = Some(id.clone());
    }
    let mut found: Vec<&Value> = inner.events.iter().filter(|one| fits(one, &filter, manners)).collect();
    if manners.latest_first {
        found.reverse();
    }
    found.sort_by_key(|one| std::cmp::Reverse(one["created_at"].as_u64().unwrap_or(0)));
    let most = filter["limit"].as_u64().map_or(usize::MAX, |limit| usize::try_from(limit).unwrap());
    found.truncate(manners.cap.unwrap_or(usize::MAX).min(most));
    if manners.unsorted {
        found.sort_by_key(|one| one["id"].as_str().unwrap_or_default().to_owned());
    }
    if !(manners.forgets_private && id == "lazarus-private") {
        found.into_iter().for_each(|one| line.say(&json!(["EVENT", id, one])));
    }
    if !manners.no_eose {
        line.say(&json!(["EOSE", if manners.foreign_eose { "foreign" } else { &id }]));
    }
    line.questions.insert(id, filter);
}

/// It is to compare what it has.
fn compare(inner: &mut Inner, number: u64, message: &Value) {
    let Some(line) = inner.lines.get_mut(&number) else { return };
    let id = message[1].as_str().unwrap_or_default().to_owned();
    let is_first = message[0] == "NEG-OPEN";
    let filter = match line.questions.get(&id) {
        Some(filter) => filter.clone(),
        None => message[2].clone(),
    };
    let query = message[if is_first { 3 } else { 2 }].as_str().unwrap_or_default();
    let mut has = NegentropyStorageVector::new();
    let mut put = |at: u64, id: &str| has.insert(at, Id::from_slice(&hex::decode(id).unwrap()).unwrap()).unwrap();
    match inner.manners.compares {
        Compares::Not | Compares::Stalls => return,
        Compares::HangsUp => return drop(inner.lines.remove(&number)),
        Compares::Garbage => return line.say(&json!(["NEG-MSG", id, "what?"])),
        Compares::Refuses => return line.say(&json!(["NEG-ERR", id, "blocked: this is too much"])),
        // The version, and nothing that differs.
        Compares::Conceals => return line.say(&json!(["NEG-MSG", id, "61"])),
        Compares::Invents => put(1_700_000_000, &"ab".repeat(32)),
        Compares::Honestly => {
            for event in inner.events.iter().filter(|one| fits(one, &filter, &inner.manners)) {
                put(event["created_at"].as_u64().unwrap(), event["id"].as_str().unwrap());
            }
        }
    }
    has.seal().unwrap();
    let told = Negentropy::borrowed(&has, 0).unwrap().reconcile(&hex::decode(query).unwrap()).unwrap();
    let told = hex::encode(told);
    line.say(&json!(["NEG-MSG", id, told]));
    if is_first {
        line.questions.insert(id, filter);
    }
}

fn fits(event: &Value, filter: &Value, manners: &Manners) -> bool {
    let among = |name: &str, field: &Value| filter[name].as_array().is_none_or(|all| all.contains(field));
    let at = event["created_at"].as_u64().unwrap_or(0);
    let since = if manners.no_since { 0 } else { filter["since"].as_u64().unwrap_or(0) };
    let tagged = |name: &str| {
        filter[format!("#{name}")].as_array().is_none_or(|all| {
            let tags = event["tags"].as_array().into_iter().flatten();
            tags.into_iter().any(|tag| tag[0] == name && all.contains(&tag[1]))
        })
    };
    among("kinds", &event["kind"])
        && among("authors", &event["pubkey"])
        && among("ids", &event["id"])
        && tagged("p")
        && tagged("e")
        && at >= since
        && at <= filter["until"].as_u64().unwrap_or(u64::MAX)
}
