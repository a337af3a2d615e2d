//! [`Coverage`]: which blocks have been read. Pure; ranges come in any order and may repeat.

use std::collections::BTreeMap;
use std::fmt;

/// Blocks from the first to the last, both included.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct BlockRange {
    /// The first block.
    pub from: u64,
    /// The last block, never below the first.
    pub to: u64,
}

impl BlockRange {
    /// The blocks from `from` to `to`, `None` where `to` is below `from`.
    pub const fn new(from: u64, to: u64) -> Option<Self> {
        if from <= to { Some(Self { from, to }) } else { None }
    }

    /// How many blocks it has.
    pub const fn blocks(&self) -> u64 {
        (self.to - self.from).saturating_add(1)
    }

    /// Whether a block is one of them.
    pub const fn contains(&self, block: u64) -> bool {
        self.from <= block && block <= self.to
    }

    /// The blocks that both have.
    pub fn meet(&self, other: &Self) -> Option<Self> {
        Self::new(self.from.max(other.from), self.to.min(other.to))
    }

    /// Its first `blocks` blocks and the rest; the first part has one block at least.
    pub fn cut(&self, blocks: u64) -> (Self, Option<Self>) {
        let last = self.from.saturating_add(blocks.max(1) - 1).min(self.to);
        (
            Self { from: self.from, to: last },
            Self::new(last.saturating_add(1), self.to).filter(|_| last < self.to),
        )
    }

    /// Both halves of it, the second one smaller by one where they differ; `None` for a single block.
    pub fn halves(&self) -> Option<(Self, Self)> {
        let (first, second) = self.cut(self.blocks().div_ceil(2));
        Some((first, second?))
    }
}

impl fmt::Display for BlockRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}..{}", self.from, self.to)
    }
}

impl std::str::FromStr for BlockRange {
    type Err = BadRange;

    fn from_str(text: &str) -> Result<Self, BadRange> {
        let (from, to) = text.split_once("..").ok_or(BadRange)?;
        let to = to.strip_prefix('=').unwrap_or(to);
        let number = |text: &str| text.trim().replace('_', "").parse().map_err(|_| BadRange);
        Self::new(number(from)?, number(to)?).ok_or(BadRange)
    }
}

/// A text is no range of blocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected FROM..TO, two block numbers of which the second is not below the first, both included")]
pub struct BadRange;

/// A set of blocks, kept as the ranges that it has.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Coverage {
    /// The last block of each range by its first; ranges neither overlap nor touch.
    ranges: BTreeMap<u64, u64>,
}

impl Coverage {
    /// Adds blocks; those that are there already change nothing.
    pub fn add(&mut self, range: BlockRange) {
        let (mut from, mut to) = (range.from, range.to);
        // Every range that overlaps or touches becomes part of the new one.
        while let Some((first, last)) = self.last_at_or_before(to.saturating_add(1)) {
            if last.saturating_add(1) < from {
                break;
            }
            self.ranges.remove(&first);
            (from, to) = (from.min(first), to.max(last));
        }
        self.ranges.insert(from, to);
    }

    /// Takes blocks out; those that are not there change nothing.
    pub fn remove(&mut self, range: BlockRange) {
        while let Some((first, last)) = self.last_at_or_before(range.to) {
            if last < range.from {
                break;
            }
            self.ranges.remove(&first);
            if last > range.to {
                self.ranges.insert(range.to + 1, last);
            }
            if first < range.from {
                self.ranges.insert(first, range.from - 1);
                break;
            }
        }
    }

    /// The range that begins last of those that begin at or before `block`.
    fn last_at_or_before(&self, block: u64) -> Option<(u64, u64)> {
        self.ranges.range(..=block).next_back().map(|(first, last)| (*first, *last))
    }

