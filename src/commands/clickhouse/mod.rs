//! `clickhouse`: the embedded server in this terminal.

mod serve;

use std::io::Write;

use super::session::{Session, launcher};
use crate::cli::ClickhouseArgs;
use crate::embedded::{EmbeddedError, ServerOptions};
use crate::failure::Failure;
use crate::outcome::Outcome;
use serve::{Served, Serving, serve};

/// Serves until it is told to end.
pub(super) async fn run(session: &Session, args: &ClickhouseArgs) -> Result<Outcome, Failure> {
    let options = ServerOptions {
        data: args.data.clone(),
        http_port: args.port,
        tcp_port: None,
        config: None,
        engine: session.settings.engine.clone(),
        launcher: launcher()?,
    };
    let notice = |text: &str| {
        let _ = writeln!(std::io::stderr(), "{text}");
    };
    let ready = |serving: &Serving| {
        session.print(
            || {
                format!(
                    "ClickHouse listens at {url}, its data is in {data}.\n\
                     Use it in another terminal:  export CLICKHOUSE_URL={url}\nCtrl-C ends it.\n",
                    url = serving.url,
                    data = serving.data.display()
                )
            },
            || serde_json::json!(serving),
        );
    };
    session.ended(match serve(options, &notice, ready).await? {
        Served::Stopped => Outcome::Done,
        Served::Killed | Served::NeverBegan => Outcome::Interrupted,
    })
}

impl From<EmbeddedError> for Failure {
    fn from(error: EmbeddedError) -> Self {
        Self::Beside(Box::new(error))
    }
}
