//! What somebody said on Telegram, and what becomes of it: in the one transaction of its input, with the
//! answer that it is owed. Who speaks is the numeric id that Telegram's server put there; nothing else
//! that an update says about its sender is looked at.

use serde_json::{Value, json};

use super::documents::{self, Wanted};
pub use super::questions::prepare;
use super::state::Me;
use super::{SOURCE, moves};
use crate::approval::{Answer, AnswerKind, Channel, Code, Press, Question, Request, Said, Speaker, Target as Meant};
use crate::channel::telegram::{Message, Replied, Tap, Target, Update, Void, command_for};
use crate::gateway::copies::Buttons;
use crate::gateway::hear::{Heard, Why, obey};
use crate::gateway::ledger::{self, Entry, from_body};
use crate::gateway::mission::{self, Obeyed, Shows, Understood};
use crate::gateway::speak::{self, Outlet, Priority};
use crate::gateway::{Gateway, copies, marking};
use crate::mission::BusCommand;
use crate::pool::Timestamp;
use crate::store::inbox::Input;
use crate::store::messages::{MessageKind, MessageState, NewMessage};
use crate::store::tokens::{NewToken, TokenRow};
use crate::store::{self, StoreError, Tx};
use crate::wording::{self, Content, Document};

/// A line that is for us.
pub struct Heeded {
    /// In the one grammar, without the bot's name.
    pub line: String,
    /// It is a command, and not only a reply.
    pub is_command: bool,
}

/// What of a message is for us: a command, or a reply.
pub fn line_of(message: &Message, me: &Me) -> Option<Heeded> {
    match command_for(&message.text, &me.username) {
        Some(line) => Some(Heeded { line, is_command: true }),
        None if message.replies_to.is_some() && !message.text.trim_start().starts_with('/') => {
            Some(Heeded { line: message.text.trim().to_owned(), is_command: false })
        }
        None => None,
    }
}

/// One input from Telegram.
pub(in crate::gateway) async fn hear(
    tx: &mut Tx,
    entry: &Entry,
    input: &Input,
    prepared: Option<String>,
) -> Result<Heard, StoreError> {
    let raw: Value = from_body("inputs", &input.id, &input.raw)?;
    let Some(me) = entry.gateway().telegram.me() else {
        return Ok(Heard::misunderstood("it is not known which bot this was said to".into()));
    };
    match Update::read(&raw, me.id) {
        Update::Tap(tap) => {
            let heard = pressed(tx, entry, input, &tap).await?;
            answer_tap(tx, entry, input, &tap, &heard).await?;
            Ok(heard)
        }
        Update::Message(message) => written(tx, entry, input, &message, &me, prepared).await,
        Update::Membership { chat, present, was_present, .. } => {
            // Other rights than before are no news to anybody.
            if present != was_present {
                moves::back(tx, entry, chat, present).await?;
            }
            Ok(Heard::read(String::new()))
        }
        Update::Migrated { from, to } => {
            let bare = |chat| Target { chat, topic: None }.to_string();
            moves::moved(tx, entry, &bare(from), &bare(to)).await?;
            Ok(Heard::read(String::new()))
        }
        Update::Other => Ok(Heard::read(String::new())),
    }
}

async fn pressed(tx: &mut Tx, entry: &Entry, input: &Input, tap: &Tap) -> Result<Heard, StoreError> {
    let speaker = Speaker::Telegram(tap.from);
    let unknown = || Heard::refused(input, &speaker, None, Why::Text, wording::unknown_button());
    let Some(token) = store::tokens::load(tx, &tap.data).await? else { return Ok(unknown()) };
    // Any client can send any button's data from anywhere; it counts only in the chat where the button is.
    let moved_to = |chat: i64| entry.gateway().telegram.moved_to(chat);
    let shown_in = token.target.parse::<Target>().ok().map(|target| moved_to(target.chat));
    if shown_in.is_none() || shown_in != tap.chat.map(moved_to) {
        return Ok(unknown());
    }
    if let (Some(chat), Some(message)) = (tap.chat, tap.message) {
        learn_where(tx, entry, &token, chat, message).await?;
    }
    match from_body::<Press>("tokens", &token.token, &token.press)? {
        Press::Say { command } => {
            let said = Said { speaker, via: Channel::Telegram, line: String::new(), context: None, document: None };
            obey(tx, entry, input, &said, command).await
        }
        Press::Line { line } => {
            let said = Said { speaker, via: Channel::Telegram, line, context: None, document: None };
            Ok(on_missions(tx, entry, input, said, &token.target).await?.heard)
        }
        Press::Page { page } => turn_to(tx, entry, &token, page).await,
    }
}

