//! One message on its way out.

use std::fmt;
use std::str::FromStr;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use futures_util::future::BoxFuture;
use serde::Deserialize;
use teloxide_core::payloads::{
    AnswerCallbackQuery, AnswerCallbackQuerySetters as _, EditMessageText, EditMessageTextSetters as _, SendMessage,
    SendMessageSetters as _,
};
use teloxide_core::types::{
    CallbackQueryId, ChatId, InlineKeyboardButton, InlineKeyboardMarkup, LinkPreviewOptions, MessageId, ParseMode,
    ReplyParameters, ThreadId,
};
use tokio::time::Instant;

use super::api::Api;
use super::fault::Fault;
use super::form::File;
use super::pace::{Paces, Turn};
use crate::channel::{Channel, Delivery, Kind, Outgoing};
use crate::wording::{Content, Document};

/// When a call is made again that brought no answer.
const AGAIN: Duration = Duration::from_millis(500);
/// The "General" topic of a forum is meant by naming none; its own number is refused.
const GENERAL: i32 = 1;
/// Characters of what is said under a file; Telegram takes 1,024, counted in UTF-16.
const CAPTION_MAX: usize = 500;

/// A chat, and a topic in it, as one word: `-1001234567890`, `-1001234567890/12`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Target {
    /// The chat.
    pub chat: i64,
    /// The topic.
    pub topic: Option<i32>,
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.topic {
            Some(topic) => write!(f, "{}/{topic}", self.chat),
            None => write!(f, "{}", self.chat),
        }
    }
}

impl FromStr for Target {
    type Err = std::num::ParseIntError;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(match text.split_once('/') {
            Some((chat, topic)) => Self { chat: chat.parse()?, topic: Some(topic.parse()?) },
            None => Self { chat: text.parse()?, topic: None },
        })
    }
}

/// Telegram as a channel.
pub struct Sender {
    api: Api,
    paces: Mutex<Paces>,
    started: Instant,
}

/// All that we need to know of a message that was sent: a newer field in the rest must not make a
/// message that stands in the chat look as if it had failed.
#[derive(Deserialize)]
struct Sent {
    message_id: i32,
}

impl Sender {
    /// Sends through `api`.
    pub fn new(api: Api) -> Self {
        Self { api, paces: Mutex::default(), started: Instant::now() }
    }

    fn paces<T>(&self, act: impl FnOnce(&mut Paces, Duration) -> T) -> T {
        act(&mut self.paces.lock().unwrap_or_else(PoisonError::into_inner), self.started.elapsed())
    }

    async fn wait_for_a_place(&self, chat: i64) -> Result<(), Fault> {
        match self.paces(|paces, now| paces.reserve(chat, now)) {
            Turn::In(wait) if !wait.is_zero() => tokio::time::sleep(wait).await,
            Turn::In(_) => {}
            Turn::Paused(after) => return Err(Fault::Flood { after }),
        }
        Ok(())
    }

    async fn send_file(&self, target: Target, content: &Content, document: &Document) -> Result<i32, Fault> {
        let mut topic = target.topic.filter(|topic| *topic != GENERAL);
        let file = File { field: "document", name: &document.name, content: document.content.as_bytes() };
        loop {
            self.wait_for_a_place(target.chat).await?;
            let mut fields = vec![
                ("chat_id", target.chat.to_string()),
                ("caption", content.text.chars().take(CAPTION_MAX).collect()),
                ("disable_notification", content.silent.to_string()),
            ];
            fields.extend(topic.map(|topic| ("message_thread_id", topic.to_string())));
            let replied = content.replies_to.as_ref().and_then(|id| id.parse::<i32>().ok());
            fields.extend(replied.map(|id| {
                let reply = serde_json::json!({ "message_id": id, "allow_sending_without_reply": true });
                ("reply_parameters", reply.to_string())
            }));
            let sent = self.api.upload("sendDocument", &fields, file).await;
            match self.noted(target.chat, sent) {
                Ok(sent) => {
                    let sent: Sent = serde_json::from_str(sent.get()).map_err(|_| Fault::Unreadable { status: 200 })?;
                    return Ok(sent.message_id);
                }
                Err(Fault::TopicLost { why }) if topic.is_some() => {
                    tracing::warn!(chat = target.chat, topic, why, "the topic is lost; the file goes to the chat");
                    topic = None;
                }
                Err(fault) => return Err(fault),
            }
        }
    }

    async fn send(&self, target: Target, content: &Content) -> Result<i32, Fault> {
        if let Some(document) = &content.document {
            return self.send_file(target, content, document).await;
        }
        let mut markup = content.html.is_some();
        let mut topic = target.topic.filter(|topic| *topic != GENERAL);
        loop {
            self.wait_for_a_place(target.chat).await?;
            let mut call = SendMessage::new(ChatId(target.chat), said(content, markup))
                .link_preview_options(no_preview())
                .disable_notification(content.silent);
            if markup {
                call = call.parse_mode(ParseMode::Html);
            }
            if let Some(topic) = topic {
                call = call.message_thread_id(ThreadId(MessageId(topic)));
            }
            if let Some(replied) = content.replies_to.as_ref().and_then(|id| id.parse().ok()) {
                call = call.reply_parameters(ReplyParameters::new(MessageId(replied)).allow_sending_without_reply());
            }
            if !content.buttons.is_empty() {
                call = call.reply_markup(keyboard(content));
            }
            match self.noted(target.chat, self.api.ask::<_, Sent>(&call).await) {
                Ok(sent) => return Ok(sent.message_id),
                // A text without markup beats none, and one beside its topic, too.
                Err(Fault::BadMarkup { .. }) if markup => markup = false,
                Err(Fault::TopicLost { why }) if topic.is_some() => {
                    tracing::warn!(chat = target.chat, topic, why, "the topic is lost; the message goes to the chat");
                    topic = None;
                }
                Err(fault) => return Err(fault),
            }
        }
    }

