//! One process: settings, logging, one command, an exit code.
fn main() {}
