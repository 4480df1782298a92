//! Stories over relays: the real daemon, a relay in this process, and people with clients of their own.

mod answers;
mod by_hand;
mod cases;
mod compares;
mod crowds;
mod decisions;
mod foreign;
mod keys;
mod manners;
mod marks;
mod outages;
pub mod phone;
mod refusals;
mod remote;
mod rogue;
mod rogues;
pub mod room;
mod signing;
mod threads;
mod together;