/// A button was seen under a message of ours: that message is a copy, too.
async fn learn_where(tx: &mut Tx, entry: &Entry, token: &TokenRow, chat: i64, message: i64) -> Result<(), StoreError> {
    // After a migration its number means another message.
    let at_home = token.target.parse::<Target>().is_ok_and(|target| target.chat == chat);
    let message = message.to_string();
    if at_home && token.remote_id.as_ref() != Some(&message) {
        learn(tx, entry, token, &message).await?;
    }
    Ok(())
}

/// A copy whose sending was never confirmed is known from the first tap on it or reply to it; what it missed, it is told
/// now.
async fn learn(tx: &mut Tx, entry: &Entry, token: &TokenRow, remote_id: &str) -> Result<(), StoreError> {
    if !store::tokens::learn(tx, SOURCE, &token.target, remote_id, &token.copy).await? {
        return Ok(());
    }
    let Some(row) = store::messages::load(tx, &token.copy).await? else { return Ok(()) };
    if row.state == MessageState::Due {
        // It had arrived after all: it is not sent again, and its clock runs.
        store::messages::sent(tx, &row, Some(remote_id), entry.now, &entry.id()).await?;
        marking::delivered_card(tx, entry, &row).await?;
    }
    // Which of its contents had arrived, nobody knows.
    store::messages::edit_again(tx, &token.copy, &entry.id(), Priority::Decision.number(), entry.now).await
}

async fn turn_to(tx: &mut Tx, entry: &Entry, token: &TokenRow, page: usize) -> Result<Heard, StoreError> {
    let Some(row) = store::messages::load(tx, &token.copy).await? else {
        return Ok(Heard::read(String::new()));
    };
    let content: Content = from_body("messages", &row.id, &row.body)?;
    let known = store::tokens::of_copy(tx, &row.id).await?;
    let (content, new) = paged(entry, content.pages, page, content.replies_to, &known);
    store::tokens::insert(tx, &row.id, &new, entry.now).await?;
    let body = json!(content).to_string();
    store::messages::edit(tx, &row.id, &entry.id(), Priority::Answer.number(), entry.now, &body).await?;
    Ok(Heard::read(String::new()))
}

/// Whoever said what could not be worked off is told so.
pub(in crate::gateway) async fn apologise(
    tx: &mut Tx,
    gateway: &Gateway,
    input: &Input,
    answer: Answer,
) -> Result<(), StoreError> {
    let Some(me) = gateway.telegram.me().filter(|_| input.source == SOURCE) else { return Ok(()) };
    // What cannot be read may be the very reason.
    let Ok(raw) = serde_json::from_str(&input.raw) else { return Ok(()) };
    let (id, now) = (gateway.ids.id(gateway.clock.now()), gateway.clock.now());
    let owed = match Update::read(&raw, me.id) {
        Update::Tap(tap) => tap_answer(id, &tap, &answer, now),
        Update::Message(message) => {
            let content = Content::plain(answer.text).replying_to(Some(message.id.to_string()));
            let outlet = Outlet { channel: Channel::Telegram, target: place(&message).to_string() };
            speak::message(id, &outlet, MessageKind::Note, None, Priority::Answer, &content, now)
        }
        Update::Membership { .. } | Update::Migrated { .. } | Update::Other => return Ok(()),
    };
    store::messages::insert(tx, &[owed]).await
}

