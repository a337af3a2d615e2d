//! [`Waterfall`]: the steps that lead from the expected to the computed total, each with its dollars and its rows, the
//! unexplained rest last.

use super::explain::Proven;
use super::fees::{FeeSource, Fees};
use crate::pnl::{Appraisal, Candidate, Difference, Method, Position, Usd, choose};
use crate::store::positions::Unmapped;

/// Why the computed total is not the expected one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Cause {
    /// The expected total follows another definition than the computed one.
    Definition(Difference),
    /// The expected total was cut at every step, as Polymarket's subgraph does.
    SubgraphRounding,
    /// Tokens without a map row, sold out: their cash is missing.
    UnmappedSoldOut,
    /// Tokens without a map row that are still held, if those pay nothing.
    UnmappedLost,
    /// Tokens without a map row that are still held, if those pay all.
    UnmappedWon,
    /// Tokens that the map contradicts itself about, if those pay nothing.
    AmbiguousLost,
    /// Tokens that the map contradicts itself about, if those pay all.
    AmbiguousWon,
    /// Fills whose asset id is none.
    Malformed,
    /// Positions of conditions without a payout, if those pay nothing.
    OpenLost,
    /// Positions of conditions without a payout, if those pay all.
    OpenWon,
    /// Second deliveries, which the expected total counts.
    SecondDeliveries,
    /// Positions mapped to the wrong outcome, as their token proves.
    WrongOutcome,
    /// Positions whose resolutions contradict each other, if the other side won.
    Contradicting,
    /// Fees that no table has; estimated from their rates.
    EstimatedFees,
    /// Positions that the rule for transfers leaves out.
    Excluded,
    /// Fills that the chain has and the table lacks.
    AuditMissing,
    /// Fills that the table has and the chain lacks.
    AuditUnknown,
    /// Fills that the table has twice under different ids.
    AuditDoubled,
    /// Fills with another price or size than the chain's.
    AuditDifferent,
    /// Fills that are counted for the wrong side.
    AuditWrongSide,
    /// The expected total was rounded to its digits.
    SourceRounding,
    /// What is left.
    Unexplained,
}

impl Cause {
    /// Its name in objects.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Definition(difference) => difference.name(),
            Self::SubgraphRounding => "subgraph_rounding",
            Self::UnmappedSoldOut => "unmapped_sold_out",
            Self::UnmappedLost => "unmapped_if_lost",
            Self::UnmappedWon => "unmapped_if_won",
            Self::AmbiguousLost => "ambiguous_if_lost",
            Self::AmbiguousWon => "ambiguous_if_won",
            Self::Malformed => "malformed_asset_ids",
            Self::OpenLost => "unresolved_if_lost",
            Self::OpenWon => "unresolved_if_won",
            Self::SecondDeliveries => "second_deliveries",
            Self::WrongOutcome => "wrong_outcome",
            Self::Contradicting => "contradicting_resolutions",
            Self::EstimatedFees => "estimated_fees",
            Self::Excluded => "excluded_by_transfers",
            Self::AuditMissing => "missing_fills",
            Self::AuditUnknown => "fills_unknown_to_the_chain",
            Self::AuditDoubled => "doubled_fills",
            Self::AuditDifferent => "fills_with_another_price_or_size",
            Self::AuditWrongSide => "fills_for_the_wrong_side",
            Self::SourceRounding => "rounding_of_the_expected",
            Self::Unexplained => "unexplained",
        }
    }

    /// The table that the rows of it stand in, or are missing from.
    pub const fn table(self) -> Table {
        match self {
            Self::Definition(difference) => match difference {
                Difference::Fees | Difference::SalesBeyondHoldings => Table::Fills,
                Difference::Transfers | Difference::FormChanges => Table::Flows,
                _ => Table::Resolutions,
            },
            Self::UnmappedSoldOut
            | Self::UnmappedLost
            | Self::UnmappedWon
            | Self::AmbiguousLost
            | Self::AmbiguousWon
            | Self::WrongOutcome => Table::TokenMap,
            Self::OpenLost | Self::OpenWon | Self::Contradicting => Table::Resolutions,
            Self::Excluded => Table::Flows,
            Self::Malformed
            | Self::SecondDeliveries
            | Self::EstimatedFees
            | Self::AuditMissing
            | Self::AuditUnknown
            | Self::AuditDoubled
            | Self::AuditDifferent
            | Self::AuditWrongSide => Table::Fills,
            Self::SubgraphRounding | Self::SourceRounding | Self::Unexplained => Table::None,
        }
    }
}

/// Where the rows of a step stand, by the roles of the tables.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Table {
    /// The fills.
    Fills,
    /// The token map.
    TokenMap,
    /// The resolutions, or the winners.
    Resolutions,
    /// The wallets' flows.
    Flows,
    /// In none.
    None,
}

