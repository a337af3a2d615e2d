//! `config`: every setting, its value, and where that comes from.

use clap::parser::ValueSource;
use clap::{Arg, ArgMatches, CommandFactory};

use crate::cli::{Cli, Format};
use crate::dotenv::Dotenv;
use crate::failure::Failure;
use crate::report::Report;
use crate::results::Setting;
use crate::secret_sources::{SecretSource, is_secret};
use crate::values::HttpUrl;

/// Prints the settings; nothing is touched or asked.
///
/// # Errors
/// Standard output takes nothing.
pub fn run(
    matches: &ArgMatches,
    dotenv: &Dotenv,
    secrets: &[SecretSource],
    format: Format,
) -> Result<(), Failure> {
    let settings = of(matches, dotenv, secrets);
    let page = match format {
        Format::Text => settings.text(),
        Format::Json => format!("{}\n", settings.json()),
    };
    super::shell::print(page.as_bytes())
}

/// The settings that are no defaults, as `NAME=value` with commas, for a log.
pub fn told(matches: &ArgMatches, dotenv: &Dotenv, secrets: &[SecretSource]) -> String {
    let settings = of(matches, dotenv, secrets);
    let set = settings.iter().filter(|it| it.from != "default");
    set.map(|it| format!("{}={}", it.setting, it.value)).collect::<Vec<_>>().join(", ")
}

/// The names of all settings.
pub fn names() -> Vec<String> {
    let cli = Cli::command();
    cli.get_arguments().filter_map(|it| Some(it.get_env()?.to_str()?.to_owned())).collect()
}

/// The secrets that stand in flags, where everybody on the machine sees them.
pub fn secrets_in_flags(matches: &ArgMatches) -> Vec<String> {
    let cli = Cli::command();
    let seen = |argument: &Arg| {
        let name = argument.get_env()?.to_str().filter(|name| is_secret(name))?.to_owned();
        let from = matches.value_source(argument.get_id().as_str());
        (from == Some(ValueSource::CommandLine)).then_some(name)
    };
    cli.get_arguments().filter_map(seen).collect()
}

fn of(matches: &ArgMatches, dotenv: &Dotenv, secrets: &[SecretSource]) -> Vec<Setting> {
    let cli = Cli::command();
    let setting = |argument: &Arg| {
        let name = argument.get_env()?.to_str()?.to_owned();
        let id = argument.get_id().as_str();
        let read = secrets.iter().find(|it| it.setting == name);
        let from = match matches.value_source(id) {
            Some(ValueSource::CommandLine) => "flag",
            Some(ValueSource::EnvVariable) if read.is_some() => read.map_or("", |it| it.variable.as_str()),
            Some(ValueSource::EnvVariable) if dotenv.set.contains(&name) => ".env",
            Some(ValueSource::EnvVariable) => "environment",
            _ => "default",
        };
        let raw: Vec<String> = (matches.get_raw(id).into_iter().flatten())
            .map(|word| word.to_string_lossy().into_owned())
            .collect();
        Some(Setting { value: shown(&name, &raw.join(",")), setting: name, from: from.to_owned() })
    };
    cli.get_arguments().filter_map(setting).collect()
}

/// A value as it may be shown: no key, no password, no URL's credentials.
fn shown(name: &str, value: &str) -> String {
    if is_secret(name) {
        return if value.is_empty() { String::new() } else { "***".to_owned() };
    }
    if name.ends_with("_URL") {
        return value.split(',').map(shown_url).collect::<Vec<_>>().join(",");
    }
    value.to_owned()
}

/// The host alone: a path may be a key, as in the URLs of private nodes and gateways.
fn shown_url(text: &str) -> String {
    match text.trim().parse::<HttpUrl>() {
        _ if text.is_empty() => String::new(),
        Ok(url) => url.endpoint().origin().ascii_serialization(),
        Err(_) => "***".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_secret_is_shown() {
        assert_eq!(shown("DOME_API_KEY", "s3cret"), "***");
        assert_eq!(shown("CLICKHOUSE_PASSWORD", ""), "");
        assert_eq!(
            shown("CLICKHOUSE_URL", "http://me:s3cret@host:8123/?password=s3cret"),
            "http://host:8123"
        );
        assert!(!shown("CHAIN_URL", "https://a/s3cret key,https://b").contains("s3cret"));
        assert_eq!(shown("WORKER_COUNT", "8"), "8");
    }
}
