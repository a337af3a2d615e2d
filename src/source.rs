//! [`Source`]: which sources of mappings there are, what they are called, and in which order they are believed.
//!
//! Nothing else of them stands here: how an API is reached and what its pages say is told by its own file below
//! `upstream`, and what its tables are called by `store`.

/// Makes the enum, the list of all and their names from one line a source.
macro_rules! sources {
    ($($(#[$doc:meta])* $source:ident = $name:literal, $label:literal;)+) => {
        /// Where a mapping comes from.
        ///
        /// The order is that of precedence in a merge: a field is taken from the first source that has it.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Source { $($(#[$doc])* $source),+ }

        /// Name and label of each source, in the order of [`Source::ALL`].
        const NAMES: &[(&str, &str)] = &[$(($name, $label)),+];

        impl Source {
            /// Every source, in the order of precedence.
            pub const ALL: [Self; NAMES.len()] = [$(Self::$source),+];
        }
    };
}

sources! {
    /// Computed from the condition ids that ClickHouse already holds.
    Derived = "derived", "derived";
    /// Polymarket's Data API, which looks tokens up.
    Tokens = "tokens", "data_api";
    /// The Dome API.
    Dome = "dome", "dome_api";
    /// The Goldsky subgraph.
    Goldsky = "goldsky", "goldsky_subgraph";
    /// Polymarket's Gamma API.
    Gamma = "gamma", "gamma_api";
    /// Polymarket's CLOB, the catalogue of all markets.
    Clob = "clob", "clob_api";
}

impl Source {
    /// The word for it in commands, tables, files and JSON.
    pub const fn name(self) -> &'static str {
        NAMES[self as usize].0
    }

    /// What stands in the column `source` of the rows that come from it.
    pub const fn label(self) -> &'static str {
        NAMES[self as usize].1
    }

    /// The source of this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|source| source.name() == name)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn each_source_has_a_name_and_a_label_of_its_own() {
        let names: HashSet<&str> = Source::ALL.iter().map(|source| source.name()).collect();
        let labels: HashSet<&str> = Source::ALL.iter().map(|source| source.label()).collect();
        assert_eq!((names.len(), labels.len()), (Source::ALL.len(), Source::ALL.len()));
        assert!(Source::ALL.into_iter().all(|source| Source::named(source.name()) == Some(source)));
        assert!(Source::named("nobody").is_none());
    }
}