/// One step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// Why.
    pub cause: Cause,
    /// What it adds.
    pub amount: Usd,
    /// How many rows, positions or fills, of what the cause says.
    pub rows: u64,
    /// Some of them: token ids.
    pub examples: Vec<String>,
}

/// How many examples a step names.
const EXAMPLES: usize = 3;

/// Everything that candidates are read from.
pub(super) struct Evidence<'a> {
    pub(super) expected: &'a Usd,
    pub(super) total: &'a Usd,
    pub(super) method: Method,
    /// Whether it is known that the expected total follows the same definition.
    pub(super) same_definition: bool,
    pub(super) positions: &'a [Position],
    pub(super) appraisal: &'a Appraisal,
    pub(super) unmapped: &'a [Unmapped],
    pub(super) proofs: &'a [Proven],
    pub(super) fees: &'a Fees,
    pub(super) audit: &'a [(Cause, Usd, u64, Vec<String>)],
}

/// What a position adds by a cause, and in how many rows; `None` where the cause is none of its.
type Doubted<'a> = &'a dyn Fn(usize, &Position) -> Option<(Usd, u64)>;

/// A cause's candidate, its examples beside it.
type Found = (Candidate<Cause>, Vec<String>);

/// The steps from the expected to the computed total: of all causes that the tables show, those that together leave the
/// least unexplained; of equals the fewest. Expected and all amounts add up to the total exactly.
pub(super) fn waterfall(evidence: &Evidence<'_>) -> Vec<Step> {
    let difference = evidence.total.clone() - evidence.expected.clone();
    let found = evidence.candidates();
    let (candidates, examples): (Vec<Candidate<Cause>>, Vec<Vec<String>>) = found.into_iter().unzip();
    let mut rest = difference.clone();
    let mut steps: Vec<Step> = Vec::new();
    for number in choose(&difference, &candidates) {
        let Candidate { cause, amount, rows, .. } = candidates[number].clone();
        rest = rest - amount.clone();
        steps.push(Step { cause, amount, rows, examples: examples[number].clone() });
    }
    steps.sort_by(|a, b| b.amount.abs().cmp(&a.amount.abs()).then_with(|| a.cause.cmp(&b.cause)));
    let told = |cause, amount| Step { cause, amount, rows: 0, examples: Vec::new() };
    if !rest.is_zero() && rest.abs() <= Usd::half_digit(evidence.expected.decimals()) {
        steps.push(told(Cause::SourceRounding, std::mem::take(&mut rest)));
    }
    steps.push(told(Cause::Unexplained, rest));
    steps
}

