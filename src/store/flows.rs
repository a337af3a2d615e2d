//! The wallets' flows: what they did beside trading, as `backfill flows` or somebody else wrote it down.

use std::collections::{BTreeMap, HashMap};

use clickhouse::Row;
use serde::Deserialize;

use super::input::InputTable;
use super::wallets::{listed, long};
use super::{Store, StoreError};
use crate::ids::{TokenId, Wallet};
use crate::pnl::{Flow, FlowKind, Leg, Micro};

/// What is known of a wallet's flows.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct WalletFlows {
    /// The flows, in the order of the chain.
    pub flows: Vec<Flow>,
    /// Whether the wallet's flows are known at all: what is not among them did not happen.
    pub known: bool,
    /// Whether fees are among them.
    pub fees: bool,
    /// Rows that say nothing that can be counted: another kind, no token, no number.
    pub unreadable: u64,
}

impl WalletFlows {
    /// How many there are of each kind.
    pub fn counts(&self) -> BTreeMap<FlowKind, u64> {
        let mut counts = BTreeMap::new();
        for flow in &self.flows {
            *counts.entry(flow.kind).or_default() += 1;
        }
        counts
    }
}

impl WalletFlows {
    /// The flows of a person's proxies as those of one wallet: shares that went from one to another stayed.
    pub fn of_person(proxies: impl Iterator<Item = Self>) -> Self {
        let mut all = Self { known: true, fees: true, ..Self::default() };
        let mut count = 0;
        for proxy in proxies {
            count += 1;
            all.known &= proxy.known;
            all.fees &= proxy.fees;
            all.unreadable += proxy.unreadable;
            all.flows.extend(proxy.flows);
        }
        if count > 1 {
            all.flows.sort_by_key(|flow| flow.place);
            let mut moved: HashMap<((u64, u32), TokenId), Micro> = HashMap::new();
            let transfers = |flow: &Flow| {
                let leg = flow.legs.first().filter(|_| flow.kind == FlowKind::Transfer)?;
                Some(((flow.place, leg.token), leg.shares.clone()))
            };
            for (key, shares) in all.flows.iter().filter_map(transfers) {
                let sum = moved.entry(key).or_insert_with(Micro::zero);
                *sum = sum.plus(&shares);
            }
            let stayed = |flow: &Flow| transfers(flow).is_some_and(|(key, _)| moved[&key].is_zero());
            all.flows.retain(|flow| !stayed(flow));
        }
        all
    }
}

/// A row of the flows, its numbers as texts: they are integers of up to 256 bits, or whatever a table of somebody's own
/// has.
#[derive(Debug, Row, Deserialize)]
struct FlowLine {
    wallet: String,
    block: u64,
    log_index: u32,
    kind: String,
    token_id: String,
    shares: String,
    cash: String,
    time: u32,
    price: String,
}

impl Store {
    /// The flows of each wallet, in the order given; none where there is no table of them. `priced` asks for the price
    /// of each transferred token: that of its last fill before.
    ///
    /// # Errors
    /// The table lacks a column, or ClickHouse fails.
    pub async fn wallet_flows(
        &self,
        wallets: &[Wallet],
        priced: bool,
    ) -> Result<Vec<WalletFlows>, StoreError> {
        let mut flows: Vec<WalletFlows> = wallets.iter().map(|_| WalletFlows::default()).collect();
        let Some(input) = self.flows_input().await? else { return Ok(flows) };
        let read = self.wallets_with_known_flows(wallets).await?;
        for (flows, wallet) in flows.iter_mut().zip(wallets) {
            (flows.known, flows.fees) = (read.contains(wallet), read.contains(wallet));
        }
        let inputs = self.inputs().await?;
        let fills = Some(inputs.fills()?).filter(|fills| priced && fills.has("timestamp"));
        let sql = flows_sql(&input, fills.map(InputTable::from), wallets);
        let lines: Vec<FlowLine> = self.rows("reading the flows", long(self.query(&sql))).await?;
        let places: HashMap<Wallet, usize> =
            wallets.iter().enumerate().map(|(place, wallet)| (*wallet, place)).collect();
        for line in lines {
            let place = line.wallet.parse().ok().and_then(|wallet: Wallet| places.get(&wallet));
            if let Some(of) = place.and_then(|place| flows.get_mut(*place)) {
                of.add(&line);
            }
        }
        Ok(flows)
    }

    /// Rows of no fills for every token that the wallets' flows name, to be added to the sums by second: such a token is a
    /// position too, though it was never traded. Nothing where there is no table of flows.
    pub(super) async fn flow_tokens_sql(&self, wallets: &[Wallet]) -> Result<String, StoreError> {
        let Some(input) = self.flows_input().await? else { return Ok(String::new()) };
        let (count, shares, cash) = ("toUInt64(0)", "toDecimal256(0, 12)", "toDecimal256(0, 42)");
        Ok(format!(
            "UNION ALL SELECT DISTINCT lower(wallet), token_id, toUInt32(0), {count}, toInt64(0), \
                 {count}, {count}, {count}, {count}, {count}, {count}, {shares}, {cash}, {shares}, {cash}, {shares}, \
                 {cash}, {shares}, {shares}, toInt128(0), toUInt64(1) \
             FROM {} WHERE {}",
            input.from(),
            among(wallets)
        ))
    }

