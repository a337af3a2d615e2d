//! [`Desk`]: the one place where batches are handed out and taken back. Pure: it is told the time, does no I/O, and
//! so every promise about who asks for what can be tested without a network.
//!
//! A token is in one of four places: not yet read from the workload, pending, in a batch that is waiting to be tried
//! again, or in a batch that is under way. So no two workers ever ask for the same token, and none is passed over.

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::time::Duration;

use super::breaker::{Breaker, Passage};
use super::checkpoint::Gap;
use super::quota::Moment;
use crate::ids::TokenId;
use crate::source::Source;
use crate::upstream::Room;

/// How often a batch is asked before it is halved, or, when it is a single token, kept as failed.
const ATTEMPTS: u32 = 7;

/// How often a token is asked for whose claims have no proof, or whose absence is doubted.
const DOUBTS: u8 = 6;

/// How many lent batches may come back unanswered before nothing is lent a second time.
const FAILED_LOANS: u32 = 100;

/// Tokens that are asked for together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Batch {
    /// Its number, by which it is handed back.
    pub number: u64,
    /// The tokens.
    pub tokens: Vec<TokenId>,
    attempts: u32,
    /// Whether it was handed out to find out whether the host is there.
    probe: bool,
    /// Whether its own track has asked for it already and found nothing, or cannot ask.
    second_try: bool,
    /// Of a second try: who had it before without finding it, its own track aside.
    tried: Tried,
}

/// Which of the tracks beside have had a token in their hands without finding it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Tried(u32);

// A bit for each.
const _: () = assert!(Source::ALL.len() <= 32);

impl Tried {
    /// These have.
    pub fn by(tracks: impl IntoIterator<Item = Source>) -> Self {
        tracks.into_iter().fold(Self::default(), Self::and)
    }

    fn has(self, track: Source) -> bool {
        self.0 >> track as u32 & 1 == 1
    }

    fn and(self, track: Source) -> Self {
        Self(self.0 | 1 << track as u32)
    }
}

impl Batch {
    /// Whether the track that it belongs to has asked for it already and found nothing.
    pub fn is_second_try(&self) -> bool {
        self.second_try
    }
}

/// Doubted tokens, sorted.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Doubts {
    /// To be asked once more.
    pub again: Vec<TokenId>,
    /// Doubted too often.
    pub finally: Vec<TokenId>,
}

/// What a worker is told when it asks for work.
#[derive(Debug, PartialEq, Eq)]
pub enum Order<T = Batch> {
    /// Ask for this.
    Ask(T),
    /// Nothing before this moment.
    WaitUntil(Moment),
    /// Nothing until something changes.
    Wait,
    /// Nothing any more.
    Done,
}

/// What became of a batch that had no answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Consequence {
    /// It will be tried again.
    Retried,
    /// It was cut in two: one half may be what breaks it.
    Halved,
    /// It is kept for the next run.
    Failed(Gap),
}

/// Why a batch had no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Asked too fast: the batch itself is not to blame.
    Throttled,
    /// Too large.
    TooLarge,
    /// Broken in a way that may pass.
    Broken,
    /// Refused for what it says.
    Refused,
}

/// One track's work in memory: a window of its workload, and what is under way.
#[derive(Debug)]
pub struct Desk {
    pending: VecDeque<TokenId>,
    /// The same tokens as in `pending`, less those that became known since: what a sibling's answer can take away.
    open: HashSet<u128>,
    waiting: BTreeMap<(Moment, u64), Batch>,
    under_way: HashMap<u64, Batch>,
    doubted: HashMap<TokenId, u8>,
    failed: Vec<Gap>,
    room: Room,
    all_read: bool,
    numbers: u64,
    breaker: Breaker,
    /// Pending tokens that others had in their hands and did not find: to those they are not lent again.
    lent: HashMap<TokenId, Tried>,
    /// Tokens that this track did not find, for the others to try, each once, by who has.
    unfound: BTreeMap<Tried, Vec<TokenId>>,
    /// The same tokens, less those that became known since.
    wanted: HashSet<u128>,
    /// Second tries that are under way elsewhere.
    second_tries: HashMap<u64, Batch>,
    /// Whether this track asks no more, and what it has is the others'.
    abandoned: bool,
    failed_loans: u32,
    last_taken: Option<TokenId>,
}