impl Evidence<'_> {
    fn candidates(&self) -> Vec<Found> {
        let mut found = Vec::new();
        self.definitions(&mut found);
        self.unmapped(&mut found);
        self.open(&mut found);
        self.positions_in_doubt(&mut found);
        if self.fees.source == FeeSource::Estimate {
            let amount = self.fees.total.clone();
            let candidate = Candidate { group: 30, cause: Cause::EstimatedFees, amount, rows: 0 };
            found.push((candidate, Vec::new()));
        }
        for (cause, amount, rows, examples) in self.audit {
            let group = 40 + found.len() as u32;
            let candidate = Candidate { group, cause: *cause, amount: amount.clone(), rows: *rows };
            found.push((candidate, examples.clone()));
        }
        found
    }

    /// What leads from another definition's total to the one that is computed. Where nobody said which definition the
    /// expected total follows, it may be any.
    fn definitions(&self, found: &mut Vec<Found>) {
        if self.same_definition {
            return;
        }
        let Appraisal { to_certain, to_average_cost, definitions, .. } = self.appraisal;
        let mut add = |gap: &crate::pnl::Gap, amount: Usd| {
            // What is open is certain, or sold against its average cost: both are about the same positions.
            let group = match gap.difference {
                Difference::OpenSales | Difference::CertainInOpenMarkets => 1,
                other => 2 + other as u32,
            };
            let cause = Cause::Definition(gap.difference);
            found.push((
                Candidate { group, cause, amount, rows: gap.positions },
                self.examples(|place| self.differs(place, gap.difference)),
            ));
        };
        match self.method {
            Method::Resolved => {
                to_certain.iter().chain(to_average_cost).for_each(|gap| add(gap, -gap.amount.clone()));
            }
            Method::Certain => {
                to_certain.iter().for_each(|gap| add(gap, gap.amount.clone()));
                let others = to_average_cost.iter().filter(|gap| gap.difference != Difference::OpenSales);
                others.for_each(|gap| add(gap, -gap.amount.clone()));
            }
            Method::AverageCost => to_average_cost.iter().for_each(|gap| add(gap, gap.amount.clone())),
        }
        let amount = definitions.average_cost.clone() - definitions.subgraph.clone();
        found.push((Candidate { group: 15, cause: Cause::SubgraphRounding, amount, rows: 0 }, Vec::new()));
    }

    /// Whether the position at `place` is one that two definitions differ about.
    fn differs(&self, place: usize, difference: Difference) -> bool {
        let (position, average) = (&self.positions[place], &self.appraisal.average_cost[place]);
        let payout = position.decision.payout.as_ref();
        match difference {
            Difference::LosersNotRedeemed => !average.held.is_zero() && payout.is_some_and(|it| !it.pays()),
            Difference::WinnersNotRedeemed => !average.held.is_zero() && payout.is_some_and(|it| it.pays()),
            Difference::OpenSales => payout.is_none() && !average.booked.is_zero(),
            Difference::SalesBeyondHoldings => !average.beyond.is_zero(),
            Difference::Fees => !position.charged_usd().is_zero(),
            Difference::Transfers => !position.flows.transferred.is_zero(),
            Difference::FormChanges => position.flows.count > 0,
            Difference::CertainInOpenMarkets => self.appraisal.certain[place].is_some(),
        }
    }

    fn examples(&self, of: impl Fn(usize) -> bool) -> Vec<String> {
        let places = (0..self.positions.len()).filter(|place| of(*place));
        places.map(|place| self.positions[place].token_id.to_string()).take(EXAMPLES).collect()
    }

    fn unmapped(&self, found: &mut Vec<Found>) {
        let sold_out = |it: &&Unmapped| it.net_shares.is_zero();
        let mut add = |group, cause, of: &dyn Fn(&&Unmapped) -> bool, won: bool| {
            let those: Vec<&Unmapped> = self.unmapped.iter().filter(|it| of(it)).collect();
            let worth = |it: &&Unmapped| {
                let paid = if won { it.net_shares.units() } else { Usd::zero() };
                it.cashflow.units() + paid
            };
            let amount = -those.iter().map(worth).sum::<Usd>();
            let rows = those.iter().map(|it| it.fills).sum();
            let examples = those.iter().map(|it| it.token_id.clone()).take(EXAMPLES).collect();
            if rows > 0 {
                found.push((Candidate { group, cause, amount, rows }, examples));
            }
        };
        let plain = |it: &&Unmapped| it.well_formed && !it.ambiguous;
        // Average cost counts a sold-out token whatever the map says; so does certain. Both have counted it already.
        if self.method == Method::Resolved {
            add(20, Cause::UnmappedSoldOut, &|it| plain(it) && sold_out(it), false);
        }
        add(21, Cause::UnmappedLost, &|it| plain(it) && !sold_out(it), false);
        add(21, Cause::UnmappedWon, &|it| plain(it) && !sold_out(it), true);
        add(22, Cause::AmbiguousLost, &|it| it.well_formed && it.ambiguous, false);
        add(22, Cause::AmbiguousWon, &|it| it.well_formed && it.ambiguous, true);
        add(23, Cause::Malformed, &|it| !it.well_formed, false);
    }

    /// Positions without a payout that are not certain either.
    fn open(&self, found: &mut Vec<Found>) {
        let places = (0..self.positions.len()).filter(|place| {
            self.positions[*place].decision.payout.is_none()
                && self.appraisal.certain[*place].is_none()
                && !self.positions[*place].excluded
        });
        let open: Vec<usize> = places.collect();
        if open.is_empty() {
            return;
        }
        for (cause, won) in [(Cause::OpenLost, false), (Cause::OpenWon, true)] {
            let amount = -open.iter().map(|place| self.positions[*place].realized_if(won)).sum::<Usd>();
            found.push((
                Candidate { group: 24, cause, amount, rows: open.len() as u64 },
                self.examples(|place| open.contains(&place)),
            ));
        }
    }

    fn positions_in_doubt(&self, found: &mut Vec<Found>) {
        let mut add = |group, cause, of: Doubted<'_>| {
            let of = |place: usize| of(place, &self.positions[place]);
            let those: Vec<(Usd, u64)> = (0..self.positions.len()).filter_map(of).collect();
            let rows = those.iter().map(|(_, rows)| rows).sum();
            let amount: Usd = those.into_iter().map(|(amount, _)| amount).sum();
            if rows > 0 {
                found.push((Candidate { group, cause, amount, rows }, self.examples(|it| of(it).is_some())));
            }
        };
        add(25, Cause::SecondDeliveries, &|_, it| {
            (it.repeated.fills > 0).then_some(())?;
            Some((-it.realized_by_repeats()?, it.repeated.fills))
        });
        add(26, Cause::WrongOutcome, &|place, it| match self.proofs.get(place)? {
            Proven::Outcome(index) if *index != it.outcome_index => {
                Some((it.realized()? - it.realized_otherwise()?, 1))
            }
            _ => None,
        });
        add(27, Cause::Contradicting, &|_, it| {
            let contradicted = it.decision.rows_disagree || it.decision.tables_disagree;
            contradicted.then_some(())?;
            Some((it.realized()? - it.realized_otherwise()?, 1))
        });
        add(28, Cause::Excluded, &|_, it| {
            it.excluded.then_some(())?;
            Some((-(it.paid_out()? + it.cashflow.units()), 1))
        });
    }
}
