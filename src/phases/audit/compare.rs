//! [`compare`]: two lists of one wallet's fills of one token, fill by fill.

use std::collections::{BTreeMap, BTreeSet};

use crate::phases::validate::waterfall::Cause;
use crate::pnl::Micro;

/// A fill, as the chain or the table has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct AuditFill {
    /// Whether shares were bought.
    pub(super) buys: bool,
    /// Micro-shares, whole.
    pub(super) shares: i128,
    /// Micro-USD before fees, whole.
    pub(super) cash: i128,
    /// The same as the table's decimals say, where they are not whole.
    pub(super) exact: Option<(String, String)>,
    /// Unix seconds; 0 where nobody says so.
    pub(super) time: u32,
    /// Where it stands.
    pub(super) place: String,
}

impl AuditFill {
    /// How far the cash of the same fill can be off in a table whose price was rounded to six decimals.
    fn tolerance(&self) -> i128 {
        1 + self.shares.abs() / 2_000_000
    }

    /// What it adds to the shares and to the cash, signed.
    pub(super) fn signed(&self) -> (Micro, Micro) {
        let (none, (shares, cash)) = (Micro::zero(), self.amounts());
        match self.buys {
            true => (shares, none.minus(&cash)),
            false => (none.minus(&shares), cash),
        }
    }

    /// Micro-shares and micro-USD, exact.
    fn amounts(&self) -> (Micro, Micro) {
        let parsed =
            self.exact.as_ref().and_then(|(shares, cash)| Some((shares.parse().ok()?, cash.parse().ok()?)));
        parsed.unwrap_or_else(|| (Micro::whole(self.shares), Micro::whole(self.cash)))
    }

    /// What a person is told of it.
    pub(super) fn told(&self) -> String {
        let side = if self.buys { "BUY" } else { "SELL" };
        let (shares, cash) = self.amounts();
        format!("{side} {} shares for {} USD ({})", shares.units().six(), cash.units().six(), self.place)
    }
}

/// Where the two lists differ.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Finding {
    /// How.
    pub(super) cause: Cause,
    /// As the chain has it.
    pub(super) chain: Option<AuditFill>,
    /// As the table has it.
    pub(super) table: Option<AuditFill>,
}

/// What makes two fills candidates for being the same: the second, the side, the shares; each left out as zero.
type Key = (u32, bool, i128);

/// Compares the chain's fills with the table's: every fill is in one pair, or one finding.
pub(super) fn compare(chain: Vec<AuditFill>, table: Vec<AuditFill>) -> Vec<Finding> {
    let mut open = Open { chain, table, paired: BTreeSet::new(), findings: Vec::new() };
    let whole = |it: &AuditFill| (it.time, it.buys, it.shares);
    let timeless = |it: &AuditFill| (0, it.buys, it.shares);
    let near = AuditFill::tolerance;
    let any = |_: &AuditFill| i128::MAX / 4;
    open.pair(&whole, &whole, &near, None);
    open.pair(&timeless, &timeless, &near, None);
    open.doubled(&whole);
    let turned = |it: &AuditFill| (it.time, !it.buys, it.shares);
    let turned_timeless = |it: &AuditFill| (0, !it.buys, it.shares);
    open.pair(&whole, &turned, &near, Some(Cause::AuditWrongSide));
    open.pair(&whole, &whole, &any, Some(Cause::AuditDifferent));
    open.pair(&timeless, &turned_timeless, &near, Some(Cause::AuditWrongSide));
    let second = |it: &AuditFill| (it.time, it.buys, 0);
    open.pair(&second, &second, &any, Some(Cause::AuditDifferent));
    open.doubled(&timeless);
    open.pair(&timeless, &timeless, &any, Some(Cause::AuditDifferent));
    open.rest()
}

/// What is not paired yet.
struct Open {
    chain: Vec<AuditFill>,
    table: Vec<AuditFill>,
    /// Of the fills that agree: what they are found by with their cash.
    paired: BTreeSet<(Key, i128)>,
    findings: Vec<Finding>,
}

