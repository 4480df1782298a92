//! Stories over relays: the real daemon, a relay in this process, and people with clients of their own.

mod answers;
mod by_hand;
mod decisions;
mod outages;
mod phone;
mod refusals;
mod rogue;
mod rogues;
mod room;
mod together;