impl Desk {
    /// An empty desk.
    pub fn new(room: Room) -> Self {
        Self {
            pending: VecDeque::new(),
            open: HashSet::new(),
            waiting: BTreeMap::new(),
            under_way: HashMap::new(),
            doubted: HashMap::new(),
            failed: Vec::new(),
            room,
            all_read: false,
            numbers: 0,
            breaker: Breaker::default(),
            lent: HashMap::new(),
            unfound: BTreeMap::new(),
            wanted: HashSet::new(),
            second_tries: HashMap::new(),
            abandoned: false,
            failed_loans: 0,
            last_taken: None,
        }
    }

    /// Adds tokens that were read from the workload.
    pub fn load(&mut self, tokens: impl IntoIterator<Item = TokenId>) {
        for token in tokens {
            self.push(token);
        }
    }

    fn push(&mut self, token: TokenId) {
        if self.open.insert(token.fingerprint()) {
            self.pending.push_back(token);
        }
    }

    /// Nothing more will be read.
    pub fn all_read(&mut self) {
        self.all_read = true;
    }

    /// What a request takes at the moment.
    pub fn room(&self) -> Room {
        self.room
    }

    /// So many tokens were too many: no later batch is as large again.
    pub fn too_many(&mut self, tokens: usize) {
        self.room.tokens = self.room.tokens.min(tokens.div_ceil(2).max(1));
    }

    /// How many tokens are pending: what the reader keeps filled.
    pub fn pending(&self) -> usize {
        self.open.len()
    }

    /// A token became known from elsewhere; `true` where it was pending here and now need not be asked any more.
    pub fn known(&mut self, token: &TokenId) -> bool {
        self.wanted.remove(&token.fingerprint());
        // Only single tokens are ever kept as failed.
        self.failed.retain(|gap| gap.first != *token);
        self.open.remove(&token.fingerprint())
    }

    /// Whether every token has an answer or is kept as failed.
    pub fn is_done(&self) -> bool {
        self.all_read && self.open.is_empty() && self.waiting.is_empty() && self.under_way.is_empty()
    }

    /// Work for one worker.
    pub fn take(&mut self, now: Moment) -> Order {
        if self.is_done() {
            return Order::Done;
        }
        let passage = self.breaker.passage(now);
        match passage {
            Passage::Until(moment) => return Order::WaitUntil(moment),
            Passage::Wait => return Order::Wait,
            Passage::Free | Passage::Probe => {}
        }
        let Some(mut batch) = self.retry_due(now).or_else(|| self.fresh()) else {
            return match self.waiting.keys().next() {
                Some((ready, _)) => Order::WaitUntil(*ready),
                None => Order::Wait,
            };
        };
        batch.probe = self.breaker.sent(passage);
        self.under_way.insert(batch.number, batch.clone());
        Order::Ask(batch)
    }

    fn retry_due(&mut self, now: Moment) -> Option<Batch> {
        let (key, _) = self.waiting.first_key_value().filter(|((ready, _), _)| *ready <= now)?;
        let key = *key;
        self.waiting.remove(&key)
    }

    /// As many pending tokens as one request takes.
    fn fresh(&mut self) -> Option<Batch> {
        let tokens = self.gather(self.room, |_| true);
        self.last_taken = tokens.last().copied().or(self.last_taken);
        (!tokens.is_empty()).then(|| self.batch(tokens, 0))
    }

    /// Takes pending tokens, from the front, that fit into `room` and are `wanted`; the others stay.
    fn gather(&mut self, room: Room, wanted: impl Fn(&TokenId) -> bool) -> Vec<TokenId> {
        let (mut tokens, mut bytes, mut unwanted) = (Vec::new(), 0, Vec::new());
        while tokens.len() < room.tokens {
            let Some(token) = self.pending.pop_front() else { break };
            if !self.open.contains(&token.fingerprint()) {
                continue;
            }
            let cost = if room.bytes == usize::MAX { 0 } else { token.digits() + room.overhead };
            let full = !tokens.is_empty() && bytes + cost > room.bytes;
            if full || !wanted(&token) {
                unwanted.push(token);
                if full {
                    break;
                }
                continue;
            }
            bytes += cost;
            self.open.remove(&token.fingerprint());
            tokens.push(token);
        }
        for token in unwanted.into_iter().rev() {
            self.pending.push_front(token);
        }
        tokens
    }

