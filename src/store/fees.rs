//! [`FeeColumns`]: what exchanges took of a fill, read from whatever column of the fills says so.

use super::input::InputTable;

/// The expressions of a fill's fee, each zero where no column says it.
pub(super) struct FeeColumns {
    /// In micro-shares.
    pub(super) shares: String,
    /// In micro-USD.
    pub(super) cash: String,
    /// What a rate makes of it, in micro-USD: shares × rate × price × (1 − price). An estimate, since makers pay nothing and
    /// no row says who was one.
    pub(super) guess: String,
}

impl FeeColumns {
    pub(super) fn of(fills: &InputTable) -> Self {
        let amount = |ours: &str| match fills.has(ours) {
            true => format!("ifNull(toDecimal256OrNull({}, 12), toDecimal256(0, 12))", fills.exact(ours)),
            false => "toDecimal256(0, 12)".to_owned(),
        };
        let (paid, received) = (amount("fee_cash"), amount("fee_received"));
        let known = fills.has("fee_cash") || fills.has("fee_received");
        let guess = match fills.has("fee_rate_bps") && !known {
            // Rounded fill by fill, so that the sum does not depend on the order of the rows.
            true => {
                "toInt128(ifNotFinite(round(size * toUInt32OrZero(toString(fee_rate_bps)) / 10000 * price * (1 - price)), 0))"
            }
            false => "toInt128(0)",
        };
        Self {
            shares: format!("if(way = 'BUY', {received}, toDecimal256(0, 12))"),
            cash: format!("{paid} + if(way = 'SELL', {received}, toDecimal256(0, 12))"),
            guess: guess.to_owned(),
        }
    }
}
