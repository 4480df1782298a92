use base64::Engine as _;
use sha2::{Digest as _, Sha256};

use super::World;
use super::exit::Exit;
use super::out;
use super::place::Place;
use super::read::read;
use super::say::{Alone, refuse, say};
use crate::approval::AnswerKind;
use crate::pool::AgentName;
use crate::web::{ClientError, NewCommand, reads};

/// What every token begins with, so that scanners for leaked secrets know one when they see it.
const PREFIX: &str = "lgat_";

/// Tokens with which agents come in by the HTTP API
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  lazarus-gate agent token ada > ada.token\n  lazarus-gate agent list\n  lazarus-gate agent revoke ada"
)]
pub struct AgentArgs {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, clap::Subcommand)]
enum Verb {
    /// Make a token for an agent and print it, once; one that it had counts no more
    Token {
        /// Under which name it acts on the mission bus
        name: AgentName,
        /// Print JSON
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        place: Place,
    },
    /// Take an agent's token away at once
    Revoke {
        /// Whose
        name: AgentName,
        /// Print JSON
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        place: Place,
    },
    /// Show where the API listens, and which agents have a token
    List {
        /// Print JSON
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        place: Place,
    },
}

impl AgentArgs {
    pub(super) fn before(&mut self, before: &Place) {
        match &mut self.verb {
            Verb::Token { place, .. } | Verb::Revoke { place, .. } | Verb::List { place, .. } => {
                *place = place.or(before);
            }
        }
    }
}

/// Does it.
///
/// # Errors
/// As [`Exit::of`] tells them apart.
pub fn run(world: &World, args: &AgentArgs) -> anyhow::Result<Exit> {
    match &args.verb {
        Verb::Token { name, json, place } => token(world, name, *json, place),
        Verb::Revoke { name, json, place } => say(world, place, &format!("agent revoke {name}"), *json, Alone::Append),
        Verb::List { json, place } => read(world, place, "/v1/agents", *json, async |store| {
            reads::agents(&store.reader, None, &store.setting, store.now).await.map(Some)
        }),
    }
}

/// The token is made here and never leaves this process but by its output: the daemon gets its hash.
fn token(world: &World, name: &AgentName, json: bool, place: &Place) -> anyhow::Result<Exit> {
    let random = base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(world.ambient.secret());
    let token = format!("{PREFIX}{random}");
    let hash = hex::encode(Sha256::digest(&token));
    let reach = place.reach(&world.ambient)?;
    let id = world.ambient.command_id();
    let command = NewCommand { id, line: format!("agent token {name} {hash}"), context: None, document: None };
    let state = match super::block_on(reach.client().say(&command))? {
        Ok(state) => state,
        Err(ClientError::Refused { status, problem }) => {
            let exit = Exit::from(&ClientError::Refused { status, problem: problem.clone() });
            return refuse(exit, &problem.error, &problem.text, json);
        }
        Err(error) => return Err(error.into()),
    };
    match &state.answer {
        Some(answer) if answer.outcome == AnswerKind::Taken => {
            if !json {
                out::aside(&format!("{} It is shown this once.", answer.text));
            }
            out::print(&token, &serde_json::json!({ "agent": name, "token": token }), json)?;
            Ok(Exit::Done)
        }
        _ => super::say::answered(&state, json),
    }
}
