//! [`assess_holdings`]: what a wallet holds against what was expected of it.

use super::baselines::Baseline;
use super::explain::{explain, prove};
use super::fees::{FeeSource, Fees};
use super::result::{Status, WalletResult};
use super::signs::signs;
use super::waterfall::{Evidence, waterfall};
use crate::ctf::Collateral;
use crate::phases::audit::finding::Audited;
use crate::pnl::{
    Appraisal, Flow, FlowKind, Method, Position, Redemptions, TransferRule, Usd, Variance, add_flows,
    appraise,
};
use crate::store::flows::WalletFlows;
use crate::store::positions::Holdings;
use crate::values::Percent;

/// The rules that all wallets are assessed by.
#[derive(Debug, Clone, Copy)]
pub struct AssessRules<'a> {
    /// The limit of the variance.
    pub limit: Percent,
    /// The collaterals that a token's mapping is proven with.
    pub collaterals: &'a [Collateral],
    /// The definition that is compared, where a wallet's baseline names none; `None` for the default.
    pub method: Option<Method>,
    /// What transferred shares cost.
    pub transfers: TransferRule,
}

/// Weighs what a wallet holds, and its flows, against what was expected of it.
pub fn assess_holdings(
    baseline: &Baseline,
    holdings: Holdings,
    flows: &WalletFlows,
    audited: Option<Audited>,
    rules: AssessRules<'_>,
) -> WalletResult {
    let Holdings { positions, unmapped, data_quality, odd_sides, fees: of_fills, estimated_fees, .. } =
        holdings;
    let said = baseline.method.or(rules.method);
    let method = said.unwrap_or_default();
    // What the fills say of fees themselves is not taken off a second time.
    let counted = |flow: &&Flow| !(of_fills && flow.kind == FlowKind::Fee);
    let counted: Vec<Flow> = flows.flows.iter().filter(counted).cloned().collect();
    let homeless = |positions: &mut [Position]| add_flows(positions, &counted, rules.transfers);
    let Ordered { positions, realized, appraisal, flows_without_position } =
        ordered(positions, method, &counted, redemptions(flows), homeless);
    let total = appraisal.definitions.total(method).clone();
    let variance = Variance::of(&total, &baseline.expected);
    let status = match &variance {
        None => Status::Skipped,
        Some(variance) if variance.is_below(rules.limit) => Status::Pass,
        Some(_) => Status::Fail,
    };
    // Proofs are the costly part, and asked for where something is to be explained.
    let proofs = if status == Status::Fail { prove(&positions, rules.collaterals) } else { Vec::new() };
    let explanations = explain(&positions, &realized, &proofs, &unmapped, &odd_sides);
    let explained: Usd = explanations.iter().map(|it| it.worth.clone()).sum();
    let unexplained = (total.clone() - baseline.expected.clone()).abs() - explained;
    let source = match (of_fills, flows.fees) {
        (true, _) => FeeSource::Fills,
        (false, true) => FeeSource::Chain,
        (false, false) => FeeSource::Unknown,
    };
    let fees = Fees::of(&positions, source, estimated_fees);
    let findings = audited.iter().flat_map(|audited| &audited.findings);
    let audit: Vec<_> =
        findings.map(|it| (it.cause, it.amount.clone(), it.fills, it.tokens.clone())).collect();
    let waterfall = waterfall(&Evidence {
        expected: &baseline.expected,
        total: &total,
        method,
        same_definition: said.is_some(),
        positions: &positions,
        appraisal: &appraisal,
        unmapped: &unmapped,
        proofs: &proofs,
        fees: &fees,
        audit: &audit,
    });
    WalletResult {
        baseline: baseline.clone(),
        method,
        total,
        variance,
        status,
        signs: signs(&positions),
        positions,
        realized,
        appraisal,
        fees,
        flows: flows.counts(),
        flows_without_position,
        unmapped,
        explanations,
        waterfall,
        audited,
        unexplained: unexplained.max(Usd::zero()),
        data_quality,
        odd_sides,
    }
}

fn redemptions(flows: &WalletFlows) -> Redemptions {
    if flows.known { Redemptions::Known } else { Redemptions::Assumed }
}

/// A wallet's positions in the order of a page.
struct Ordered {
    positions: Vec<Position>,
    realized: Vec<Option<Usd>>,
    appraisal: Appraisal,
    flows_without_position: u64,
}

/// The largest gain first, those that do not count last; of equals always in the order of their tokens.
fn ordered(
    mut positions: Vec<Position>,
    method: Method,
    flows: &[Flow],
    redemptions: Redemptions,
    add: impl FnOnce(&mut [Position]) -> u64,
) -> Ordered {
    positions.sort_by_key(|position| position.token_id);
    let flows_without_position = add(&mut positions);
    let mut appraisal = appraise(&positions, flows, redemptions);
    let certain = std::mem::take(&mut appraisal.certain);
    let average_cost = std::mem::take(&mut appraisal.average_cost);
    let mut rows: Vec<_> = (positions.into_iter().zip(certain).zip(average_cost))
        .map(|((position, certain), average)| {
            let realized = counted(&position, certain.as_ref(), &average, method);
            (realized, position, certain, average)
        })
        .collect();
    // A stable sort: the tokens' order stays among equals.
    rows.sort_by(|a, b| b.0.cmp(&a.0));
    let mut ordered =
        Ordered { positions: Vec::new(), realized: Vec::new(), appraisal, flows_without_position };
    for (realized, position, certain, average) in rows {
        ordered.realized.push(realized);
        ordered.positions.push(position);
        ordered.appraisal.certain.push(certain);
        ordered.appraisal.average_cost.push(average);
    }
    ordered
}

/// What a position counts with by a method; `None` where it does not count.
fn counted(
    position: &Position,
    certain: Option<&Usd>,
    average: &crate::pnl::AverageCost,
    method: Method,
) -> Option<Usd> {
    match method {
        Method::Resolved => position.realized(),
        Method::Certain => position.realized().or_else(|| certain.cloned()),
        Method::AverageCost => {
            let nothing = average.booked.is_zero() && !average.held.is_zero();
            (!nothing && !position.excluded).then(|| average.booked.clone())
        }
    }
}
