//! [`Http`]: one API's HTTP client: the key, the timeouts, and what every API's failures have in common.

use std::time::{Duration, Instant};

use reqwest::header::{HeaderMap, RETRY_AFTER};
use serde::Deserialize;

use super::body::{Body, LARGEST, TooLong};
use super::record::Field;
use super::{UpstreamError, probe};
use crate::foreign;
use crate::values::{HttpUrl, Secret, hide};

/// One API's HTTP client: the key, the timeouts, and what every API's failures have in common.
#[derive(Debug, Clone)]
pub struct Http {
    client: reqwest::Client,
    url: HttpUrl,
    key: Option<Secret>,
    key_setting: &'static str,
    timeout: Duration,
}

impl Http {
    /// A client for the API at `url`; `key_setting` is what the user would have to change where the key is refused.
    ///
    /// # Errors
    /// Where the system's certificates cannot be read.
    pub fn new(
        url: HttpUrl,
        key: Option<Secret>,
        key_setting: &'static str,
        timeout: Duration,
    ) -> Result<Self, UpstreamError> {
        let client = reqwest::Client::builder()
            .user_agent(concat!("backfill/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(timeout.min(Duration::from_secs(10)))
            // Between two reads: an answer that has begun may not hang either.
            .read_timeout(timeout)
            .redirect(reqwest::redirect::Policy::none())
            .tcp_nodelay(true)
            .build()
            .map_err(|error| UpstreamError::Permanent(foreign::cause(&error)))?;
        Ok(Self { client, url, key, key_setting, timeout })
    }

    /// The base URL, without anything secret.
    pub fn url(&self) -> &HttpUrl {
        &self.url
    }

    /// A `GET` of `path` below the base URL.
    pub fn get(&self, path: &str, query: &[(&str, &str)]) -> reqwest::RequestBuilder {
        let mut url = self.url.endpoint();
        let joined = format!("{}{path}", url.path().trim_end_matches('/'));
        url.set_path(&joined);
        url.query_pairs_mut().extend_pairs(query);
        self.client.get(url)
    }

    /// A `POST` of JSON to the URL itself.
    pub fn post(&self, body: &impl serde::Serialize) -> reqwest::RequestBuilder {
        self.client.post(self.url.endpoint()).json(body)
    }

    /// Sends a request and reads the whole answer of a 200, within the timeout.
    ///
    /// # Errors
    /// What went wrong, sorted.
    pub async fn send(&self, request: reqwest::RequestBuilder) -> Result<Body, UpstreamError> {
        self.exchange(request).await.answer
    }

    /// Sends a request and looks at its answer, which `understood` puts into a few words.
    pub async fn probe(
        &self,
        request: reqwest::RequestBuilder,
        understood: impl FnOnce(&[u8]) -> Result<String, UpstreamError>,
    ) -> probe::Probed {
        let began = Instant::now();
        let Exchange { headers, answer, .. } = self.exchange(request).await;
        let answer = answer.and_then(|body| understood(&body));
        probe::Probed::new(answer, headers.as_ref(), began, &|text| self.without_key(text))
    }

    /// Sends a request and keeps all of what came of it.
    pub(super) async fn exchange(&self, request: reqwest::RequestBuilder) -> Exchange {
        let request = match &self.key {
            Some(key) => request.bearer_auth(key.expose()),
            None => request,
        };
        let mut seen = None;
        // The watchdog: whatever the connection does, this request is over when its time is.
        let answer = match tokio::time::timeout(self.timeout, self.read(request, &mut seen)).await {
            Ok(answer) => answer,
            Err(_) => Err(UpstreamError::Timeout(self.timeout)),
        };
        let (status, headers) = seen.unzip();
        Exchange { status, headers, answer }
    }

    async fn read(
        &self,
        request: reqwest::RequestBuilder,
        seen: &mut Option<(u16, HeaderMap)>,
    ) -> Result<Body, UpstreamError> {
        let mut response = request.send().await.map_err(|error| self.sorted(&error))?;
        let status = response.status().as_u16();
        let (_, headers) = seen.insert((status, response.headers().clone()));
        let mut body = Body::default();
        loop {
            match response.chunk().await {
                Ok(Some(chunk)) => match body.push(&chunk).await {
                    Ok(()) => {}
                    Err(TooLong) if status != 200 => break,
                    Err(TooLong) => {
                        let most = LARGEST >> 20;
                        return Err(UpstreamError::TooLarge(format!("an answer of more than {most} MB")));
                    }
                },
                Ok(None) => break,
                Err(_) if status != 200 => break,
                Err(error) => return Err(self.sorted(&error)),
            }
        }
        if status == 200 { Ok(body) } else { Err(self.refused(status, headers, &body)) }
    }

    fn sorted(&self, error: &reqwest::Error) -> UpstreamError {
        if error.is_timeout() && !error.is_connect() {
            UpstreamError::Timeout(self.timeout)
        } else if error.is_connect() {
            UpstreamError::Unreachable(format!("{} ({})", self.url, foreign::cause(error)))
        } else if error.is_builder() {
            UpstreamError::BadRequest(foreign::cause(error))
        } else {
            UpstreamError::Transient(format!("the connection broke ({})", foreign::cause(error)))
        }
    }

    /// Some gateways repeat the key that they refuse, be it one in a header or one in the URL's query.
    pub fn without_key(&self, text: String) -> String {
        let text = self.key.as_ref().map_or_else(|| text.clone(), |key| key.hidden_in(&text));
        let url = self.url.endpoint();
        url.query_pairs().fold(text, |text, (_, value)| hide(&text, &value))
    }

    fn refused(&self, status: u16, headers: &HeaderMap, body: &[u8]) -> UpstreamError {
        let body = String::from_utf8_lossy(body);
        let body = ErrorBody::read(&body);
        let said = body.said(|text| self.without_key(text));
        let url = &self.url;
        match status {
            429 => UpstreamError::Throttled { retry_after: retry_after(headers) },
            401..=403 => UpstreamError::Permanent(format!(
                "{url} does not let us in (HTTP {status}{said}); check {}",
                self.key_setting
            )),
            410 => UpstreamError::Permanent(format!(
                "{url} is gone for good (HTTP 410{said}); set the URL of a service that is still there, or use the other tracks"
            )),
            413 | 414 => UpstreamError::TooLarge(format!("HTTP {status}")),
            300..400 | 404 | 405 => UpstreamError::Permanent(format!(
                "nothing answers under {url} (HTTP {status}{said}); check the URL"
            )),
            400..500 if body.retryable.is_true() => UpstreamError::Transient(format!("HTTP {status}{said}")),
            400..500 => UpstreamError::BadRequest(format!("HTTP {status}{said}")),
            _ if body.is_final() => UpstreamError::BadRequest(format!("HTTP {status}{said}")),
            _ => UpstreamError::Transient(format!("HTTP {status}{said}")),
        }
    }
}

/// What came of one request.
#[derive(Debug)]
pub(super) struct Exchange {
    /// The status, where an answer came.
    pub(super) status: Option<u16>,
    /// Its headers.
    pub(super) headers: Option<HeaderMap>,
    /// The body of a 200.
    pub(super) answer: Result<Body, UpstreamError>,
}

impl Exchange {
    /// What the server says instead of an answer: in an error, or in a 200 that is an object with an `error`.
    pub(super) fn told(&self) -> Option<String> {
        match &self.answer {
            Err(error) => Some(error.to_string()),
            Ok(body) if body.first() == Some(&b'{') => {
                let text = String::from_utf8_lossy(body);
                Some(ErrorBody::read(&text).said(|text| text)).filter(|said| !said.is_empty())
            }
            Ok(_) => None,
        }
    }
}

/// What an error's JSON says, in the forms that these APIs have: `message` or `error`, `errors` of GraphQL, and at the
/// Data API the parameter that is meant, whether asking again helps, and what to name when asking the vendor.
#[derive(Debug, Default, Deserialize)]
struct ErrorBody<'a> {
    #[serde(borrow, default)]
    message: Field<'a>,
    #[serde(borrow, default)]
    error: Field<'a>,
    #[serde(borrow, default)]
    parameter: Field<'a>,
    #[serde(borrow, default)]
    retryable: Field<'a>,
    #[serde(borrow, default)]
    trace_id: Field<'a>,
}

impl<'a> ErrorBody<'a> {
    /// Nothing of an HTML page.
    fn read(body: &'a str) -> Self {
        serde_json::from_str(body).unwrap_or_default()
    }

