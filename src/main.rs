//! One process: settings, logging, one command, an exit code.

#![warn(clippy::unwrap_used)]

use std::io::Write;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Instant;

#[cfg(feature = "demo")]
use backfill::cli::Command;
use backfill::cli::{Cli, Format, LogFormat};
use backfill::outcome::Outcome;
use backfill::report::terminal::{Manner, Terminal};
use backfill::{commands, logging};
use clap::Parser;

fn main() -> ExitCode {
    let started = Instant::now();
    if let Err(message) = read_dotenv() {
        complain(&message);
        return ExitCode::from(Outcome::Usage.exit());
    }
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            return help_or_usage(&error);
        }
    };
    if let Some(ended) = commands::shell::run(&cli.command) {
        return match ended {
            Ok(()) => ExitCode::SUCCESS,
            Err(failure) => {
                complain(&failure.to_string());
                ExitCode::from(failure.outcome().exit())
            }
        };
    }
    #[cfg(feature = "demo")]
    if let Command::ClickhouseEngine { library, arguments } = &cli.command {
        return match backfill::embedded::run_engine(library, arguments) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                complain(&error.to_string());
                ExitCode::from(Outcome::Failed.exit())
            }
        };
    }
    // What is wrong with the settings is said before a log is opened: nothing is touched then.
    if let Err(error) = cli.settings.clone().validate() {
        complain(&error.to_string());
        return ExitCode::from(Outcome::Usage.exit());
    }
    let terminal = Arc::new(Terminal::new(Manner {
        progress: cli.global.progress,
        quiet: cli.global.quiet,
        json: cli.global.format == Format::Json,
        json_logs: cli.global.log_format == LogFormat::Json,
    }));
    let folder = cli.settings.checkpoint_dir();
    if let Err(failure) = logging::start(&cli.global, &terminal, folder, cli.command.name()) {
        complain(&failure.to_string());
        return ExitCode::from(failure.outcome().exit());
    }
    // reqwest is built without a cryptography provider of its own; the second call of a process changes nothing.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            complain(&format!("the system lets no threads start: {error}"));
            return ExitCode::from(Outcome::Failed.exit());
        }
    };
    let ended = runtime.block_on(commands::run(cli, terminal.clone(), started));
    terminal.close();
    let outcome = match ended {
        Ok(outcome) => outcome,
        Err(failure) => {
            let message = failure.to_string();
            tracing::error!(target: "backfill::ending", exit_code = failure.outcome().exit(), "{message}");
            complain(&message);
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
        Err(failure) => {
            complain(&failure.to_string());
            ExitCode::from(failure.outcome().exit())
        }
    }
}

/// Tells an error; where even that cannot be told, the exit code still does.
fn complain(message: &str) {
    let _ = writeln!(std::io::stderr(), "error: {message}");
}

/// Reads `.env` where there is one. Its contents may be keys, so of a line that cannot be read only the fact is told.
fn read_dotenv() -> Result<(), String> {
    match dotenv_fits().and_then(|fits| if fits { dotenvy::dotenv().map(|_| true) } else { Ok(false) }) {
        Ok(true) => Ok(()),
        Ok(false) => Err(".env holds a NUL, which no variable can have; write that line anew".to_owned()),
        Err(dotenvy::Error::LineParse(_, at)) => Err(format!(
            ".env holds a line that is not NAME=value (near its character {at}); put values with spaces into quotes"
        )),
        Err(error) if error.not_found() => Ok(()),
        Err(dotenvy::Error::Io(error)) => Err(format!("cannot read .env: {error}")),
        Err(_) => Err("cannot read .env".to_owned()),
    }
}

/// Whether an environment can hold what stands in `.env`: setting anything else would end the process.
fn dotenv_fits() -> dotenvy::Result<bool> {
    let fits =
        |name: &str, value: &str| !name.is_empty() && !name.contains(['=', '\0']) && !value.contains('\0');
    for pair in dotenvy::dotenv_iter()? {
        let (name, value) = pair?;
        if !fits(&name, &value) {
            return Ok(false);
        }
    }
    Ok(true)
}
