//! [`run`]: keeps the map current. Looks for new fills by a watermark, notices tokens that the map has not, derives what
//! follows from conditions, asks the tracks for the rest, merges, and begins again.
//!
//! What was noticed and how far the fills were read stands in ClickHouse, tokens first: a watch that is killed anywhere
//! goes on with the same tokens, and asks nobody again for what is known.

mod health;

use std::sync::Arc;
use std::time::{Duration, Instant};

pub use health::WatchHealth;

use super::chain::{self, ChainListener, ChainOptions};
use super::derive::{self, DeriveOptions};
use super::events::PhaseEvent;
use super::track::{self, TrackOptions};
use super::{Context, merge, setup};
use crate::failure::Failure;
use crate::results::{Seconds, Watch};
use crate::source::Source;
use crate::store::Needs;
use crate::store::watermark::{Look, MappedTokens, WatchTick, Watermark};
use crate::store::workload::Share;

/// How long what is in flight may take once a signal has come.
const GRACE: Duration = Duration::from_secs(4);

/// How the map is kept current.
#[derive(Debug, Clone)]
pub struct WatchOptions {
    /// From the beginning of a tick to the beginning of the next.
    pub every: Duration,
    /// How far behind the newest fill is read again, since rows arrive late.
    pub overlap: Duration,
    /// Between two passes over all fills.
    pub full_every: Duration,
    /// The column that says when a fill came, where it is not `ingested_at`.
    pub watermark: Option<String>,
    /// The tracks that are asked for what cannot be derived; none of them is fine.
    pub shares: Vec<Share>,
    /// Read the chain in each tick, before tokens are derived.
    pub chain: bool,
    /// End after so many ticks.
    pub ticks: Option<u64>,
}

