//! [`HashIndex`]: finds a market by its token or condition in four bytes a slot, without keeping the key twice.

use crate::ids::ConditionId;

const EMPTY: u32 = u32::MAX;

/// An open-addressing table of slot numbers. Keys are hashes already, so their low bits are the address.
#[derive(Debug)]
pub(super) struct HashIndex {
    slots: Vec<u32>,
}

impl HashIndex {
    /// An index of `count` keys (or fewer), numbered in their order.
    pub(super) fn of(count: usize, keys: impl Iterator<Item = u64>) -> Self {
        let size = (2 * count).next_power_of_two().max(2);
        let mut slots = vec![EMPTY; size];
        for (number, key) in keys.take(count).enumerate() {
            let mut at = key as usize & (size - 1);
            while slots[at] != EMPTY {
                at = (at + 1) & (size - 1);
            }
            slots[at] = number as u32;
        }
        Self { slots }
    }

    /// The number among those with this key that `is_it` accepts.
    pub(super) fn find(&self, key: u64, is_it: impl Fn(u32) -> bool) -> Option<u32> {
        let mask = self.slots.len() - 1;
        let mut at = key as usize & mask;
        // At least half of the slots are empty, so this ends.
        while self.slots[at] != EMPTY {
            if is_it(self.slots[at]) {
                return Some(self.slots[at]);
            }
            at = (at + 1) & mask;
        }
        None
    }
}

/// The key of a condition: its four words mixed, since those of the second generation end in zeros.
pub(super) fn condition_key(condition: &ConditionId) -> u64 {
    let word = |bytes: &[u8]| bytes.iter().fold(0, |key, &byte| key << 8 | u64::from(byte));
    condition.as_bytes().chunks_exact(8).fold(0, |key: u64, bytes| key ^ word(bytes))
}
