//! The world as the Bot API shows it: JSON objects of users, chats and messages.

use serde_json::{Value, json};

use super::world::{Chat, GROUP_ANONYMOUS_BOT, Kind, Message, Role, User, World};
use super::{BOT, BOT_NAME};

impl World {
    /// A `User`.
    pub(super) fn user_json(&self, id: i64) -> Value {
        if id == BOT {
            return json!({"id": BOT, "is_bot": true, "first_name": "Lazarus", "username": BOT_NAME});
        }
        if id == GROUP_ANONYMOUS_BOT {
            return json!({"id": id, "is_bot": true, "first_name": "Group", "username": "GroupAnonymousBot"});
        }
        let unknown = User { id, name: format!("user {id}"), username: None, language: None, is_bot: false };
        let user = self.users.get(&id).unwrap_or(&unknown);
        let mut shown = json!({"id": id, "is_bot": user.is_bot, "first_name": user.name});
        if let Some(username) = &user.username {
            shown["username"] = json!(username);
        }
        if let Some(language) = &user.language {
            shown["language_code"] = json!(language);
        }
        shown
    }

    /// A `Chat`, as it stands in messages.
    pub(super) fn chat_json(&self, id: i64) -> Value {
        let Some(chat) = self.chats.get(&id) else { return json!({"id": id, "type": "private", "first_name": "?"}) };
        match chat.kind {
            Kind::Private => {
                let mut shown = self.user_json(id);
                if let Some(fields) = shown.as_object_mut() {
                    fields.remove("is_bot");
                    fields.remove("language_code");
                }
                shown["type"] = json!("private");
                shown
            }
            Kind::Group => json!({
                "id": id, "type": "group", "title": chat.title, "all_members_are_administrators": false,
                "accepted_gift_types": accepted_gifts(),
            }),
            Kind::Supergroup if chat.is_forum => {
                json!({"id": id, "type": "supergroup", "title": chat.title, "is_forum": true})
            }
            Kind::Supergroup => json!({"id": id, "type": "supergroup", "title": chat.title}),
            Kind::Channel => json!({"id": id, "type": "channel", "title": chat.title}),
        }
    }

    /// A `ChatFullInfo`, as getChat answers.
    pub(super) fn full_chat_json(&self, id: i64) -> Value {
        let mut shown = self.chat_json(id);
        let Some(chat) = self.chats.get(&id) else { return shown };
        shown["accent_color_id"] = json!(0);
        shown["max_reaction_count"] = json!(11);
        shown["accepted_gift_types"] = accepted_gifts();
        if chat.kind != Kind::Private && chat.kind != Kind::Channel {
            shown["permissions"] = permissions();
        }
        if let Kind::Supergroup = chat.kind {
            shown["join_to_send_messages"] = json!(true);
        }
        shown
    }

    /// A `Message`, with the one it replies to.
    pub(super) fn message_json(&self, message: &Message) -> Value {
        let mut shown = self.bare_message_json(message);
        let chat = self.chats.get(&message.chat);
        let in_topic = chat.is_some_and(|chat| chat.is_forum);
        // In a topic, what replies to nothing "replies" to the service message that opened the topic.
        let replied = message.reply_to.or(message.thread.filter(|thread| in_topic && *thread != message.id));
        if let Some(replied) = replied.and_then(|id| chat?.messages.get(&id)) {
            shown["reply_to_message"] = self.bare_message_json(replied);
        }
        shown
    }

    fn bare_message_json(&self, message: &Message) -> Value {
        let mut shown = Value::Object(message.more.clone());
        shown["message_id"] = json!(message.id);
        shown["date"] = json!(message.date);
        shown["chat"] = self.chat_json(message.chat);
        if let Some(from) = message.from {
            shown["from"] = self.user_json(from);
        }
        if let Some(sender) = message.sender_chat {
            shown["sender_chat"] = self.chat_json(sender);
        }
        if let Some(edited) = message.edited {
            shown["edit_date"] = json!(edited);
        }
        // With a document the text is its caption.
        let (text, entities) = match message.more.get("document") {
            Some(_) => ("caption", "caption_entities"),
            None => ("text", "entities"),
        };
        if !message.text.is_empty() {
            shown[text] = json!(message.text);
        }
        if !message.entities.is_empty() {
            shown[entities] = json!(message.entities);
        }
        if let Some(keyboard) = &message.keyboard {
            shown["reply_markup"] = keyboard.clone();
        }
        if let Some(thread) = message.thread {
            shown["message_thread_id"] = json!(thread);
            if self.chats.get(&message.chat).is_some_and(|chat| chat.is_forum) {
                shown["is_topic_message"] = json!(true);
            }
        }
        shown
    }

    /// A `ChatMember`.
    pub(super) fn member_json(&self, chat: &Chat, user: i64) -> Value {
        let user_json = self.user_json(user);
        match chat.role(user) {
            Role::Creator => json!({"status": "creator", "user": user_json, "is_anonymous": false}),
            Role::Administrator => {
                let mut shown = json!({
                    "status": "administrator", "user": user_json, "can_be_edited": false, "is_anonymous": false,
                    "can_manage_chat": true, "can_delete_messages": true, "can_manage_video_chats": true,
                    "can_restrict_members": true, "can_promote_members": false, "can_change_info": true,
                    "can_invite_users": true, "can_post_stories": false, "can_edit_stories": false,
                    "can_delete_stories": false, "can_send_welcome_messages": false,
                });
                let of_kind: &[&str] = match chat.kind {
                    Kind::Channel => &["can_post_messages", "can_edit_messages", "can_manage_direct_messages"],
                    Kind::Private | Kind::Group | Kind::Supergroup => &["can_pin_messages", "can_manage_topics"],
                };
                for right in of_kind {
                    shown[right] = json!(true);
                }
                shown
            }
            Role::Member => json!({"status": "member", "user": user_json}),
            Role::Muted => {
                let mut shown = permissions();
                for (_, may) in shown.as_object_mut().into_iter().flatten() {
                    *may = json!(false);
                }
                shown["status"] = json!("restricted");
                shown["user"] = user_json;
                shown["is_member"] = json!(true);
                shown["until_date"] = json!(0);
                shown
            }
            Role::Left => json!({"status": "left", "user": user_json}),
            Role::Kicked => json!({"status": "kicked", "user": user_json, "until_date": 0}),
        }
    }
}

fn accepted_gifts() -> Value {
    json!({
        "unlimited_gifts": false, "limited_gifts": false, "unique_gifts": false, "premium_subscription": false,
        "gifts_from_channels": false,
    })
}

fn permissions() -> Value {
    json!({
        "can_send_messages": true, "can_send_audios": true, "can_send_documents": true, "can_send_photos": true,
        "can_send_videos": true, "can_send_video_notes": true, "can_send_voice_notes": true, "can_send_polls": true,
        "can_send_other_messages": true, "can_add_web_page_previews": true, "can_react_to_messages": true,
        "can_edit_tag": false, "can_change_info": false, "can_invite_users": true, "can_pin_messages": false,
        "can_manage_topics": false,
    })
}
