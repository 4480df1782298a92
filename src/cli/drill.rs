use std::time::Duration;

use tokio::time::Instant;

use super::World;
use super::exit::Exit;
use super::out;
use super::place::Place;
use super::say;
use crate::approval::{AnswerKind, Command};
use crate::web::{Client, ClientError, NewCommand, Shown};
use crate::wording;

/// Between two looks at how the drill stands.
const PAUSE: Duration = Duration::from_millis(250);

/// Ask people whether they are there, by the whole path that a request takes; nothing runs
///
/// A drill goes through the store, the outbox, every channel and the inbox, and its answer takes the same
/// rights as a vote for that mission. For people who approve the mission, root, and the daemon's own user.
/// Leaves with 0 when somebody answered in time, and with 8 when nobody did.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  lazarus-gate drill --mission archive --wait 5m")]
pub struct DrillArgs {
    /// Whose approvers are asked [default: the first mission that you approve]
    #[arg(long, value_name = "MISSION")]
    pub mission: Option<String>,
    /// How long to wait for an answer, 1s to 24h
    #[arg(long, value_name = "TIME", default_value = "10m")]
    pub wait: String,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub(super) place: Place,
}

/// Starts the drill and waits until it is over.
///
/// # Errors
/// As [`Exit::of`] tells them apart.
pub fn run(world: &World, args: &DrillArgs) -> anyhow::Result<Exit> {
    let mission = args.mission.as_deref().map(|mission| format!(" {mission}")).unwrap_or_default();
    let line = format!("drill{mission} for {}", args.wait);
    if let Err(misunderstood) = Command::parse(&line, None) {
        return say::refuse(Exit::Usage, "not_understood", &wording::misunderstood(&misunderstood), args.json);
    }
    let reach = args.place.reach(&world.ambient)?;
    let patience = reach.gate.as_ref().map_or(Duration::from_secs(15), |gate| gate.timing.reconnect);
    let client = reach.client();
    super::block_on(async {
        let command = NewCommand { id: world.ambient.command_id(), line, context: None, document: None };
        let state = client.say(&command).await?;
        match &state.answer {
            Some(answer) if answer.outcome == AnswerKind::Taken => out::aside(&answer.text),
            Some(_) | None => return say::answered(&state, args.json),
        }
        match wait(&client, &format!("/v1/drills/{}", state.input), patience).await? {
            Some(shown) => {
                out::print(&shown.text, &shown, args.json)?;
                Ok(if stands(&shown) == Some("answered") { Exit::Done } else { Exit::Unanswered })
            }
            None => {
                let text = "the daemon went away while the drill waited. The next start goes on with it; `history` \
                            tells what became of it.";
                say::refuse(Exit::NoDaemon, "no_daemon", text, args.json)
            }
        }
    })?
}

fn stands(shown: &Shown) -> Option<&str> {
    shown.value.get("drill")?.pointer("/state/state")?.as_str()
}

/// What became of it; none if the daemon went away for longer than `patience`.
async fn wait(client: &Client, address: &str, patience: Duration) -> Result<Option<Shown>, ClientError> {
    let mut seen = Instant::now();
    loop {
        match client.read(address).await {
            Ok(shown) if stands(&shown) == Some("pending") => seen = Instant::now(),
            Ok(shown) => return Ok(Some(shown)),
            Err(ClientError::NoDaemon { .. } | ClientError::Cut { .. }) if seen.elapsed() < patience => {}
            Err(ClientError::NoDaemon { .. } | ClientError::Cut { .. }) => return Ok(None),
            Err(error) => return Err(error),
        }
        tokio::time::sleep(PAUSE).await;
    }
}
