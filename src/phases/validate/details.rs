//! [`PnlDetails`]: a wallet's P&L by all definitions, its fees, its signs and its waterfall, as an object and a page
//! show them.

use std::collections::BTreeMap;

use super::waterfall::Table;
use super::{Fees, Signs, WalletResult};
use crate::pnl::{Definitions, Gap, Micro, Usd};

/// The users' tables by their names, which evidence points to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EvidenceTables {
    /// The fills.
    pub fills: String,
    /// The token map.
    pub token_map: String,
    /// The resolutions.
    pub resolutions: String,
    /// The flows.
    pub flows: String,
}

impl EvidenceTables {
    fn name(&self, table: Table) -> &str {
        match table {
            Table::Fills => &self.fills,
            Table::TokenMap => &self.token_map,
            Table::Resolutions => &self.resolutions,
            Table::Flows => &self.flows,
            Table::None => "",
        }
    }
}

/// What stands beside a wallet's total.
#[derive(Debug, Clone, PartialEq)]
pub struct PnlDetails {
    /// The definition that is compared: `resolved`, `certain` or `average-cost`.
    pub method: String,
    /// The total by each definition.
    pub definitions: DefinitionTotals,
    /// What stands between `resolved` and each of the others.
    pub differences: Differences,
    /// What exchanges took.
    pub fees: FeeTotals,
    /// Flows of each kind that are known.
    pub flows: BTreeMap<String, u64>,
    /// Parts of flows in tokens that are in no position.
    pub flows_without_position: u64,
    /// Signs that something is missing.
    pub signs: SignCounts,
    /// From the expected to the computed total; the amounts add up to their difference exactly.
    pub waterfall: Vec<WaterfallStep>,
}

/// A wallet's P&L by each definition.
#[derive(Debug, Clone, PartialEq)]
pub struct DefinitionTotals {
    /// Every position of a resolved condition.
    pub resolved: Usd,
    /// Those, and what no payout can change in open markets.
    pub certain: Usd,
    /// Sales and redemptions against the average cost.
    pub average_cost: Usd,
    /// The same in the integers of Polymarket's subgraph.
    pub average_cost_subgraph: Usd,
}

/// What stands between the definitions.
#[derive(Debug, Clone, PartialEq)]
pub struct Differences {
    /// From `resolved` to `certain`.
    pub certain: Vec<DefinitionGap>,
    /// From `resolved` to `average-cost`.
    pub average_cost: Vec<DefinitionGap>,
}

/// What one cause adds on the way to another definition.
#[derive(Debug, Clone, PartialEq)]
pub struct DefinitionGap {
    /// The cause.
    pub cause: String,
    /// What it adds.
    pub amount: Usd,
    /// In how many positions.
    pub positions: u64,
}

/// A wallet's fees.
#[derive(Debug, Clone, PartialEq)]
pub struct FeeTotals {
    /// What was taken.
    pub total: Usd,
    /// `fills`, `chain`, `estimate` or `unknown`.
    pub source: String,
}

/// Signs that flows or fills are missing.
#[derive(Debug, Clone, PartialEq)]
pub struct SignCounts {
    /// Positions of which more was sold than bought.
    pub below_zero: u64,
    /// The shares missing there.
    pub missing_shares_micro: Micro,
    /// What those pay.
    pub missing_worth: Usd,
    /// Conditions of which more of both outcomes was sold than bought.
    pub both_sold: u64,
    /// When the wallet's fills stop, in Unix seconds.
    pub last_fill: Option<u32>,
    /// Positions of open conditions that held shares then.
    pub held_at_the_end: u64,
}

/// One step from the expected to the computed total.
#[derive(Debug, Clone, PartialEq)]
pub struct WaterfallStep {
    /// Why; the last one is `unexplained`.
    pub cause: String,
    /// What it adds.
    pub amount: Usd,
    /// How many positions, fills or flows it is made of.
    pub rows: u64,
    /// Where those stand, or are missing from.
    pub evidence: StepEvidence,
}

/// Where a step's rows stand.
#[derive(Debug, Clone, PartialEq)]
pub struct StepEvidence {
    /// The table; empty where it is none.
    pub table: String,
    /// Some token ids of it.
    pub tokens: Vec<String>,
}

impl PnlDetails {
    /// The details of a wallet's validation.
    pub fn of(wallet: &WalletResult, tables: &EvidenceTables) -> Self {
        let Definitions { resolved, certain, average_cost, subgraph } = wallet.appraisal.definitions.clone();
        let gaps = |gaps: &[Gap]| {
            let told = |gap: &Gap| DefinitionGap {
                cause: gap.difference.name().to_owned(),
                amount: gap.amount.clone(),
                positions: gap.positions,
            };
            gaps.iter().map(told).collect()
        };
        let Fees { total, source } = wallet.fees.clone();
        let Signs { below_zero, missing_shares, missing_worth, both_sold, last_fill, held_at_the_end } =
            wallet.signs.clone();
        let step = |step: &super::Step| WaterfallStep {
            cause: step.cause.name().to_owned(),
            amount: step.amount.clone(),
            rows: step.rows,
            evidence: StepEvidence {
                table: tables.name(step.cause.table()).to_owned(),
                tokens: step.examples.clone(),
            },
        };
        Self {
            method: wallet.method.name().to_owned(),
            definitions: DefinitionTotals {
                resolved,
                certain,
                average_cost,
                average_cost_subgraph: subgraph,
            },
            differences: Differences {
                certain: gaps(&wallet.appraisal.to_certain),
                average_cost: gaps(&wallet.appraisal.to_average_cost),
            },
            fees: FeeTotals { total, source: source.name().to_owned() },
            flows: wallet.flows.iter().map(|(kind, count)| (kind.name().to_owned(), *count)).collect(),
            flows_without_position: wallet.flows_without_position,
            signs: SignCounts {
                below_zero,
                missing_shares_micro: missing_shares,
                missing_worth,
                both_sold,
                last_fill,
                held_at_the_end,
            },
            waterfall: wallet.waterfall.iter().map(step).collect(),
        }
    }
}
