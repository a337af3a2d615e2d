//! What `chain` prints: the page, and the notices while it reads.

use super::Report;
use super::text::{Page, percent1, runtime, thousands};
use crate::outcome::Outcome;
use crate::phases::chain::ChainEvent;
use crate::results::{Chain, ImportedFile};
use crate::track::blocks::ProviderEvent;

/// How wide the labels of the page are.
const LABELS: usize = 27;

impl Report for Chain {
    fn outcome(&self) -> Outcome {
        self.outcome
    }

    fn text(&self) -> String {
        page(self)
    }
}

/// A page like the guide's.
fn page(result: &Chain) -> String {
    let mut page = Page::titled("THE CHAIN: CONDITIONS AND PAYOUTS FROM ITS EVENTS");
    if result.files.is_empty() {
        blocks(&mut page, result);
    } else {
        files(&mut page, &result.files);
    }
    for (label, count) in [
        ("Rejected (kept, not used)", result.rejected),
        ("Strangers' conditions", result.strangers),
        ("Taken back by the chain", result.removed),
    ] {
        if count > 0 {
            page.entry(LABELS, label, thousands(count));
        }
    }
    page.section(1, "What is known now");
    page.entry(LABELS, "Conditions", thousands(result.conditions));
    page.entry(LABELS, "With a payout", thousands(result.resolutions));
    page.entry(LABELS, "Combos", thousands(result.combos));
    page.entry(LABELS, "Negative-risk markets", thousands(result.markets));
    if result.contradicting > 0 {
        page.entry(LABELS, "Two payouts that differ", thousands(result.contradicting));
    }
    extras(&mut page, result);
    page.entry(LABELS, "Runtime", runtime(result.elapsed_seconds.0));
    page.blank().line(verdict(result));
    page.into_text()
}

/// The files that were taken in; the rows of each add up.
fn files(page: &mut Page, files: &[ImportedFile]) {
    for file in files {
        page.line(format!("{}: {} rows", file.name, thousands(file.rows)));
        page.line(format!(
            "  {} conditions, {} payouts, {} rejected, {} strangers'",
            thousands(file.conditions),
            thousands(file.resolutions),
            thousands(file.rejected),
            thousands(file.strangers)
        ));
    }
}

/// What was wanted and what was read.
fn blocks(page: &mut Page, result: &Chain) {
    page.entry(LABELS, "Blocks wanted", range(result.from_block, result.finalized));
    let read = if result.to_block < result.from_block {
        "nothing yet".to_owned()
    } else {
        format!("up to block {}", result.to_block)
    };
    page.entry(LABELS, "Read without a hole", read);
    page.entry(LABELS, "Requests", thousands(result.requests));
    if result.throttled > 0 {
        page.entry(LABELS, "Refused as too fast", thousands(result.throttled));
    }
    page.entry(LABELS, "Logs read by this run", thousands(result.logs));
}

fn extras(page: &mut Page, result: &Chain) {
    if let Some(check) = &result.check {
        page.section(2, "A second provider");
        page.entry(LABELS, "Ranges compared", thousands(check.ranges));
        page.entry(LABELS, "Ranges that differed", thousands(check.differing));
        page.entry(LABELS, "Rows that were missing", thousands(check.missing));
        page.entry(LABELS, "Rows not confirmed", thousands(check.unconfirmed));
    }
    page.blank();
    for provider in &result.providers {
        page.line(format!(
            "{} ({}, final up to block {}): {} requests",
            provider.name,
            provider.kind,
            provider.head,
            thousands(provider.requests)
        ));
    }
}

fn verdict(result: &Chain) -> String {
    if !result.files.is_empty() {
        return "✅ FILES TAKEN IN - every row checked by its hash; `backfill chain` reads what no file covers, `backfill derive` makes tokens of the conditions".to_owned();
    }
    if result.holes == 0 {
        return "✅ CHAIN READ - every row checked by its hash; `backfill derive` makes tokens of the conditions".to_owned();
    }
    let holes = if result.holes == 1 {
        "1 range is".to_owned()
    } else {
        format!("{} ranges are", thousands(result.holes))
    };
    format!(
        "⚠️  {holes} still not read: run the same command again, with another provider in CHAIN_URL if one keeps failing"
    )
}

/// The notice for an event.
pub(super) fn words(event: &ChainEvent) -> String {
    match event {
        ChainEvent::Opened { provider, kind, head } => {
            format!("{provider} is a {kind}; its last final block is {head}")
        }
        ChainEvent::NotOpened { provider, reason } => {
            format!("{provider} cannot be used now ({reason}); going on with the others")
        }
        ChainEvent::BehindCoverage { provider, head, covered } => format!(
            "{provider} knows final blocks up to {head}, and up to {covered} was read already: it is behind, and is asked for nothing above its head"
        ),
        ChainEvent::Planned { ranges, blocks, from, to } => format!(
            "{} blocks in {} {} are to be read, from {from} to {to}",
            thousands(*blocks),
            thousands(*ranges),
            if *ranges == 1 { "range" } else { "ranges" }
        ),
        ChainEvent::Progress { left, blocks, logs, requests } => format!(
            "{} of {} blocks read ({}), {} logs, {} requests",
            thousands(blocks - left.min(blocks)),
            thousands(*blocks),
            percent1(blocks - left.min(blocks), *blocks),
            thousands(*logs),
            thousands(*requests)
        ),
        ChainEvent::Provider(event) => provider_words(event),
        ChainEvent::FalseLogs { provider, range, count } => format!(
            "{provider} gives {count} logs in blocks {range} that cannot be true; they are kept in chain_rejected and not used"
        ),
        ChainEvent::Differs { range, first, second, missing, unconfirmed } => {
            let mut parts = Vec::new();
            if *missing > 0 {
                parts.push(format!("{first} had left out {missing} rows"));
            }
            if *unconfirmed > 0 {
                parts.push(format!("{second} does not have {unconfirmed} rows"));
            }
            format!("Blocks {range}: {}; they are read again", parts.join(", "))
        }
        ChainEvent::StoreDown(error) => format!("{error}; waiting for ClickHouse, nothing is lost"),
        ChainEvent::StoreBack => "ClickHouse is back; going on".to_owned(),
        ChainEvent::NoHead(reason) => {
            format!("No provider says which block is final ({reason}); asking again with each tick")
        }
        ChainEvent::HeadBack => "A provider says again which block is final; going on".to_owned(),
        ChainEvent::Followed { block, logs } => {
            format!("Read up to block {block}: {} new logs", thousands(*logs))
        }
    }
}

fn provider_words(event: &ProviderEvent) -> String {
    match event {
        ProviderEvent::Down { provider, reason } => {
            format!("{provider} does not answer ({reason}); it is tried again and again")
        }
        ProviderEvent::Back { provider } => format!("{provider} answers again; going on"),
        ProviderEvent::GivenUp { provider, reason } => {
            format!("{provider} is not asked any more: {reason}")
        }
        ProviderEvent::Pruned { provider, range, reason } => {
            format!("{provider} has thrown away blocks {range} ({reason}); others are asked for them")
        }
        ProviderEvent::CutsInSilence { provider, range } => {
            format!(
                "{provider} cuts answers short without a word (blocks {range}); it is asked for less at once"
            )
        }
        ProviderEvent::RangeFailed { provider, range, reason } => {
            format!("{provider}: blocks {range} got no usable answer ({reason}); left for the next run")
        }
    }
}

fn range(from: u64, to: u64) -> String {
    format!("{from} to {to}")
}
