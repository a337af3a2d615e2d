//! [`Source`]: the list of sources. Whatever differs between them, but for how their APIs speak, stands here; a
//! further one is an entry at the bottom, and the file that it names.

use std::time::Duration;

use super::dome::Dome;
use super::gamma::Gamma;
use super::goldsky::Goldsky;
use super::{Upstream, UpstreamError};
use crate::settings::SourceSettings;

/// What is known of a source.
#[derive(Debug)]
struct Facts {
    /// The word for it in commands, tables, files and JSON.
    name: &'static str,
    /// What reports and notices call it.
    title: &'static str,
    /// What its pages call it.
    api: &'static str,
    /// What stands above its pages.
    phase: &'static str,
    /// What stands in the column `source` of its rows.
    label: &'static str,
    /// How it is asked for tokens, where it is.
    ask: Option<Ask>,
}

/// How a source is asked for tokens.
#[derive(Debug)]
pub struct Ask {
    /// The URL, where the user sets none.
    pub url: &'static str,
    /// The published limit, where the user sets none.
    pub rate_limit: &'static str,
    /// Requests under way at once, where the user sets nothing.
    pub workers: usize,
    /// The setting of the key that it cannot be asked without.
    pub key: Option<&'static str>,
    /// What its command does.
    pub about: &'static str,
    /// How its command is used.
    pub examples: &'static str,
    /// Makes the client.
    pub open: Open,
}

/// Makes a source's client, each of whose answers may take so long.
pub type Open = fn(&SourceSettings, Duration) -> Result<Box<dyn Upstream>, UpstreamError>;

/// Makes an enum of the list's names, and keeps the facts beside it.
macro_rules! sources {
    ($($(#[$doc:meta])* $source:ident: $facts:expr;)+) => {
        /// Where a mapping comes from.
        ///
        /// The order is that of precedence in a merge: a field is taken from the first source that has it.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Source { $($(#[$doc])* $source),+ }

        static FACTS: &[Facts] = &[$($facts),+];

        impl Source {
            /// Every source, in the order of precedence.
            pub const ALL: [Self; [$(Self::$source),+].len()] = [$(Self::$source),+];
        }
    };
}

impl Source {
    const fn facts(self) -> &'static Facts {
        &FACTS[self as usize]
    }

    /// The word for it in commands, tables, files and JSON.
    pub const fn name(self) -> &'static str {
        self.facts().name
    }

    /// What the reports call it.
    pub const fn title(self) -> &'static str {
        self.facts().title
    }

    /// What its pages call it.
    pub const fn api(self) -> &'static str {
        self.facts().api
    }

    /// What stands above its pages.
    pub const fn phase(self) -> &'static str {
        self.facts().phase
    }

    /// What stands in the column `source` of the rows that come from it.
    pub const fn label(self) -> &'static str {
        self.facts().label
    }

    /// How it is asked for tokens; `None` for a source that is not.
    pub const fn ask(self) -> Option<&'static Ask> {
        self.facts().ask.as_ref()
    }

    /// The sources that are asked for tokens: what can be a track.
    pub fn tracks() -> impl Iterator<Item = Self> {
        Self::ALL.into_iter().filter(|source| source.ask().is_some())
    }

    /// The source of this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|source| source.name() == name)
    }

    /// Its staging table.
    pub fn staging_table(self) -> String {
        format!("clob_asset_map_{}", self.name())
    }

    /// What it lists, where it is a catalogue.
    pub fn catalogue_table(self) -> String {
        format!("{}_markets", self.name())
    }

    /// Its share of the unmapped tokens.
    pub fn workload_table(self) -> String {
        format!("unmapped_tokens_{}", self.name())
    }
}

sources! {
    /// Computed from the condition ids that ClickHouse already holds.
    Derived: Facts {
        name: "derived",
        title: "Derived",
        api: "Offline",
        phase: "DERIVE",
        label: "derived",
        ask: None,
    };
    /// The Dome API.
    Dome: Facts {
        name: "dome",
        title: "Dome",
        api: "Dome API",
        phase: "PHASE 1",
        label: "dome_api",
        ask: Some(Ask {
            url: "https://api.domeapi.io/v1",
            // The free tier; every key has at least that.
            rate_limit: "100/10s,10/1s",
            workers: 16,
            key: Some("DOME_API_KEY"),
            about: "Phase 1: ask the Dome API for its share of the tokens",
            examples: "Examples:\n  backfill dome                       begins, or goes on where it was\n  \
                       DOME_RATE_LIMIT=500/10s,100/1s WORKER_COUNT=32 backfill dome\n  \
                       backfill dome --log-file --metrics 127.0.0.1:9464",
            open: |settings, timeout| Ok(Box::new(Dome::new(settings, timeout)?)),
        }),
    };
    /// The Goldsky subgraph.
    Goldsky: Facts {
        name: "goldsky",
        title: "Goldsky",
        api: "Goldsky",
        phase: "PHASE 2",
        label: "goldsky_subgraph",
        ask: Some(Ask {
            // Polymarket's public positions subgraph.
            url: "https://api.goldsky.com/api/public/project_cl6mb8i9h0003e201j6li0diw/subgraphs/\
                  positions-subgraph/0.0.7/gn",
            rate_limit: "50/10s",
            workers: 32,
            key: None,
            about: "Phase 2: ask the Goldsky subgraph for its share of the tokens",
            examples: "Examples:\n  backfill goldsky                    in a terminal beside `backfill dome`\n  \
                       backfill goldsky --progress plain > goldsky.txt",
            open: |settings, timeout| Ok(Box::new(Goldsky::new(settings, timeout)?)),
        }),
    };
    /// Polymarket's Gamma API.
    Gamma: Facts {
        name: "gamma",
        title: "Gamma",
        api: "Gamma API",
        phase: "PHASE 2b",
        label: "gamma_api",
        ask: Some(Ask {
            url: "https://gamma-api.polymarket.com",
            rate_limit: "300/10s",
            // A window opens for 300 requests at once: with 64, they are out in a second or so.
            workers: 64,
            key: None,
            about: "A further track: ask Polymarket's Gamma API for its share of the tokens; needs no key",
            examples: "Examples:\n  backfill setup --tracks dome,goldsky,gamma && backfill gamma\n  \
                       backfill setup --tracks gamma && backfill gamma     where nobody else is left",
            open: |settings, timeout| Ok(Box::new(Gamma::new(settings, timeout)?)),
        }),
    };
    /// Polymarket's CLOB, the catalogue of all markets.
    Clob: Facts {
        name: "clob",
        title: "CLOB",
        api: "Catalogue",
        phase: "CLOB",
        label: "clob_api",
        ask: None,
    };
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::values::RateLimit;

    #[test]
    fn each_source_has_a_name_of_its_own_and_defaults_that_can_be_used() {
        for source in Source::ALL {
            assert_eq!(Source::named(source.name()), Some(source));
            let Some(ask) = source.ask() else { continue };
            assert!(ask.url.parse::<crate::values::HttpUrl>().is_ok(), "{}", ask.url);
            assert!(ask.rate_limit.parse::<RateLimit>().is_ok(), "{}", ask.rate_limit);
            assert!(ask.workers > 0 && ask.examples.contains(&format!("backfill {}", source.name())));
        }
        assert!(Source::named("nobody").is_none());
    }
}
