//! Every test that works on the library or the binary from outside, in one binary, so that the
//! crate is linked once.
#![forbid(unsafe_code)]

mod acceptance;
#[path = "../bot_api/mod.rs"]
mod bot_api;
#[cfg(feature = "failpoints")]
mod crash;
mod documents;
mod door;
mod nostr;
mod plan;
mod shared_shim;
mod shim;
mod small_shim;
mod stories;
mod systemd;
mod takeover;
mod telegram;
mod vectors;
mod world;