    /// Whether it says that the same request will never be answered.
    fn is_final(&self) -> bool {
        !self.retryable.is_null() && !self.retryable.is_true()
    }

    /// Its words, for the end of a sentence; keys are taken out by `without_key`.
    fn said(&self, without_key: impl Fn(String) -> String) -> String {
        let shown = |field: Field<'_>, most| Some(foreign::said(&field.whole_text()?, most, &without_key));
        let text = shown(self.message, 200).or_else(|| shown(self.error, 200));
        let of = |name: &str, field| shown(field, 60).map(|value| format!(", {name} {value}"));
        let details = [of("parameter", self.parameter), of("trace", self.trace_id)];
        let details: String = details.into_iter().flatten().collect();
        text.map_or(String::new(), |text| format!(": {text}{details}"))
    }
}

/// Seconds, or an HTTP date; a wait of more than an hour is a mistake and taken for one.
pub(super) fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    let wait = match text.parse::<f64>() {
        Ok(seconds) => Duration::try_from_secs_f64(seconds).ok()?,
        Err(_) => {
            let date = jiff::fmt::rfc2822::DateTimeParser::new().parse_timestamp(text).ok()?;
            Duration::try_from(date.duration_since(jiff::Timestamp::now())).unwrap_or_default()
        }
    };
    Some(wait.min(Duration::from_secs(3600)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        let with = |text: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(RETRY_AFTER, text.parse().unwrap());
            retry_after(&headers)
        };
        assert_eq!(with("7"), Some(Duration::from_secs(7)));
        assert_eq!(with("1e300"), None);
        assert_eq!(with("99999999"), Some(Duration::from_secs(3600)));
        assert_eq!(with("-3"), None);
        assert_eq!(with("Wed, 21 Oct 2015 07:28:00 GMT"), Some(Duration::ZERO));
        assert_eq!(with("soon"), None);
    }

