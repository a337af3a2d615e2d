use std::collections::BTreeSet;

use proptest::prelude::*;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use std::time::Duration;

use super::*;

/// A catalogue of so many markets, in pages of so many.
struct Server {
    markets: u64,
    page: u64,
    /// Whether its cursors are texts.
    texts: bool,
}

impl Server {
    fn numbers(markets: u64, page: u64) -> Self {
        Self { markets, page, texts: false }
    }

    fn answer(&self, place: &PageCursor) -> (std::ops::Range<u64>, Option<PageCursor>) {
        let from = match place {
            PageCursor::At(from) => *from,
            PageCursor::Text(text) => text.trim_start_matches('c').parse().unwrap(),
        };
        let to = (from + self.page).min(self.markets);
        let next = (to < self.markets)
            .then(|| if self.texts { PageCursor::Text(format!("c{to}")) } else { PageCursor::At(to) });
        (from.min(to)..to, next)
    }
}

fn missed(kind: FailureKind) -> Missed<'static> {
    Missed { kind, why: "no such page", host_down: false, now: Duration::ZERO, pause: Duration::ZERO }
}

/// A page is answered and written.
fn answer(pages: &mut PageQueue, page: &Page, markets: usize, next: Option<&PageCursor>) -> Reception {
    let reception = pages.answered(page, markets, mark(&page.part.from), next);
    pages.written(&[page.number]);
    reception
}

fn take(pages: &mut PageQueue) -> Option<Page> {
    match pages.next(Duration::MAX / 2) {
        NextJob::Ask(page) => Some(page),
        _ => None,
    }
}

/// Asks until nothing is left, in an order from the seed, with a fault in this share of requests and now and then a
/// process that begins anew from what was saved; answers which markets were seen.
fn crawl(server: &Server, seed: u64, faults: f64) -> (BTreeSet<u64>, PageQueue) {
    let mut dice = ChaCha8Rng::seed_from_u64(seed);
    let (mut pages, mut seen) = (PageQueue::new(&CatalogueCursor::default()), BTreeSet::new());
    let mut hands: Vec<Page> = Vec::new();
    for _ in 0..100_000 {
        if hands.len() < 6
            && let Some(page) = take(&mut pages)
        {
            hands.push(page);
            continue;
        }
        if hands.is_empty() {
            assert!(pages.is_done());
            return (seen, pages);
        }
        let page = hands.swap_remove(dice.random_range(0..hands.len()));
        if dice.random_bool(faults) {
            let kind = if dice.random_bool(0.3) { FailureKind::Throttled } else { FailureKind::Passing };
            pages.no_answer(page, &missed(kind));
            continue;
        }
        if dice.random_bool(faults / 4.0) {
            pages = PageQueue::new(&pages.cursor());
            hands.clear();
            continue;
        }
        let (markets, next) = server.answer(&page.part.from);
        let count = (markets.end - markets.start) as usize;
        match pages.answered(&page, count, mark(&page.part.from), next.as_ref()) {
            Reception::Taken => {
                seen.extend(markets);
                pages.written(&[page.number]);
            }
            Reception::Doubted(_) => {
                pages.no_answer(page, &missed(FailureKind::Passing));
            }
        }
    }
    panic!("the crawl does not end");
}

proptest! {
    #[test]
    fn every_market_is_seen_whatever_breaks_and_whenever_it_is_begun_anew(
        markets in 0..400u64, page in 1..60u64, seed in any::<u64>(), faults in prop_oneof![Just(0.0), 0.0..0.4],
        texts in any::<bool>(),
    ) {
        let server = Server { texts, ..Server::numbers(markets, page) };
        let (seen, pages) = crawl(&server, seed, faults);
        if pages.failed() == 0 {
            prop_assert!(pages.is_complete());
            prop_assert_eq!(seen, (0..markets).collect::<BTreeSet<u64>>());
        } else {
            prop_assert!(faults > 0.0, "failed without a fault");
        }
    }
}

#[test]
fn pages_are_computed_as_soon_as_the_first_is_there() {
    let mut pages = PageQueue::new(&CatalogueCursor::default());
    let first = take(&mut pages).unwrap();
    assert_eq!((first.part.from.clone(), take(&mut pages)), (PageCursor::At(0), None));
    answer(&mut pages, &first, 1000, Some(&PageCursor::At(1000)));
    let places: Vec<PageCursor> = (0..5).map(|_| take(&mut pages).unwrap().part.from).collect();
    assert_eq!(places, [1000, 2000, 3000, 4000, 5000].map(PageCursor::At));
}

#[test]
fn a_page_that_is_shorter_than_computed_leaves_no_gap() {
    let mut pages = PageQueue::new(&CatalogueCursor::default());
    let first = take(&mut pages).unwrap();
    answer(&mut pages, &first, 1000, Some(&PageCursor::At(1000)));
    let second = take(&mut pages).unwrap();
    answer(&mut pages, &second, 300, Some(&PageCursor::At(1300)));
    let rest = take(&mut pages).unwrap();
    assert_eq!((rest.part.from, rest.part.until), (PageCursor::At(1300), Some(2000)));
}

