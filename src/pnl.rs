//! Positions, payouts, realized P&L and variance (no I/O). All arithmetic is exact, on rationals; a figure is rounded
//! once, when it is shown.

mod average_cost;
mod certain;
mod decide;
mod definitions;
mod derived;
mod flows;
mod history;
pub(crate) mod labels;
mod ledger;
mod money;
mod payout;
mod position;
mod variance;
mod waterfall;

pub use average_cost::{AverageCost, Redemptions};
pub use decide::{Decision, Evidence, ListedWinner, PayoutSource, Resolution, decide};
pub use definitions::{Appraisal, Definitions, Difference, Gap, Method, appraise};
pub use derived::{combo_payout, event_payout};
pub use flows::add_flows;
pub use history::{Flow, FlowKind, Leg, Trade, TransferRule};
pub use labels::Labels;
pub use money::{BadAmount, Micro, Usd};
pub use payout::{Payout, PayoutVector};
pub use position::{Charged, FlowSums, Position, Repeated};
pub use variance::Variance;
pub use waterfall::{Candidate, choose};

#[cfg(test)]
mod tests;
