//! One process: settings, logging, one command, an exit code.

#![warn(clippy::unwrap_used)]

use std::io::Write;
use std::process::ExitCode;
use std::time::Instant;

use backfill::cli::{Cli, Command, GlobalArgs, LogFormat};
use backfill::commands;
use backfill::failure::Exit;
use clap::Parser;
use tracing_subscriber::EnvFilter;

fn main() -> ExitCode {
    let started = Instant::now();
    if let Err(message) = read_dotenv() {
        complain(&message);
        return ExitCode::from(Exit::Usage as u8);
    }
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // Help and version go to standard output and are no error; a closed pipe is none either.
            let _ = error.print();
            return ExitCode::from(if error.use_stderr() { Exit::Usage as u8 } else { 0 });
        }
    };
    if let Command::ClickhouseEngine { library, arguments } = &cli.command {
        return match backfill::store::embedded::run_engine(library, arguments) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                complain(&error.to_string());
                ExitCode::from(Exit::Unusable as u8)
            }
        };
    }
    log(&cli.global);
    // reqwest is built without a cryptography provider of its own; the second call of a process changes nothing.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            complain(&format!("the system lets no threads start: {error}"));
            return ExitCode::from(Exit::Unusable as u8);
        }
    };
    let exit = match runtime.block_on(commands::run(cli, started)) {
        Ok(exit) => exit,
        Err(failure) => {
            complain(&failure.to_string());
            failure.exit()
        }
    };
    // A task that is still waiting for the network must not keep the process.
    runtime.shutdown_background();
    ExitCode::from(exit as u8)
}

/// Tells an error; where even that cannot be told, the exit code still does.
fn complain(message: &str) {
    let _ = writeln!(std::io::stderr(), "error: {message}");
}

/// Reads `.env` where there is one. Its contents may be keys, so of a line that cannot be read only the fact is told.
fn read_dotenv() -> Result<(), String> {
    match dotenvy::dotenv() {
        Ok(_) => Ok(()),
        Err(dotenvy::Error::LineParse(_, at)) => Err(format!(
            ".env holds a line that is not NAME=value (near its character {at}); put values with spaces into quotes"
        )),
        Err(error) if error.not_found() => Ok(()),
        Err(dotenvy::Error::Io(error)) => Err(format!("cannot read .env: {error}")),
        Err(_) => Err("cannot read .env".to_owned()),
    }
}

fn log(global: &GlobalArgs) {
    let level = match (global.quiet, global.verbose) {
        (true, _) => "error",
        (false, 0) => "warn",
        (false, 1) => "backfill=info,warn",
        (false, _) => "backfill=debug,info",
    };
    let subscriber = tracing_subscriber::fmt()
        .with_env_filter(EnvFilter::new(level))
        .with_writer(std::io::stderr)
        .with_target(false);
    // There is one subscriber a process; a second could only come from a test.
    let _ = match global.log_format {
        LogFormat::Text => subscriber.try_init(),
        LogFormat::Json => subscriber.json().try_init(),
    };
}
