//! [`PageQueue`]: which pages of a catalogue are asked for, and which of them are there. Pure: it is told the time and
//! does no I/O.
//!
//! A catalogue's cursors are numbers in steps, so that the place of every page can be computed and many be under way at
//! once. What an answer says of the next page is believed all the same: where it covers less than the step, the rest is
//! a page of its own. A catalogue whose first page names a text as its next cursor is followed one page after the other.

use std::collections::{HashMap, HashSet};
use std::hash::{DefaultHasher, Hash, Hasher};

use serde::{Deserialize, Serialize};

use super::quota::TrackTime;
use super::retry_queue::{FailureKind, Job, Missed, NextJob, RetryDecision, RetryQueue};
use crate::upstream::catalogue::PageCursor;

/// How often a page is asked for before it is kept as failed.
const ATTEMPTS: u32 = 7;

/// Empty pages behind the last market that are believed not to be the end.
const EMPTY_PAGES: u64 = 100;

/// Pages that one run reads at the most: a hundred times as many as there are.
const MOST_PAGES: usize = 200_000;

/// A stretch of the catalogue that is asked for with one request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stretch {
    /// Where it begins.
    pub from: PageCursor,
    /// How far it has to reach, where that was computed.
    pub until: Option<u64>,
}

/// A page that is asked for.
pub type Page = Job<Stretch>;

impl Stretch {
    /// The stretch as a gap: under way, or, with a reason, failed.
    fn gap(&self, failure: Option<String>) -> PageGap {
        PageGap { from: self.from.clone(), until: self.until, failure }
    }
}

/// A page before the cursor that is not written: it is asked for again.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct PageGap {
    /// Where it begins.
    pub from: PageCursor,
    /// How far it has to reach, where that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<u64>,
    /// Why it failed; absent while it is only under way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<String>,
}

/// Where a catalogue's track stands, of constant size: what is saved.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CatalogueCursor {
    /// The next page that nobody has asked for; absent behind the end, and while the page that names it is under way.
    pub next: Option<PageCursor>,
    /// From one page to the next, once an answer has said so.
    pub step: Option<u64>,
    /// Whether the pages are asked for one after the other, since the server's cursors are texts.
    #[serde(default)]
    pub sequential: bool,
    /// The last page, where it was seen.
    pub last: Option<PageCursor>,
    /// The last place with markets.
    pub furthest: u64,
    /// Whether every page is there.
    pub complete: bool,
    /// Pages before `next` that are not written.
    pub gaps: Vec<PageGap>,
    /// Pages with markets that are written.
    pub pages: u64,
    /// Markets on them.
    pub markets: u64,
}

impl Default for CatalogueCursor {
    /// The beginning.
    fn default() -> Self {
        Self {
            next: Some(PageCursor::At(0)),
            step: None,
            sequential: false,
            last: None,
            furthest: 0,
            complete: false,
            gaps: Vec::new(),
            pages: 0,
            markets: 0,
        }
    }
}

/// What tells a place from another one, in eight bytes.
fn mark(place: &PageCursor) -> u64 {
    let mut hasher = DefaultHasher::new();
    place.hash(&mut hasher);
    hasher.finish()
}

/// What an answer is worth.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reception {
    /// The page is there.
    Taken,
    /// It cannot be what it says, for this reason: to be treated as a failure.
    Doubted(&'static str),
}

/// A catalogue's pages.
#[derive(Debug)]
pub struct PageQueue {
    next: Option<PageCursor>,
    step: Option<u64>,
    sequential: bool,
    last: Option<PageCursor>,
    furthest: u64,
    /// Pages in a row without a record, where the pages are followed.
    empty: u64,
    /// Pages that are there, by what stands on them: none comes twice, under whatever cursor.
    seen: HashMap<u64, u64>,
    /// Cursors of pages that were followed: none is followed twice.
    followed: HashSet<u64>,
    jobs: RetryQueue<Stretch>,
    /// Refused: they may lie behind the end, which is not known yet.
    refused: Vec<(Stretch, String)>,
    failed: Vec<PageGap>,
}

