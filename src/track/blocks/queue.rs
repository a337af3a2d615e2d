//! [`RangeQueue`]: the blocks that are to be read, who may read them, and when. Pure: it is told the time.

use std::collections::VecDeque;
use std::time::Duration;

use crate::chain::BlockRange;

/// How often a range is asked for before it is left for the next run.
const MOST_ATTEMPTS: u32 = 8;

/// A time of the reader's own clock.
pub type Clock = Duration;

/// A range that somebody is asking for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RangeJob {
    /// The blocks.
    pub range: BlockRange,
    /// How often they were asked for in vain.
    pub attempts: u32,
    not_before: Clock,
    avoids: Avoided,
}

/// Providers that are not asked for a range, a bit each: they do not have it, or left something out of it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Avoided(u64);

impl Avoided {
    /// Nobody but these.
    pub fn of(providers: impl IntoIterator<Item = usize>) -> Self {
        Self(providers.into_iter().fold(0, |bits, provider| bits | Self::bit(provider)))
    }

    const fn bit(provider: usize) -> u64 {
        if provider < 64 { 1 << provider } else { 0 }
    }

    fn has(self, provider: usize) -> bool {
        self.0 & Self::bit(provider) != 0
    }
}

/// What there is to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NextRange {
    /// This is to be asked for.
    Ask(RangeJob),
    /// Nothing before this time.
    WaitUntil(Clock),
    /// Nothing until something under way is over.
    Wait,
    /// Nothing any more.
    Done,
}

/// A range that nobody could be got to give.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FailedRange {
    /// The blocks.
    pub range: BlockRange,
    /// What the last answer was.
    pub reason: String,
}

/// The blocks that are to be read.
#[derive(Debug, Default)]
pub struct RangeQueue {
    open: VecDeque<RangeJob>,
    under_way: usize,
    failed: Vec<FailedRange>,
    /// Providers that are asked for nothing any more.
    gone: Avoided,
    providers: usize,
}

impl RangeQueue {
    /// These ranges, each with who is not to be asked for it, in their order.
    pub fn new(ranges: impl IntoIterator<Item = (BlockRange, Avoided)>, providers: usize) -> Self {
        let job = |(range, avoids)| RangeJob { range, attempts: 0, not_before: Duration::ZERO, avoids };
        Self { open: ranges.into_iter().map(job).collect(), providers, ..Self::default() }
    }

    /// The next blocks for a provider, at most `span` of them and none above `head`.
    pub fn take(&mut self, provider: usize, span: u64, head: u64, now: Clock) -> NextRange {
        let mut soonest: Option<Clock> = None;
        let mut place = None;
        for (at, job) in self.open.iter().enumerate() {
            if job.avoids.has(provider) || job.range.from > head {
                continue;
            }
            if job.not_before <= now {
                place = Some(at);
                break;
            }
            soonest = Some(soonest.map_or(job.not_before, |before| before.min(job.not_before)));
        }
        let Some(mut job) =
            place.and_then(|at| self.open.remove(at).map(|job| (at, job))).map(|(at, mut job)| {
                let (range, rest) = job.range.cut(span.min(head - job.range.from + 1));
                if let Some(rest) = rest {
                    self.open.insert(at, RangeJob { range: rest, ..job.clone() });
                }
                job.range = range;
                job
            })
        else {
            return match soonest {
                Some(soonest) => NextRange::WaitUntil(soonest),
                None if self.under_way > 0 => NextRange::Wait,
                // What is open is for others.
                None => NextRange::Done,
            };
        };
        self.under_way += 1;
        job.not_before = Duration::ZERO;
        NextRange::Ask(job)
    }

    /// A job is over: these blocks of it are still to be read.
    pub fn answered(&mut self, job: &RangeJob, rest: Option<BlockRange>) {
        self.under_way -= 1;
        if let Some(range) = rest {
            self.open.push_front(RangeJob { range, attempts: 0, not_before: Duration::ZERO, ..job.clone() });
        }
    }

    /// Blocks that are to be read once more.
    pub fn add(&mut self, ranges: &[BlockRange]) {
        let job = |range: &BlockRange| RangeJob {
            range: *range,
            attempts: 0,
            not_before: Duration::ZERO,
            avoids: Avoided::default(),
        };
        self.open.extend(ranges.iter().map(job));
    }

    /// A job came back as it went: it counts as no attempt.
    pub fn returned(&mut self, job: RangeJob) {
        self.under_way -= 1;
        self.open.push_front(job);
    }

    /// A job failed in a way that may pass; `true` where it is given up for this run.
    pub fn failed(&mut self, mut job: RangeJob, not_before: Clock, reason: &str) -> bool {
        self.under_way -= 1;
        job.attempts += 1;
        job.not_before = not_before;
        if job.attempts >= MOST_ATTEMPTS {
            self.failed.push(FailedRange { range: job.range, reason: reason.to_owned() });
            return true;
        }
        self.open.push_front(job);
        false
    }

    /// A provider cannot give this range, and others may; `true` where there are no others.
    pub fn not_from(&mut self, mut job: RangeJob, provider: usize, reason: &str) -> bool {
        self.under_way -= 1;
        job.avoids = Avoided(job.avoids.0 | Avoided::bit(provider));
        job.attempts = 0;
        if self.someone_for(job.avoids) {
            self.open.push_front(job);
            return false;
        }
        self.failed.push(FailedRange { range: job.range, reason: reason.to_owned() });
        true
    }

