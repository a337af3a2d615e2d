//! `doctor`: one look at everything that the other commands need, each with what to do where it is not well. It writes
//! nothing. All of it is asked for at once, so that nothing that hangs hides another.

mod checks;
mod rehearse;

use std::time::{Duration, Instant};

use futures_util::future::join_all;

use self::checks::{advised, check, good, note, red};
use super::shares::Tracks;
use crate::results::{Check, Doctor, Health, Seconds};
use crate::settings::Settings;
use crate::source::Source;
use crate::store::input::FindingState;
use crate::store::workload::Share;
use crate::store::{Store, StoreError};
use crate::upstream::probe::Probed;
use crate::upstream::{Freshness, UpstreamError};

/// How long everything about ClickHouse, or one source, may take.
const PATIENCE: Duration = Duration::from_secs(20);

/// Seconds that two clocks may differ before it is told, and before it is a defect: times of rows decide which of them
/// replaces another.
const CLOCK_TOLD: f64 = 5.0;
const CLOCK_WRONG: f64 = 60.0;

/// The same with what it says of its clock, which may make it worse.
fn timed(check: Check, latency: Duration, clock_ahead: Option<f64>) -> Check {
    let latency_ms = Some((latency.as_secs_f64() * 10_000.0).round() / 10.0);
    let timed = Check { latency_ms, clock_ahead_seconds: clock_ahead, ..check };
    let off = clock_ahead.map_or(0.0, f64::abs);
    if timed.status == Health::Bad || off < CLOCK_TOLD {
        return timed;
    }
    let ahead = clock_ahead.unwrap_or_default();
    let side = if ahead > 0.0 { "ahead of" } else { "behind" };
    Check {
        status: if off < CLOCK_WRONG { Health::Note } else { Health::Bad },
        detail: format!("{}, but its clock is {off:.1} s {side} this machine's", timed.detail),
        advice: Some("set the clocks by NTP: the time of a row decides which one counts".to_owned()),
        ..timed
    }
}

/// Looks at everything, in as much time as the slowest of them takes. Where `tracks` are named, whatever is wrong with
/// another source is worth knowing and no more.
pub async fn run(settings: &Settings, tracks: Option<&Tracks>, started: Instant) -> Doctor {
    let timeout = settings.work.request_timeout.min(PATIENCE);
    let sources = Source::ALL.into_iter().filter(|source| settings.source(*source).is_some());
    let of_source = async |source| (source, of_source(settings, source, timeout).await);
    let (mut checks, of_sources) = tokio::join!(clickhouse(settings), join_all(sources.map(of_source)));
    checks.extend(as_needed(of_sources, tracks));
    let elapsed_seconds = (started.elapsed().as_secs_f64() * 1000.0).round() / 1000.0;
    let healthy = checks.iter().all(|check| check.status != Health::Bad);
    let elapsed_seconds = Seconds(elapsed_seconds);
    Doctor { phase: "doctor".to_owned(), healthy, passed: healthy, checks, elapsed_seconds }
}

/// The sources' checks, those of sources that no chosen track asks as notes.
fn as_needed(checks: Vec<(Source, Check)>, tracks: Option<&Tracks>) -> Vec<Check> {
    let can_be_used = |(source, check): &(Source, Check)| {
        Source::tracks().any(|track| track == *source) && check.status == Health::Good
    };
    let some_track = checks.iter().any(can_be_used);
    let adjusted = checks.into_iter().map(|(source, mut check)| {
        let named = |shares: &[Share]| shares.iter().any(|share| share.source == source);
        let is_track = Source::tracks().any(|track| track == source);
        let needed = match tracks {
            None => return check,
            Some(Tracks::Shares(shares)) => named(shares),
            // Any one of them will do.
            Some(Tracks::Auto) => is_track && !some_track,
        };
        check.status = match (check.status, needed) {
            (Health::Bad, false) => Health::Note,
            // A track that was chosen cannot do without its key.
            (Health::Note, true) if check.latency_ms.is_none() => Health::Bad,
            (status, _) => status,
        };
        check
    });
    adjusted.collect()
}

