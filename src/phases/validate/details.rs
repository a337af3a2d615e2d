//! [`PnlDetails`]: a wallet's P&L by all definitions, its fees, its signs and its waterfall, as an object and a page
//! show them.

use super::fees::Fees;
use super::result::{EvidenceTables, WalletResult};
use super::signs::Signs;
use super::waterfall::Step;
use crate::phases::audit::finding::AuditFinding;
use crate::pnl::{Definitions, Gap};
use crate::results::{
    AuditDefect, AuditTotals, DefinitionGap, DefinitionTotals, Differences, FeeTotals, PnlDetails,
    SignCounts, StepEvidence, WaterfallStep,
};

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
        let step = |step: &Step| WaterfallStep {
            cause: step.cause.name().to_owned(),
            amount: step.amount.clone(),
            rows: step.rows,
            evidence: StepEvidence {
                table: tables.name(step.cause.table()).to_owned(),
                tokens: step.examples.clone(),
            },
        };
        let defect = |found: &AuditFinding| AuditDefect {
            cause: found.cause.name().to_owned(),
            fills: found.fills,
            amount: found.amount.clone(),
            first: found.first.clone(),
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
            audit: wallet.audited.as_ref().map(|audited| AuditTotals {
                chain_fills: audited.chain_fills,
                table_fills: audited.table_fills,
                findings: audited.findings.iter().map(defect).collect(),
            }),
            waterfall: wallet.waterfall.iter().map(step).collect(),
        }
    }
}
