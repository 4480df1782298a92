//! Whether people can be asked on Telegram: the token, the bot, its chats and topics, who else has the
//! updates. Nothing is posted, and no update is confirmed, so nothing is lost by looking.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::Value;

use super::{Findings, Grade};
use crate::channel::telegram::payloads::{
    GetChat, GetChatMember, GetMe, GetUpdates, GetUpdatesSetters as _, GetWebhookInfo, SendChatAction,
    SendChatActionSetters as _,
};
use crate::channel::telegram::types::{ChatAction, ChatId, MessageId, ThreadId, UserId};
use crate::channel::telegram::{Api, Fault, Target, Token};
use crate::cli::Ambient;
use crate::config::Config;
use crate::config::gate::{Chat, TELEGRAM_CREDENTIAL, TELEGRAM_TOKEN_VARIABLE, Telegram};
use crate::wording::{SHORT_MAX, harmless};

/// Where systemd keeps the credentials of the service while it runs.
const SERVICE_CREDENTIALS: &str = "/run/credentials/lazarus-gate.service";
/// For so long another poller is waited for: whoever lost its poll to ours comes back within that time.
const OTHERS: Duration = Duration::from_secs(5);
/// The "General" topic of a forum; it is meant by naming none.
const GENERAL: i32 = 1;

const TOKEN: &str = "telegram token";
const BOT: &str = "telegram bot";
const POLL: &str = "telegram poll";
const CHAT: &str = "telegram chat";
const TOPIC: &str = "telegram topic";
const WHO: &str = "telegram who";

/// Looks at all of it. `daemon_runs`: then it is the daemon that polls, and nobody else may.
pub(super) async fn examine(ambient: &Ambient, config: &Config, daemon_runs: bool, findings: &mut Findings) {
    let telegram = &config.gate.channels.telegram;
    if !telegram.enabled {
        findings.add(Grade::Warn, BOT, "the channel is off; `channels.telegram.enabled: true` turns it on");
    }
    targets(config, findings);
    people(config, findings);
    let Some(token) = token(ambient, telegram, findings) else { return };
    let api = match Api::new(&telegram.api_url, token, telegram.call_deadline) {
        Ok(api) => api,
        Err(_) => return findings.add(Grade::Fail, BOT, "TLS could not be set up on this machine"),
    };
    let Some(me) = bot(&api, telegram, findings).await else { return };
    if webhook(&api, findings).await {
        others(&api, telegram, daemon_runs, findings).await;
    }
    for (name, chat) in &telegram.chats {
        let seen = Seen { api: &api, me, name: &harmless(name, SHORT_MAX), chat: *chat };
        if seen.chat(findings).await {
            seen.topic(findings).await;
            seen.people(config, findings).await;
        }
    }
}

/// What the policy wants to be asked where.
fn targets(config: &Config, findings: &mut Findings) {
    let chats = &config.gate.channels.telegram.chats;
    let mut asked =
        config.policy.channel_targets().filter(|target| target.enabled && target.name == "telegram").peekable();
    if asked.peek().is_none() {
        let says = "nobody is asked there: the policy's `approval_channels.telegram` is not enabled";
        return findings.add(Grade::Fail, CHAT, says);
    }
    for target in asked {
        match target.target {
            Some(name) if chats.contains_key(name) => {
                findings.add(Grade::Ok, CHAT, format!("the policy asks in {}", harmless(name, SHORT_MAX)));
            }
            Some(name) => {
                let name = harmless(name, SHORT_MAX);
                let says = format!("the policy asks in {name:?}, which is no chat of `channels.telegram.chats`");
                findings.add(Grade::Fail, CHAT, says);
            }
            None => {
                let says =
                    "the policy's `approval_channels.telegram` has no `target`; name one of `channels.telegram.chats`";
                findings.add(Grade::Fail, CHAT, says);
            }
        }
    }
}

/// Who could answer.
fn people(config: &Config, findings: &mut Findings) {
    let approvers = || config.gate.people.iter().filter(|person| person.approves.anything());
    let without: Vec<&str> =
        approvers().filter(|person| person.telegram.is_none()).map(|person| person.id.as_str()).collect();
    let with = approvers().count() - without.len();
    if with == 0 {
        let says =
            "nobody who decides has a `telegram` id in `people`: nobody could answer there; /whoami shows one's id";
        findings.add(Grade::Fail, WHO, says);
    } else if without.is_empty() {
        findings.add(Grade::Ok, WHO, format!("all {with} who decide have a `telegram` id"));
    } else {
        let says = format!("without a `telegram` id, and so without a say there: {}", without.join(", "));
        findings.add(Grade::Warn, WHO, says);
    }
}

