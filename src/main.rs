//! One process: a command, an exit code.

use std::ffi::OsString;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use backfill::phases::clickhouse::{Served, Serving, serve};
use backfill::store::embedded::{ServerOptions, run_engine};

fn main() -> ExitCode {
    let arguments: Vec<OsString> = std::env::args_os().skip(1).collect();
    match run(&arguments) {
        Ok(code) => code,
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "error: {error}");
            ExitCode::from(1)
        }
    }
}

fn run(arguments: &[OsString]) -> anyhow::Result<ExitCode> {
    let words: Vec<String> = arguments.iter().map(|it| it.to_string_lossy().into_owned()).collect();
    match words.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["clickhouse-engine", _, ..] => {
            run_engine(Path::new(&arguments[1]), &words[2..])?;
            Ok(ExitCode::SUCCESS)
        }
        ["clickhouse", "--data", data, "--port", port] => {
            let options = ServerOptions {
                http_port: port.parse()?,
                engine: std::env::var_os("CLICKHOUSE_ENGINE").map(PathBuf::from),
                ..ServerOptions::new(*data, std::env::current_exe()?)
            };
            let notice = |text: &str| {
                let _ = writeln!(std::io::stderr(), "{text}");
            };
            let ready = |serving: &Serving| {
                let _ = writeln!(
                    std::io::stdout(),
                    "ClickHouse listens at {url}, its data is in {data}.\nUse it in another terminal:  export CLICKHOUSE_URL={url}",
                    url = serving.url,
                    data = serving.data.display()
                );
            };
            let runtime = tokio::runtime::Runtime::new()?;
            let served = runtime.block_on(serve(options, &notice, ready));
            runtime.shutdown_background();
            Ok(match served? {
                Served::Stopped => ExitCode::SUCCESS,
                Served::Killed | Served::NeverBegan => ExitCode::from(130),
            })
        }
        _ => anyhow::bail!("usage: backfill clickhouse --data DIR --port PORT"),
    }
}
