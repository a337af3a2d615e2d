//! What wallets did beside trading, read from stand-ins of the chain's providers into the table that validate counts.

use std::sync::Arc;

use backfill::chain::{BlockRange, Word};
use backfill::ctf::{default_collaterals, token_id};
use backfill::demo::stand_in::ChainKind;
use backfill::demo::wallet_logs::{ExchangeFill, WalletLogs, question_token};
use backfill::demo::{ChainHabits, ChainLayout, ChainStandIn, ChainWorld};
use backfill::failure::Failure;
use backfill::ids::{ConditionId, TokenId, Wallet};
use backfill::outcome::Outcome;
use backfill::phases::chain::ChainListener;
use backfill::phases::flows;
use backfill::results::Flows;

use crate::common::World;
use crate::pnl_world::wallet;

/// The first block of a small chain.
const FIRST: u64 = 50_600_000;

fn condition(number: u8) -> ConditionId {
    ConditionId::from_bytes([number; 32])
}

fn token(number: u8, index: u8) -> TokenId {
    token_id(&condition(number), index, &default_collaterals()[0].address)
}

fn market() -> Word {
    let mut market = [9; 32];
    market[31] = 0;
    market
}

/// A chain of 40,000 blocks with what wallets 1 and 2 did.
fn world() -> Arc<ChainWorld> {
    let (one, two) = (wallet(1), wallet(2));
    let mut logs = WalletLogs::default();
    let fill =
        |buys, shares, cash, fee| ExchangeFill { maker: one, token: token(1, 0), buys, shares, cash, fee };
    logs.at(FIRST + 100).fill(0, &fill(true, 1_000, 400, 20));
    logs.at(FIRST + 200).fill(3, &fill(false, 300, 200, 7));
    logs.at(FIRST + 300).form(&one, &condition(2), true, 500, false);
    logs.at(FIRST + 400).form(&one, &condition(2), false, 200, true);
    logs.at(FIRST + 20_000).redeem(&one, &condition(2), [300, 0], 300);
    logs.at(FIRST + 20_500).transfer(&one, &two, token(2, 1), 100);
    logs.at(FIRST + 30_000).transfer(&two, &one, question_token(&market(), 0, 1), 1_000);
    logs.at(FIRST + 30_001).transfer(&two, &one, question_token(&market(), 2, 1), 1_000);
    logs.at(FIRST + 30_010).convert(&one, market(), 0b1111, 0b101, 1_000, 200);
    let layout = ChainLayout { first_block: FIRST, blocks: 40_000, ..ChainLayout::default() };
    Arc::new(ChainWorld::made_up(3, 50, layout).with_logs(logs.into_logs()))
}

async fn read(world: &World, provider: &ChainStandIn, wallets: &[Wallet]) -> Result<Flows, Failure> {
    let (url, from) = (provider.url(), FIRST.to_string());
    let settings = [
        "--chain-url",
        &url,
        "--chain-rate-limit",
        "100000/1s",
        "--chain-from-block",
        &from,
        "--request-timeout",
        "2s",
    ];
    let listener: ChainListener = Arc::new(|_| ());
    flows::run(&world.context(&settings).await, wallets, &listener).await
}

/// The rows of a wallet: kind, token, shares, cash, time.
async fn rows(world: &World, of: &Wallet) -> Vec<(String, String, String, String, u32)> {
    world
        .all(&format!(
            "SELECT toString(kind), token_id, toString(shares), toString(cash), timestamp FROM {{s}}.wallet_flows FINAL \
             WHERE wallet = '{of}' ORDER BY block, log_index, part"
        ))
        .await
}

#[tokio::test(flavor = "multi_thread")]
async fn splits_merges_redemptions_conversions_transfers_and_fees_come_from_either_kind_of_provider() {
    for kind in [ChainKind::Portal, ChainKind::Node] {
        let habits = if kind == ChainKind::Portal { ChainHabits::portal() } else { ChainHabits::node() };
        let provider = ChainStandIn::start(world(), habits).await.unwrap();
        let world = World::new().await;
        let result = read(&world, &provider, &[wallet(1)]).await.unwrap();
        assert_eq!((result.outcome, result.holes, result.wallets), (Outcome::Done, 0, 1), "{result:?}");
        let found = rows(&world, &wallet(1)).await;
        let time = |block: u64| (1_590_000_000 + 2 * ((FIRST + block) / 2)) as u32;
        let row = |kind: &str, token: TokenId, shares: i64, cash: i64, block| {
            (kind.to_owned(), token.to_string(), shares.to_string(), cash.to_string(), time(block))
        };
        let question = |number, index| question_token(&market(), number, index);
        let expected = [
            row("fee", token(1, 0), -20, 0, 100),
            row("fee", token(1, 0), 0, -7, 200),
            row("split", token(2, 0), 500, -500, 300),
            row("split", token(2, 1), 500, 0, 300),
            row("merge", token(2, 0), -200, 200, 400),
            row("merge", token(2, 1), -200, 0, 400),
            row("redemption", token(2, 0), -300, 300, 20_000),
            row("transfer", token(2, 1), -100, 0, 20_500),
            row("transfer", question(0, 1), 1_000, 0, 30_000),
            row("transfer", question(2, 1), 1_000, 0, 30_001),
            row("conversion", question(0, 1), -1_000, 980, 30_010),
            row("conversion", question(2, 1), -1_000, 0, 30_010),
            row("conversion", question(1, 0), 980, 0, 30_010),
            row("conversion", question(3, 0), 980, 0, 30_010),
        ];
        assert_eq!(found, expected, "{kind:?}");
        assert_eq!([result.rows["merge"], result.rows["transfer"], result.rows["conversion"]], [1, 3, 1]);
        // Again: nothing is asked for that is known, and another wallet costs its own logs alone.
        let again = read(&world, &provider, &[wallet(1)]).await.unwrap();
        assert_eq!((again.logs, again.whole_blocks, again.rows), (0, 0, result.rows));
        let both = read(&world, &provider, &[wallet(1), wallet(2)]).await.unwrap();
        assert_eq!((both.outcome, both.logs), (Outcome::Done, 3), "{both:?}");
        assert_eq!(rows(&world, &wallet(1)).await, expected);
        assert_eq!(rows(&world, &wallet(2)).await.len(), 3);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_one_run_could_not_read_the_next_one_does() {
    let provider = ChainStandIn::start(world(), ChainHabits::node()).await.unwrap();
    let world = World::new().await;
    provider.set_head(FIRST + 25_000);
    let first = read(&world, &provider, &[wallet(1)]).await.unwrap();
    assert_eq!((first.outcome, first.to_block), (Outcome::Done, FIRST + 25_000), "{first:?}");
    assert_eq!(rows(&world, &wallet(1)).await.len(), 8);
    provider.set_head(FIRST + 39_999);
    let second = read(&world, &provider, &[wallet(1)]).await.unwrap();
    assert_eq!(rows(&world, &wallet(1)).await.len(), 14);
    assert!(second.logs < first.logs + 20, "{second:?}");
    let covered = BlockRange { from: FIRST, to: FIRST + 39_999 };
    assert_eq!((second.from_block, second.to_block), (covered.from, covered.to));
}
