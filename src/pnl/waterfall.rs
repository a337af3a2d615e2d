//! [`choose`]: which of the causes that could stand between two totals do, together, leave the least unexplained.

use num_traits::ToPrimitive;

use super::Usd;

/// Half a cent, in millionths of a USD: what a step has to explain to be worth its line.
const WORTH_A_LINE: i128 = 5_000;

/// Groups beyond so many are not tried; the largest are.
const MOST_GROUPS: usize = 16;

/// A cause that may stand between an expected and a computed total. Of one group at most one is taken: the others of it
/// say otherwise about the same rows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate<Cause> {
    /// Candidates with the same number exclude each other.
    pub group: u32,
    /// What it is.
    pub cause: Cause,
    /// What it adds to the computed total.
    pub amount: Usd,
    /// How many rows it is made of.
    pub rows: u64,
}

/// The candidates that together come closest to `difference`, in their order; of equals the fewest. What they leave is
/// the unexplained rest, which the caller adds up exactly: here amounts are compared in millionths of a USD.
pub fn choose<Cause>(difference: &Usd, candidates: &[Candidate<Cause>]) -> Vec<usize> {
    let mut groups: Vec<(u32, Vec<(usize, i128)>)> = Vec::new();
    for (number, candidate) in candidates.iter().enumerate() {
        let amount = millionths(&candidate.amount);
        if amount.abs() < WORTH_A_LINE {
            continue;
        }
        match groups.iter_mut().find(|(group, _)| *group == candidate.group) {
            Some((_, members)) => members.push((number, amount)),
            None => groups.push((candidate.group, vec![(number, amount)])),
        }
    }
    groups
        .sort_by_key(|(_, members)| std::cmp::Reverse(members.iter().map(|(_, amount)| amount.abs()).max()));
    groups.truncate(MOST_GROUPS);
    let mut search = Search { groups: &groups, best: i128::MAX, taken: Vec::new(), chosen: Vec::new() };
    search.descend(0, millionths(difference));
    let mut chosen = search.chosen;
    chosen.sort_unstable();
    chosen
}

/// In millionths, rounded; what has more digits than anybody's money is as far away as can be.
fn millionths(amount: &Usd) -> i128 {
    let million = num_rational::BigRational::from_integer(1_000_000.into());
    (&amount.0 * million).round().to_integer().to_i128().unwrap_or(i128::MAX / 4).clamp(-FAR, FAR)
}

/// Far more than there is money, and far less than an overflow of a sum.
const FAR: i128 = i128::MAX / 1_000;

struct Search<'a> {
    groups: &'a [(u32, Vec<(usize, i128)>)],
    best: i128,
    taken: Vec<usize>,
    chosen: Vec<usize>,
}

impl Search<'_> {
    fn descend(&mut self, depth: usize, rest: i128) {
        let Some((_, members)) = self.groups.get(depth) else {
            let cost = rest.abs() + WORTH_A_LINE * self.taken.len() as i128;
            if cost < self.best {
                (self.best, self.chosen) = (cost, self.taken.clone());
            }
            return;
        };
        self.descend(depth + 1, rest);
        for (number, amount) in members {
            self.taken.push(*number);
            self.descend(depth + 1, rest - amount);
            self.taken.pop();
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn usd(text: &str) -> Usd {
        text.parse().unwrap()
    }

    fn candidate(group: u32, amount: &str) -> Candidate<()> {
        Candidate { group, cause: (), amount: usd(amount), rows: 1 }
    }

    #[test]
    fn the_causes_that_fit_are_taken_and_the_others_left() {
        let all = [candidate(1, "-40"), candidate(2, "12.5"), candidate(3, "100"), candidate(4, "0.001")];
        assert_eq!(choose(&usd("-27.5"), &all), [0, 1]);
        assert_eq!(choose(&usd("0"), &all), [0_usize; 0]);
        assert_eq!(choose(&usd("100.003"), &all), [2]);
    }

    #[test]
    fn of_what_excludes_each_other_one_is_taken() {
        let all = [candidate(1, "-40"), candidate(1, "60"), candidate(2, "5")];
        assert_eq!(choose(&usd("65"), &all), [1, 2]);
        assert_eq!(
            choose(&usd("20"), &all),
            [2],
            "both together would fit, but say otherwise about the same rows"
        );
    }

    proptest! {
        #[test]
        fn what_is_chosen_never_leaves_more_than_nothing_would(
            difference in -1_000_000_i64..1_000_000, amounts in prop::collection::vec((0_u32..6, -1_000_000_i64..1_000_000), 0..9),
        ) {
            let all: Vec<Candidate<()>> = amounts.iter().map(|(group, amount)| candidate(*group, &amount.to_string())).collect();
            let chosen = choose(&usd(&difference.to_string()), &all);
            let sum: i64 = chosen.iter().map(|number| amounts[*number].1).sum();
            prop_assert!((difference - sum).abs() <= difference.abs());
            let mut groups: Vec<u32> = chosen.iter().map(|number| all[*number].group).collect();
            groups.sort_unstable();
            groups.dedup();
            prop_assert_eq!(groups.len(), chosen.len());
        }
    }
}
