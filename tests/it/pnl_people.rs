//! A universe's people, read from the chain and the tables: all three definitions equal an oracle in integers to the
//! micro-dollar, whatever the order in which rows arrive and the batches that they are read in.

use std::sync::Arc;

use backfill::demo::universe::people::{People, What};
use backfill::demo::universe::{Kind, Universe, UniverseOptions};
use backfill::demo::wallet_logs::WalletLogs;
use backfill::demo::{ChainHabits, ChainLayout, ChainStandIn, ChainWorld};
use backfill::ids::Wallet;
use backfill::outcome::Outcome;
use backfill::phases::chain::ChainListener;
use backfill::phases::flows;
use backfill::phases::validate::{self, Baseline, FeeSource, ValidateOptions, WalletResult};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::common::World;
use crate::pnl_world::oracle::Oracle;

const FIRST: u64 = 50_600_000;
const LAYOUT: ChainLayout = ChainLayout { first_block: FIRST, blocks: 6_000, strangers_percent: 3 };
const PEOPLE: usize = 6;

fn below(rng: &mut ChaCha8Rng, sides: u64) -> u64 {
    rng.next_u64() % sides
}

/// A universe of which a good part is of the second generation.
fn universe(seed: u64) -> Universe {
    let options = UniverseOptions {
        seed,
        traded_tokens: 1_600,
        mapped_tokens: 100,
        fills: 2_400,
        wallets: 50,
        baseline_wallets: 0,
        resolved: 0.7,
        v2_share: 0.5,
        wrong_map_rows: 0,
        ..UniverseOptions::default()
    };
    Universe::generate(options).unwrap()
}

/// A universe and its people.
struct Lives {
    universe: Universe,
    people: People,
    chain: Arc<ChainWorld>,
    world: World,
}

impl Lives {
    async fn new(seed: u64) -> Self {
        let universe = universe(seed);
        let people = universe.people(PEOPLE, FIRST);
        assert_eq!(people.wallets.len(), PEOPLE);
        let mut logs = WalletLogs::default();
        logs.people(&universe, &people);
        let chain = Arc::new(ChainWorld::of(&universe, LAYOUT).with_logs(logs.into_logs()));
        let world = World::with(&universe).await;
        let lives = Self { universe, people, chain, world };
        lives.map().await;
        lives
    }

    /// Both sides of every market that the people have to do with, with their labels.
    async fn map(&self) {
        let mut rows: Vec<String> = Vec::new();
        for market in self.universe.markets() {
            for (index, token) in market.tokens().iter().enumerate() {
                let (condition, label) = (market.condition(), market.labels()[index]);
                rows.push(format!("('{token}', '{condition}', {index}, '{label}')"));
            }
        }
        let columns = "token_id, condition_id_norm, outcome_index, outcome_label";
        let rows = rows.join(", ");
        self.world.run(&format!("INSERT INTO {{d}}.ctf_token_map ({columns}) VALUES {rows}")).await;
        self.world.run("ALTER TABLE {d}.clob_fills ADD COLUMN paid Float64, ADD COLUMN kept Float64").await;
    }

    /// Writes the people's fills, in an order and in batches that the dice decide; some are delivered twice.
    async fn fills(&self, rng: &mut ChaCha8Rng) {
        let wallets: Vec<String> = self.people.wallets.iter().map(|it| format!("'{it}'")).collect();
        let those = format!("lower(proxy_wallet) IN ({})", wallets.join(", "));
        self.world
            .run(&format!("ALTER TABLE {{d}}.clob_fills DELETE WHERE {those} SETTINGS mutations_sync = 2"))
            .await;
        let mut rows = Vec::new();
        for deed in &self.people.deeds {
            let What::Trade(trade) = &deed.what else { continue };
            let side = if trade.buys { "BUY" } else { "SELL" };
            let token = self.universe.token_of(trade.side).unwrap();
            let time = 1_590_000_000 + 2 * (deed.block / 2);
            let (kept, paid) = if trade.exchange < 2 { (trade.fee, 0) } else { (0, trade.fee) };
            let row = format!(
                "('{}', '{}', '{token}', '{side}', {} / 10000, {}, {time}, {time}, {paid}, {kept})",
                deed.block, deed.wallet, trade.price_e4, trade.shares
            );
            rows.extend(std::iter::repeat_n(row, 1 + usize::from(below(rng, 8) == 0)));
        }
        for last in (1..rows.len()).rev() {
            rows.swap(last, below(rng, last as u64 + 1) as usize);
        }
        let columns =
            "fill_id, proxy_wallet, asset_id, side, price, size, timestamp, ingested_at, paid, kept";
        while !rows.is_empty() {
            let batch = rows.split_off(rows.len().saturating_sub(1 + below(rng, 90) as usize));
            let rows = batch.join(", ");
            self.world.run(&format!("INSERT INTO {{d}}.clob_fills ({columns}) VALUES {rows}")).await;
        }
    }

