//! The bot of a new gateway: its token, and the chat and the person that are found by a message to it.
//!
//! The message holds a code that only who runs `init` has seen, so that nobody else who finds the bot
//! becomes its approver. No update is confirmed but those that stand in the way of newer ones: the daemon
//! takes them in later.

use std::collections::BTreeSet;
use std::io::{self, BufRead, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, anyhow, bail};
use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};
use serde_json::Value;
use tokio::time::Instant;

use super::line;
use crate::approval::Code;
use crate::channel::telegram::payloads::{GetMe, GetUpdates, GetUpdatesSetters as _};
use crate::channel::telegram::types::AllowedUpdate;
use crate::channel::telegram::{Api, Fault, Target, Token, Update, Void, command_for};
use crate::config::gate::Telegram;
use crate::wording::{SHORT_MAX, harmless};

/// The name of the token's file, beside the others.
pub(super) const TOKEN_FILE: &str = "telegram.token";
/// Updates of one poll.
const BATCH: u8 = 100;
/// One poll.
const POLL: Duration = Duration::from_secs(20);
/// Between two polls: what was not confirmed comes again at once.
const PAUSE: Duration = Duration::from_secs(1);

/// The bot, by flags.
#[derive(Debug, clap::Args)]
pub struct BotArgs {
    /// People are asked by this Telegram bot: a file with its token, from @BotFather; it is copied into a file
    /// of its own, mode 600
    #[arg(long, value_name = "FILE")]
    pub telegram_token_file: Option<PathBuf>,
    /// The chat in which people are asked, where it is known [default: where /start CODE is written]
    #[arg(long, value_name = "ID[/TOPIC]", allow_hyphen_values = true, requires = "telegram_token_file")]
    pub telegram_chat: Option<Target>,
    /// The numeric Telegram id of whoever decides [default: whoever writes /start CODE]
    #[arg(long, value_name = "ID", requires = "telegram_token_file")]
    pub telegram_user: Option<i64>,
    /// How long to wait for /start CODE
    #[arg(long, value_name = "TIME", default_value = "10m", value_parser = duration)]
    pub telegram_wait: Duration,
    /// A Bot API server of your own [default: Telegram's]
    #[arg(long, value_name = "URL")]
    pub telegram_api_url: Option<String>,
}

fn duration(text: &str) -> Result<Duration, String> {
    let span: jiff::SignedDuration = text.parse().map_err(|_| format!("{text:?} is no duration like 90s or 10m"))?;
    Duration::try_from(span).map_err(|_| format!("{text:?} is no duration like 90s or 10m"))
}

/// A bot that is known, and where and by whom it is heard. Holds the token: not to be printed.
pub(super) struct Bot {
    pub token: String,
    pub api_url: Option<String>,
    pub place: Target,
    pub user: i64,
}

/// Who the bot is.
struct Me {
    id: i64,
    username: String,
}

/// Somebody who wrote what was to be written.
struct Found {
    place: Target,
    user: i64,
    /// As one reads it.
    says: String,
}

/// The bot that people are to be asked by; none if nobody wants one. `asking`: there is a terminal.
pub(super) fn connect(
    args: &BotArgs,
    asking: bool,
    code: Code,
    input: &mut dyn BufRead,
    out: &mut dyn Write,
) -> anyhow::Result<Option<Bot>> {
    let token = match &args.telegram_token_file {
        Some(path) => read_token(path)?,
        None if asking => {
            let asked = secret(input, out, "Token of a Telegram bot, from @BotFather (not shown; empty for none): ")?;
            if asked.is_empty() {
                return Ok(None);
            }
            asked
        }
        None => return Ok(None),
    };
    let parsed = Token::parse(&token)
        .ok_or_else(|| anyhow!("that is no bot token; BotFather gives one that looks like 123456789:AA…"))?;
    let default = Telegram::default();
    let url = args.telegram_api_url.as_deref().map(|url| url.trim_end_matches('/').to_owned());
    let api = Api::new(url.as_deref().unwrap_or(&default.api_url), parsed, default.call_deadline)
        .map_err(|_| anyhow!("TLS could not be set up on this machine"))?;
    let (place, user) = crate::cli::block_on(meet(args, &api, asking, code, input, out))??;
    Ok(Some(Bot { token, api_url: url, place, user }))
}

fn read_token(path: &Path) -> anyhow::Result<String> {
    let text = std::fs::read_to_string(path).with_context(|| format!("reading the token from {}", path.display()))?;
    Ok(text.trim().to_owned())
}

async fn meet(
    args: &BotArgs,
    api: &Api,
    asking: bool,
    code: Code,
    input: &mut dyn BufRead,
    out: &mut dyn Write,
) -> anyhow::Result<(Target, i64)> {
    let raw: Value = api.ask(&GetMe::new()).await.context("asking Telegram who the bot is")?;
    let text = |key: &str| raw.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
    let me = Me { id: raw.get("id").and_then(Value::as_i64).unwrap_or_default(), username: text("username") };
    writeln!(out, "The bot is @{}.", harmless(&me.username, SHORT_MAX))?;
    match (args.telegram_chat, args.telegram_user) {
        (Some(chat), Some(user)) => return Ok((chat, user)),
        // The chat with one person has that person's id.
        (None, Some(user)) => return Ok((Target { chat: user, topic: None }, user)),
        (_, None) => {}
    }
    let name = &me.username;
    writeln!(
        out,
        "Now say to it who you are, and where people are to be asked:\n  \
         alone:      open https://t.me/{name}?start={code} and press Start, or write to @{name}:  /start {code}\n  \
         in a group: add @{name} to it, and write there (in the topic, if it has topics):  /start@{name} {code}\n\
         Waiting for that …"
    )?;
    let ends = Instant::now() + args.telegram_wait;
    let mut refused = BTreeSet::new();
    loop {
        let found = find(api, &me, code, ends, args.telegram_chat, &mut refused, out).await?;
        writeln!(out, "Heard: {}.", found.says)?;
        let place = args.telegram_chat.unwrap_or(found.place);
        if !asking
            || line(input, out, "Is that you, and are people to be asked there? [y/N]: ")?.eq_ignore_ascii_case("y")
        {
            return Ok((place, found.user));
        }
        writeln!(out, "Then write it again, where it is to be. Waiting …")?;
    }
}