    /// A batch for `borrower`, a track that has nothing left of its own, sized by what that track's API takes: of what
    /// this one has not asked for yet, else of what it did not find. What a borrower did not find it is not lent again.
    pub fn lend(&mut self, room: Room, borrower: Source) -> Option<Batch> {
        let lent = std::mem::take(&mut self.lent);
        let tokens = self.gather(room, |token| !lent.get(token).is_some_and(|tried| tried.has(borrower)));
        self.lent = lent;
        if tokens.is_empty() {
            return self.second_try(room, borrower);
        }
        let batch = self.batch(tokens, 0);
        self.under_way.insert(batch.number, batch.clone());
        Some(batch)
    }

    fn second_try(&mut self, room: Room, borrower: Source) -> Option<Batch> {
        for (tried, unfound) in self.unfound.iter_mut().filter(|(tried, _)| !tried.has(borrower)) {
            let (mut tokens, mut bytes) = (Vec::new(), 0_usize);
            while tokens.len() < room.tokens
                && (tokens.is_empty() || bytes + 78 + room.overhead <= room.bytes)
            {
                let Some(token) = unfound.pop() else { break };
                if self.wanted.remove(&token.fingerprint()) {
                    bytes += token.digits() + room.overhead;
                    tokens.push(token);
                }
            }
            if !tokens.is_empty() {
                let tried = *tried;
                let batch = Batch { second_try: true, tried, ..self.batch(tokens, 0) };
                self.second_tries.insert(batch.number, batch.clone());
                return Some(batch);
            }
        }
        None
    }

    /// Whether `track` may still be lent something of what was not found: it waits here, or is with another track.
    pub fn has_second_tries(&self, track: Source) -> bool {
        let waits = |(tried, tokens): (&Tried, &Vec<TokenId>)| {
            !tried.has(track) && tokens.iter().any(|token| self.wanted.contains(&token.fingerprint()))
        };
        self.unfound.iter().any(waits) || self.second_tries.values().any(|batch| !batch.tried.has(track))
    }

    /// This track did not find these tokens: the others may try.
    pub fn did_not_find(&mut self, tokens: impl IntoIterator<Item = TokenId>) {
        for token in tokens {
            let tried = self.lent.remove(&token).unwrap_or_default();
            self.not_found_by(token, tried);
        }
    }

    /// Nor did these others.
    pub fn not_found_by(&mut self, token: TokenId, tried: Tried) {
        if self.wanted.insert(token.fingerprint()) {
            self.unfound.entry(tried).or_default().push(token);
        }
    }

    /// A batch that was lent to `borrower` comes back without an answer: its tokens may be lent to it again, unless
    /// that has failed too often for reasons that may lie in them (`blamed`).
    pub fn not_answered_elsewhere(&mut self, batch: &Batch, borrower: Source, blamed: bool) {
        self.failed_loans += u32::from(blamed);
        let tokens = || batch.tokens.iter().copied();
        if self.failed_loans <= FAILED_LOANS {
            self.handed_back(batch, borrower, None, tokens());
        } else {
            self.handed_back(batch, borrower, tokens(), None);
        }
    }

    /// A batch that was lent to `borrower` comes back. What it did not find is pending here again, or, where this track
    /// has asked for it already or asks no more, is the next one's to try. What it did not get to ask (`again`) it may
    /// be lent again.
    pub fn handed_back(
        &mut self,
        batch: &Batch,
        borrower: Source,
        unfound: impl IntoIterator<Item = TokenId>,
        again: impl IntoIterator<Item = TokenId>,
    ) {
        self.under_way.remove(&batch.number);
        self.second_tries.remove(&batch.number);
        for token in unfound {
            let tried = self.lent.remove(&token).unwrap_or(batch.tried).and(borrower);
            if batch.second_try || self.abandoned {
                self.not_found_by(token, tried);
            } else {
                self.lent.insert(token, tried);
                self.push(token);
            }
        }
        for token in again {
            if batch.second_try {
                self.not_found_by(token, batch.tried);
            } else {
                self.push(token);
            }
        }
    }

    /// This track asks no more: all that it has, or still reads from its workload, is the others' to ask.
    pub fn abandon(&mut self) {
        self.abandoned = true;
        for batch in std::mem::take(&mut self.waiting).into_values() {
            self.load(batch.tokens);
        }
        for (token, tried) in std::mem::take(&mut self.lent) {
            if self.open.remove(&token.fingerprint()) {
                self.not_found_by(token, tried);
            }
        }
    }

