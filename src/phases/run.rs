//! All phases in one process, the tracks side by side.

use std::time::Instant;

use super::plan::{self, Decision, Plan, Planned, Skip, Span, Stage, Step};
use super::{Context, merge, setup, track, validate, verify};
use crate::failure::{Exit, Failure};
use crate::source::Source;
use crate::track::{Ending, TrackResult};

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
    /// Phase 0; its shares name the tracks of the run.
    pub setup: setup::SetupOptions,
    /// Phases 1 and 2.
    pub track: track::TrackOptions,
    /// Phase 4.
    pub verify: verify::VerifyOptions,
    /// Phase 5.
    pub validate: validate::ValidateOptions,
    /// Where it begins and ends.
    pub span: Span,
}

/// What became of a phase.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It did what it is for.
    Done,
    /// It was left out.
    LeftOut(Skip),
    /// Done, below a threshold.
    BelowThreshold,
    /// Work is left for the next run.
    WorkLeft,
    /// A signal came.
    Interrupted,
    /// It could not do its work.
    Failed(String),
    /// The run ended before it.
    NotReached,
}

/// A phase at its end.
#[derive(Debug, Clone)]
pub struct StepEnd {
    /// The phase.
    pub step: Step,
    /// What became of it.
    pub outcome: Outcome,
    /// How long it took.
    pub seconds: f64,
    /// What it found and did, where it came that far.
    pub result: Option<PhaseResult>,
}

/// A run at its end, however it came about.
#[derive(Debug)]
pub struct RunResult {
    /// Every phase of the plan.
    pub ends: Vec<StepEnd>,
    /// The exit code, where nothing failed.
    pub exit: Exit,
    /// Why the first phase that failed did.
    pub failure: Option<Failure>,
}

/// A run on its way.
struct Run<'a> {
    context: &'a Context,
    told: &'a mut (dyn FnMut(PhaseResult) + Send),
    ends: Vec<StepEnd>,
    exit: Exit,
}

/// Runs the phases of `plan` in order and hands each result to `told` as it comes. What a phase turns out to have
/// nothing to do for is left out; the first that fails, is interrupted or has work left is the last.
pub async fn run(
    context: &Context,
    options: &RunOptions,
    plan: &Plan,
    told: &mut (dyn FnMut(PhaseResult) + Send),
) -> RunResult {
    context.progress.planned(plan);
    let mut run = Run { context, told, ends: Vec::new(), exit: Exit::Done };
    let failure = run.phases(options, plan).await.err();
    if matches!(failure, Some(Failure::Interrupted)) {
        run.exit = Exit::Interrupted;
    }
    let mut ends = run.ends;
    for Planned { step, decision } in &plan.0 {
        if ends.iter().any(|end| end.step == *step) {
            continue;
        }
        let outcome = match decision {
            Decision::Leave(skip) => Outcome::LeftOut(skip.clone()),
            Decision::Run(_) => Outcome::NotReached,
        };
        ends.push(StepEnd { step: *step, outcome, seconds: 0.0, result: None });
    }
    let place = |end: &StepEnd| plan.0.iter().position(|planned| planned.step == end.step);
    ends.sort_by_key(place);
    RunResult { ends, exit: run.exit, failure }
}

