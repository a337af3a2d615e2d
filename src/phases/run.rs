//! All phases in one process, the tracks side by side.

use std::sync::Arc;
use std::time::Instant;

use super::chain::{self, ChainListener, ChainOptions};
use super::events::PhaseEvent;
use super::plan;
pub use super::run_options::RunOptions;
use super::steps::{Decision, End, Plan, Planned, Skip, Stage, Step, StepEnd};
use super::{Context, derive, merge, setup, track, validate, verify};
use crate::failure::Failure;
use crate::outcome::Outcome;
use crate::results::{Chain, PhaseResult, Track};
use crate::source::Source;
use crate::store::lease::LeaseError;
use crate::track::engine::TrackError;

/// A run at its end, however it came about.
#[derive(Debug)]
pub struct RunResult {
    /// Every phase of the plan.
    pub ends: Vec<StepEnd>,
    /// How it ended, where nothing failed.
    pub outcome: Outcome,
    /// Why it failed, where it did.
    pub failure: Option<Failure>,
}

impl RunResult {
    /// Whether every phase did what it is for.
    pub fn passes(&self) -> bool {
        self.failure.is_none() && self.outcome == Outcome::Done
    }

    /// The tracks of the run that have not come to their end.
    pub fn missing_tracks(&self) -> Vec<Source> {
        let missing = |end: &StepEnd| match (end.step, &end.end) {
            (Step::Track(source), End::Failed { .. } | End::Ended(Outcome::WorkLeft)) => Some(source),
            _ => None,
        };
        self.ends.iter().filter_map(missing).collect()
    }
}

/// A run on its way.
struct Run<'a> {
    context: &'a Context,
    told: &'a mut (dyn FnMut(&PhaseResult) + Send),
    ends: Vec<StepEnd>,
    outcome: Outcome,
}

/// Runs the phases of `plan` in order and hands each result to `told` as it comes. What a phase turns out to have
/// nothing to do for is left out. A track that does not come to its end costs its own tokens alone: what is staged by
/// then is merged, verified and validated. Any other phase that fails, and any signal, is the last.
pub async fn run(
    context: &Context,
    options: &RunOptions,
    plan: &Plan,
    told: &mut (dyn FnMut(&PhaseResult) + Send),
) -> RunResult {
    context.progress.on_phase_event(&PhaseEvent::Planned(plan));
    let mut run = Run { context, told, ends: Vec::new(), outcome: Outcome::Done };
    let failure = run.phases(options, plan).await.err();
    if matches!(failure, Some(Failure::Interrupted)) {
        run.outcome = Outcome::Interrupted;
    }
    let mut ends = run.ends;
    for Planned { step, decision, .. } in &plan.0 {
        if ends.iter().any(|end| end.step == *step) {
            continue;
        }
        let end = match decision {
            Decision::Leave(skip) => End::LeftOut(skip.clone()),
            Decision::Run(_) => End::NotReached,
        };
        ends.push(StepEnd { step: *step, end, seconds: 0.0, result: None });
    }
    let place = |end: &StepEnd| plan.0.iter().position(|planned| planned.step == end.step);
    ends.sort_by_key(place);
    RunResult { ends, outcome: run.outcome, failure }
}