    /// The ranges in order, none of them touching the next.
    pub fn ranges(&self) -> impl Iterator<Item = BlockRange> + '_ {
        self.ranges.iter().map(|(from, to)| BlockRange { from: *from, to: *to })
    }

    /// How many blocks it has.
    pub fn blocks(&self) -> u64 {
        self.ranges().map(|range| range.blocks()).fold(0, u64::saturating_add)
    }

    /// The last block, `None` where there is none.
    pub fn last(&self) -> Option<u64> {
        self.ranges.last_key_value().map(|(_, to)| *to)
    }

    /// Whether it has every block of a range.
    pub fn has(&self, range: BlockRange) -> bool {
        self.last_at_or_before(range.from).is_some_and(|(_, last)| last >= range.to)
    }

    /// The blocks of `within` that it does not have, in order.
    pub fn missing(&self, within: BlockRange) -> Vec<BlockRange> {
        let mut missing = Vec::new();
        let mut next = Some(within.from);
        let before = self.last_at_or_before(within.from).map(|(first, _)| first).unwrap_or(within.from);
        for (first, last) in self.ranges.range(before..=within.to) {
            let Some(from) = next else { break };
            if let Some(gap) = first.checked_sub(1).and_then(|to| BlockRange::new(from, to)) {
                missing.push(gap);
            }
            next = last.checked_add(1).map(|after| after.max(from));
        }
        missing.extend(next.and_then(|from| BlockRange::new(from, within.to)));
        missing
    }
}

impl FromIterator<BlockRange> for Coverage {
    fn from_iter<I: IntoIterator<Item = BlockRange>>(ranges: I) -> Self {
        let mut coverage = Self::default();
        ranges.into_iter().for_each(|range| coverage.add(range));
        coverage
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    fn range() -> impl Strategy<Value = BlockRange> {
        (0u64..60, 0u64..15).prop_map(|(from, more)| BlockRange { from, to: from + more })
    }

    fn set(ranges: impl Iterator<Item = BlockRange>) -> BTreeSet<u64> {
        ranges.flat_map(|range| range.from..=range.to).collect()
    }

    #[test]
    fn the_ends_of_the_numbers_are_blocks_like_others() {
        let mut coverage = Coverage::default();
        let all = BlockRange { from: 0, to: u64::MAX };
        assert_eq!(coverage.missing(all), [all]);
        coverage.add(BlockRange { from: u64::MAX, to: u64::MAX });
        coverage.add(BlockRange { from: 0, to: 0 });
        assert_eq!(coverage.missing(all), [BlockRange { from: 1, to: u64::MAX - 1 }]);
        coverage.remove(all);
        assert_eq!((coverage.blocks(), coverage.last()), (0, None));
        assert!("5..4".parse::<BlockRange>().is_err() && "5".parse::<BlockRange>().is_err());
        assert_eq!("1_000..2000".parse(), Ok(BlockRange { from: 1_000, to: 2_000 }));
    }

    proptest! {
        #[test]
        fn it_is_the_set_of_blocks_that_were_added_and_not_removed_since(
            steps in proptest::collection::vec((any::<bool>(), range()), 0..30), within in range(),
        ) {
            let (mut coverage, mut blocks) = (Coverage::default(), BTreeSet::new());
            for (adding, range) in steps {
                if adding {
                    coverage.add(range);
                    blocks.extend(range.from..=range.to);
                } else {
                    coverage.remove(range);
                    blocks.retain(|block| !range.contains(*block));
                }
                let ranges: Vec<_> = coverage.ranges().collect();
                prop_assert!(ranges.windows(2).all(|pair| pair[0].to + 1 < pair[1].from), "{ranges:?}");
                prop_assert_eq!(set(ranges.into_iter()), blocks.clone());
            }
            let missing: BTreeSet<u64> = (within.from..=within.to).filter(|it| !blocks.contains(it)).collect();
            prop_assert_eq!(set(coverage.missing(within).into_iter()), missing.clone());
            prop_assert_eq!(coverage.has(within), missing.is_empty());
            prop_assert_eq!(coverage.blocks(), blocks.len() as u64);
        }

        #[test]
        fn a_cut_loses_no_block(range in range(), blocks in 0u64..20) {
            let (first, rest) = range.cut(blocks);
            prop_assert_eq!(first.blocks() + rest.map_or(0, |rest| rest.blocks()), range.blocks());
            prop_assert!(rest.is_none_or(|rest| rest.from == first.to + 1));
            if let Some((one, two)) = range.halves() {
                prop_assert_eq!(one.blocks() + two.blocks(), range.blocks());
                prop_assert!(one.blocks() - two.blocks() <= 1);
            }
        }
    }
}
