//! The worker pool on a simulated source that answers when the test lets it, so that nothing depends on time.

use std::collections::HashSet;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use crate::common::World;
use backfill::ctf;
use backfill::ids::TokenId;
use backfill::outcome::Outcome;
use backfill::proof::ProofPolicy;
use backfill::results::Track;
use backfill::source::Source;
use backfill::track::engine::TrackConfig;
use backfill::track::lookup::LookupTrack;
use backfill::track::rounds;
use backfill::upstream::{Answer, Claim, RequestLimits, Upstream, UpstreamError};
use futures_util::future::BoxFuture;
use tokio::sync::{Notify, Semaphore};
use tokio_util::sync::CancellationToken;

const TOKENS: usize = 1_000;
const WORKERS: usize = 64;

/// What a source that the test holds back has seen.
struct Gate {
    room: usize,
    asked: Mutex<Vec<TokenId>>,
    under_way: Mutex<usize>,
    changed: Notify,
    answers: Semaphore,
}

impl Gate {
    fn new(room: usize) -> Arc<Self> {
        Arc::new(Self {
            room,
            asked: Mutex::default(),
            under_way: Mutex::default(),
            changed: Notify::new(),
            answers: Semaphore::new(0),
        })
    }

    /// Waits until just so many requests are under way and so many tokens were asked for.
    async fn holds(&self, requests: usize, tokens: usize) {
        let reached = async {
            loop {
                let changed = self.changed.notified();
                let seen = (*self.under_way.lock().unwrap(), self.asked.lock().unwrap().len());
                if seen == (requests, tokens) {
                    return;
                }
                changed.await;
            }
        };
        let reached = tokio::time::timeout(Duration::from_secs(60), reached).await;
        assert!(
            reached.is_ok(),
            "{} requests of {requests}, {} tokens of {tokens}",
            self.under_way.lock().unwrap(),
            self.asked.lock().unwrap().len()
        );
    }

    async fn answer(&self, tokens: &[TokenId]) -> Answer {
        self.asked.lock().unwrap().extend(tokens);
        *self.under_way.lock().unwrap() += 1;
        self.changed.notify_one();
        // The semaphore is never closed.
        self.answers.acquire().await.unwrap().forget();
        *self.under_way.lock().unwrap() -= 1;
        self.changed.notify_one();
        Answer::default()
    }
}

struct Held(Arc<Gate>);

impl Upstream for Held {
    fn source(&self) -> Source {
        Source::Goldsky
    }

    fn request_limits(&self) -> RequestLimits {
        RequestLimits { tokens: self.0.room, bytes: usize::MAX, overhead: 0 }
    }

    fn ask<'a>(
        &'a self,
        tokens: &'a [TokenId],
        _: Option<&'a str>,
    ) -> BoxFuture<'a, Result<Answer, UpstreamError>> {
        Box::pin(async { Ok(self.0.answer(tokens).await) })
    }
}

/// A source that answers the nth request as the test says.
struct Scripted<F>(Arc<AtomicUsize>, F);

impl<F: Fn(usize, &[TokenId]) -> Result<Answer, UpstreamError> + Send + Sync> Upstream for Scripted<F> {
    fn source(&self) -> Source {
        Source::Goldsky
    }

    fn request_limits(&self) -> RequestLimits {
        RequestLimits { tokens: 10, bytes: usize::MAX, overhead: 0 }
    }

    fn ask<'a>(
        &'a self,
        tokens: &'a [TokenId],
        _: Option<&'a str>,
    ) -> BoxFuture<'a, Result<Answer, UpstreamError>> {
        Box::pin(async { (self.1)(self.0.fetch_add(1, Ordering::Relaxed), tokens) })
    }
}

/// Runs a track to its end and says how many requests it took.
async fn scripted(
    answers: impl Fn(usize, &[TokenId]) -> Result<Answer, UpstreamError> + Send + Sync + 'static,
) -> (Track, usize, Vec<String>) {
    let (world, requests) = (World::new().await, Arc::new(AtomicUsize::new(0)));
    let source = Box::new(Scripted(requests.clone(), answers));
    let result = end(start(&world, source, world.folder.path()).await).await;
    let notices = world.kept.notices.lock().unwrap().clone();
    (result, requests.load(Ordering::Relaxed), notices)
}

/// A track with a thousand tokens left and sixty-four workers.
async fn start(world: &World, source: Box<dyn Upstream>, folder: &Path) -> tokio::task::JoinHandle<Track> {
    start_with(world, source, folder, Some(WORKERS), "100000/1s").await
}

async fn start_with(
    world: &World,
    source: Box<dyn Upstream>,
    folder: &Path,
    workers: Option<usize>,
    rate_limit: &str,
) -> tokio::task::JoinHandle<Track> {
    let store = world.store().await;
    store.create_staging().await.unwrap();
    world
        .run("CREATE OR REPLACE TABLE {s}.unmapped_tokens_goldsky (asset_id String) ORDER BY asset_id")
        .await;
    world
        .run(&format!(
            "INSERT INTO {{s}}.unmapped_tokens_goldsky SELECT toString(1000000 + number) FROM numbers({TOKENS})"
        ))
        .await;
    let config = TrackConfig {
        workers,
        batch_size: None,
        probed: false,
        rate_limit: rate_limit.parse().unwrap(),
        give_up_after: Duration::from_secs(60),
        policy: ProofPolicy::new(ctf::default_collaterals()),
        started: Instant::now(),
    };
    let listener = world.kept.clone();
    let track = LookupTrack::open(source, store, config, folder, listener, CancellationToken::new());
    let track = track.await.unwrap();
    tokio::spawn(async move {
        let mut results = rounds::run(&[track], &[]).await.unwrap();
        results.pop().unwrap().unwrap()
    })
}