impl Open {
    /// Pairs fills whose keys are equal and whose cash is as near as `within` says, the nearest below first. Without a
    /// cause they agree; a key with no second says nothing where the second is asked for.
    fn pair(
        &mut self,
        of_chain: &dyn Fn(&AuditFill) -> Key,
        of_table: &dyn Fn(&AuditFill) -> Key,
        within: &dyn Fn(&AuditFill) -> i128,
        cause: Option<Cause>,
    ) {
        let mut places: BTreeMap<(Key, i128), Vec<usize>> = BTreeMap::new();
        for (place, fill) in self.chain.iter().enumerate() {
            places.entry((of_chain(fill), fill.cash)).or_default().push(place);
        }
        let mut taken = BTreeSet::new();
        let mut left = Vec::new();
        for fill in std::mem::take(&mut self.table) {
            let (key, most) = (of_table(&fill), within(&fill));
            let same = places.contains_key(&(key, fill.cash)).then_some((key, fill.cash));
            let found = same.or_else(|| {
                let mut around = places.range((key, fill.cash - most)..=(key, fill.cash + most));
                around.next().map(|(place, _)| *place)
            });
            let Some(place) = found else {
                left.push(fill);
                continue;
            };
            let Some(of) = places.get_mut(&place) else { continue };
            let chain = of.pop();
            if of.is_empty() {
                places.remove(&place);
            }
            let Some(chain) = chain else { continue };
            taken.insert(chain);
            match cause {
                None => {
                    for key in [(fill.time, fill.buys, fill.shares), (0, fill.buys, fill.shares)] {
                        self.paired.insert((key, fill.cash));
                    }
                }
                Some(cause) => {
                    let chain = Some(self.chain[chain].clone());
                    self.findings.push(Finding { cause, chain, table: Some(fill) });
                }
            }
        }
        self.table = left;
        let mut place = 0;
        self.chain.retain(|_| {
            place += 1;
            !taken.contains(&(place - 1))
        });
    }

    /// Fills of the table that are there once more than the chain has them.
    fn doubled(&mut self, key: &dyn Fn(&AuditFill) -> Key) {
        let (paired, findings) = (&self.paired, &mut self.findings);
        self.table.retain(|fill| {
            let twice = paired.contains(&(key(fill), fill.cash));
            if twice {
                let table = Some(fill.clone());
                findings.push(Finding { cause: Cause::AuditDoubled, chain: None, table });
            }
            !twice
        });
    }

    fn rest(self) -> Vec<Finding> {
        let mut findings = self.findings;
        let missing = |fill| Finding { cause: Cause::AuditMissing, chain: Some(fill), table: None };
        let unknown = |fill| Finding { cause: Cause::AuditUnknown, chain: None, table: Some(fill) };
        findings.extend(self.chain.into_iter().map(missing));
        findings.extend(self.table.into_iter().map(unknown));
        findings
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn fill(time: u32, buys: bool, shares: i128, cash: i128) -> AuditFill {
        AuditFill { buys, shares, cash, exact: None, time, place: String::new() }
    }

    fn causes(chain: &[AuditFill], table: &[AuditFill]) -> Vec<Cause> {
        let mut causes: Vec<Cause> =
            compare(chain.to_vec(), table.to_vec()).into_iter().map(|it| it.cause).collect();
        causes.sort();
        causes
    }

    #[test]
    fn each_kind_of_defect_is_told_by_its_name() {
        let chain: Vec<AuditFill> =
            (1..=6).map(|it| fill(it, true, i128::from(it) * 100, i128::from(it) * 40)).collect();
        assert_eq!(causes(&chain, &chain), []);
        let mut table = chain.clone();
        table.reverse();
        table.push(fill(2, true, 200, 80));
        assert_eq!(causes(&chain, &table), [Cause::AuditDoubled]);
        table.pop();
        table[0].buys = false;
        assert_eq!(causes(&chain, &table), [Cause::AuditWrongSide]);
        table[1].cash += 100;
        table[2].shares += 7;
        assert_eq!(
            causes(&chain, &table),
            [Cause::AuditDifferent, Cause::AuditDifferent, Cause::AuditWrongSide]
        );
        table.truncate(5);
        table.push(fill(90, false, 1, 1));
        let found = causes(&chain, &table);
        assert!(found.contains(&Cause::AuditMissing) && found.contains(&Cause::AuditUnknown), "{found:?}");
        let rounded = fill(1, true, 30_000_000, 12_345_670);
        let exact = AuditFill { cash: 12_345_678, ..rounded.clone() };
        assert_eq!(causes(&[exact], &[rounded]), []);
    }

    proptest! {
        #[test]
        fn every_fill_is_in_one_pair_or_one_finding_whatever_the_order(
            chain in prop::collection::vec((0_u32..4, any::<bool>(), 1_i128..5, 0_i128..5), 0..30),
            table in prop::collection::vec((0_u32..4, any::<bool>(), 1_i128..5, 0_i128..5), 0..30),
        ) {
            let of = |list: &[(u32, bool, i128, i128)]| -> Vec<AuditFill> {
                list.iter().map(|it| fill(it.0, it.1, it.2, it.3)).collect()
            };
            let found = compare(of(&chain), of(&table));
            let of_chain = found.iter().filter(|it| it.chain.is_some()).count();
            let of_table = found.iter().filter(|it| it.table.is_some()).count();
            prop_assert_eq!(chain.len() - of_chain, table.len() - of_table);
            let same = compare(of(&chain), of(&chain));
            prop_assert!(same.is_empty());
        }
    }
}
