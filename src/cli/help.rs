//! What `-h` shows: a command's own flags first. Those that every command takes are one line there, and stand whole in
//! `backfill help settings`.

use std::ffi::OsString;

use clap::{Arg, ArgMatches, Command, CommandFactory, FromArgMatches};

use super::Cli;

/// The command whose help lists what every command takes.
pub(super) const SETTINGS: &str = "settings";

const POINTER: &str = "The flags of every command, the settings: backfill help settings";

/// The command line with this help.
pub fn command() -> Command {
    let whole = Cli::command();
    let listing = listing(whole.get_arguments());
    let hidden = |argument: Arg| argument.hide_short_help(true).hide_long_help(true);
    let whole = whole.mut_args(hidden);
    let after = whole.get_after_help().map(ToString::to_string).unwrap_or_default();
    let whole = whole.after_help(format!("{POINTER}\n\n{after}"));
    let names: Vec<String> = whole.get_subcommands().map(|it| it.get_name().to_owned()).collect();
    names.into_iter().fold(whole, |whole, name| {
        whole.mut_subcommand(&name, |own| {
            if own.get_name() == SETTINGS {
                return own.override_help(listing.clone());
            }
            match own.get_after_help().map(ToString::to_string) {
                Some(after) => own.after_help(format!("{after}\n\n{POINTER}")),
                None => own.after_help(POINTER),
            }
        })
    })
}

/// Reads a command line.
///
/// # Errors
/// As clap's own; help and version are among them.
pub fn parse(words: impl IntoIterator<Item = OsString>) -> Result<(Cli, ArgMatches), clap::Error> {
    let matches = command().try_get_matches_from(words)?;
    Ok((Cli::from_arg_matches(&matches)?, matches))
}

/// Every flag that all commands take, by its heading, with its variable and its default.
fn listing<'a>(arguments: impl Iterator<Item = &'a Arg>) -> String {
    let mut sections: Vec<(String, String)> = Vec::new();
    for argument in arguments.filter(|argument| argument.is_global_set()) {
        let heading = argument.get_help_heading().unwrap_or("Others").to_owned();
        let text = entry(argument);
        match sections.iter_mut().find(|(known, _)| *known == heading) {
            Some((_, section)) => section.push_str(&text),
            None => sections.push((heading, text)),
        }
    }
    let mut page = "Settings: a flag wins over the environment variable beside it, and that over the same line of .env.\n\
                    `backfill config` shows what is set, and from where.\n"
        .to_owned();
    for (heading, section) in sections {
        page.push_str(&format!("\n{heading}:\n{section}"));
    }
    page
}

fn entry(argument: &Arg) -> String {
    let flag = argument.get_long().unwrap_or_default();
    let variable = argument.get_env().map(|it| format!("  {}", it.to_string_lossy())).unwrap_or_default();
    let default: Vec<_> = argument.get_default_values().iter().map(|it| it.to_string_lossy()).collect();
    let default = match default.join(",") {
        value if value.is_empty() || argument.is_hide_default_value_set() => String::new(),
        value => format!(" [default: {value}]"),
    };
    let help = argument.get_help().map(ToString::to_string).unwrap_or_default();
    format!("  --{flag}{variable}\n          {help}{default}\n")
}
