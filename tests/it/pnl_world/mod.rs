//! Hand-made tables for the P&L tests: every row says in one line what it is there for.

pub mod model;
pub mod oracle;

use backfill::ids::Wallet;

use crate::common::World;

/// The four tables in a world of their own, without engines that drop duplicates behind a test's back.
pub struct Tables {
    pub world: World,
}

/// A row of the fills; price and size as they would stand in a text.
#[derive(Debug, Clone, PartialEq)]
pub struct Fill {
    pub fill_id: String,
    pub wallet: String,
    pub asset: String,
    pub side: String,
    pub price: String,
    pub size: String,
    pub ingested_at: u32,
}

impl Fill {
    /// A purchase of a numbered token by a numbered wallet: USD a share, micro-shares.
    pub fn buy(wallet: u8, number: u8, price: &str, size: &str) -> Self {
        Self {
            fill_id: format!("buy-{number}"),
            wallet: spelled(wallet),
            asset: token(number),
            side: "BUY".to_owned(),
            price: price.to_owned(),
            size: size.to_owned(),
            ingested_at: 1_700_000_000,
        }
    }
}

/// The numbered wallet, with letters in it, so that its case can be changed.
pub fn wallet(number: u8) -> Wallet {
    let mut bytes = [0xab; 20];
    bytes[19] = number;
    Wallet::from_bytes(bytes)
}

/// The numbered wallet as a row of the fills has it.
pub fn spelled(number: u8) -> String {
    wallet(number).to_string()
}

/// The numbered token: no outcome of any condition makes it.
pub fn token(number: u8) -> String {
    format!("5000000000000000000000000000000000000000000000000000000000000000000000000{number:03}")
}

/// The numbered condition.
pub fn condition(number: u8) -> String {
    format!("{number:02x}").repeat(31) + "fe"
}

fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\\', "\\\\").replace('\'', "\\'"))
}

impl Tables {
    /// Fresh tables, empty.
    pub async fn new() -> Self {
        let world = World::with_tables().await;
        Self { world }
    }

    /// Maps a numbered token to a numbered condition.
    pub async fn map(&self, number: u8, market: u8, index: u8, label: &str) {
        self.map_row(&token(number), &condition(market), index, label).await;
    }

    /// A row of the map.
    pub async fn map_row(&self, token: &str, condition: &str, index: u8, label: &str) {
        let label = quoted(label);
        self.world
            .run(&format!(
                "INSERT INTO {{d}}.ctf_token_map (token_id, condition_id_norm, outcome_index, outcome_label) \
                 VALUES ('{token}', '{condition}', {index}, {label})"
            ))
            .await;
    }

    /// The payouts of a numbered condition.
    pub async fn resolve(&self, market: u8, vector: &str, denominator: u8) {
        self.resolve_row(&condition(market), vector, denominator).await;
    }

    /// A row of the resolutions that has a vector alone.
    pub async fn resolve_row(&self, condition: &str, vector: &str, denominator: u8) {
        self.resolution(condition, vector, denominator, 65_535, 1_700_000_000).await;
    }

    /// A row of the resolutions that has the winner's index and the date of the resolution, and nothing else.
    pub async fn resolve_by_index(&self, market: u8, index: u16) {
        let condition = condition(market);
        self.world
            .run(&format!(
                "INSERT INTO {{d}}.market_resolutions_final (condition_id_norm, winning_index, resolved_at) \
                 VALUES ('{condition}', {index}, 1700000000)"
            ))
            .await;
    }

    /// A row of the resolutions.
    pub async fn resolution(
        &self,
        condition: &str,
        vector: &str,
        denominator: u8,
        index: u16,
        updated_at: u32,
    ) {
        self.world
            .run(&format!(
                "INSERT INTO {{d}}.market_resolutions_final (condition_id_norm, payout_numerators, \
                 payout_denominator, updated_at, winning_index) \
                 VALUES ('{condition}', {vector}, {denominator}, {updated_at}, {index})"
            ))
            .await;
    }

    /// The winning label of a numbered condition.
    pub async fn winner(&self, market: u8, label: &str) {
        self.winner_row(&condition(market), label).await;
    }

    /// A row of the winners.
    pub async fn winner_row(&self, condition: &str, label: &str) {
        let label = quoted(label);
        self.world
            .run(&format!("INSERT INTO {{d}}.gamma_resolved VALUES ('{condition}', {label}, 1, 1700000000)"))
            .await;
    }

    /// Fills, in one insert.
    pub async fn fills(&self, fills: &[Fill]) {
        let rows: Vec<String> = fills
            .iter()
            .map(|fill| {
                let [id, asset, side] = [&fill.fill_id, &fill.asset, &fill.side].map(|text| quoted(text));
                format!(
                    "({id}, '{}', {asset}, {side}, {}, {}, {})",
                    fill.wallet, fill.price, fill.size, fill.ingested_at
                )
            })
            .collect();
        let columns = "fill_id, proxy_wallet, asset_id, side, price, size, ingested_at";
        self.world.run(&format!("INSERT INTO {{d}}.clob_fills ({columns}) VALUES {}", rows.join(", "))).await;
    }

    /// Fills with what stands in their columns `taken` and `fee_rate_bps`.
    pub async fn fills_with_fees(&self, fills: &[(Fill, f64, u32)]) {
        for (fill, taken, rate) in fills {
            let Fill { fill_id, wallet, asset, side, price, size, ingested_at } = fill;
            self.world
                .run(&format!(
                    "INSERT INTO {{d}}.clob_fills (fill_id, proxy_wallet, asset_id, side, price, size, ingested_at, taken, \
                     fee_rate_bps) VALUES ('{fill_id}', '{wallet}', '{asset}', '{side}', {price}, {size}, {ingested_at}, \
                     {taken}, {rate})"
                ))
                .await;
        }
    }
}
