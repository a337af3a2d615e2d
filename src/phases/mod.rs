//! One file a subcommand: a short sequence of named steps that returns a typed result.

pub mod clickhouse;
