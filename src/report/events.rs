//! What an event of a phase or a track reads like, for whoever prints lines.

use crate::ids::TokenId;
use crate::phases::events::{Activity, PhaseEvent};
use crate::source::Source;
use crate::track::events::{GiveUpCause, TrackEvent, TrackEventKind};
use crate::track::gauges::WorkStart;
use crate::upstream::catalogue::PageCursor;
use crate::upstream::{Freshness, PublicService};

/// The notice for an event; `None` for one that is shown otherwise or not at all.
pub fn notice(event: &TrackEvent<'_>) -> Option<String> {
    let title = event.source.title();
    Some(match &event.kind {
        TrackEventKind::TrackBegan(_) | TrackEventKind::TrackEnded => return None,
        TrackEventKind::Stalled { worker, time, at } => format!(
            "⚠️  Worker {worker} stalled for {}s on {}...\n   Consider restarting if this persists.",
            time.as_secs(),
            work_start(at)
        ),
        TrackEventKind::HostDown(error) => {
            format!("The {title} API is down ({error}); the track waits, probes, and goes on by itself")
        }
        TrackEventKind::HostBack => format!("The {title} API answers again; going on"),
        TrackEventKind::Throttled { limit, pause } => format!(
            "{title} refuses requests (429) although the limit {limit} is kept: {}? Waiting {} ms, then slower",
            who_else(event.source),
            pause.as_millis()
        ),
        TrackEventKind::GivingUp(GiveUpCause::RefusesAll(limit)) => format!(
            "The {title} API refuses every request (429), and that for longer than GIVE_UP_AFTER ({}); giving up",
            humantime::format_duration(*limit)
        ),
        TrackEventKind::GivingUp(GiveUpCause::StayedDown) => {
            format!("The {title} API stayed down; giving up")
        }
        TrackEventKind::EndsEarly(error) => format!("The {title} track ends early: {error}"),
        TrackEventKind::CannotHelp(error) => format!("The {title} track cannot help: {error}"),
        TrackEventKind::LeftToOthers { why } => {
            format!("The {title} track cannot go on ({why}): the others take over what it has left")
        }
        TrackEventKind::TakenOver { total, resolved, unknown, open } => format!(
            "The others took over what the {title} track had left: of its {total} tokens {resolved} are resolved, \
             {unknown} are unknown to them too, {open} have no answer yet"
        ),
        TrackEventKind::KnowsNothing { tokens } => format!(
            "{title} knows none of the {tokens} tokens that it was asked for: is that the right URL? They are asked for \
             again after NOT_FOUND_TTL, or at once with --retry-not-found"
        ),
        TrackEventKind::BatchFailed { tokens, error } => {
            format!("{title}: {tokens} token(s) got no usable answer ({error}); kept for the next run")
        }
        TrackEventKind::OddRecord { reason, sample } => format!(
            "{title}: a record of an answer cannot be read ({reason}): {sample}\n   \
             It costs nothing but itself; further ones are only counted"
        ),
        TrackEventKind::PageFailed { place, error } => {
            format!(
                "{title}: the page at {} got no usable answer ({error}); kept for the next run",
                page(place)
            )
        }
        TrackEventKind::CheckpointNotSaved(error) => format!("{error}; the staged rows are safe, going on"),
        TrackEventKind::StoreDown(error) => format!("{error}; waiting for ClickHouse, nothing is lost"),
        TrackEventKind::StoreBack => "ClickHouse is back; going on".to_owned(),
    })
}

/// Who may use up a limit that is kept: its key's, or without a key the address's.
fn who_else(source: Source) -> &'static str {
    match source.info().api.as_ref().and_then(|api| api.required_key()) {
        Some(_) => "someone else uses the key",
        None => "others ask from this address, or the limit is lower by now",
    }
}

/// The notice for an event of a phase; `None` for one that is shown otherwise.
pub fn phase_notice(event: &PhaseEvent<'_>) -> Option<String> {
    Some(match event {
        PhaseEvent::Activity(_) | PhaseEvent::Planned(_) | PhaseEvent::Began(_) | PhaseEvent::Ended(_) => {
            return None;
        }
        PhaseEvent::Chain(event) => super::chain::words(event),
        PhaseEvent::SourceLeftOut { source, why } => format!("{} is left out: {why}", source.title()),
        PhaseEvent::WornOut { source, public } => {
            let state = if public.freshness == Freshness::Ended { "has ended" } else { "is incomplete" };
            let (title, PublicService { date, told, .. }) = (source.title(), public);
            format!("The public {title} service {state} since {date}: {told}")
        }
        PhaseEvent::ShareTaken { reason } => format!("{reason}; the other tracks take its share"),
        PhaseEvent::FailuresUnknown(error) => format!("{error}; its failed tokens count as never asked"),
        PhaseEvent::ChainNotRead => {
            "the chain was not read yet, so this run reads nothing of it; a first full read (about 9,400 requests from public nodes, 78 minutes at 20 in 10 s) is `backfill chain`'s, and from then on each run reads what is new".to_owned()
        }
        PhaseEvent::CombosLeftOut(lines) => {
            format!("{lines} lines of --combos hold no legs of a combo and are left out")
        }
        PhaseEvent::FlowsLeftOut(wallet, rows) => format!(
            "{rows} rows of the table of flows of {wallet} are left out: their kind is unknown, or token, shares or cash are no numbers; its P&L lacks them"
        ),
        PhaseEvent::NothingExpected(wallet) => format!("Dome knows no P&L of {wallet}; it is left out"),
    })
}