#[test]
fn an_end_before_others_is_doubted_and_one_that_others_disprove_is_asked_again() {
    let mut pages = PageQueue::new(&CatalogueCursor::default());
    let first = take(&mut pages).unwrap();
    answer(&mut pages, &first, 10, Some(&PageCursor::At(10)));
    let [second, third, fourth] = [(); 3].map(|()| take(&mut pages).unwrap());
    assert_eq!(answer(&mut pages, &second, 3, None), Reception::Taken);
    assert!(!pages.is_complete());
    assert_eq!(answer(&mut pages, &fourth, 10, Some(&PageCursor::At(40))), Reception::Taken);
    assert_eq!(take(&mut pages).unwrap().part.from, PageCursor::At(10));
    assert!(matches!(answer(&mut pages, &third, 0, None), Reception::Doubted(_)));
}

#[test]
fn pages_refused_behind_the_end_are_no_failure() {
    let mut pages = PageQueue::new(&CatalogueCursor::default());
    let first = take(&mut pages).unwrap();
    answer(&mut pages, &first, 10, Some(&PageCursor::At(10)));
    let [last, behind] = [(); 2].map(|()| take(&mut pages).unwrap());
    pages.no_answer(behind, &missed(FailureKind::Refused));
    assert_eq!(take(&mut pages), None, "nothing more is tried behind a refusal");
    answer(&mut pages, &last, 4, None);
    assert!(pages.is_complete());
}

#[test]
fn a_list_of_empty_pages_ends() {
    let mut pages = PageQueue::new(&CatalogueCursor::default());
    for asked in 0.. {
        assert!(asked < 2 * EMPTY_PAGES, "it goes on for ever");
        let Some(page) = take(&mut pages) else { break };
        let PageCursor::At(from) = page.part.from else { panic!() };
        answer(&mut pages, &page, 0, Some(&PageCursor::At(from + 10)));
    }
    assert!(pages.is_complete());
}

/// Follows a catalogue whose nth answer `answers` makes, and says how many were asked for until nothing was left to ask.
fn follow(answers: impl Fn(u64) -> (usize, u64, PageCursor)) -> (u64, PageQueue) {
    let mut pages = PageQueue::new(&CatalogueCursor::default());
    for asked in 0..2 * MOST_PAGES as u64 {
        let Some(page) = take(&mut pages) else { return (asked, pages) };
        let (markets, content, next) = answers(asked);
        if let Reception::Doubted(_) = pages.answered(&page, markets, content, Some(&next)) {
            pages.no_answer(page, &missed(FailureKind::Passing));
        } else {
            pages.written(&[page.number]);
        }
    }
    panic!("it goes on for ever");
}

#[test]
fn a_catalogue_without_an_end_is_left_and_is_not_complete() {
    let text = |number: u64| PageCursor::Text(format!("c{number}"));
    type Answers<'a> = &'a dyn Fn(u64) -> (usize, u64, PageCursor);
    let cases: [(&str, Answers<'_>); 4] = [
        ("its cursors go round", &|asked| (10, asked, text(asked % 3))),
        ("nothing stands on its pages", &|asked| (0, asked, text(asked))),
        ("each page is the first", &|asked| (10, 7, text(asked))),
        ("it invents markets", &|asked| (10, asked, text(asked))),
    ];
    for (name, answers) in cases {
        let (asked, pages) = follow(answers);
        assert!(!pages.is_complete() && pages.failed() == 1, "{name}: {} failed", pages.failed());
        assert!(asked <= MOST_PAGES as u64 + 10, "{name}: {asked}");
    }
}

#[test]
fn the_position_is_small_however_much_is_behind_it() {
    let (_, pages) = crawl(&Server::numbers(5_000, 10), 1, 0.2);
    let text = serde_json::to_string(&pages.cursor()).unwrap();
    assert!(text.len() < 400, "{text}");
}

#[test]
fn a_text_after_numbers_is_doubted() {
    let mut pages = PageQueue::new(&CatalogueCursor::default());
    let first = take(&mut pages).unwrap();
    answer(&mut pages, &first, 10, Some(&PageCursor::At(10)));
    let second = take(&mut pages).unwrap();
    let text = PageCursor::Text("abc".to_owned());
    assert!(matches!(answer(&mut pages, &second, 10, Some(&text)), Reception::Doubted(_)));
}

#[test]
fn an_answered_page_is_a_gap_until_it_is_written() {
    let mut pages = PageQueue::new(&CatalogueCursor::default());
    let only = take(&mut pages).unwrap();
    pages.answered(&only, 3, 1, None);
    assert!(pages.is_done() && !pages.is_complete());
    assert_eq!(pages.cursor().gaps.len(), 1);
    pages.written(&[only.number]);
    assert!(pages.cursor().complete && pages.cursor().gaps.is_empty());
}
