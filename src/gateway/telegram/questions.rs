//! What is only read. It is looked up before the transaction that answers it, which must not wait for a
//! slow read.

use std::sync::Arc;

use crate::approval::{Question, Speaker};
use crate::channel::telegram::{Target, Update};
use crate::gateway::{Gateway, GatewayDesk};
use crate::pool::MissionName;
use crate::store::inbox::Input;
use crate::store::{self, StoreError};
use crate::web::missions::BusReader;
use crate::web::{Desk as _, reads};
use crate::wording;

use super::hear::{Heeded, line_of};

/// Entries of a history in a chat.
const HISTORY: u32 = 50;

/// The answer to an input that only asks; none if it does not, or is to be refused, or is a card.
pub async fn prepare(gateway: &Arc<Gateway>, input: &Input) -> Result<Option<String>, StoreError> {
    if input.source != super::SOURCE {
        return Ok(None);
    }
    let Some(me) = gateway.telegram.me() else { return Ok(None) };
    let Ok(raw) = serde_json::from_str(&input.raw) else { return Ok(None) };
    let Update::Message(message) = Update::read(&raw, me.id) else { return Ok(None) };
    let Some(from) = message.from.filter(|_| message.void.is_none()) else { return Ok(None) };
    let Some(Heeded { line, .. }) = line_of(&message, &me) else { return Ok(None) };
    let Some(Ok(question)) = Question::parse(&line, None) else { return Ok(None) };
    if let Question::Whoami = question {
        let in_force = gateway.in_force();
        let chat = Target { chat: message.chat, topic: message.topic };
        return Ok(Some(wording::whoami(from, in_force.people.who(&Speaker::Telegram(from)), &chat.to_string())));
    }
    look_up(gateway, question).await
}

/// The answer to a question that does not depend on who asks it; none for what is answered by a card, and
/// for who somebody is.
pub(in crate::gateway) async fn look_up(
    gateway: &Arc<Gateway>,
    question: Question,
) -> Result<Option<String>, StoreError> {
    let desk = GatewayDesk(Arc::clone(gateway));
    let (reader, setting, now) = (desk.reader(), desk.setting(), desk.now());
    let said = match question {
        Question::Pending => reads::pending(reader, &setting, now).await?.text,
        Question::Status => reads::status(reader, Some(desk.live()), &setting, now).await?.text,
        Question::History { agent } => {
            // The chat reads along, whatever its members may read in a mission: `log` looks at that.
            let nobody = |_: &MissionName| BusReader::Nobody { text: String::new() };
            reads::history(reader, agent, None, HISTORY, nobody, &setting, now).await?.text
        }
        Question::Explain { agent } => match desk.explain(&agent).await? {
            Some(shown) => shown.text,
            None => format!("There is no agent called {agent}."),
        },
        Question::Plan => plan(gateway, &desk).await?,
        Question::Help => wording::help(),
        Question::Whoami | Question::Show { .. } => return Ok(None),
    };
    Ok(Some(said))
}

/// What becomes of each death, as `explain` tells it.
async fn plan(gateway: &Arc<Gateway>, desk: &GatewayDesk) -> Result<String, StoreError> {
    let open = {
        let mut read = gateway.store.read().await?;
        store::incidents::open(&mut read).await?
    };
    let mut parts = Vec::with_capacity(open.len());
    for row in open {
        parts.extend(desk.explain(&row.agent).await?.map(|shown| shown.text));
    }
    Ok(if parts.is_empty() { wording::nothing_planned() } else { parts.join("\n\n") })
}
