//! One process: settings, logging, one command, an exit code.

#![warn(clippy::unwrap_used)]

use std::io::Write;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Instant;

use backfill::cli::{self, Command, Format, LogFormat};
use backfill::dotenv::Dotenv;
use backfill::failure::Failure;
use backfill::journal::RunId;
use backfill::outcome::Outcome;
use backfill::report::terminal::{OutputOptions, Terminal};
use backfill::results::Failed;
use backfill::secret_sources::SecretSource;
use backfill::{commands, dotenv, foreign, logging, secret_sources};

/// What the environment, `.env` and the places of secrets say.
struct Surroundings {
    dotenv: Dotenv,
    secrets: Vec<SecretSource>,
}

impl Surroundings {
    fn read() -> Result<Self, String> {
        let names = commands::config::names();
        let dotenv = dotenv::read(&names, wanted_profile().as_deref()).map_err(|error| error.to_string())?;
        let secrets = secret_sources::read(&names, &dotenv.set).map_err(|error| error.to_string())?;
        Ok(Self { dotenv, secrets })
    }

    /// Tells of names that are no settings, and of secrets that everybody sees.
    fn advise(&self, matches: &clap::ArgMatches) {
        let mut told = String::new();
        for (name, nearest) in &self.dotenv.misspelt {
            told.push_str(&format!(".env sets {name}, which is no setting: {nearest} is meant?\n"));
        }
        for name in commands::config::secrets_in_flags(matches) {
            told.push_str(&format!(
                "a flag is seen by everybody on this machine: set {name}, {name}_FILE or {name}_COMMAND instead\n"
            ));
        }
        let _ = std::io::stderr().write_all(foreign::visible(&told, &['\n']).as_bytes());
    }

    /// The settings that are no defaults, in one line; no secret is among them.
    fn told(&self, matches: &clap::ArgMatches) -> String {
        commands::config::told(matches, &self.dotenv, &self.secrets)
    }

    fn config(&self, matches: &clap::ArgMatches, format: Format) -> Result<(), Failure> {
        commands::config::run(matches, &self.dotenv, &self.secrets, format)
    }
}

fn main() -> ExitCode {
    let started = Instant::now();
    let run_id = RunId::of_process(jiff::Timestamp::now());
    let surroundings = match Surroundings::read() {
        Ok(surroundings) => surroundings,
        Err(message) => return complain(&message, Outcome::Usage, wants_json()),
    };
    let (cli, matches) = match cli::parse(std::env::args_os()) {
        Ok(parsed) => parsed,
        Err(error) => return help_or_usage(&error),
    };
    let json = cli.global.format == Format::Json;
    // Where each line of standard error is an object, there is no place for it.
    if !cli.global.quiet && cli.global.log_format == LogFormat::Text {
        surroundings.advise(&matches);
    }
    let at_once = match &cli.command {
        Command::Config => Some(surroundings.config(&matches, cli.global.format)),
        command => commands::shell::run(command),
    };
    match at_once {
        Some(Ok(())) => return ExitCode::SUCCESS,
        Some(Err(failure)) => return complain(&failure.to_string(), failure.outcome(), json),
        None => {}
    }
    #[cfg(feature = "demo")]
    if let Command::ClickhouseEngine { library, arguments } = &cli.command {
        return match backfill::embedded::run_engine(library, arguments) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => complain(&error.to_string(), Outcome::Failed, json),
        };
    }
    // What is wrong with the settings is said before a log is opened: nothing is touched then.
    if let Err(error) = cli.settings.clone().validate() {
        return complain(&error.to_string(), Outcome::Usage, json);
    }
    let terminal = Arc::new(Terminal::new(OutputOptions {
        progress: cli.global.progress,
        quiet: cli.global.quiet,
        json: cli.global.format == Format::Json,
        json_logs: cli.global.log_format == LogFormat::Json,
    }));
    let folder = cli.settings.checkpoint_dir();
    if let Err(failure) = logging::start(&cli.global, &terminal, folder, cli.command.name(), &run_id) {
        return complain(&failure.to_string(), failure.outcome(), json);
    }
    let settings = surroundings.told(&matches);
    tracing::info!(target: "backfill::step", settings, "is set");
    // reqwest is built without a cryptography provider of its own; the second call of a process changes nothing.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            return complain(&format!("the system lets no threads start: {error}"), Outcome::Failed, json);
        }
    };
    let ended = runtime.block_on(commands::run(cli, terminal.clone(), started, run_id));
    terminal.close();
    let outcome = match ended {
        Ok(outcome) => {
            tracing::info!(target: "backfill::step", exit_code = outcome.exit(), "ends");
            outcome
        }
        Err(failure) => {
            let message = failure.to_string();
            tracing::error!(target: "backfill::ending", exit_code = failure.outcome().exit(), "{message}");
            complain(&message, failure.outcome(), json);
            failure.outcome()
        }
    };
    // A task that is still waiting for the network must not keep the process.
    runtime.shutdown_background();
    ExitCode::from(outcome.exit())
}

/// Help and version go to standard output and are no error, all else is one.
fn help_or_usage(error: &clap::Error) -> ExitCode {
    if error.use_stderr() {
        let _ = error.print();
        return ExitCode::from(Outcome::Usage.exit());
    }
    match commands::shell::print(error.render().to_string().as_bytes()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => complain(&failure.to_string(), failure.outcome(), wants_json()),
    }
}

/// Tells an error; where even that cannot be told, the exit code still does.
fn complain(message: &str, outcome: Outcome, json: bool) -> ExitCode {
    let line = match json {
        true => {
            foreign::json(&serde_json::json!(Failed::new(message, outcome.exit())).to_string()).into_owned()
        }
        false => foreign::visible(&format!("error: {message}"), &['\n']).into_owned(),
    };
    let _ = writeln!(std::io::stderr(), "{line}");
    ExitCode::from(outcome.exit())
}

/// The profile that a command line names which was not read yet: `.env` is read before it.
fn wanted_profile() -> Option<String> {
    let words: Vec<String> =
        std::env::args_os().skip(1).map(|word| word.to_string_lossy().into_owned()).collect();
    let behind = |pair: &[String]| (pair[0] == "--profile").then(|| pair[1].clone());
    let joined = words.iter().find_map(|word| word.strip_prefix("--profile=").map(str::to_owned));
    // What is no name of a profile clap refuses, with its own words.
    joined.or_else(|| words.windows(2).find_map(behind)).filter(|name| cli::is_profile_name(name))
}

/// Whether a command line that was not read yet asks for JSON.
fn wants_json() -> bool {
    let words: Vec<_> = std::env::args_os().collect();
    let json = |word: &std::ffi::OsString| word == "json";
    words.windows(2).any(|pair| pair[0] == "--format" && json(&pair[1]))
        || words.iter().any(|it| it == "--format=json")
}