/// The token, from where the daemon has it.
fn token(ambient: &Ambient, telegram: &Telegram, findings: &mut Findings) -> Option<Token> {
    let (file, from) = match &telegram.token_file {
        Some(path) => (Some(path.clone()), path.display().to_string()),
        None if ambient.environment.contains_key(TELEGRAM_TOKEN_VARIABLE) => {
            (None, format!("the variable {TELEGRAM_TOKEN_VARIABLE}"))
        }
        None => {
            let folder = ambient.environment.get("CREDENTIALS_DIRECTORY").map_or(SERVICE_CREDENTIALS, String::as_str);
            let path = PathBuf::from(folder).join(TELEGRAM_CREDENTIAL);
            let from = path.display().to_string();
            (path.exists().then_some(path), from)
        }
    };
    // The service's own credential is found by whoever may look into it.
    let named = Telegram { token_file: file.clone(), ..telegram.clone() };
    match Token::find(&named, &ambient.environment) {
        Ok(token) => {
            let grade = file.as_deref().map_or(Grade::Ok, |path| readable_by_others(path, findings));
            if grade == Grade::Ok {
                findings.add(Grade::Ok, TOKEN, format!("from {from}"));
            }
            Some(token)
        }
        Err(error) => {
            findings.add(Grade::Fail, TOKEN, super::causes(&error));
            None
        }
    }
}

fn readable_by_others(path: &Path, findings: &mut Findings) -> Grade {
    let mode = path.metadata().map_or(0, |found| found.permissions().mode()) & 0o777;
    let says = |who: &str| {
        format!("{} is open to {who} (mode {mode:o}), and whoever has it is the bot; chmod 600", path.display())
    };
    let (grade, who) = match mode {
        mode if mode & 0o007 != 0 => (Grade::Fail, "everybody"),
        mode if mode & 0o070 != 0 => (Grade::Warn, "its group"),
        _ => return Grade::Ok,
    };
    findings.add(grade, TOKEN, says(who));
    grade
}

/// Who we are to Telegram.
async fn bot(api: &Api, telegram: &Telegram, findings: &mut Findings) -> Option<i64> {
    let me: Value = match api.ask(&GetMe::new()).await {
        Ok(me) => me,
        Err(fault @ Fault::Unauthorized) => {
            let says = format!("{fault} Take a new one from BotFather (/token) and put it in the old one's place");
            findings.add(Grade::Fail, TOKEN, says);
            return None;
        }
        Err(fault) => {
            findings.add(Grade::Fail, BOT, format!("{} does not tell who the bot is: {fault}", telegram.api_url));
            return None;
        }
    };
    let id = me.get("id").and_then(Value::as_i64)?;
    let name = text(&me, "username");
    findings.add(Grade::Ok, BOT, format!("@{name} ({id})"));
    if flag(&me, "can_read_all_group_messages") {
        let says = "privacy mode is off: in groups Telegram sends it everything that is said. It keeps only what is said \
                    to it and needs no more; BotFather's /setprivacy turns it on";
        findings.add(Grade::Warn, BOT, says);
    } else {
        let says = "privacy mode is on: in groups it sees commands, replies to it and taps, and nothing else";
        findings.add(Grade::Ok, BOT, says);
    }
    if !flag(&me, "can_join_groups") && telegram.chats.values().any(|chat| chat.chat < 0) {
        let says = "it may not be added to groups; BotFather's /setjoingroups lets it";
        findings.add(Grade::Warn, BOT, says);
    }
    Some(id)
}

/// A webhook takes all updates away. Tells whether there is none.
async fn webhook(api: &Api, findings: &mut Findings) -> bool {
    let info: Value = match api.ask(&GetWebhookInfo::new()).await {
        Ok(info) => info,
        Err(fault) => {
            findings.add(Grade::Fail, POLL, format!("Telegram does not tell whether a webhook is set: {fault}"));
            return false;
        }
    };
    let url = text(&info, "url");
    if url.is_empty() {
        findings.add(Grade::Ok, POLL, "no webhook is in the way");
        return true;
    }
    // Its address may hold a secret of somebody else's; the host is enough to know whose it is.
    let host = reqwest::Url::parse(&url).ok().and_then(|url| url.host_str().map(str::to_owned)).unwrap_or_default();
    let mut says = format!(
        "a webhook at {} takes all that is said to the bot, so nothing can be polled. Another program uses this token: \
         stop it and call deleteWebhook, or take a bot of your own",
        harmless(&host, SHORT_MAX)
    );
    let error = text(&info, "last_error_message");
    if !error.is_empty() {
        says += &format!(" (its last error: {error})");
    }
    findings.add(Grade::Fail, POLL, says);
    false
}

