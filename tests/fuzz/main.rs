//! Every parser of what others write, fed with what nobody would write: no panic, no hang, no secret in a message.
//!
//! Runs on the stable toolchain. Each target begins with its corpus (`tests/fuzz/corpus/TARGET/`, kept in the
//! repository), changes it at random (bytes, and JSON node by node), and keeps what leads to an outcome that was not
//! seen before. Without a setting each target is tried a few hundred times, always the same ones. `FUZZ_SECONDS=1800
//! cargo test --release --test fuzz -- --nocapture` gives each half an hour; `FUZZ_SEED=n` repeats one.

mod apis;
mod chain;
mod files;
mod harness;
mod lines;
mod mutate;
mod server;
mod texts;
