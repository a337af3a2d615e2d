use std::collections::BTreeSet;

use proptest::prelude::*;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::*;

/// A catalogue of so many markets, in pages of so many.
struct Server {
    markets: u64,
    page: u64,
    /// From this place on the cursors are texts.
    texts_from: u64,
}

impl Server {
    fn numbers(markets: u64, page: u64) -> Self {
        Self { markets, page, texts_from: u64::MAX }
    }

    fn answer(&self, place: &Place) -> (std::ops::Range<u64>, Option<Place>) {
        let from = match place {
            Place::At(from) => *from,
            Place::Cursor(text) => text.trim_start_matches('c').parse().unwrap(),
        };
        let to = (from + self.page).min(self.markets);
        let next = (to < self.markets)
            .then(|| if to >= self.texts_from { Place::Cursor(format!("c{to}")) } else { Place::At(to) });
        (from.min(to)..to, next)
    }
}

fn take(pages: &mut Pages) -> Option<Page> {
    match pages.take(Duration::MAX / 2) {
        Order::Ask(page) => Some(page),
        _ => None,
    }
}

/// Asks until nothing is left, in an order from the seed, with a fault in this share of requests and now and then a
/// process that begins anew from what was saved; answers which markets were seen.
fn crawl(server: &Server, seed: u64, faults: f64) -> (BTreeSet<u64>, Pages) {
    let mut dice = ChaCha8Rng::seed_from_u64(seed);
    let (mut pages, mut seen) = (Pages::new(&Position::default()), BTreeSet::new());
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
            let fault = if dice.random_bool(0.3) { Fault::Throttled } else { Fault::Broken };
            pages.no_answer(page, fault, "broken", Duration::ZERO, Duration::ZERO);
            continue;
        }
        if dice.random_bool(faults / 4.0) {
            pages = Pages::new(&pages.position());
            hands.clear();
            continue;
        }
        pages.host_answered();
        let (markets, next) = server.answer(&page.from);
        let count = (markets.end - markets.start) as usize;
        match pages.answered(&page, count, next.as_ref()) {
            Reception::Taken => seen.extend(markets),
            Reception::Doubted(why) => {
                pages.no_answer(page, Fault::Broken, why, Duration::ZERO, Duration::ZERO);
            }
        }
    }
    panic!("the crawl does not end");
}

proptest! {
    #[test]
    fn every_market_is_seen_whatever_breaks_and_whenever_it_is_begun_anew(
        markets in 0..400u64, page in 1..60u64, seed in any::<u64>(), faults in prop_oneof![Just(0.0), 0.0..0.4],
        texts in prop_oneof![Just(u64::MAX), 0..400u64],
    ) {
        let server = Server { texts_from: texts, ..Server::numbers(markets, page) };
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
    let mut pages = Pages::new(&Position::default());
    let first = take(&mut pages).unwrap();
    assert_eq!((first.from.clone(), take(&mut pages)), (Place::At(0), None));
    pages.answered(&first, 1000, Some(&Place::At(1000)));
    let places: Vec<Place> = (0..5).map(|_| take(&mut pages).unwrap().from).collect();
    assert_eq!(places, [1000, 2000, 3000, 4000, 5000].map(Place::At));
}

#[test]
fn a_page_that_is_shorter_than_computed_leaves_no_gap() {
    let mut pages = Pages::new(&Position::default());
    let first = take(&mut pages).unwrap();
    pages.answered(&first, 1000, Some(&Place::At(1000)));
    let second = take(&mut pages).unwrap();
    pages.answered(&second, 300, Some(&Place::At(1300)));
    let rest = take(&mut pages).unwrap();
    assert_eq!((rest.from, rest.until), (Place::At(1300), Some(2000)));
}

#[test]
fn an_end_before_others_is_doubted_and_one_that_others_disprove_is_asked_again() {
    let mut pages = Pages::new(&Position::default());
    let first = take(&mut pages).unwrap();
    pages.answered(&first, 10, Some(&Place::At(10)));
    let [second, third, fourth] = [(); 3].map(|()| take(&mut pages).unwrap());
    assert_eq!(pages.answered(&second, 3, None), Reception::Taken);
    assert!(!pages.is_complete());
    assert_eq!(pages.answered(&fourth, 10, Some(&Place::At(40))), Reception::Taken);
    assert_eq!(take(&mut pages).unwrap().from, Place::At(10));
    assert!(matches!(pages.answered(&third, 0, None), Reception::Doubted(_)));
}

#[test]
fn pages_refused_behind_the_end_are_no_failure() {
    let mut pages = Pages::new(&Position::default());
    let first = take(&mut pages).unwrap();
    pages.answered(&first, 10, Some(&Place::At(10)));
    let [last, behind] = [(); 2].map(|()| take(&mut pages).unwrap());
    pages.no_answer(behind, Fault::Refused, "no such page", Duration::ZERO, Duration::ZERO);
    assert_eq!(take(&mut pages), None, "nothing more is tried behind a refusal");
    pages.answered(&last, 4, None);
    assert!(pages.is_complete());
}

#[test]
fn a_list_of_empty_pages_ends() {
    let mut pages = Pages::new(&Position::default());
    for asked in 0.. {
        assert!(asked < 2 * EMPTY_PAGES, "it goes on for ever");
        let Some(page) = take(&mut pages) else { break };
        let Place::At(from) = page.from else { panic!() };
        pages.answered(&page, 0, Some(&Place::At(from + 10)));
    }
    assert!(pages.is_complete());
}

#[test]
fn the_position_is_small_however_much_is_behind_it() {
    let (_, pages) = crawl(&Server::numbers(5_000, 10), 1, 0.2);
    let text = serde_json::to_string(&pages.position()).unwrap();
    assert!(text.len() < 400, "{text}");
}