    /// Reads their flows from a provider of one kind or the other, in ranges that the dice decide.
    async fn flows(&self, rng: &mut ChaCha8Rng, habits: ChainHabits) {
        for table in ["wallet_flows", "wallet_flow_reads", "chain_ranges"] {
            self.world.run(&format!("DROP TABLE IF EXISTS {{s}}.{table} SYNC")).await;
        }
        let habits = ChainHabits {
            most_blocks: Some(100 + below(rng, 6_000)),
            most_logs: Some(50 + below(rng, 2_000) as usize),
            ..habits
        };
        let provider = ChainStandIn::start(self.chain.clone(), habits).await.unwrap();
        let (url, from) = (provider.url(), FIRST.to_string());
        let settings = ["--chain-url", &url, "--chain-rate-limit", "100000/1s", "--chain-from-block", &from];
        let context = self.world.context(&settings).await;
        let mut wallets = self.people.wallets.clone();
        wallets.rotate_left(below(rng, PEOPLE as u64) as usize);
        let listener: ChainListener = Arc::new(|_| ());
        // Some of them first, and then all.
        for count in [1 + below(rng, PEOPLE as u64) as usize, PEOPLE] {
            let read = flows::run(&context, &wallets[..count], &listener).await.unwrap();
            assert_eq!((read.outcome, read.holes, read.unknown_fees), (Outcome::Done, 0, 0), "{read:?}");
        }
    }

    async fn assessed(&self, baselines: Vec<Baseline>, columns: &str) -> Vec<WalletResult> {
        let context = self.world.context(&["--combos", "combo_legs.legs", "--fills-columns", columns]).await;
        let options = ValidateOptions { baselines, ..ValidateOptions::default() };
        validate::run(&context, &options).await.unwrap().wallets
    }

    /// Compares all three definitions of these people, each a list of proxies, with the oracle.
    async fn agree(&self, persons: &[&[Wallet]], columns: &str, source: FeeSource, told: &str) {
        let one = || "1".parse().unwrap();
        let baselines = persons
            .iter()
            .map(|proxies| Baseline { others: proxies[1..].to_vec(), ..Baseline::new(proxies[0], one()) });
        let found = self.assessed(baselines.collect(), columns).await;
        for (proxies, wallet) in persons.iter().zip(&found) {
            let definitions = &wallet.appraisal.definitions;
            let computed =
                [&definitions.resolved, &definitions.certain, &definitions.average_cost].map(|it| it.six());
            let made = Oracle::made(&self.universe, &self.people, proxies).six();
            assert_eq!(computed, made, "resolved, certain and average cost of {proxies:?}, {told}");
            assert_eq!((wallet.fees.source, wallet.flows_without_position), (source, 0), "{told}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn peoples_pnl_equals_an_oracle_in_integers_by_all_definitions_whatever_the_order_and_the_batches() {
    for seed in 1..=3 {
        let lives = Lives::new(seed).await;
        let each: Vec<&[Wallet]> = lives.people.wallets.chunks(1).collect();
        let pairs: Vec<&[Wallet]> = lives.people.wallets.chunks(2).collect();
        for (order, habits) in [ChainHabits::portal(), ChainHabits::node()].into_iter().enumerate() {
            let mut rng = ChaCha8Rng::seed_from_u64(100 * seed + order as u64);
            let told = format!("seed {seed}, order {order}");
            lives.fills(&mut rng).await;
            lives.flows(&mut rng, habits).await;
            lives.agree(&each, "", FeeSource::Chain, &told).await;
            lives.agree(&pairs, "", FeeSource::Chain, &format!("{told}, two proxies of one person")).await;
            // The same fees from columns of the fills: those of the chain are not taken a second time.
            let columns = "fee_cash=paid,fee_received=kept";
            lives.agree(&each, columns, FeeSource::Fills, &format!("{told}, fees from the fills")).await;
        }
    }
}

#[test]
fn people_do_everything_that_there_is_in_every_kind_of_market() {
    let mut seen = std::collections::BTreeSet::new();
    for seed in 1..=3 {
        let universe = universe(seed);
        let people = universe.people(PEOPLE, FIRST);
        assert_eq!(people.deeds, universe.people(PEOPLE, FIRST).deeds, "the same seed makes the same people");
        let blocks: std::collections::BTreeSet<u64> = people.deeds.iter().map(|deed| deed.block).collect();
        assert_eq!(blocks.len(), people.deeds.len(), "each deed is a transaction of its own");
        for deed in &people.deeds {
            let kind = |market: usize| {
                let market = universe.market(market).unwrap();
                match market.kind() {
                    Kind::Hash if market.neg_risk() => "wrapped",
                    Kind::Hash => "plain",
                    Kind::Mirror => "mirror",
                    Kind::Binary => "binary",
                    Kind::NegRisk => "event",
                    Kind::Combo => "combo",
                }
            };
            seen.insert(match &deed.what {
                What::Trade(trade) => {
                    let fee = match (trade.fee > 0, trade.pays_in_shares()) {
                        (false, _) => "free",
                        (true, true) => "in shares",
                        (true, false) => "in cash",
                    };
                    format!("trade {} {fee}", kind(trade.side.0))
                }
                What::Form { market, splits, .. } => format!("form {} {splits}", kind(*market)),
                What::Horizontal { splits, .. } => format!("horizontal {splits}"),
                What::Conversion { event, .. } => format!("conversion {}", kind(event[0])),
                What::Redemption { market, .. } => format!("redemption {}", kind(*market)),
                What::Transfer { to, .. } => format!("transfer {}", *to == deed.wallet),
                What::Migration { .. } => "migration".to_owned(),
            });
        }
    }
    // Six kinds of markets: trades without a fee and with one in cash, splits, merges and redemptions; of the first
    // generation fees in shares too.
    assert_eq!(seen.len(), 6 * 5 + 2 + 2 + 2 + 2 + 1, "{seen:#?}");
}
