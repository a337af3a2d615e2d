//! [`PnlDetails`]: a wallet's P&L by all definitions, its fees, its signs and its waterfall, as an object and a page
//! show them.

use super::waterfall::Table;
use super::{Fees, Signs, WalletResult};
use crate::pnl::{Definitions, Gap};
use crate::results::{
    DefinitionGap, DefinitionTotals, Differences, FeeTotals, PnlDetails, SignCounts, StepEvidence,
    WaterfallStep,
};

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