/// Whether somebody else polls with this token. Two polls end each other, so a running daemon's is left alone.
async fn others(api: &Api, telegram: &Telegram, daemon_runs: bool, findings: &mut Findings) {
    if daemon_runs {
        let says = "the daemon polls; whether others do, too, is told by the alarm `channel_stopped`";
        return findings.add(Grade::Ok, POLL, says);
    }
    let wait = u32::try_from(OTHERS.min(telegram.poll).as_secs().max(1)).unwrap_or(1);
    // Without an offset nothing is confirmed; without kinds the bot's setting stays.
    match api.ask::<_, Vec<Value>>(&GetUpdates::new().limit(1).timeout(wait)).await {
        Ok(waiting) if waiting.is_empty() => {
            findings.add(Grade::Ok, POLL, format!("nobody else polled with this token within {wait} s"));
        }
        Ok(_) => findings.add(Grade::Ok, POLL, "something waits to be taken in, and nobody else takes it"),
        Err(Fault::Conflict { why }) => {
            let says = format!("another program polls with this token, and one of the two goes deaf; end it ({why})");
            findings.add(Grade::Fail, POLL, says);
        }
        Err(fault) => findings.add(Grade::Fail, POLL, format!("polling does not work: {fault}")),
    }
}

/// One chat of the configuration.
struct Seen<'a> {
    api: &'a Api,
    me: i64,
    name: &'a str,
    chat: Chat,
}

impl Seen<'_> {
    fn place(&self) -> String {
        format!("{} ({})", self.name, self.chat.chat)
    }

    fn id(&self) -> ChatId {
        ChatId(self.chat.chat)
    }

    fn refused(&self, fault: &Fault, findings: &mut Findings) {
        let place = self.place();
        match fault {
            Fault::Migrated { to } => {
                let says = format!("{place} has become the supergroup {to}; put the new id into the configuration");
                findings.add(Grade::Warn, CHAT, says);
            }
            fault => {
                let says =
                    format!("{place}: {fault}. Add the bot there, and see that the id is right (/whoami shows it)");
                findings.add(Grade::Fail, CHAT, says);
            }
        }
    }

    /// Whether it is there, and the bot may write.
    async fn chat(&self, findings: &mut Findings) -> bool {
        let (place, api) = (self.place(), self.api);
        let chat: Value = match api.ask(&GetChat::new(self.id())).await {
            Ok(chat) => chat,
            Err(fault) => {
                self.refused(&fault, findings);
                return false;
            }
        };
        let member: Value = match api.ask(&GetChatMember::new(self.id(), user(self.me))).await {
            Ok(member) => member,
            Err(fault) => {
                self.refused(&fault, findings);
                return false;
            }
        };
        if let Err(why) = may_write(&chat, &member) {
            findings.add(Grade::Fail, CHAT, format!("{place}: {why}"));
            return false;
        }
        // The proof, and it leaves nothing: the chat shows for a moment that the bot is writing.
        if let Err(fault) = api.call(&SendChatAction::new(self.id(), ChatAction::Typing)).await {
            self.refused(&fault, findings);
            return false;
        }
        let title = text(&chat, "title");
        let says = match (text(&chat, "type").as_str(), title.as_str()) {
            ("private", _) => format!("{place}: a chat with one person; the bot may write"),
            (kind, title) => format!("{place}: the {kind} {title:?}; the bot is in it and may write"),
        };
        findings.add(Grade::Ok, CHAT, says);
        if text(&chat, "type") == "channel" {
            let says = format!("{place} is a channel: buttons work there, written commands do not");
            findings.add(Grade::Warn, CHAT, says);
        }
        if flag(&chat, "is_forum") && self.chat.topic.is_none() {
            findings.add(Grade::Ok, TOPIC, format!("{}: it has topics; messages go to \"General\"", self.name));
        }
        true
    }

    async fn topic(&self, findings: &mut Findings) {
        let Some(topic) = self.chat.topic.filter(|topic| *topic != GENERAL) else { return };
        let place = Target { chat: self.chat.chat, topic: Some(topic) };
        let call = SendChatAction::new(self.id(), ChatAction::Typing).message_thread_id(ThreadId(MessageId(topic)));
        match self.api.call(&call).await {
            Ok(_) => {
                let says =
                    format!("{}: Telegram takes {place}; only a `drill` shows that it is the right one", self.name);
                findings.add(Grade::Ok, TOPIC, says);
            }
            Err(fault) => {
                let says = format!(
                    "{}: {place} takes nothing ({fault}), so messages go to the chat itself. Open it, or give another \
                     `topic`",
                    self.name
                );
                findings.add(Grade::Fail, TOPIC, says);
            }
        }
    }

    /// Whether those who decide would see a card.
    async fn people(&self, config: &Config, findings: &mut Findings) {
        if self.chat.chat > 0 {
            return;
        }
        let approvers = config.gate.people.iter().filter(|person| person.approves.anything());
        for (person, id) in approvers.filter_map(|person| Some((&person.id, person.telegram?))) {
            let member = self.api.ask::<_, Value>(&GetChatMember::new(self.id(), user(id))).await;
            let absent = match member {
                Ok(member) => !is_in(&member),
                Err(Fault::Refused { .. } | Fault::ChatLost { .. }) => true,
                // Nothing is known then, and nothing is said.
                Err(_) => false,
            };
            if absent {
                let says = format!("{person} ({id}) is not in {}: sees no request there", self.name);
                findings.add(Grade::Warn, WHO, says);
            }
        }
    }
}