async fn answer_tap(tx: &mut Tx, entry: &Entry, input: &Input, tap: &Tap, heard: &Heard) -> Result<(), StoreError> {
    let answer = tap_answer(entry.id(), tap, &heard.answer, entry.now);
    entry.gateway().owed.announce(&input.id, &answer);
    store::messages::insert(tx, &[answer]).await
}

fn tap_answer(id: String, tap: &Tap, answer: &Answer, now: Timestamp) -> NewMessage {
    let content =
        Content { alert: answer.outcome != AnswerKind::Taken, ..Content::plain(wording::tap_answer(&answer.text)) };
    let outlet = Outlet { channel: Channel::Telegram, target: tap.id.clone() };
    speak::message(id, &outlet, MessageKind::Answer, None, Priority::Answer, &content, now)
}

async fn written(
    tx: &mut Tx,
    entry: &Entry,
    input: &Input,
    message: &Message,
    me: &Me,
    prepared: Option<String>,
) -> Result<Heard, StoreError> {
    let Some(Heeded { line, is_command }) = line_of(message, me) else { return Ok(Heard::read(String::new())) };
    let context = match &message.replies_to {
        Some(replied) => request_replied_to(tx, entry, message, replied).await?,
        None => None,
    };
    let parsed = mission::understand(&line, context, None);
    let question = Question::parse(&line, context);
    let is_neither = matches!(parsed, Understood::Neither { .. });
    if !is_command && is_neither && question.is_none() && context.is_none() {
        // People talk; that one of them happened to answer a notice of ours does not make it a command.
        return Ok(Heard::read(String::new()));
    }
    let speaker = Speaker::Telegram(message.from.unwrap_or_default());
    let heard = match message.void {
        Some(Void::Anonymous) => Heard::refused(input, &speaker, None, Why::Text, wording::anonymous()),
        Some(Void::Forwarded) => Heard::refused(input, &speaker, None, Why::Text, wording::forwarded()),
        Some(Void::ViaBot) => Heard::refused(input, &speaker, None, Why::Text, wording::via_bot()),
        Some(Void::Bot) => return Ok(Heard::read(String::new())),
        None => match (question, parsed) {
            (Some(question), _) => return asked(tx, entry, input, message, question, prepared).await,
            (None, Understood::Gateway(command)) => {
                let said = Said { speaker, via: Channel::Telegram, line, context, document: None };
                obey(tx, entry, input, &said, command).await?
            }
            (None, Understood::Bus(command)) => {
                let said = Said { speaker, via: Channel::Telegram, line, context, document: None };
                return bus(tx, entry, input, message, said, command).await;
            }
            (None, Understood::Neither { text }) if may_read(entry, message) => Heard::misunderstood(text),
            (None, Understood::Neither { .. }) => {
                let text = wording::stranger(&speaker);
                Heard::refused(input, &speaker, None, Why::Text, text)
            }
        },
    };
    answer_message(tx, entry, message, &heard.answer.text).await?;
    Ok(heard)
}

/// Something said on missions, and how it is shown there.
async fn bus(
    tx: &mut Tx,
    entry: &Entry,
    input: &Input,
    message: &Message,
    said: Said,
    command: BusCommand,
) -> Result<Heard, StoreError> {
    let outlet = Outlet { channel: Channel::Telegram, target: place(message).to_string() };
    let replied = message.id.to_string();
    let speaks = entry.people().who(&said.speaker).is_some();
    if let (BusCommand::Checkpoint { .. }, Some(attached)) = (&command, message.attached.as_ref().filter(|_| speaks)) {
        let wanted = Wanted {
            said,
            entered_at: input.entered_at,
            file_id: attached.file_id.clone(),
            target: outlet.target.clone(),
            message: replied.clone(),
        };
        return match documents::wait_for(tx, entry, input, wanted, attached).await? {
            None => Ok(Heard::read(String::new())),
            Some(why) => {
                let text = wording::bad_document(&why);
                answer_in(tx, entry, &outlet, replied, &text).await?;
                Ok(Heard::not_done(text))
            }
        };
    }
    let obeyed = by_whom(tx, entry, input, said, command, &outlet.target).await?;
    let heard = obeyed.heard.clone();
    show_of_the_bus(tx, entry, &outlet, replied, obeyed).await?;
    Ok(heard)
}

