//! `flows`: what wallets did beside trading, from the chain's own events, into `wallet_flows`.
//!
//! Blocks are read in pieces. Of each the logs that name a wallet are read first; where those do not account for all that
//! moved, the changes of form of the same blocks are read too. A piece is noted as read, for each wallet, once its rows
//! are acknowledged: so it can be interrupted at any time, and a wallet that is added costs only its own logs.

mod logs;
mod transactions;

use std::collections::BTreeMap;

pub(super) use logs::{LogSource, ReadLogs};

use super::Context;
use super::chain::{ChainEvent, ChainListener, write};
use crate::chain::flows::{FlowRow, FlowRules, changes_filter, market_filter, stakeholder_filter};
use crate::chain::log::hex;
use crate::chain::{BlockRange, Decoded, Event, LogFilter, Word, decode, keccak256};
use crate::failure::Failure;
use crate::ids::Wallet;
use crate::outcome::Outcome;
use crate::pnl::FlowKind;
use crate::process_lock::ProcessIdentity;
use crate::results::{Flows, Seconds};
use crate::store::chain::{ChainTable, RangeLedger, RangeRow};
use crate::store::flow_tables::{FlowReadRow, WalletFlowRow};
use crate::store::lease::Lease;
use transactions::{Transactions, open_blocks};

/// What the inserts and the lease are called.
const WRITER: &str = "flows";

/// Blocks that are read before their rows are written: what an interruption can cost.
const PIECE: u64 = 1_000_000;

/// The first block of the negative-risk adapter, and so of every market that can be converted in.
const FIRST_MARKET: u64 = 50_505_403;

/// Reads the flows of wallets up to the last final block, as far as they are not known.
///
/// # Errors
/// No provider can be used, another process reads, or ClickHouse fails.
pub async fn run(context: &Context, wallets: &[Wallet], listener: &ChainListener) -> Result<Flows, Failure> {
    let store = &context.store;
    store.create_chain_tables().await?;
    store.create_flow_tables().await?;
    let lease = store.lease(WRITER, &[], &ProcessIdentity::current()).await?;
    let result = read(context, wallets, listener, &lease).await;
    let released = lease.release().await;
    let result = result?;
    released?;
    Ok(result)
}

async fn read(
    context: &Context,
    wallets: &[Wallet],
    listener: &ChainListener,
    lease: &Lease,
) -> Result<Flows, Failure> {
    let mut reading = Reading::open(context, wallets, listener, lease).await?;
    reading.plan();
    let mut rest = Some(reading.source.wanted());
    while let Some(left) = rest.filter(|_| !context.stop.is_cancelled()) {
        let (piece, behind) = left.cut(PIECE);
        rest = behind;
        for (missing, wallets) in reading.unread(piece) {
            reading.piece(&missing, &wallets).await?;
        }
    }
    reading.note_whole().await?;
    reading.result().await
}

/// What all steps work with.
struct Reading<'a> {
    context: &'a Context,
    listener: ChainListener,
    lease: &'a Lease,
    source: LogSource<'a>,
    ledgers: BTreeMap<Wallet, RangeLedger>,
    /// What conversions cost, by market.
    fee_bips: BTreeMap<Word, u32>,
    logs: u64,
    whole_blocks: u64,
    unreadable: u64,
    unknown_fees: u64,
}

impl<'a> Reading<'a> {
    async fn open(
        context: &'a Context,
        wallets: &[Wallet],
        listener: &ChainListener,
        lease: &'a Lease,
    ) -> Result<Self, Failure> {
        context.store.end_orphaned_inserts(WRITER).await?;
        let mut ledgers = BTreeMap::new();
        for wallet in wallets {
            ledgers.insert(*wallet, context.store.range_ledger(&ledger_name(wallet)).await?);
        }
        Ok(Self {
            context,
            listener: listener.clone(),
            lease,
            source: LogSource::open(context, listener).await?,
            ledgers,
            fee_bips: BTreeMap::new(),
            logs: 0,
            whole_blocks: 0,
            unreadable: 0,
            unknown_fees: 0,
        })
    }

