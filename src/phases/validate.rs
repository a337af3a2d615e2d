//! Phase 5: realized P&L against what was expected.

mod assess;
pub mod baselines;
pub(crate) mod details;
pub mod expected;
mod explain;
mod fees;
pub mod positions_file;
mod result;
mod signs;
pub(super) mod waterfall;

pub use super::audit::finding::{AuditFinding, AuditRun, Audited};
pub use assess::{AssessRules, assess_holdings};
pub use baselines::Baseline;
pub use explain::Explanation;
pub use fees::{FeeSource, Fees};
pub use result::{EvidenceTables, Status, ValidateResult, WalletResult};
pub use signs::Signs;
pub use waterfall::{Cause, Step, Table};

use super::Context;
use super::audit::Fills;
use super::events::{Activity, PhaseEvent};
use crate::failure::Failure;
use crate::ids::Wallet;
use crate::pnl::{Method, TransferRule};
use crate::store::flows::WalletFlows;
use crate::store::positions::Holdings;
use positions_file::PositionsFile;

/// How phase 5 is run.
#[derive(Debug, Clone, Default)]
pub struct ValidateOptions {
    /// The wallets.
    pub baselines: Vec<Baseline>,
    /// Where to write every position.
    pub positions_file: Option<PositionsFile>,
    /// Print the guide's page for each wallet, however many there are.
    pub detail: bool,
    /// The definition of P&L that is compared, where a wallet's baseline names none; `None` for the default.
    pub method: Option<Method>,
    /// What shares from other wallets cost.
    pub transfers: TransferRule,
    /// Compare the fills with those on the chain.
    pub audit: bool,
}

/// Runs phase 5: one pass over the fills, however many wallets there are. It writes nothing but the file asked for.
///
/// # Errors
/// A table is missing, ClickHouse fails, or the file cannot be written.
pub async fn run(context: &Context, options: &ValidateOptions) -> Result<ValidateResult, Failure> {
    let limit = context.settings.thresholds.variance_limit;
    super::combos::take_in(context).await?;
    context.begins(Activity::AddingUpPositions);
    let wallets: Vec<Wallet> = options.baselines.iter().flat_map(Baseline::proxies).collect();
    let holdings = context.store.holdings(&wallets).await?;
    let rules = AssessRules {
        limit,
        collaterals: &context.settings.collaterals,
        method: options.method,
        transfers: options.transfers,
    };
    let priced = options.transfers == TransferRule::Market;
    let flows = context.store.wallet_flows(&wallets, priced).await?;
    let mut audit = match options.audit {
        true => Some(Fills::read(context, &wallets).await?),
        false => None,
    };
    let (mut holdings, mut flows) = (holdings.into_iter(), flows.into_iter());
    let mut results = Vec::with_capacity(options.baselines.len());
    for baseline in &options.baselines {
        // The proxies of one person are one wallet.
        let proxies = baseline.proxies().count();
        let holdings = Holdings::of_person(holdings.by_ref().take(proxies), baseline.wallet);
        let flows = WalletFlows::of_person(flows.by_ref().take(proxies));
        if flows.unreadable > 0 {
            let left_out = PhaseEvent::FlowsLeftOut(baseline.wallet, flows.unreadable);
            context.progress.on_phase_event(&left_out);
        }
        let audited = audit.as_mut().map(|fills| fills.audit(baseline.proxies(), &holdings));
        results.push(assess_holdings(baseline, holdings, &flows, audited, rules));
    }
    let wallets: Vec<WalletResult> = results;
    if let Some(file) = &options.positions_file {
        file.write(&context.store, &wallets).await?;
    }
    Ok(ValidateResult {
        wallets,
        limit,
        tables: evidence_tables(context),
        detail: options.detail,
        audit: audit.map(|fills| fills.run),
        positions_file: options.positions_file.as_ref().map(|file| file.path().to_owned()),
        elapsed_seconds: context.elapsed(),
    })
}

fn evidence_tables(context: &Context) -> EvidenceTables {
    let names = context.store.names();
    EvidenceTables {
        fills: names.fills.plain(),
        token_map: names.token_map.plain(),
        resolutions: names.resolutions.plain(),
        flows: names.flows.plain(),
    }
}

#[cfg(test)]
mod tests;
