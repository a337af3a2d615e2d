//! The wallets' flows: what they did beside trading, as `backfill flows` or somebody else wrote it down.

use std::collections::BTreeMap;

use crate::pnl::{Flow, FlowKind};

/// What is known of a wallet's flows.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct WalletFlows {
    /// The flows, in the order of the chain.
    pub flows: Vec<Flow>,
    /// Whether the wallet's flows are known at all: what is not among them did not happen.
    pub known: bool,
    /// Whether fees are among them.
    pub fees: bool,
}

impl WalletFlows {
    /// How many there are of each kind.
    pub fn counts(&self) -> BTreeMap<FlowKind, u64> {
        let mut counts = BTreeMap::new();
        for flow in &self.flows {
            *counts.entry(flow.kind).or_default() += 1;
        }
        counts
    }
}
