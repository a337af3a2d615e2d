//! What `verify` found.

use super::margin::{margin, target};
use crate::phases::verify::{ChainFound, VerifyResult, WalletCoverage};
use crate::results::{
    self, ChainKnowledge, Gap, Global, Month, NumberCheck, Percentage, Positions, Seconds, UnknownToken,
    Unmapped, Verify,
};
use crate::store::gaps::Weight;

impl From<&VerifyResult> for Verify {
    fn from(found: &VerifyResult) -> Self {
        let gap = &found.gap;
        let unmapped = |it: &crate::store::gaps::UnmappedToken| Unmapped {
            token_id: it.token.to_string(),
            cause: it.cause.name().to_owned(),
            fills: it.fills,
            volume: it.volume.clone(),
        };
        let month = |it: &crate::store::gaps::Month| Month {
            month: format!("{:04}-{:02}", it.year, it.month),
            total: it.total,
            mapped: it.mapped,
            coverage_pct: Percentage::floored(it.mapped, it.total),
        };
        Self {
            phase: "verify".to_owned(),
            passed: found.passes(),
            target_pct: target(found.target),
            global: global(found),
            wallets: found.wallets.iter().map(|wallet| of_wallet(found, wallet)).collect(),
            positions: Positions {
                resolved: found.resolved,
                wanted: found.min_positions,
                passed: found.positions_pass(),
            },
            duplicates: found.duplicates,
            checks: checks(found),
            gap: Gap {
                total: weight(&gap.total),
                mapped: weight(&gap.mapped),
                causes: gap.causes.iter().map(|(cause, it)| (cause.name().to_owned(), weight(it))).collect(),
                coverage_by_fills_pct: Percentage::floored(gap.mapped.fills, gap.total.fills),
                coverage_by_volume_pct: Percentage(gap.mapped.volume.floored_percent_of(&gap.total.volume)),
                fills_without_volume: gap.without_volume,
            },
            generations: (gap.generations.iter())
                .map(|it| {
                    let of = results::Generation {
                        tokens: it.total.tokens,
                        mapped: it.mapped.tokens,
                        volume: it.total.volume.clone(),
                        volume_pct: Percentage(it.total.volume.floored_percent_of(&gap.total.volume)),
                    };
                    (it.generation.name().to_owned(), of)
                })
                .collect(),
            months: gap.months.iter().map(month).collect(),
            tokens_with_odd_dates: gap.odd_dates,
            top_unmapped: gap.unmapped.iter().map(unmapped).collect(),
            unmapped_sample: gap.unmapped.iter().map(|it| it.token.to_string()).collect(),
            chain: found.chain.as_ref().map(chain),
            gaps_file: found.gaps_file.clone(),
            elapsed_seconds: Seconds(found.elapsed_seconds),
        }
    }
}

/// Every check, with its numbers.
fn checks(found: &VerifyResult) -> Vec<NumberCheck> {
    let covered = |name: String, part: u64, total: u64, passed: bool| NumberCheck {
        name,
        value: Percentage::floored(part, total).0,
        limit: target(found.target).0,
        margin: margin(found.target, part, total).0.0,
        passed,
    };
    let counted = |name: &str, value: u64, limit: u64, margin: f64, passed: bool| NumberCheck {
        name: name.to_owned(),
        value: value as f64,
        limit: limit as f64,
        margin,
        passed,
    };
    let coverage = &found.gap.coverage;
    let all = covered("coverage".to_owned(), coverage.mapped, coverage.total, found.global_passes());
    let of_wallet = |it: &WalletCoverage| {
        let name = format!("coverage of {}", it.wallet);
        covered(name, it.mapped_fills, it.fills, found.wallet_passes(it))
    };
    let (resolved, wanted, twice) = (found.resolved, found.min_positions, found.duplicates);
    let positions =
        counted("positions", resolved, wanted, resolved as f64 - wanted as f64, found.positions_pass());
    let duplicates = counted("duplicates", twice, 0, -(twice as f64), twice == 0);
    let wallets = found.wallets.iter().map(of_wallet);
    [all].into_iter().chain(wallets).chain([positions, duplicates]).collect()
}

fn chain(found: &ChainFound) -> ChainKnowledge {
    ChainKnowledge {
        read_up_to: found.read_up_to,
        holes: found.holes,
        unknown: found.unknown.count,
        tokens: (found.unknown.shown.iter())
            .map(|it| UnknownToken {
                token_id: it.token_id.clone(),
                condition_id: Some(it.condition_id.clone()).filter(|id| !id.is_empty()),
                fills: it.fills,
            })
            .collect(),
    }
}

fn weight(of: &Weight) -> results::Weight {
    results::Weight { tokens: of.tokens, fills: of.fills, volume: of.volume.clone() }
}

fn global(found: &VerifyResult) -> Global {
    let coverage = &found.gap.coverage;
    let (margin_pct, margin) = margin(found.target, coverage.mapped, coverage.total);
    Global {
        total: coverage.total,
        mapped: coverage.mapped,
        unmapped: coverage.unmapped,
        ambiguous: coverage.ambiguous,
        malformed: coverage.malformed,
        malformed_fills: found.gap.malformed_fills,
        coverage_pct: Percentage::floored(coverage.mapped, coverage.total),
        margin_pct,
        margin,
        passed: found.global_passes(),
    }
}

fn of_wallet(found: &VerifyResult, wallet: &WalletCoverage) -> results::WalletCoverage {
    let (margin_pct, margin) = margin(found.target, wallet.mapped_fills, wallet.fills);
    results::WalletCoverage {
        wallet: wallet.wallet.to_string(),
        fills: wallet.fills,
        mapped_fills: wallet.mapped_fills,
        malformed_fills: wallet.malformed_fills,
        duplicate_fills: wallet.copies,
        resolved_positions: wallet.resolved,
        coverage_pct: Percentage::floored(wallet.mapped_fills, wallet.fills),
        margin_pct,
        margin,
        passed: found.wallet_passes(wallet),
    }
}
