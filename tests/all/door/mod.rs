//! The door for agents, on the real daemon: programs with tokens, and some without.

mod beats;
mod described;
mod documents;
mod hostile;
mod stories;
mod tokens;

use std::cell::RefCell;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use lazarus_gate::mission::MissionRole;
use lazarus_gate::pool::{AgentName, MissionName, Timestamp};
use lazarus_gate::store::missions::{self, Actor, GATEWAY, NewMission};
use lazarus_gate::store::{OpenOptions, Store};
use serde_json::{Value, json};

use crate::world::{DEADLINE, World};
use described::Description;

/// What the door answered.
#[derive(Clone, Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: String,
    pub body: Value,
}

impl Answer {
    #[track_caller]
    pub fn taken(&self) -> &Value {
        assert_eq!(self.status, 200, "{self:?}");
        &self.body
    }

    /// It was refused with this status and code, in these words among others.
    #[track_caller]
    pub fn refused(&self, status: u16, code: &str, because: &str) -> &Value {
        assert_eq!((self.status, &self.body["code"]), (status, &json!(code)), "{self:?}");
        assert!(self.headers.contains("content-type: application/problem+json"), "{self:?}");
        let why = format!("{} {} {}", self.body["what"], self.body["why"], self.body["do"]);
        assert!(why.contains(because), "no word of {because:?} in {self:?}");
        &self.body
    }
}

/// Somebody at the door: an agent with its token, or whoever else.
pub struct Caller {
    pub at: SocketAddr,
    pub token: Option<String>,
    described: RefCell<Option<Description>>,
}

impl Caller {
    pub fn new(at: SocketAddr, token: Option<String>) -> Self {
        Self { at, token, described: RefCell::new(None) }
    }

    pub fn post(&self, path: &str, body: Value) -> Answer {
        self.send("POST", path, &[], &body.to_string())
    }

    pub fn post_once(&self, key: &str, path: &str, body: Value) -> Answer {
        self.send("POST", path, &[("Idempotency-Key", key)], &body.to_string())
    }

    pub fn get(&self, path: &str) -> Answer {
        self.send("GET", path, &[], "")
    }

    /// Sends, and holds the answer against the door's own description.
    pub fn send(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Answer {
        let answer = self.send_unchecked(method, path, headers, body);
        let described = self.described.borrow().is_some();
        if !described {
            let description = self.send_unchecked("GET", "/v1/openapi.json", &[], "");
            *self.described.borrow_mut() = Some(Description(description.taken().clone()));
        }
        if let Some(description) = &*self.described.borrow() {
            description.allows(method, path, &answer);
        }
        answer
    }

    fn send_unchecked(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Answer {
        let mut head = format!("{method} {path} HTTP/1.1\r\nHost: {}\r\nContent-Length: {}\r\n", self.at, body.len());
        if let Some(token) = &self.token {
            head.push_str(&format!("Authorization: Bearer {token}\r\n"));
        }
        for (name, value) in headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        let mut stream = self.connect();
        // Whoever is refused before its body was read finds the connection closed while it still writes.
        let _ = stream.write_all(format!("{head}\r\n{body}").as_bytes());
        heard(stream)
    }

    /// Sends, and does not mind that the daemon dies meanwhile.
    #[cfg(feature = "failpoints")]
    pub fn cut_off(&self, key: &str, path: &str, body: &Value) {
        use std::io::Read as _;
        let (body, token) = (body.to_string(), self.token.clone().unwrap_or_default());
        let head = format!(
            "POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\nAuthorization: Bearer {token}\r\nIdempotency-Key: {key}",
            body.len()
        );
        let mut stream = self.connect();
        let _ = stream.write_all(format!("{head}\r\n\r\n{body}").as_bytes());
        let _ = stream.read_to_end(&mut Vec::new());
    }

    pub fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.at).expect("the door is open");
        stream.set_read_timeout(Some(DEADLINE)).unwrap();
        stream
    }
}