    /// A provider is asked for nothing any more: what nobody else may give fails.
    pub fn without(&mut self, provider: usize, reason: &str) {
        self.gone = Avoided(self.gone.0 | Avoided::bit(provider));
        let open = std::mem::take(&mut self.open);
        for job in open {
            if self.someone_for(job.avoids) {
                self.open.push_back(job);
            } else {
                self.failed.push(FailedRange { range: job.range, reason: reason.to_owned() });
            }
        }
    }

    fn someone_for(&self, avoids: Avoided) -> bool {
        (0..self.providers).any(|provider| !avoids.has(provider) && !self.gone.has(provider))
    }

    /// Whether nothing is open and nothing under way.
    pub fn is_done(&self) -> bool {
        self.open.is_empty() && self.under_way == 0
    }

    /// Blocks that nobody has asked for yet, or that are to be asked for again.
    pub fn open_blocks(&self) -> u64 {
        self.open.iter().map(|job| job.range.blocks()).sum()
    }

    /// What could not be had.
    pub fn take_failed(&mut self) -> Vec<FailedRange> {
        std::mem::take(&mut self.failed)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::chain::Coverage;

    fn range(from: u64, to: u64) -> BlockRange {
        BlockRange { from, to }
    }

    fn queue(ranges: &[BlockRange], providers: usize) -> RangeQueue {
        RangeQueue::new(ranges.iter().map(|range| (*range, Avoided::default())), providers)
    }

    #[test]
    fn a_range_that_one_provider_has_thrown_away_is_asked_of_the_other_alone() {
        let mut queue = queue(&[range(1, 10)], 2);
        let NextRange::Ask(job) = queue.take(0, 100, u64::MAX - 1, Duration::ZERO) else { panic!() };
        assert_eq!(queue.take(1, 100, u64::MAX - 1, Duration::ZERO), NextRange::Wait);
        assert!(!queue.not_from(job, 0, "pruned"));
        assert_eq!(queue.take(0, 100, u64::MAX - 1, Duration::ZERO), NextRange::Done);
        let NextRange::Ask(job) = queue.take(1, 100, u64::MAX - 1, Duration::ZERO) else { panic!() };
        assert!(queue.not_from(job, 1, "pruned"), "nobody is left");
        assert!(queue.is_done());
        assert_eq!(queue.take_failed(), [FailedRange { range: range(1, 10), reason: "pruned".to_owned() }]);
    }

    #[test]
    fn a_range_that_keeps_failing_is_left_for_the_next_run_and_no_other_waits_for_it() {
        let mut queue = queue(&[range(1, 10), range(20, 30)], 1);
        let mut attempts = 0;
        loop {
            let now = Duration::from_secs(attempts * 10);
            let NextRange::Ask(job) = queue.take(0, 5, u64::MAX - 1, now) else { panic!() };
            assert_eq!(job.range, range(1, 5));
            attempts += 1;
            let given_up = queue.failed(job, now + Duration::from_secs(5), "broken");
            // While it waits, the others are read.
            if let NextRange::Ask(other) = queue.take(0, 5, u64::MAX - 1, now) {
                assert_ne!(other.range, range(1, 5));
                queue.answered(&other, None);
            }
            if given_up {
                break;
            }
        }
        assert_eq!(attempts, u64::from(MOST_ATTEMPTS));
        assert_eq!(queue.take_failed()[0].range, range(1, 5));
    }

    proptest! {
        #[test]
        fn every_block_is_read_or_said_to_have_failed(
            steps in proptest::collection::vec((0usize..2, 1u64..40, 0u8..7), 1..300),
        ) {
            let whole = [range(1, 100), range(150, 260)];
            let mut queue = queue(&whole, 2);
            let (mut read, mut now) = (Coverage::default(), Duration::ZERO);
            let steps = steps.into_iter().chain((0..4_000).map(|step| (step % 2, 40, 0)));
            for (provider, span, fate) in steps {
                now += Duration::from_secs(1);
                match queue.take(provider, span, u64::MAX - 1, now) {
                    NextRange::Ask(job) => match fate {
                        0 | 1 => {
                            read.add(job.range);
                            queue.answered(&job, None);
                        }
                        2 => {
                            let (first, rest) = job.range.cut(job.range.blocks().div_ceil(2));
                            read.add(first);
                            queue.answered(&job, rest);
                        }
                        3 => queue.returned(job),
                        4 => {
                            queue.failed(job, now + Duration::from_secs(2), "broken");
                        }
                        5 => {
                            queue.not_from(job, provider, "pruned");
                        }
                        _ => {
                            queue.returned(job);
                            if provider == 1 {
                                queue.without(1, "gone");
                            }
                        }
                    },
                    NextRange::Wait => prop_assert!(false, "nothing is under way"),
                    NextRange::WaitUntil(_) | NextRange::Done => {}
                }
            }
            prop_assert!(queue.is_done());
            for failed in queue.take_failed() {
                read.add(failed.range);
            }
            prop_assert_eq!(read, whole.into_iter().collect());
        }
    }
}
