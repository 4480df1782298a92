//! What is only read, by private message. It is looked up before the transaction that answers it.

use std::sync::Arc;

use super::SOURCE;
use crate::approval::{Question, Speaker};
use crate::channel::nostr::{Evidence, line, npub};
use crate::gateway::{Gateway, telegram};
use crate::store::StoreError;
use crate::store::inbox::Input;
use crate::wording;

/// The answer to an input that only asks; none if it does not, or is to be refused.
pub async fn prepare(gateway: &Arc<Gateway>, input: &Input) -> Result<Option<String>, StoreError> {
    if input.source != SOURCE {
        return Ok(None);
    }
    let Ok(evidence) = serde_json::from_str::<Evidence>(&input.raw) else { return Ok(None) };
    let Ok(said) = evidence.utterance() else { return Ok(None) };
    let in_force = gateway.in_force();
    let person = in_force.people.who(&Speaker::Nostr(said.author.clone()));
    if person.is_none() || !said.is_private {
        return Ok(None);
    }
    let Some(Ok(question)) = Question::parse(&line(&said.content), None) else { return Ok(None) };
    match question {
        Question::Whoami => Ok(Some(wording::whoami_nostr(&npub(&said.author), person))),
        other => telegram::look_up(gateway, other).await,
    }
}