/// Reads the answer to its end.
pub fn heard(mut stream: TcpStream) -> Answer {
    let mut bytes = Vec::new();
    let mut part = [0; 4096];
    loop {
        match stream.read(&mut part) {
            Ok(0) => break,
            Ok(n) => bytes.extend_from_slice(&part[..n]),
            Err(error) if bytes.is_empty() => panic!("no answer: {error}"),
            Err(_) => break,
        }
    }
    let text = String::from_utf8_lossy(&bytes).into_owned();
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
    let (first, headers) = head.split_once("\r\n").unwrap_or((head, ""));
    Answer {
        status: first.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0),
        headers: headers.to_lowercase(),
        body: serde_json::from_str(body).unwrap_or(Value::Null),
    }
}

/// A world whose door is open, with the missions of its agents: each agent writes in its own, and the others there
/// have the roles that are said.
pub fn open(names: &[&str], others: &[(&str, &str, MissionRole)], change: impl FnOnce(&mut World)) -> World {
    let world = World::with_agents(names).but(|world| {
        world.gate["agents"] = json!({"listen": "127.0.0.1:0"});
        change(world);
    });
    prepare(&world, names, others);
    let heartbeats = !world.gate["agents"]["heartbeats"].is_null();
    let mut world = world;
    world.start_daemon();
    // Who is to send heartbeats is healthy only once one came.
    if !heartbeats {
        world.until_all_healthy();
    }
    world.until("the door is open", door);
    world
}

/// Where the door is.
pub fn door(world: &World) -> Option<SocketAddr> {
    world.says(&["agent", "list", "--json"]).found("listen")?.as_str()?.parse().ok()
}

/// The agent of that name, with a token of its own.
pub fn agent(world: &World, name: &str) -> Caller {
    let token = world.says(&["agent", "token", name, "--json"]).found("token").expect("a token");
    Caller::new(door(world).expect("the door is open"), Some(token.as_str().unwrap().to_owned()))
}

/// Nobody.
pub fn nobody(world: &World) -> Caller {
    Caller::new(door(world).expect("the door is open"), None)
}

/// Writes the files, and makes the missions before the daemon is there.
pub fn prepare(world: &World, names: &[&str], others: &[(&str, &str, MissionRole)]) {
    world.save();
    seed(world, names, others);
}

fn seed(world: &World, names: &[&str], others: &[(&str, &str, MissionRole)]) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let (names, others): (Vec<_>, Vec<_>) = (
        names.iter().map(|name| (*name).to_owned()).collect(),
        others.iter().map(|(mission, name, role)| ((*mission).to_owned(), (*name).to_owned(), *role)).collect(),
    );
    runtime.block_on(async {
        let store = Store::open(&world.store(), OpenOptions { readers: 1, ..OpenOptions::default() }).await.unwrap();
        let made = store.write(move |tx| {
            Box::pin(async move {
                let now = Timestamp::from_millis(1);
                let agent = |name: &str| AgentName::new(name).unwrap();
                for name in &names {
                    let mission = MissionName::new(format!("{name}-mission")).unwrap();
                    let new = NewMission {
                        name: &mission,
                        title: "a mission",
                        config: &json!({}),
                        lead: None,
                        created_by: "the tests",
                        at: now,
                    };
                    missions::create(tx, new).await?.unwrap();
                    let gateway = agent(GATEWAY);
                    let write = MissionRole::Write;
                    let by = Actor::plain(&gateway);
                    missions::join(tx, &mission, by, &agent(name), write, json!({}), now).await?.unwrap();
                }
                for (mission, name, role) in &others {
                    let mission = MissionName::new(mission.clone()).unwrap();
                    let gateway = agent(GATEWAY);
                    let by = Actor::plain(&gateway);
                    missions::join(tx, &mission, by, &agent(name), *role, json!({}), now).await?.unwrap();
                }
                Ok(())
            })
        });
        made.await.unwrap();
        store.close().await.unwrap();
    });
}

/// A nonce as an agent draws one at its boot.
pub fn nonce(of: &str) -> String {
    format!("nonce-of-the-boot-{of}")
}

/// What an agent adds to its writes once it has attached.
pub fn incarnation(epoch: i64, of: &str) -> Value {
    json!({"epoch": epoch, "nonce": nonce(of)})
}

/// A time from now on by the gateway's clock, as agents send it.
pub fn ahead(agent: &Caller, by: Duration) -> String {
    let beaten = agent.post("/v1/heartbeat", json!({}));
    let now: jiff::Timestamp = beaten.taken()["now"].as_str().unwrap().parse().unwrap();
    (now + by).to_string()
}
