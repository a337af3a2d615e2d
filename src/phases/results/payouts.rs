//! Where a wallet's payouts come from.

use crate::phases::validate::WalletResult;
use crate::pnl::{PayoutSource, Usd};
use crate::results::{ChainContradiction, ChainContradictions, PayoutOrigins};

/// How many contradictions are shown of a wallet.
const SHOWN: usize = 20;

impl PayoutOrigins {
    /// Of a wallet's positions.
    pub(super) fn of(wallet: &WalletResult) -> Self {
        let count = |source| {
            let from = wallet.positions.iter().filter(|it| it.decision.source == Some(source));
            (source.name().to_owned(), from.count() as u64)
        };
        let mut positions: Vec<ChainContradiction> = (wallet.positions.iter())
            .filter_map(|position| {
                let (table, said) = position.decision.contradiction.as_ref()?;
                Some(ChainContradiction {
                    condition_id: position.condition_id.to_string(),
                    outcome_index: position.outcome_index,
                    table: table.name().to_owned(),
                    chain_pays: position.decision.payout.as_ref()?.exact(),
                    table_pays: said.exact(),
                    amount: position.contradicted_by()?,
                })
            })
            .collect();
        positions.sort_by(|a, b| {
            b.amount
                .clone()
                .abs()
                .cmp(&a.amount.clone().abs())
                .then_with(|| a.condition_id.cmp(&b.condition_id))
        });
        let (count_of_all, amount): (u64, Usd) =
            (positions.len() as u64, positions.iter().map(|it| it.amount.clone()).sum());
        positions.truncate(SHOWN);
        Self {
            payouts_from: PayoutSource::ALL.into_iter().map(count).collect(),
            chain_contradictions: ChainContradictions { count: count_of_all, amount, positions },
        }
    }
}
