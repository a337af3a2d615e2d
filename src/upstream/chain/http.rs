//! [`Client`]: sends one request to a provider and reads its answer, within the time that it may take. What stands in
//! the URL beside host and port may be a key, so no message repeats it.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use url::Url;

use super::reader::ReadError;
use crate::foreign;
use crate::upstream::body::{Body, LARGEST, TooLong};
use crate::upstream::http::retry_after;
use crate::values::{BadSetting, HttpUrl, hide};

/// A provider's URL; shown as its host and port.
#[derive(Clone, PartialEq, Eq)]
pub struct ProviderUrl {
    url: Url,
    name: String,
}

impl ProviderUrl {
    /// Host and port.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// A text without what may be a key: a part of the path, a value of the query, the user, the password.
    pub(super) fn without_secrets(&self, text: String) -> String {
        let path = self.url.path_segments().into_iter().flatten().map(str::to_owned);
        let query = self.url.query_pairs().map(|(_, value)| value.into_owned());
        let login = [Some(self.url.username()), self.url.password()].into_iter().flatten().map(str::to_owned);
        path.chain(query).chain(login).fold(text, |text, secret| hide(&text, &secret))
    }

    /// The URL with `path` behind its own path.
    fn with(&self, path: &str) -> Url {
        let mut url = self.url.clone();
        let joined = format!("{}{path}", url.path().trim_end_matches('/'));
        url.set_path(&joined);
        url
    }
}

impl FromStr for ProviderUrl {
    type Err = BadSetting;

    fn from_str(text: &str) -> Result<Self, BadSetting> {
        // Credentials stay in: a provider's URL is where its users put them, and reqwest makes a header of them.
        text.trim().parse::<HttpUrl>()?;
        let url =
            Url::parse(text.trim()).map_err(|error| crate::values::bad(format!("is not a URL ({error})")))?;
        let host = url.host_str().unwrap_or_default();
        let name = url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"));
        Ok(Self { url, name })
    }
}

impl fmt::Debug for ProviderUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ProviderUrl({})", self.name)
    }
}

/// How an answer ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum End {
    /// As it should.
    Whole,
    /// Before its end, and why.
    Cut(String),
}

/// An answer, whatever its status.
#[derive(Debug)]
pub(super) struct Response {
    pub(super) status: u16,
    pub(super) retry_after: Option<Duration>,
    pub(super) body: Body,
    pub(super) end: End,
}

/// One provider's HTTP client.
#[derive(Debug, Clone)]
pub(super) struct Client {
    client: reqwest::Client,
    url: ProviderUrl,
    timeout: Duration,
}

impl Client {
    pub(super) fn new(url: ProviderUrl, timeout: Duration) -> Result<Self, ReadError> {
        let client = reqwest::Client::builder()
            // Some nodes refuse whoever does not say who it is.
            .user_agent(concat!("backfill/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(timeout.min(Duration::from_secs(10)))
            .read_timeout(timeout)
            .redirect(reqwest::redirect::Policy::none())
            .tcp_nodelay(true)
            .build()
            .map_err(|error| ReadError::Unusable(foreign::cause(&error)))?;
        Ok(Self { client, url, timeout })
    }

    pub(super) fn name(&self) -> &str {
        self.url.name()
    }

    pub(super) async fn get(&self, path: &str) -> Result<Response, ReadError> {
        self.send(self.client.get(self.url.with(path))).await
    }

    pub(super) async fn post(&self, path: &str, body: &serde_json::Value) -> Result<Response, ReadError> {
        self.send(self.client.post(self.url.with(path)).json(body)).await
    }

    /// Reads until the answer ends, breaks, is too long or has taken its time.
    async fn send(&self, request: reqwest::RequestBuilder) -> Result<Response, ReadError> {
        let deadline = tokio::time::Instant::now() + self.timeout;
        let late = || format!("no whole answer within {}", humantime::format_duration(self.timeout));
        let sent = tokio::time::timeout_at(deadline, request.send()).await;
        let mut response = match sent {
            Ok(response) => response.map_err(|error| self.sorted(&error))?,
            Err(_) => return Err(ReadError::Passing(late())),
        };
        let status = response.status().as_u16();
        let retry_after = retry_after(response.headers());
        let mut body = Body::default();
        let end = loop {
            match tokio::time::timeout_at(deadline, response.chunk()).await {
                // A portal's answer is used as far as it was read.
                Ok(Ok(Some(chunk))) => match tokio::time::timeout_at(deadline, body.push(&chunk)).await {
                    Ok(Ok(())) => {}
                    Ok(Err(TooLong)) => {
                        break End::Cut(format!("an answer of more than {} MB", LARGEST >> 20));
                    }
                    Err(_) => break End::Cut(late()),
                },
                Ok(Ok(None)) => break End::Whole,
                Ok(Err(error)) => {
                    break End::Cut(format!("the connection broke ({})", foreign::cause(&error)));
                }
                Err(_) => break End::Cut(late()),
            }
        };
        Ok(Response { status, retry_after, body, end })
    }

    fn sorted(&self, error: &reqwest::Error) -> ReadError {
        if error.is_connect() {
            ReadError::Unreachable(format!("{} ({})", self.url.name(), foreign::cause(error)))
        } else {
            ReadError::Passing(format!("the connection broke ({})", foreign::cause(error)))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_provider_is_shown_without_what_may_be_a_key() {
        let url: ProviderUrl = "https://me:s3cret@polygon.example.org/v2/s3cret?key=s3cret".parse().unwrap();
        assert_eq!(
            (url.name(), format!("{url:?}").as_str()),
            ("polygon.example.org", "ProviderUrl(polygon.example.org)")
        );
        assert_eq!("http://127.0.0.1:8545".parse::<ProviderUrl>().unwrap().name(), "127.0.0.1:8545");
        assert_eq!(url.with("/x").path(), "/v2/s3cret/x");
        for text in ["", "polygon.example.org", "ftp://x"] {
            assert!(text.parse::<ProviderUrl>().is_err(), "{text:?}");
        }
    }
}
