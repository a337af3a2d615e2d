//! The options that every command takes beside the settings.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use crate::report::terminal::ProgressMode;

const OUTPUT: &str = "Output";

/// How a result is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people.
    Text,
    /// One object on standard output at the end.
    Json,
}

/// How logs are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One object a line.
    Json,
}

/// Options of every command.
#[derive(Debug, Clone, Args)]
pub struct GlobalArgs {
    /// Text for people, or one JSON object on standard output at the end
    #[arg(long, global = true, value_enum, default_value = "text", help_heading = OUTPUT)]
    pub format: Format,
    /// Bars on a terminal, the guide's blocks elsewhere
    #[arg(long, global = true, value_enum, default_value = "auto", help_heading = OUTPUT)]
    pub progress: ProgressMode,
    /// Say more: -v for what is done, -vv for every request
    #[arg(short, long, global = true, action = clap::ArgAction::Count, help_heading = OUTPUT)]
    pub verbose: u8,
    /// Only results, warnings and errors
    #[arg(short, long, global = true, help_heading = OUTPUT)]
    pub quiet: bool,
    /// Logs as text, or as one JSON object a line
    #[arg(long, global = true, value_enum, default_value = "text", help_heading = OUTPUT)]
    pub log_format: LogFormat,
    /// Also write a log, to this file or to COMMAND.log beside the checkpoints
    #[arg(long, global = true, value_name = "PATH", num_args = 0..=1, require_equals = true, help_heading = OUTPUT)]
    pub log_file: Option<Option<PathBuf>>,
    /// Read .env.NAME before .env: the same commands for another server
    #[arg(long, global = true, value_name = "NAME", value_parser = profile_name, help_heading = OUTPUT)]
    pub profile: Option<String>,
}

/// Whether this can be the ending of `.env.NAME`.
pub fn is_profile_name(text: &str) -> bool {
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    !text.is_empty() && text.chars().all(fits)
}

fn profile_name(text: &str) -> Result<String, String> {
    match is_profile_name(text) {
        true => Ok(text.to_owned()),
        false => Err("expected letters, digits, - and _: it is the ending of .env.NAME".to_owned()),
    }
}
