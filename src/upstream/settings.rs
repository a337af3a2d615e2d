//! [`SourcesSettings`]: how each API is reached. The settings are made from what each source's file tells of itself:
//! its URL, its limit, and where it has them its key and its mode.

use std::collections::BTreeMap;

use clap::builder::PossibleValuesParser;
use clap::{Arg, ArgMatches, Args, Command, FromArgMatches};

use super::{ApiInfo, SourceSettings};
use crate::source::Source;
use crate::values::{HttpUrl, RateLimit, Secret, SecretParser, api_key};

/// The heading above these settings.
const SOURCES: &str = "Sources";

/// How every API is reached.
#[derive(Debug, Clone)]
pub struct SourcesSettings(BTreeMap<Source, SourceSettings>);

impl SourcesSettings {
    /// How a source is reached, `None` for what is computed.
    pub fn of(&self, source: Source) -> Option<&SourceSettings> {
        self.0.get(&source)
    }

    /// Reaches a source in another way.
    pub fn set(&mut self, source: Source, settings: SourceSettings) {
        self.0.insert(source, settings);
    }

    /// The same with the key that an API needs, where no key is set.
    pub fn set_key(&mut self, source: Source, key: Secret) {
        if let Some(settings) = self.0.get_mut(&source) {
            settings.api_key.get_or_insert(key);
        }
    }
}

/// Every source that has an API.
fn apis() -> impl Iterator<Item = (Source, &'static ApiInfo)> {
    Source::ALL.into_iter().filter_map(|source| Some((source, source.info().api.as_ref()?)))
}

/// A setting as every part has them: a flag and an environment variable of one name.
fn setting(name: &'static str, help: &'static str) -> Arg {
    Arg::new(name)
        .long(name.to_lowercase().replace('_', "-"))
        .env(name)
        .value_name(name)
        .help(help)
        .global(true)
        .help_heading(SOURCES)
        .hide_short_help(true)
}

fn settings_of(command: Command, api: &'static ApiInfo) -> Command {
    let url = setting(api.url.name, api.url.help)
        .default_value(api.url.default)
        .value_parser(SecretParser(str::parse::<HttpUrl>))
        .hide_env_values(true);
    let rate_limit = setting(api.rate_limit.name, api.rate_limit.help)
        .default_value(api.rate_limit.default)
        .value_parser(str::parse::<RateLimit>);
    let key = api
        .key
        .as_ref()
        .map(|key| setting(key.name, key.help).value_parser(SecretParser(api_key)).hide_env_values(true));
    let mode = api.mode.as_ref().map(|mode| {
        let first = mode.values.first().copied().unwrap_or_default();
        setting(mode.name, mode.help)
            .default_value(first)
            .value_parser(PossibleValuesParser::new(mode.values))
    });
    command.arg(url).args(key).arg(rate_limit).args(mode)
}

impl Args for SourcesSettings {
    fn augment_args(command: Command) -> Command {
        apis().fold(command, |command, (_, api)| settings_of(command, api))
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl FromArgMatches for SourcesSettings {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let mut all = BTreeMap::new();
        for (source, api) in apis() {
            let url = matches.get_one::<HttpUrl>(api.url.name).cloned();
            let rate_limit = matches.get_one::<RateLimit>(api.rate_limit.name).cloned();
            // Both have defaults; clap sees to it that they are there.
            let (Some(url), Some(rate_limit)) = (url, rate_limit) else { continue };
            let key = api.key.as_ref().and_then(|key| matches.get_one::<Option<Secret>>(key.name));
            let mode = api.mode.as_ref().and_then(|mode| matches.get_one::<String>(mode.name));
            let (api_key, mode) = (key.cloned().flatten(), mode.cloned().unwrap_or_default());
            all.insert(source, SourceSettings { url, api_key, rate_limit, mode });
        }
        Ok(Self(all))
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}
