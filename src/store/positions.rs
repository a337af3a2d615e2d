//! The wallets' positions: one pass over the fills, each fill once, sums exact, joined to the map and the payouts.

use std::collections::HashMap;

use clickhouse::Row;
use serde::Deserialize;

use super::catalogue::believed;
use super::fees::FeeColumns;
use super::input::InputTable;
use super::spelling::{by_either_spelling, ended_columns};
use super::sql::{condition_norm, mirror_spelling, usable_map, usable_row, well_formed_token};
use super::wallets::{among, long};
use super::{Needs, Store, StoreError};
use crate::ids::Wallet;
use crate::pnl::{
    BadAmount, Charged, Decision, Evidence, FlowSums, Labels, ListedWinner, Micro, Payout, PayoutSource,
    PayoutVector, Position, Repeated, Resolution, Trade, Usd, decide,
};
use crate::source::Source;

/// All fills of a wallet in one token, before anything is known of the token.
#[derive(Row, Deserialize)]
struct Traded {
    wallet: String,
    asset_id: String,
    well_formed: bool,
    fills: u64,
    duplicates: u64,
    changed: u64,
    nameless: u64,
    odd_side: u64,
    odd_price: u64,
    odd_size: u64,
    inexact: u64,
    net_shares: String,
    cashflow: String,
    repeated_shares: String,
    repeated_cash: String,
    /// What fees took: micro-shares, micro-USD, and what they would have by the rates alone, in micro-USD.
    fee_shares: String,
    fee_cash: String,
    fee_guess: String,
    /// Whether the wallet's flows name the token.
    in_flows: bool,
    /// By second: what was bought and sold of micro-shares, paid and received of micro-USD, as decimals.
    seconds: Vec<(u32, String, String, String, String)>,
    state: u8,
    condition_id: String,
    outcome_index: u8,
    label: String,
    /// The label of the condition's other outcome.
    other_label: String,
    /// The numerators that the chain reported, none where it did not.
    chain: Vec<String>,
    chain_whole: String,
    has_resolution: bool,
    numerators: Vec<String>,
    denominator: String,
    winning_index: u64,
    winning_outcome: String,
    dated: bool,
    contradicting: bool,
    winner: String,
    winner_contradicting: bool,
    /// What a source of tokens says that the token is paid, in halves plus 1; 0 for nothing.
    fact: u8,
    /// The outcome index plus 1 of the winner that a catalogue names, 0 for none.
    catalogue_winning: u16,
    catalogue_label: String,
}

/// Fills of a wallet in a token that is not mapped: what they would be worth nobody can say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unmapped {
    /// The token, or what stands in its place.
    pub token_id: String,
    /// Whether that is a token id at all.
    pub well_formed: bool,
    /// Whether the map contradicts itself about it.
    pub ambiguous: bool,
    /// Fills, each counted once.
    pub fills: u64,
    /// Bought less sold, in micro-shares.
    pub net_shares: Micro,
    /// Received less paid, in micro-USD.
    pub cashflow: Micro,
}

/// Counts of what is odd in a wallet's fills and in what decides them. Nothing is dropped in silence.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct DataQuality {
    /// Second deliveries of a fill, left out.
    pub duplicates: u64,
    /// Fills whose deliveries differ in something that counts; the newest counts.
    pub changed: u64,
    /// Fills without an id: each counts for itself, also where it was delivered twice.
    pub nameless: u64,
    /// Fills that are neither BUY nor SELL, left out.
    pub odd_side: u64,
    /// Fills with a price that is none, or not between 0 and 1, left out.
    pub odd_price: u64,
    /// Fills with a size that is none, negative, or beyond 10^18 micro-shares, left out.
    pub odd_size: u64,
    /// Fills with more decimals than are counted with (30 of a price, 12 of a size), which are cut.
    pub inexact: u64,
    /// Positions whose resolution has rows that contradict each other; the newest counts.
    pub contradicting: u64,
    /// Positions whose resolution contradicts itself; the vector counts.
    pub self_contradicting: u64,
    /// Positions whose payout vector has a denominator of zero: unresolved.
    pub zero_denominator: u64,
    /// Positions whose two tables name different winners; the payout of the resolutions counts.
    pub tables_disagree: u64,
    /// Positions whose winner's text is not exactly one of the condition's two labels, and that nothing else decides:
    /// unresolved.
    pub undecidable: u64,
    /// Positions of a condition with a label that contradicts its place ("Yes" at index 1), which was not taken.
    pub misplaced_labels: u64,
    /// Positions whose winner is named by a catalogue alone.
    pub from_catalogue: u64,
    /// Positions in combos that are undecided: a leg is open, or its legs are not known.
    pub undecided_combos: u64,
}