/// How what was said on missions is answered in its chat.
pub(super) async fn show_of_the_bus(
    tx: &mut Tx,
    entry: &Entry,
    outlet: &Outlet,
    replied: String,
    obeyed: Obeyed,
) -> Result<(), StoreError> {
    let text = obeyed.heard.answer.text;
    match obeyed.shows {
        Shows::Nothing => answer_in(tx, entry, outlet, replied, &text).await,
        Shows::Preview(row) => mission::put(tx, entry, outlet, &row, Some(replied)).await,
        Shows::Document { name, content } => {
            let document = Some(Document { name, content });
            let content = Content { document, ..Content::plain(text).replying_to(Some(replied)) };
            let (id, kind) = (entry.id(), MessageKind::Note);
            let note = speak::message(id, outlet, kind, None, Priority::Answer, &content, entry.now);
            store::messages::insert(tx, &[note]).await
        }
    }
}

/// A line on missions that a button stands for.
async fn on_missions(
    tx: &mut Tx,
    entry: &Entry,
    input: &Input,
    said: Said,
    target: &str,
) -> Result<Obeyed, StoreError> {
    match mission::understand(&said.line, None, None) {
        Understood::Bus(command) => by_whom(tx, entry, input, said, command, target).await,
        Understood::Gateway(_) | Understood::Neither { .. } => {
            let heard = Heard::refused(input, &said.speaker, None, Why::Text, wording::unknown_button());
            Ok(Obeyed { heard, shows: Shows::Nothing })
        }
    }
}

/// Only people say anything on missions.
async fn by_whom(
    tx: &mut Tx,
    entry: &Entry,
    input: &Input,
    said: Said,
    command: BusCommand,
    target: &str,
) -> Result<Obeyed, StoreError> {
    let Some(person) = entry.people().who(&said.speaker).cloned() else {
        let heard = Heard::refused(input, &said.speaker, None, Why::Text, wording::stranger(&said.speaker));
        return Ok(Obeyed { heard, shows: Shows::Nothing });
    };
    let speaking = mission::Speaking { input, said: &said, person: &person, heard_in: Some(target) };
    mission::obey(tx, entry, &speaking, command).await
}

/// People, and whoever is in a chat of the configuration.
fn may_read(entry: &Entry, message: &Message) -> bool {
    let chats = &entry.in_force().config.gate.channels.telegram.chats;
    entry.gateway().telegram.is_among(chats, message.chat)
        || message.from.is_some_and(|id| entry.people().who(&Speaker::Telegram(id)).is_some())
}

async fn asked(
    tx: &mut Tx,
    entry: &Entry,
    input: &Input,
    message: &Message,
    question: Result<Question, crate::approval::Misunderstood>,
    prepared: Option<String>,
) -> Result<Heard, StoreError> {
    let speaker = Speaker::Telegram(message.from.unwrap_or_default());
    let for_everybody = question.as_ref().is_ok_and(Question::is_for_everybody);
    if !for_everybody && !may_read(entry, message) {
        let text = wording::stranger(&speaker);
        answer_message(tx, entry, message, &text).await?;
        return Ok(Heard::refused(input, &speaker, None, Why::Text, text));
    }
    let heard = match (question, prepared) {
        (Ok(Question::Show { target }), _) => match show(tx, entry, message, &target).await? {
            true => return Ok(Heard::read(String::new())),
            false => Heard::misunderstood(format!("There is no request {target}. /pending shows what waits.")),
        },
        (Ok(_), Some(text)) => Heard::read(text),
        (Ok(_), None) => Heard::misunderstood("This could not be looked up; say it once more.".into()),
        (Err(wrong), _) => Heard::misunderstood(wording::misunderstood(&wrong)),
    };
    answer_message(tx, entry, message, &heard.answer.text).await?;
    Ok(heard)
}

