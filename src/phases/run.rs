//! All six phases in one process, both tracks at once.

use super::{Context, merge, setup, track, validate, verify};
use crate::failure::{Exit, Failure};
use crate::track::{Ending, TrackResult};
use crate::upstream::Source;

/// One phase's result.
#[derive(Debug, Clone)]
pub enum PhaseResult {
    /// Phase 0.
    Setup(setup::SetupResult),
    /// Phase 1 or 2.
    Track(TrackResult),
    /// Phase 3.
    Merge(Box<merge::MergeResult>),
    /// Phase 4.
    Verify(Box<verify::VerifyResult>),
    /// Phase 5.
    Validate(Box<validate::ValidateResult>),
}

/// How the phases are run.
#[derive(Debug, Clone)]
pub struct RunOptions {
    /// Phase 0.
    pub setup: setup::SetupOptions,
    /// Phases 1 and 2.
    pub track: track::TrackOptions,
    /// Phase 4.
    pub verify: verify::VerifyOptions,
    /// Phase 5.
    pub validate: validate::ValidateOptions,
}

/// Runs the phases in order and hands each result to `told` as it comes. A track that cannot be used is left out
/// with a notice, and the other takes what it can; the phases after a track that has work left are not run.
///
/// # Errors
/// The first phase that could not do its work.
pub async fn run(
    context: &Context,
    options: &RunOptions,
    told: &mut (dyn FnMut(PhaseResult) + Send),
) -> Result<Exit, Failure> {
    let sources: Vec<Source> = [Source::Dome, Source::Goldsky]
        .into_iter()
        .filter(|source| match track::check(&context.settings, *source) {
            Ok(()) => true,
            Err(reason) => {
                context.progress.notice(&format!("{reason}; the other track takes its share"));
                false
            }
        })
        .collect();
    let setup = setup::SetupOptions { sources: sources.clone(), ..options.setup.clone() };
    told(PhaseResult::Setup(setup::run(context, &setup).await?));
    stopped(context)?;
    let mut exit = Exit::Done;
    let mut failure = None;
    for result in track::run(context, &sources, &options.track).await? {
        match result {
            Ok(result) => {
                exit = worse(exit, &result);
                told(PhaseResult::Track(result));
            }
            Err(error) => failure = failure.or(Some(Failure::from(error))),
        }
    }
    if let Some(failure) = failure {
        return Err(failure);
    }
    if exit != Exit::Done {
        return Ok(exit);
    }
    told(PhaseResult::Merge(Box::new(merge::run(context, &merge::MergeOptions::default()).await?)));
    stopped(context)?;
    let verified = verify::run(context, &options.verify).await?;
    let covered = verified.passes();
    told(PhaseResult::Verify(Box::new(verified)));
    stopped(context)?;
    let validated = validate::run(context, &options.validate).await?;
    let valid = validated.passes();
    told(PhaseResult::Validate(Box::new(validated)));
    Ok(if covered && valid { Exit::Done } else { Exit::BelowThreshold })
}

fn stopped(context: &Context) -> Result<(), Failure> {
    if context.stop.is_set() { Err(Failure::Interrupted) } else { Ok(()) }
}

fn worse(exit: Exit, result: &TrackResult) -> Exit {
    match (exit, result.ending) {
        (_, Ending::Interrupted) | (Exit::Interrupted, _) => Exit::Interrupted,
        (_, Ending::WorkLeft) => Exit::WorkLeft,
        (exit, Ending::Complete) => exit,
    }
}
