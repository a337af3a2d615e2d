//! Phases 1 and 2: the tracks, alone or side by side.

use std::num::NonZeroUsize;

use super::Context;
use super::exclusive::SETUP;
use crate::failure::Failure;
use crate::results::Track;
use crate::settings::Settings;
use crate::source::Source;
use crate::store::Needs;
use crate::track::engine::{TrackConfig, TrackError};
use crate::track::lookup::LookupTrack;
use crate::track::rounds;
use crate::upstream::SourceSettings;
use crate::upstream::{ApiInfo, OpenFn, Upstream};

/// How the tracks are run.
#[derive(Debug, Clone, Default)]
pub struct TrackOptions {
    /// Whether each source was asked once a moment ago, which its limit counts.
    pub probed: bool,
    /// Tracks with a workload that cannot be asked with these settings: the others take it up.
    pub abandoned: Vec<Source>,
}

/// One source with the settings that the engine needs of it.
pub(super) struct ConfiguredSource {
    pub(super) upstream: Box<dyn Upstream>,
    pub(super) settings: SourceSettings,
    workers: Option<usize>,
    batch_size: Option<usize>,
}

impl ConfiguredSource {
    /// Tokens of a full request.
    pub(super) fn request_tokens(&self) -> usize {
        let full = self.upstream.request_limits().full();
        self.batch_size.map_or(full, |size| size.min(full))
    }
}

/// Whether a source can be asked with these settings.
///
/// # Errors
/// What is missing.
pub fn check(settings: &Settings, source: Source) -> Result<(), Failure> {
    let has_key = settings.source(source).is_some_and(|it| it.api_key.is_some());
    match source.lookup().and_then(ApiInfo::required_key) {
        Some(key) if !has_key => Err(Failure::Usage(format!(
            "the {} track needs {key}: set it, or run the other tracks without it",
            source.name()
        ))),
        _ => Ok(()),
    }
}

/// The tracks of `sources` that can be asked with these settings, and why the others cannot.
pub fn usable(settings: &Settings, sources: &[Source]) -> (Vec<Source>, Vec<(Source, String)>) {
    let (mut usable, mut unusable) = (Vec::new(), Vec::new());
    for source in sources {
        match check(settings, *source) {
            Ok(()) => usable.push(*source),
            Err(reason) => unusable.push((*source, reason.to_string())),
        }
    }
    (usable, unusable)
}

/// Why a source that has no such API cannot be opened.
pub(super) fn not_asked(source: Source) -> Failure {
    Failure::Usage(format!("{} is no track: it is not asked for tokens", source.name()))
}

/// Opens a source: the one place where the clients of the APIs are made.
pub(super) fn choose(settings: &Settings, source: Source) -> Result<ConfiguredSource, Failure> {
    check(settings, source)?;
    let (Some(api), Some(of)) = (source.lookup(), settings.source(source)) else {
        return Err(not_asked(source));
    };
    let OpenFn::Lookup(open) = api.open else { return Err(not_asked(source)) };
    let work = &settings.work;
    Ok(ConfiguredSource {
        upstream: open(of, work.request_timeout)?,
        settings: of.clone(),
        workers: work.worker_count.map(NonZeroUsize::get),
        batch_size: work.batch_size.map(NonZeroUsize::get),
    })
}

/// Runs one track, or several side by side, and then rounds over what they have left.
///
/// # Errors
/// The first track's failure; the others have saved what they did.
pub async fn run(
    context: &Context,
    sources: &[Source],
    options: &TrackOptions,
) -> Result<Vec<Result<Track, TrackError>>, Failure> {
    let works: Vec<&str> = sources.iter().map(|source| source.name()).collect();
    context.exclusively(&works, &[SETUP], ask(context, sources, options)).await
}

async fn ask(
    context: &Context,
    sources: &[Source],
    options: &TrackOptions,
) -> Result<Vec<Result<Track, TrackError>>, Failure> {
    let settings = &context.settings;
    context.store.check_tables(Needs::Merge).await?;
    // What a source that is newer than the last setup lacks.
    context.store.complete_staging(sources).await?;
    let policy = super::proof_policy(context).await?;
    let mut tracks = Vec::new();
    for source in sources {
        let chosen = choose(settings, *source)?;
        let config = TrackConfig {
            workers: chosen.workers,
            batch_size: chosen.batch_size,
            probed: options.probed,
            rate_limit: chosen.settings.rate_limit,
            give_up_after: settings.work.give_up_after,
            policy: policy.clone(),
            started: context.started,
        };
        let track = LookupTrack::open(
            chosen.upstream,
            context.store.clone(),
            config,
            &settings.work.checkpoint_dir,
            context.progress.clone(),
            context.stop.clone(),
        );
        tracks.push(track.await?);
    }
    // A panic inside a track would be a defect of ours; it is told as one, not passed on.
    let broke = |error| Failure::Unusable(format!("a track broke: {error}"));
    rounds::run(&tracks, &options.abandoned).await.map_err(broke)
}
