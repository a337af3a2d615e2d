//! What wallets did beside trading, from the logs of their transactions (no I/O): splits, merges, redemptions,
//! conversions, migrations, transfers, and the fees of their fills.
//!
//! [`FlowEvent`] is what one log says. Which wallet an event belongs to the event itself does not always say: where a
//! user goes through a collateral adapter or the router, it names those. What moved for whom stands in the ERC-1155
//! transfers of the same transaction, so [`flows_of`] takes a transaction whole: the wallet's transfers less its fills
//! are what its other flows have to account for, and what none accounts for is a transfer of the wallet's own.

mod assign;
mod event;
mod filters;
pub mod signatures;

pub use assign::{FlowRow, FlowRules, flows_of};
pub use event::{ChainFill, Change, FlowEvent, decode_flow};
pub use filters::{
    FlowContracts, changes_filter, exchanges, fills_filter, market_filter, stakeholder_filter, topic_of,
};

#[cfg(test)]
mod tests;
