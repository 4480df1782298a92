//! The command line: one file per subcommand, thin.

pub mod plan;