impl Run<'_> {
    async fn phases(&mut self, options: &RunOptions, plan: &Plan) -> Result<(), Failure> {
        let context = self.context;
        let (sources, unusable) = plan::usable(&context.settings, &options.setup.sources());
        let span = options.span;
        for (_, reason) in unusable.iter().filter(|_| span.leaves_out(Stage::Tracks).is_none()) {
            context.progress.notice(&format!("{reason}; the other tracks take its share"));
        }
        for Planned { step, decision } in &plan.0 {
            // Whatever follows from the tables is decided again when its turn comes.
            if let Decision::Leave(skip @ (Skip::BeforeFrom(_) | Skip::AfterTo(_) | Skip::NotUsable(_))) =
                decision
            {
                self.leave(*step, skip);
            }
        }
        if span.leaves_out(Stage::Setup).is_none() {
            let mut setup = options.setup.clone();
            setup.shares.retain(|share| sources.contains(&share.source));
            let phase = async { setup::run(context, &setup).await.map(PhaseResult::Setup) };
            self.phase(Step::Setup, phase, |_| Outcome::Done).await?;
        }
        if span.leaves_out(Stage::Tracks).is_none() && !self.tracks(&sources, options).await? {
            return Ok(());
        }
        if span.leaves_out(Stage::Merge).is_none() {
            self.merge(&sources).await?;
        }
        if span.leaves_out(Stage::Verify).is_none() {
            let phase = verify::run(context, &options.verify);
            let phase = async { phase.await.map(|it| PhaseResult::Verify(Box::new(it))) };
            self.phase(Step::Verify, phase, verdict).await?;
        }
        if span.leaves_out(Stage::Validate).is_none() {
            let phase = validate::run(context, &options.validate);
            let phase = async { phase.await.map(|it| PhaseResult::Validate(Box::new(it))) };
            self.phase(Step::Validate, phase, verdict).await?;
        }
        Ok(())
    }

    /// A phase that is not a track has nothing to finish when it is interrupted: each of its statements is whole or
    /// not at all, and the next run repeats them.
    async fn phase(
        &mut self,
        step: Step,
        phase: impl Future<Output = Result<PhaseResult, Failure>>,
        outcome: impl Fn(&PhaseResult) -> Outcome,
    ) -> Result<(), Failure> {
        self.context.progress.phase_began(step);
        let began = Instant::now();
        let result = tokio::select! {
            biased;
            () = self.context.stop.cancelled() => Err(Failure::Interrupted),
            result = phase => result,
        };
        let (outcome, result, ended) = match result {
            Ok(result) => (outcome(&result), Some(result), Ok(())),
            Err(Failure::Interrupted) => (Outcome::Interrupted, None, Err(Failure::Interrupted)),
            Err(failure) => (Outcome::Failed(failure.to_string()), None, Err(failure)),
        };
        if outcome == Outcome::BelowThreshold {
            self.exit = Exit::BelowThreshold;
        }
        self.end(StepEnd { step, outcome, seconds: seconds_since(began), result });
        ended
    }

    /// The tracks; `false` where work is left or a signal came, and the phases after them are not run.
    async fn tracks(&mut self, sources: &[Source], options: &RunOptions) -> Result<bool, Failure> {
        let context = self.context;
        context.store.complete_staging(sources).await?;
        if let Some(standing) = context.store.standing(sources).await?
            && plan::tracks_are_done(&standing)
        {
            for source in sources {
                if let Decision::Leave(skip) = plan::leave_track(*source, &standing) {
                    self.leave(Step::Track(*source), &skip);
                }
            }
            return Ok(true);
        }
        let began = Instant::now();
        sources.iter().for_each(|source| context.progress.phase_began(Step::Track(*source)));
        let results = match track::run(context, sources, &options.track).await {
            Ok(results) => results,
            Err(failure) => {
                for source in sources {
                    let outcome = Outcome::Failed(failure.to_string());
                    let seconds = seconds_since(began);
                    self.end(StepEnd { step: Step::Track(*source), outcome, seconds, result: None });
                }
                return Err(failure);
            }
        };
        let mut failure = None;
        for (source, result) in sources.iter().zip(results) {
            let step = Step::Track(*source);
            match result {
                Ok(result) => {
                    let (outcome, exit) = match result.ending {
                        Ending::Complete => (Outcome::Done, Exit::Done),
                        Ending::WorkLeft => (Outcome::WorkLeft, Exit::WorkLeft),
                        Ending::Interrupted => (Outcome::Interrupted, Exit::Interrupted),
                    };
                    if self.exit != Exit::Interrupted && exit != Exit::Done {
                        self.exit = exit;
                    }
                    let seconds = result.work_seconds;
                    self.end(StepEnd { step, outcome, seconds, result: Some(PhaseResult::Track(result)) });
                }
                Err(error) => {
                    let error = Failure::from(error);
                    let outcome = Outcome::Failed(error.to_string());
                    self.end(StepEnd { step, outcome, seconds: seconds_since(began), result: None });
                    failure = failure.or(Some(error));
                }
            }
        }
        match failure {
            Some(failure) => Err(failure),
            None => Ok(self.exit == Exit::Done),
        }
    }

    async fn merge(&mut self, sources: &[Source]) -> Result<(), Failure> {
        let context = self.context;
        let standing = context.store.standing(sources).await?;
        if let Decision::Leave(skip) = plan::of_merge(standing.as_ref()) {
            // What a merge that crashed has left behind.
            context.store.drop_candidates().await?;
            context.store.drop_repairs().await?;
            self.leave(Step::Merge, &skip);
            return Ok(());
        }
        let options = merge::MergeOptions::default();
        let phase = merge::run(context, &options);
        let phase = async { phase.await.map(|it| PhaseResult::Merge(Box::new(it))) };
        self.phase(Step::Merge, phase, |_| Outcome::Done).await
    }

    fn leave(&mut self, step: Step, skip: &Skip) {
        let outcome = Outcome::LeftOut(skip.clone());
        self.end(StepEnd { step, outcome, seconds: 0.0, result: None });
    }

    fn end(&mut self, end: StepEnd) {
        self.context.progress.phase_ended(&end);
        if let Some(result) = end.result.clone() {
            (self.told)(result);
        }
        self.ends.push(end);
    }
}

fn verdict(result: &PhaseResult) -> Outcome {
    let passes = match result {
        PhaseResult::Verify(result) => result.passes(),
        PhaseResult::Validate(result) => result.passes(),
        PhaseResult::Setup(_) | PhaseResult::Track(_) | PhaseResult::Merge(_) => true,
    };
    if passes { Outcome::Done } else { Outcome::BelowThreshold }
}

/// To the millisecond.
fn seconds_since(began: Instant) -> f64 {
    (began.elapsed().as_secs_f64() * 1000.0).round() / 1000.0
}
