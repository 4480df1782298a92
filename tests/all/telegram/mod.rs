//! Telegram: the real daemon against our own Bot API server; that server's manners, checked by itself and by
//! clients that nobody here wrote.

mod decisions;
mod fake;
mod foreign;
mod room;
