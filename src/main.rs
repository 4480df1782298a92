//! The `lazarus-gate` binary.
#![forbid(unsafe_code)]
fn main() {}
