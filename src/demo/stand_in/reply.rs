//! [`Answer`]: what an API says, and the ways in which it goes wrong on the wire.

use std::io;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::Response;
use futures_util::stream;
use tokio::time::sleep;

use super::faults::Fault;
use crate::demo::universe::Api;
use crate::ids::TokenId;

/// What Goldsky says when a query took too long.
pub(super) const GRAPHQL_TIMEOUT: &str = r#"{"errors":[{"message":"Query timed out: store error: canceling statement due to statement timeout"}]}"#;

/// What Goldsky says while a deployment catches up.
const INDEXING_ERROR: &str = r#"{"errors":[{"message":"indexing_error"}],"data":null}"#;

/// The API's own answer to one request.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) body: String,
    /// The well-formed tokens that were asked for.
    pub(super) asked: Vec<TokenId>,
    /// Rows that are lies.
    pub(super) lies: u64,
    /// Whether it is an error inside a 200.
    pub(super) refused: bool,
}

impl Answer {
    pub(super) fn ok(body: String) -> Self {
        Self { status: StatusCode::OK, body, asked: Vec::new(), lies: 0, refused: false }
    }

    pub(super) fn error(api: Api, status: StatusCode, message: &str) -> Self {
        Self { status, ..Self::ok(error_text(api, status, message)) }
    }

    pub(super) fn into_response(self) -> Response {
        respond(self.status, JSON, self.body)
    }
}

/// When a 429 says to come again.
#[derive(Debug, Clone, Copy)]
pub(super) enum RetryAfter {
    Absent,
    Seconds(Duration),
    Date(Duration),
}

impl RetryAfter {
    fn header(self) -> Option<HeaderValue> {
        let text = match self {
            Self::Absent => return None,
            Self::Seconds(wait) => wait.as_nanos().div_ceil(1_000_000_000).to_string(),
            Self::Date(wait) => {
                // Whole seconds on the wire: the next full one after the wait.
                let at = jiff::Timestamp::now() + wait + Duration::from_secs(1);
                at.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string()
            }
        };
        HeaderValue::from_str(&text).ok()
    }
}

const JSON: &str = "application/json";

fn respond(status: StatusCode, kind: &'static str, body: impl Into<Body>) -> Response {
    let mut response = Response::new(body.into());
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    response
}

fn error_text(api: Api, status: StatusCode, message: &str) -> String {
    match api {
        Api::Gamma | Api::Clob => serde_json::json!({"error": message}).to_string(),
        Api::Tokens => data_api_error(status, message, None),
        Api::Dome => {
            let name = status.canonical_reason().unwrap_or("Error");
            serde_json::json!({"error": name, "message": message}).to_string()
        }
        Api::Goldsky => serde_json::json!({"errors": [{"message": message}]}).to_string(),
    }
}

/// An error as the Data API words it.
pub(super) fn data_api_error(status: StatusCode, message: &str, parameter: Option<&str>) -> String {
    let code = status.canonical_reason().unwrap_or("Error").to_lowercase().replace(' ', "_");
    let retryable = status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS;
    serde_json::json!({"error": message, "code": code, "retryable": retryable, "trace_id": "4bf92f3577b34da6", "parameter": parameter})
        .to_string()
}

/// An error in the shape of the API.
pub(super) fn error(api: Api, status: StatusCode, message: &str) -> Response {
    respond(status, JSON, error_text(api, status, message))
}

/// An error of the gateway in front of the API.
pub(super) fn html(status: StatusCode) -> Response {
    let page = format!(
        "<html>\r\n<head><title>{status}</title></head>\r\n<body><h1>{status}</h1></body>\r\n</html>\r\n"
    );
    respond(status, "text/html", page)
}

/// A refusal for asking too fast.
pub(super) fn throttled(api: Api, retry_after: RetryAfter) -> Response {
    let mut response = error(api, StatusCode::TOO_MANY_REQUESTS, "Rate limit exceeded.");
    if let Some(value) = retry_after.header() {
        response.headers_mut().insert(header::RETRY_AFTER, value);
    }
    response
}

/// What is sent instead of an answer, for the faults that leave nothing of it.
pub(super) fn instead(api: Api, fault: Fault) -> Option<Response> {
    let second = Duration::from_secs(1);
    match fault {
        Fault::ThrottledSeconds => Some(throttled(api, RetryAfter::Seconds(second))),
        Fault::ThrottledDate => Some(throttled(api, RetryAfter::Date(second))),
        Fault::ThrottledBare => Some(throttled(api, RetryAfter::Absent)),
        Fault::Status(code) => Some(html(StatusCode::from_u16(code).unwrap_or(StatusCode::BAD_GATEWAY))),
        Fault::ErrorInside => Some(match api {
            Api::Dome | Api::Gamma | Api::Clob | Api::Tokens => {
                respond(StatusCode::OK, JSON, error_text(api, StatusCode::BAD_GATEWAY, "No answer upstream."))
            }
            Api::Goldsky => respond(StatusCode::OK, JSON, INDEXING_ERROR),
        }),
        Fault::TimeoutInside => Some(match api {
            Api::Dome | Api::Gamma | Api::Clob | Api::Tokens => respond(
                StatusCode::OK,
                JSON,
                error_text(api, StatusCode::GATEWAY_TIMEOUT, "The query timed out."),
            ),
            Api::Goldsky => respond(StatusCode::OK, JSON, GRAPHQL_TIMEOUT),
        }),
        Fault::Reset | Fault::CutShort | Fault::Hang | Fault::HangInBody | Fault::Unasked => None,
    }
}

/// The body in two halves.
fn halves(body: String) -> (Bytes, Bytes) {
    let mut first = Bytes::from(body);
    let second = first.split_off(first.len() / 2);
    (first, second)
}

/// A whole answer whose body ends in the middle.
pub(super) fn cut_short(body: String) -> Response {
    respond(StatusCode::OK, JSON, halves(body).0)
}

/// Half of the body, then the connection breaks.
pub(super) fn reset(body: String) -> Response {
    let length = body.len();
    let parts = stream::unfold(Some(halves(body).0), |part| async move {
        match part {
            Some(part) => Some((Ok(part), None)),
            // Waiting for a moment has the server send what it has before the connection breaks.
            None => {
                tokio::task::yield_now().await;
                Some((Err(io::Error::from(io::ErrorKind::ConnectionReset)), None))
            }
        }
    });
    with_length(length, Body::from_stream(parts))
}

/// Half of the body, a long silence, the other half.
pub(super) fn hanging(body: String, hang: Duration) -> Response {
    let length = body.len();
    let (first, second) = halves(body);
    let parts = stream::unfold(vec![second, first], move |mut left| async move {
        let part = left.pop()?;
        if left.is_empty() {
            sleep(hang).await;
        }
        Some((Ok::<_, io::Error>(part), left))
    });
    with_length(length, Body::from_stream(parts))
}

fn with_length(length: usize, body: Body) -> Response {
    let mut response = respond(StatusCode::OK, JSON, body);
    response.headers_mut().insert(header::CONTENT_LENGTH, HeaderValue::from(length));
    response
}