    /// Tells what is to be read.
    fn plan(&self) {
        let missing: Vec<BlockRange> = self.unread(self.source.wanted()).into_keys().flatten().collect();
        let (from, to) = (missing.iter().map(|it| it.from).min(), missing.iter().map(|it| it.to).max());
        if let (Some(from), Some(to)) = (from, to) {
            let blocks = missing.iter().map(BlockRange::blocks).sum();
            (self.listener)(ChainEvent::Planned { ranges: missing.len() as u64, blocks, from, to });
        }
    }

    /// What is not known of a piece, and of whom: wallets that lack the same blocks are read together.
    fn unread(&self, piece: BlockRange) -> BTreeMap<Vec<BlockRange>, Vec<Wallet>> {
        let mut groups: BTreeMap<Vec<BlockRange>, Vec<Wallet>> = BTreeMap::new();
        for (wallet, ledger) in &self.ledgers {
            let missing = ledger.coverage().missing(piece);
            if !missing.is_empty() {
                groups.entry(missing).or_default().push(*wallet);
            }
        }
        groups
    }

    /// Reads ranges for some wallets and writes what they did there. Where something could not be read nothing of it is
    /// written, and the next run reads it again.
    async fn piece(&mut self, ranges: &[BlockRange], wallets: &[Wallet]) -> Result<(), Failure> {
        let [holders, givers, getters] = stakeholder_filter(wallets);
        let source = &self.source;
        let (holders, givers, getters) = tokio::try_join!(
            source.read(holders, ranges),
            source.read(givers, ranges),
            source.read(getters, ranges)
        )?;
        let provider = holders.provider.clone();
        let mut logs = Vec::new();
        for read in [holders, givers, getters] {
            if !self.whole(&read) {
                return Ok(());
            }
            logs.extend(read.logs);
        }
        let collaterals = &self.context.settings.collaterals;
        let mut found = Transactions::of(logs, wallets, collaterals);
        let blocks = open_blocks(&found.rows(&FlowRules { collaterals, fee_bips: &self.fee_bips }));
        let changes = self.source.read(changes_filter(), &blocks).await?;
        if !self.whole(&changes) {
            return Ok(());
        }
        self.whole_blocks += blocks.iter().map(BlockRange::blocks).sum::<u64>();
        found.add(changes.logs, collaterals);
        self.learn_fees(&found.markets()).await?;
        let mut rows = found.rows(&FlowRules { collaterals, fee_bips: &self.fee_bips });
        if !self.date(&mut rows).await {
            return Ok(());
        }
        self.write(&rows, ranges, wallets, &provider).await
    }

    /// Whether everything that was asked for was given.
    fn whole(&mut self, read: &ReadLogs) -> bool {
        self.logs += read.logs.len() as u64;
        self.unreadable += read.unreadable;
        read.missing.is_empty()
    }

    /// What conversions cost, from what `chain` has read, else from the markets' own events.
    async fn learn_fees(&mut self, markets: &[Word]) -> Result<(), Failure> {
        let unknown = |known: &BTreeMap<Word, u32>| -> Vec<Word> {
            markets.iter().filter(|market| !known.contains_key(*market)).copied().collect()
        };
        self.fee_bips.extend(self.context.store.market_fees(&unknown(&self.fee_bips)).await?);
        let asked = unknown(&self.fee_bips);
        if asked.is_empty() {
            return Ok(());
        }
        let wanted = self.source.wanted();
        let from = if wanted.to < FIRST_MARKET { wanted.from } else { FIRST_MARKET };
        let read = self.source.read(market_filter(&asked), &[BlockRange { from, to: wanted.to }]).await?;
        for log in &read.logs {
            if let Decoded::Event(Event::Market { market, fee_bips }) = decode(log) {
                self.fee_bips.insert(market, fee_bips);
            }
        }
        self.unknown_fees += unknown(&self.fee_bips).len() as u64;
        Ok(())
    }

    /// Asks for the times that a node's logs do not say; whether all are known.
    async fn date(&self, rows: &mut [FlowRow]) -> bool {
        let mut times: BTreeMap<u64, u32> = BTreeMap::new();
        for row in rows.iter_mut().filter(|row| row.time == 0) {
            if let std::collections::btree_map::Entry::Vacant(place) = times.entry(row.block) {
                let Some(time) = self.time_of(row.block).await else { return false };
                place.insert(time);
            }
            row.time = times[&row.block];
        }
        true
    }

