//! What several phases in one process print: the plan before, each phase's own page, the summary after.

use serde_json::{Value, json};

use super::text::{Page, percent1, percent2, thousands};
use super::{merge, setup, track, validate, verify};
use crate::phases::plan::{Decision, Due, Plan, Planned, Skip};
use crate::phases::run::{Outcome, PhaseResult, StepEnd};

/// The page that the phase prints on its own.
pub fn text(result: &PhaseResult) -> String {
    match result {
        PhaseResult::Setup(result) => setup::text(result),
        PhaseResult::Track(result) => track::text(result),
        PhaseResult::Merge(result) => merge::text(result),
        PhaseResult::Verify(result) => verify::text(result),
        PhaseResult::Validate(result) => validate::text(result),
    }
}

/// The object that the phase prints on its own.
pub fn json(result: &PhaseResult) -> Value {
    match result {
        PhaseResult::Setup(result) => setup::json(result),
        PhaseResult::Track(result) => json!(result),
        PhaseResult::Merge(result) => merge::json(result),
        PhaseResult::Verify(result) => verify::json(result),
        PhaseResult::Validate(result) => validate::json(result),
    }
}

/// What a run will do, before it does it.
pub fn plan(plan: &Plan) -> String {
    let mut page = Page::titled("PLAN");
    for Planned { step, decision } in &plan.0 {
        let (action, why) = words(decision);
        page.line(format!("{:<9} {action:<5} {why}", step.name()).trim_end());
    }
    page.blank();
    page.into_text()
}

/// The same for a program.
pub fn plan_json(plan: &Plan) -> Value {
    let one = |planned: &Planned| {
        let (action, why) = words(&planned.decision);
        json!({"phase": planned.step.name(), "action": action, "why": why})
    };
    plan.0.iter().map(one).collect()
}

fn words(decision: &Decision) -> (&'static str, String) {
    match decision {
        Decision::Run(due) => ("run", self::due(due)),
        Decision::Leave(why) => ("skip", skip(why)),
    }
}

fn due(due: &Due) -> String {
    match due {
        Due::Always => "measures anew each time".to_owned(),
        Due::AfterOthers => "as far as the phases before it leave it work".to_owned(),
        Due::Open { open, total } => {
            format!("{} of {} tokens have no answer yet", thousands(*open), thousands(*total))
        }
        Due::Helps(0) => "nothing left of its own; helps the others".to_owned(),
        Due::Helps(unfound) => {
            format!("helps the others, who try the {} it did not find", thousands(*unfound))
        }
        Due::Unmerged(tokens) => format!("{} tokens to write to the map", thousands(*tokens)),
    }
}

/// Why a phase is left out.
pub fn skip(skip: &Skip) -> String {
    match skip {
        Skip::BeforeFrom(stage) => format!("the run begins with {}", stage.name()),
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
    match end.outcome {
        Outcome::Done => "done",
        Outcome::LeftOut(_) => "skipped",
        Outcome::BelowThreshold => "below",
        Outcome::WorkLeft => "work left",
        Outcome::Interrupted => "interrupted",
        Outcome::Failed(_) => "failed",
        Outcome::NotReached => "not reached",
    }
}

/// The numbers that matter, or why there are none.
pub fn note(end: &StepEnd) -> String {
    match (&end.outcome, &end.result) {
        (Outcome::LeftOut(why), _) => skip(why),
        (Outcome::Failed(reason), _) => reason.lines().next().unwrap_or_default().to_owned(),
        (_, Some(result)) => numbers(result),
        (_, None) => String::new(),
    }
}

fn numbers(result: &PhaseResult) -> String {
    match result {
        PhaseResult::Setup(it) => format!(
            "{} tokens, {} mapped, {} to ask for",
            thousands(it.coverage.total),
            percent1(it.coverage.mapped, it.coverage.total),
            thousands(it.tracks.iter().map(|split| split.workload.total).sum()),
        ),
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
        PhaseResult::Merge(it) => {
            format!("{} added, {} mapped", thousands(it.added), percent2(it.after.mapped, it.after.total))
        }
        PhaseResult::Verify(it) => verify::numbers(it),
        PhaseResult::Validate(it) => validate::numbers(it),
    }
}

/// The table at the end.
pub fn summary(ends: &[StepEnd], seconds: f64) -> String {
    let mut page = Page::titled("SUMMARY");
    for end in ends {
        let time = match end.outcome {
            Outcome::LeftOut(_) | Outcome::NotReached => "–".to_owned(),
            _ => format!("{:.1}s", end.seconds),
        };
        let line = format!("{:<9} {:<11} {time:>8}  {}", end.step.name(), outcome(end), note(end));
        page.line(line.trim_end());
    }
    page.line(format!("{:<21} {:>8}", "all", format!("{seconds:.1}s"))).blank();
    page.into_text()
}

/// The same for a program.
pub fn summary_json(ends: &[StepEnd]) -> Value {
    let one = |end: &StepEnd| json!({"phase": end.step.name(), "result": outcome(end), "seconds": end.seconds, "note": note(end)});
    ends.iter().map(one).collect()
}
