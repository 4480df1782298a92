//! A world whose people are asked in a Telegram chat: the real daemon, our own Bot API server, and
//! people with thumbs.

use std::os::unix::fs::PermissionsExt as _;
use std::time::Duration;

use lazarus_gate::store::{OpenOptions, Store, inbox};
use serde_json::json;

use crate::bot_api::{BotApi, CallbackId, Message};
use crate::world::{Restart, World};

/// Who may decide everything; also at the command line.
pub const KIM: i64 = 1001;
/// Who may decide everything, too.
pub const LEE: i64 = 1002;
/// Who is in the chat, and in nobody's configuration.
pub const MALLORY: i64 = 6666;
/// The chat.
pub const OPS: i64 = -1_001_234_567_890;

/// The world, its chat, and who is in it.
pub struct Room {
    /// The daemon and its fleet.
    pub world: World,
    /// Telegram.
    pub api: BotApi,
}

impl Room {
    /// A fleet of these agents, each asked about in the chat; the daemon is not started yet.
    pub fn with_agents(names: &[&str]) -> Self {
        let api = BotApi::start();
        for (id, name) in [(KIM, "Kim"), (LEE, "Lee"), (MALLORY, "Mallory")] {
            api.add_user(id, name);
        }
        api.add_supergroup(OPS, "ops", &[KIM, LEE, MALLORY]);
        let world = World::with_agents(names).but(|world| {
            world.gate["channels"]["telegram"] = json!({
                "enabled": true, "token_file": "token", "api_url": api.url(), "poll": "1s",
                "chats": {"ops-room": {"chat": OPS}},
            });
            world.gate["people"]["me"]["telegram"] = json!(KIM);
            world.gate["people"]["lee"] = json!({"telegram": LEE, "approves": "*"});
            world.policy["approval_channels"] = json!({"telegram": {"enabled": true, "target": "ops-room"}});
        });
        world.write("config/token", api.token());
        let secret = std::fs::Permissions::from_mode(0o600);
        std::fs::set_permissions(world.path("config/token"), secret).expect("the token's file");
        Self { world, api }
    }

    /// The same; bob can take over for ada, and is told by a command.
    pub fn with_a_substitute(names: &[&str]) -> Self {
        Self::with_agents(names).but(|world, _| {
            world.policy["substitutions"] = json!({"ada": ["bob"]});
            let script = world.path("restart.sh").display().to_string();
            world.gate["substitute"] = json!({"run": ["/bin/sh", script, "{agent}"], "timeout": "60s"});
            world.restart_command(Restart::ChangesNothing);
        })
    }

    /// Changes something before the start.
    pub fn but(mut self, change: impl FnOnce(&mut World, &BotApi)) -> Self {
        change(&mut self.world, &self.api);
        self
    }

    /// Starts the daemon; comes back when all agents were seen.
    pub fn start(mut self) -> Self {
        self.world = self.world.start();
        self
    }

    /// Kills the agent, and waits for the card that asks about it.
    pub fn card_about(&self, agent: &str) -> Message {
        self.world.silence(agent);
        self.pending_card(agent)
    }

    /// Waits for the newest card that asks about `agent` and has buttons.
    pub fn pending_card(&self, agent: &str) -> Message {
        self.api.wait_message(OPS, |message| !message.buttons().is_empty() && message.text.contains(agent))
    }

    /// Kim presses a button of a card.
    pub fn kim_taps(&self, card: &Message, button: &str) -> CallbackId {
        self.api.tap(OPS, card.id, button, KIM)
    }

    /// Waits for a message in the chat that says this.
    pub fn until_said(&self, text: &str) -> Message {
        self.api.wait_message(OPS, |message| message.text.contains(text))
    }

    /// Stops the daemon.
    pub fn stop(&mut self) {
        let ended = self.world.stop();
        assert!(ended.success(), "the daemon ended with {ended}");
    }

    /// While the daemon is stopped: its store believes that Telegram was last heard of so much earlier.
    pub fn was_silent_for(&self, time: Duration) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(async {
            let store = Store::open(&self.world.store(), OpenOptions::default()).await.expect("the store");
            let seen = {
                let mut read = store.read().await.expect("a read");
                inbox::offset(&mut read, "telegram.seen").await.expect("an offset").expect("it was polled")
            };
            let ms = i64::try_from(time.as_millis()).expect("a time");
            let earlier = (seen.parse::<i64>().expect("a moment") - ms).to_string();
            let write =
                store.write(move |tx| Box::pin(async move { inbox::set_offset(tx, "telegram.seen", &earlier).await }));
            write.await.expect("it is kept");
            store.close().await.expect("it closes");
        });
    }

    /// Waits until a card says this.
    pub fn until_card_says(&self, card: &Message, text: &str) -> Message {
        self.api.wait_edited(OPS, card.id, |message| message.text.contains(text))
    }

    /// Telegram's clock goes on.
    pub fn time_passes(&self, time: Duration) {
        self.api.advance(time);
    }
}

/// The code on a card.
pub fn code_of(card: &Message) -> String {
    let after = card.text.split("Code ").nth(1).unwrap_or_else(|| panic!("no code on {card:?}"));
    after.chars().take(6).collect()
}
