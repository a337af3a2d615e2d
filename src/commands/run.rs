//! `run`: the plan first, then each phase's page as it comes, the summary at the end however it came.

use serde_json::{Value, json};

use super::report_file;
use super::session::Session;
use super::validate::baselines;
use crate::cli::{Format, RunArgs};
use crate::failure::Failure;
use crate::outcome::Outcome;
use crate::phases::run::{RunOptions, RunResult};
use crate::phases::shares::Tracks;
use crate::phases::steps::{Plan, Span, Stage};
use crate::phases::{self, plan};
use crate::report::{self, Report};
use crate::results::{PhaseResult, Planned, Run, Seconds};
use crate::settings::Settings;

/// Makes the plan, and goes through it unless only the plan was asked for.
pub(super) async fn run(session: &Session, args: &RunArgs) -> Result<Outcome, Failure> {
    let span = args.span();
    if span.from > span.to {
        return Err(Failure::Usage(format!(
            "--from {} comes after --to {}: the phases are setup, tracks, merge, verify, validate",
            span.from.name(),
            span.to.name()
        )));
    }
    let tracks = args.tracks.or_auto();
    let mut options = options(&session.settings, &tracks, args.derive)?;
    options.span = span;
    if !args.dry_run {
        session.serve_metrics(&args.metrics)?;
    }
    let context = session.context().await?;
    let context = if args.retry_not_found { context.retrying_not_found() } else { context };
    // Where nobody is asked, nobody is probed.
    let asks = span.leaves_out(Stage::Setup).is_none() || span.leaves_out(Stage::Tracks).is_none();
    let tracks = if asks { tracks } else { Tracks::Shares(tracks.named()) };
    options.setup.shares = session.phase(tracks.resolve(&context)).await?;
    let mut plan = session.phase(plan::make(&context, &options)).await?;
    if args.dry_run {
        session.phase(plan::forecast(&context, &options, &mut plan)).await?;
        let plan = report::run::plan(&plan);
        session.print(
            || report::run::plan_page(&plan),
            || json!({"plan": plan, "elapsed_seconds": session.elapsed()}),
        );
        return session.ended(Outcome::Done);
    }
    let mut told = Told::begin(session, &plan);
    let result = phases::run::run(&context, &options, &plan, &mut |result| told.tell(session, result)).await;
    told.end(session, &result, "");
    let folder = &session.settings.work.checkpoint_dir;
    let written = report_file::wanted(session, folder, &args.with_report, &folder.join(report_file::NAME));
    end(session, result, written)
}

/// The end of a run: its own failure first, then a report that could not be written.
pub(super) fn end(
    session: &Session,
    result: RunResult,
    written: Result<(), Failure>,
) -> Result<Outcome, Failure> {
    match (result.failure, result.outcome) {
        (Some(failure), _) => Err(failure),
        (None, Outcome::Interrupted) => Err(Failure::Interrupted),
        (None, outcome) => written.and_then(|()| session.ended(outcome)),
    }
}

/// How all phases are run with these settings; the tracks' shares are still to be resolved.
pub(super) fn options(settings: &Settings, tracks: &Tracks, derive: bool) -> Result<RunOptions, Failure> {
    let baselines = baselines(settings, None)?;
    let sources: Vec<_> = tracks.named().iter().map(|share| share.source).collect();
    if plan::usable(settings, &sources).0.is_empty() {
        return Err(Failure::Usage("no track can be used with these settings".to_owned()));
    }
    Ok(RunOptions {
        derive,
        setup: phases::setup::SetupOptions { shares: Vec::new(), ..Default::default() },
        track: phases::track::TrackOptions {
            probed: *tracks == Tracks::Auto,
            abandoned: plan::usable(settings, &sources).1.into_iter().map(|(source, _)| source).collect(),
        },
        verify: phases::verify::VerifyOptions {
            wallets: baselines.iter().map(|baseline| baseline.wallet).collect(),
            gaps_file: None,
        },
        validate: phases::validate::ValidateOptions {
            baselines,
            positions_file: None,
            detail: false,
            ..phases::validate::ValidateOptions::default()
        },
        span: Span::default(),
    })
}

/// What several phases have told: each page as it comes, or all objects in one at the end.
pub(super) struct Told {
    plan: Vec<Planned>,
    phases: Vec<Value>,
}

impl Told {
    /// Tells the plan.
    pub(super) fn begin(session: &Session, plan: &Plan) -> Self {
        let plan = report::run::plan(plan);
        if session.format == Format::Text {
            session.print(|| report::run::plan_page(&plan), || Value::Null);
        }
        Self { plan, phases: Vec::new() }
    }

    /// Tells a phase's result.
    pub(super) fn tell(&mut self, session: &Session, result: &PhaseResult) {
        self.phases.push(result.json());
        if session.format == Format::Text {
            session.print(|| format!("{}\n", result.text()), || Value::Null);
        }
    }

    /// Tells the summary, and then `last`.
    pub(super) fn end(self, session: &Session, result: &RunResult, last: &str) {
        let missing = result.missing_tracks();
        let run = Run {
            passed: result.passes(),
            phases: self.phases,
            plan: self.plan,
            summary: report::run::summary(&result.ends),
            missing_tracks: missing.into_iter().map(|source| source.name().to_owned()).collect(),
            outcome: result.failure.as_ref().map_or(result.outcome, Failure::outcome),
            elapsed_seconds: Seconds(session.elapsed()),
        };
        session.print(|| format!("{}{}{last}", run.text(), session.run_line()), || run.json());
    }
}