    async fn edit(&self, target: Target, message: i32, content: &Content) -> Result<(), Fault> {
        let mut markup = content.html.is_some();
        loop {
            self.wait_for_a_place(target.chat).await?;
            let mut call = EditMessageText::new(ChatId(target.chat), MessageId(message), said(content, markup))
                .link_preview_options(no_preview());
            if markup {
                call = call.parse_mode(ParseMode::Html);
            }
            // Without a keyboard the old one goes, which is what is wanted at a decision.
            if !content.buttons.is_empty() {
                call = call.reply_markup(keyboard(content));
            }
            match self.noted(target.chat, self.api.call(&call).await.map(drop)) {
                Ok(()) | Err(Fault::NotModified) => return Ok(()),
                Err(Fault::BadMarkup { .. }) if markup => markup = false,
                Err(fault) => return Err(fault),
            }
        }
    }

    /// Every copy that there is; one that was deleted does not keep the others from being edited.
    async fn edit_all(&self, target: Target, copies: &[String], content: &Content) -> Result<(), Fault> {
        let mut there = 0;
        let mut lost = Fault::MessageLost { why: "it is known by no id".into() };
        for copy in copies.iter().filter_map(|copy| copy.parse().ok()) {
            match self.edit(target, copy, content).await {
                Ok(()) => there += 1,
                Err(fault @ Fault::MessageLost { .. }) => lost = fault,
                Err(fault) => return Err(fault),
            }
        }
        if there > 0 { Ok(()) } else { Err(lost) }
    }

    async fn answer(&self, tap: &str, content: &Content) -> Result<(), Fault> {
        let call = AnswerCallbackQuery::new(CallbackQueryId(tap.to_owned()))
            .text(content.text.clone())
            .show_alert(content.alert);
        match self.api.call(&call).await {
            Ok(_) | Err(Fault::TapTooOld) => Ok(()),
            Err(fault) => Err(fault),
        }
    }

    /// Lets the pace know how it went.
    fn noted<T>(&self, chat: i64, outcome: Result<T, Fault>) -> Result<T, Fault> {
        match &outcome {
            Ok(_) => self.paces(|paces, now| paces.went_through(chat, now)),
            Err(Fault::Flood { after }) => self.paces(|paces, now| paces.refused(chat, now, *after)),
            Err(_) => {}
        }
        outcome
    }
}

impl Channel for Sender {
    fn name(&self) -> &'static str {
        "telegram"
    }

    fn deliver<'a>(&'a self, message: Outgoing<'a>) -> BoxFuture<'a, Delivery> {
        Box::pin(async move {
            let Outgoing { target, content, kind, .. } = message;
            if kind == Kind::Answer {
                return delivery(self.answer(target, content).await.map(|()| None), None);
            }
            let Ok(target) = target.parse::<Target>() else {
                return Delivery::Gone { why: format!("{target:?} is no chat") };
            };
            let outcome = match kind {
                Kind::Edit(copies) => self.edit_all(target, copies, content).await.map(|()| None),
                Kind::New | Kind::Answer => self.send(target, content).await.map(|id| Some(id.to_string())),
            };
            delivery(outcome, Some(target))
        })
    }
}

fn delivery(outcome: Result<Option<String>, Fault>, target: Option<Target>) -> Delivery {
    let fault = match outcome {
        Ok(remote_id) => return Delivery::Delivered { remote_id },
        Err(fault) => fault,
    };
    let why = fault.to_string();
    match fault {
        Fault::Flood { after } => Delivery::Pause { after },
        Fault::Migrated { to } => match target {
            Some(target) => Delivery::Moved { to: Target { chat: to, ..target }.to_string() },
            None => Delivery::Gone { why },
        },
        Fault::Unauthorized => Delivery::Stopped { why },
        Fault::ChatLost { .. } => Delivery::Lost { why },
        // A 409 belongs to a poll; on any other call it is one more thing that does not work now.
        Fault::Conflict { .. } | Fault::Server { .. } | Fault::Network { .. } | Fault::Unreadable { .. } => {
            Delivery::Retry { after: AGAIN, why }
        }
        Fault::TopicLost { .. }
        | Fault::MessageLost { .. }
        | Fault::NotModified
        | Fault::BadMarkup { .. }
        | Fault::TapTooOld
        | Fault::Refused { .. } => Delivery::Gone { why },
    }
}

fn said(content: &Content, markup: bool) -> String {
    match &content.html {
        Some(html) if markup => html.clone(),
        Some(_) | None => content.text.clone(),
    }
}

fn keyboard(content: &Content) -> InlineKeyboardMarkup {
    let rows = content
        .buttons
        .iter()
        .map(|row| row.iter().map(|button| InlineKeyboardButton::callback(button.label.clone(), button.token.clone())));
    InlineKeyboardMarkup::new(rows)
}

/// An address in a reason must not become a picture that somebody else chose.
fn no_preview() -> LinkPreviewOptions {
    LinkPreviewOptions {
        is_disabled: true,
        url: None,
        prefer_small_media: false,
        prefer_large_media: false,
        show_above_text: false,
    }
}
