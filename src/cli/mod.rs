//! The command line: one file per subcommand, thin.

pub mod check;
pub mod init;
pub mod plan;
