//! Crash safety, shown: tracks are killed at moments from a printed seed, run again, and compared with what the
//! stand-in knows.
//!
//! `CRASH_RUNS=300 cargo test --release --test campaigns campaign -- --nocapture` is the long campaign;
//! `CRASH_SEED=n` repeats a run.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Child, Command, ExitStatus};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::common::{BACKFILL, Scene, World};
use backfill::demo::stand_in::FaultPlan;
use backfill::demo::universe::Outcome;
use backfill::demo::{StandIn, Universe, UniverseOptions};
use backfill::embedded::{Server, ServerOptions};
use backfill::ids::{ConditionId, TokenId};
use backfill::phases::setup::{self, SetupOptions};
use backfill::source::Source;
use backfill::store::staging::WorkloadCounts;
use backfill::store::workload::Share;
use backfill::track::checkpoint;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// Token to condition, index and label.
type Mappings = BTreeMap<String, (String, u8, String)>;

/// A universe whose unmapped tokens make some sixty requests of twenty.
fn universe(seed: u64) -> Arc<Universe> {
    let options = UniverseOptions {
        seed,
        traded_tokens: 1_600,
        mapped_tokens: 300,
        fills: 4_000,
        baseline_wallets: 1,
        v2_share: 0.2,
        ..UniverseOptions::default()
    };
    Arc::new(Universe::generate(options).unwrap())
}

/// A mapping as it can be compared: whether a mirror's legacy condition was known depends on what came in one answer with
/// it, so both spellings are one; and so do the labels of tokens that have Yes and No in their bits.
fn comparable(token: String, condition: &str, index: u8, label: &str) -> (String, (String, u8, String)) {
    let of_second = token.parse::<TokenId>().unwrap().structural().is_some();
    let condition: ConditionId = condition.parse().unwrap();
    let mirror = condition.mirror().filter(|_| of_second).map(|mirror| mirror.condition_id());
    let label = if of_second { "" } else { label };
    (token, (mirror.unwrap_or(condition).to_string(), index, label.to_owned()))
}

/// Tokens in a request.
const BATCH: u32 = 20;

/// A workload of one track, all of the unmapped tokens, and a stand-in that answers a fifth of the time badly.
struct Campaign {
    scene: Scene,
    source: Source,
}

impl Campaign {
    async fn new(seed: u64, source: Source, batch: u32) -> Self {
        let universe = universe(seed);
        let world = World::with(&universe).await;
        Self::on(world, &universe, source, seed, batch).await
    }

    async fn on(world: World, universe: &Arc<Universe>, source: Source, seed: u64, batch: u32) -> Self {
        let scene = Scene::on(world, universe, &[source], |_, options| {
            options.latency = Duration::from_millis(4);
            options.faults = FaultPlan::faults(seed, 0.2);
        })
        .await;
        let scene = scene
            .with("--batch-size", &batch.to_string())
            .with("--worker-count", "4")
            .with("--request-timeout", "500ms");
        let options = SetupOptions { shares: vec![Share { source, weight: 1 }], ..SetupOptions::default() };
        setup::run(&scene.world.context(&[]).await, &options).await.unwrap();
        Self { scene, source }
    }

    fn stand_in(&self) -> &StandIn {
        self.scene.stand_in(self.source)
    }

    fn start(&self, folder: &Path) -> Child {
        self.scene.start(&[self.source.name(), "--checkpoint-dir", folder.to_str().unwrap()])
    }

    async fn counts(&self) -> WorkloadCounts {
        self.scene.world.store().await.workload_counts(self.source).await.unwrap()
    }

    /// What an undisturbed run stages of the workload, by what the stand-in knows.
    fn expected(&self) -> Mappings {
        self.truth(|outcome| self.stand_in().knows(&outcome.token()))
    }

