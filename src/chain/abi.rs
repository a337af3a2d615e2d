//! Reading Solidity's ABI encoding: words of 32 bytes, and arrays behind an offset. Nothing is allocated for a length
//! that the data does not hold.

use ruint::aliases::U256;

use super::log::Word;
use crate::ids::Address;

/// The words of an event's data.
#[derive(Debug, Clone, Copy)]
pub struct Words<'a>(&'a [u8]);

impl<'a> Words<'a> {
    /// The words of `data`.
    pub const fn new(data: &'a [u8]) -> Self {
        Self(data)
    }

    /// The word at a place, counted from 0.
    pub fn get(&self, place: usize) -> Option<Word> {
        let from = place.checked_mul(32)?;
        self.0.get(from..from.checked_add(32)?)?.try_into().ok()
    }

    /// The word at a place as a small number.
    pub fn number(&self, place: usize) -> Option<u64> {
        number(&self.get(place)?)
    }

    /// The array of words that the offset at `place` leads to.
    pub fn array(&self, place: usize) -> Option<Vec<Word>> {
        let (length, rest) = self.behind(place)?;
        if length > rest.len() / 32 {
            return None;
        }
        Some(rest.chunks_exact(32).take(length).filter_map(|word| word.try_into().ok()).collect())
    }

    /// The bytes that the offset at `place` leads to.
    pub fn bytes(&self, place: usize) -> Option<&'a [u8]> {
        let (length, rest) = self.behind(place)?;
        rest.get(..length)
    }

    /// The length that stands where the offset at `place` leads to, and what stands behind it.
    fn behind(&self, place: usize) -> Option<(usize, &'a [u8])> {
        let offset = usize::try_from(self.number(place)?).ok()?;
        let rest = self.0.get(offset..)?;
        let length = usize::try_from(number(rest.get(..32)?.try_into().ok()?)?).ok()?;
        Some((length, &rest[32..]))
    }
}

/// A word as a number, where it is below 2⁶⁴.
pub fn number(word: &Word) -> Option<u64> {
    let (high, low) = word.split_at(24);
    high.iter().all(|byte| *byte == 0).then(|| low.iter().fold(0, |sum, byte| sum << 8 | u64::from(*byte)))
}

/// A word as the number that it is.
pub const fn uint(word: &Word) -> U256 {
    U256::from_be_bytes(*word)
}

/// A number as a word.
pub fn word(number: u64) -> Word {
    U256::from(number).to_be_bytes()
}

/// A word as an address: right-aligned, nothing before it.
pub fn address(word: &Word) -> Option<Address> {
    let (before, address) = word.split_at(12);
    if before.iter().any(|byte| *byte != 0) {
        return None;
    }
    Some(Address::from_bytes(address.try_into().ok()?))
}

/// An address as a word.
pub fn address_word(address: &Address) -> Word {
    let mut word = [0; 32];
    word[12..].copy_from_slice(address.as_bytes());
    word
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn an_array_is_read_behind_its_offset_and_never_beyond_the_data() {
        let data: Vec<u8> = [word(32), word(2), word(7), word(9)].concat();
        let words = Words::new(&data);
        assert_eq!(words.array(0), Some(vec![word(7), word(9)]));
        assert_eq!(words.bytes(0), Some(&data[64..66]));
        let lying: Vec<u8> = [word(32), word(u64::MAX), word(7)].concat();
        assert_eq!((Words::new(&lying).array(0), Words::new(&lying).bytes(0)), (None, None));
        let outside: Vec<u8> = [word(4_096)].concat();
        assert_eq!(Words::new(&outside).array(0), None);
    }

    proptest! {
        #[test]
        fn no_data_whatever_makes_it_panic(data in proptest::collection::vec(any::<u8>(), 0..300), place in any::<usize>()) {
            let words = Words::new(&data);
            let _ = (words.get(place), words.array(place), words.bytes(place));
            for place in 0..6 {
                let _ = (words.number(place), words.array(place), words.bytes(place));
            }
        }
    }
}
