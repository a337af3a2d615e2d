//! [`MapEngine`]: what becomes of several rows of one token in the map, by its engine.

use super::types::{arguments, unquoted};

/// How a table keeps rows whose sorting key is equal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::store) enum Keeps {
    /// All of them.
    All,
    /// The one with the largest version, of equals the last written; without a version the last written.
    Newest {
        /// The version's column.
        version: Option<String>,
        /// The column that marks a deletion.
        is_deleted: Option<String>,
    },
    /// The last written of those that are not cancelled by the sign.
    Uncancelled {
        /// The sign's column.
        sign: String,
        /// Whether only rows of one version cancel each other.
        versioned: bool,
    },
    /// None as it was: they are added up, or lose their columns.
    Mixed,
    /// Nothing is kept, or nothing can be written.
    Nothing,
}

/// A Distributed table's place: its cluster, and the table that stands on each of its servers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::store) struct Spread {
    pub(in crate::store) cluster: String,
    pub(in crate::store) database: String,
    pub(in crate::store) table: String,
}

/// An engine's name and its arguments, from `system.tables.engine_full`.
pub(in crate::store) fn parse(engine_full: &str) -> (String, Vec<String>) {
    let name: String = engine_full.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
    let rest = &engine_full[name.len()..];
    let Some(inner) = rest.strip_prefix('(') else { return (name, Vec::new()) };
    let (mut depth, mut quote, mut escaped) = (1_u32, None::<char>, false);
    let mut end = inner.len();
    for (at, c) in inner.char_indices() {
        match (quote, c) {
            (Some(_), _) if escaped => escaped = false,
            (Some(_), '\\') => escaped = true,
            (Some(open), c) if c == open => quote = None,
            (Some(_), _) => {}
            (None, '\'' | '`' | '"') => quote = Some(c),
            (None, '(') => depth += 1,
            (None, ')') => depth -= 1,
            (None, _) => {}
        }
        if depth == 0 {
            end = at;
            break;
        }
    }
    (name, arguments(&inner[..end]))
}

/// The place of a Distributed table.
pub(in crate::store) fn spread(engine_full: &str) -> Option<Spread> {
    let (name, arguments) = parse(engine_full);
    let [cluster, database, table, ..] = arguments.as_slice() else { return None };
    let [cluster, database, table] = [cluster, database, table].map(|text| unquoted(text));
    (name == "Distributed").then_some(Spread { cluster, database, table })
}

/// How a table of this engine keeps its rows.
pub(in crate::store) fn keeps(engine_full: &str) -> Keeps {
    let (name, arguments) = parse(engine_full);
    // A replicated table names its place first: '/path', '{replica}'.
    let columns: Vec<String> =
        arguments.iter().filter(|it| !it.starts_with('\'')).map(|it| unquoted(it)).collect();
    let bare = name.strip_prefix("Replicated").or_else(|| name.strip_prefix("Shared")).unwrap_or(&name);
    let first = || columns.first().cloned();
    match bare {
        "MergeTree" | "Memory" | "Log" | "TinyLog" | "StripeLog" => Keeps::All,
        "ReplacingMergeTree" => Keeps::Newest { version: first(), is_deleted: columns.get(1).cloned() },
        "CollapsingMergeTree" | "VersionedCollapsingMergeTree" => first().map_or(Keeps::Mixed, |sign| {
            Keeps::Uncancelled { sign, versioned: bare.starts_with("Versioned") }
        }),
        "SummingMergeTree" | "AggregatingMergeTree" | "GraphiteMergeTree" | "CoalescingMergeTree" => {
            Keeps::Mixed
        }
        _ => Keeps::Nothing,
    }
}

/// Whether a sorting key tells the tokens of `column` apart.
pub(in crate::store) fn key_has(sorting_key: &str, column: &str) -> bool {
    // Functions that give different texts different values, as far as anyone will ever see.
    const KEEPING: [&str; 12] = [
        "lower",
        "toString",
        "toUInt256",
        "toUInt256OrZero",
        "cityHash64",
        "sipHash64",
        "sipHash128",
        "xxHash64",
        "MD5",
        "SHA256",
        "halfMD5",
        "reverse",
    ];
    arguments(sorting_key).iter().any(|part| {
        let inner = part.split_once('(').and_then(|(function, rest)| {
            KEEPING.contains(&function).then(|| rest.strip_suffix(')')).flatten()
        });
        unquoted(inner.unwrap_or(part)) == column
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_engine_says_which_row_of_a_token_it_keeps() {
        let newest = |version: Option<&str>, is_deleted: Option<&str>| Keeps::Newest {
            version: version.map(str::to_owned),
            is_deleted: is_deleted.map(str::to_owned),
        };
        for (engine, expected) in [
            ("MergeTree ORDER BY token_id SETTINGS index_granularity = 8192", Keeps::All),
            ("ReplacingMergeTree ORDER BY token_id", newest(None, None)),
            ("ReplacingMergeTree(version) ORDER BY (token_id, length(x))", newest(Some("version"), None)),
            ("ReplacingMergeTree(`my version`, is_deleted)", newest(Some("my version"), Some("is_deleted"))),
            (
                "ReplicatedReplacingMergeTree('/t/{uuid}/(a,b)', '{replica}', fetched_at) ORDER BY x",
                newest(Some("fetched_at"), None),
            ),
            (
                "SharedReplacingMergeTree('/clickhouse/tables/{uuid}/{shard}', '{replica}', ver, del)",
                newest(Some("ver"), Some("del")),
            ),
            ("ReplicatedMergeTree('/t', '{replica}')", Keeps::All),
            (
                "CollapsingMergeTree(sign) ORDER BY token_id",
                Keeps::Uncancelled { sign: "sign".into(), versioned: false },
            ),
            ("SummingMergeTree ORDER BY token_id", Keeps::Mixed),
            ("Join(ANY, LEFT, token_id)", Keeps::Nothing),
            ("", Keeps::Nothing),
        ] {
            assert_eq!(keeps(engine), expected, "{engine}");
        }
        let place = spread("Distributed('pair', 'd', 'map_local', cityHash64(token_id))").unwrap();
        assert_eq!(
            (place.cluster.as_str(), place.database.as_str(), place.table.as_str()),
            ("pair", "d", "map_local")
        );
        assert_eq!(spread("MergeTree"), None);
    }

    #[test]
    fn a_sorting_key_tells_tokens_apart_or_does_not() {
        for key in
            ["token_id", "condition_id_norm, token_id", "`token_id`", "cityHash64(token_id), outcome_label"]
        {
            assert!(key_has(key, "token_id"), "{key}");
        }
        for key in [
            "",
            "condition_id_norm",
            "length(token_id)",
            "condition_id_norm, outcome_index",
            "left(token_id, 3)",
        ] {
            assert!(!key_has(key, "token_id"), "{key}");
        }
    }
}
