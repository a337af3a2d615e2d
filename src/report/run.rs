//! What several phases in one process print: the plan before, each phase's own page, the summary after.

use super::Report;
use super::text::{Page, percent1, percent2, runtime, thousands};
use crate::outcome::Outcome;
use crate::phases::steps::{Decision, Due, End, Plan, Skip, Step, StepEnd};
use crate::results::{PhaseResult, Planned, Run, Seconds, Summary, Validate, Verify, WalletStatus};

/// What a run will do, before it does it.
pub fn plan(plan: &Plan) -> Vec<Planned> {
    let one = |planned: &crate::phases::steps::Planned| {
        let (action, why) = words(planned.step, &planned.decision);
        let forecast = planned.forecast.as_ref();
        let requests = forecast.and_then(|it| it.requests);
        Planned {
            phase: planned.step.name().to_owned(),
            action: action.to_owned(),
            why,
            tokens: forecast.map(|it| it.tokens),
            requests: requests.map(|(requests, _)| requests),
            seconds_at_limits: requests.map(|(_, seconds)| Seconds(seconds)),
            writes: forecast.map_or_else(Vec::new, |it| it.writes.clone()),
        }
    };
    plan.0.iter().map(one).collect()
}

/// The same as a page.
pub fn plan_page(plan: &[Planned]) -> String {
    let mut page = Page::titled("PLAN");
    for planned in plan {
        let Planned { phase, action, why, writes, .. } = planned;
        page.line(format!("{phase:<9} {action:<5} {why}").trim_end());
        if let Some(line) = predicted(planned) {
            page.line(format!("{:<9} {:<5} {line}", "", ""));
        }
        if !writes.is_empty() {
            page.line(format!("{:<9} {:<5} writes {}", "", "", writes.join(", ")));
        }
    }
    let longest = plan.iter().filter_map(|it| it.seconds_at_limits).map(|it| it.0).reduce(f64::max);
    if let Some(seconds) = longest {
        let requests = plan.iter().filter_map(|it| it.requests).sum();
        page.blank().line(format!(
            "All tracks, side by side: {} requests, {} at their limits",
            thousands(requests),
            runtime(seconds)
        ));
    }
    page.blank();
    page.into_text()
}

/// What a phase is predicted to come to.
fn predicted(planned: &Planned) -> Option<String> {
    let tokens = thousands(planned.tokens?);
    Some(match (planned.phase.as_str(), planned.requests, planned.seconds_at_limits) {
        ("derive", ..) => format!("{tokens} tokens can be computed: no request"),
        ("setup", ..) => format!("{tokens} tokens are left to be asked for"),
        ("merge", ..) => format!("{tokens} traded tokens at most, and siblings that were never traded"),
        (_, Some(requests), Some(seconds)) => format!(
            "{tokens} tokens in {} full requests, {} at the limit",
            thousands(requests),
            runtime(seconds.0)
        ),
        _ => return None,
    })
}

/// What became of each phase.
pub fn summary(ends: &[StepEnd]) -> Vec<Summary> {
    let one = |end: &StepEnd| Summary {
        phase: end.step.name().to_owned(),
        result: outcome(end).to_owned(),
        seconds: Seconds(end.seconds),
        note: note(end),
    };
    ends.iter().map(one).collect()
}

impl Report for Run {
    fn outcome(&self) -> Outcome {
        self.outcome
    }

    /// The table at the end; the plan and the phases have had their pages.
    fn text(&self) -> String {
        let mut page = Page::titled("SUMMARY");
        for Summary { phase, result, seconds, note } in &self.summary {
            let time = match result.as_str() {
                SKIPPED | NOT_REACHED => "–".to_owned(),
                _ => format!("{:.1}s", seconds.0),
            };
            page.line(format!("{phase:<9} {result:<11} {time:>8}  {note}").trim_end());
        }
        page.line(format!("{:<21} {:>8}", "all", format!("{:.1}s", self.elapsed_seconds.0)));
        if !self.missing_tracks.is_empty() {
            page.line(format!(
                "Missing: {}. What is staged is merged; run the same command again for the rest.",
                self.missing_tracks.join(", ")
            ));
        }
        page.blank();
        page.into_text()
    }
}

const SKIPPED: &str = "skipped";
const NOT_REACHED: &str = "not reached";

fn words(step: Step, decision: &Decision) -> (&'static str, String) {
    match decision {
        Decision::Run(Due::Always) => ("run", always(step).to_owned()),
        Decision::Run(due) => ("run", self::due(due)),
        Decision::Leave(why) => ("skip", skip(why)),
    }
}

/// What a phase does that is always run.
const fn always(step: Step) -> &'static str {
    match step {
        Step::Derive => "computes what follows from the known conditions",
        Step::Setup => "measures, and splits what is unmapped between the tracks",
        Step::Verify => "measures the coverage and looks for defects; writes nothing",
        Step::Validate => "computes the P&L of the baseline; writes nothing",
        Step::Chain | Step::Track(_) | Step::Merge => "as often as it is run",
    }
}

