//! [`Pages`]: which pages of a catalogue are asked for, and which of them are there. Pure: it is told the time, does no
//! I/O.
//!
//! A catalogue's places are numbers in steps, so that the place of every page can be computed and many be under way at
//! once. What an answer says of the next page is believed all the same: where it covers less than the step, the rest is
//! a page of its own, and where it names no number, the list is followed one page after the other.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::breaker::{Breaker, Passage};
use super::desk::{Fault, Order};
use super::quota::Moment;
use crate::upstream::catalogue::Place;

/// How often a page is asked for before it is kept as failed.
const ATTEMPTS: u32 = 7;

/// Empty pages behind the last market that are believed not to be the end.
const EMPTY_PAGES: u64 = 100;

/// A stretch of the catalogue that is asked for with one request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// Its number, by which it is handed back.
    pub number: u64,
    /// Where it begins.
    pub from: Place,
    /// How far it has to reach, where that was computed.
    until: Option<u64>,
    attempts: u32,
    probe: bool,
}

impl Page {
    /// How often it was asked for without an answer.
    pub fn attempts(&self) -> u32 {
        self.attempts
    }

    /// The page as a gap: under way, or, with a reason, failed.
    pub fn gap(&self, failure: Option<String>) -> PageGap {
        PageGap { from: self.from.clone(), until: self.until, failure }
    }
}

/// A page before the position that is not written: it is asked for again.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct PageGap {
    /// Where it begins.
    pub from: Place,
    /// How far it has to reach, where that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<u64>,
    /// Why it failed; absent while it is only under way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<String>,
}

/// Where a catalogue's track stands, of constant size: what is saved.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Position {
    /// The next page that nobody has asked for; absent behind the end, and while the page that names it is under way.
    pub next: Option<Place>,
    /// From one page to the next, once an answer has said so.
    pub step: Option<u64>,
    /// Whether the pages are asked for one after the other, since the server's cursors are no numbers.
    #[serde(default)]
    pub sequential: bool,
    /// The last page, where it was seen.
    pub last: Option<Place>,
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

