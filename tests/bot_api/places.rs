//! Chats and people, and what becomes of them: joining, leaving, rights, topics, migration.

use std::time::Duration;

use serde_json::{Value, json};

use super::people::publish;
use super::world::{Chat, Kind, Message, Role, Topic, User};
use super::{BOT, BotApi, State};

impl BotApi {
    /// Adds a person, who has started a private chat with the bot; its id is theirs. Who has not:
    /// `give_role(id, BOT, Role::Left)`. Returns `id`.
    pub fn add_user(&self, id: i64, name: &str) -> i64 {
        self.change(|state| {
            let user =
                User { id, name: name.to_owned(), username: None, language: Some("en".to_owned()), is_bot: false };
            state.world.users.insert(id, user);
            let mut chat = Chat::new(id, Kind::Private, name);
            chat.members.extend([(id, Role::Member), (BOT, Role::Member)]);
            state.world.chats.insert(id, chat);
        });
        id
    }

    /// Adds another bot. Returns `id`.
    pub fn add_bot(&self, id: i64, name: &str) -> i64 {
        self.add_user(id, name);
        self.change(|state| {
            state.world.chats.remove(&id);
            if let Some(user) = state.world.users.get_mut(&id) {
                user.is_bot = true;
                user.username = Some(format!("{}_bot", name.to_lowercase()));
            }
        });
        id
    }

    /// Gives a person a user name.
    pub fn name_user(&self, id: i64, username: &str) {
        self.change(|state| {
            let user = state.world.users.get_mut(&id).unwrap_or_else(|| panic!("the test's world has no user {id}"));
            user.username = Some(username.to_owned());
        });
    }

    /// Adds a small group, with the bot as a plain member. Group ids are negative. Returns `id`.
    pub fn add_group(&self, id: i64, title: &str, members: &[i64]) -> i64 {
        self.add_chat(Chat::new(id, Kind::Group, title), members)
    }

    /// Adds a supergroup, with the bot as a plain member. Their ids begin with -100. Returns `id`.
    pub fn add_supergroup(&self, id: i64, title: &str, members: &[i64]) -> i64 {
        self.add_chat(Chat::new(id, Kind::Supergroup, title), members)
    }

    /// Adds a supergroup with topics. Returns `id`.
    pub fn add_forum(&self, id: i64, title: &str, members: &[i64]) -> i64 {
        let mut chat = Chat::new(id, Kind::Supergroup, title);
        chat.is_forum = true;
        // The first message is the General topic's, whose number no other topic has.
        chat.last_message = 1;
        self.add_chat(chat, members)
    }

    /// Adds a channel, with the bot as an administrator. Returns `id`.
    pub fn add_channel(&self, id: i64, title: &str, members: &[i64]) -> i64 {
        self.add_chat(Chat::new(id, Kind::Channel, title), members);
        self.give_role(id, BOT, Role::Administrator);
        id
    }

    fn add_chat(&self, mut chat: Chat, members: &[i64]) -> i64 {
        let id = chat.id;
        chat.members.extend(members.iter().map(|user| (*user, Role::Member)));
        if let Some(first) = members.first() {
            chat.members.insert(*first, Role::Creator);
        }
        chat.members.insert(BOT, Role::Member);
        self.change(|state| state.world.chats.insert(id, chat));
        id
    }

    /// The first of a forum's members opens a topic. Returns its thread id.
    pub fn add_topic(&self, chat: i64, name: &str) -> i64 {
        self.change(|state| {
            let service = json!({"name": name, "icon_color": 7_322_096});
            let mut message = service_message(state, chat, "forum_topic_created", service);
            let id = message.id;
            message.thread = Some(id);
            state.world.chat(chat).topics.insert(id, Topic { name: name.to_owned(), closed: false });
            publish(state, message)
        })
    }

    /// Closes a topic: only administrators write there.
    pub fn close_topic(&self, chat: i64, thread: i64) {
        self.change(|state| {
            let mut message = service_message(state, chat, "forum_topic_closed", json!({}));
            message.thread = Some(thread);
            state.world.chat(chat).topics.entry(thread).and_modify(|topic| topic.closed = true);
            publish(state, message);
        });
    }

