//! Rows of the public data set of conditions and payouts, as the logs that they were: so that they are checked like
//! whatever a provider gives.

use ruint::aliases::U256;

use super::log::read_hex;
use super::{Log, Word, abi, contracts};
use crate::ids::Address;

/// More outcomes than the contract takes.
const MOST_OUTCOMES: usize = 256;

/// A row of such a file, every value as text.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DatasetRow {
    /// `137_<block>_<logIndex>`.
    pub id: String,
    /// The condition.
    pub condition: String,
    /// Who resolves it.
    pub oracle: String,
    /// The question.
    pub question: String,
    /// How many outcomes it has.
    pub slots: String,
    /// What each outcome is paid, as a list in any brackets and quotes; `None` in a file of preparations.
    pub numerators: Option<String>,
}

impl DatasetRow {
    /// The log that says the same; its transaction is not known.
    ///
    /// # Errors
    /// The column that cannot be read.
    pub fn log(&self) -> Result<Log, &'static str> {
        let (block, log_index) = place(&self.id).ok_or("id")?;
        let condition = word(&self.condition).ok_or("condition_id")?;
        let oracle: Address = self.oracle.trim().parse().map_err(|_| "oracle")?;
        let question = word(&self.question).ok_or("question_id")?;
        let slots: u64 = self.slots.trim().parse().map_err(|_| "outcome_slot_count")?;
        let (event, data) = match &self.numerators {
            None => (contracts::CONDITION_PREPARATION, vec![abi::word(slots)]),
            Some(text) => {
                let numerators = numbers(text).ok_or("payout_numerators")?;
                let mut data = vec![abi::word(slots), abi::word(64), abi::word(numerators.len() as u64)];
                data.extend(numerators.iter().map(U256::to_be_bytes::<32>));
                (contracts::CONDITION_RESOLUTION, data)
            }
        };
        Ok(Log {
            block,
            log_index,
            address: contracts::conditional_tokens(),
            topics: vec![event, condition, abi::address_word(&oracle), question],
            data: data.concat(),
            tx_hash: [0; 32],
            time: 0,
        })
    }
}

/// Block and place of `137_<block>_<logIndex>`.
fn place(id: &str) -> Option<(u64, u32)> {
    let mut parts = id.trim().split('_');
    let chain: u64 = parts.next()?.parse().ok()?;
    let place = (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
    (chain == contracts::CHAIN_ID && parts.next().is_none()).then_some(place)
}

fn word(text: &str) -> Option<Word> {
    let text = text.trim();
    let digits = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")).unwrap_or(text);
    let mut word: Word = [0; 32];
    read_hex(digits.as_bytes(), &mut word).then_some(word)
}

/// The numbers of a list such as `['0','1']`, `[0, 1]`, `{0,1}` or `0 1`.
fn numbers(text: &str) -> Option<Vec<U256>> {
    let between = |it: char| it.is_ascii_whitespace() || "[]{}(),;'\"".contains(it);
    let parts = text.split(between).filter(|part| !part.is_empty()).take(MOST_OUTCOMES + 1);
    let numbers: Option<Vec<U256>> = parts
        .map(|part| {
            U256::from_str_radix(part, 10).ok().filter(|_| part.bytes().all(|it| it.is_ascii_digit()))
        })
        .collect();
    numbers.filter(|numbers| !numbers.is_empty() && numbers.len() <= MOST_OUTCOMES)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::chain::{Decoded, Event, decode};

    /// The pair of the documentation.
    fn row(numerators: Option<&str>) -> DatasetRow {
        DatasetRow {
            id: "137_91235439_441".to_owned(),
            condition: "0xbe20fcfd54937c2a48a7b8521ca349e6a2c4373566328ebb950a8c35ab1be3d9".to_owned(),
            oracle: "0x65070BE91477460D8A7AeEb94ef92fe056C2f2A7".to_owned(),
            question: "0x8fa725f0bd0b1f3fc6a2d07be5145fdd80d4a738feda70177dfdaddab49c61fd".to_owned(),
            slots: "2".to_owned(),
            numerators: numerators.map(str::to_owned),
        }
    }

    #[test]
    fn a_row_is_checked_as_the_log_that_it_was() {
        let log = row(None).log().unwrap();
        assert_eq!((log.block, log.log_index), (91_235_439, 441));
        assert!(matches!(decode(&log), Decoded::Event(Event::Condition { .. })));
        for list in ["['0','1']", "[0, 1]", "{0,1}", "0,1", "(0 1)"] {
            let decoded = decode(&row(Some(list)).log().unwrap());
            let Decoded::Event(Event::Resolution { numerators, .. }) = decoded else { panic!("{decoded:?}") };
            assert_eq!(numerators, [U256::from(0), U256::from(1)], "{list}");
        }
        let wrong = DatasetRow { question: format!("{:064x}", 7), ..row(None) };
        assert!(matches!(decode(&wrong.log().unwrap()), Decoded::Rejected(_)));
        let stranger = DatasetRow { slots: "3".to_owned(), ..row(None) };
        assert!(!matches!(decode(&stranger.log().unwrap()), Decoded::Event(_)));
    }

    #[test]
    fn what_cannot_be_read_names_its_column() {
        let broken = |change: fn(&mut DatasetRow)| {
            let mut row = row(Some("[0,1]"));
            change(&mut row);
            row.log().unwrap_err()
        };
        assert_eq!(broken(|it| it.id = "1_5_6".to_owned()), "id");
        assert_eq!(broken(|it| it.id = "137_5".to_owned()), "id");
        assert_eq!(broken(|it| it.condition.clear()), "condition_id");
        assert_eq!(broken(|it| it.oracle = "nobody".to_owned()), "oracle");
        assert_eq!(broken(|it| it.question.push('0')), "question_id");
        assert_eq!(broken(|it| it.slots = "two".to_owned()), "outcome_slot_count");
        for list in ["", "[]", "[-1,1]", "[0.5,0.5]", "[a]", "NULL", "[0_1]"] {
            let row = DatasetRow { numerators: Some(list.to_owned()), ..row(None) };
            assert_eq!(row.log().unwrap_err(), "payout_numerators", "{list}");
        }
    }

    proptest! {
        #[test]
        fn no_row_whatever_makes_it_panic(values in prop::array::uniform6("\\PC{0,80}")) {
            let [id, condition, oracle, question, slots, list] = values;
            let row = DatasetRow { id, condition, oracle, question, slots, numerators: Some(list) };
            let _ = row.log().map(|log| decode(&log));
        }
    }
}