/// A fresh copy of a request in the chat where somebody wants to see it.
async fn show(tx: &mut Tx, entry: &Entry, message: &Message, target: &Meant) -> Result<bool, StoreError> {
    let Some((request, case)) = ledger::named(tx, target).await? else { return Ok(false) };
    let card = copies::card(tx, entry, &case, &request).await?;
    let outlet = Outlet { channel: Channel::Telegram, target: place(message).to_string() };
    copies::put(tx, entry, &outlet, &request, &card, None).await?;
    Ok(true)
}

fn place(message: &Message) -> Target {
    Target { chat: message.chat, topic: message.topic }
}

/// The request that a reply is about: by the buttons of what it replies to, by its id, or by its code.
async fn request_replied_to(
    tx: &mut Tx,
    entry: &Entry,
    message: &Message,
    replied: &Replied,
) -> Result<Option<Code>, StoreError> {
    let mut copy = None;
    for token in &replied.tokens {
        if let Some(token) = store::tokens::load(tx, token).await? {
            learn_where(tx, entry, &token, message.chat, replied.message).await?;
            copy = Some(token.copy);
            break;
        }
    }
    for target in [place(message), Target { chat: message.chat, topic: None }] {
        if copy.is_none() {
            let id = replied.message.to_string();
            copy = store::tokens::copy_of(tx, SOURCE, &target.to_string(), &id).await?;
        }
    }
    if let Some(copy) = copy
        && let Some(row) = store::messages::load(tx, &copy).await?
        && let Some(about) = &row.about
        && let Some(row) = store::requests::load(tx, about).await?
    {
        let request: Request = from_body("requests", &row.id, &row.body)?;
        return Ok(Some(request.code));
    }
    // What says our own message of its code is ours, too: only who sent it could have written it.
    let mut words = replied.text.split(|c: char| !c.is_ascii_alphanumeric());
    Ok(words
        .by_ref()
        .find(|word| *word == "Code")
        .and_then(|_| words.find(|word| !word.is_empty()))
        .and_then(|code| Code::parse(code).ok()))
}

/// Answers a message by a reply, in pages if it is long.
async fn answer_message(tx: &mut Tx, entry: &Entry, message: &Message, text: &str) -> Result<(), StoreError> {
    let outlet = Outlet { channel: Channel::Telegram, target: place(message).to_string() };
    answer_in(tx, entry, &outlet, message.id.to_string(), text).await
}

/// The same, to the message `replied` in that chat.
pub(super) async fn answer_in(
    tx: &mut Tx,
    entry: &Entry,
    outlet: &Outlet,
    replied: String,
    text: &str,
) -> Result<(), StoreError> {
    let pages = wording::pages(text);
    let replies_to = Some(replied);
    let id = entry.id();
    let owed: NewMessage;
    let mut tokens = Vec::new();
    if pages.len() > 1 {
        let (content, new) = paged(entry, pages, 0, replies_to, &[]);
        tokens = new;
        owed = speak::message(id.clone(), outlet, MessageKind::Card, None, Priority::Answer, &content, entry.now);
    } else {
        let content = Content::plain(text).replying_to(replies_to);
        owed = speak::message(id.clone(), outlet, MessageKind::Note, None, Priority::Answer, &content, entry.now);
    }
    store::messages::insert(tx, &[owed]).await?;
    store::tokens::insert(tx, &id, &tokens, entry.now).await
}

/// One page of a long text, with buttons to the others.
fn paged(
    entry: &Entry,
    pages: Vec<String>,
    page: usize,
    replies_to: Option<String>,
    known: &[TokenRow],
) -> (Content, Vec<NewToken>) {
    let page = page.min(pages.len().saturating_sub(1));
    let mut buttons = Buttons::of(entry, known);
    let mut button = |label: &str, page| buttons.button(label.to_owned(), &Press::Page { page });
    let mut row = Vec::new();
    if page > 0 {
        row.push(button("Back", page - 1));
    }
    if page + 1 < pages.len() {
        row.push(button("Next", page + 1));
    }
    let text = pages.get(page).cloned().unwrap_or_default();
    let text = format!("{text}\n{}", wording::page_line(page, pages.len()));
    (Content { text, buttons: vec![row], pages, replies_to, ..Content::default() }, buttons.new)
}
