//! `config`: every setting, its value, and where that comes from.

use clap::parser::ValueSource;
use clap::{Arg, ArgMatches, CommandFactory};

use crate::cli::{Cli, Format};
use crate::dotenv::Dotenv;
use crate::failure::Failure;
use crate::report::Report;
use crate::results::Setting;
use crate::values::HttpUrl;

/// Prints the settings; nothing is touched or asked.
///
/// # Errors
/// Standard output takes nothing.
pub fn run(matches: &ArgMatches, dotenv: &Dotenv, format: Format) -> Result<(), Failure> {
    let settings = of(matches, dotenv);
    let page = match format {
        Format::Text => settings.text(),
        Format::Json => format!("{}\n", settings.json()),
    };
    super::shell::print(page.as_bytes())
}

/// The names of all settings.
pub fn names() -> Vec<String> {
    let cli = Cli::command();
    cli.get_arguments().filter_map(|it| Some(it.get_env()?.to_str()?.to_owned())).collect()
}

fn of(matches: &ArgMatches, dotenv: &Dotenv) -> Vec<Setting> {
    let cli = Cli::command();
    let setting = |argument: &Arg| {
        let name = argument.get_env()?.to_str()?.to_owned();
        let id = argument.get_id().as_str();
        let from = match matches.value_source(id) {
            Some(ValueSource::CommandLine) => "flag",
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
    let is_secret = ["KEY", "PASSWORD", "SECRET", "TOKEN"].iter().any(|word| name.ends_with(word));
    if is_secret {
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
