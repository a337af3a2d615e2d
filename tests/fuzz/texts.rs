//! Texts of settings and tables: ids, amounts, limits. What parses is written as it is read again.

use std::fmt::{Debug, Display};
use std::str::FromStr;

use backfill::ctf::Collateral;
use backfill::ids::{ConditionId, StructuralCondition, TokenId, Wallet};
use backfill::pnl::{Micro, Usd};
use backfill::values::{HttpUrl, Percent, RateLimit};

use super::harness::{fuzz, looks};

/// Reads a text as a `T`; what it is written as has to be the same again.
fn read<T: FromStr<Err: Display> + Display + PartialEq + Debug>(text: &str) -> String {
    match text.parse::<T>() {
        Ok(value) => {
            let again = value.to_string().parse::<T>();
            assert!(again.is_ok_and(|again| again == value), "{value} of {text:?}");
            "read".to_owned()
        }
        Err(error) => error.to_string().replace(text, "…"),
    }
}

fn refused<T: FromStr<Err: Display>>(text: &str) -> String {
    text.parse::<T>().err().map_or("read".to_owned(), |error| error.to_string().replace(text, "…"))
}

#[test]
fn ids() {
    fuzz("ids", |input| {
        let text = String::from_utf8_lossy(input);
        let condition = text.parse::<ConditionId>().ok();
        let decoded = condition.and_then(|condition| {
            let decoded = StructuralCondition::decode(&condition)?;
            assert_eq!(decoded.condition_id(), condition, "a condition that is decoded is encoded as itself");
            Some(())
        });
        let [token, other, wallet] =
            [read::<TokenId>(&text), read::<ConditionId>(&text), read::<Wallet>(&text)];
        looks(&format!("{token} {other} {wallet} {decoded:?}"))
    });
}

#[test]
fn amounts_and_limits() {
    fuzz("texts", |input| {
        let text = String::from_utf8_lossy(input);
        let outcomes = [
            refused::<RateLimit>(&text),
            refused::<Percent>(&text),
            refused::<HttpUrl>(&text),
            refused::<Collateral>(&text),
            refused::<Usd>(&text),
            refused::<Micro>(&text),
        ];
        looks(&outcomes.concat())
    });
}
