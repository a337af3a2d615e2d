//! Phases 1 and 2: the tracks, alone or side by side.

use std::sync::Arc;

use tokio::sync::Notify;

use super::Context;
use crate::failure::Failure;
use crate::settings::{Settings, SourceSettings};
use crate::track::TrackResult;
use crate::track::engine::{Engine, Plan, TrackError};
use crate::track::judge::Rules;
use crate::upstream::dome::Dome;
use crate::upstream::goldsky::Goldsky;
use crate::upstream::{Source, Upstream, UpstreamError};

/// How the tracks are run.
#[derive(Debug, Clone, Default)]
pub struct TrackOptions {
    /// Stage what has no proof, marked as such.
    pub accept_unproven: bool,
}

/// One source with the settings that the engine needs of it.
struct Chosen {
    upstream: Box<dyn Upstream>,
    settings: SourceSettings,
    workers: usize,
}

/// Whether a source can be asked with these settings.
///
/// # Errors
/// What is missing.
pub fn check(settings: &Settings, source: Source) -> Result<(), Failure> {
    match source {
        Source::Dome if settings.dome.api_key.is_none() => Err(Failure::Usage(
            "the dome track needs DOME_API_KEY: set it, or run the goldsky track alone".to_owned(),
        )),
        _ => Ok(()),
    }
}

/// The one place that knows which sources there are to ask.
fn choose(context: &Context, source: Source) -> Result<Chosen, Failure> {
    let settings = &context.settings;
    check(settings, source)?;
    let timeout = settings.work.request_timeout;
    let chosen = |upstream: Result<Box<dyn Upstream>, UpstreamError>, of: &SourceSettings, workers| {
        Ok(Chosen { upstream: upstream?, settings: of.clone(), workers })
    };
    match source {
        Source::Dome => {
            chosen(Dome::new(&settings.dome, timeout).map(|it| Box::new(it) as _), &settings.dome, 16)
        }
        Source::Goldsky => chosen(
            Goldsky::new(&settings.goldsky, timeout).map(|it| Box::new(it) as _),
            &settings.goldsky,
            32,
        ),
        Source::Derived => Err(Failure::Usage("what is derived is computed, not asked for".to_owned())),
        Source::Clob => Err(Failure::Usage("the catalogue is read by `backfill clob`".to_owned())),
    }
}

/// Runs one track, or several side by side: one that has nothing left helps the others.
///
/// # Errors
/// The first track's failure; the others have saved what they did.
pub async fn run(
    context: &Context,
    sources: &[Source],
    options: &TrackOptions,
) -> Result<Vec<Result<TrackResult, TrackError>>, Failure> {
    let settings = &context.settings;
    let changed = Arc::new(Notify::new());
    let mut engines = Vec::new();
    for source in sources {
        let chosen = choose(context, *source)?;
        let plan = Plan {
            workers: settings.work.worker_count.map_or(chosen.workers, std::num::NonZeroUsize::get),
            batch_size: settings.work.batch_size.map(std::num::NonZeroUsize::get),
            rate_limit: chosen.settings.rate_limit,
            give_up_after: settings.work.give_up_after,
            rules: Rules {
                collaterals: settings.collaterals.clone(),
                accept_unproven: options.accept_unproven,
            },
            started: context.started,
        };
        let engine = Engine::open(
            chosen.upstream,
            context.store.clone(),
            plan,
            &settings.work.checkpoint_dir,
            context.progress.clone(),
            context.stop.clone(),
            changed.clone(),
        );
        engines.push(engine.await?);
    }
    for engine in &engines {
        let others = engines.iter().filter(|other| !Arc::ptr_eq(other, engine));
        engine.beside(others.map(Arc::downgrade).collect());
    }
    let runs: Vec<_> = engines.iter().map(|engine| tokio::spawn(engine.clone().run())).collect();
    let mut ends = Vec::new();
    for run in runs {
        // A panic inside a track would be a defect of ours; it is told as one, not passed on.
        ends.push(run.await.map_err(|error| Failure::Unusable(format!("a track broke: {error}")))?);
    }
    let mut results = Vec::new();
    for (engine, end) in engines.iter().zip(ends) {
        results.push(match end {
            Ok(elapsed) => engine.finish(elapsed).await,
            Err(error) => Err(error),
        });
    }
    Ok(results)
}
