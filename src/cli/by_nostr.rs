//! Deciding with a key of one's own instead of over the local socket: from any machine that reaches a relay.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, anyhow, bail};

use super::World;
use super::exit::Exit;
use super::out;
use super::place::Place;
use super::say::refuse;
use crate::approval::AnswerKind;
use crate::channel::nostr::nostr_sdk::{PublicKey, RelayUrl, Timestamp as Seconds};
use crate::channel::nostr::{Approver, Identity, Key, NotDecided, Told, Verb};
use crate::config::gate::Gate;

/// The environment variable that names the file with one's own secret key.
pub const KEY_FILE_VARIABLE: &str = "LAZARUS_NOSTR_KEY_FILE";
/// How long a word of the gateway is waited for.
const PATIENCE: Duration = Duration::from_secs(15);

/// How to decide over Nostr.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct ByNostr {
    /// Sign the decision with a Nostr key of your own and send it over a relay
    #[arg(long)]
    pub nostr: bool,
    /// The file with your own secret key [env: LAZARUS_NOSTR_KEY_FILE]
    #[arg(long, value_name = "FILE", requires = "nostr")]
    pub key: Option<PathBuf>,
    /// The gateway's public key [default: that of the gateway's file, where its key can be read]
    #[arg(long, value_name = "NPUB", requires = "nostr")]
    pub gateway: Option<String>,
    /// A relay; several times for several [default: those of the gateway's file]
    #[arg(long, value_name = "URL", requires = "nostr")]
    pub relay: Vec<String>,
}

impl ByNostr {
    fn approver(&self, world: &World, place: &Place) -> anyhow::Result<Approver> {
        let key = self.key.clone().or_else(|| world.ambient.environment.get(KEY_FILE_VARIABLE).map(PathBuf::from));
        let key = key.ok_or_else(|| anyhow!("name the file with your own key: --key FILE, or {KEY_FILE_VARIABLE}"))?;
        let identity = Identity::read(key)?;
        let needs_gate = self.gateway.is_none() || self.relay.is_empty();
        let gate: Option<Gate> = if needs_gate { place.reach(&world.ambient)?.gate } else { None };
        let nostr = gate.as_ref().map(|gate| &gate.channels.nostr);
        let gateway = match (&self.gateway, nostr) {
            (Some(text), _) => PublicKey::parse(text).context("--gateway is no public key")?,
            (None, Some(nostr)) => {
                let own = Key::find(nostr, &world.ambient.environment);
                match own.context("the gateway's public key is not known here; name it with --gateway NPUB")? {
                    Key::Here(own) => own.public(),
                    Key::Remote(_) => bail!(
                        "the gateway's key is at a remote signer; name its public key with --gateway NPUB (`doctor \
                         nostr` tells it)"
                    ),
                }
            }
            (None, None) => bail!("name the gateway's public key with --gateway NPUB"),
        };
        let named: Result<Vec<RelayUrl>, _> = self.relay.iter().map(|url| RelayUrl::parse(url)).collect();
        let mut relays = named.context("--relay is no relay; write wss://… or ws://…")?;
        if let (true, Some(nostr)) = (relays.is_empty(), nostr) {
            relays = nostr.all_relays();
        }
        if relays.is_empty() {
            bail!("name a relay with --relay URL");
        }
        Ok(Approver { identity, gateway, relays })
    }

    /// Decides, and prints what the gateway says.
    ///
    /// # Errors
    /// Nothing could be decided.
    pub fn decide(
        &self,
        world: &World,
        place: &Place,
        target: &str,
        verb: Verb,
        reason: &str,
        json: bool,
    ) -> anyhow::Result<Exit> {
        let target = super::target(target).map_err(|error| anyhow!(error))?;
        let approver = self.approver(world, place)?;
        let now = Seconds::from(u64::try_from(world.ambient.now.as_secs()).unwrap_or(0));
        let outcome = super::block_on(approver.decide(&target, verb, reason, now, PATIENCE))?;
        match outcome {
            Ok(Told::Answer { outcome: AnswerKind::Taken, text }) => {
                out::print(&text, &serde_json::json!({ "published": true, "text": text }), json)?;
                Ok(Exit::Done)
            }
            Ok(Told::Answer { outcome, text }) => {
                let (exit, word) = match outcome {
                    AnswerKind::NotFound => (Exit::NotFound, "no_such_request"),
                    AnswerKind::SetAside => (Exit::SetAside, "set_aside"),
                    // An event that is no decision was understood as far as it can be, and sent.
                    AnswerKind::Taken | AnswerKind::Refused | AnswerKind::Misunderstood => (Exit::Refused, "refused"),
                };
                refuse(exit, word, &text, json)
            }
            Ok(Told::Nothing) => {
                let text =
                    "A relay has your decision. The gateway has not answered yet; it may be down, and reads it later.";
                refuse(Exit::Unknown, "no_answer", text, json)
            }
            Err(error @ NotDecided::NoRequest(_)) => {
                refuse(Exit::NotFound, "no_such_request", &error.to_string(), json)
            }
            Err(error) => Err(error.into()),
        }
    }
}
