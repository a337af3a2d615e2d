//! The catalogue on a genuine ClickHouse: no page is lost, whatever breaks and whenever it is killed, and what it says
//! of labels and winners is used where nothing else does.
//!
//! `CRASH_RUNS=100 cargo test --release --test clob campaign -- --nocapture` is the long campaign;
//! `CRASH_SEED=n` repeats a run.

use std::collections::{BTreeMap, HashSet};
use std::process::Child;
use std::time::{Duration, Instant};

use crate::common::{Scene, small_universe};
use backfill::demo::stand_in::{FaultPlan, ListHabits, Outage, Window};
use backfill::demo::universe::Payout;
use backfill::demo::{StandIn, StandInOptions};
use backfill::outcome::Outcome;
use backfill::phases::merge::{self, MergeOptions, MergeResult};
use backfill::phases::validate::{self, Baseline, ValidateOptions};
use backfill::phases::{clob, derive, setup};
use backfill::pnl::Micro;
use backfill::report::Report;
use backfill::results::{Catalogue, Merge, Validate};
use backfill::source::Source;
use backfill::store::labels::LabelCounts;
use backfill::track::checkpoint;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// Token and condition to index (255 without a proof), label and whether it won.
type Listed = BTreeMap<(String, String), (u8, String, bool)>;

fn with_labels() -> MergeOptions {
    MergeOptions { labels: true, ..MergeOptions::default() }
}

/// A world and its catalogue, in small pages.
async fn scene(seed: u64, change: impl FnOnce(&mut StandInOptions)) -> Scene {
    let mut change = Some(change);
    let scene = Scene::new(&small_universe(seed), &[Source::Clob], |_, options| {
        options.list.page = 60;
        if let Some(change) = change.take() {
            change(options);
        }
    })
    .await;
    scene.with("--request-timeout", "1s").with("--worker-count", "6")
}

impl Scene {
    fn catalogue(&self) -> &StandIn {
        self.stand_in(Source::Clob)
    }

    async fn read(&self) -> Catalogue {
        clob::run(&self.context().await).await.unwrap()
    }

    /// Reads on until all of it is there: faults may leave a page for the next run.
    async fn read_whole(&self) -> Catalogue {
        for _ in 0..5 {
            let result = self.read().await;
            if result.track.outcome == Outcome::Done {
                return result;
            }
        }
        panic!("five runs do not get through");
    }

    async fn listed(&self) -> Listed {
        let sql = "SELECT token_id, condition_id_norm, outcome_index, outcome_label, toUInt8(winner) \
                   FROM {s}.clob_markets FINAL";
        let rows: Vec<(String, String, u8, String, u8)> = self.world.all(sql).await;
        rows.into_iter().map(|(token, c, index, label, won)| ((token, c), (index, label, won == 1))).collect()
    }

    /// What the catalogue truly lists.
    fn truth(&self) -> Listed {
        let outcomes = self.universe.markets().flat_map(|market| [0_u8, 1].map(|index| (market, index)));
        outcomes
            .map(|(market, index)| {
                let key = (market.tokens()[usize::from(index)].to_string(), market.condition().to_string());
                let won = market.payout() == Payout::Winner(index);
                (key, (index, market.labels()[usize::from(index)].to_owned(), won))
            })
            .collect()
    }

    /// Every unmapped traded token is staged once, with its proven condition and index.
    async fn assert_staged(&self) {
        let sql = "SELECT token_id, condition_id_norm, outcome_index, source FROM {s}.clob_asset_map_clob";
        let rows: Vec<(String, String, u8, String)> = self.world.all(sql).await;
        let count = rows.len();
        let staged: BTreeMap<String, (String, u8)> = rows
            .into_iter()
            .map(|(token, c, index, source)| {
                assert_eq!(source, "clob_api");
                (token, (c, index))
            })
            .collect();
        assert_eq!(staged.len(), count, "a token is staged twice");
        let wanted: BTreeMap<String, (String, u8)> = (self.universe.traded_tokens())
            .filter(|outcome| !outcome.mapped())
            .map(|it| (it.token().to_string(), (it.market.condition().to_string(), it.index)))
            .collect();
        assert!(staged == wanted, "{} staged, {} wanted", staged.len(), wanted.len());
    }