/// Fills whose side is neither BUY nor SELL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OddSide {
    /// What stands there, in upper case.
    pub side: String,
    /// How many, each counted once.
    pub fills: u64,
    /// The sum of price times size.
    pub worth: Usd,
}

#[derive(Row, Deserialize)]
struct OddSideRow {
    wallet: String,
    side: String,
    fills: u64,
    worth: String,
}

/// What a wallet holds and held.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holdings {
    /// The wallet.
    pub wallet: Wallet,
    /// Its positions in mapped tokens, in the order of their tokens.
    pub positions: Vec<Position>,
    /// Its fills in tokens that are not mapped.
    pub unmapped: Vec<Unmapped>,
    /// What is odd about them.
    pub data_quality: DataQuality,
    /// Its fills that are neither BUY nor SELL, by what stands there.
    pub odd_sides: Vec<OddSide>,
    /// Whether the fills have a column of fees.
    pub fees: bool,
    /// Where they have rates alone: what the exchanges took by those, an estimate.
    pub estimated_fees: Usd,
}

impl Store {
    /// The holdings of each wallet, in the order given, from one pass over the fills. Each wallet is given once.
    ///
    /// # Errors
    /// A table or column is missing, or ClickHouse fails.
    pub async fn holdings(&self, wallets: &[Wallet]) -> Result<Vec<Holdings>, StoreError> {
        let doing = "adding up the positions";
        let inputs = self.inputs().await?;
        let problems = inputs.problems(Needs::Payouts)?;
        if !problems.is_empty() {
            return Err(StoreError::Unusable {
                problems: super::input::list(&problems),
                advice: String::new(),
            });
        }
        let sql = self.holdings_sql(wallets).await?;
        let rows: Vec<Traded> = self.rows(doing, long(self.query(&sql))).await?;
        let places: HashMap<Wallet, usize> =
            wallets.iter().enumerate().map(|(place, wallet)| (*wallet, place)).collect();
        let fees = inputs.fills()?.has("fee_cash") || inputs.fills()?.has("fee_received");
        let empty = |wallet: &Wallet| Holdings { fees, ..Holdings::empty(*wallet) };
        let mut holdings: Vec<Holdings> = wallets.iter().map(empty).collect();
        for row in rows {
            let place = row.wallet.parse().ok().and_then(|wallet: Wallet| places.get(&wallet));
            let Some(of) = place.and_then(|place| holdings.get_mut(*place)) else { continue };
            of.add(row).map_err(|error| StoreError::Query {
                doing: doing.to_owned(),
                source: clickhouse::error::Error::Custom(format!("a sum is not a number: {error}")),
            })?;
        }
        if holdings.iter().any(|of| of.data_quality.odd_side > 0) {
            self.add_odd_sides(wallets, &mut holdings).await?;
        }
        self.decide_derived(&mut holdings).await?;
        Ok(holdings)
    }

    /// What stands in the place of a side, and how many dollars those fills are worth. Asked for where there are any.
    async fn add_odd_sides(&self, wallets: &[Wallet], holdings: &mut [Holdings]) -> Result<(), StoreError> {
        let inputs = self.inputs().await?;
        let input = inputs.fills()?;
        let sql = format!(
            "SELECT owner AS wallet, toValidUTF8(way) AS side, count() AS fills, toString(sum(newest)) AS worth \
             FROM (SELECT owner, way, argMax(worth, (ingested_at, worth)) AS newest FROM \
               (SELECT lower(proxy_wallet) AS owner, trimBoth(toString(fill_id)) AS fill, asset_id, ingested_at, \
                       upper(trimBoth(toString(side))) AS way, if(fill = '', generateUUIDv4(), toUUIDOrZero('')) AS alone, \
                       if(price >= 0 AND price <= 1 AND size >= 0 AND size <= 1e18, ifNull(toDecimal256OrNull({price}, 30) \
                         * toDecimal256OrNull({size}, 12), 0), 0) AS worth FROM {from} WHERE {among}) \
               WHERE way NOT IN ('BUY', 'SELL') GROUP BY owner, fill, alone, asset_id, way) \
             GROUP BY owner, way ORDER BY sum(newest) DESC, way LIMIT 20 BY owner",
            price = input.exact("price"),
            size = input.exact("size"),
            from = input.from(),
            among = among(wallets),
        );
        let rows: Vec<OddSideRow> = self.rows("adding up odd sides", long(self.query(&sql))).await?;
        for row in rows {
            let Ok(wallet) = row.wallet.parse::<Wallet>() else { continue };
            let worth = row.worth.parse::<Micro>().map_or_else(|_| Usd::zero(), |worth| worth.units());
            let of = holdings.iter_mut().filter(|of| of.wallet == wallet);
            of.for_each(|of| {
                of.odd_sides.push(OddSide { side: row.side.clone(), fills: row.fills, worth: worth.clone() })
            });
        }
        Ok(())
    }

