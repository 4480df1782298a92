//! A world whose people are asked over a relay.

use std::os::unix::fs::PermissionsExt as _;

use nostr_relay_builder::prelude::{LocalRelay, RateLimit, RelayBuilder};
use nostr_sdk::{Keys, SecretKey};
use serde_json::json;

use super::phone::Phone;
use crate::world::{Restart, World};

/// The world, its relay, and the phones of people.
pub struct Room {
    /// The daemon and its fleet.
    pub world: World,
    /// May decide everything.
    pub kim: Phone,
    /// May decide for bob's mission only.
    pub lee: Phone,
    /// Is nobody.
    pub mallory: Phone,
    /// Where the relay is.
    pub url: String,
    relay: LocalRelay,
    runtime: tokio::runtime::Runtime,
}

/// Keys that are the same in every run.
pub fn keys(number: u8) -> Keys {
    Keys::new(SecretKey::from_slice(&[number; 32]).unwrap())
}

/// A relay of this process, as busy as it likes.
pub fn relay() -> LocalRelay {
    let limit = RateLimit { max_reqs: 500, notes_per_minute: 100_000 };
    LocalRelay::new(RelayBuilder::default().rate_limit(limit))
}

impl Room {
    /// A fleet of these agents, each asked about in private.
    pub fn with_agents(names: &[&str]) -> Self {
        Self::in_style("private", names)
    }

    /// The same in any style; the daemon is not started yet.
    pub fn in_style(style: &str, names: &[&str]) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let (relay, url) = runtime.block_on(async {
            // It looks for a port that is free and takes it a moment later, when it may be another test's.
            for _ in 0..5 {
                let relay = relay();
                if relay.run().await.is_ok() {
                    let url = relay.url().await.to_string();
                    return (relay, url);
                }
            }
            panic!("no relay came up")
        });
        let (gate, kim, lee) = (keys(1), keys(2), keys(3));
        let approves: &[&str] = if names.contains(&"bob") { &["bob-mission"] } else { &[] };
        let world = World::with_agents(names).but(|world| {
            world.gate["channels"]["nostr"] = json!({
                "enabled": true, "secret_key_file": "nostr.key", "relays": [url],
                "audiences": {"ops": {"people": ["me", "lee"], "style": style}},
                "retry": "50ms", "retry_max": "500ms", "watchdog": "200ms", "catch_up_deadline": "2s",
                "call_deadline": "2s",
            });
            world.gate["people"]["me"]["nostr"] = json!([kim.public_key().to_hex()]);
            world.gate["people"]["me"]["relays"] = json!([url]);
            world.gate["people"]["lee"] = json!({
                "nostr": lee.public_key().to_hex(), "relays": [url], "approves": approves,
            });
            world.policy["approval_channels"] = json!({"nostr": {"enabled": true, "target": "ops"}});
        });
        world.write("config/nostr.key", &gate.secret_key().to_secret_hex());
        let secret = std::fs::Permissions::from_mode(0o600);
        std::fs::set_permissions(world.path("config/nostr.key"), secret).expect("the key's file");
        let phone = |keys| Phone::new(runtime.handle(), keys, gate.public_key(), &url);
        let (kim, lee, mallory) = (phone(kim), phone(lee), phone(keys(4)));
        Self { world, kim, lee, mallory, url, relay, runtime }
    }

    /// bob can take over for ada, and is told by a command.
    pub fn with_a_substitute(self) -> Self {
        self.but(|world| {
            world.policy["substitutions"] = json!({"ada": ["bob"]});
            let script = world.path("restart.sh").display().to_string();
            world.gate["substitute"] = json!({"run": ["/bin/sh", script, "{agent}"], "timeout": "60s"});
            world.restart_command(Restart::ChangesNothing);
        })
    }

    /// Changes something before the start.
    pub fn but(mut self, change: impl FnOnce(&mut World)) -> Self {
        change(&mut self.world);
        self
    }

    /// Starts the daemon; comes back when all agents were seen.
    pub fn start(mut self) -> Self {
        self.world = self.world.start();
        self
    }

    /// Ends the relay, and everything it has.
    pub fn end_relay(&self) {
        self.relay.shutdown();
    }

    /// Another relay at the same place, with nothing in it; everybody's client goes there.
    pub fn new_relay(&mut self) {
        let port = self.url.trim_end_matches('/').rsplit(':').next().unwrap().parse().unwrap();
        let limit = RateLimit { max_reqs: 500, notes_per_minute: 100_000 };
        self.relay = LocalRelay::new(RelayBuilder::default().rate_limit(limit).port(port));
        self.runtime.block_on(self.relay.run()).expect("the same port");
        let url = self.url.clone();
        self.phones_at(&url);
    }

    /// Gateway and people use this relay, and no other.
    pub fn moves_to(&mut self, url: &str) {
        self.world.gate["channels"]["nostr"]["relays"] = json!([url]);
        for person in ["me", "lee"] {
            self.world.gate["people"][person]["relays"] = json!([url]);
        }
        self.phones_at(url);
    }

    fn phones_at(&mut self, url: &str) {
        let gate = self.kim.gate;
        for phone in [&mut self.kim, &mut self.lee, &mut self.mallory] {
            *phone = Phone::new(self.runtime.handle(), phone.keys.clone(), gate, url);
        }
    }

    /// A client of somebody else.
    pub fn phone_of(&self, keys: Keys) -> Phone {
        Phone::new(self.runtime.handle(), keys, self.kim.gate, &self.url)
    }

    /// For what runs beside the daemon.
    pub fn handle(&self) -> &tokio::runtime::Handle {
        self.runtime.handle()
    }
}
