//! A second opinion: a sample of what was read is asked of another provider. Ranges about which the two differ are taken
//! out of the covered ones, and read again from whoever is not known to leave something out.

use std::collections::BTreeSet;

use super::events::ChainEvent;
use super::rows::{Rows, Told};
use super::{BlockRange, Reading};
use crate::chain::Coverage;
use crate::failure::Failure;
use crate::results::ChainCheck;
use crate::store::chain::KnownPlace;
use crate::track::blocks::{Avoided, RangeRead};

/// Blocks of a range that is in the sample or not.
const PIECE: u64 = 10_000;

impl Reading<'_> {
    /// Checks about `share` of the covered ranges.
    pub(super) async fn check(&mut self, share: f64, seed: u64) -> Result<ChainCheck, Failure> {
        let jobs = self.sample(share, seed)?;
        let mut result = ChainCheck::default();
        let mut differing = Coverage::default();
        let reader = self.reader(jobs);
        let mut answers = reader.start();
        while let Some(read) = answers.recv().await {
            result.ranges += 1;
            if let Some((missing, unconfirmed)) = self.compare(&read).await? {
                result.differing += 1;
                result.missing += missing;
                result.unconfirmed += unconfirmed;
                differing.add(read.range);
            }
        }
        let ranges: Vec<BlockRange> = differing.ranges().collect();
        self.uncover(&ranges).await?;
        Ok(result)
    }

    /// The pieces that are asked for, each without whoever gave it.
    fn sample(&self, share: f64, seed: u64) -> Result<Vec<(BlockRange, Avoided)>, Failure> {
        let wanted = self.wanted();
        let covered: Vec<(BlockRange, String)> = self
            .writer
            .ledger
            .ranges()
            .filter_map(|(range, provider)| Some((range.meet(&wanted)?, provider.to_owned())))
            .collect();
        let (mut jobs, mut alone) = (Vec::new(), None);
        for (range, first) in &covered {
            let of = self.numbers(|provider| provider.name() == first);
            if of.len() == self.providers.list.len() {
                alone = Some(first);
                continue;
            }
            let mut rest = Some(*range);
            while let Some(left) = rest {
                // Pieces begin at the same blocks whatever the ranges are.
                let (piece, behind) = left.cut(PIECE - left.from % PIECE);
                rest = behind;
                if dice(piece.from ^ seed) < share {
                    jobs.push((piece, Avoided::of(of.iter().copied())));
                }
            }
        }
        match alone {
            Some(first) if jobs.is_empty() => Err(Failure::Usage(format!(
                "--check needs a second provider: everything was read from {first}, which alone stands in CHAIN_URL; add another one with a comma"
            ))),
            _ => Ok(jobs),
        }
    }

    /// What the first provider left out, and what the second one does not have; `None` where they agree.
    async fn compare(&mut self, read: &RangeRead) -> Result<Option<(u64, u64)>, Failure> {
        let mut rows = Rows::default();
        rows.add_all(&read.logs, Told { by: &read.provider, at: 0 });
        let second: BTreeSet<KnownPlace> = rows.places().into_iter().collect();
        let first: BTreeSet<KnownPlace> =
            self.context.store.chain_places(read.range).await?.into_iter().collect();
        let missing = second.difference(&first).count() as u64;
        let unconfirmed = first.difference(&second).count() as u64;
        if missing == 0 && unconfirmed == 0 {
            return Ok(None);
        }
        let by = self.writer.ledger.ranges().find(|(range, _)| range.meet(&read.range).is_some());
        let first = by.map_or_else(|| "file".to_owned(), |(_, provider)| provider.to_owned());
        if missing > 0 {
            self.distrusted.push((read.range, first.clone()));
        }
        (self.listener)(ChainEvent::Differs {
            range: read.range,
            first,
            second: read.provider.to_string(),
            missing,
            unconfirmed,
        });
        Ok(Some((missing, unconfirmed)))
    }
}

/// A number from 0 up to 1 that a block and a seed decide.
fn dice(block: u64) -> f64 {
    let hash = crate::chain::keccak256(&[&block.to_be_bytes()]);
    let mut bits = [0; 8];
    bits.copy_from_slice(&hash[..8]);
    (u64::from_be_bytes(bits) >> 11) as f64 / (1_u64 << 53) as f64
}