    async fn holdings_sql(&self, wallets: &[Wallet]) -> Result<String, StoreError> {
        let of_wallets = among(wallets);
        let (names, inputs) = (self.names(), self.inputs().await?);
        let (input, map_input) = (inputs.fills()?, inputs.map()?);
        let (fills, map, table) = (input.from(), usable_map(map_input), map_input.from());
        let (token, label) = (well_formed_token("asset_id"), map_input.or("outcome_label", "''"));
        let (price, size) = (input.exact("price"), input.exact("size"));
        let second = match input.has("timestamp") {
            true => "toUInt32(timestamp)",
            false => "toUInt32(0)",
        };
        let FeeColumns { shares: fee_shares, cash: fee_cash, guess: fee_guess } = FeeColumns::of(input);
        let in_flows = self.flow_tokens_sql(wallets).await?;
        if inputs.resolutions.is_none() && inputs.winners.is_none() && !self.has_chain().await? {
            return Err(StoreError::MissingTable {
                table: format!("{} (or {})", names.resolutions.plain(), names.winners.plain()),
                setting: "RESOLUTIONS_TABLE or WINNERS_TABLE",
                creatable: false,
            });
        }
        let resolutions = resolutions_or_none(inputs.resolutions.as_ref());
        let winners = winners_or_none(inputs.winners.as_ref());
        let catalogue =
            self.catalogue_winners(Source::Clob, "SELECT mirrored FROM mapped").await?.unwrap_or_else(|| {
                "SELECT '' AS condition, toUInt16(0) AS winning, '' AS label WHERE false".to_owned()
            });
        let (chain, facts) = (self.chain_payouts_sql().await?, self.token_facts_sql().await?);
        let labels = by_either_spelling(&self.labels_sql(map_input).await?, &["first", "second"]);
        let chain = by_either_spelling(&chain, &["vector", "whole"]);
        let resolutions = by_either_spelling(
            &resolutions,
            &["has", "vector", "whole", "winning", "outcome", "dated", "contradicting"],
        );
        let winners = by_either_spelling(&winners, &["outcome", "contradicting"]);
        let catalogue = by_either_spelling(&catalogue, &["winning", "label"]);
        let (ended, mirrored) = (ended_columns(), mirror_spelling("condition_id_norm"));
        Ok(format!(
            // Columns of text may hold bytes that are none; what is shown of those is a replacement character.
            // Every delivery's own worth, or zeros where it is odd: 10^18 micro-shares at 42 decimals are 60 of the 76
            // digits that a Decimal256 has, so that no sum can wrap. What is below the scale by more than the second
            // look can see is inexact for that alone.
            "WITH read AS (SELECT lower(proxy_wallet) AS owner, trimBoth(toString(fill_id)) AS fill, asset_id AS asset, \
                 upper(trimBoth(toString(side))) AS way, if(fill = '', generateUUIDv4(), toUUIDOrZero('')) AS alone, \
                 {price} AS price_text, {size} AS size_text, ingested_at, {second} AS second, \
                 way NOT IN ('BUY', 'SELL') AS odd_side, NOT (price >= 0 AND price <= 1) AS odd_price, \
                 NOT (size >= 0 AND size <= 1e18) AS odd_size, NOT (odd_side OR odd_price OR odd_size) AS counts, \
                 if(way = 'BUY', 1, -1) AS sign, if(counts, price_text, '0') AS p, if(counts, size_text, '0') AS s, \
                 ifNull(toDecimal256OrNull(p, 30), 0) AS exact_price, ifNull(toDecimal256OrNull(s, 12), 0) AS exact_size, \
                 counts AND (exact_price != ifNull(toDecimal256OrNull(p, 50), 0) OR (price > 0 AND price < 1e-30) \
                   OR exact_size != ifNull(toDecimal256OrNull(s, 40), 0) OR (size > 0 AND size < 1e-12)) AS inexact, \
                 exact_size * sign AS shares, exact_price * exact_size * -sign AS cash, \
                 if(counts, {fee_shares}, toDecimal256(0, 12)) AS fee_s, if(counts, {fee_cash}, toDecimal256(0, 12)) AS fee_c, \
                 if(counts, {fee_guess}, toInt128(0)) AS fee_g \
               FROM {fills} WHERE {of_wallets}), \
             once AS (SELECT owner, fill, count() AS copies, uniqExact(price_text, size_text) AS versions, \
                 argMax((asset, odd_side, odd_price, odd_size, inexact, counts, shares, cash, second, fee_s, fee_c, fee_g), \
                        (ingested_at, price_text, size_text)) AS newest, \
                 sum(shares) AS all_shares, sum(cash) AS all_cash \
               FROM read GROUP BY owner, fill, alone, asset, way), \
             seconds AS (SELECT owner, newest.1 AS asset, newest.9 AS at_second, countIf(newest.6) AS n_fills, \
                 sum(copies) - count() AS n_copies, countIf(versions > 1) AS n_changed, countIf(fill = '') AS n_nameless, countIf(newest.2) AS n_sides, \
                 countIf(newest.3) AS n_prices, countIf(newest.4) AS n_sizes, countIf(newest.5) AS n_inexact, \
                 sum(newest.7) AS shares_in, sum(newest.8) AS cash_in, sumIf(newest.7, newest.7 > 0) AS bought, \
                 sumIf(newest.8, newest.7 > 0) AS spent, sum(all_shares) - shares_in AS shares_again, \
                 sum(all_cash) - cash_in AS cash_again, sum(newest.10) AS took_shares, sum(newest.11) AS took_cash, \
                 sum(newest.12) AS took_guess, toUInt64(0) AS n_flows \
               FROM once GROUP BY owner, asset, at_second {in_flows}), \
             traded AS (SELECT owner, asset, sum(n_fills) AS fill_count, sum(n_copies) AS copies_left_out, \
                 sum(n_changed) AS changed_count, sum(n_nameless) AS nameless_count, sum(n_sides) AS odd_sides, sum(n_prices) AS odd_prices, \
                 sum(n_sizes) AS odd_sizes, sum(n_inexact) AS inexact_count, sum(shares_in) AS net, \
                 sum(cash_in) AS paid, sum(shares_again) AS more_shares, sum(cash_again) AS more_cash, \
                 sum(took_shares) AS fee_s, sum(took_cash) AS fee_c, sum(took_guess) AS fee_g, sum(n_flows) AS flow_count, \
                 groupArray((at_second, bought, spent, shares_in - bought, cash_in - spent)) AS by_second \
               FROM seconds GROUP BY owner, asset), \
             mapped AS (SELECT token_id, condition_id_norm, {mirrored} AS mirrored, outcome_index, disagreeing, label \
               FROM {map} AS m \
               GLOBAL LEFT ANY JOIN (SELECT token_id, max({label}) AS label FROM {table} GROUP BY token_id) AS l \
                 USING token_id) \
             SELECT owner AS wallet, toValidUTF8(asset) AS asset_id, {token} AS well_formed, fill_count AS fills, \
                    toUInt64(copies_left_out) AS duplicates, changed_count AS changed, nameless_count AS nameless, odd_sides AS odd_side, \
                    odd_prices AS odd_price, odd_sizes AS odd_size, inexact_count AS inexact, \
                    toString(net) AS net_shares, toString(paid) AS cashflow, \
                    toString(more_shares) AS repeated_shares, toString(more_cash) AS repeated_cash, \
                    toString(fee_s) AS fee_shares, toString(fee_c) AS fee_cash, toString(fee_g) AS fee_guess, \
                    flow_count > 0 AS in_flows, \
                    arrayMap(it -> (it.1, toString(it.2), toString(it.3), toString(it.4), toString(it.5)), \
                             arraySort(it -> it.1, by_second)) AS seconds, \
                    toUInt8(multiIf(k.token_id = '', 0, k.disagreeing, 1, 2)) AS state, \
                    k.condition_id_norm AS condition_id, k.outcome_index AS outcome_index, {ended} \
             FROM traded AS t \
             GLOBAL LEFT ANY JOIN (SELECT token_id, condition_id_norm, mirrored, outcome_index, disagreeing, label FROM mapped) AS k \
               ON t.asset = k.token_id \
             GLOBAL LEFT ANY JOIN ({labels}) AS b ON k.mirrored = b.key \
             GLOBAL LEFT ANY JOIN ({chain}) AS h ON k.mirrored = h.key \
             GLOBAL LEFT ANY JOIN ({facts}) AS f ON k.token_id = f.token_id \
             GLOBAL LEFT ANY JOIN ({resolutions}) AS r ON k.mirrored = r.key \
             GLOBAL LEFT ANY JOIN ({winners}) AS w ON k.mirrored = w.key \
             GLOBAL LEFT ANY JOIN ({catalogue}) AS c ON k.mirrored = c.key \
             ORDER BY wallet, asset_id SETTINGS join_use_nulls = 0"
        ))
    }

