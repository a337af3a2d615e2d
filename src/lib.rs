//! Fills `ctf_token_map`: which market and which outcome each traded Polymarket token stands for.

pub mod ctf;
pub mod ids;
pub mod phases;
pub mod store;
