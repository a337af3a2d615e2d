//! [`ColumnNames`]: what an installation calls the columns, as `ours=theirs` with commas.

use std::str::FromStr;

use crate::values::{BadSetting, bad};

/// Which of the user's columns stands for which of ours. Columns that are not named have the same name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ColumnNames(Vec<ColumnName>);

/// One of the user's columns in the place of one of ours.
#[derive(Debug, Clone, PartialEq, Eq)]
struct ColumnName {
    ours: String,
    theirs: String,
    /// What its values are multiplied by, a decimal above zero.
    factor: Option<String>,
}

/// The columns that a factor can stand behind.
const SCALED: [&str; 6] = ["size", "price", "fee_cash", "fee_received", "shares", "cash"];

/// A factor such as `1e6`, `1000000` or `0.01` as a plain decimal of at most six decimals.
fn factor(text: &str) -> Option<String> {
    let number: f64 = text.trim().parse().ok()?;
    let digits = format!("{number:.6}");
    let exact = digits.parse::<f64>().ok()? == number;
    let plain = digits.trim_end_matches('0').trim_end_matches('.').to_owned();
    (exact && number.is_finite() && number > 0.0 && number <= 1e12).then_some(plain)
}

impl FromStr for ColumnNames {
    type Err = BadSetting;

    fn from_str(text: &str) -> Result<Self, BadSetting> {
        let mut names = Vec::new();
        for part in text.split(',').map(str::trim).filter(|part| !part.is_empty()) {
            let wanted = || {
                bad(format!(
                    "expected OURS=THEIRS, or OURS=THEIRS:FACTOR as in size=shares:1e6, not {part:?}"
                ))
            };
            let (ours, theirs) = part.split_once('=').ok_or_else(wanted)?;
            let (theirs, scale) = match theirs.rsplit_once(':') {
                Some((theirs, scale)) => (theirs, Some(factor(scale).ok_or_else(wanted)?)),
                None => (theirs, None),
            };
            let (ours, theirs) = (ours.trim().to_owned(), theirs.trim().to_owned());
            if ours.is_empty() || theirs.is_empty() {
                return Err(wanted());
            }
            if names.iter().any(|it: &ColumnName| it.ours == ours) {
                return Err(bad(format!("{ours} is named twice")));
            }
            if scale.is_some() && !SCALED.contains(&ours.as_str()) {
                return Err(bad(format!("{ours} takes no factor: only {} do", SCALED.join(", "))));
            }
            names.push(ColumnName { ours, theirs, factor: scale });
        }
        Ok(Self(names))
    }
}

impl ColumnNames {
    /// The user's column for one of ours.
    pub fn theirs<'a>(&'a self, ours: &'a str) -> &'a str {
        self.0.iter().find(|it| it.ours == ours).map_or(ours, |it| &it.theirs)
    }

    /// What its values are multiplied by.
    pub fn factor(&self, ours: &str) -> Option<&str> {
        self.0.iter().find(|it| it.ours == ours)?.factor.as_deref()
    }

    /// The first name that is none of ours.
    pub fn unknown(&self, ours: &[&str]) -> Option<&str> {
        self.0.iter().map(|it| it.ours.as_str()).find(|name| !ours.contains(name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_with_their_factor_and_what_is_none_is_refused() {
        let names: ColumnNames = "asset_id=token_id, proxy_wallet = maker,size=shares:1e6,".parse().unwrap();
        assert_eq!((names.theirs("asset_id"), names.theirs("proxy_wallet")), ("token_id", "maker"));
        assert_eq!(
            (names.theirs("price"), names.factor("size"), names.factor("price")),
            ("price", Some("1000000"), None)
        );
        assert_eq!("price=cents:0.01".parse::<ColumnNames>().unwrap().factor("price"), Some("0.01"));
        assert_eq!(names.unknown(&["asset_id", "size"]), Some("proxy_wallet"));
        for text in [
            "a",
            "=b",
            "a=",
            "size=s:x",
            "size=s:0",
            "size=s:-1",
            "size=s:1e-9",
            "a=b,a=c",
            "side=s:2",
            "size=s:inf",
        ] {
            assert!(text.parse::<ColumnNames>().is_err(), "{text}");
        }
    }
}