    /// The payouts that the chain reported, one row a condition; none where the chain was not read. A condition that is
    /// said to have two payouts has none: one of them is false.
    pub(super) async fn chain_payouts_sql(&self) -> Result<String, StoreError> {
        let table = self.staging_table("chain_resolutions");
        if self.columns(&table).await?.is_none() {
            return Ok(
                "SELECT '' AS condition, emptyArrayString() AS vector, '' AS whole WHERE false".to_owned()
            );
        }
        Ok(format!(
            "SELECT condition_id_norm AS condition, any(arrayMap(part -> toString(part), payout_numerators)) AS vector, \
                    any(toString(arraySum(payout_numerators))) AS whole \
             FROM {table} WHERE condition_id_norm != '' GROUP BY condition HAVING uniqExact(payout_numerators) = 1"
        ))
    }

    /// What a source of tokens says that a token is paid, in halves plus 1, where all of them agree.
    async fn token_facts_sql(&self) -> Result<String, StoreError> {
        let table = self.staging_table("token_facts");
        if self.columns(&table).await?.is_none() {
            return Ok("SELECT '' AS token_id, toUInt8(0) AS fact WHERE false".to_owned());
        }
        Ok(format!(
            "SELECT token_id, toUInt8(any(payout) * 2 + 1) AS fact FROM (SELECT token_id, assumeNotNull(payout) AS payout \
               FROM {table} WHERE resolved = 1 AND payout IN (0, 0.5, 1)) \
             GROUP BY token_id HAVING uniqExact(payout) = 1"
        ))
    }

