//! How much an answer is worth: what shows that it is not what the chain has, and how it is asked for again.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::sync::Mutex;

use super::provider::Provider;
use super::span::Trial;
use crate::chain::{BlockRange, Log, LogFilter};
use crate::upstream::chain::{LogPage, ProviderKind, ReadError};

/// How often a range is asked for whose answers hold logs that cannot be true, each time others.
const DOUBTED_ASKS: usize = 10;

/// Answers in a row that hold the very same false logs, after which that is how it stands there.
const SAME_ANSWERS: usize = 3;

/// An answer of fewer logs is cut short by no limit.
const FEWEST_OF_A_LIMIT: usize = 32;

/// What was read of a range.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ReadLogs {
    /// The logs that can be true, each once, in order.
    pub logs: Vec<Log>,
    /// Logs that cannot: their hash is wrong, and no further answer had another in their place.
    pub false_logs: Vec<Log>,
    /// Records that are no logs, with what was wrong.
    pub unreadable: Vec<(String, String)>,
    /// Logs that the chain has taken back.
    pub removed: u64,
    /// The last block that was read.
    pub reaches: u64,
}

/// Whether a log cannot be true, whatever else is.
pub type CannotBe = fn(&Log) -> bool;

/// What is known of the number of logs that a provider gives at once.
#[derive(Debug, Clone, Default)]
pub(super) struct TopCount {
    /// The most logs that an answer had, and the ranges that had as many.
    most: usize,
    ranges: Vec<BlockRange>,
    /// So many it was seen to give in full: the halves of the range had no more.
    in_full: usize,
    /// A number of logs at which it cuts its answers without a word.
    cuts_at: Option<usize>,
}

impl TopCount {
    /// Whether so many logs may be a limit that nobody told: many more than were ever seen to be given in full, or the
    /// most so far once more.
    fn may_be_a_limit(&mut self, range: BlockRange, logs: usize) -> bool {
        if logs < FEWEST_OF_A_LIMIT {
            return false;
        }
        match logs.cmp(&self.most) {
            Ordering::Greater => (self.most, self.ranges) = (logs, vec![range]),
            Ordering::Equal => self.ranges.push(range),
            Ordering::Less => {}
        }
        self.cuts_at.is_some_and(|limit| logs >= limit)
            || logs > 4 * self.in_full
            || logs == self.most && logs > self.in_full && self.ranges.len() > 1
    }

    /// An answer of so many logs was whole.
    fn was_whole(&mut self, logs: usize) {
        self.in_full = self.in_full.max(logs);
    }

    /// An answer of so many logs was not whole: the ranges whose answers had as many may not have been either.
    fn was_cut(&mut self, logs: usize) -> Vec<BlockRange> {
        if logs < FEWEST_OF_A_LIMIT {
            return Vec::new();
        }
        self.cuts_at = Some(self.cuts_at.map_or(logs, |before| before.min(logs)));
        self.in_full = 0;
        if logs >= self.most { std::mem::take(&mut self.ranges) } else { Vec::new() }
    }
}

/// Asks a provider for a range until the answers agree with themselves.
pub(super) async fn read(
    provider: &Provider,
    top: &Mutex<TopCount>,
    filter: &LogFilter,
    range: BlockRange,
    cannot_be: CannotBe,
) -> Result<ReadLogs, ReadError> {
    let node = provider.reader.kind() == ProviderKind::Node;
    let trial = provider.span().trial(range);
    let page = ask(provider, filter, range).await?;
    let suspect = node && lock(top).may_be_a_limit(range, page.logs.len());
    if node
        && (trial == Trial::Larger || suspect)
        && let Some(halves) = range.halves()
    {
        return by_halves(provider, top, filter, range, halves, page, cannot_be).await;
    }
    let empty = node && page.logs.is_empty();
    let mut answers = vec![page];
    // An empty answer proves nothing. One that says the same again is believed until a second provider is asked.
    if empty && range.blocks() > 1 && !provider.is_near_head(range.to) {
        answers.push(ask(provider, filter, range).await?);
    }
    settle(provider, filter, range, answers, cannot_be).await
}

/// One request, and for a node near its head its head with it, which shows that it had all the blocks.
async fn ask(provider: &Provider, filter: &LogFilter, range: BlockRange) -> Result<LogPage, ReadError> {
    let bound = provider.reader.kind() == ProviderKind::Node && provider.is_near_head(range.to);
    let page = provider.ask(provider.reader.logs(filter, range, bound)).await?;
    if bound {
        let latest = match page.head {
            Some(latest) => latest,
            None => provider.ask(provider.reader.latest()).await?,
        };
        if latest < range.to {
            return Err(ReadError::Behind(format!("its head is block {latest}, below {}", range.to)));
        }
    }
    Ok(page)
}

fn lock(top: &Mutex<TopCount>) -> std::sync::MutexGuard<'_, TopCount> {
    top.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