async fn end(run: tokio::task::JoinHandle<Track>) -> Track {
    tokio::time::timeout(Duration::from_secs(60), run).await.expect("it ends").unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn no_worker_asks_twice_and_none_idles_while_work_waits() {
    const ROOM: usize = 10;
    let (world, gate) = (World::new().await, Gate::new(ROOM));
    let run = start(&world, Box::new(Held(gate.clone())), world.folder.path()).await;
    // Every worker has a batch of its own, and nobody was answered yet.
    gate.holds(WORKERS, WORKERS * ROOM).await;
    let requests = TOKENS / ROOM;
    for answered in 1..=requests {
        gate.answers.add_permits(1);
        // Whoever is answered takes the next batch at once, for as long as there is one.
        let begun = (WORKERS + answered).min(requests);
        gate.holds(begun - answered, begun * ROOM).await;
    }
    let result = end(run).await;
    let distinct: HashSet<TokenId> = gate.asked.lock().unwrap().iter().copied().collect();
    assert_eq!(distinct.len(), TOKENS, "a token was asked for twice");
    assert_eq!((result.outcome, result.not_found), (Outcome::Done, TOKENS as u64));
    assert_eq!((result.requests, result.retries), (requests as u64, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pool_of_no_set_size_begins_with_what_the_limit_needs_at_the_latency_of_a_far_host() {
    const ROOM: usize = 10;
    let (world, gate) = (World::new().await, Gate::new(ROOM));
    let source = Box::new(Held(gate.clone()));
    let run = start_with(&world, source, world.folder.path(), None, "160/1s").await;
    // 160 a second at 300 ms keep 48 workers busy, a quarter more answer what takes longer, and one is there in any case.
    let workers = 160 * 3 / 10 * 5 / 4 + 1;
    gate.holds(workers, workers * ROOM).await;
    gate.answers.add_permits(TOKENS);
    assert_eq!(end(run).await.not_found, TOKENS as u64);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_fits_into_one_request_is_one_request_whatever_the_worker_count() {
    let (world, gate) = (World::new().await, Gate::new(TOKENS));
    let run = start(&world, Box::new(Held(gate.clone())), world.folder.path()).await;
    gate.holds(1, TOKENS).await;
    gate.answers.add_permits(1);
    let result = end(run).await;
    assert_eq!((result.requests, result.outcome), (1, Outcome::Done));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_that_says_for_how_long_it_will_refuse_is_not_waited_for_beyond_the_limit() {
    // A daily quota that is used up.
    let hour = Some(Duration::from_secs(3_600));
    let (result, requests, notices) = scripted(move |nth, _| match nth {
        0 => Ok(Answer::default()),
        _ => Err(UpstreamError::Throttled { retry_after: hour }),
    })
    .await;
    assert_eq!((result.outcome, result.not_found, result.failed), (Outcome::WorkLeft, 10, 0));
    assert!(requests <= 1 + WORKERS, "{requests}");
    assert_eq!(notices.iter().filter(|it| it.contains("GIVE_UP_AFTER")).count(), 1, "{notices:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_that_begins_to_refuse_everything_is_left_before_the_workload_is_burnt() {
    let (result, requests, _) = scripted(|nth, _| match nth {
        0 => Ok(Answer::default()),
        _ => Err(UpstreamError::BadRequest("HTTP 422".to_owned())),
    })
    .await;
    assert_eq!(result.outcome, Outcome::WorkLeft);
    assert!(requests <= 100 + 2 * WORKERS, "{requests}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_panics_ends_the_track_and_nobody_waits_for_it() {
    let (result, _, _) = scripted(|nth, _| match nth {
        3 => panic!("a defect"),
        _ => Ok(Answer::default()),
    })
    .await;
    assert_eq!(result.outcome, Outcome::WorkLeft);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_first_request_that_is_refused_for_one_token_is_no_source_that_refuses_everything() {
    // Whatever it is refused with, from the very first request on.
    for error in
        [UpstreamError::BadRequest("HTTP 422".to_owned()), UpstreamError::Transient("HTTP 500".to_owned())]
    {
        let poison: TokenId = "1000007".parse().unwrap();
        let (result, _, notices) = scripted(move |_, tokens| match tokens.contains(&poison) {
            true => Err(error.clone()),
            false => Ok(Answer::default()),
        })
        .await;
        assert_eq!((result.outcome, result.failed), (Outcome::WorkLeft, 1), "{notices:?}");
        assert_eq!(result.not_found, TOKENS as u64 - 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_that_ignores_what_is_asked_leaves_every_token_unanswered_and_none_not_found() {
    let claim = |token: &str| Claim {
        token: token.parse().unwrap(),
        condition: "ab".repeat(32),
        outcome_index: Some(0),
        label: String::new(),
    };
    let (result, requests, _) =
        scripted(move |_, _| Ok(Answer { markets: vec![vec![claim("5"), claim("6")]], ..Answer::default() }))
            .await;
    assert_eq!((result.outcome, result.not_found, result.failed), (Outcome::WorkLeft, 0, TOKENS as u64));
    assert!(requests <= 6 * TOKENS / 10 + WORKERS, "{requests}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_that_knows_nothing_of_all_that_it_is_asked_for_is_told_of() {
    let (result, _, notices) = scripted(|_, _| Ok(Answer::default())).await;
    assert_eq!((result.outcome, result.not_found), (Outcome::Done, TOKENS as u64));
    let told = notices.iter().filter(|it| it.contains("knows none of the 1000 tokens"));
    assert_eq!(told.count(), 1, "{notices:?}");
}
