//! The `lazarus-gate` binary.
#![forbid(unsafe_code)]

use std::process::ExitCode;

fn main() -> ExitCode {
    // The shim stands between a decision and its command: it starts before any runtime, argument
    // parser or logging, so that it is there at once and nothing of those can fail it.
    let mut args = std::env::args_os().skip(1);
    if args.next().is_some_and(|verb| verb == "shim") {
        return lazarus_gate::revival::shim::main(args);
    }
    lazarus_gate::cli::main(std::env::args_os())
}
