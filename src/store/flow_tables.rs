//! The tables that `flows` writes: what wallets did beside trading, and of whom everything was read.

use clickhouse::Row;
use clickhouse::types::Int256;
use serde::{Deserialize, Serialize};

use super::wallets::{listed, long};
use super::{Store, StoreError, Table};
use crate::chain::Word;
use crate::chain::flows::FlowRow;
use crate::chain::log::{hex, read_hex};
use crate::ids::Wallet;
use crate::store::chain::ChainTable;

/// A row of `wallet_flows`.
#[derive(Debug, Clone, PartialEq, Eq, Row, Serialize)]
pub struct WalletFlowRow {
    block: u64,
    log_index: u32,
    part: u16,
    wallet: String,
    kind: String,
    condition_id_norm: String,
    market: String,
    token_id: String,
    shares: Int256,
    cash: Int256,
    fee: Int256,
    tx_hash: String,
    timestamp: u32,
    source: String,
    fetched_at: u32,
}

impl WalletFlowRow {
    /// What a decoded flow is in the table, and who gave its logs at which second.
    pub fn of(flow: &FlowRow, source: &str, fetched_at: u32) -> Self {
        Self {
            block: flow.block,
            log_index: flow.log_index,
            part: flow.part,
            wallet: flow.wallet.to_string(),
            kind: flow.kind.name().to_owned(),
            condition_id_norm: flow.condition.map(|it| it.to_string()).unwrap_or_default(),
            market: flow.market.map(|it| hex(&it)).unwrap_or_default(),
            token_id: flow.token.to_string(),
            shares: Int256::from(flow.shares),
            cash: Int256::from(flow.cash),
            fee: Int256::from(flow.fee),
            tx_hash: format!("0x{}", hex(&flow.tx_hash)),
            timestamp: flow.time,
            source: source.to_owned(),
            fetched_at,
        }
    }
}

/// A row of `wallet_flow_reads`: everything of a wallet was read, from and to these blocks.
#[derive(Debug, Clone, PartialEq, Eq, Row, Serialize)]
pub struct FlowReadRow {
    /// The wallet.
    pub wallet: String,
    /// The first block.
    pub from_block: u64,
    /// The last block.
    pub to_block: u64,
    /// When, in seconds since 1970.
    pub fetched_at: u32,
}

#[derive(Row, Deserialize)]
struct KindCount {
    kind: String,
    flows: u64,
}

#[derive(Row, Deserialize)]
struct MarketFee {
    market: String,
    fee_bips: u32,
}

impl Store {
    /// Where `flows` writes.
    pub fn flows_table(&self) -> Table {
        self.staging_table("wallet_flows")
    }

    /// Where `flows` notes whose flows are known.
    pub fn flow_reads_table(&self) -> Table {
        self.staging_table("wallet_flow_reads")
    }

    /// Creates both where they are missing.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn create_flow_tables(&self) -> Result<(), StoreError> {
        let flows = "block UInt64, log_index UInt32, part UInt16, wallet String, kind LowCardinality(String), \
                     condition_id_norm String, market String, token_id String, shares Int256, cash Int256, fee Int256, \
                     tx_hash String, timestamp UInt32, source LowCardinality(String), fetched_at DateTime";
        let reads = "wallet String, from_block UInt64, to_block UInt64, fetched_at DateTime";
        for (table, columns, key) in [
            (self.flows_table(), flows, "(wallet, block, log_index, part)"),
            (self.flow_reads_table(), reads, "wallet"),
        ] {
            let sql = format!(
                "CREATE TABLE IF NOT EXISTS {table} ({columns}) ENGINE = ReplacingMergeTree(fetched_at) ORDER BY {key} \
                 SETTINGS non_replicated_deduplication_window = 1000"
            );
            self.run("creating the tables of flows", self.query(&sql)).await?;
        }
        Ok(())
    }

    /// How many flows of each kind the wallets have, those of several tokens counted once.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn flow_counts(&self, wallets: &[Wallet]) -> Result<Vec<(String, u64)>, StoreError> {
        let sql = format!(
            "SELECT toString(kind) AS kind, if(kind IN ('transfer', 'fee'), uniqExact(wallet, block, log_index, part), \
                    uniqExact(wallet, block, log_index)) AS flows \
             FROM {} WHERE {} GROUP BY kind ORDER BY kind",
            self.flows_table(),
            listed("wallet", wallets)
        );
        let rows: Vec<KindCount> = self.rows("counting the flows", long(self.query(&sql))).await?;
        Ok(rows.into_iter().map(|row| (row.kind, row.flows)).collect())
    }

    /// What a conversion costs in each negative-risk market that the chain was read for, in hundredths of a percent.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn market_fees(&self, markets: &[Word]) -> Result<Vec<(Word, u32)>, StoreError> {
        let texts: Vec<String> = markets.iter().map(|market| format!("'{}'", hex(market))).collect();
        if texts.is_empty() {
            return Ok(Vec::new());
        }
        let sql = format!(
            "SELECT market, any(bips) AS fee_bips FROM (SELECT market, fee_bips AS bips, question_id FROM {} FINAL) WHERE question_id = '' AND market IN ({}) \
             GROUP BY market HAVING uniqExact(bips) = 1",
            self.chain_table(ChainTable::Markets),
            texts.join(", ")
        );
        let rows: Vec<MarketFee> = self.rows("reading what conversions cost", long(self.query(&sql))).await?;
        let word = |text: &str| {
            let mut word = [0; 32];
            read_hex(text.as_bytes(), &mut word).then_some(word)
        };
        Ok(rows.iter().filter_map(|row| Some((word(&row.market)?, row.fee_bips))).collect())
    }
}
