//! A world whose people are asked in a Telegram chat: the real daemon, our own Bot API server, and
//! people with thumbs.

use std::os::unix::fs::PermissionsExt as _;
use std::time::Duration;

use serde_json::json;

use crate::bot_api::{BotApi, CallbackId, Message};
use crate::world::World;

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