fn user(id: i64) -> UserId {
    UserId(u64::try_from(id).unwrap_or_default())
}

fn is_in(member: &Value) -> bool {
    match text(member, "status").as_str() {
        "left" | "kicked" => false,
        "restricted" => flag(member, "is_member"),
        _ => true,
    }
}

/// Whether a member with these rights may write in this chat; if not, what to do.
fn may_write(chat: &Value, member: &Value) -> Result<(), &'static str> {
    let status = text(member, "status");
    if !is_in(member) {
        return Err("the bot is not in it; add it there");
    }
    let denied = |value: Option<&Value>| value.and_then(Value::as_bool) == Some(false);
    match status.as_str() {
        "creator" => Ok(()),
        "administrator" if text(chat, "type") == "channel" && !flag(member, "can_post_messages") => {
            Err("the bot may not post in this channel; give its admin role the right to post messages")
        }
        "administrator" => Ok(()),
        "restricted" if !flag(member, "can_send_messages") => {
            Err("the bot was forbidden to write; lift its restriction, or make it an admin")
        }
        _ if text(chat, "type") == "channel" => {
            Err("the bot is no admin of this channel, so it may not post; make it one")
        }
        _ if status != "restricted" && denied(chat.pointer("/permissions/can_send_messages")) => {
            Err("only admins may write there; make the bot one")
        }
        _ => Ok(()),
    }
}

fn flag(of: &Value, key: &str) -> bool {
    of.get(key).and_then(Value::as_bool).unwrap_or(false)
}

fn text(of: &Value, key: &str) -> String {
    harmless(of.get(key).and_then(Value::as_str).unwrap_or_default(), SHORT_MAX)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn who_may_write_where() {
        let group = json!({"type": "supergroup", "permissions": {"can_send_messages": true}});
        let quiet = json!({"type": "supergroup", "permissions": {"can_send_messages": false}});
        let channel = json!({"type": "channel"});
        for (chat, member, why) in [
            (&group, json!({"status": "member"}), None),
            (&group, json!({"status": "something new"}), None),
            (&group, json!({"status": "left"}), Some("add it there")),
            (&group, json!({"status": "kicked"}), Some("add it there")),
            (&group, json!({"status": "restricted", "is_member": false, "can_send_messages": true}), Some("add it")),
            (&group, json!({"status": "restricted", "is_member": true, "can_send_messages": true}), None),
            (&group, json!({"status": "restricted", "is_member": true}), Some("lift its restriction")),
            (&quiet, json!({"status": "member"}), Some("only admins may write")),
            (&quiet, json!({"status": "administrator"}), None),
            (&channel, json!({"status": "member"}), Some("no admin of this channel")),
            (&channel, json!({"status": "administrator"}), Some("may not post")),
            (&channel, json!({"status": "administrator", "can_post_messages": true}), None),
        ] {
            match (may_write(chat, &member), why) {
                (Ok(()), None) => {}
                (Err(said), Some(why)) if said.contains(why) => {}
                (said, why) => panic!("{chat} {member}: {said:?}, not {why:?}"),
            }
        }
    }
}
