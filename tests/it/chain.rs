//! The chain as a source: from stand-ins of a portal and of nodes, honest and not, into the tables, and on into tokens.

mod downloads;
mod files;
mod follow;
mod new_blocks;
mod payouts;
mod uses;

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use backfill::chain::BlockRange;
use backfill::demo::stand_in::{ChainKind, Fault, FaultPlan};
use backfill::demo::universe::Payout;
use backfill::demo::{ChainHabits, ChainLayout, ChainStandIn, ChainWorld, Universe, UniverseOptions};
use backfill::failure::Failure;
use backfill::outcome::Outcome;
use backfill::phases::chain::{self, ChainEvent, ChainOptions};
use backfill::phases::derive::{self, DeriveOptions};
use backfill::phases::merge::{self, MergeOptions};

use backfill::results::Chain;
use tokio_util::sync::CancellationToken;

use crate::common::{BACKFILL, World};

/// A universe whose fills name no condition, and which no table of resolutions knows: all must come from the chain.
fn universe(seed: u64, tokens: usize) -> Arc<Universe> {
    let options = UniverseOptions {
        seed,
        traded_tokens: tokens,
        mapped_tokens: tokens / 50,
        fills: 4 * tokens as u64,
        condition_ids_in_fills: 0.0,
        ..UniverseOptions::default()
    };
    Arc::new(Universe::generate(options).unwrap())
}

/// A ClickHouse with a universe, and its chain.
struct Scene {
    universe: Arc<Universe>,
    chain: Arc<ChainWorld>,
    world: World,
}

impl Scene {
    async fn new(seed: u64, tokens: usize, blocks: u64) -> Self {
        let universe = universe(seed, tokens);
        let layout = ChainLayout { blocks, ..ChainLayout::default() };
        let chain = Arc::new(ChainWorld::of(&universe, layout));
        let world = World::with(&universe).await;
        Self { universe, chain, world }
    }

    async fn provider(&self, habits: ChainHabits) -> ChainStandIn {
        ChainStandIn::start(self.chain.clone(), habits).await.unwrap()
    }

    fn settings(urls: &[&ChainStandIn]) -> Vec<String> {
        let urls: Vec<String> = urls.iter().map(|it| it.url()).collect();
        [("--chain-url", urls.join(",")), ("--chain-rate-limit", "100000/1s".to_owned())]
            .into_iter()
            .filter(|(_, value)| !value.is_empty())
            .flat_map(|(name, value)| [name.to_owned(), value])
            .chain(["--request-timeout".to_owned(), "2s".to_owned()])
            .collect()
    }

    /// Reads, and keeps what was told.
    async fn read(
        &self,
        urls: &[&ChainStandIn],
        options: &ChainOptions,
    ) -> (Result<Chain, Failure>, Vec<ChainEvent>) {
        let settings = Self::settings(urls);
        let settings: Vec<&str> = settings.iter().map(String::as_str).collect();
        let context = self.world.context(&settings).await;
        let told: Arc<Mutex<Vec<ChainEvent>>> = Arc::default();
        let kept = told.clone();
        let listener: chain::ChainListener = Arc::new(move |event| kept.lock().unwrap().push(event));
        let result = chain::run(&context, options, &listener).await;
        let told = told.lock().unwrap().clone();
        (result, told)
    }

    async fn read_all(&self, urls: &[&ChainStandIn]) -> Chain {
        let result = self.read(urls, &ChainOptions::default()).await.0.unwrap();
        assert_eq!((result.holes, result.outcome), (0, Outcome::Done), "{result:?}");
        result
    }

