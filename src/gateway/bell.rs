use tokio::sync::{Notify, watch};

use super::owed::Owed;
use crate::approval::Channel;

/// Wakes tasks earlier than their period would. The store is the only thing the tasks share: a
/// ring that is lost costs time, never work.
#[derive(Debug)]
pub struct Bells {
    /// An input was appended.
    pub inbox: Notify,
    /// Something about a case may have changed.
    pub plan: Notify,
    /// An execution may have become ready.
    pub revive: Notify,
    /// Something on the mission bus was committed: a handoff may end sooner than any before.
    pub mission: Notify,
    /// A message may be due on the terminal.
    terminal: Notify,
    /// A message may be due on Telegram.
    telegram: Notify,
    /// A message may be due on Nostr.
    nostr: Notify,
    /// The files may have changed (SIGHUP).
    pub reload: Notify,
    /// The files were loaded: a channel that was stopped may be mended.
    pub mended: Notify,
    /// The same, for Nostr: a ring is heard by one.
    pub mended_nostr: Notify,
    stopping: watch::Sender<bool>,
}

impl Default for Bells {
    fn default() -> Self {
        Self {
            inbox: Notify::new(),
            plan: Notify::new(),
            revive: Notify::new(),
            mission: Notify::new(),
            terminal: Notify::new(),
            telegram: Notify::new(),
            nostr: Notify::new(),
            reload: Notify::new(),
            mended: Notify::new(),
            mended_nostr: Notify::new(),
            stopping: watch::Sender::new(false),
        }
    }
}

impl Bells {
    /// Something was committed that any task may want to see.
    pub fn committed(&self) {
        self.plan.notify_one();
        self.revive.notify_one();
        self.deliver();
    }

    /// A message may be due. Whom a task rings last runs next on its thread: whoever tapped looks at a spinner.
    pub fn deliver(&self) {
        self.terminal.notify_one();
        self.nostr.notify_one();
        self.telegram.notify_one();
    }

    /// Wakes those alone who have an answer to send on the short way.
    pub fn answer(&self, owed: &Owed) {
        for channel in [Channel::Terminal, Channel::Nostr, Channel::Telegram] {
            if owed.is_ready_on(channel.key()) {
                self.of(channel).notify_one();
            }
        }
    }

    /// The bell of whoever sends on `channel`.
    pub fn of(&self, channel: Channel) -> &Notify {
        match channel {
            Channel::Terminal | Channel::Cli => &self.terminal,
            Channel::Telegram => &self.telegram,
            Channel::Nostr => &self.nostr,
        }
    }

    /// Tells every task to finish what is in hand and stop.
    pub fn stop(&self) {
        self.stopping.send_replace(true);
    }

    /// Whether that was told.
    pub fn is_stopping(&self) -> bool {
        *self.stopping.borrow()
    }

    /// Ends when that is told.
    pub async fn stopped(&self) {
        let mut stopping = self.stopping.subscribe();
        // The sender lives as long as `self`, so an error cannot come.
        let _ = stopping.wait_for(|stopping| *stopping).await;
    }
}
