//! Token ids from condition ids: derive and prove (no I/O).
//!
//! A token id is a hash of its condition, outcome index and collateral, as computed by Gnosis' Conditional Tokens
//! contract (`CTHelpers.sol`).

use crate::ids::Address;

/// A token that backs positions: the address that went into the hash, and the name it has in our tables.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Collateral {
    /// The name that rows are stamped with, such as `usdc_e`.
    pub name: String,
    /// The contract's address on Polygon.
    pub address: Address,
}