impl Run<'_> {
    async fn phases(&mut self, options: &RunOptions, plan: &Plan) -> Result<(), Failure> {
        let context = self.context;
        let (sources, unusable) = plan::usable(&context.settings, &options.setup.sources());
        let span = options.span;
        for (_, reason) in unusable.iter().filter(|_| span.leaves_out(Stage::Tracks).is_none()) {
            context.progress.on_phase_event(&PhaseEvent::ShareTaken { reason });
        }
        for Planned { step, decision, .. } in &plan.0 {
            // Whatever follows from the tables is decided again when its turn comes.
            if let Decision::Leave(skip) = decision
                && matches!(
                    skip,
                    Skip::BeforeFrom(_) | Skip::AfterTo(_) | Skip::NotUsable(_) | Skip::NotAsked
                )
            {
                self.leave(*step, skip);
            }
        }
        if span.leaves_out(Stage::Setup).is_none() {
            if options.derive {
                let found = async { derive::run(context, &derive::DeriveOptions::default()).await };
                let phase = async { Ok(PhaseResult::Derive((&found.await?).into())) };
                self.phase(Step::Derive, phase).await?;
            }
            let mut setup = options.setup.clone();
            setup.shares.retain(|share| sources.contains(&share.source));
            let phase = async { Ok(PhaseResult::Setup((&setup::run(context, &setup).await?).into())) };
            self.phase(Step::Setup, phase).await?;
        }
        let nobody_answers = match span.leaves_out(Stage::Tracks) {
            None => {
                let (tracks, chain) = tokio::join!(self.tracks(&sources, options), new_blocks(context));
                self.end_chain(chain).await?;
                tracks?
            }
            Some(_) => None,
        };
        if self.outcome == Outcome::Interrupted {
            return Ok(());
        }
        self.harvest(&sources, options).await?;
        nobody_answers.map_or(Ok(()), Err)
    }

    /// What was new on the chain, and the tokens that follow from it. That it could not be read costs the run nothing
    /// but that.
    async fn end_chain(&mut self, read: Option<(Result<Chain, Failure>, f64)>) -> Result<(), Failure> {
        let Some((result, seconds)) = read else { return Ok(()) };
        match result {
            Ok(result) => {
                let (outcome, logs) = (result.outcome, result.logs);
                self.worsen(outcome);
                let result = Some(PhaseResult::Chain(Box::new(result)));
                self.end(StepEnd { step: Step::Chain, end: End::Ended(outcome), seconds, result });
                if logs > 0 && outcome != Outcome::Interrupted {
                    derive::run(self.context, &derive::DeriveOptions::default()).await?;
                }
            }
            Err(failure) => {
                self.worsen(Outcome::WorkLeft);
                self.end(StepEnd { step: Step::Chain, end: failed(&failure), seconds, result: None });
            }
        }
        Ok(())
    }

    /// What follows the tracks: staging into production, and the checks.
    async fn harvest(&mut self, sources: &[Source], options: &RunOptions) -> Result<(), Failure> {
        let (context, span) = (self.context, options.span);
        if span.leaves_out(Stage::Merge).is_none() {
            self.merge(sources).await?;
        }
        if span.leaves_out(Stage::Verify).is_none() {
            let phase = async {
                let found = verify::run(context, &options.verify).await?;
                Ok(PhaseResult::Verify(Box::new((&found).into())))
            };
            self.phase(Step::Verify, phase).await?;
        }
        if span.leaves_out(Stage::Validate).is_none() {
            let phase = async {
                let found = validate::run(context, &options.validate).await?;
                Ok(PhaseResult::Validate(Box::new((&found).into())))
            };
            self.phase(Step::Validate, phase).await?;
        }
        Ok(())
    }

    /// A phase that is not a track has nothing to finish when it is interrupted: each of its statements is whole or
    /// not at all, and the next run repeats them.
    async fn phase(
        &mut self,
        step: Step,
        phase: impl Future<Output = Result<PhaseResult, Failure>>,
    ) -> Result<(), Failure> {
        self.context.progress.on_phase_event(&PhaseEvent::Began(step));
        let began = Instant::now();
        let result = tokio::select! {
            biased;
            () = self.context.stop.cancelled() => Err(Failure::Interrupted),
            result = phase => result,
        };
        let seconds = seconds_since(began);
        match result {
            Ok(result) => {
                let outcome = verdict(&result);
                self.worsen(outcome);
                self.end(StepEnd { step, end: End::Ended(outcome), seconds, result: Some(result) });
                Ok(())
            }
            Err(failure) => {
                self.end(StepEnd { step, end: failed(&failure), seconds, result: None });
                Err(failure)
            }
        }
    }

    /// The tracks. Where none of them could be used at all, why the first could not.
    async fn tracks(&mut self, sources: &[Source], options: &RunOptions) -> Result<Option<Failure>, Failure> {
        let context = self.context;
        context.store.complete_staging(sources).await?;
        if let Some(progress) = context.store.staging_progress(sources).await?
            && plan::tracks_are_done(&progress)
        {
            for source in sources {
                if let Decision::Leave(skip) = plan::leave_track(*source, &progress) {
                    self.leave(Step::Track(*source), &skip);
                }
            }
            return Ok(None);
        }
        let began = Instant::now();
        for source in sources {
            context.progress.on_phase_event(&PhaseEvent::Began(Step::Track(*source)));
        }
        let results = match track::run(context, sources, &options.track).await {
            Ok(results) => results,
            Err(failure) => {
                for source in sources {
                    let (step, end, seconds) = (Step::Track(*source), failed(&failure), seconds_since(began));
                    self.end(StepEnd { step, end, seconds, result: None });
                }
                return Err(failure);
            }
        };
        self.end_tracks(sources, results, began)
    }

    fn end_tracks(
        &mut self,
        sources: &[Source],
        results: Vec<Result<Track, TrackError>>,
        began: Instant,
    ) -> Result<Option<Failure>, Failure> {
        let mut failures = Vec::new();
        for (source, result) in sources.iter().zip(results) {
            let step = Step::Track(*source);
            match result {
                Ok(result) => {
                    self.worsen(result.outcome);
                    let (end, seconds) = (End::Ended(result.outcome), result.work_seconds.0);
                    self.end(StepEnd { step, end, seconds, result: Some(PhaseResult::Track(result)) });
                }
                Err(error) => {
                    // Without ClickHouse there is nothing to harvest either.
                    let harvestable = matches!(error, TrackError::Unusable { .. });
                    let failure = Failure::from(error);
                    let (end, seconds) = (failed(&failure), seconds_since(began));
                    self.end(StepEnd { step, end, seconds, result: None });
                    failures.push((harvestable, failure));
                }
            }
        }
        let all = failures.len() == sources.len();
        if let Some(at) = failures.iter().position(|(harvestable, _)| !harvestable) {
            return Err(failures.swap_remove(at).1);
        }
        if !failures.is_empty() {
            self.worsen(Outcome::WorkLeft);
        }
        Ok(failures.into_iter().next().filter(|_| all).map(|(_, failure)| failure))
    }

    async fn merge(&mut self, sources: &[Source]) -> Result<(), Failure> {
        let context = self.context;
        let progress = context.store.staging_progress(sources).await?;
        if let Decision::Leave(skip) = plan::of_merge(progress.as_ref()) {
            // What a merge that crashed has left behind.
            context.store.drop_candidates().await?;
            context.store.drop_repairs().await?;
            self.leave(Step::Merge, &skip);
            return Ok(());
        }
        let phase = async {
            let found = merge::run(context, &merge::MergeOptions::default()).await?;
            Ok(PhaseResult::Merge(Box::new((&found).into())))
        };
        self.phase(Step::Merge, phase).await
    }

    /// Keeps the outcome that matters most: a signal, then work that is left, then a threshold.
    fn worsen(&mut self, outcome: Outcome) {
        let weight = |outcome| match outcome {
            Outcome::Done => 0,
            Outcome::BelowThreshold => 1,
            Outcome::WorkLeft => 2,
            _ => 3,
        };
        if weight(outcome) > weight(self.outcome) {
            self.outcome = outcome;
        }
    }

    fn leave(&mut self, step: Step, skip: &Skip) {
        self.end(StepEnd { step, end: End::LeftOut(skip.clone()), seconds: 0.0, result: None });
    }

    fn end(&mut self, end: StepEnd) {
        self.context.progress.on_phase_event(&PhaseEvent::Ended(&end));
        if let Some(result) = &end.result {
            (self.told)(result);
        }
        self.ends.push(end);
    }
}

