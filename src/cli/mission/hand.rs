//! A handoff is shown, and posted once somebody has looked at it.

use std::io::{BufRead as _, IsTerminal as _, Write as _};

use super::{Common, word};
use crate::approval::AnswerKind;
use crate::cli::World;
use crate::cli::exit::Exit;
use crate::cli::{out, say};

/// Shows what would be posted, and posts it: at once with `yes`, on a terminal when asked. Elsewhere it waits
/// to be posted by its id.
///
/// # Errors
/// As [`Exit::of`] tells them apart.
pub(super) fn over(world: &World, common: &Common, line: &str, yes: bool) -> anyhow::Result<Exit> {
    let state = match word::send(world, common, line, None, word::Nth::First)? {
        Ok(state) => state,
        Err(exit) => return Ok(exit),
    };
    let shown = state.answer.as_ref().filter(|answer| answer.outcome == AnswerKind::Taken);
    let id = shown.and_then(|answer| answer.value.as_ref()?.get("preview")?.as_str());
    let (Some(answer), Some(id)) = (shown, id) else { return say::answered(&state, common.json) };
    if yes {
        if !common.json {
            out::aside(&answer.text);
        }
        return word::say_then(world, common, &format!("post {id}"));
    }
    let asks = !common.json && std::io::stdin().is_terminal() && std::io::stderr().is_terminal();
    if !asks {
        return say::answered(&state, common.json);
    }
    out::aside(&answer.text);
    let verb = if is_yes()? { "post" } else { "cancel" };
    word::say_then(world, common, &format!("{verb} {id}"))
}

fn is_yes() -> anyhow::Result<bool> {
    let mut err = anstream::stderr().lock();
    write!(err, "Post it? [y/N] ")?;
    err.flush()?;
    let mut line = String::new();
    std::io::stdin().lock().read_line(&mut line)?;
    Ok(matches!(line.trim().to_lowercase().as_str(), "y" | "yes"))
}