    /// The labels of both outcomes of a condition, one row a condition: the map's, else the first that is staged, else
    /// the catalogue's.
    pub(super) async fn labels_sql(&self, map: &InputTable) -> Result<String, StoreError> {
        let label = map.or("outcome_label", "''");
        let mut parts = vec![format!(
            "SELECT {} AS condition, toUInt8(outcome_index) AS index, toString({label}) AS label, toUInt8(0) AS rank \
             FROM {} WHERE {} AND {label} != ''",
            condition_norm("condition_id_norm"),
            map.from(),
            usable_row(),
        )];
        for (rank, source) in (1_u8..).zip(Source::ALL) {
            for (table, is_listed) in [(source.staging_table(), false), (source.catalogue_table(), true)] {
                let table = self.staging_table(&table);
                if let Some(columns) = self.columns(&table).await? {
                    let believed = believed(&columns);
                    let rank = rank + if is_listed { 100 } else { 0 };
                    parts.push(format!(
                        "SELECT condition_id_norm, outcome_index, outcome_label, toUInt8({rank}) FROM {table} \
                         WHERE condition_id_norm != '' AND outcome_label != '' AND outcome_index < 2 AND {believed}"
                    ));
                }
            }
        }
        Ok(format!(
            "SELECT condition, argMinIf(label, (rank, label), index = 0) AS first, \
                    argMinIf(label, (rank, label), index = 1) AS second FROM ({}) GROUP BY condition",
            parts.join(" UNION ALL ")
        ))
    }
}