impl PageQueue {
    /// The pages from a cursor on, its gaps first.
    pub fn new(cursor: &CatalogueCursor) -> Self {
        let mut pages = Self {
            next: cursor.next.clone(),
            step: cursor.step,
            sequential: cursor.sequential,
            last: cursor.last.clone(),
            furthest: cursor.furthest,
            empty: 0,
            seen: HashMap::new(),
            followed: HashSet::new(),
            jobs: RetryQueue::default(),
            refused: Vec::new(),
            failed: Vec::new(),
        };
        for gap in &cursor.gaps {
            pages.again(gap.from.clone(), gap.until);
        }
        pages
    }

    /// Whether nothing can be asked any more.
    pub fn is_done(&self) -> bool {
        let halted = self.next.is_none() || !self.refused.is_empty();
        halted && self.jobs.is_idle()
    }

    /// Whether every page up to the end is there and written.
    pub fn is_complete(&self) -> bool {
        self.is_done()
            && self.last.is_some()
            && self.failed.is_empty()
            && self.refused.is_empty()
            && self.jobs.is_written()
    }

    /// Pages that got no usable answer after all retries.
    pub fn failed(&self) -> u64 {
        (self.failed.len() + self.refused.len()) as u64
    }

    /// Work for one worker.
    pub fn next(&mut self, now: TrackTime) -> NextJob<Page> {
        let page = self.jobs.take_due(now).or_else(|| self.next_fresh());
        match (page, self.jobs.next_due()) {
            (Some(page), _) => NextJob::Ask(self.jobs.begin(page)),
            (None, _) if self.is_done() => NextJob::Done,
            (None, Some(ready)) => NextJob::WaitUntil(ready),
            (None, None) => NextJob::Wait,
        }
    }

    /// The next page that nobody has asked for. Behind a refusal nothing more is tried: it may be the end.
    fn next_fresh(&mut self) -> Option<Page> {
        if !self.refused.is_empty() {
            return None;
        }
        let from = self.next.take()?;
        let until = match (&from, self.step) {
            (PageCursor::At(offset), Some(step)) if !self.sequential => offset.checked_add(step),
            _ => None,
        };
        self.next = until.map(PageCursor::At);
        Some(self.jobs.job(Stretch { from, until }, 0))
    }

    /// Asks for a place, at once.
    fn again(&mut self, from: PageCursor, until: Option<u64>) {
        let page = self.jobs.job(Stretch { from, until }, 0);
        self.jobs.wait(page, TrackTime::ZERO);
    }

    /// A page has its answer: `markets` on it, `content` which tells them from those of other pages, and where it says that
    /// the next one begins.
    pub fn answered(
        &mut self,
        page: &Page,
        markets: usize,
        content: u64,
        next: Option<&PageCursor>,
    ) -> Reception {
        let stretch = &page.part;
        if next == Some(&stretch.from) {
            return Reception::Doubted("a page that names itself as the next one");
        }
        if next.is_some_and(|next| self.followed.contains(&mark(next))) {
            return Reception::Doubted("a page that leads back to one that was read");
        }
        if markets > 0 && self.seen.get(&content).is_some_and(|from| *from != mark(&stretch.from)) {
            return Reception::Doubted("a page that repeats another one");
        }
        if self.seen.len() >= MOST_PAGES {
            self.next = None;
            return Reception::Doubted("a page of a catalogue that does not end");
        }
        let reception = match (&stretch.from, next) {
            (PageCursor::At(from), Some(PageCursor::At(next))) if next <= from => {
                Reception::Doubted("a page that names one before it as the next")
            }
            (PageCursor::At(from), Some(PageCursor::At(next))) => {
                let behind = self.furthest.saturating_add(EMPTY_PAGES.saturating_mul(next - from));
                if markets == 0 && *from > behind {
                    self.end(stretch)
                } else {
                    self.covered(stretch, *from, *next, markets);
                    Reception::Taken
                }
            }
            (_, None) => self.end(stretch),
            (_, Some(PageCursor::Text(_))) if self.step.is_some() => {
                Reception::Doubted("a page whose next cursor is a text, after cursors that were numbers")
            }
            (_, Some(_)) if markets == 0 && self.empty >= EMPTY_PAGES => {
                Reception::Doubted("a page without a market, after a hundred of them")
            }
            (_, Some(next)) => {
                self.sequential = true;
                self.empty = if markets == 0 { self.empty + 1 } else { 0 };
                self.next = Some(next.clone());
                Reception::Taken
            }
        };
        if reception == Reception::Taken {
            self.jobs.answered(page.number);
            self.seen.insert(content, mark(&stretch.from));
            if self.sequential {
                self.followed.insert(mark(&stretch.from));
            }
            if let (PageCursor::At(from), true) = (&stretch.from, markets > 0) {
                self.furthest = self.furthest.max(*from);
            }
        }
        reception
    }

