//! `watch`: a line or an object for each tick, until a signal comes.

use std::sync::Arc;

use super::session::Session;
use crate::cli::watch::WatchArgs;
use crate::cli::{MetricsArgs, TracksArgs};
use crate::failure::Failure;
use crate::outcome::Outcome;
use crate::phases::plan;
use crate::phases::watch::{self, TickEvent, WatchHealth, WatchOptions};

/// Watches.
pub(super) async fn run(
    session: &Session,
    args: &WatchArgs,
    tracks: &TracksArgs,
    metrics: &MetricsArgs,
) -> Result<Outcome, Failure> {
    let tracks = tracks.or_auto();
    let health = Arc::new(WatchHealth::default());
    session.serve_health(metrics, &health, args.max_lag)?;
    let context = session.context().await?;
    let sources: Vec<_> = tracks.named().iter().map(|share| share.source).collect();
    let usable = plan::usable(&session.settings, &sources).0;
    let mut shares = tracks.named();
    shares.retain(|share| usable.contains(&share.source));
    shares.sort_unstable_by_key(|share| share.source);
    let options = WatchOptions {
        every: args.every,
        overlap: args.overlap,
        full_every: args.full_every,
        watermark: args.watermark.clone(),
        shares,
        chain: args.chain,
        ticks: args.ticks,
    };
    let mut told = |event: TickEvent<'_>| match event {
        TickEvent::Ended(tick) => session.print_report(tick),
        TickEvent::Failed(failure) => {
            session.progress.notice(&format!("This tick failed, the next one does its work: {failure}"));
        }
    };
    watch::run(&context, &options, &health, &mut told).await?;
    // It is meant to be ended.
    session.ended(Outcome::Done)
}
