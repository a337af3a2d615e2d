//! What the program promises, a file a behaviour, against a genuine ClickHouse engine that all of them share.

mod common;
mod pnl_definitions;
mod pnl_flows;
mod pnl_world;

mod chain;
mod cli;
mod clob;
mod cluster;
mod demo;
mod derive;
mod docs;
mod doctor;
mod endings;
mod generations;
mod ids;
mod inputs;
mod lease;
mod map_engines;
mod outputs;
mod pipeline;
mod prove;
mod redirects;
mod repair;
mod run;
mod settings;
mod snapshots;
mod sources;
mod status;
mod structure;
mod tracks;
mod traps;
mod validate;
mod verify;
mod workers;
