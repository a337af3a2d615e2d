//! The wallets that a question is about, as SQL.

use std::collections::HashSet;

use clickhouse::query::Query;

use crate::ids::Wallet;

/// The condition that the fill's wallet is one of `wallets`, in any spelling. They stand in the statement itself: a bound
/// array travels in the URL, where servers refuse a field above 128 KiB and proxies less. Hex digits by their type,
/// they need no quoting.
pub(super) fn among(wallets: &[Wallet]) -> String {
    let texts: Vec<String> = wallets.iter().map(Wallet::to_string).collect();
    if texts.is_empty() {
        return "false".to_owned();
    }
    format!("{}lower(proxy_wallet) IN ('{}')", index_hint(&texts), texts.join("', '"))
}

/// The condition that `expr` is one of the wallets. Hex digits by their type, they need no quoting.
pub(super) fn listed(expr: &str, wallets: &[Wallet]) -> String {
    let texts: Vec<String> = wallets.iter().map(|wallet| format!("'{wallet}'")).collect();
    if texts.is_empty() { "false".to_owned() } else { format!("{expr} IN ({})", texts.join(", ")) }
}

/// Lets a statement with [`among`] in it be as long as many wallets make it.
pub(super) fn long(query: Query) -> Query {
    query.with_setting("max_query_size", "64000000")
}

/// At most so many ranges are given to the index.
const MOST_RANGES: usize = 600;

/// Tells the primary key where the wallets can stand. To compare in lower case gives it up, but every spelling of a
/// wallet begins with its first digits in one case or the other. Where the key does not begin with the wallet the hint
/// costs nothing, and nowhere does it decide anything. The digits are hex by their type and need no binding.
fn index_hint(wallets: &[String]) -> String {
    let fitting = (1..=4).rev().map(|digits| beginnings(wallets, digits)).find(|it| it.len() <= MOST_RANGES);
    let Some(beginnings) = fitting.filter(|it| !it.is_empty()) else { return String::new() };
    let ranges: Vec<String> =
        beginnings.iter().map(|text| format!("startsWith(proxy_wallet, '{text}')")).collect();
    format!("indexHint({}) AND ", ranges.join(" OR "))
}

/// Every spelling of the first digits of each wallet, each once.
fn beginnings(wallets: &[String], digits: usize) -> Vec<String> {
    let short: HashSet<String> =
        wallets.iter().map(|wallet| wallet.chars().skip(2).take(digits).collect()).collect();
    let mut all = Vec::new();
    for digits in short {
        let mut spellings = vec!["0x".to_owned(), "0X".to_owned()];
        for digit in digits.chars() {
            let upper = Some(digit.to_ascii_uppercase()).filter(|upper| *upper != digit);
            spellings = (spellings.iter())
                .flat_map(|text| {
                    [Some(digit), upper].into_iter().flatten().map(move |it| format!("{text}{it}"))
                })
                .collect();
        }
        all.extend(spellings);
    }
    all.sort();
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_index_is_told_every_spelling_and_never_too_many() {
        let wallet = "0xcc12b7c71f21e358b8e5e797e586cbc03160d58b".to_owned();
        let all = ["0XCC1", "0XCc1", "0XcC1", "0Xcc1", "0xCC1", "0xCc1", "0xcC1", "0xcc1"];
        assert_eq!(beginnings(&[wallet.clone(), wallet], 3), all);
        let many: Vec<String> = (0..20_000_u32)
            .map(|number| {
                let mut bytes = [0xab; 20];
                bytes[..4].copy_from_slice(&number.wrapping_mul(2_654_435_761).to_be_bytes());
                Wallet::from_bytes(bytes).to_string()
            })
            .collect();
        let hint = index_hint(&many);
        assert!(!hint.is_empty() && hint.matches("startsWith").count() <= MOST_RANGES);
        assert_eq!(index_hint(&[]), "");
    }
}
