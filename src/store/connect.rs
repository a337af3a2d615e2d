//! The first call: is there a ClickHouse, does it let us in, does it have the database?

use std::time::Duration;

use super::StoreSettings;
use crate::foreign;

/// Why no connection could be made; each cause has a message of its own.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// Nothing answers.
    #[error(
        "no ClickHouse answers at {url}: {reason}; check CLICKHOUSE_URL, or start one here with `backfill clickhouse`"
    )]
    Unreachable {
        /// Where it was looked for.
        url: String,
        /// What the network says.
        reason: String,
    },
    /// The user or the password is wrong.
    #[error("ClickHouse at {url} refuses the user {user:?}; check CLICKHOUSE_USER and CLICKHOUSE_PASSWORD")]
    Refused {
        /// The server.
        url: String,
        /// The user.
        user: String,
    },
    /// The database does not exist.
    #[error("ClickHouse at {url} has no database {database:?}; check CLICKHOUSE_DATABASE")]
    NoDatabase {
        /// The server.
        url: String,
        /// The database.
        database: String,
    },
    /// Something else answers at that address.
    #[error(
        "what answers at {url} is not ClickHouse's HTTP interface ({reason}); check CLICKHOUSE_URL (the HTTP port is mostly 8123 or 8443, not 9000)"
    )]
    NotClickHouse {
        /// The server.
        url: String,
        /// What gave it away.
        reason: String,
    },
    /// The answer points to another place.
    #[error(
        "ClickHouse at {url} redirects to {target}, which is not followed, since the password would go along; set CLICKHOUSE_URL to where ClickHouse itself answers"
    )]
    Redirected {
        /// The server that was asked.
        url: String,
        /// The host that it points to, without the rest of the address.
        target: String,
    },
    /// ClickHouse answers with another error.
    #[error("ClickHouse at {url} refuses the first query: {reason}")]
    Rejected {
        /// The server.
        url: String,
        /// Its words.
        reason: String,
    },
}

/// How long the first answer may take; ClickHouse Cloud needs some seconds to wake an idle service.
const FIRST_ANSWER: Duration = Duration::from_secs(30);

/// Asks for one number in a format that no other server would hit by chance.
pub(super) async fn check(settings: &StoreSettings) -> Result<(), ConnectError> {
    let url = settings.url.to_string();
    let unreachable = |error: reqwest::Error| ConnectError::Unreachable {
        url: url.clone(),
        reason: foreign::cause(&error),
    };
    let http = reqwest::Client::builder()
        .connect_timeout(Duration::from_secs(10))
        .timeout(FIRST_ANSWER)
        // The password travels in a header, which would go along to wherever an answer points.
        .redirect(reqwest::redirect::Policy::none())
        .build()
        .map_err(unreachable)?;
    let response = http
        .post(settings.url.endpoint())
        .header("X-ClickHouse-User", &settings.user)
        .header("X-ClickHouse-Key", settings.password.expose())
        .header("X-ClickHouse-Database", &settings.names.database)
        .body("SELECT 'backfill' FORMAT TabSeparated")
        .send()
        .await
        .map_err(|error| {
            if error.is_connect() || error.is_timeout() {
                return unreachable(error);
            }
            ConnectError::NotClickHouse { url: url.clone(), reason: foreign::cause(&error) }
        })?;
    let status = response.status();
    let code = response
        .headers()
        .get("X-ClickHouse-Exception-Code")
        .and_then(|value| value.to_str().ok())
        .map(str::to_owned);
    let target = response.headers().get(reqwest::header::LOCATION).and_then(host);
    let body = beginning(response).await;
    let database = settings.names.database.clone();
    match (status.as_u16(), code.as_deref()) {
        (200, None) if body.trim_end() == "backfill" => Ok(()),
        // 194 REQUIRED_PASSWORD, 192 UNKNOWN_USER, 193 WRONG_PASSWORD, 516 AUTHENTICATION_FAILED
        (_, Some("192" | "193" | "194" | "516")) | (401 | 403, Some(_)) => {
            Err(ConnectError::Refused { url, user: settings.user.clone() })
        }
        (_, Some("81")) => Err(ConnectError::NoDatabase { url, database }),
        (_, Some(_)) => {
            let line = body.lines().next().unwrap_or_default();
            let reason = foreign::said(line, 300, |text| settings.password.hidden_in(&text));
            Err(ConnectError::Rejected { url, reason })
        }
        (status, None) if (300..400).contains(&status) => {
            Err(ConnectError::Redirected { url, target: target.unwrap_or_else(|| "another path".to_owned()) })
        }
        (status, None) => {
            Err(ConnectError::NotClickHouse { url, reason: format!("it answers HTTP {status}") })
        }
    }
}

/// The beginning of an answer: a healthy one has nine bytes, an error a few hundred, and others need not end.
async fn beginning(mut response: reqwest::Response) -> String {
    const ENOUGH: usize = 64 << 10;
    let mut body = Vec::new();
    while body.len() < ENOUGH
        && let Ok(Some(chunk)) = response.chunk().await
    {
        body.extend_from_slice(&chunk[..chunk.len().min(ENOUGH)]);
    }
    String::from_utf8_lossy(&body).into_owned()
}

/// The host that a redirect points to: the rest of its address is foreign text, and may hold a secret.
fn host(location: &reqwest::header::HeaderValue) -> Option<String> {
    let target = url::Url::parse(location.to_str().ok()?).ok()?;
    target.host_str().map(|host| host.chars().take(253).collect())
}