    /// Markets up to a number.
    fn covered(&mut self, stretch: &Stretch, from: u64, to: u64, markets: usize) {
        let step = *self.step.get_or_insert(to - from);
        match stretch.until {
            Some(until) if to < until => self.again(PageCursor::At(to), Some(until)),
            Some(_) => {}
            // The first page, or one that is followed: only now is it known where the next one is.
            None if self.next.is_none() && self.last.is_none() => self.next = Some(PageCursor::At(to)),
            None => {}
        }
        if let Some(PageCursor::At(last)) = self.last
            && from > last
            && markets > 0
            && !self.sequential
        {
            self.end_disproved(last, from, to, step);
        }
    }

    /// The end was none: it is asked for again, and so is all that was left out behind it.
    fn end_disproved(&mut self, last: u64, from: u64, to: u64, step: u64) {
        self.last = None;
        self.again(PageCursor::At(last), last.checked_add(step));
        self.next.get_or_insert(PageCursor::At(to));
        for left_out in (1..).map_while(|nth| last.checked_add(step.checked_mul(nth)?)) {
            if left_out >= from {
                break;
            }
            if self.jobs.under_way().all(|page| page.part.from != PageCursor::At(left_out)) {
                self.again(PageCursor::At(left_out), left_out.checked_add(step));
            }
        }
    }

    /// The last page, unless markets were seen behind it.
    fn end(&mut self, stretch: &Stretch) -> Reception {
        if let PageCursor::At(from) = stretch.from {
            if self.furthest > from && !self.sequential {
                return Reception::Doubted("a page that claims to be the last one, before others");
            }
            self.drop_behind(from);
        }
        let earlier = match (&self.last, &stretch.from) {
            (Some(PageCursor::At(last)), PageCursor::At(from)) => last <= from,
            (last, _) => last.is_some(),
        };
        if !earlier {
            self.last = Some(stretch.from.clone());
        }
        self.next = None;
        Reception::Taken
    }

    fn drop_behind(&mut self, place: u64) {
        let behind = |from: &PageCursor| matches!(from, PageCursor::At(from) if *from > place);
        self.jobs.retain_waiting(|stretch| !behind(&stretch.from));
        self.refused.retain(|(stretch, _)| !behind(&stretch.from));
        self.failed.retain(|gap| !behind(&gap.from));
    }

    /// The rows of these pages are acknowledged.
    pub fn written(&mut self, numbers: &[u64]) {
        self.jobs.written(numbers);
    }

    /// A page has no answer.
    pub fn no_answer(&mut self, page: Page, missed: &Missed<'_>) -> RetryDecision {
        self.jobs.end(page.number);
        let behind_the_end = matches!(
            (&self.last, &page.part.from),
            (Some(PageCursor::At(last)), PageCursor::At(from)) if from > last
        );
        if behind_the_end {
            return RetryDecision::Retried;
        }
        let page = match (missed.kind, &page.part.from) {
            (FailureKind::Refused, PageCursor::At(1..)) => {
                self.refused.push((page.part, missed.why.to_owned()));
                return RetryDecision::Retried;
            }
            (FailureKind::Refused, _) => page,
            _ => match self.jobs.try_again(page, missed, ATTEMPTS) {
                Some(page) => page,
                None => return RetryDecision::Retried,
            },
        };
        self.failed.push(page.part.gap(Some(missed.why.to_owned())));
        RetryDecision::Failed
    }

    /// The cursor, with everything before it that is not there; `pages` and `markets` are added by who counts them.
    pub fn cursor(&self) -> CatalogueCursor {
        let open = self.jobs.open().map(|page| page.part.gap(None));
        let refused = self.refused.iter().map(|(stretch, why)| stretch.gap(Some(why.clone())));
        let mut gaps: Vec<PageGap> = self.failed.iter().cloned().chain(refused).chain(open).collect();
        gaps.sort_unstable();
        gaps.dedup();
        CatalogueCursor {
            next: self.next.clone(),
            step: self.step,
            sequential: self.sequential,
            last: self.last.clone(),
            furthest: self.furthest,
            complete: self.is_complete(),
            gaps,
            pages: 0,
            markets: 0,
        }
    }
}

#[cfg(test)]
mod tests;
