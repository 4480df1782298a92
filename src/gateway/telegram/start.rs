//! The channel's life: find the token, ask who we are, take in and send until the daemon stops. What
//! needs a human stops the channel, and never the daemon.

use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use serde::Deserialize;
use tokio::task::JoinSet;

use super::state::Me;
use super::{documents, intake, moves};
use crate::approval::{Channel, FORMS, QUESTIONS};
use crate::channel::telegram::payloads::{GetMe, SetMyCommands, SetMyCommandsSetters as _};
use crate::channel::telegram::types::{BotCommand, BotCommandScope, ChatId, Recipient};
use crate::channel::telegram::{Api, Fault, Sender, Token};
use crate::config::gate::Telegram;
use crate::gateway::{Gateway, deliver};
use crate::mission::BUS_FORMS;
use crate::wording::Alarm;

/// Between two attempts to find out who we are.
const AGAIN: Duration = Duration::from_secs(1);
/// After so many of them, people on the other channels hear of it.
const PATIENCE: u32 = 30;

#[derive(Deserialize)]
struct Bot {
    id: i64,
    username: Option<String>,
}

/// Runs until the daemon stops. A channel that was stopped begins anew when the files are loaded.
pub async fn run(gateway: Arc<Gateway>) {
    while !gateway.bells.is_stopping() {
        gateway.telegram.behind(gateway.clock.now());
        // What was mended until now is read now.
        let _ = gateway.bells.mended.notified().now_or_never();
        match up(&gateway).await {
            Ok(Some((api, me))) => match moves::introduce(&gateway, &me).await {
                Ok(()) => work(&gateway, api, me).await,
                Err(error) => {
                    tracing::error!(error = crate::gateway::inbox::chain(&error), "who our bot is could not be kept");
                    tokio::select! {
                        () = tokio::time::sleep(AGAIN) => continue,
                        () = gateway.bells.stopped() => return,
                    }
                }
            },
            Ok(None) => {}
            Err(why) => moves::stop_now(&gateway, why).await,
        }
        if gateway.bells.is_stopping() {
            return;
        }
        tokio::select! {
            () = gateway.bells.mended.notified() => {}
            () = gateway.bells.stopped() => return,
        }
    }
}

/// The bot, once Telegram has told who it is; none if the daemon stops first.
async fn up(gateway: &Arc<Gateway>) -> Result<Option<(Api, Me)>, String> {
    let config = gateway.in_force().config.gate.channels.telegram.clone();
    let token = Token::find(&config, &gateway.environment).map_err(|error| error.to_string())?;
    let api = Api::new(&config.api_url, token, config.call_deadline).map_err(|error| error.to_string())?;
    let mut attempts = 0;
    let who = GetMe::new();
    loop {
        let asked = tokio::select! {
            asked = api.ask::<_, Bot>(&who) => asked,
            () = gateway.bells.stopped() => return Ok(None),
        };
        let wait = match asked {
            Ok(bot) => {
                let me = Me { id: bot.id, username: bot.username.unwrap_or_default() };
                offer_commands(&api, gateway, &config).await;
                return Ok(Some((api, me)));
            }
            Err(fault @ Fault::Unauthorized) => return Err(fault.to_string()),
            Err(Fault::Flood { after }) => after,
            Err(fault) => {
                attempts += 1;
                let alarm = Alarm::ChannelDown { channel: super::SOURCE.into(), why: fault.to_string() };
                gateway.status.raise(super::SOURCE, alarm.clone(), gateway.clock.now());
                if attempts == PATIENCE {
                    moves::tell(gateway, alarm).await;
                }
                AGAIN.min(config.call_deadline)
            }
        };
        tokio::select! {
            () = tokio::time::sleep(wait) => {}
            () = gateway.bells.stopped() => return Ok(None),
        }
    }
}

/// Takes in and sends; ends when the channel is stopped, or the daemon.
async fn work(gateway: &Arc<Gateway>, api: Api, me: Me) {
    let polling = match api.again() {
        Ok(polling) => polling,
        Err(error) => return moves::stop_now(gateway, error.to_string()).await,
    };
    let mut tasks = JoinSet::new();
    let fetching = api.again();
    let sender = Arc::new(Sender::new(api));
    tasks.spawn(deliver::run(Arc::clone(gateway), sender, Channel::Telegram));
    match fetching {
        Ok(api) => drop(tasks.spawn(documents::run(Arc::clone(gateway), api))),
        Err(error) => tracing::error!(%error, "documents cannot be fetched"),
    }
    intake::run(gateway, polling, me).await;
    if gateway.bells.is_stopping() {
        // It sends what is due a last time.
        while tasks.join_next().await.is_some() {}
    }
}

/// The commands that a chat's menu shows. Their absence is no reason not to start.
async fn offer_commands(api: &Api, gateway: &Gateway, config: &Telegram) {
    let all: Vec<BotCommand> = QUESTIONS
        .iter()
        .chain(FORMS)
        .filter(|form| !matches!(form.verb, "revoke" | "inbox" | "agent"))
        .map(|form| (form.verb, form.form, form.does))
        .chain(BUS_FORMS.iter().map(|form| (form.verb, form.form, form.does)))
        .map(|(verb, form, does)| {
            let how = form.strip_prefix(verb).unwrap_or_default().trim();
            let what = if how.is_empty() { does.to_owned() } else { format!("{how} — {does}") };
            BotCommand::new(verb, what)
        })
        .collect();
    for chat in config.chats.values() {
        let chat_id = Recipient::Id(ChatId(gateway.telegram.moved_to(chat.chat)));
        let call = SetMyCommands::new(all.clone()).scope(BotCommandScope::Chat { chat_id });
        if let Err(fault) = api.call(&call).await {
            tracing::warn!(chat = chat.chat, %fault, "the menu of commands could not be set");
        }
    }
}