async fn of_source(settings: &Settings, source: Source, timeout: Duration) -> Check {
    let subject = format!("{} API", source.title());
    let Some(of) = settings.source(source) else { return good(subject, "asks nobody") };
    let Some(api) = &source.info().api else { return good(subject, "asks nobody") };
    // What the public service still knows is worth knowing whether or not it answers.
    let worn_out = api.worn_out(of);
    if let Some(public) = worn_out.filter(|public| public.freshness == Freshness::Ended) {
        let (detail, advice) = public.told.split_once("; ").unwrap_or((public.told, ""));
        return note(subject, format!("the public service has ended on {}: {detail}", public.date), advice);
    }
    if let Some(key) = api.required_key().filter(|_| of.api_key.is_none()) {
        let advice = format!("set {key}, or do without: the other tracks take its share");
        return note(subject, "no key is set, and nothing was asked", &advice);
    }
    // The client has its own timeout; this one is for what a client may not see.
    let probed = tokio::time::timeout(timeout + Duration::from_secs(5), api.probe(of, timeout)).await;
    let Probed { answer, latency, seen } = match probed {
        Ok(Ok(probed)) => probed,
        Ok(Err(error)) => return refused(subject, &error),
        Err(_) => return refused(subject, &UpstreamError::Timeout(timeout)),
    };
    match answer {
        Ok(says) => {
            let told =
                if seen.limits.is_empty() { String::new() } else { format!(" ({})", seen.limits.join(", ")) };
            let since = worn_out.map_or(String::new(), |public| {
                let detail = public.told.split_once("; ").map_or(public.told, |(detail, _)| detail);
                format!("; since {} {detail}", public.date)
            });
            let detail = format!("{says}; {} is kept{told}{since}", of.rate_limit);
            timed(good(subject, detail), latency, seen.clock_ahead)
        }
        Err(error) => timed(refused(subject, &error), latency, seen.clock_ahead),
    }
}

/// A source that cannot be used.
fn refused(subject: String, error: &UpstreamError) -> Check {
    red(subject, &error.to_string(), &error.advice())
}

async fn clickhouse(settings: &Settings) -> Vec<Check> {
    let mut checks = Vec::new();
    // What was found until then is told, whatever hangs behind it.
    if tokio::time::timeout(PATIENCE, examine(settings, &mut checks)).await.is_err() {
        let message = format!("no answer within {}", humantime::format_duration(PATIENCE));
        let advice = "an idle service may be waking: try again, then see SHOW PROCESSLIST";
        checks.push(red("ClickHouse", &message, advice));
    }
    checks
}

async fn examine(settings: &Settings, checks: &mut Vec<Check>) {
    let began = Instant::now();
    let store = match Store::connect(&settings.store, PATIENCE).await {
        Ok(store) => store,
        Err(error) => return checks.push(unusable("ClickHouse", &error)),
    };
    let asked = Instant::now();
    match store.server_info().await {
        Ok(look) => {
            let latency = asked.elapsed();
            let ahead = look.now_ms as f64 - jiff::Timestamp::now().as_millisecond() as f64;
            let ahead = (ahead / 100.0 + latency.as_secs_f64() * 5.0).round() / 10.0;
            let detail = format!("version {}, as {}", look.version, look.user);
            checks.push(timed(good("ClickHouse", detail), latency, Some(ahead)));
        }
        Err(error) => return checks.push(timed(unusable("ClickHouse", &error), began.elapsed(), None)),
    }
    let usable = tables(&store, checks).await;
    rights(&store, checks).await;
    // What is wrong with a table is told once.
    if usable {
        rehearse::rehearse(settings, &store, checks).await;
    }
}

fn unusable(subject: &str, error: &StoreError) -> Check {
    red(subject, &error.to_string(), "the reason is ClickHouse's own; mostly a right that the user lacks")
}

/// The users' tables, by the look that every phase begins with: whether all of them can be used.
async fn tables(store: &Store, checks: &mut Vec<Check>) -> bool {
    let findings = match store.table_findings().await {
        Ok(findings) => findings,
        Err(error) => {
            checks.push(unusable("the tables", &error));
            return false;
        }
    };
    let usable = findings.iter().all(|finding| finding.state != FindingState::Bad);
    checks.extend(findings.into_iter().map(|finding| {
        let health = match finding.state {
            FindingState::Good => Health::Good,
            FindingState::Note => Health::Note,
            FindingState::Bad => Health::Bad,
        };
        let subject =
            if finding.table.contains('.') { format!("table {}", finding.table) } else { finding.table };
        advised(check(subject, health, finding.what), &finding.advice)
    }));
    usable
}

async fn rights(store: &Store, checks: &mut Vec<Check>) {
    let staging = &store.names().staging;
    let subject = format!("database {staging}");
    let exists = match store.has_database(staging).await {
        Ok(exists) => exists,
        Err(error) => return checks.push(unusable(&subject, &error)),
    };
    let rights = if exists {
        "SELECT, INSERT, CREATE TABLE, DROP TABLE, TRUNCATE, ALTER"
    } else {
        "CREATE DATABASE, SELECT, INSERT, CREATE TABLE, DROP TABLE, TRUNCATE, ALTER"
    };
    checks.push(match (store.may(rights, staging).await, exists) {
        (Ok(true), true) => good(subject, "this user may do in it what the phases do"),
        (Ok(true), false) => good(subject, "does not exist yet; `backfill setup` creates it"),
        (Ok(false), _) => advised(
            check(subject, Health::Bad, "this user lacks rights in it"),
            &format!("GRANT {rights} ON {staging}.* to CLICKHOUSE_USER"),
        ),
        (Err(_), _) => {
            note(subject, "this server cannot say what a user may do", "`backfill setup` will find out")
        }
    });
}