    /// The unmapped tokens that `counts` takes, as they are. An answer about an unknown token may name the first market of
    /// all, which is true of that market's own tokens also where the stand-in does not list them.
    fn truth(&self, counts: impl Fn(&Outcome<'_>) -> bool) -> Mappings {
        let unmapped = self.scene.universe.traded_tokens().filter(|outcome| !outcome.mapped());
        unmapped
            .filter(|outcome| counts(outcome))
            .map(|outcome| {
                let label = if self.source == Source::Goldsky { "" } else { outcome.label() };
                let condition = outcome.market.condition().to_string();
                comparable(outcome.token().to_string(), &condition, outcome.index, label)
            })
            .collect()
    }

    async fn staged(&self) -> Mappings {
        let sql = format!(
            "SELECT token_id, condition_id_norm, outcome_index, outcome_label FROM {{s}}.{} \
             WHERE token_id IN (SELECT asset_id FROM {{s}}.{})",
            self.source.staging_table(),
            self.source.workload_table()
        );
        let rows: Vec<(String, String, u8, String)> = self.scene.world.all(&sql).await;
        let count = rows.len();
        let staged: Mappings =
            rows.into_iter().map(|(token, c, index, label)| comparable(token, &c, index, &label)).collect();
        assert_eq!(staged.len(), count, "a token is staged twice");
        staged
    }

    /// Nothing lost, nothing twice, nothing wrong, and the checkpoint says what the tables say.
    async fn assert_as_undisturbed(&self, folder: &Path) {
        let (expected, staged) = (self.expected(), self.staged().await);
        let lost: Vec<_> =
            expected.iter().filter(|(token, _)| !staged.contains_key(*token)).take(3).collect();
        assert!(lost.is_empty(), "lost: {lost:?}");
        let truth = self.truth(|_| true);
        let wrong: Vec<_> =
            staged.iter().filter(|(token, it)| truth.get(*token) != Some(it)).take(3).collect();
        let right: Vec<_> = wrong.iter().map(|(token, _)| truth.get(*token)).collect();
        assert!(wrong.is_empty(), "staged: {wrong:?}, expected: {right:?}");
        let table = self.source.staging_table();
        let (rows, tokens): (u64, u64) =
            self.scene.world.one(&format!("SELECT count(), uniqExact(token_id) FROM {{s}}.{table}")).await;
        assert_eq!(rows, tokens, "a sibling is staged twice");
        let counts = self.counts().await;
        assert_eq!(counts.resolved + counts.not_found + counts.rejected, counts.total);
        let saved = checkpoint::read(&checkpoint::path(folder, self.source)).unwrap().unwrap();
        assert_eq!(saved.progress.processed, counts.total);
        assert_eq!((saved.progress.inserted, saved.progress.failed), (counts.inserted, 0));
        assert_eq!(saved.gaps, []);
    }
}

/// Waits for a child, but not for ever.
async fn ended(mut child: Child) -> ExitStatus {
    let deadline = Instant::now() + Duration::from_secs(120);
    loop {
        if let Some(status) = child.try_wait().unwrap() {
            return status;
        }
        assert!(Instant::now() < deadline, "the track hangs");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

fn terminate(child: &Child) {
    let pid = rustix::process::Pid::from_child(child);
    // It may have ended by itself a moment ago.
    let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
}

/// Runs the track until it is done. Faults may leave a batch for the next run; a few runs get through any.
async fn runs_to_its_end(campaign: &Campaign, folder: &Path) {
    for attempt in 0.. {
        let status = ended(campaign.start(folder)).await;
        if status.code() == Some(0) {
            return;
        }
        assert_eq!((status.code(), attempt < 5), (Some(4), true));
    }
}

/// Waits until the stand-in holds a request back and, where rows are wanted too, until some were written. Answers that
/// were all bad write nothing: a dozen requests that are held back then have to do.
async fn held_back(campaign: &Campaign, child: &mut Child, requests: u64, more_than: Option<u64>) {
    let deadline = Instant::now() + Duration::from_secs(120);
    loop {
        let seen = campaign.stand_in().counters().requests;
        let written = match more_than {
            Some(rows) => seen > requests + 12 || campaign.counts().await.inserted > rows,
            None => true,
        };
        if seen > requests && written {
            return;
        }
        if let Some(status) = child.try_wait().unwrap() {
            // Where every answer of the first few was bad the track has given its source up: as good as a kill.
            assert!(matches!(status.code(), Some(1 | 4)), "{status} with work held back");
            return;
        }
        assert!(Instant::now() < deadline, "the track hangs");
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

/// Kills the track `kills` times, each time with work left since the stand-in holds it back, and runs it to its end. A
/// kill is SIGTERM in the share `gently` of all times, else SIGKILL.
async fn disturbed_run(seed: u64, kills: u32, batch: u32, gently: f64) {
    let mut dice = ChaCha8Rng::seed_from_u64(seed);
    let source = match (seed % 10, dice.random_bool(0.5)) {
        (2 | 6, _) => Source::Gamma,
        (1 | 7, _) => Source::Tokens,
        (_, true) => Source::Dome,
        (_, false) => Source::Goldsky,
    };
    let campaign = Campaign::new(seed, source, batch).await;
    let folder = campaign.scene.world.folder.path().to_owned();
    for _ in 0..kills {
        // After some requests, and half of the time only when something of them was written.
        let (requests, written) = (dice.random_range(1..8), dice.random_bool(0.4));
        let (before, staged) = (campaign.stand_in().counters().requests, campaign.counts().await.inserted);
        campaign.stand_in().hold_after(requests);
        let mut child = campaign.start(&folder);
        held_back(&campaign, &mut child, before + requests, written.then_some(staged)).await;
        if dice.random_bool(gently) {
            terminate(&child);
            campaign.stand_in().let_in();
            ended(child).await;
        } else {
            let _ = child.kill();
            child.wait().unwrap();
            campaign.stand_in().let_in();
        }
        let counts = campaign.counts().await;
        assert!(counts.resolved + counts.not_found + counts.rejected < counts.total, "no work was left");
    }
    runs_to_its_end(&campaign, &folder).await;
    campaign.assert_as_undisturbed(&folder).await;
    println!("seed {seed}: {source:?}, {kills} kills, all tokens there once");
}

#[tokio::test(flavor = "multi_thread")]
async fn campaign_of_killed_tracks_that_resume_without_losing_or_repeating_a_token() {
    let runs = std::env::var("CRASH_RUNS").ok().and_then(|runs| runs.parse().ok()).unwrap_or(3);
    let first = std::env::var("CRASH_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(1);
    for seed in first..first + runs {
        match seed % 10 {
            4 => restarted_run(seed).await,
            9 => full_disk_run(seed).await,
            _ => disturbed_run(seed, 3, BATCH, 0.2).await,
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_track_killed_ten_times_ends_as_an_undisturbed_run_does() {
    disturbed_run(4_711, 10, 3, 0.0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_restarts_of_clickhouse_in_the_middle_of_a_track_need_no_hand() {
    restarted_run(9).await;
}

/// Kills ClickHouse twice while a track runs, at moments from the seed, and starts it again.
async fn restarted_run(seed: u64) {
    let mut dice = ChaCha8Rng::seed_from_u64(seed);
    let universe = universe(seed);
    let mut world = World::new().await;
    let data = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let options = |http_port| ServerOptions {
        data: data.path().to_owned(),
        http_port,
        tcp_port: None,
        config: None,
        engine: None,
        launcher: BACKFILL.into(),
    };
    let mut server = Server::start(options(0), &|_| {}).await.unwrap();
    world.url = server.url();
    let port: u16 = world.url.rsplit(':').next().unwrap().parse().unwrap();
    let client = clickhouse::Client::default().with_url(&world.url);
    backfill::demo::load::load(&client, &world.database, &universe, Default::default()).await.unwrap();
    let campaign = Campaign::on(world, &universe, Source::Dome, seed, 4).await;
    let folder = campaign.scene.world.folder.path().to_owned();
    campaign.stand_in().hold_after(0);
    let mut child = campaign.start(&folder);
    for _ in 0..2 {
        let (before, requests) = (campaign.stand_in().counters().requests, dice.random_range(1..60));
        campaign.stand_in().hold_after(requests);
        held_back(&campaign, &mut child, before + requests, None).await;
        server.kill().await;
        server = Server::start(options(port), &|_| {}).await.unwrap();
    }
    campaign.stand_in().let_in();
    let status = ended(child).await;
    assert!(matches!(status.code(), Some(0 | 4)), "{status}");
    if status.code() == Some(4) {
        runs_to_its_end(&campaign, &folder).await;
    }
    campaign.assert_as_undisturbed(&folder).await;
    server.stop().await;
    println!("seed {seed}: two restarts of ClickHouse, all tokens there once");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_under_the_checkpoint_costs_the_checkpoint_and_no_token() {
    full_disk_run(12).await;
}

/// Runs a track with its checkpoint on a full disk, then with room on it.
async fn full_disk_run(seed: u64) {
    let campaign = Campaign::new(seed, Source::Goldsky, BATCH).await;
    let disk = tempfile::tempdir().unwrap();
    let mounted =
        Command::new("mount").args(["-t", "tmpfs", "-o", "size=16k", "tmpfs"]).arg(disk.path()).status();
    if !mounted.is_ok_and(|status| status.success()) {
        eprintln!("skipped: this user may not mount a small disk");
        return;
    }
    let filling = disk.path().join("filling");
    while std::fs::OpenOptions::new()
        .append(true)
        .create(true)
        .open(&filling)
        .and_then(|mut file| std::io::Write::write_all(&mut file, &[0; 1024]))
        .is_ok()
    {}
    let full = ended(campaign.start(disk.path())).await;
    std::fs::remove_file(&filling).unwrap();
    runs_to_its_end(&campaign, disk.path()).await;
    let checked =
        tokio::time::timeout(Duration::from_secs(60), campaign.assert_as_undisturbed(disk.path())).await;
    Command::new("umount").arg(disk.path()).status().unwrap();
    checked.unwrap();
    assert!(matches!(full.code(), Some(0 | 4)), "{full}");
    println!("seed {seed}: a full disk, all tokens there once");
}