    #[test]
    fn no_key_is_shown_wherever_it_stands() {
        let url = "http://127.0.0.1/gn?token=s3cret-query&v=1".parse().unwrap();
        let key = Some(Secret::from("s3cret-header"));
        let _ = rustls::crypto::ring::default_provider().install_default();
        let http = Http::new(url, key, "GOLDSKY_API_KEY", Duration::from_secs(1)).unwrap();
        let said = http.without_key("s3cret-header and s3cret-query are refused (v1)".to_owned());
        assert_eq!(said, "*** and *** are refused (v1)");
    }

    #[test]
    fn what_a_server_says_is_cut_and_cleaned() {
        let said = |body: &str| ErrorBody::read(body).said(|text| text.replace("s3cret", "***"));
        assert_eq!(said(r#"{"error":"unauthorized","message":"bad\u001b[31m key"}"#), ": bad[31m key");
        assert_eq!(said("<html>"), "");
        let of_data_api =
            r#"{"error":"bad id","code":"invalid","retryable":false,"trace_id":"t1","parameter":"token_id"}"#;
        assert_eq!(said(of_data_api), ": bad id, parameter token_id, trace t1");
        assert!(ErrorBody::read(of_data_api).is_final() && !ErrorBody::read("{}").is_final());
        assert_eq!(said("{\"error\":\"s3\\u0000c\\u202eret\"}"), ": ***", "not even in pieces");
        let long = format!(r#"{{"error":"{}s3cret"}}"#, "x".repeat(197));
        assert!(!said(&long).contains("s3"), "not even its beginning");
    }
}
