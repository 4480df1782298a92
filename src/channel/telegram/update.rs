//! What comes in, read from its raw form. Only the few fields that count are read, each on its own: a
//! new field, an unknown entity or a strange neighbour must not hide the text of a `/deny`.

use serde_json::Value;

/// Longest text that is looked at, in bytes; the grammar keeps less, and Telegram's own limit is 4,096 letters.
const TEXT_MAX: usize = 4096 * 4;
/// Longest data of a button: Telegram's limit.
const DATA_MAX: usize = 64;
/// Longest id of a file that is looked at.
const FILE_ID_MAX: usize = 512;

/// One update, as far as it can concern us.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Update {
    /// Somebody pressed a button.
    Tap(Tap),
    /// Somebody wrote something.
    Message(Message),
    /// Our place in a chat has changed.
    Membership {
        /// In which chat.
        chat: i64,
        /// Whether we can write there now.
        present: bool,
        /// Whether we could before.
        was_present: bool,
        /// The chat's title, as anybody may have set it.
        title: String,
    },
    /// A group became a supergroup.
    Migrated {
        /// Its id until now.
        from: i64,
        /// Its id from now on.
        to: i64,
    },
    /// Nothing of the above.
    Other,
}

/// A button was pressed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tap {
    /// Telegram's id of this press: it is answered by it.
    pub id: String,
    /// Who pressed, by Telegram's own word.
    pub from: i64,
    /// In which chat the message with the button is, where Telegram tells.
    pub chat: Option<i64>,
    /// That message, where Telegram tells.
    pub message: Option<i64>,
    /// The button's data. Any client may put anything here.
    pub data: String,
}

/// Something was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// Where.
    pub chat: i64,
    /// Whether that is a chat with one person.
    pub private: bool,
    /// In which topic, if the chat has topics.
    pub topic: Option<i32>,
    /// Its id there.
    pub id: i64,
    /// Who wrote it; none for a channel's post.
    pub from: Option<i64>,
    /// Why it cannot count, whoever wrote it.
    pub void: Option<Void>,
    /// What was written, also under a file.
    pub text: String,
    /// The file that came with it, or with what it replies to.
    pub attached: Option<Attached>,
    /// The message of our bot that it replies to.
    pub replies_to: Option<Replied>,
}

/// A file at Telegram.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attached {
    /// By which it is fetched.
    pub file_id: String,
    /// Its size in bytes, where Telegram tells.
    pub bytes: Option<u64>,
}

/// Why what was written cannot count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Void {
    /// An anonymous admin or a channel spoke: nobody can say who that is.
    Anonymous,
    /// Somebody else wrote it, at some other time.
    Forwarded,
    /// A bot wrote it.
    Bot,
    /// A bot made it, and somebody sent it on.
    ViaBot,
}

/// A message of ours that somebody replies to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Replied {
    /// Its id.
    pub message: i64,
    /// The data of its buttons.
    pub tokens: Vec<String>,
    /// What it says.
    pub text: String,
}

impl Update {
    /// Reads the raw update for the bot with the id `bot`.
    pub fn read(raw: &Value, bot: i64) -> Self {
        if let Some(tap) = raw.get("callback_query") {
            return read_tap(tap).map_or(Self::Other, Self::Tap);
        }
        if let Some(change) = raw.get("my_chat_member") {
            return read_membership(change).unwrap_or(Self::Other);
        }
        match raw.get("message") {
            Some(message) => read_message(message, bot).unwrap_or(Self::Other),
            None => Self::Other,
        }
    }
}

fn read_tap(tap: &Value) -> Option<Tap> {
    let message = tap.get("message");
    Some(Tap {
        id: text(tap.get("id"), DATA_MAX * 2)?,
        from: number(tap.pointer("/from/id"))?,
        chat: number(message.and_then(|message| message.pointer("/chat/id"))),
        message: number(message.and_then(|message| message.get("message_id"))),
        data: text(tap.get("data"), DATA_MAX).unwrap_or_default(),
    })
}

fn read_membership(change: &Value) -> Option<Update> {
    Some(Update::Membership {
        chat: number(change.pointer("/chat/id"))?,
        present: may_write(change.get("new_chat_member")?)?,
        was_present: change.get("old_chat_member").and_then(may_write).unwrap_or(false),
        title: text(change.pointer("/chat/title"), 1024).unwrap_or_default(),
    })
}