/// The resolutions, one row a condition; none where there is no such table.
pub(super) fn resolutions_or_none(input: Option<&InputTable>) -> String {
    let nothing = "SELECT '' AS condition, true AS has, emptyArrayString() AS vector, '' AS whole, \
                   toUInt64(0) AS winning, '' AS outcome, false AS dated, false AS contradicting WHERE false";
    input.map_or_else(|| nothing.to_owned(), resolutions_sql)
}

/// The winners, one row a condition; none where there is no such table.
pub(super) fn winners_or_none(input: Option<&InputTable>) -> String {
    let nobody = "SELECT '' AS condition, '' AS outcome, false AS contradicting WHERE false";
    input.map_or_else(|| nobody.to_owned(), winners_sql)
}

/// One row a condition of the resolutions: the newest that decides, and whether others contradict it.
fn resolutions_sql(input: &InputTable) -> String {
    let condition = condition_norm("condition_id_norm");
    // 65535 stands for no winner, as for a half.
    let index = input.or("winning_index", "65535");
    let (outcome, updated) = (input.or("winning_outcome", "''"), input.or("updated_at", "0"));
    let dated = format!("({} = 1)", input.or("resolved_at", "0"));
    let row = format!("(payout_numerators, payout_denominator, toUInt64({index}), {outcome}, {dated})");
    // What a row says, however it says it: two that pay alike contradict each other in nothing, nor does one that
    // decided nothing yet. A condition is resolved once and for good, so an older row that pays otherwise does.
    let says = format!(
        "multiIf(whole > 0 AND arrayExists(part -> part > 0, parts), arrayMap(part -> part / whole, parts), \
            {index} < 2 AND ({outcome} != '' OR whole > 0 AND empty(parts) OR {dated}), \
            [toFloat64({index} = 0), toFloat64({index} = 1)], [])"
    );
    // The newest row that decides counts, then the newest that names a winner at all.
    format!(
        "SELECT normed AS condition, true AS has, newest.1 AS vector, newest.2 AS whole, newest.3 AS winning, \
                newest.4 AS outcome, newest.5 AS dated, versions > 1 AS contradicting \
         FROM (SELECT normed, argMax(row, (notEmpty(said), names, updated, row)) AS newest, \
                      uniqExactIf(said, notEmpty(said)) AS versions \
               FROM (SELECT {condition} AS normed, {row} AS row, {outcome} != '' AS names, {updated} AS updated, \
                            toFloat64OrZero(payout_denominator) AS whole, \
                            arrayMap(part -> toFloat64OrZero(part), payout_numerators) AS parts, {says} AS said \
                     FROM {from}) \
               GROUP BY normed) WHERE condition != ''",
        from = input.from(),
    )
}

/// One winner a condition.
fn winners_sql(input: &InputTable) -> String {
    let condition = condition_norm("cid");
    let (closed, fetched) = (input.or("closed", "1"), input.or("fetched_at", "0"));
    format!(
        "SELECT normed AS condition, newest AS outcome, versions > 1 AS contradicting \
         FROM (SELECT {condition} AS normed, argMax(toString(winning_outcome), ({fetched}, toString(winning_outcome))) AS newest, \
                      uniqExact(lowerUTF8(trimBoth(winning_outcome))) AS versions \
               FROM {from} WHERE {closed} = 1 AND trimBoth(winning_outcome) != '' GROUP BY normed) WHERE condition != ''",
        from = input.from(),
    )
}

impl Traded {
    /// What is known of how the token's condition ended.
    fn evidence(&self) -> Evidence {
        let own = usize::from(self.outcome_index.min(1));
        let labels = [&self.label, &self.other_label];
        let (first, second) = (labels[own], labels[1 - own]);
        let resolution = self.has_resolution.then(|| Resolution {
            vector: PayoutVector::parse(&self.numerators, &self.denominator),
            winning_index: u8::try_from(self.winning_index).ok().filter(|index| *index < 2),
            winning_outcome: self.winning_outcome.clone(),
            dated: self.dated,
        });
        let halves = self.fact.checked_sub(1).map(u64::from).filter(|halves| *halves <= 2);
        let fact = |halves: u64| Payout::new(halves, 2);
        let [first_fact, second_fact] = match halves {
            Some(halves) if own == 0 => [fact(halves), fact(2 - halves)],
            Some(halves) => [fact(2 - halves), fact(halves)],
            None => [None, None],
        };
        Evidence {
            labels: Labels::new(first, second),
            chain: Some(PayoutVector::parse(&self.chain, &self.chain_whole)).filter(PayoutVector::pays),
            resolution,
            winner: self.winner.clone(),
            facts: [first_fact, second_fact],
            listed: self.catalogue_winning.checked_sub(1).map(|index| ListedWinner {
                index: u8::try_from(index).unwrap_or(u8::MAX),
                label: self.catalogue_label.clone(),
            }),
        }
    }
}

