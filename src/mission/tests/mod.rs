mod chain;
mod command;
mod incarnation;
mod part;
mod properties;
mod roles;