/// Whether a member of that kind may write; none if it is no member of any kind.
fn may_write(member: &Value) -> Option<bool> {
    let is = |field: &str| member.get(field).and_then(Value::as_bool).unwrap_or(true);
    Some(match member.get("status")?.as_str()? {
        "creator" | "administrator" | "member" => true,
        "restricted" => is("is_member") && is("can_send_messages"),
        _ => false,
    })
}

fn read_message(message: &Value, bot: i64) -> Option<Update> {
    let chat = number(message.pointer("/chat/id"))?;
    if let Some(to) = number(message.get("migrate_to_chat_id")) {
        return Some(Update::Migrated { from: chat, to });
    }
    if let Some(from) = number(message.get("migrate_from_chat_id")) {
        return Some(Update::Migrated { from, to: chat });
    }
    let has = |key: &str| message.get(key).is_some();
    let is_bot = message.pointer("/from/is_bot").and_then(Value::as_bool).unwrap_or(false);
    let void = if has("sender_chat") {
        Some(Void::Anonymous)
    } else if has("forward_origin") || has("forward_date") || has("forward_from") {
        Some(Void::Forwarded)
    } else if is_bot {
        Some(Void::Bot)
    } else if has("via_bot") {
        Some(Void::ViaBot)
    } else {
        None
    };
    let in_topic = message.get("is_topic_message").and_then(Value::as_bool).unwrap_or(false);
    let topic = number(message.get("message_thread_id")).filter(|_| in_topic);
    Some(Update::Message(Message {
        chat,
        private: message.pointer("/chat/type").and_then(Value::as_str) == Some("private"),
        topic: topic.and_then(|topic| i32::try_from(topic).ok()),
        id: number(message.get("message_id"))?,
        from: number(message.pointer("/from/id")),
        void,
        text: text(message.get("text").or_else(|| message.get("caption")), TEXT_MAX).unwrap_or_default(),
        attached: read_attached(message).or_else(|| message.get("reply_to_message").and_then(read_attached)),
        replies_to: message.get("reply_to_message").and_then(|replied| read_replied(replied, bot)),
    }))
}

fn read_attached(message: &Value) -> Option<Attached> {
    let document = message.get("document")?;
    Some(Attached {
        file_id: text(document.get("file_id"), FILE_ID_MAX)?,
        bytes: document.get("file_size").and_then(Value::as_u64),
    })
}

/// Only a reply to our own bot's message is one to us.
fn read_replied(replied: &Value, bot: i64) -> Option<Replied> {
    if number(replied.pointer("/from/id"))? != bot {
        return None;
    }
    let rows = replied.pointer("/reply_markup/inline_keyboard").and_then(Value::as_array);
    let buttons = rows.into_iter().flatten().filter_map(Value::as_array).flatten();
    Some(Replied {
        message: number(replied.get("message_id"))?,
        tokens: buttons.filter_map(|button| text(button.get("callback_data"), DATA_MAX)).collect(),
        text: text(replied.get("text"), TEXT_MAX).unwrap_or_default(),
    })
}

fn number(value: Option<&Value>) -> Option<i64> {
    value.and_then(Value::as_i64)
}

fn text(value: Option<&Value>, max: usize) -> Option<String> {
    value.and_then(Value::as_str).filter(|text| text.len() <= max).map(str::to_owned)
}