/// Waits for a message with the code. What was looked at before, by chat and number, is in `seen`.
async fn find(
    api: &Api,
    me: &Me,
    code: Code,
    ends: Instant,
    chat: Option<Target>,
    seen: &mut BTreeSet<(i64, i64)>,
    out: &mut dyn Write,
) -> anyhow::Result<Found> {
    let mut offset = None;
    loop {
        let left = ends.saturating_duration_since(Instant::now());
        if left.is_zero() {
            bail!("nobody wrote /start {code} to the bot in time; nothing was written");
        }
        let seconds = u32::try_from(POLL.min(left).as_secs()).unwrap_or(0);
        let mut call = GetUpdates::new().limit(BATCH).timeout(seconds).allowed_updates([
            AllowedUpdate::Message,
            AllowedUpdate::CallbackQuery,
            AllowedUpdate::MyChatMember,
        ]);
        if let Some(offset) = offset {
            call = call.offset(offset);
        }
        let updates: Vec<Value> = match api.ask(&call).await {
            Ok(updates) => updates,
            Err(fault @ (Fault::Unauthorized | Fault::Conflict { .. })) => {
                return Err(fault)
                    .context("the bot cannot be heard: another program uses this token, or a webhook is set");
            }
            Err(Fault::Flood { after }) => {
                tokio::time::sleep(after.min(left)).await;
                continue;
            }
            Err(fault) => {
                writeln!(out, "  {fault}; trying again")?;
                tokio::time::sleep(PAUSE.min(left)).await;
                continue;
            }
        };
        for raw in &updates {
            if let Some(found) = look(raw, me, code, chat, seen, out)? {
                return Ok(found);
            }
        }
        // A full batch hides what came after it.
        if updates.len() >= usize::from(BATCH) {
            let last = updates.iter().filter_map(|raw| raw.get("update_id")?.as_i64()).max();
            offset = last.and_then(|last| i32::try_from(last + 1).ok());
        }
        tokio::time::sleep(PAUSE.min(left)).await;
    }
}

fn look(
    raw: &Value,
    me: &Me,
    code: Code,
    chat: Option<Target>,
    seen: &mut BTreeSet<(i64, i64)>,
    out: &mut dyn Write,
) -> anyhow::Result<Option<Found>> {
    let Update::Message(message) = Update::read(raw, me.id) else { return Ok(None) };
    let Some(said) = command_for(&message.text, &me.username) else { return Ok(None) };
    let named = said.strip_prefix("/start").map(str::trim).and_then(|code| Code::parse(code).ok());
    if named != Some(code) || !seen.insert((message.chat, message.id)) {
        return Ok(None);
    }
    if chat.is_some_and(|chat| chat.chat != message.chat) {
        writeln!(out, "  somebody wrote it in another chat ({}); write it in the one you named", message.chat)?;
        return Ok(None);
    }
    match (message.void, message.from) {
        (None, Some(user)) => {
            let text = |at: &str| harmless(raw.pointer(at).and_then(Value::as_str).unwrap_or_default(), SHORT_MAX);
            let place = Target { chat: message.chat, topic: message.topic };
            let name = text("/message/from/first_name");
            let says = if message.private {
                format!("{name} (Telegram user {user}), in a chat of your own")
            } else {
                format!("{name} (Telegram user {user}), in \"{}\" ({place})", text("/message/chat/title"))
            };
            Ok(Some(Found { place, user, says }))
        }
        (Some(Void::Anonymous), _) => {
            writeln!(out, "  it was written anonymously, so nobody can say by whom; write it under your own name")?;
            Ok(None)
        }
        _ => Ok(None),
    }
}

/// A line that is not shown while it is typed, where the input is a terminal.
fn secret(input: &mut dyn BufRead, out: &mut dyn Write, question: &str) -> anyhow::Result<String> {
    let quiet = Quiet::now();
    let text = line(input, out, question);
    if quiet.is_some() {
        writeln!(out)?;
    }
    text
}

/// The terminal does not echo for as long as this lives.
struct Quiet(Termios);

impl Quiet {
    fn now() -> Option<Self> {
        let before = tcgetattr(io::stdin()).ok()?;
        let mut quiet = before.clone();
        quiet.local_modes.remove(LocalModes::ECHO);
        tcsetattr(io::stdin(), OptionalActions::Now, &quiet).ok()?;
        Some(Self(before))
    }
}

impl Drop for Quiet {
    fn drop(&mut self) {
        let _ = tcsetattr(io::stdin(), OptionalActions::Now, &self.0);
    }
}
