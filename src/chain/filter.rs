//! [`LogFilter`]: which logs are wanted, by contract and by topic, as `eth_getLogs` and the portals understand it.

use super::log::{Log, Word, hex};
use crate::ids::Address;

/// Contracts, and for each position of the topics the values that are wanted there.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct LogFilter {
    addresses: Vec<Address>,
    topics: Vec<Vec<Word>>,
}

impl LogFilter {
    /// Logs of one of `addresses` (of any where there is none) that have at each position one of the values listed for
    /// it; a position without values takes all. Only the first four positions are topics.
    pub fn new(mut addresses: Vec<Address>, topics: Vec<Vec<Word>>) -> Self {
        addresses.sort_unstable();
        addresses.dedup();
        let mut topics: Vec<Vec<Word>> = topics.into_iter().take(4).collect();
        for values in &mut topics {
            values.sort_unstable();
            values.dedup();
        }
        while topics.last().is_some_and(Vec::is_empty) {
            topics.pop();
        }
        Self { addresses, topics }
    }

    /// The contracts, each once, in order; none means all.
    pub fn addresses(&self) -> &[Address] {
        &self.addresses
    }

    /// The values wanted at each position, up to the last position that is not free.
    pub fn topics(&self) -> &[Vec<Word>] {
        &self.topics
    }

    /// Whether a log is wanted.
    pub fn takes(&self, log: &Log) -> bool {
        (self.addresses.is_empty() || self.addresses.binary_search(&log.address).is_ok())
            && self.topics.iter().enumerate().all(|(at, values)| {
                values.is_empty()
                    || log.topics.get(at).is_some_and(|topic| values.binary_search(topic).is_ok())
            })
    }

    /// What tells this filter from others: filters that take the same logs by the same lists share it.
    pub fn hash(&self) -> String {
        let mut text = Vec::new();
        for address in &self.addresses {
            text.extend_from_slice(address.as_bytes());
        }
        for values in &self.topics {
            text.extend_from_slice(b"|");
            values.iter().for_each(|topic| text.extend_from_slice(topic));
        }
        hex(&super::keccak256(&[&text])[..16])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn log(address: u8, topics: &[u8]) -> Log {
        Log {
            block: 1,
            log_index: 0,
            address: Address::from_bytes([address; 20]),
            topics: topics.iter().map(|it| [*it; 32]).collect(),
            data: Vec::new(),
            tx_hash: [0; 32],
            time: 0,
        }
    }

    #[test]
    fn a_filter_takes_by_contract_and_by_position_and_free_positions_take_all() {
        let address = Address::from_bytes([7; 20]);
        let filter = LogFilter::new(vec![address], vec![vec![[2; 32], [1; 32]], vec![], vec![[9; 32]]]);
        assert!(filter.takes(&log(7, &[1, 5, 9])) && filter.takes(&log(7, &[2, 6, 9, 1])));
        assert!(!filter.takes(&log(8, &[1, 5, 9])), "another contract");
        assert!(!filter.takes(&log(7, &[3, 5, 9])) && !filter.takes(&log(7, &[1, 5])), "other topics");
        let open = LogFilter::new(Vec::new(), vec![Vec::new()]);
        assert!(open.takes(&log(3, &[])) && open.topics().is_empty());
    }

    #[test]
    fn the_same_wishes_have_the_same_hash_and_others_have_another() {
        let [a, b] = [[1; 20], [2; 20]].map(Address::from_bytes);
        let filter = |addresses, topics| LogFilter::new(addresses, topics).hash();
        let one = filter(vec![a, b], vec![vec![[1; 32], [2; 32]]]);
        assert_eq!(one, filter(vec![b, a, b], vec![vec![[2; 32], [1; 32]], vec![]]));
        assert_ne!(one, filter(vec![a], vec![vec![[1; 32], [2; 32]]]));
        assert_ne!(one, filter(vec![a, b], vec![vec![[1; 32]], vec![[2; 32]]]));
        assert_eq!(one.len(), 32);
    }
}