    /// Every condition and every payout of the universe stands in the tables, once, and nothing else does.
    async fn assert_whole(&self) {
        let client = clickhouse::Client::default().with_url(&self.world.url);
        let staging = &self.world.staging;
        let conditions: Vec<(String, String, String)> = client
            .query(&format!(
                "SELECT condition_id_norm, oracle, question_id FROM {staging}.chain_conditions FINAL ORDER BY condition_id_norm"
            ))
            .fetch_all()
            .await
            .unwrap();
        let expected: BTreeSet<String> =
            self.universe.markets().map(|market| market.condition().to_string()).collect();
        assert_eq!(conditions.len(), expected.len());
        assert_eq!(conditions.into_iter().map(|row| row.0).collect::<BTreeSet<_>>(), expected);
        let payouts: Vec<(String, String)> = client
            .query(&format!(
                "SELECT condition_id_norm, toString(payout_numerators) FROM {staging}.chain_resolutions FINAL"
            ))
            .fetch_all()
            .await
            .unwrap();
        let count = payouts.len();
        let payouts: BTreeMap<String, String> = payouts.into_iter().collect();
        assert_eq!(payouts.len(), count, "a payout stands twice");
        let expected: BTreeMap<String, String> = self
            .universe
            .markets()
            .filter(|market| market.payout() != Payout::Unresolved)
            .map(|market| {
                let paid = match market.payout() {
                    Payout::Winner(0) => "[1,0]",
                    Payout::Winner(_) => "[0,1]",
                    Payout::Half | Payout::Unresolved => "[1,1]",
                };
                (market.condition().to_string(), paid.to_owned())
            })
            .collect();
        assert_eq!(payouts, expected);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_condition_and_payout_comes_from_either_kind_of_provider_and_all_tokens_follow() {
    for kind in [ChainKind::Portal, ChainKind::Node] {
        let scene = Scene::new(41, 3_000, 200_000).await;
        let habits = match kind {
            ChainKind::Portal => ChainHabits { most_logs: Some(700), ..ChainHabits::portal() },
            ChainKind::Node => ChainHabits { knows_finalized: false, ..ChainHabits::node() },
        };
        let provider = scene.provider(habits).await;
        // Where a node does not say what is final, the last 64 blocks are not.
        provider.set_head(scene.chain.layout().last_block() + 64);
        let result = scene.read_all(&[&provider]).await;
        assert_eq!(result.conditions, scene.chain.conditions());
        assert_eq!(result.resolutions, scene.chain.resolutions());
        assert!(result.strangers > 0 && result.markets > 0, "{result:?}");
        assert_eq!((result.rejected, result.contradicting), (0, 0));
        scene.assert_whole().await;

        let again = scene.read_all(&[&provider]).await;
        assert!(again.logs == 0 && again.requests < 5, "{again:?}");

        let context = scene.world.context(&[]).await;
        derive::run(&context, &DeriveOptions::default()).await.unwrap();
        let merged = merge::run(&context, &MergeOptions::default()).await.unwrap();
        assert_eq!(merged.after.mapped, merged.after.total, "no other source was asked");
    }
}

/// A fifth of the answers faulty, a tenth of the rows false, refusals in every wording, logs that were taken back,
/// servers that are behind.
fn harsh(seed: u64, kind: ChainKind) -> ChainHabits {
    let habits = if kind == ChainKind::Portal { ChainHabits::portal() } else { ChainHabits::node() };
    let mut faults = FaultPlan::faults(seed, 0.2);
    // What hangs waits for a timeout, and the wait proves nothing more.
    faults.kinds.retain(|fault| !matches!(fault, Fault::Hang | Fault::HangInBody));
    ChainHabits {
        faults,
        falsifies: 0.1,
        removed: 0.05,
        behind: (0.05, 500),
        most_blocks: Some(6_000),
        most_logs: Some(300),
        ..habits
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn faults_false_rows_and_kills_lose_nothing() {
    let kills = std::env::var("CHAIN_KILLS").ok().and_then(|it| it.parse().ok()).unwrap_or(2);
    let tokens = std::env::var("CHAIN_TOKENS").ok().and_then(|it| it.parse().ok()).unwrap_or(1_200);
    let blocks = std::env::var("CHAIN_BLOCKS").ok().and_then(|it| it.parse().ok()).unwrap_or(60_000);
    for kind in [ChainKind::Portal, ChainKind::Node] {
        let scene = Scene::new(42, tokens, blocks).await;
        let provider = scene.provider(harsh(7, kind)).await;
        for kill in 0..kills {
            let mut child = Command::new(BACKFILL)
                .arg("chain")
                .args(scene.world.arguments())
                .args(Scene::settings(&[&provider]))
                .args(["--progress", "none", "--quiet"])
                .stdout(std::process::Stdio::null())
                .stderr(std::process::Stdio::null())
                .spawn()
                .unwrap();
            // Killed by what the provider has seen of it, at another place each time.
            let until = provider.counters().requests + 6 + 7 * kill;
            while provider.counters().requests < until && child.try_wait().unwrap().is_none() {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            child.kill().unwrap();
            child.wait().unwrap();
        }
        let mut result = None;
        // A server that is behind may answer which block is the last one: then a run ends before the world does, and says so.
        for _ in 0..6 {
            let read = scene.read(&[&provider], &ChainOptions::default()).await.0.unwrap();
            let complete = read.holes == 0 && read.to_block == scene.chain.layout().last_block();
            result = Some(read);
            if complete {
                break;
            }
        }
        let result = result.unwrap();
        assert!(result.holes == 0, "{result:?}");
        assert!(provider.counters().falsified > 0 && provider.counters().faults > 0);
        scene.assert_whole().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_one_provider_leaves_out_a_second_one_names_and_closes() {
    let scene = Scene::new(43, 2_000, 100_000).await;
    let liar = scene.provider(ChainHabits { leaves_out: 0.05, ..ChainHabits::node() }).await;
    let honest = scene.provider(ChainHabits::node()).await;
    let result = scene.read_all(&[&liar]).await;
    assert!(result.conditions < scene.chain.conditions());
    let check = ChainOptions { check: Some(1.0), check_seed: 1, ..ChainOptions::default() };

    let alone = scene.read(&[&liar], &check).await.0.unwrap_err();
    assert_eq!(alone.outcome(), Outcome::Usage);
    assert!(alone.to_string().contains("second provider"), "{alone}");

    let (result, told) = scene.read(&[&liar, &honest], &check).await;
    let result = result.unwrap();
    assert!(result.holes == 0, "{result:?}");
    let found = result.check.unwrap();
    assert_eq!(found.unconfirmed, 0);
    let named: u64 = told
        .iter()
        .map(|event| match event {
            ChainEvent::Differs { first, second, missing, .. } => {
                assert_eq!((first, second), (&liar.name(), &honest.name()));
                *missing
            }
            _ => 0,
        })
        .sum();
    assert!(named == found.missing && named > 0);
    scene.assert_whole().await;
    let (again, _) = scene.read(&[&honest, &liar], &check).await;
    // What the honest one gave the other cannot confirm, and nothing is missing.
    assert_eq!(again.unwrap().check.unwrap().missing, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_cuts_without_a_word_at_a_number_is_found_out() {
    let scene = Scene::new(44, 3_000, 60_000).await;
    for habits in [
        ChainHabits { cuts_at_logs: Some(76), most_logs: None, ..ChainHabits::node() },
        ChainHabits { cuts_at_blocks: Some(10_000), most_blocks: None, ..ChainHabits::node() },
    ] {
        let provider = scene.provider(habits).await;
        let everything = BlockRange { from: 0, to: 10_000_000 };
        let options = ChainOptions { recheck: vec![everything], ..ChainOptions::default() };
        let (result, _) = scene.read(&[&provider], &options).await;
        assert!(result.unwrap().holes == 0);
        scene.assert_whole().await;
        scene.world.run("TRUNCATE TABLE {s}.chain_conditions").await;
        scene.world.run("TRUNCATE TABLE {s}.chain_resolutions").await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_one_node_has_thrown_away_comes_from_the_other_or_is_named() {
    let scene = Scene::new(45, 1_500, 80_000).await;
    let middle = scene.chain.layout().first_block + 40_000;
    let young =
        scene.provider(ChainHabits { pruned_below: Some((middle, true)), ..ChainHabits::node() }).await;
    let (alone, told) = scene.read(&[&young], &ChainOptions::default()).await;
    let alone = alone.unwrap();
    assert!(alone.holes > 0);
    assert!(
        told.iter()
            .any(|event| matches!(event, ChainEvent::Provider(it) if format!("{it:?}").contains("Pruned")))
    );
    let old = scene.provider(ChainHabits { latency: Duration::from_millis(2), ..ChainHabits::node() }).await;
    let both = scene.read_all(&[&young, &old]).await;
    assert!(both.logs < scene.chain.log_count(), "what was read stays read: {both:?}");
    scene.assert_whole().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_that_goes_down_in_the_middle_is_waited_for() {
    let scene = Scene::new(46, 1_500, 300_000).await;
    let provider = scene
        .provider(ChainHabits {
            most_blocks: Some(2_000),
            latency: Duration::from_millis(4),
            ..ChainHabits::node()
        })
        .await;
    let reading = async { scene.read(&[&provider], &ChainOptions::default()).await };
    let switching = async {
        while provider.counters().requests < 30 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        provider.set_outage(backfill::demo::stand_in::Outage::Unavailable);
        let seen = provider.counters().requests;
        while provider.counters().requests < seen + 10 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        provider.set_outage(backfill::demo::stand_in::Outage::None);
    };
    let ((result, told), ()) = tokio::join!(reading, switching);
    assert!(result.unwrap().holes == 0);
    assert!(told.iter().any(|event| format!("{event:?}").contains("Down")), "{told:?}");
    scene.assert_whole().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_a_provider_is_one_message_and_its_exit_code() {
    let scene = Scene::new(47, 600, 2_000).await;
    let exit = |settings: Vec<String>| {
        let output = Command::new(BACKFILL)
            .arg("chain")
            .args(scene.world.arguments())
            .args(settings)
            .args(["--progress", "none"])
            .output()
            .unwrap();
        let errors = String::from_utf8_lossy(&output.stderr).into_owned();
        (
            output.status.code().unwrap(),
            errors.lines().filter(|line| line.starts_with("error:")).map(str::to_owned).collect::<Vec<_>>(),
        )
    };
    let url = |url: &str| vec!["--chain-url".to_owned(), url.to_owned()];

    let ethereum = scene.provider(ChainHabits { chain_id: 1, ..ChainHabits::node() }).await;
    let (code, errors) = exit(Scene::settings(&[&ethereum]));
    assert_eq!((code, errors.len()), (1, 1), "{errors:?}");
    assert!(errors[0].contains("chain 1,") && errors[0].contains("137"), "{errors:?}");

    let (code, errors) = exit(url(&scene.world.url));
    assert_eq!((code, errors.len()), (1, 1), "{errors:?}");
    assert!(errors[0].contains("neither a portal") && errors[0].contains("CHAIN_URL"), "{errors:?}");

    let (code, errors) = exit(url("http://127.0.0.1:9/secret-key"));
    assert_eq!(code, 1);
    assert!(!errors.join("").contains("secret-key"), "{errors:?}");

    let node = scene.provider(ChainHabits::node()).await;
    let mut above = Scene::settings(&[&node]);
    above.extend(["--chain-from-block".to_owned(), "99999999".to_owned()]);
    let (code, errors) = exit(above);
    assert_eq!(code, 2);
    assert!(errors[0].contains("99999999") && errors[0].contains("above"), "{errors:?}");

    for bad in [
        vec!["--check", "0"],
        vec!["--check", "1.5"],
        vec!["--recheck", "9..1"],
        vec!["--chain-url", ""],
        vec!["--follow=0s"],
    ] {
        let (code, _) = exit(bad.iter().map(|it| (*it).to_owned()).collect());
        assert_eq!(code, 2, "{bad:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_behind_what_was_read_is_said_so_and_changes_nothing() {
    let scene = Scene::new(48, 600, 20_000).await;
    let node = scene.provider(ChainHabits::node()).await;
    scene.read_all(&[&node]).await;
    let behind = scene
        .provider(ChainHabits { head: Some(scene.chain.layout().first_block + 9_000), ..ChainHabits::node() })
        .await;
    let (result, told) = scene.read(&[&behind], &ChainOptions::default()).await;
    assert_eq!(result.unwrap().logs, 0);
    assert!(told.iter().any(|event| matches!(event, ChainEvent::BehindCoverage { .. })));
    scene.assert_whole().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lease_that_is_lost_ends_a_read_that_waits_and_what_was_written_stays() {
    let scene = Scene::new(61, 1_500, 300_000).await;
    let habits = ChainHabits { latency: Duration::from_millis(4), ..ChainHabits::node() };
    let provider = scene.provider(habits).await;
    let settings = Scene::settings(&[&provider]);
    let settings: Vec<&str> = settings.iter().map(String::as_str).collect();
    let context = scene.world.context(&settings).await;
    context.store.create_chain_tables().await.unwrap();
    let (lost, options) = (CancellationToken::new(), ChainOptions::default());
    let listener: chain::ChainListener = Arc::new(|_| {});
    let reading = chain::run_until_lost(&context, &options, &listener, &lost);
    let losing = async {
        while provider.counters().requests < 10 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        // Nothing it waits for would come for fifteen minutes.
        provider.set_outage(backfill::demo::stand_in::Outage::Unavailable);
        lost.cancel();
    };
    let (result, ()) = tokio::join!(reading, losing);
    let failure = result.unwrap_err();
    assert_eq!(failure.outcome(), Outcome::Failed);
    assert!(failure.to_string().contains("another one may read the chain by now"), "{failure}");
    provider.set_outage(backfill::demo::stand_in::Outage::None);
    scene.read_all(&[&provider]).await;
    scene.assert_whole().await;
}
