//! Telegram: our own Bot API server's manners, checked by itself and by clients that nobody here wrote.

mod fake;
mod foreign;