    /// Counts a doubt about each of these tokens and sorts them: those to be asked once more, and those that were
    /// doubted too often, of which what was said last is final.
    pub fn doubt(&mut self, tokens: impl IntoIterator<Item = TokenId>) -> Doubts {
        let mut sorted = Doubts::default();
        for token in tokens {
            let doubts = self.doubted.entry(token).or_default();
            *doubts += 1;
            if *doubts < DOUBTS {
                sorted.again.push(token);
            } else {
                self.doubted.remove(&token);
                sorted.finally.push(token);
            }
        }
        sorted
    }

    fn batch(&mut self, tokens: Vec<TokenId>, attempts: u32) -> Batch {
        self.numbers += 1;
        Batch {
            number: self.numbers,
            tokens,
            attempts,
            probe: false,
            second_try: false,
            tried: Tried::default(),
        }
    }

    /// A batch was not sent after all.
    pub fn put_back(&mut self, batch: Batch, now: Moment) {
        self.under_way.remove(&batch.number);
        self.breaker.over(batch.probe);
        self.waiting.insert((now, batch.number), batch);
    }

    /// The host answered; `true` where it had been down.
    pub fn host_answered(&mut self) -> bool {
        self.breaker.answered()
    }

    /// The batch has its answer, of which these tokens are doubted: they are asked again, with others, unless they
    /// were already doubted too often. Those are given back: what was said last is final.
    pub fn answered(&mut self, number: u64, doubted: impl IntoIterator<Item = TokenId>) -> Vec<TokenId> {
        self.under_way.remove(&number);
        let Doubts { again, finally } = self.doubt(doubted);
        self.load(again);
        finally
    }

    /// The batch has no answer. `pause` is how long it should rest before it is tried again.
    pub fn no_answer(
        &mut self,
        batch: Batch,
        fault: Fault,
        why: &str,
        now: Moment,
        pause: Duration,
    ) -> Consequence {
        self.under_way.remove(&batch.number);
        self.breaker.over(batch.probe);
        if fault == Fault::Throttled {
            self.waiting.insert((now, batch.number), batch);
            return Consequence::Retried;
        }
        let down = self.count(fault, now, pause);
        // While the host is down no batch is to blame, so none comes nearer to being given up.
        let attempts = if down { batch.attempts } else { batch.attempts + 1 };
        match fault {
            Fault::TooLarge if batch.tokens.len() > 1 => {
                self.too_many(batch.tokens.len());
                self.halve(batch, 0, now)
            }
            Fault::Refused if batch.tokens.len() > 1 => self.halve(batch, 0, now),
            Fault::Refused => self.fail(batch, why),
            _ if attempts < ATTEMPTS => {
                let batch = Batch { attempts, probe: false, ..batch };
                self.waiting.insert((now + pause, batch.number), batch);
                Consequence::Retried
            }
            // One token may break it: its neighbours shall not fail with it. They had their chances already.
            _ if batch.tokens.len() > 1 => self.halve(batch, ATTEMPTS - 3, now + pause),
            _ => self.fail(batch, why),
        }
    }

    /// Counts a failure for what it says of the host; `true` while that is down.
    fn count(&mut self, fault: Fault, now: Moment, pause: Duration) -> bool {
        match fault {
            Fault::Broken => self.breaker.failed(now, pause),
            Fault::Refused => {
                self.breaker.refused();
                false
            }
            Fault::Throttled | Fault::TooLarge => false,
        }
    }

    /// A batch that was lent to this track goes out with this passage.
    pub fn borrowed(&mut self, batch: &mut Batch, passage: Passage) {
        batch.probe = self.breaker.sent(passage);
    }

    /// A batch that was lent to this track had no answer from its host.
    pub fn no_answer_to_borrowed(&mut self, batch: &Batch, fault: Fault, now: Moment, pause: Duration) {
        self.breaker.over(batch.probe);
        if fault == Fault::TooLarge {
            self.too_many(batch.tokens.len());
        }
        self.count(fault, now, pause);
    }

    fn halve(&mut self, batch: Batch, attempts: u32, ready: Moment) -> Consequence {
        let (left, right) = batch.tokens.split_at(batch.tokens.len() / 2);
        for half in [left.to_vec(), right.to_vec()] {
            let half = self.batch(half, attempts);
            self.waiting.insert((ready, half.number), half);
        }
        Consequence::Halved
    }

