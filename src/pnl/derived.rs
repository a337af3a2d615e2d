//! Payouts that no source reports: of combos by their legs, and of negative-risk questions by the others of their event.

use num_rational::BigRational;
use num_traits::{One, Zero};

use super::payout::Payout;

/// What an outcome of a combo pays by what its legs pay: YES their product, NO the rest. A leg that pays nothing decides
/// at once; else it takes all of them, and `None` is undecided.
pub fn combo_payout(legs: &[Option<Payout>], outcome_index: u8) -> Option<Payout> {
    let yes = if legs.iter().flatten().any(|leg| !leg.pays()) {
        BigRational::zero()
    } else {
        let all: Option<Vec<&Payout>> = legs.iter().map(Option::as_ref).collect();
        all.filter(|all| !all.is_empty())?.iter().fold(BigRational::one(), |product, leg| product * &leg.0)
    };
    Some(of_yes(yes, outcome_index))
}

/// What an outcome of question `index` of an event pays where nothing reports it. `yes` is what YES pays of every
/// question, in their order, and last of the synthetic "Other". One YES decides: all others and "Other" pay NO. All real
/// ones NO: "Other" pays YES.
pub fn event_payout(yes: &[Option<Payout>], index: usize, outcome_index: u8) -> Option<Payout> {
    let is = |payout: &Option<Payout>, whole: &BigRational| payout.as_ref().is_some_and(|it| it.0 == *whole);
    let (one, zero) = (BigRational::one(), BigRational::zero());
    let other_came_true = yes.iter().enumerate().any(|(nth, payout)| nth != index && is(payout, &one));
    let last = yes.len().checked_sub(1)?;
    if other_came_true {
        Some(of_yes(zero, outcome_index))
    } else if index == last && last > 0 && yes[..last].iter().all(|payout| is(payout, &zero)) {
        Some(of_yes(one, outcome_index))
    } else {
        None
    }
}

fn of_yes(yes: BigRational, outcome_index: u8) -> Payout {
    Payout(if outcome_index == 0 { yes } else { BigRational::one() - yes })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(texts: &[&str]) -> Vec<Option<Payout>> {
        let part = |text: &str| match text {
            "?" => None,
            "1/2" => Payout::new(1, 2),
            "1/3" => Payout::new(1, 3),
            whole => Payout::new(whole.parse().unwrap(), 1),
        };
        texts.iter().map(|text| part(text)).collect()
    }

    #[test]
    fn a_combo_pays_the_product_of_its_legs_and_one_that_pays_nothing_decides() {
        for (legs, yes, no) in [
            (&["1", "1"][..], Payout::new(1, 1), Payout::new(0, 1)),
            (&["1", "1/2", "1/3"], Payout::new(1, 6), Payout::new(5, 6)),
            (&["0", "?"], Payout::new(0, 1), Payout::new(1, 1)),
            (&["1", "?"], None, None),
            (&[], None, None),
        ] {
            assert_eq!((combo_payout(&parts(legs), 0), combo_payout(&parts(legs), 1)), (yes, no), "{legs:?}");
        }
    }

    #[test]
    fn one_yes_decides_an_event_and_all_no_makes_other_come_true() {
        for (yes, index, expected) in [
            (&["?", "1", "?", "?"][..], 0, Payout::new(0, 1)),
            (&["?", "1", "?", "?"], 3, Payout::new(0, 1)),
            (&["0", "0", "0", "?"], 3, Payout::new(1, 1)),
            (&["0", "0", "?", "?"], 3, None),
            // Two of three say NO: that the third came true nobody said, "Other" may have.
            (&["0", "0", "?", "?"], 2, None),
            (&["?", "?", "?", "1"], 0, Payout::new(0, 1)),
            (&["1/2", "?", "?", "?"], 1, None),
            (&[], 0, None),
        ] {
            assert_eq!(event_payout(&parts(yes), index, 0), expected, "{yes:?} {index}");
            let no = expected.map(|_| event_payout(&parts(yes), index, 1).unwrap());
            assert_eq!(event_payout(&parts(yes), index, 1), no);
        }
    }
}