    /// Deletes a topic, with all that was said in it. Bots are not told.
    pub fn delete_topic(&self, chat: i64, thread: i64) {
        self.change(|state| {
            let chat = state.world.chat(chat);
            chat.topics.remove(&thread);
            chat.messages.retain(|_, message| message.thread != Some(thread));
        });
    }

    /// Gives somebody another role; nobody is told.
    pub fn give_role(&self, chat: i64, user: i64, role: Role) {
        self.change(|state| state.world.chat(chat).members.insert(user, role));
    }

    /// Whether the bot reads everything said in groups ("privacy mode" off); at first it does not.
    pub fn reads_all(&self, all: bool) {
        self.change(|state| state.settings.reads_all = all);
    }

    /// Somebody throws the bot out, which it is told by `my_chat_member`.
    pub fn kick_bot(&self, chat: i64, by: i64) {
        self.bot_becomes(chat, by, Role::Kicked);
    }

    /// Somebody adds the bot again, as a plain member.
    pub fn bring_bot_back(&self, chat: i64, by: i64) {
        self.bot_becomes(chat, by, Role::Member);
    }

    /// A person blocks the bot.
    pub fn block_bot(&self, user: i64) {
        self.bot_becomes(user, user, Role::Kicked);
    }

    /// A person lets the bot write again.
    pub fn unblock_bot(&self, user: i64) {
        self.bot_becomes(user, user, Role::Member);
    }

    /// Somebody changes what the bot is in a chat, which it is told by `my_chat_member`.
    pub fn bot_becomes(&self, chat: i64, by: i64, role: Role) {
        self.change(|state| {
            let old = state.world.member_json(&state.world.chats[&chat], BOT);
            state.world.chat(chat).members.insert(BOT, role);
            let new = state.world.member_json(&state.world.chats[&chat], BOT);
            let update = json!({
                "chat": state.world.chat_json(chat), "from": state.world.user_json(by), "date": state.clock.now(),
                "old_chat_member": old, "new_chat_member": new,
            });
            state.queue.push("my_chat_member", update, state.clock.now_ms());
        });
    }

    /// A group becomes a supergroup with a new id: both chats tell so by a service message, and the old
    /// id only leads to the new one.
    pub fn migrate(&self, group: i64, supergroup: i64) {
        self.change(|state| {
            let mut new = Chat::new(supergroup, Kind::Supergroup, "");
            let old = state.world.chat(group);
            assert_eq!(old.kind, Kind::Group, "only groups become supergroups");
            new.title.clone_from(&old.title);
            new.members.clone_from(&old.members);
            state.world.chats.insert(supergroup, new);
            let there = service_message(state, group, "migrate_to_chat_id", json!(supergroup));
            publish(state, there);
            let old = state.world.chat(group);
            old.migrated_to = Some(supergroup);
            old.members.insert(BOT, Role::Left);
            let here = service_message(state, supergroup, "migrate_from_chat_id", json!(group));
            publish(state, here);
        });
    }

    /// For so long a tap can be answered, on the server's clock; 15 s at first.
    pub fn answer_within(&self, time: Duration) {
        self.change(|state| state.settings.answer_within = time);
    }

    /// From now on the token is no longer good: every call is answered 401.
    pub fn revoke_token(&self, revoked: bool) {
        self.change(|state| state.settings.revoked = revoked);
    }

    /// The bot's commands by scope, as `chat -1001 / en`, `default`.
    pub fn commands(&self) -> Value {
        Value::Object(self.state().settings.commands.clone())
    }

    /// Sets a webhook, as another program with the same token may; an empty one deletes it.
    pub fn put_webhook(&self, url: &str) {
        self.change(|state| url.clone_into(&mut state.settings.webhook));
    }
}

/// A message that Telegram itself writes, in the name of the chat's first member.
fn service_message(state: &mut State, chat: i64, field: &str, content: Value) -> Message {
    let now = state.clock.now();
    let chat = state.world.chat(chat);
    let author = chat.members.keys().copied().find(|user| *user != BOT);
    let mut message = chat.draft(author, now);
    message.more.insert(field.to_owned(), content);
    message
}
