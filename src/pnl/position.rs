//! [`Position`]: all fills of a wallet in one token, and what they come to.

use num_rational::BigRational;

use super::{Decision, Micro, Payout, Trade, Usd};
use crate::ids::{ConditionId, TokenId, Wallet};

/// All fills of a wallet in one mapped token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Position {
    /// The wallet.
    pub wallet: Wallet,
    /// The token.
    pub token_id: TokenId,
    /// Its condition.
    pub condition_id: ConditionId,
    /// Its outcome index.
    pub outcome_index: u8,
    /// Its label, empty where none is known.
    pub label: String,
    /// Fills, each counted once.
    pub fills: u64,
    /// Bought less sold, in micro-shares, with what flows added and fees took.
    pub net_shares: Micro,
    /// Received less paid, in micro-USD, with what flows added and fees took.
    pub cashflow: Micro,
    /// Its fills by second, in the order of their time; fees are not in them.
    pub trades: Vec<Trade>,
    /// What fees took; it is taken off the two sums above.
    pub charged: Charged,
    /// What flows added; it stands in the two sums above.
    pub flows: FlowSums,
    /// Whether the rule for transfers leaves it out of every total.
    pub excluded: bool,
    /// What the condition pays.
    pub decision: Decision,
    /// What it would pay if the token were the condition's other outcome.
    pub otherwise: Option<Payout>,
    /// What second deliveries of its fills would add, were they counted.
    pub repeated: Repeated,
}

/// What an exchange took of a position's fills.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Charged {
    /// In micro-shares.
    pub shares: Micro,
    /// In micro-USD.
    pub cash: Micro,
}

/// What flows added to a position, fees not among them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FlowSums {
    /// How many flows.
    pub count: u64,
    /// Micro-shares received less those that went.
    pub net_shares: Micro,
    /// Micro-USD received less those paid.
    pub cashflow: Micro,
    /// The part of the shares that came from other wallets, less those that went to others.
    pub transferred: Micro,
    /// What those cost, by the rule for transfers, as a cashflow.
    pub transferred_cash: Micro,
}

/// Second deliveries of fills, which are left out of a position.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Repeated {
    /// How many.
    pub fills: u64,
    /// Bought less sold, in micro-shares.
    pub net_shares: Micro,
    /// Received less paid, in micro-USD.
    pub cashflow: Micro,
}

/// What shares pay, in USD: `net_shares · payout / 1,000,000`.
pub(super) fn paid(net_shares: &Micro, payout: &Payout) -> Usd {
    Usd(&net_shares.0 * &payout.0 / BigRational::from_integer(1_000_000.into()))
}

impl Position {
    /// What the shares are paid, in USD; `None` while the condition is unresolved.
    pub fn paid_out(&self) -> Option<Usd> {
        Some(paid(&self.net_shares, self.decision.payout.as_ref()?))
    }

    /// Realized P&L in USD: `(net_shares · payout + cashflow) / 1,000,000`; `None` while unresolved, and where the rule
    /// for transfers leaves the position out.
    pub fn realized(&self) -> Option<Usd> {
        Some(self.paid_out().filter(|_| !self.excluded)? + self.cashflow.units())
    }

    /// What fees took, in USD: shares at what their condition pays, at nothing while that is open.
    pub fn charged_usd(&self) -> Usd {
        let shares = self.decision.payout.as_ref().map(|payout| paid(&self.charged.shares, payout));
        shares.unwrap_or_default() + self.charged.cash.units()
    }

    /// What it comes to if a share pays all, or nothing: the two ends of what an open position can become.
    pub fn realized_if(&self, won: bool) -> Usd {
        paid(&self.net_shares, &Payout::of_winner(won)) + self.cashflow.units()
    }

    /// What its realized P&L would be if the token were the condition's other outcome.
    pub fn realized_otherwise(&self) -> Option<Usd> {
        Some(paid(&self.net_shares, self.otherwise.as_ref()?) + self.cashflow.units())
    }

    /// What the payout that counts adds to the realized P&L, compared with the one that a table says instead; `None`
    /// where none contradicts.
    pub fn contradicted_by(&self) -> Option<Usd> {
        let (_, said) = self.decision.contradiction.as_ref()?;
        Some(self.paid_out()? - paid(&self.net_shares, said))
    }

    /// What its second deliveries would add to the realized P&L; `None` while unresolved.
    pub fn realized_by_repeats(&self) -> Option<Usd> {
        let payout = self.decision.payout.as_ref()?;
        Some(paid(&self.repeated.net_shares, payout) + self.repeated.cashflow.units())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::pnl::Variance;
    use crate::values::Percent;

    fn usd(text: &str) -> Usd {
        text.parse().unwrap()
    }

    fn position(net: i128, cash: i128, payout: Option<Payout>) -> Position {
        Position {
            wallet: Wallet::from_bytes([1; 20]),
            token_id: TokenId::from_be_bytes([1; 32]),
            condition_id: ConditionId::from_bytes([2; 32]),
            outcome_index: 0,
            label: String::new(),
            fills: 1,
            net_shares: Micro::whole(net),
            cashflow: Micro::whole(cash),
            trades: Vec::new(),
            charged: Charged::default(),
            flows: FlowSums::default(),
            excluded: false,
            decision: Decision { payout, ..Decision::default() },
            otherwise: None,
            repeated: Repeated::default(),
        }
    }

    #[test]
    fn the_guides_figures_come_out_to_the_cent() {
        let won = position(45_678_901_234, -42_345_678_901, Payout::new(1, 1));
        assert_eq!(won.realized().unwrap().cents(), "$3,333.22");
        assert_eq!(won.paid_out().unwrap().cents(), "$45,678.90");
        assert_eq!(won.cashflow.commas(), "-42,345,678,901");
        let lost = position(12_345_678_901, -10_234_567_890, Payout::new(0, 1));
        assert_eq!(lost.realized().unwrap().cents(), "-$10,234.57");
        let total = usd("124567.23") + usd("-38234.11");
        assert_eq!(total.cents(), "$86,333.12");
        let expected = usd("87030.51");
        assert_eq!((total.clone() - expected.clone()).cents(), "-$697.39");
        let variance = Variance::of(&total, &expected).unwrap();
        assert_eq!(variance.to_string(), "-0.80%");
        assert!(variance.is_below(Percent::whole(2)));
    }

    proptest! {
        #[test]
        fn realized_pnl_equals_integer_arithmetic(
            net in -1_000_000_000_000_i128..1_000_000_000_000, cash in -1_000_000_000_000_i128..1_000_000_000_000,
            numerator in 0_u64..5, denominator in 1_u64..5,
        ) {
            let realized = position(net, cash, Payout::new(numerator, denominator)).realized().unwrap();
            // In parts of 1/denominator micro-USD, rounded half away from zero to cents by integers alone.
            let exact = net * i128::from(numerator) + cash * i128::from(denominator);
            let cent = 10_000 * i128::from(denominator);
            let cents = (exact.abs() * 2 + cent) / (2 * cent) * exact.signum();
            let shown = realized.cents().replace(['$', ',', '.'], "");
            prop_assert_eq!(shown.parse::<i128>().unwrap(), cents);
        }
    }
}