    /// The wallets of which `backfill flows` has read everything.
    async fn wallets_with_known_flows(&self, wallets: &[Wallet]) -> Result<Vec<Wallet>, StoreError> {
        let table = self.staging_table("wallet_flow_reads");
        if self.columns(&table).await?.is_none() {
            return Ok(Vec::new());
        }
        let sql = format!("SELECT DISTINCT lower(wallet) FROM {table} WHERE {}", among(wallets));
        let texts: Vec<String> = self.rows("reading whose flows are known", long(self.query(&sql))).await?;
        Ok(texts.iter().filter_map(|text| text.parse().ok()).collect())
    }
}

/// The condition that a row is of one of the wallets.
fn among(wallets: &[Wallet]) -> String {
    listed("lower(wallet)", wallets)
}

/// One row a part of a flow, the newest where it was written more than once, in the order of the chain.
fn flows_sql(input: &InputTable, fills: Option<String>, wallets: &[Wallet]) -> String {
    let part = if input.has("part") { "toUInt32OrZero(part)" } else { "toUInt32(0)" };
    let time = if input.has("timestamp") { "toUInt32(timestamp)" } else { "toUInt32(0)" };
    let fetched = input.or("fetched_at", "0");
    let (shares, cash) = (input.exact("shares"), input.exact("cash"));
    // A table without parts has a row a token; then the token tells the parts apart.
    let key = "owner, at_block, at_log, at_part, token";
    let rows = format!(
        "SELECT lower(wallet) AS owner, toUInt64OrZero(block) AS at_block, toUInt32OrZero(log_index) AS at_log, \
                {part} AS at_part, token_id AS token, \
                argMax((lower(trimBoth(kind)), {shares}, {cash}, {time}), ({fetched}, kind, {shares}, {cash})) AS newest \
         FROM {from} WHERE {of} GROUP BY {key}",
        from = input.from(),
        of = among(wallets),
    );
    let price_column = if fills.is_some() { "p.last_price" } else { "''" };
    let price = match fills {
        Some(fills) => format!(
            "GLOBAL ASOF LEFT JOIN (SELECT asset_id, toUInt32(timestamp) AS at, argMax(toString(price), fill_id) AS last_price \
                FROM {fills} WHERE asset_id GLOBAL IN (SELECT token FROM flows WHERE newest.1 = 'transfer') \
                  AND price >= 0 AND price <= 1 GROUP BY asset_id, at) AS p ON flows.token = p.asset_id AND flows.newest.4 >= p.at"
        ),
        None => String::new(),
    };
    format!(
        "WITH flows AS ({rows}) \
         SELECT owner AS wallet, at_block AS block, at_log AS log_index, newest.1 AS kind, token AS token_id, \
                newest.2 AS shares, newest.3 AS cash, newest.4 AS time, {price_column} AS price \
         FROM flows {price} ORDER BY {key} SETTINGS join_use_nulls = 0"
    )
}

impl WalletFlows {
    /// Adds a row to the flow that it is a part of.
    fn add(&mut self, line: &FlowLine) {
        self.known = true;
        let kind = FlowKind::of_name(&line.kind);
        let (token, shares) = (line.token_id.parse::<TokenId>(), line.shares.parse::<Micro>());
        let (Some(kind), Ok(token), Ok(shares), Ok(cash)) = (kind, token, shares, line.cash.parse::<Micro>())
        else {
            self.unreadable += 1;
            return;
        };
        self.fees |= kind == FlowKind::Fee;
        let leg = Leg { token, shares, price: line.price.parse().ok() };
        let place = (line.block, line.log_index);
        // Transfers and fees have nothing to do with each other though they stand at one log.
        let together = !matches!(kind, FlowKind::Transfer | FlowKind::Fee);
        match self.flows.last_mut() {
            Some(flow) if together && flow.place == place && flow.kind == kind => {
                flow.cash = flow.cash.plus(&cash);
                flow.legs.push(leg);
            }
            _ => self.flows.push(Flow { time: line.time, place, kind, legs: vec![leg], cash }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_that_went_from_one_proxy_of_a_person_to_another_stayed() {
        let flow = |place, shares| Flow {
            time: 0,
            place,
            kind: FlowKind::Transfer,
            legs: vec![Leg {
                token: TokenId::from_be_bytes([1; 32]),
                shares: Micro::whole(shares),
                price: None,
            }],
            cash: Micro::zero(),
        };
        let of = |flows| WalletFlows { flows, known: true, fees: true, unreadable: 1 };
        let gave = of(vec![flow((5, 1), -100), flow((7, 1), -3)]);
        let got = of(vec![flow((5, 1), 100)]);
        let person = WalletFlows::of_person([gave.clone(), got].into_iter());
        assert_eq!(person, WalletFlows { flows: vec![flow((7, 1), -3)], unreadable: 2, ..gave.clone() });
        assert_eq!(WalletFlows::of_person([gave.clone()].into_iter()), gave);
    }
}