impl Default for Position {
    /// The beginning.
    fn default() -> Self {
        Self {
            next: Some(Place::At(0)),
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

/// What an answer is worth.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reception {
    /// The page is there.
    Taken,
    /// It cannot be what it says, for this reason: to be treated as a failure.
    Doubted(&'static str),
}

/// What became of a page that had no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Consequence {
    /// It will be tried again, or is not needed.
    Retried,
    /// It is kept for the next run.
    Failed,
}

/// A catalogue's pages.
#[derive(Debug)]
pub struct Pages {
    breaker: Breaker,
    next: Option<Place>,
    step: Option<u64>,
    sequential: bool,
    last: Option<Place>,
    furthest: u64,
    waiting: BTreeMap<(Moment, u64), Page>,
    under_way: HashMap<u64, Page>,
    /// Refused: they may lie behind the end, which is not known yet.
    refused: Vec<(Page, String)>,
    failed: Vec<PageGap>,
    numbers: u64,
}

impl Pages {
    /// The pages from a position on, its gaps first.
    pub fn new(position: &Position) -> Self {
        let mut pages = Self {
            breaker: Breaker::default(),
            next: position.next.clone(),
            step: position.step,
            sequential: position.sequential,
            last: position.last.clone(),
            furthest: position.furthest,
            waiting: BTreeMap::new(),
            under_way: HashMap::new(),
            refused: Vec::new(),
            failed: Vec::new(),
            numbers: 0,
        };
        for gap in &position.gaps {
            pages.again(gap.from.clone(), gap.until);
        }
        pages
    }

    /// Whether the host answers.
    pub fn breaker(&self) -> &Breaker {
        &self.breaker
    }

    /// The host answered; `true` where it had been down.
    pub fn host_answered(&mut self) -> bool {
        self.breaker.answered()
    }

    /// Whether nothing can be asked any more.
    pub fn is_done(&self) -> bool {
        let halted = self.next.is_none() || !self.refused.is_empty();
        halted && self.waiting.is_empty() && self.under_way.is_empty()
    }

    /// Whether every page up to the end is there.
    pub fn is_complete(&self) -> bool {
        self.is_done() && self.last.is_some() && self.failed.is_empty() && self.refused.is_empty()
    }

    /// Pages that got no usable answer after all retries.
    pub fn failed(&self) -> u64 {
        (self.failed.len() + self.refused.len()) as u64
    }

    /// Work for one worker.
    pub fn take(&mut self, now: Moment) -> Order<Page> {
        if self.is_done() {
            return Order::Done;
        }
        let passage = self.breaker.passage(now);
        match passage {
            Passage::Until(moment) => return Order::WaitUntil(moment),
            Passage::Wait => return Order::Wait,
            Passage::Free | Passage::Probe => {}
        }
        let Some(mut page) = self.retry_due(now).or_else(|| self.fresh()) else {
            return match self.waiting.keys().next() {
                Some((ready, _)) => Order::WaitUntil(*ready),
                None => Order::Wait,
            };
        };
        page.probe = self.breaker.sent(passage);
        self.under_way.insert(page.number, page.clone());
        Order::Ask(page)
    }

    fn retry_due(&mut self, now: Moment) -> Option<Page> {
        let (key, _) = self.waiting.first_key_value().filter(|((ready, _), _)| *ready <= now)?;
        let key = *key;
        self.waiting.remove(&key)
    }

    /// The next page that nobody has asked for. Behind a refusal nothing more is tried: it may be the end.
    fn fresh(&mut self) -> Option<Page> {
        if !self.refused.is_empty() {
            return None;
        }
        let from = self.next.take()?;
        let until = match (&from, self.step) {
            (Place::At(offset), Some(step)) if !self.sequential => offset.checked_add(step),
            _ => None,
        };
        self.next = until.map(Place::At);
        Some(self.page(from, until))
    }

    fn page(&mut self, from: Place, until: Option<u64>) -> Page {
        self.numbers += 1;
        Page { number: self.numbers, from, until, attempts: 0, probe: false }
    }

    /// Asks for a place, at once.
    fn again(&mut self, from: Place, until: Option<u64>) {
        let page = self.page(from, until);
        self.waiting.insert((Duration::ZERO, page.number), page);
    }

    /// A page has its answer: `markets` on it, and where it says that the next one begins.
    pub fn answered(&mut self, page: &Page, markets: usize, next: Option<&Place>) -> Reception {
        if next == Some(&page.from) {
            return Reception::Doubted("a page that names itself as the next one");
        }
        let reception = match (&page.from, next) {
            // Its markets are welcome; what is behind it the walk from the beginning finds out.
            _ if self.left_to_the_walk(page) => Reception::Taken,
            (Place::At(from), Some(Place::At(next))) if next <= from => {
                Reception::Doubted("a page that names one before it as the next")
            }
            (Place::At(from), Some(Place::At(next))) => {
                let behind = self.furthest.saturating_add(EMPTY_PAGES.saturating_mul(next - from));
                if markets == 0 && *from > behind {
                    self.end(page)
                } else {
                    self.covered(page, *from, *next, markets)
                }
            }
            (_, None) => self.end(page),
            (_, Some(next)) => {
                self.follow(page, next);
                Reception::Taken
            }
        };
        if reception == Reception::Taken {
            self.under_way.remove(&page.number);
            self.breaker.over(page.probe);
            if let (Place::At(from), true) = (&page.from, markets > 0) {
                self.furthest = self.furthest.max(*from);
            }
        }
        reception
    }

    /// Markets up to a number.
    fn covered(&mut self, page: &Page, from: u64, to: u64, markets: usize) -> Reception {
        let step = *self.step.get_or_insert(to - from);
        match page.until {
            Some(until) if to < until => self.again(Place::At(to), Some(until)),
            Some(_) => {}
            // The first page, or one that is followed: only now is it known where the next one is.
            None if self.next.is_none() && self.last.is_none() => self.next = Some(Place::At(to)),
            None => {}
        }
        if let Some(Place::At(last)) = self.last
            && from > last
            && markets > 0
            && !self.sequential
        {
            // The end was none: it is asked for again, and so is all that was left out behind it.
            self.last = None;
            self.again(Place::At(last), last.checked_add(step));
            self.next.get_or_insert(Place::At(to));
            for left_out in (1..).map_while(|nth| last.checked_add(step.checked_mul(nth)?)) {
                if left_out >= from {
                    break;
                }
                if self.under_way.values().all(|it| it.from != Place::At(left_out)) {
                    self.again(Place::At(left_out), left_out.checked_add(step));
                }
            }
        }
        Reception::Taken
    }

    /// Whether the page was computed before the pages began to be followed one after the other.
    fn left_to_the_walk(&self, page: &Page) -> bool {
        self.sequential && page.until.is_some()
    }

    /// The next page is known by a text alone. Where that comes as a surprise, in the middle of pages that were
    /// computed, the list is walked from its beginning.
    fn follow(&mut self, page: &Page, next: &Place) {
        self.sequential = true;
        if page.until.is_none() {
            self.next = Some(next.clone());
            return;
        }
        self.next = Some(Place::At(0));
        self.last = None;
        self.waiting.clear();
        self.refused.clear();
        self.failed.clear();
    }

    /// The last page, unless markets were seen behind it.
    fn end(&mut self, page: &Page) -> Reception {
        if let Place::At(from) = page.from {
            if self.furthest > from && !self.sequential {
                return Reception::Doubted("a page that claims to be the last one, before others");
            }
            self.drop_behind(from);
        }
        let earlier = match (&self.last, &page.from) {
            (Some(Place::At(last)), Place::At(from)) => last <= from,
            (last, _) => last.is_some(),
        };
        if !earlier {
            self.last = Some(page.from.clone());
        }
        self.next = None;
        Reception::Taken
    }

    fn drop_behind(&mut self, place: u64) {
        let behind = |from: &Place| matches!(from, Place::At(from) if *from > place);
        self.waiting.retain(|_, page| !behind(&page.from));
        self.refused.retain(|(page, _)| !behind(&page.from));
        self.failed.retain(|gap| !behind(&gap.from));
    }

    /// A page has no answer. `pause` is how long it should rest before it is tried again.
    pub fn no_answer(
        &mut self,
        page: Page,
        fault: Fault,
        why: &str,
        now: Moment,
        pause: Duration,
    ) -> Consequence {
        self.under_way.remove(&page.number);
        self.breaker.over(page.probe);
        let behind_the_end =
            matches!((&self.last, &page.from), (Some(Place::At(last)), Place::At(from)) if from > last);
        if behind_the_end || self.left_to_the_walk(&page) {
            return Consequence::Retried;
        }
        if fault == Fault::Throttled {
            self.waiting.insert((now, page.number), page);
            return Consequence::Retried;
        }
        if fault == Fault::Refused {
            return match page.from {
                Place::At(1..) => {
                    self.refused.push((page, why.to_owned()));
                    Consequence::Retried
                }
                _ => self.fail(&page, why),
            };
        }
        // While the host is down no page is to blame, so none comes nearer to being given up.
        let down = self.breaker.failed(now, pause);
        let attempts = if down { page.attempts } else { page.attempts + 1 };
        if attempts < ATTEMPTS {
            let page = Page { attempts, probe: false, ..page };
            self.waiting.insert((now + pause, page.number), page);
            return Consequence::Retried;
        }
        self.fail(&page, why)
    }

    fn fail(&mut self, page: &Page, why: &str) -> Consequence {
        self.failed.push(page.gap(Some(why.to_owned())));
        Consequence::Failed
    }

    /// The position, with everything before it that is not there; `pages` and `markets` are added by who counts them.
    pub fn position(&self) -> Position {
        let open = self.under_way.values().chain(self.waiting.values()).map(|page| page.gap(None));
        let refused = self.refused.iter().map(|(page, why)| page.gap(Some(why.clone())));
        Position {
            next: self.next.clone(),
            step: self.step,
            sequential: self.sequential,
            last: self.last.clone(),
            furthest: self.furthest,
            complete: self.is_complete(),
            gaps: self.failed.iter().cloned().chain(refused).chain(open).collect(),
            pages: 0,
            markets: 0,
        }
    }
}

#[cfg(test)]
mod tests;
