//! Stories: each plays one thing that happens between agents, people and the gate, from end to end
//! with the real program, and reads as one.

mod between;
mod commands;
mod daemon;
mod decisions;
mod files;
mod keepers;
mod missions;
mod people;
mod policy;
mod sending;
mod time;
mod waiting;
