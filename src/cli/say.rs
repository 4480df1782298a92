//! Commands that change something: one line of the grammar, sent to the daemon under an id of its own.

use super::World;
use super::exit::{Exit, Neither};
use super::out;
use super::place::{Place, Reach};
use crate::approval::{Channel, Command, InputId, Said, Speaker};
use crate::store::{DaemonLock, OpenOptions, Store, StoreError, inbox};
use crate::web::{ClientError, CommandState, NewCommand, input_id, input_of};
use crate::wording;

/// What may be done where no daemon answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Alone {
    /// Nothing: somebody must work the command off.
    No,
    /// It is put into the inbox, under the daemon's lock, and worked off first at the next start.
    Append,
}

/// Sends `line` and prints its answer. What is no command is not sent at all.
///
/// # Errors
/// As [`Exit::of`] tells them apart.
pub fn say(world: &World, place: &Place, line: &str, json: bool, alone: Alone) -> anyhow::Result<Exit> {
    if let Err(misunderstood) = Command::parse(line, None) {
        let text = wording::misunderstood(&misunderstood);
        return refuse(Exit::Usage, "not_understood", &text, json);
    }
    let reach = place.reach(&world.ambient)?;
    let id = world.ambient.command_id();
    let command = NewCommand { id: id.clone(), line: line.to_owned(), context: None, document: None };
    match super::block_on(reach.client().say(&command))? {
        Ok(state) => answered(&state, json),
        Err(error @ ClientError::NoDaemon { .. }) if alone == Alone::Append => {
            let said = Said {
                speaker: Speaker::LocalUser(world.ambient.uid),
                via: Channel::Cli,
                line: line.to_owned(),
                context: None,
                document: None,
            };
            let id = input_id(world.ambient.uid, &id);
            if let Err(why) = append(world, &reach, &id, &said) {
                return Err(Neither(error, format!("{why:#}")).into());
            }
            let text = format!(
                "No daemon runs. `{line}` stands in the inbox as {} and is worked off first when the daemon starts.",
                id.0
            );
            out::print(&text, &serde_json::json!({ "input": id, "appended": true, "text": text }), json)?;
            Ok(Exit::Done)
        }
        Err(ClientError::Refused { status, problem }) => {
            let exit = Exit::from(&ClientError::Refused { status, problem: problem.clone() });
            refuse(exit, &problem.error, &problem.text, json)
        }
        Err(error) => Err(error.into()),
    }
}

/// Prints the answer, and tells how that ends.
pub(super) fn answered(state: &CommandState, json: bool) -> anyhow::Result<Exit> {
    // The client comes back with an answer or not at all.
    let Some(answer) = &state.answer else { return Ok(Exit::Unknown) };
    let exit = Exit::from(answer.outcome);
    if json || exit == Exit::Done {
        out::print(&answer.text, state, json)?;
    } else {
        out::aside(&answer.text);
    }
    Ok(exit)
}

/// Tells what was not done: to standard error, or with `--json` to standard output.
pub(super) fn refuse(exit: Exit, error: &str, text: &str, json: bool) -> anyhow::Result<Exit> {
    if json {
        out::print(text, &serde_json::json!({ "error": error, "text": text }), true)?;
    } else {
        out::aside(text);
    }
    Ok(exit)
}

/// Puts `said` into the inbox of a store that no daemon holds.
fn append(world: &World, reach: &Reach, id: &InputId, said: &Said) -> anyhow::Result<()> {
    let path = reach.store()?;
    let input = input_of(id, said, world.ambient.now)?;
    // A store that is yet to be made has nothing to hold, and is not made by the way.
    if path.symlink_metadata().is_err_and(|error| error.kind() == std::io::ErrorKind::NotFound) {
        return Err(StoreError::Missing { path: path.to_owned() }.into());
    }
    // Held until the store is closed again: no daemon may start meanwhile.
    let _lock = DaemonLock::take(path)?;
    super::block_on(async {
        let store = Store::open(path, OpenOptions { readers: 1, ..OpenOptions::default() }).await?;
        let appended = store.write(move |tx| Box::pin(async move { inbox::append(tx, &input).await })).await;
        let closed = store.close().await;
        appended?;
        closed
    })??;
    Ok(())
}
