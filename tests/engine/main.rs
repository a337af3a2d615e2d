//! The embedded engine itself: fetched, started, stopped, refused. Each test starts engines of its own.

#[path = "../it/common/mod.rs"]
mod common;

mod commands;
mod fetch;
mod server;
