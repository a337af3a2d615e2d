//! [`make`]: which phases a run will go through, which it leaves out, and why. Decided from the tables, which are the
//! truth, so that a plan made after any interruption leads to where an undisturbed run ends. [`forecast`] says what each
//! of them will come to.

mod forecast;

pub use forecast::forecast;

pub use super::track::usable;

use super::Context;
use super::run_options::RunOptions;
use super::steps::{Decision, Due, Plan, Planned, Skip, Span, Stage, Step};
use crate::failure::Failure;
use crate::source::Source;
use crate::store::Needs;
use crate::store::progress::StagingProgress;

/// Makes the plan of a run. Asks the tables and changes nothing.
///
/// # Errors
/// A table that the run needs is missing, or ClickHouse fails.
pub async fn make(context: &Context, options: &RunOptions) -> Result<Plan, Failure> {
    let (span, sources) = (options.span, options.setup.sources());
    context.store.check_tables(Needs::Merge).await?;
    let (usable, unusable) = usable(&context.settings, &sources);
    let progress = context.store.staging_progress(&usable).await?;
    let track = |source: &Source| match unusable.iter().find(|(of, _)| of == source) {
        Some((_, reason)) => Decision::Leave(Skip::NotUsable(reason.clone())),
        None => of_track(*source, progress.as_ref(), span),
    };
    let derive = if options.derive { Decision::Run(Due::Always) } else { Decision::Leave(Skip::NotAsked) };
    let mut steps =
        vec![Planned::new(Step::Derive, derive), Planned::new(Step::Setup, Decision::Run(Due::Always))];
    if let Some(read_up_to) = super::chain::read_up_to(context).await? {
        steps.push(Planned::new(Step::Chain, Decision::Run(Due::NewBlocks { read_up_to })));
    }
    steps.extend(sources.iter().map(|it| Planned::new(Step::Track(*it), track(it))));
    let merge =
        if span.from == Stage::Merge { of_merge(progress.as_ref()) } else { Decision::Run(Due::AfterOthers) };
    steps.push(Planned::new(Step::Merge, merge));
    for step in [Step::Verify, Step::Validate] {
        steps.push(Planned::new(step, Decision::Run(Due::Always)));
    }
    for planned in &mut steps {
        if let Some(skip) = span.leaves_out(planned.step.stage()) {
            planned.decision = Decision::Leave(skip);
        }
    }
    Ok(Plan(steps))
}

/// What a track is planned for. Where setup runs before it, only what is open now is sure: setup may find more.
fn of_track(source: Source, progress: Option<&StagingProgress>, span: Span) -> Decision {
    let Some(progress) = progress else { return Decision::Run(Due::AfterOthers) };
    match tracks_are_done(progress) {
        true if span.from == Stage::Tracks => leave_track(source, progress),
        true => Decision::Run(Due::AfterOthers),
        false => due_track(source, progress),
    }
}

/// Whether no track has anything to ask. As long as one has, the others help it; and what one did not find the others
/// try, once each, which an interruption may have kept them from.
pub fn tracks_are_done(progress: &StagingProgress) -> bool {
    progress.tracks.iter().all(|it| it.open() == 0 && it.untried == 0)
}

/// Why a track with work is run.
pub fn due_track(source: Source, progress: &StagingProgress) -> Decision {
    Decision::Run(match progress.tracks.iter().find(|it| it.source == source) {
        Some(track) if track.open() > 0 => Due::Open { open: track.open(), total: track.counts.total },
        track => Due::Helps(track.map_or(0, |track| track.untried)),
    })
}

/// Why a track is left out when all are done.
pub fn leave_track(source: Source, progress: &StagingProgress) -> Decision {
    let total = progress.tracks.iter().find(|it| it.source == source).map_or(0, |it| it.counts.total);
    Decision::Leave(if total == 0 { Skip::NothingToAsk } else { Skip::AllAnswered(total) })
}

/// What a merge has to do.
pub fn of_merge(progress: Option<&StagingProgress>) -> Decision {
    match progress {
        None => Decision::Run(Due::Always),
        Some(progress) if progress.unmerged + progress.outranked > 0 => {
            Decision::Run(Due::Unmerged(progress.unmerged + progress.outranked))
        }
        Some(progress) if progress.staged == 0 => Decision::Leave(Skip::NothingStaged),
        Some(progress) => Decision::Leave(Skip::AllMerged(progress.staged)),
    }
}
