//! [`Span`]: how many blocks a provider is asked for at once. Pure.
//!
//! Providers refuse ranges of too many blocks or too many logs, each at another number, and some cut them short without
//! a word. So a refusal halves, is remembered, and what it taught is forgotten only slowly; and a node is never asked
//! for more at once than it was seen to answer in full: a larger range is a [`Trial`], whose halves are asked as well.

use crate::chain::BlockRange;
use crate::upstream::chain::ProviderKind;

/// Logs of one answer that are enough: more make it long and take memory.
const ENOUGH_LOGS: usize = 6_000;

/// No range is larger: nothing would be gained.
const LARGEST: u64 = 4_000_000;

/// Ranges in a row that were answered well before a larger one is tried for the first time.
const FIRST_PATIENCE: u32 = 12;

/// The same after a larger one was answered: there the way is free.
const LEAST_PATIENCE: u32 = 2;

/// Each refusal doubles them up to this, so that trying costs little where it leads to nothing.
const MOST_PATIENCE: u32 = 512;

/// How a range is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trial {
    /// It is no larger than what the provider is known to answer in full.
    Known,
    /// It is larger: its halves are asked as well, and compared.
    Larger,
}

/// How many blocks one provider is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    now: u64,
    /// The last that was answered.
    good: u64,
    /// What is known to be answered in full.
    known: u64,
    /// The smallest range that was refused lately.
    refused: Option<u64>,
    good_in_a_row: u32,
    patience: u32,
    /// Whether an answer tells by itself how far it reaches.
    tells: bool,
}

impl Span {
    /// Before the first request.
    pub const fn new(kind: ProviderKind) -> Self {
        let first = kind.first_span();
        Self {
            now: first,
            good: 1,
            known: first,
            refused: None,
            good_in_a_row: 0,
            patience: FIRST_PATIENCE,
            tells: matches!(kind, ProviderKind::Portal),
        }
    }

    /// Blocks of the next range.
    pub const fn blocks(&self) -> u64 {
        self.now
    }

    /// How a range is to be asked for.
    pub const fn trial(&self, range: BlockRange) -> Trial {
        if self.tells || range.blocks() <= self.known { Trial::Known } else { Trial::Larger }
    }

    /// A range was refused for its size.
    pub fn refused(&mut self, range: BlockRange) {
        let blocks = range.blocks();
        self.refused = Some(self.refused.map_or(blocks, |before| before.min(blocks)));
        // Back to what went well, where that is less; else it goes well no longer. Of many refused at once only the
        // first one changes something.
        if self.good >= blocks {
            self.good = 1;
        }
        self.now = self.now.min(self.good.max(blocks / 2).max(1));
        self.good_in_a_row = 0;
        self.patience = (self.patience * 2).min(MOST_PATIENCE);
    }

    /// A whole range was answered with so many logs.
    pub fn answered(&mut self, range: BlockRange, logs: usize) {
        if logs > 2 * ENOUGH_LOGS {
            self.now = self.now.min((range.blocks() / 2).max(1));
            self.good = self.good.min(self.now);
            return;
        }
        self.known = self.known.max(range.blocks());
        if range.blocks() > self.good {
            if self.good > 1 {
                self.patience = LEAST_PATIENCE;
            }
            self.good = range.blocks();
        }
        // What was asked before the last change, or is the end of a gap, says nothing of this span.
        if range.blocks() < self.now || logs > ENOUGH_LOGS {
            return;
        }
        self.good_in_a_row += 1;
        if self.good_in_a_row < self.patience {
            return;
        }
        self.good_in_a_row = 0;
        let twice = self.now.saturating_mul(2).min(LARGEST);
        self.now = match self.refused {
            // Half of the way to what was refused; what lies next to it is worth no further request.
            Some(refused) if twice >= refused => {
                let between = self.now + (refused - self.now.min(refused)) / 2;
                if between >= refused || between - self.now <= self.now / 16 {
                    // Elsewhere there may be fewer logs: it is tried again after a long time.
                    self.refused = Some(refused.saturating_mul(2));
                    self.now
                } else {
                    between
                }
            }
            _ => twice,
        };
    }

    /// A portal stopped after so many blocks, since it had enough.
    pub fn stopped_after(&mut self, blocks: u64) {
        self.now = self.now.min(blocks.max(1_000));
        self.good_in_a_row = 0;
    }

    /// A larger range was answered with less than its halves: the provider cuts without a word.
    pub fn cut_in_silence(&mut self, range: BlockRange) {
        self.refused(range);
        self.known = self.known.min((range.blocks() / 2).max(1));
        self.good = self.good.min(self.known);
        self.now = self.now.min(self.known);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn range(blocks: u64) -> BlockRange {
        BlockRange { from: 1, to: blocks }
    }

    /// Reads `blocks` blocks from a node that takes `limit` at once: requests, of them refused, of them trials.
    fn read(span: &mut Span, blocks: u64, limit: u64, logs_per_block: f64) -> (u64, u64, u64) {
        let (mut left, mut requests, mut refused, mut trials) = (blocks, 0, 0, 0);
        while left > 0 {
            let range = range(span.blocks().min(left));
            requests += 1;
            if range.blocks() > limit {
                refused += 1;
                span.refused(range);
                continue;
            }
            if span.trial(range) == Trial::Larger {
                (requests, trials) = (requests + 2, trials + 1);
            }
            span.answered(range, (range.blocks() as f64 * logs_per_block) as usize);
            left -= range.blocks();
        }
        (requests, refused, trials)
    }

    #[test]
    fn a_node_that_takes_ten_thousand_blocks_is_hardly_ever_asked_for_more() {
        let mut span = Span::new(ProviderKind::Node);
        let (requests, refused, trials) = read(&mut span, 94_000_000, 10_000, 0.02);
        assert!(requests < 9_400 * 102 / 100, "{requests} requests, {refused} refused, {trials} trials");
    }

    #[test]
    fn a_node_without_a_limit_is_soon_asked_for_much() {
        let mut span = Span::new(ProviderKind::Node);
        let (requests, ..) = read(&mut span, 94_000_000, u64::MAX, 0.000_1);
        assert!(requests < 200, "{requests}");
    }

    #[test]
    fn answers_stay_small_where_there_are_many_logs() {
        let mut span = Span::new(ProviderKind::Portal);
        read(&mut span, 1_000_000, u64::MAX, 5.0);
        assert!(span.blocks() as f64 * 5.0 <= 2.0 * ENOUGH_LOGS as f64, "{}", span.blocks());
    }

    proptest! {
        #[test]
        fn every_limit_is_found_and_wastes_little(limit in 1u64..2_000_000) {
            let mut span = Span::new(ProviderKind::Node);
            let blocks = limit.saturating_mul(1_000);
            let (requests, refused, _) = read(&mut span, blocks, limit, 0.0);
            prop_assert!(span.blocks() >= 1);
            let needed = blocks / limit.min(LARGEST);
            prop_assert!(requests <= needed * 5 / 2 + 60, "{requests} of {needed}, {refused} refused");
        }
    }
}