/// Reads what is new on the chain since it was read last; nothing where it was not, or where another process does.
async fn new_blocks(context: &Context) -> Option<(Result<Chain, Failure>, f64)> {
    let began = Instant::now();
    let progress = context.progress.clone();
    match chain::read_up_to(context).await {
        Ok(Some(_)) => {}
        Ok(None) => {
            progress.on_phase_event(&PhaseEvent::ChainNotRead);
            return None;
        }
        Err(failure) => return Some((Err(failure), seconds_since(began))),
    }
    progress.on_phase_event(&PhaseEvent::Began(Step::Chain));
    let listener: ChainListener = Arc::new(move |event| progress.on_phase_event(&PhaseEvent::Chain(&event)));
    let options = ChainOptions { new_only: true, ..ChainOptions::default() };
    match chain::run(context, &options, &listener).await {
        Err(Failure::Lease(error)) if !matches!(error, LeaseError::Store(_)) => None,
        result => Some((result, seconds_since(began))),
    }
}

fn failed(failure: &Failure) -> End {
    match failure {
        Failure::Interrupted => End::Ended(Outcome::Interrupted),
        _ => End::Failed { outcome: failure.outcome(), message: failure.to_string() },
    }
}

fn verdict(result: &PhaseResult) -> Outcome {
    match result {
        PhaseResult::Verify(result) => Outcome::of_check(result.passed),
        PhaseResult::Validate(result) => result.outcome(),
        PhaseResult::Track(result) => result.outcome,
        PhaseResult::Catalogue(result) => result.track.outcome,
        PhaseResult::Chain(result) => result.outcome,
        PhaseResult::Flows(result) => result.outcome,
        PhaseResult::Setup(_) | PhaseResult::Derive(_) | PhaseResult::Merge(_) => Outcome::Done,
    }
}

/// To the millisecond.
fn seconds_since(began: Instant) -> f64 {
    (began.elapsed().as_secs_f64() * 1000.0).round() / 1000.0
}
