//! Everything that is SQL, and the embedded ClickHouse server.

pub mod embedded;