/// The command in `text`, without the bot's name: `/deny@our_bot 7K3QXM no` is `/deny 7K3QXM no`. None if it
/// is no command, or one for another bot.
pub fn command_for(text: &str, username: &str) -> Option<String> {
    let text = text.trim();
    let (word, rest) = text.split_once(char::is_whitespace).unwrap_or((text, ""));
    let name = word.strip_prefix('/')?;
    let name = match name.split_once('@') {
        Some((name, to)) if to.eq_ignore_ascii_case(username) => name,
        Some(_) => return None,
        None => name,
    };
    let is_name = !name.is_empty() && name.len() <= 32 && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
    is_name.then(|| format!("/{name} {rest}").trim_end().to_owned())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(raw: Value) -> Update {
        Update::read(&raw, 7)
    }

    fn message(more: Value) -> Value {
        let mut message = json!({"message_id": 5, "date": 1, "chat": {"id": -100, "type": "supergroup"},
            "from": {"id": 42, "is_bot": false, "first_name": "Kim"}, "text": "/pending"});
        for (key, value) in more.as_object().unwrap() {
            message[key] = value.clone();
        }
        json!({"update_id": 1, "message": message})
    }

    #[test]
    fn taps_are_read_whatever_else_they_hold() {
        let tap = json!({"update_id": 1, "callback_query": {"id": "99", "from": {"id": 42, "new": [1]}, "data": "tok",
            "chat_instance": "x", "message": {"message_id": 5, "date": 0, "chat": {"id": -100, "type": "new"}}}});
        let expected = Tap { id: "99".into(), from: 42, chat: Some(-100), message: Some(5), data: "tok".into() };
        assert_eq!(read(tap), Update::Tap(expected));
        let bare = json!({"callback_query": {"id": "99", "from": {"id": 42}, "inline_message_id": "x", "data": 5}});
        let expected = Tap { id: "99".into(), from: 42, chat: None, message: None, data: String::new() };
        assert_eq!(read(bare), Update::Tap(expected));
        assert_eq!(read(json!({"callback_query": {"id": "99"}})), Update::Other);
    }

    #[test]
    fn what_cannot_count_is_known() {
        for (more, void) in [
            (json!({}), None),
            (json!({"sender_chat": {"id": -100}}), Some(Void::Anonymous)),
            (json!({"forward_origin": {"type": "user"}}), Some(Void::Forwarded)),
            (json!({"from": {"id": 9, "is_bot": true}}), Some(Void::Bot)),
            (json!({"via_bot": {"id": 9}}), Some(Void::ViaBot)),
        ] {
            let Update::Message(read) = read(message(more.clone())) else { panic!("{more}") };
            assert_eq!(read.void, void, "{more}");
        }
        for raw in [json!({}), json!({"edited_message": {}}), json!({"message": {}}), json!([]), json!({"message": 5})]
        {
            assert_eq!(read(raw.clone()), Update::Other, "{raw}");
        }
    }

    #[test]
    fn what_stands_under_a_picture_is_said_too() {
        let mut raw = message(json!({"photo": [{"file_id": "x"}], "caption": "/deny 7K3QXM see the graph"}));
        raw["message"].as_object_mut().unwrap().remove("text");
        let Update::Message(read) = read(raw) else { panic!() };
        assert_eq!((read.text.as_str(), read.attached), ("/deny 7K3QXM see the graph", None));
    }

    #[test]
    fn only_a_reply_to_our_bot_is_one() {
        let markup = json!({"inline_keyboard": [[{"text": "x", "callback_data": "t1"}], [{"text": "y", "url": "u"}]]});
        let reply = |from: i64| {
            json!({"reply_to_message": {"message_id": 4, "from": {"id": from}, "text": "Code 7K3QXM",
            "reply_markup": markup}})
        };
        let Update::Message(to_us) = read(message(reply(7))) else { panic!() };
        let replied = to_us.replies_to.unwrap();
        assert_eq!((replied.message, replied.tokens), (4, vec!["t1".to_owned()]));
        let Update::Message(to_another) = read(message(reply(8))) else { panic!() };
        assert_eq!(to_another.replies_to, None);
    }

    #[test]
    fn topics_and_moves() {
        let topic = |is: bool| json!({"message_thread_id": 12, "is_topic_message": is});
        let Update::Message(inside) = read(message(topic(true))) else { panic!() };
        let Update::Message(chain) = read(message(topic(false))) else { panic!() };
        assert_eq!((inside.topic, chain.topic), (Some(12), None));
        let moved = Update::Migrated { from: -100, to: -1005 };
        assert_eq!(read(message(json!({"migrate_to_chat_id": -1005}))), moved);
        let arrived = json!({"chat": {"id": -1005}, "migrate_from_chat_id": -100});
        assert_eq!(read(message(arrived)), moved);
        let kicked =
            json!({"my_chat_member": {"chat": {"id": -1, "title": "Ops"}, "new_chat_member": {"status": "kicked"}}});
        assert_eq!(
            read(kicked),
            Update::Membership { chat: -1, present: false, was_present: false, title: "Ops".into() }
        );
    }

    #[test]
    fn a_command_for_another_bot_is_none() {
        for (text, expected) in [
            ("/deny@Our_Bot 7K3QXM too late", Some("/deny 7K3QXM too late")),
            ("/pending", Some("/pending")),
            ("/deny@other_bot 7K3QXM", None),
            ("deny 7K3QXM", None),
            ("/", None),
            ("//x", None),
            ("/\u{202e}deny", None),
        ] {
            assert_eq!(command_for(text, "our_bot").as_deref(), expected, "{text}");
        }
    }
}
