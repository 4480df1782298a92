//! Load, validate and explain the files under `config/`.

mod text;

pub use text::{TextError, json_to_value, yaml_to_value};