/// Compares a whole range with its halves. Where they have more, the provider cuts without a word.
async fn by_halves(
    provider: &Provider,
    top: &Mutex<TopCount>,
    filter: &LogFilter,
    range: BlockRange,
    halves: (BlockRange, BlockRange),
    whole: LogPage,
    cannot_be: CannotBe,
) -> Result<ReadLogs, ReadError> {
    let first = ask(provider, filter, halves.0).await?;
    let second = ask(provider, filter, halves.1).await?;
    let in_halves = first.logs.len() + second.logs.len();
    if in_halves > whole.logs.len() {
        let doubted = lock(top).was_cut(whole.logs.len());
        provider.cuts_in_silence(range, doubted);
        // The halves may be cut as well: they are asked for again, as ranges of their own.
        return Err(ReadError::TooWide(format!(
            "{} logs of {} blocks, of which its halves have {in_halves}",
            whole.logs.len(),
            range.blocks()
        )));
    }
    lock(top).was_whole(whole.logs.len());
    let halves = LogPage {
        logs: first.logs.into_iter().chain(second.logs).collect(),
        reaches: range.to,
        unreadable: first.unreadable.into_iter().chain(second.unreadable).collect(),
        removed: first.removed + second.removed,
        unasked: first.unasked + second.unasked,
        head: None,
    };
    settle(provider, filter, range, vec![whole, halves], cannot_be).await
}

/// Joins answers about the same range. While one of them holds what cannot be true, something true may stand in its
/// place: it is asked again, until another answer had it or all say the same.
async fn settle(
    provider: &Provider,
    filter: &LogFilter,
    range: BlockRange,
    answers: Vec<LogPage>,
    cannot_be: CannotBe,
) -> Result<ReadLogs, ReadError> {
    let mut joined = Joined::default();
    let (mut asked, mut same) = (0, 1);
    for answer in answers {
        asked += 1;
        joined.add(answer, cannot_be);
    }
    while joined.is_doubtful() && same < SAME_ANSWERS {
        if asked == DOUBTED_ASKS {
            return Err(ReadError::Passing("each answer holds other logs that cannot be true".to_owned()));
        }
        asked += 1;
        let before = joined.doubts();
        let again = BlockRange { to: joined.reaches.unwrap_or(range.to), ..range };
        joined.add(ask(provider, filter, again).await?, cannot_be);
        same = if joined.doubts() == before { same + 1 } else { 1 };
    }
    Ok(joined.into_logs(range))
}

/// Several answers about one range.
#[derive(Debug, Default)]
struct Joined {
    logs: BTreeMap<(u64, u32), Log>,
    false_logs: BTreeMap<(u64, u32), Log>,
    unreadable: Vec<(String, String)>,
    doubtful_records: usize,
    removed: u64,
    reaches: Option<u64>,
}

impl Joined {
    fn add(&mut self, page: LogPage, cannot_be: CannotBe) {
        self.reaches = Some(self.reaches.map_or(page.reaches, |before| before.min(page.reaches)));
        self.removed += page.removed;
        // An answer in which everything can be read makes up for one in which something could not.
        self.doubtful_records = page.unreadable.len() + page.unasked as usize;
        if self.unreadable.is_empty() {
            self.unreadable = page.unreadable;
        }
        for log in page.logs {
            let place = (log.block, log.log_index);
            if cannot_be(&log) {
                self.false_logs.insert(place, log);
            } else {
                self.logs.insert(place, log);
            }
        }
    }

    /// The false logs in whose places no answer had a true one, as they were told last.
    fn doubts(&self) -> (Vec<Log>, usize) {
        let open = self.false_logs.iter().filter(|(place, _)| !self.logs.contains_key(place));
        (open.map(|(_, log)| log.clone()).collect(), self.doubtful_records)
    }

    fn is_doubtful(&self) -> bool {
        self.doubtful_records > 0 || self.false_logs.keys().any(|place| !self.logs.contains_key(place))
    }

    fn into_logs(mut self, range: BlockRange) -> ReadLogs {
        let reaches = self.reaches.unwrap_or(range.to);
        self.logs.retain(|(block, _), _| *block <= reaches);
        ReadLogs {
            logs: self.logs.into_values().collect(),
            false_logs: self.false_logs.into_values().collect(),
            unreadable: self.unreadable,
            removed: self.removed,
            reaches,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_be_a_limit_is_looked_at_and_what_was_seen_in_full_is_not() {
        let mut top = TopCount::default();
        let range = |from| BlockRange { from, to: from + 9 };
        assert!(!top.may_be_a_limit(range(0), 31), "too few");
        assert!(top.may_be_a_limit(range(10), 70), "the first");
        top.was_whole(70);
        assert!(!top.may_be_a_limit(range(20), 76) && !top.may_be_a_limit(range(30), 75));
        assert!(top.may_be_a_limit(range(40), 76), "the most once more");
        assert_eq!(top.was_cut(76), [range(20), range(40)]);
        assert!(top.may_be_a_limit(range(50), 80) && !top.may_be_a_limit(range(60), 20));
    }
}