impl Holdings {
    pub(super) fn empty(wallet: Wallet) -> Self {
        Self {
            wallet,
            positions: Vec::new(),
            unmapped: Vec::new(),
            data_quality: DataQuality::default(),
            odd_sides: Vec::new(),
            fees: false,
            estimated_fees: Usd::zero(),
        }
    }

    fn add(&mut self, row: Traded) -> Result<(), BadAmount> {
        let data_quality = &mut self.data_quality;
        data_quality.duplicates += row.duplicates;
        data_quality.changed += row.changed;
        data_quality.nameless += row.nameless;
        data_quality.odd_side += row.odd_side;
        data_quality.odd_price += row.odd_price;
        data_quality.odd_size += row.odd_size;
        data_quality.inexact += row.inexact;
        // Nothing but odd fills is no position.
        self.estimated_fees =
            std::mem::take(&mut self.estimated_fees) + row.fee_guess.parse::<Micro>()?.units();
        if row.fills == 0 && !row.in_flows {
            return Ok(());
        }
        let (net_shares, cashflow): (Micro, Micro) = (row.net_shares.parse()?, row.cashflow.parse()?);
        let charged = Charged { shares: row.fee_shares.parse()?, cash: row.fee_cash.parse()? };
        let (net_shares, cashflow) = (net_shares.minus(&charged.shares), cashflow.minus(&charged.cash));
        // Every usable map row is of a well-formed token, and of a well-formed condition.
        let ids = row.asset_id.parse().ok().zip(row.condition_id.parse().ok());
        let Some((token_id, condition_id)) = ids.filter(|_| row.state == 2) else {
            if row.fills == 0 {
                return Ok(());
            }
            self.unmapped.push(Unmapped {
                token_id: row.asset_id,
                well_formed: row.well_formed,
                ambiguous: row.state == 1,
                fills: row.fills,
                net_shares,
                cashflow,
            });
            return Ok(());
        };
        let evidence = row.evidence();
        let by_winner = !row.has_resolution && row.winner_contradicting;
        let rows_disagree = row.contradicting || by_winner;
        let decision = Decision { rows_disagree, ..decide(row.outcome_index, &evidence) };
        let otherwise = decide(1 - row.outcome_index.min(1), &evidence).payout;
        data_quality.contradicting += u64::from(decision.rows_disagree);
        data_quality.self_contradicting += u64::from(decision.contradicts_itself);
        data_quality.zero_denominator += u64::from(decision.zero_denominator);
        data_quality.tables_disagree += u64::from(decision.tables_disagree);
        data_quality.undecidable += u64::from(decision.undecidable);
        data_quality.misplaced_labels += u64::from(decision.misplaced_label);
        data_quality.from_catalogue += u64::from(decision.source == Some(PayoutSource::Catalogue));
        self.positions.push(Position {
            wallet: self.wallet,
            token_id,
            condition_id,
            outcome_index: row.outcome_index,
            label: row.label,
            fills: row.fills,
            net_shares,
            cashflow,
            trades: trades(&row.seconds)?,
            charged,
            flows: FlowSums::default(),
            excluded: false,
            decision,
            otherwise,
            repeated: Repeated {
                fills: row.duplicates,
                net_shares: row.repeated_shares.parse()?,
                cashflow: row.repeated_cash.parse()?,
            },
        });
        Ok(())
    }
}

/// The purchases and the sales of each second.
fn trades(seconds: &[(u32, String, String, String, String)]) -> Result<Vec<Trade>, BadAmount> {
    let mut trades = Vec::with_capacity(seconds.len());
    for (time, bought, spent, sold, received) in seconds {
        for (shares, cash) in [(bought, spent), (sold, received)] {
            if shares != "0" || cash != "0" {
                trades.push(Trade::parse(*time, shares, cash)?);
            }
        }
    }
    Ok(trades)
}