/// What a phase is doing.
pub const fn activity(activity: Activity) -> &'static str {
    match activity {
        Activity::AskingSources => "Asking each source once",
        Activity::MeasuringCoverage => "Measuring the coverage",
        Activity::CreatingStaging => "Creating the staging tables",
        Activity::ListingUnmapped => "Listing the unmapped tokens",
        Activity::SplittingWorkload => "Splitting the workload",
        Activity::ListingTraded => "Listing the traded tokens",
        Activity::ComputingTokens => "Computing tokens from the known conditions",
        Activity::ReadingCatalogue => "Reading the catalogue",
        Activity::ComparingStaging => "Comparing the staging tables",
        Activity::Proving => "Proving the map and what is staged",
        Activity::ReplacingWrongRows => "Replacing the map's wrong rows",
        Activity::RemovingCopies => "Removing copies of rows from the map",
        Activity::Merging => "Merging",
        Activity::CheckingMap => "Checking the map as a reader sees it",
        Activity::WritingLabels => "Writing labels",
        Activity::WritingPayouts => "Writing the chain's payouts into the resolutions",
        Activity::WritingMetadata => "Writing questions and slugs",
        Activity::AddingUpPositions => "Adding up the positions",
        Activity::AskingExpectations => "Asking Dome what it expects",
    }
}

/// Where a worker's job begins, in a few characters.
pub fn work_start(at: &WorkStart) -> String {
    match at {
        WorkStart::Token(token) => beginning(token),
        WorkStart::Page(place) => format!("the page at {}", page(place)),
    }
}

/// The first digits of a token: they tell it from others.
fn beginning(token: &TokenId) -> String {
    token.to_string().chars().take(16).collect()
}

fn page(place: &PageCursor) -> String {
    match place {
        PageCursor::At(offset) => offset.to_string(),
        PageCursor::Text(text) => text.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::Source;
    use crate::upstream::UpstreamError;
    use std::time::Duration;

    #[test]
    fn every_notice_names_its_source_and_what_happens_next() {
        let (token, down) =
            ("7".repeat(77).parse().unwrap(), UpstreamError::Transient("HTTP 503".to_owned()));
        let (limit, place) = ("50/10s".parse().unwrap(), PageCursor::At(3_000));
        let said = |kind| notice(&TrackEvent { source: Source::Goldsky, kind });
        let told = [
            (
                TrackEventKind::HostDown(&down),
                "The Goldsky API is down (HTTP 503); the track waits, probes, and goes on by itself",
            ),
            (TrackEventKind::HostBack, "The Goldsky API answers again; going on"),
            (
                TrackEventKind::Throttled { limit: &limit, pause: Duration::from_millis(500) },
                "Goldsky refuses requests (429) although the limit 50/10s is kept: others ask from this address, or the \
                 limit is lower by now? Waiting 500 ms, then slower",
            ),
            (
                TrackEventKind::GivingUp(GiveUpCause::RefusesAll(Duration::from_secs(900))),
                "The Goldsky API refuses every request (429), and that for longer than GIVE_UP_AFTER (15m); giving up",
            ),
            (TrackEventKind::GivingUp(GiveUpCause::StayedDown), "The Goldsky API stayed down; giving up"),
            (TrackEventKind::EndsEarly(&down), "The Goldsky track ends early: HTTP 503"),
            (
                TrackEventKind::BatchFailed { tokens: 1, error: &down },
                "Goldsky: 1 token(s) got no usable answer (HTTP 503); kept for the next run",
            ),
            (
                TrackEventKind::PageFailed { place: &place, error: &down },
                "Goldsky: the page at 3000 got no usable answer (HTTP 503); kept for the next run",
            ),
            (TrackEventKind::StoreBack, "ClickHouse is back; going on"),
            (
                TrackEventKind::Stalled {
                    worker: 3,
                    time: Duration::from_secs(61),
                    at: &WorkStart::Token(token),
                },
                "⚠️  Worker 3 stalled for 61s on 7777777777777777...\n   Consider restarting if this persists.",
            ),
        ];
        for (kind, text) in told {
            assert_eq!(said(kind).as_deref(), Some(text));
        }
        assert_eq!(said(TrackEventKind::TrackEnded), None);
    }
}
