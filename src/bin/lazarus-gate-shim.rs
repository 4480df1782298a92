//! The shim as a program of its own: the same code as `lazarus-gate shim`, without all that a daemon needs besides, and
//! therefore started in a fraction of the time. The daemon takes it if it lies beside `lazarus-gate` and is of the very
//! same build; nothing else depends on it being there.
#![forbid(unsafe_code)]

use std::process::ExitCode;

fn main() -> ExitCode {
    lazarus_gate::revival::shim::main_alone(std::env::args_os().skip(1))
}