    async fn merge(&self, options: &MergeOptions) -> MergeResult {
        merge::run(&self.context().await, options).await.unwrap()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_market_is_kept_and_what_waits_is_staged_whatever_breaks() {
    let scene = scene(21, |options| options.faults = FaultPlan::faults(21, 0.2)).await;
    let result = scene.read_whole().await;
    assert_eq!(scene.listed().await, scene.truth());
    scene.assert_staged().await;
    let markets = scene.universe.market_count() as u64;
    assert!(result.markets >= markets && result.pages >= markets.div_ceil(60), "{result:?}");
    let track = &result.track;
    assert_eq!((track.resolved, track.not_found, track.rejected), (track.total, 0, 0));
    assert_eq!((track.total, track.coverage_pct.0), (scene.universe.expected().unmapped, 100.0));
    let json = result.json();
    assert_eq!((json["phase"].as_str(), json["pages_failed"].as_u64()), (Some("clob"), Some(0)));
    assert!(result.text().contains("✅ CATALOGUE COMPLETE"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_catalogue_whose_cursors_are_no_numbers_is_followed() {
    let scene = scene(22, |options| options.list.texts = true).await;
    let result = scene.read().await;
    assert_eq!(scene.listed().await, scene.truth());
    assert_eq!(result.track.requests, (scene.universe.market_count() as u64).div_ceil(60));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_catalogue_says_without_a_proof_is_kept_as_such_and_never_staged() {
    let plan = FaultPlan { lie_rate: 0.1, ..FaultPlan::faults_and_lies(23, 0.0) };
    let scene = scene(23, |options| options.faults = plan).await;
    let result = scene.read().await;
    let truth = scene.truth();
    let mut lies = 0;
    for (key, (index, label, won)) in scene.listed().await {
        match truth.get(&key) {
            Some(true_row) => assert_eq!(&(index, label, won), true_row),
            None => {
                lies += 1;
                let (token, condition) = &key;
                let sql = format!(
                    "SELECT countIf(evidence != '') FROM {{s}}.clob_markets \
                     WHERE token_id = '{token}' AND condition_id_norm = '{condition}'"
                );
                assert_eq!(scene.world.one::<u64>(&sql).await, 0, "{key:?} is proven and not true");
            }
        }
    }
    assert!(lies > 50 && result.unproven == lies, "{lies} lies, {result:?}");
    let track = &result.track;
    assert!(track.rejected > 0 && track.not_found > 0, "{track:?}");
    assert_eq!(track.resolved + track.rejected + track.not_found, track.total);
    let wrong: u64 =
        scene.world.one("SELECT count() FROM {s}.clob_asset_map_clob WHERE collateral = ''").await;
    assert_eq!(wrong, 0);
    let rejected: u64 =
        scene.world.one("SELECT uniqExact(token_id) FROM {s}.rejected_mappings WHERE track = 'clob'").await;
    assert!(rejected >= track.rejected);
}

async fn ended(mut child: Child) -> i32 {
    let deadline = Instant::now() + Duration::from_secs(120);
    loop {
        if let Some(status) = child.try_wait().unwrap() {
            return status.code().unwrap();
        }
        assert!(Instant::now() < deadline, "the catalogue hangs");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Kills the catalogue's track eight times, each time with pages left, and runs it to its end.
async fn disturbed_run(seed: u64) {
    let mut dice = ChaCha8Rng::seed_from_u64(seed);
    let scene = scene(seed, |options| {
        options.list.page = 30;
        options.latency = Duration::from_millis(3);
        options.faults = FaultPlan::faults(seed, 0.1);
    })
    .await;
    let path = checkpoint::path(scene.world.folder.path(), Source::Clob);
    let written = || {
        let saved = checkpoint::read(&path).unwrap();
        saved.and_then(|it| it.catalogue).map_or(0, |position| position.pages)
    };
    let pages = (scene.universe.market_count() as u64).div_ceil(30);
    let mut before = 0;
    // Each time after a few requests, and half of the times only when something of them is written.
    for kill in 0..8 {
        let let_in = dice.random_range(8..25);
        let wait = kill == 0 || dice.random_bool(0.5);
        let requests = scene.catalogue().counters().requests;
        scene.catalogue().hold_after(let_in);
        let mut child = scene.start(&["clob"]);
        while scene.catalogue().counters().requests < requests + let_in || wait && written() == before {
            assert_eq!(child.try_wait().unwrap(), None, "it ended with pages left");
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        child.kill().unwrap();
        child.wait().unwrap();
        scene.catalogue().let_in();
        assert!(written() >= before, "{} after {before}", written());
        before = written();
    }
    assert!(before > 0, "the checkpoint never moves");
    let size = std::fs::metadata(&path).unwrap().len();
    assert!(size < 6_000, "a checkpoint of {size} bytes is not of constant size");
    let resumed_at = scene.catalogue().counters().requests;
    for attempt in 0.. {
        match ended(scene.start(&["clob"])).await {
            0 => break,
            code => assert_eq!((code, attempt < 5), (4, true), "seed {seed}"),
        }
    }
    assert_eq!(scene.listed().await, scene.truth());
    scene.assert_staged().await;
    let again = scene.catalogue().counters().requests - resumed_at;
    assert!(
        again < pages - before + pages / 2,
        "{again} requests for the rest of {pages} pages after {before}"
    );
    let saved = checkpoint::read(&path).unwrap().unwrap().catalogue.unwrap();
    assert!(saved.complete && saved.gaps.is_empty(), "{saved:?}");
    println!("seed {seed}: 8 kills, all {pages} pages there");
}

#[tokio::test(flavor = "multi_thread")]
async fn campaign_of_killed_catalogues_that_go_on_without_a_page_lost() {
    let runs = std::env::var("CRASH_RUNS").ok().and_then(|runs| runs.parse().ok()).unwrap_or(1);
    let first = std::env::var("CRASH_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(24);
    for seed in first..first + runs {
        disturbed_run(seed).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn read_to_its_end_it_is_read_again_which_brings_winners_up_to_date() {
    let scene = scene(25, |_| {}).await;
    let first = scene.read().await;
    // As if it had been read a while ago, before anything was decided.
    for sql in [
        "CREATE TABLE {s}.kept ENGINE = Memory AS SELECT * FROM {s}.clob_markets",
        "TRUNCATE TABLE {s}.clob_markets",
        "INSERT INTO {s}.clob_markets SELECT * REPLACE (false AS winner, 'old' AS outcome_label, \
           fetched_at - 100 AS fetched_at) FROM {s}.kept",
    ] {
        scene.world.run(sql).await;
    }
    let second = scene.read().await;
    assert_eq!((first.pages, first.markets), (second.pages, second.markets));
    assert_eq!(second.pages_resumed, 0);
    assert_eq!(scene.listed().await, scene.truth());
    scene.assert_staged().await;
    assert_eq!(second.track.resumed, second.track.total);
}

#[tokio::test(flavor = "multi_thread")]
async fn empty_labels_of_the_map_are_filled_once_and_outlive_broken_rows() {
    let scene = scene(26, |_| {}).await;
    // What subgraphs leave behind: rows without labels, some of them beside a broken row from the future.
    let context = scene.context().await;
    derive::run(&context, &derive::DeriveOptions::default()).await.unwrap();
    scene.world.run("ALTER TABLE {s}.clob_asset_map_derived UPDATE outcome_label = '' WHERE 1 SETTINGS mutations_sync = 2").await;
    scene.merge(&MergeOptions::default()).await;
    let future = "INSERT INTO {d}.ctf_token_map (token_id, condition_id_norm, outcome_index, fetched_at) \
         SELECT token_id, '', 0, toDateTime(4000000000) FROM {d}.ctf_token_map WHERE outcome_label = '' \
         AND sipHash64(token_id) % 5 = 0";
    scene.world.run(future).await;
    let empty = "SELECT count() FROM (SELECT token_id FROM {d}.ctf_token_map WHERE condition_id_norm != '' \
         GROUP BY token_id HAVING max(outcome_label) = '')";
    let without: u64 = scene.world.one(empty).await;
    assert!(without > 100);
    assert_eq!(
        scene.merge(&with_labels()).await.labels,
        Some(LabelCounts::default()),
        "nothing was read yet"
    );
    scene.read().await;
    let dry = scene.merge(&MergeOptions { dry_run: true, ..with_labels() }).await;
    // Some rows name a wrong index, of which the catalogue says nothing.
    assert!(dry.labels.unwrap().filled + 20 >= without && scene.world.one::<u64>(empty).await == without);
    let merged = scene.merge(&with_labels()).await;
    let filled = merged.labels.as_ref().unwrap().filled;
    assert!(filled + 20 >= without, "{filled} of {without}");
    assert_eq!(Merge::from(&merged).json()["labels_filled"].as_u64(), Some(filled));
    scene.world.run("OPTIMIZE TABLE {d}.ctf_token_map FINAL").await;
    let truth = scene.truth();
    let sql = "SELECT token_id, lower(right(condition_id_norm, 64)), outcome_index, outcome_label FROM {d}.ctf_token_map";
    let rows: Vec<(String, String, u8, String)> = scene.world.all(sql).await;
    let tokens: HashSet<&String> = rows.iter().map(|(token, ..)| token).collect();
    assert_eq!(tokens.len(), rows.len());
    for outcome in scene.universe.traded_tokens() {
        let key = (outcome.token().to_string(), outcome.market.condition().to_string());
        let row =
            rows.iter().find(|(token, ..)| *token == key.0).expect("a row that outlives the broken ones");
        assert_eq!((&row.1, row.2), (&key.1, outcome.index));
        assert_eq!(row.3, truth[&key].1, "{}", key.0);
    }
    let again = scene.merge(&with_labels()).await;
    assert_eq!((again.labels, again.added, again.duplicates), (Some(LabelCounts::default()), 0, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_map_that_replaces_nothing_keeps_one_row_a_token_when_labels_are_filled() {
    let scene = scene(27, |_| {}).await;
    scene.world.run("CREATE TABLE {d}.plain AS {d}.ctf_token_map ENGINE = MergeTree ORDER BY token_id").await;
    scene
        .world
        .run("INSERT INTO {d}.plain (token_id, condition_id_norm, outcome_index) SELECT token_id, \
              any(condition_id_norm), any(outcome_index) FROM {d}.ctf_token_map WHERE condition_id_norm != '' GROUP BY token_id")
        .await;
    scene.read().await;
    let scene = scene.with("--token-map-table", "plain");
    let merged = scene.merge(&with_labels()).await;
    assert!(merged.labels.unwrap().filled > 100);
    let twice: u64 = scene
        .world
        .one("SELECT count() FROM (SELECT token_id FROM {d}.plain WHERE outcome_index < 2 AND match(condition_id_norm, '^(0[xX])?[0-9a-fA-F]{64}$')               AND right(condition_id_norm, 64) != repeat('0', 64) GROUP BY token_id HAVING count() > 1)")
        .await;
    assert_eq!((twice, merged.duplicates), (0, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn winners_that_no_table_knows_come_from_the_catalogue_by_their_proven_index() {
    let scene = scene(28, |_| {}).await;
    scene.read().await;
    scene.merge(&MergeOptions::default()).await;
    let baselines: Vec<Baseline> = (scene.universe.baselines().iter())
        .map(|it| Baseline::new(it.wallet, Micro::whole(it.pnl_micro).units()))
        .collect();
    let validated = async || {
        let options = ValidateOptions {
            baselines: baselines.clone(),
            positions_file: None,
            detail: true,
            ..ValidateOptions::default()
        };
        validate::run(&scene.context().await, &options).await.unwrap()
    };
    let from_catalogue = |wallets: &[validate::WalletResult]| {
        wallets.iter().map(|it| it.data_quality.from_catalogue).sum::<u64>()
    };
    let before = validated().await;
    assert_eq!(from_catalogue(&before.wallets), 0, "the tables come first");
    // Of the resolutions only the halves stay, which no winner tells, and the labels that winners are compared with go.
    scene.world.run("TRUNCATE TABLE {d}.gamma_resolved").await;
    scene.world.run("ALTER TABLE {d}.market_resolutions_final DELETE WHERE winning_index < 2 SETTINGS mutations_sync = 2").await;
    scene
        .world
        .run("ALTER TABLE {d}.ctf_token_map UPDATE outcome_label = '' WHERE 1 SETTINGS mutations_sync = 2")
        .await;
    let after = validated().await;
    assert!(after.passes());
    for (before, after) in before.wallets.iter().zip(&after.wallets) {
        assert_eq!(before.total, after.total);
        assert_eq!(before.resolved().count(), after.resolved().count());
    }
    let named = from_catalogue(&after.wallets);
    assert!(named > 80, "{named} positions");
    assert!(Validate::from(&after).text().contains("only the CLOB's catalogue names"));
    let json = Validate::from(&after).json();
    assert!(json.to_string().contains("\"from_catalogue\""), "{json}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_list_is_read_at_the_documented_limit_and_never_refused() {
    let scene = scene(29, |options| {
        options.windows = vec![Window { requests: 25, per: Duration::from_millis(400) }];
        options.latency = Duration::from_millis(5);
        options.list = ListHabits { generated: 2_000, page: 60, texts: false };
    })
    .await;
    let scene = scene.with("--clob-rate-limit", "25/400ms");
    let result = scene.read().await;
    assert_eq!((result.track.outcome, result.track.throttled), (Outcome::Done, 0));
    assert_eq!(result.markets, scene.universe.market_count() as u64 + 2_000);
    let listed: u64 = scene.world.one("SELECT count() FROM {s}.clob_markets FINAL").await;
    assert_eq!((listed, result.proven), (2 * result.markets, 2 * result.markets));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_begun_anew_or_lost_is_read_from_the_first_page() {
    let scene = scene(30, |_| {}).await;
    let interrupted = async || {
        scene.catalogue().hold_after(20);
        let path = checkpoint::path(scene.world.folder.path(), Source::Clob);
        let mut child = scene.start(&["clob"]);
        let pages = || checkpoint::read(&path).unwrap().and_then(|it| it.catalogue).map_or(0, |it| it.pages);
        while pages() == 0 {
            assert_eq!(child.try_wait().unwrap(), None, "it ended with pages left");
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        child.kill().unwrap();
        child.wait().unwrap();
        scene.catalogue().let_in();
    };
    interrupted().await;
    let options = setup::SetupOptions { reset: true, ..setup::SetupOptions::default() };
    let result = setup::run(&scene.context().await, &options).await.unwrap();
    assert_eq!(result.put_aside.len(), 1, "{:?}", result.put_aside);
    assert_eq!(scene.read().await.pages_resumed, 0);
    scene.assert_staged().await;
    interrupted().await;
    scene.world.run("DROP TABLE {s}.clob_markets").await;
    let result = scene.read().await;
    assert_eq!((result.pages_resumed, result.markets), (0, scene.universe.market_count() as u64));
    assert_eq!(scene.listed().await, scene.truth());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_catalogue_that_is_gone_is_one_error_after_one_request_and_an_outage_is_waited_out() {
    let gone = scene(31, |options| options.gone = true).await;
    let error = clob::run(&gone.context().await).await.unwrap_err();
    assert_eq!(error.outcome(), Outcome::Failed);
    assert!(error.to_string().contains("gone for good (HTTP 410"), "{error}");
    assert_eq!(gone.catalogue().counters().requests, 1);
    let scene = scene(31, |_| {}).await;
    scene.catalogue().hold_after(30);
    let context = scene.context().await;
    let (result, ()) = tokio::join!(clob::run(&context), async {
        while scene.catalogue().counters().requests < 30 {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        scene.catalogue().set_outage(Outage::Reset);
        scene.catalogue().let_in();
        let down = || scene.world.kept.notices.lock().unwrap().iter().any(|it| it.contains("is down"));
        while !down() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        scene.catalogue().set_outage(Outage::None);
    });
    assert_eq!(result.unwrap().track.outcome, Outcome::Done);
    assert_eq!(scene.listed().await, scene.truth());
}
