//! One process: settings, logging, one command, an exit code.

#![warn(clippy::unwrap_used)]

use std::io::Write;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Instant;

use backfill::cli::{self, Command, Format, LogFormat};
use backfill::outcome::Outcome;
use backfill::report::terminal::{Manner, Terminal};
use backfill::results::Failed;
use backfill::{commands, dotenv, foreign, logging};

fn main() -> ExitCode {
    let started = Instant::now();
    let dotenv = match dotenv::read(&commands::config::names()) {
        Ok(dotenv) => dotenv,
        Err(error) => return complain(&error.to_string(), Outcome::Usage, wants_json()),
    };
    let (cli, matches) = match cli::parse(std::env::args_os()) {
        Ok(parsed) => parsed,
        Err(error) => return help_or_usage(&error),
    };
    let json = cli.global.format == Format::Json;
    for (name, nearest) in dotenv.misspelt.iter().filter(|_| !cli.global.quiet) {
        let _ = writeln!(std::io::stderr(), ".env sets {name}, which is no setting: {nearest} is meant?");
    }
    let at_once = match &cli.command {
        Command::Config => Some(commands::config::run(&matches, &dotenv, cli.global.format)),
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
    let terminal = Arc::new(Terminal::new(Manner {
        progress: cli.global.progress,
        quiet: cli.global.quiet,
        json: cli.global.format == Format::Json,
        json_logs: cli.global.log_format == LogFormat::Json,
    }));
    let folder = cli.settings.checkpoint_dir();
    if let Err(failure) = logging::start(&cli.global, &terminal, folder, cli.command.name()) {
        return complain(&failure.to_string(), failure.outcome(), json);
    }
    // reqwest is built without a cryptography provider of its own; the second call of a process changes nothing.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            return complain(&format!("the system lets no threads start: {error}"), Outcome::Failed, json);
        }
    };
    let ended = runtime.block_on(commands::run(cli, terminal.clone(), started));
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

/// Whether a command line that was not read yet asks for JSON.
fn wants_json() -> bool {
    let words: Vec<_> = std::env::args_os().collect();
    let json = |word: &std::ffi::OsString| word == "json";
    words.windows(2).any(|pair| pair[0] == "--format" && json(&pair[1]))
        || words.iter().any(|it| it == "--format=json")
}
