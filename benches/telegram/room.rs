//! A team's chat: the Bot API server, the people in it, and a daemon over a fleet of dead agents.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use crate::bot_api::{BotApi, Message};
use crate::world::{Daemon, Fleet, folder, text};

/// The team's chat.
pub const OPS: i64 = -1_001_234_567_890;
/// The first of the people; the others have the numbers after it.
pub const FIRST: i64 = 2001;
/// How many people there are.
pub const PEOPLE: usize = 50;

/// The chat, its people and the daemon.
pub struct Room {
    pub api: BotApi,
    pub daemon: Daemon,
    pub folder: tempfile::TempDir,
}

/// How those that were started are looked at, to see whether they live. These never do.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Verification {
    /// For a second only: so there is little going on between single taps.
    Short,
    /// With the times that nobody has set.
    AsShipped,
}

/// The number of the `n`-th of the people; after the last the first comes again.
pub fn person(n: usize) -> i64 {
    FIRST + i64::try_from(n % PEOPLE).expect("a small number")
}

/// A server with the people and their chat in it.
pub fn chat() -> BotApi {
    let api = BotApi::start();
    let people: Vec<i64> = (0..PEOPLE).map(|n| api.add_user(person(n), &format!("Person {n}"))).collect();
    api.add_supergroup(OPS, "ops", &people);
    api
}

impl Room {
    /// Starts a daemon over `fleet`; all people may decide everything. `restart` is given the folder.
    pub async fn open(
        api: BotApi,
        agents: usize,
        url: &dyn Fn(usize) -> String,
        restart: &dyn Fn(&Path) -> String,
        verification: Verification,
    ) -> Self {
        let folder = folder("bench-telegram-").expect("a folder");
        let dir = folder.path();
        std::fs::create_dir(dir.join("stamps")).expect("a folder");
        let schedule = "{interval: 1s, probe_deadline: 1s}";
        let fleet = Fleet { agents, url, schedule, restart: &restart(dir) };
        let gate = fleet.write(dir).expect("the gateway's files");
        let people: String =
            (0..PEOPLE).map(|n| format!("  person-{n}: {{telegram: {}, approves: '*'}}\n", person(n))).collect();
        let telegram = format!(
            "channels:\n  terminal: {{enabled: false}}\n  telegram: {{enabled: true, token_file: token, api_url: '{}', chats: {{ops: {{chat: {OPS}}}}}}}\n",
            api.url()
        );
        let written = text(&gate).replace("people:\n", &format!("people:\n{people}"));
        let written = match verification {
            Verification::Short => written,
            Verification::AsShipped => {
                let kept = written.lines().filter(|line| !line.starts_with("timing:"));
                kept.map(|line| format!("{line}\n")).collect()
            }
        };
        let (before, _) = written.split_once("channels:\n").expect("the channels of the file");
        std::fs::write(&gate, format!("{before}{telegram}")).expect("the gateway's own file");
        let policy = dir.join("resurrection_pool.json");
        let channels = r#""approval_channels": {"telegram": {"enabled": true, "target": "ops"}}"#;
        std::fs::write(&policy, text(&policy).replace(r#""approval_channels": {}"#, channels)).expect("the policy");
        let token = dir.join("token");
        std::fs::write(&token, api.token()).expect("the token");
        std::fs::set_permissions(&token, std::fs::Permissions::from_mode(0o600)).expect("the token's file");
        let daemon = Daemon::start(dir).await.expect("a daemon");
        Self { api, daemon, folder }
    }

    /// The cards of the team's chat that ask, once there are so many.
    pub async fn cards(&self, many: usize) -> Vec<Message> {
        let asks = || {
            let cards: Vec<Message> =
                self.api.cards(OPS).into_iter().filter(|card| !card.buttons().is_empty()).collect();
            (cards.len() >= many).then_some(cards)
        };
        crate::until("the cards", asks).await.0
    }
}

/// A port at which nobody listens: whoever is to be found there is dead.
pub fn nobody() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").and_then(|socket| socket.local_addr()).expect("a port").port()
}

/// The agent that a card asks about.
pub fn agent_of(card: &Message) -> String {
    let at = card.text.find("agent-").expect("an agent on the card");
    card.text[at..].chars().take("agent-00000".len()).collect()
}