    async fn time_of(&self, block: u64) -> Option<u32> {
        for _ in 0..TRIES {
            for provider in self.source.providers.list.iter().filter(|it| it.why_gone().is_none()) {
                if self.context.stop.is_cancelled() {
                    return None;
                }
                if let Ok(time) = provider.time_of(block).await {
                    return Some(time);
                }
            }
        }
        None
    }

    async fn write(
        &mut self,
        rows: &[FlowRow],
        ranges: &[BlockRange],
        wallets: &[Wallet],
        provider: &str,
    ) -> Result<(), Failure> {
        if self.lease.lost().is_cancelled() {
            return Err(Failure::Unusable(
                "ClickHouse could not be told for too long that this process is alive; another one may read the flows by now, so this one ends".to_owned(),
            ));
        }
        let now = jiff::Timestamp::now();
        let second = u32::try_from(now.as_second()).unwrap_or(u32::MAX);
        let rows: Vec<WalletFlowRow> =
            rows.iter().map(|row| WalletFlowRow::of(row, provider, second)).collect();
        let (store, settings) = (&self.context.store, &self.context.settings);
        let patience = settings.work.give_up_after;
        write::insert(store, &store.flows_table(), WRITER, &rows, patience, &self.listener).await?;
        let mut noted: Vec<RangeRow> = Vec::new();
        for wallet in wallets {
            let Some(ledger) = self.ledgers.get_mut(wallet) else { continue };
            for range in ranges {
                noted.push(ledger.cover(*range, provider, 0, now.as_microsecond()));
            }
        }
        let table = store.chain_table(ChainTable::Ranges);
        write::insert(store, &table, WRITER, &noted, patience, &self.listener).await?;
        Ok(())
    }

    /// Notes of whom everything was read.
    async fn note_whole(&self) -> Result<(), Failure> {
        let wanted = self.source.wanted();
        let fetched_at = u32::try_from(jiff::Timestamp::now().as_second()).unwrap_or(u32::MAX);
        let rows: Vec<FlowReadRow> = (self.ledgers.iter())
            .filter(|(_, ledger)| ledger.coverage().has(wanted))
            .map(|(wallet, _)| FlowReadRow {
                wallet: wallet.to_string(),
                from_block: wanted.from,
                to_block: wanted.to,
                fetched_at,
            })
            .collect();
        let (store, patience) = (&self.context.store, self.context.settings.work.give_up_after);
        let table = store.flow_reads_table();
        Ok(write::insert(store, &table, WRITER, &rows, patience, &self.listener).await?)
    }

    async fn result(self) -> Result<Flows, Failure> {
        let wanted = self.source.wanted();
        let wallets: Vec<Wallet> = self.ledgers.keys().copied().collect();
        let missing: Vec<BlockRange> = self.unread(wanted).into_keys().flatten().collect();
        let (requests, throttled) = self.source.providers.requests();
        let mut rows: BTreeMap<String, u64> =
            FlowKind::ALL.iter().map(|kind| (kind.name().to_owned(), 0)).collect();
        rows.extend(self.context.store.flow_counts(&wallets).await?);
        Ok(Flows {
            phase: "flows".to_owned(),
            outcome: match (missing.is_empty(), self.context.stop.is_cancelled()) {
                (true, _) => Outcome::Done,
                (false, true) => Outcome::Interrupted,
                (false, false) => Outcome::WorkLeft,
            },
            wallets: wallets.len() as u64,
            from_block: wanted.from,
            to_block: missing.iter().map(|gap| gap.from.saturating_sub(1)).min().unwrap_or(wanted.to),
            finalized: self.source.providers.head(),
            requests,
            throttled,
            logs: self.logs,
            whole_blocks: self.whole_blocks,
            rows,
            unreadable: self.unreadable,
            unknown_fees: self.unknown_fees,
            holes: missing.len() as u64,
            providers: self.source.told(),
            elapsed_seconds: Seconds(self.context.elapsed()),
        })
    }
}

/// How often each provider is asked for the time of a block.
const TRIES: u32 = 3;

/// What a wallet's ranges are noted under: all that is read for it, whoever else is read together with it.
fn ledger_name(wallet: &Wallet) -> String {
    let filters = stakeholder_filter(&[*wallet]).map(|filter: LogFilter| filter.hash()).concat();
    hex(&keccak256(&[b"flows", filters.as_bytes()])[..16])
}