    fn fail(&mut self, batch: Batch, why: &str) -> Consequence {
        let gap = gap(&batch, Some(why.to_owned()));
        self.failed.push(gap.clone());
        Consequence::Failed(gap)
    }

    /// Whether the host answers.
    pub fn breaker(&self) -> &Breaker {
        &self.breaker
    }

    /// The attempts behind a batch, for the length of its next pause.
    pub fn attempts(batch: &Batch) -> u32 {
        batch.attempts
    }

    /// Batches under way.
    pub fn under_way(&self) -> usize {
        self.under_way.len()
    }

    /// Tokens without a usable answer after all retries.
    pub fn failed(&self) -> &[Gap] {
        &self.failed
    }

    /// The position in the workload's order.
    pub fn last_taken(&self) -> Option<TokenId> {
        self.last_taken
    }

    /// What stands open before the position: batches under way, waiting and failed.
    pub fn gaps(&self) -> Vec<Gap> {
        let open = self.under_way.values().chain(self.waiting.values()).map(|batch| gap(batch, None));
        self.failed.iter().cloned().chain(open).collect()
    }
}

fn gap(batch: &Batch, failure: Option<String>) -> Gap {
    // A batch is made of at least one token.
    let first = batch.tokens.first().copied().unwrap_or_else(|| TokenId::from_be_bytes([0; 32]));
    let last = batch.tokens.last().copied().unwrap_or(first);
    Gap { first, last, tokens: batch.tokens.len(), failure }
}

#[cfg(test)]
mod tests {
    use super::super::breaker::Host;
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn tokens(from: u64, count: u64) -> Vec<TokenId> {
        (from..from + count).map(|n| n.to_string().parse().unwrap()).collect()
    }

    fn desk(count: u64, room: usize) -> Desk {
        let mut desk = Desk::new(Room { tokens: room, bytes: usize::MAX, overhead: 0 });
        desk.load(tokens(1, count));
        desk.all_read();
        desk.host_answered();
        desk
    }

    fn take(desk: &mut Desk, now: Moment) -> Batch {
        match desk.take(now) {
            Order::Ask(batch) => batch,
            order => panic!("expected work, got {order:?}"),
        }
    }

    #[test]
    fn no_two_workers_are_given_the_same_token_and_all_tokens_are_given_out() {
        let mut desk = desk(1_000, 30);
        let mut seen = HashSet::new();
        let mut under_way = Vec::new();
        while let Order::Ask(batch) = desk.take(Duration::ZERO) {
            assert!(batch.tokens.iter().all(|token| seen.insert(*token)));
            under_way.push(batch.number);
        }
        assert_eq!(seen.len(), 1_000);
        assert_eq!(desk.take(Duration::ZERO), Order::Wait);
        for number in under_way {
            assert!(desk.answered(number, []).is_empty());
        }
        assert_eq!(desk.take(Duration::ZERO), Order::Done);
    }

    #[test]
    fn a_batch_is_as_full_as_its_bytes_allow() {
        let mut desk = Desk::new(Room { tokens: 100, bytes: 8_000 - 60, overhead: 10 });
        let longest: TokenId = "1".repeat(78).parse().unwrap();
        let near = (0..200u8).map(|n| {
            let mut bytes = longest.to_be_bytes();
            bytes[31] = n;
            TokenId::from_be_bytes(bytes)
        });
        desk.load(near);
        assert_eq!(take(&mut desk, Duration::ZERO).tokens.len(), 90);
    }

    #[test]
    fn a_sibling_that_became_known_is_not_asked() {
        let mut desk = desk(10, 4);
        take(&mut desk, Duration::ZERO);
        assert!(tokens(5, 3).iter().all(|token| desk.known(token)));
        assert!(!desk.known(&tokens(1, 1)[0]), "it is under way, not pending");
        assert_eq!(take(&mut desk, Duration::ZERO).tokens, tokens(8, 3));
    }

