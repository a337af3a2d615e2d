//! The registry: what each source's file tells of it, one line a source, in the order of [`Source::ALL`].

use super::info::{ApiInfo, OpenFn, SourceInfo};
use super::{clob, derived, dome, gamma, goldsky, tokens};
use crate::source::Source;

static REGISTRY: [&SourceInfo; Source::ALL.len()] =
    [&derived::INFO, &tokens::INFO, &dome::INFO, &goldsky::INFO, &gamma::INFO, &clob::INFO];

impl Source {
    /// What is known of it.
    pub fn info(self) -> &'static SourceInfo {
        REGISTRY[self as usize]
    }

    /// What reports and notices call it.
    pub fn title(self) -> &'static str {
        self.info().title
    }

    /// What its pages call it.
    pub fn api(self) -> &'static str {
        self.info().service
    }

    /// What stands above its pages.
    pub fn phase(self) -> &'static str {
        self.info().phase
    }

    /// What its command does, in a line; empty where it has no API.
    pub fn about(self) -> &'static str {
        self.info().api.as_ref().map_or("", |api| api.about)
    }

    /// What its command does, with all that is to be known of it.
    pub fn long_about(self) -> String {
        let details = self.info().api.as_ref().map_or("", |api| api.details);
        format!("{}\n\n{details}", self.about()).trim_end().to_owned()
    }

    /// How its command is used.
    pub fn examples(self) -> &'static str {
        self.info().api.as_ref().map_or("", |api| api.examples)
    }

    /// How its API is asked for tokens; `None` for a source that is not.
    pub fn lookup(self) -> Option<&'static ApiInfo> {
        self.info().api.as_ref().filter(|api| matches!(api.open, OpenFn::Lookup(_)))
    }

    /// The sources that are asked for tokens: what can be a track.
    pub fn tracks() -> impl Iterator<Item = Self> {
        Self::ALL.into_iter().filter(|source| source.lookup().is_some())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::values::{HttpUrl, RateLimit};

    #[test]
    fn each_source_tells_of_itself_and_has_defaults_that_can_be_used() {
        for source in Source::ALL {
            assert_eq!(source.info().source, source, "the registry is in the order of precedence");
            let Some(api) = &source.info().api else { continue };
            assert!(api.url.default.parse::<HttpUrl>().is_ok(), "{}", api.url.default);
            assert!(api.rate_limit.default.parse::<RateLimit>().is_ok(), "{}", api.rate_limit.default);
            assert!(api.examples.contains(&format!("backfill {}", source.name())));
        }
    }
}