fn due(due: &Due) -> String {
    match due {
        Due::Always => "as often as it is run".to_owned(),
        Due::AfterOthers => "as far as the phases before it leave it work".to_owned(),
        Due::Open { open, total } => {
            format!("{} of {} tokens have no answer yet", thousands(*open), thousands(*total))
        }
        Due::Helps(0) => "nothing left of its own; helps the others".to_owned(),
        Due::Helps(unfound) => {
            format!("helps the others, who try the {} it did not find", thousands(*unfound))
        }
        Due::NewBlocks { read_up_to } => format!("what is new on the chain since block {read_up_to}"),
        Due::Unmerged(tokens) => format!("{} tokens to write to the map", thousands(*tokens)),
    }
}

/// Why a phase is left out.
pub fn skip(skip: &Skip) -> String {
    match skip {
        Skip::BeforeFrom(stage) => format!("the run begins with {}", stage.name()),
        Skip::NotAsked => "left out by --derive=false".to_owned(),
        Skip::AfterTo(stage) => format!("the run ends with {}", stage.name()),
        Skip::NotUsable(reason) => reason.clone(),
        Skip::NothingToAsk => "nothing to ask: its workload is empty".to_owned(),
        Skip::AllAnswered(total) => {
            format!("all {} tokens of its workload have an answer", thousands(*total))
        }
        Skip::NothingStaged => "nothing is staged".to_owned(),
        Skip::AllMerged(staged) => format!("the map has all {} staged tokens", thousands(*staged)),
    }
}

/// What became of a phase, in a word or two.
pub fn outcome(end: &StepEnd) -> &'static str {
    match end.end {
        End::LeftOut(_) => SKIPPED,
        End::NotReached => NOT_REACHED,
        End::Failed { .. } => "failed",
        End::Ended(Outcome::Done | Outcome::NotWritten) => "done",
        End::Ended(Outcome::BelowThreshold) => "below",
        End::Ended(Outcome::WorkLeft) => "work left",
        End::Ended(Outcome::Interrupted) => "interrupted",
        End::Ended(Outcome::Failed | Outcome::Usage) => "failed",
    }
}

/// The numbers that matter, or why there are none.
pub fn note(end: &StepEnd) -> String {
    match (&end.end, &end.result) {
        (End::LeftOut(why), _) => skip(why),
        (End::Failed { message, .. }, _) => message.lines().next().unwrap_or_default().to_owned(),
        (_, Some(result)) => numbers(result),
        (_, None) => String::new(),
    }
}

/// The numbers that matter of a result, on one line.
pub fn numbers(result: &PhaseResult) -> String {
    match result {
        PhaseResult::Setup(it) => format!(
            "{} tokens, {} mapped, {} to ask for",
            thousands(it.total_asset_ids),
            percent1(it.mapped, it.total_asset_ids),
            thousands(it.tracks.values().sum()),
        ),
        PhaseResult::Derive(it) => {
            format!("{} derived from {} conditions", thousands(it.inserted), thousands(it.conditions))
        }
        PhaseResult::Track(it) => format!(
            "{}/{} processed, {} inserted, {:.0}/s{}",
            thousands(it.processed),
            thousands(it.total),
            thousands(it.inserted),
            it.tokens_per_second,
            it.ended_early
                .as_ref()
                .map_or(String::new(), |why| format!("; ended early, the others took over ({why})")),
        ),
        PhaseResult::Catalogue(it) => {
            format!("{} markets on {} pages", thousands(it.markets), thousands(it.pages))
        }
        PhaseResult::Flows(it) => format!(
            "{} flows of {} wallets, read up to block {}",
            thousands(it.rows.values().sum()),
            thousands(it.wallets),
            it.to_block
        ),
        PhaseResult::Chain(it) => format!(
            "{} conditions, {} with a payout, read up to block {}",
            thousands(it.conditions),
            thousands(it.resolutions),
            it.to_block
        ),
        PhaseResult::Merge(it) => {
            format!("{} added, {} mapped", thousands(it.added), percent2(it.after.mapped, it.total_asset_ids))
        }
        PhaseResult::Verify(it) => of_verify(it),
        PhaseResult::Validate(it) => of_validate(it),
    }
}

fn of_verify(result: &Verify) -> String {
    let wallets = match result.wallets.as_slice() {
        [one] => format!("wallet {}", one.coverage_pct),
        many => {
            let passed = many.iter().filter(|wallet| wallet.passed).count();
            format!("{passed} of {} wallets", many.len())
        }
    };
    let positions = thousands(result.positions.resolved);
    format!("{} mapped, {wallets}, {positions} positions", result.global.coverage_pct)
}

fn of_validate(result: &Validate) -> String {
    match result.wallets.as_slice() {
        [one] => {
            let variance = one.variance_pct.map_or("nothing expected".to_owned(), |it| it.to_string());
            format!("P&L {}, off by {variance}", one.total.cents())
        }
        many => {
            let passed = many.iter().filter(|wallet| wallet.status == WalletStatus::Pass).count();
            format!("{passed} of {} wallets within the limit", many.len())
        }
    }
}