    #[test]
    fn one_poisonous_token_is_isolated_and_its_neighbours_are_answered() {
        let mut desk = desk(64, 64);
        let poison: TokenId = "37".parse().unwrap();
        let mut now = Duration::ZERO;
        let mut answered = 0;
        loop {
            match desk.take(now) {
                Order::Ask(batch) if batch.tokens.contains(&poison) => {
                    desk.no_answer(batch, Fault::Broken, "HTTP 500", now, SECOND);
                }
                Order::Ask(batch) => {
                    desk.host_answered();
                    answered += batch.tokens.len();
                    desk.answered(batch.number, []);
                }
                Order::WaitUntil(at) => now = at,
                Order::Wait => panic!("nothing is under way"),
                Order::Done => break,
            }
            // Others of the same host are answered meanwhile.
            desk.host_answered();
        }
        assert_eq!(answered, 63);
        assert_eq!(desk.failed().len(), 1);
        assert_eq!((desk.failed()[0].first, desk.failed()[0].tokens), (poison, 1));
    }

    #[test]
    fn a_refusal_for_size_halves_the_batch_and_every_later_one() {
        let mut desk = desk(300, 100);
        let batch = take(&mut desk, Duration::ZERO);
        assert_eq!(
            desk.no_answer(batch, Fault::TooLarge, "HTTP 414", Duration::ZERO, SECOND),
            Consequence::Halved
        );
        let sizes: Vec<usize> = (0..6).map(|_| take(&mut desk, Duration::ZERO).tokens.len()).collect();
        assert_eq!(sizes, [50, 50, 50, 50, 50, 50]);
    }

    #[test]
    fn a_host_that_is_down_is_probed_by_one_request_and_no_batch_is_blamed() {
        let mut desk = desk(1_000, 10);
        let batches: Vec<Batch> = (0..8).map(|_| take(&mut desk, Duration::ZERO)).collect();
        for batch in batches {
            desk.no_answer(batch, Fault::Broken, "refused", Duration::ZERO, SECOND);
        }
        assert!(matches!(desk.breaker().host(), Host::Down { .. }));
        assert_eq!(desk.take(Duration::ZERO), Order::WaitUntil(SECOND));
        for round in 1..1_000 {
            let now = SECOND * round;
            let probe = take(&mut desk, now);
            assert_eq!(desk.take(now), Order::Wait, "one probe at a time");
            desk.no_answer(probe, Fault::Broken, "refused", now, SECOND);
        }
        assert!(desk.failed().is_empty());
        let probe = take(&mut desk, SECOND * 1_000);
        assert!(desk.host_answered());
        desk.answered(probe.number, []);
        assert!(matches!(desk.take(SECOND * 1_000), Order::Ask(_)));
        assert!(matches!(desk.take(SECOND * 1_000), Order::Ask(_)));
    }

    const ANY: Room = Room { tokens: 5, bytes: usize::MAX, overhead: 0 };
    const ONE: Source = Source::Dome;
    const TWO: Source = Source::Goldsky;

    #[test]
    fn what_is_lent_is_asked_by_one_track_at_a_time_and_lent_to_each_once() {
        let mut desk = desk(10, 4);
        let own = take(&mut desk, Duration::ZERO);
        let lent = desk.lend(ANY, ONE).unwrap();
        assert_eq!((own.tokens, lent.tokens.clone()), (tokens(1, 4), tokens(5, 5)));
        assert_eq!(take(&mut desk, Duration::ZERO).tokens, tokens(10, 1));
        assert!(!desk.is_done());
        desk.handed_back(&lent, ONE, tokens(6, 2), None);
        assert_eq!(desk.lend(ANY, ONE), None);
        let lent = desk.lend(ANY, TWO).unwrap();
        assert_eq!(lent.tokens, tokens(6, 2));
        desk.handed_back(&lent, TWO, tokens(7, 1), tokens(6, 1));
        assert_eq!(desk.lend(ANY, TWO).unwrap().tokens, tokens(6, 1), "it was not asked for");
        assert_eq!(take(&mut desk, Duration::ZERO).tokens, tokens(7, 1));
    }

    #[test]
    fn a_failed_token_that_a_sibling_resolves_is_failed_no_more() {
        let mut desk = desk(1, 1);
        let batch = take(&mut desk, Duration::ZERO);
        assert!(matches!(
            desk.no_answer(batch, Fault::Refused, "no", Duration::ZERO, SECOND),
            Consequence::Failed(_)
        ));
        assert_eq!(desk.gaps().len(), 1);
        assert!(!desk.known(&tokens(1, 1)[0]), "it was counted when it failed");
        assert!(desk.gaps().is_empty() && desk.is_done());
    }

