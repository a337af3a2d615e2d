//! `run`: the plan first, then each phase's page as it comes, the summary at the end however it came.

use serde_json::{Value, json};

use super::validate::baselines;
use super::{Session, report_file};
use crate::cli::{Format, RunArgs};
use crate::failure::{Exit, Failure};
use crate::phases::plan::{self, Span, Stage};
use crate::phases::run::{PhaseResult, RunOptions, RunResult};
use crate::phases::shares::Tracks;
use crate::settings::Settings;
use crate::{phases, report};

/// Makes the plan, and goes through it unless only the plan was asked for.
pub(super) async fn run(session: &Session, args: &RunArgs) -> Result<Exit, Failure> {
    let span = args.span();
    if span.from > span.to {
        return Err(Failure::Usage(format!(
            "--from {} comes after --to {}: the phases are setup, tracks, merge, verify, validate",
            span.from.name(),
            span.to.name()
        )));
    }
    let tracks = args.tracks.tracks();
    let mut options = options(&session.settings, &tracks, args.derive)?;
    options.span = span;
    if !args.dry_run {
        session.serve_metrics(&args.metrics)?;
    }
    let context = session.context().await?;
    // Where nobody is asked, nobody is probed.
    let asks = span.leaves_out(Stage::Setup).is_none() || span.leaves_out(Stage::Tracks).is_none();
    let tracks = if asks { tracks } else { Tracks::Shares(tracks.named()) };
    options.setup.shares = session.phase(tracks.resolve(&context)).await?;
    let plan = session.phase(plan::make(&context, &options.setup.sources(), span)).await?;
    if args.dry_run {
        session.print(
            || report::run::plan(&plan),
            || json!({"plan": report::run::plan_json(&plan), "elapsed_seconds": session.elapsed()}),
        );
        return Ok(Exit::Done);
    }
    let mut told = Told::begin(session, &plan);
    let result = phases::run::run(&context, &options, &plan, &mut |result| told.tell(session, &result)).await;
    told.end(session, &result, "");
    let folder = &session.settings.work.checkpoint_dir;
    report_file::wanted(session, folder, &args.with_report, &folder.join(report_file::NAME));
    end(result)
}

/// The exit code, or why the run failed.
pub(super) fn end(result: RunResult) -> Result<Exit, Failure> {
    match (result.failure, result.exit) {
        (Some(failure), _) => Err(failure),
        (None, Exit::Interrupted) => Err(Failure::Interrupted),
        (None, exit) => Ok(exit),
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
        setup: phases::setup::SetupOptions { shares: Vec::new(), derive, ..Default::default() },
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
    plan: Value,
    phases: Vec<Value>,
}

impl Told {
    /// Tells the plan.
    pub(super) fn begin(session: &Session, plan: &plan::Plan) -> Self {
        if session.format == Format::Text {
            session.print(|| report::run::plan(plan), || Value::Null);
        }
        Self { plan: report::run::plan_json(plan), phases: Vec::new() }
    }

    /// Tells a phase's result.
    pub(super) fn tell(&mut self, session: &Session, result: &PhaseResult) {
        self.phases.push(report::run::json(result));
        if session.format == Format::Text {
            session.print(|| format!("{}\n", report::run::text(result)), || Value::Null);
        }
    }

    /// Tells the summary, and then `last`.
    pub(super) fn end(self, session: &Session, result: &RunResult, last: &str) {
        let elapsed = session.elapsed();
        let passed = result.failure.is_none() && result.exit == Exit::Done;
        session.print(
            || format!("{}{last}", report::run::summary(&result.ends, elapsed)),
            || {
                json!({
                    "passed": passed,
                    "phases": self.phases,
                    "plan": self.plan,
                    "summary": report::run::summary_json(&result.ends),
                    "elapsed_seconds": elapsed,
                })
            },
        );
    }
}
