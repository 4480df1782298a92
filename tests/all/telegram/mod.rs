//! Telegram: the real daemon against our own Bot API server; that server's manners, checked by itself and by
//! clients that nobody here wrote.

mod away;
mod chats;
mod decisions;
mod doctor;
mod drill;
mod endings;
mod fake;
mod flood;
mod foreign;
mod init;
mod missions;
mod nobody;
mod outgoing;
mod polling;
pub mod room;
mod together;
mod topics;
mod updates;
mod words;
