//! `clob`: the catalogue of all markets, kept whole, and what is traded and unmapped of it staged.

use std::num::NonZeroUsize;

use super::Context;
use super::events::Activity;
use super::exclusive::SETUP;
use super::track::not_asked;
use crate::failure::Failure;
use crate::results::Catalogue;
use crate::source::Source;
use crate::store::Needs;
use crate::track::catalogue::CatalogueTrack;
use crate::track::engine::TrackConfig;
use crate::track::traded::Traded;
use crate::upstream::clob::Clob;

/// Reads the catalogue. Interrupted, it goes on where it was; read to its end, it is read again, which brings labels and
/// winners up to date.
///
/// # Errors
/// A table is missing, the API cannot be used, another process reads it, or ClickHouse fails.
pub async fn run(context: &Context) -> Result<Catalogue, Failure> {
    context.store.check_tables(Needs::Merge).await?;
    context.exclusively(&[Source::Clob.name()], &[SETUP], read(context)).await
}

async fn read(context: &Context) -> Result<Catalogue, Failure> {
    let (store, settings) = (&context.store, &context.settings);
    let clob_settings = settings.source(Source::Clob).ok_or_else(|| not_asked(Source::Clob))?;
    let clob = Clob::new(clob_settings, settings.work.request_timeout)?;
    store.create_staging().await?;
    store.create_catalogue(Source::Clob).await?;
    context.begins(Activity::ListingTraded);
    let traded = Traded::read(store, &store.kept_sums().await?).await?;
    let config = TrackConfig {
        workers: settings.work.worker_count.map(NonZeroUsize::get),
        batch_size: None,
        probed: false,
        rate_limit: clob_settings.rate_limit.clone(),
        give_up_after: settings.work.give_up_after,
        policy: super::proof_policy(context).await?,
        started: context.started,
    };
    context.begins(Activity::ReadingCatalogue);
    let track = CatalogueTrack::open(
        Box::new(clob),
        store.clone(),
        config,
        traded,
        &settings.work.checkpoint_dir,
        context.progress.clone(),
        context.stop.clone(),
    );
    Ok(track.await?.run().await?)
}
