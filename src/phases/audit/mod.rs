//! An audit: a wallet's fills as the exchanges wrote them on the chain against those of the table, fill by fill.

mod compare;
pub mod finding;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use compare::{AuditFill, Finding, compare};

use super::Context;
use super::chain::ChainListener;
use super::events::PhaseEvent;
use super::flows::LogSource;
use super::validate::waterfall::Cause;
use crate::chain::flows::{ChainFill, FlowEvent, decode_flow, fills_filter};
use crate::failure::Failure;
use crate::ids::{TokenId, Wallet};
use crate::pnl::{Position, Usd};
use crate::store::audit::TableFill;
use crate::store::positions::Holdings;
use finding::{AuditFinding, AuditRun, Audited};

/// How many fills of each kind of defect are told one by one.
const TOLD: usize = 10;

/// How many tokens a step of the waterfall names.
const TOKENS: usize = 3;

/// All fills of wallets, as the chain and as the table have them.
pub(super) struct Fills {
    chain: HashMap<Wallet, BTreeMap<TokenId, Vec<AuditFill>>>,
    table: HashMap<Wallet, BTreeMap<TokenId, Vec<AuditFill>>>,
    /// How the chain was asked.
    pub(super) run: AuditRun,
}

impl Fills {
    /// Asks the chain for the wallets' own fills, and the table for the same.
    ///
    /// # Errors
    /// The chain cannot be read whole, or ClickHouse fails.
    pub(super) async fn read(context: &Context, wallets: &[Wallet]) -> Result<Self, Failure> {
        let progress = context.progress.clone();
        let listener: ChainListener =
            Arc::new(move |event| progress.on_phase_event(&PhaseEvent::Chain(&event)));
        let source = LogSource::open(context, &listener).await?;
        let wanted = source.wanted();
        let read = source.read(fills_filter(wallets), &[wanted]).await?;
        if let Some(missing) = read.missing.first() {
            return Err(match context.stop.is_cancelled() {
                true => Failure::Interrupted,
                false => Failure::Unusable(format!(
                    "blocks {missing} could not be read, so that no audit can be made; run the same command again, with another provider in CHAIN_URL if one keeps failing"
                )),
            });
        }
        let mut chain: HashMap<Wallet, BTreeMap<TokenId, Vec<AuditFill>>> = HashMap::new();
        for log in &read.logs {
            if let Some(FlowEvent::Fill(fill)) = decode_flow(log, &context.settings.collaterals) {
                let place = format!("block {}, log {}", log.block, log.log_index);
                let of = chain.entry(Wallet::from_bytes(*fill.maker.as_bytes())).or_default();
                of.entry(fill.token).or_default().push(of_chain(&fill, log.time, place));
            }
        }
        let mut table: HashMap<Wallet, BTreeMap<TokenId, Vec<AuditFill>>> = HashMap::new();
        for fill in context.store.fills_of(wallets).await? {
            let (Ok(wallet), Ok(token)) = (fill.wallet.parse::<Wallet>(), fill.asset_id.parse::<TokenId>())
            else {
                continue;
            };
            table.entry(wallet).or_default().entry(token).or_default().push(of_table(fill));
        }
        let (requests, throttled) = source.providers.requests();
        let run = AuditRun { requests, throttled, from_block: wanted.from, to_block: wanted.to };
        Ok(Self { chain, table, run })
    }

    /// What the audit of a person's proxies found, in dollars at what their positions pay.
    pub(super) fn audit(&mut self, wallets: impl Iterator<Item = Wallet>, holdings: &Holdings) -> Audited {
        let positions: HashMap<TokenId, Position> = (holdings.positions.iter())
            .map(|it| (it.token_id, Position { trades: Vec::new(), ..it.clone() }))
            .collect();
        let (mut audited, mut found) =
            (Audited::default(), BTreeMap::<Cause, Vec<(TokenId, Finding)>>::new());
        for wallet in wallets {
            let mut chain = self.chain.remove(&wallet).unwrap_or_default();
            let mut table = self.table.remove(&wallet).unwrap_or_default();
            let tokens: std::collections::BTreeSet<TokenId> =
                chain.keys().chain(table.keys()).copied().collect();
            for token in tokens {
                let (chain, table) =
                    (chain.remove(&token).unwrap_or_default(), table.remove(&token).unwrap_or_default());
                audited.chain_fills += chain.len() as u64;
                audited.table_fills += table.len() as u64;
                for finding in compare(chain, table) {
                    found.entry(finding.cause).or_default().push((token, finding));
                }
            }
        }
        audited.findings =
            found.into_iter().map(|(cause, found)| summed(cause, &found, &positions)).collect();
        audited
    }
}

fn of_chain(fill: &ChainFill, time: u32, place: String) -> AuditFill {
    let ChainFill { buys, shares, cash, .. } = *fill;
    AuditFill { buys, shares, cash, exact: None, time, place }
}

fn of_table(fill: TableFill) -> AuditFill {
    let whole = |exact: &str, whole: i128| exact == whole.to_string();
    let exact = !(whole(&fill.size, fill.whole_size) && whole(&fill.worth, fill.whole_worth));
    AuditFill {
        buys: fill.buys,
        shares: fill.whole_size,
        cash: fill.whole_worth,
        exact: exact.then_some((fill.size, fill.worth)),
        time: fill.second,
        place: format!("fill {}", fill.fill_id),
    }
}

/// All findings of one kind: what they add to the computed total, and the first of them.
fn summed(
    cause: Cause,
    found: &[(TokenId, Finding)],
    positions: &HashMap<TokenId, Position>,
) -> AuditFinding {
    let worth = |token: &TokenId, fill: &Option<AuditFill>| -> Usd {
        let (Some(position), Some(fill)) = (positions.get(token), fill) else { return Usd::zero() };
        let (net_shares, cashflow) = fill.signed();
        Position { net_shares, cashflow, ..position.clone() }.realized().unwrap_or_default()
    };
    let amount = (found.iter())
        .map(|(token, finding)| worth(token, &finding.table) - worth(token, &finding.chain))
        .sum();
    let first = found.iter().take(TOLD).map(|(token, finding)| {
        let told =
            |fill: &Option<AuditFill>| fill.as_ref().map_or_else(|| "nothing".to_owned(), AuditFill::told);
        format!("token {token}: the chain has {}, the table {}", told(&finding.chain), told(&finding.table))
    });
    AuditFinding {
        cause,
        fills: found.len() as u64,
        amount,
        first: first.collect(),
        tokens: found.iter().take(TOKENS).map(|(token, _)| token.to_string()).collect(),
    }
}