    #[test]
    fn what_is_borrowed_meets_the_breaker_of_the_host_that_is_asked() {
        let (mut lender, mut borrower) = (desk(40, 1), desk(0, 1));
        for _ in 0..8 {
            let passage = borrower.breaker().passage(Duration::ZERO);
            let mut lent = lender.lend(ANY, ONE).unwrap();
            borrower.borrowed(&mut lent, passage);
            borrower.no_answer_to_borrowed(&lent, Fault::Broken, Duration::ZERO, SECOND);
            lender.not_answered_elsewhere(&lent, ONE, false);
        }
        assert_eq!(borrower.breaker().passage(Duration::ZERO), Passage::Until(SECOND), "it is down");
        assert_eq!(borrower.breaker().passage(SECOND), Passage::Probe, "one finds out");
        assert_eq!(
            lender.lend(Room { tokens: 40, ..ANY }, ONE).unwrap().tokens.len(),
            40,
            "no token is to blame"
        );
    }

    #[test]
    fn what_a_track_did_not_find_goes_to_the_next_in_line_once_each_and_never_to_two() {
        let mut desk = desk(2, 2);
        let own = take(&mut desk, Duration::ZERO);
        desk.answered(own.number, []);
        desk.did_not_find(tokens(1, 2));
        assert!(desk.is_done(), "it waits for nobody");
        let first = desk.lend(ANY, ONE).unwrap();
        assert!(first.is_second_try() && first.tokens.len() == 2);
        assert_eq!(desk.lend(ANY, TWO), None, "one at a time");
        assert!(desk.has_second_tries(TWO), "but they may come to it");
        desk.handed_back(&first, ONE, tokens(1, 2), None);
        assert_eq!(desk.lend(ANY, ONE), None);
        assert!(!desk.has_second_tries(ONE));
        let second = desk.lend(ANY, TWO).unwrap();
        assert_eq!(second.tokens.len(), 2);
        desk.not_answered_elsewhere(&second, TWO, true);
        assert!(desk.known(&tokens(1, 1)[0]) || desk.has_second_tries(TWO));
        let third = desk.lend(ANY, TWO).unwrap();
        assert_eq!(third.tokens, tokens(2, 1), "the other became known from elsewhere");
        desk.handed_back(&third, TWO, tokens(2, 1), None);
        assert!(!desk.has_second_tries(TWO) && desk.lend(ANY, TWO).is_none() && desk.is_done());
    }

    #[test]
    fn what_a_track_leaves_behind_is_asked_by_every_other_that_is_needed_and_by_nobody_twice() {
        let mut desk = desk(20, 4);
        let own = take(&mut desk, Duration::ZERO);
        let lent = desk.lend(ANY, ONE).unwrap();
        desk.handed_back(&lent, ONE, tokens(5, 5), None);
        let before = desk.lend(ANY, ONE).unwrap();
        desk.no_answer(own, Fault::Broken, "gone", Duration::ZERO, SECOND);
        desk.abandon();
        desk.handed_back(&before, ONE, before.tokens.clone(), None);
        let mut asked: BTreeMap<TokenId, Vec<Source>> = BTreeMap::new();
        lent.tokens.iter().chain(&before.tokens).for_each(|token| {
            asked.insert(*token, vec![ONE]);
        });
        loop {
            let loans = [ONE, TWO].map(|who| (who, desk.lend(ANY, who)));
            for (who, batch) in &loans {
                let Some(batch) = batch else { continue };
                batch.tokens.iter().for_each(|token| asked.entry(*token).or_default().push(*who));
                desk.handed_back(batch, *who, batch.tokens.clone(), None);
            }
            if loans.iter().all(|(_, batch)| batch.is_none()) {
                break;
            }
        }
        assert!(desk.is_done() && !desk.has_second_tries(ONE) && !desk.has_second_tries(TWO));
        assert_eq!(asked.len(), 20);
        for (token, mut by) in asked {
            by.sort_unstable();
            assert_eq!(by, [ONE, TWO], "{token}");
        }
    }

    #[test]
    fn a_doubted_token_is_asked_again_and_final_after_a_few_times() {
        let mut desk = desk(2, 2);
        let mut asked = 0;
        let finally = loop {
            let batch = take(&mut desk, Duration::ZERO);
            asked += 1;
            let finally = desk.answered(batch.number, tokens(1, 1));
            if !finally.is_empty() {
                break finally;
            }
        };
        assert_eq!((asked, finally), (u32::from(DOUBTS), tokens(1, 1)));
        assert!(desk.is_done());
    }
}