/// What a watch tells.
#[derive(Debug)]
pub enum TickEvent<'a> {
    /// A tick came to its end.
    Ended(&'a Watch),
    /// A tick failed; the next one does its work.
    Failed(&'a Failure),
}

/// Watches until a signal comes.
///
/// # Errors
/// The tables cannot be used. A tick that fails later is told, and repeated by the next.
pub async fn run(
    context: &Context,
    options: &WatchOptions,
    health: &WatchHealth,
    told: &mut (dyn FnMut(TickEvent<'_>) + Send),
) -> Result<(), Failure> {
    let store = &context.store;
    store.check_tables(Needs::Merge).await?;
    let watermark = store.watermark(options.watermark.as_deref()).await?;
    store.create_staging().await?;
    store.create_watch_tables().await?;
    let mut clock = tokio::time::interval(options.every);
    clock.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut ticks = 0;
    while options.ticks.is_none_or(|most| ticks < most) {
        tokio::select! {
            biased;
            () = context.stop.cancelled() => return Ok(()),
            _ = clock.tick() => {}
        }
        let context = &context.clone().as_of_now();
        let tick = Tick { context, options, watermark: watermark.as_ref(), began: Instant::now() };
        let ended = tokio::select! {
            biased;
            ended = tick.run() => ended,
            // A statement is whole or not at all; what is lost is repeated by the next watch.
            () = in_grace(context) => return Ok(()),
        };
        match &ended {
            Ok(watch) => {
                health.ended(watch);
                told(TickEvent::Ended(watch));
            }
            Err(Failure::Interrupted) => return Ok(()),
            Err(failure) => {
                health.failed();
                told(TickEvent::Failed(failure));
            }
        }
        ticks += 1;
    }
    Ok(())
}

async fn in_grace(context: &Context) {
    context.stop.cancelled().await;
    tokio::time::sleep(GRACE).await;
}

/// Seconds since 1970.
fn now() -> u32 {
    u32::try_from(jiff::Timestamp::now().as_second()).unwrap_or(u32::MAX)
}

/// One tick.
struct Tick<'a> {
    context: &'a Context,
    options: &'a WatchOptions,
    watermark: Option<&'a Watermark>,
    began: Instant,
}

impl Tick<'_> {
    async fn run(&self) -> Result<Watch, Failure> {
        let store = &self.context.store;
        let last = store.last_watch_tick().await?;
        let before = last.unwrap_or_default();
        let began_at = now();
        let full = self.is_full(last.as_ref(), began_at);
        let overlap = u32::try_from(self.options.overlap.as_secs()).unwrap_or(u32::MAX);
        let since = (!full).then(|| before.watermark.saturating_sub(overlap));
        let look = store.look_at_fills(self.watermark, since, before.watermark).await?;
        let mapped = self.map_pending(full, before.ended_at).await?;
        let unmapped = store.list_pending().await?;
        store.drop_watch_tables().await?;
        let tick = WatchTick {
            tick: before.tick + 1,
            ended_at: now(),
            watermark: look.newest.max(before.watermark),
            full_at: if full { began_at } else { before.full_at },
            new_fills: look.new_fills,
            new_tokens: look.new_tokens,
            mapped: mapped.tokens,
            unmapped,
        };
        // The tokens are in their tables by now: a crash before this reads the same fills again, which changes nothing.
        store.note_watch_tick(tick).await?;
        Ok(self.result(tick, look, mapped, full && last.is_some()))
    }

    /// Whether all fills are read: by the first tick, when it is time, and where nothing tells which are new.
    fn is_full(&self, last: Option<&WatchTick>, now: u32) -> bool {
        let since = last.map(|last| u64::from(now.saturating_sub(last.full_at)));
        self.watermark.is_none() || since.is_none_or(|since| since >= self.options.full_every.as_secs())
    }

    /// Maps what can be mapped of the pending tokens.
    async fn map_pending(&self, full: bool, since: u32) -> Result<MappedTokens, Failure> {
        let (context, store) = (self.context, &self.context.store);
        if self.options.chain {
            let progress = context.progress.clone();
            let listener: ChainListener =
                Arc::new(move |event| progress.on_phase_event(&PhaseEvent::Chain(&event)));
            // A first full read of the chain takes an hour, and is `backfill chain`'s.
            let options = ChainOptions { new_only: true, ..ChainOptions::default() };
            chain::run(context, &options, &listener).await?;
        }
        if store.list_pending().await? == 0 && !full {
            return Ok(MappedTokens::default());
        }
        if full {
            derive::run(context, &DeriveOptions::default()).await?;
        } else {
            derive::pending(context, since).await?;
        }
        self.ask().await?;
        if full {
            merge::run(context, &merge::MergeOptions::default()).await?;
        } else {
            merge::some(context, &store.pending()).await?;
        }
        Ok(store.note_mapped(now()).await?)
    }

    /// Asks the tracks for the pending tokens that are not staged, in rounds; not where each of them has answered.
    async fn ask(&self) -> Result<(), Failure> {
        let (context, shares) = (self.context, &self.options.shares);
        if shares.is_empty() || setup::pending(context, shares).await? == 0 {
            return Ok(());
        }
        let sources: Vec<Source> = shares.iter().map(|share| share.source).collect();
        // A track that fails has told why, and costs its own tokens alone: the next tick asks for them again.
        track::run(context, &sources, &TrackOptions::default()).await?;
        if context.stop.is_cancelled() { Err(Failure::Interrupted) } else { Ok(()) }
    }

    fn result(&self, tick: WatchTick, look: Look, mapped: MappedTokens, proved: bool) -> Watch {
        Watch {
            phase: "watch".to_owned(),
            tick: tick.tick,
            full: proved || tick.tick == 1,
            missed: if proved { look.new_tokens } else { 0 },
            new_fills: look.new_fills,
            new_tokens: look.new_tokens,
            mapped: mapped.tokens,
            unmapped: tick.unmapped,
            lag_seconds_p50: mapped.lag_p50,
            lag_seconds_p99: mapped.lag_p99,
            by_source: mapped.by_source.into_iter().collect(),
            elapsed_seconds: Seconds((self.began.elapsed().as_secs_f64() * 1000.0).round() / 1000.0),
        }
    }
}
