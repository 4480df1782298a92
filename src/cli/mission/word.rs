//! What changes a mission: one line of the grammar, sent to the daemon.

use serde_json::Value;

use super::Common;
use crate::cli::World;
use crate::cli::exit::Exit;
use crate::cli::say;
use crate::mission::{BusCommand, NotOfTheBus};
use crate::web::{ClientError, CommandState, NewCommand};
use crate::wording;

/// Sends `line` and prints its answer. What is no command is not sent at all.
///
/// # Errors
/// As [`Exit::of`] tells them apart.
pub(super) fn say(world: &World, common: &Common, line: &str, document: Option<Value>) -> anyhow::Result<Exit> {
    match send(world, common, line, document, Nth::First)? {
        Ok(state) => say::answered(&state, common.json),
        Err(exit) => Ok(exit),
    }
}

/// Which command of this process it is: each has an id of its own, made once, so that sent again it is the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Nth {
    First,
    Second,
}

/// As [`say`], for what was asked about before.
///
/// # Errors
/// As of [`say`].
pub(super) fn say_then(world: &World, common: &Common, line: &str) -> anyhow::Result<Exit> {
    match send(world, common, line, None, Nth::Second)? {
        Ok(state) => say::answered(&state, common.json),
        Err(exit) => Ok(exit),
    }
}

/// The same without printing the answer; what was not sent, or not taken, is told.
///
/// # Errors
/// As of [`say`].
pub(super) fn send(
    world: &World,
    common: &Common,
    line: &str,
    document: Option<Value>,
    nth: Nth,
) -> anyhow::Result<Result<CommandState, Exit>> {
    if let Err(wrong) = BusCommand::parse(line, None) {
        let text = match &wrong {
            NotOfTheBus::WrongForm { .. } | NotOfTheBus::OtherVerb => wording::misunderstood_of_the_bus(&wrong),
        };
        return say::refuse(Exit::Usage, "not_understood", &text, common.json).map(Err);
    }
    let reach = common.place.reach(&world.ambient)?;
    let first = world.ambient.command_id();
    let id = if nth == Nth::First { first } else { format!("{first}-2") };
    let command = NewCommand { id, line: line.to_owned(), context: None, document };
    match crate::cli::block_on(reach.client().say(&command))? {
        Ok(state) => Ok(Ok(state)),
        Err(ClientError::Refused { status, problem }) => {
            let exit = Exit::from(&ClientError::Refused { status, problem: problem.clone() });
            say::refuse(exit, &problem.error, &problem.text, common.json).map(Err)
        }
        Err(error) => Err(error.into()),
    }
}
