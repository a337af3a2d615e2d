//! [`Probed`]: what one cheap request shows of a source: whether it can be used, and what it tells of itself on the way.

use std::time::{Duration, Instant};

use reqwest::header::{DATE, HeaderMap};

use super::UpstreamError;
use crate::foreign;

/// What one request has shown.
#[derive(Debug)]
pub struct Probed {
    /// What the source says that it can do, in a few words.
    pub answer: Result<String, UpstreamError>,
    /// How long the answer took.
    pub latency: Duration,
    /// What the answer's headers show; nothing where there was none.
    pub seen: Seen,
}

/// What an answer's headers show.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Seen {
    /// How far the server's clock is ahead of ours, in seconds; its header is exact to one.
    pub clock_ahead: Option<f64>,
    /// What it says of its limits, as `name: value`.
    pub limits: Vec<String>,
}

impl Probed {
    /// A probe whose request took from `began` until now.
    pub(super) fn new(
        answer: Result<String, UpstreamError>,
        headers: Option<&HeaderMap>,
        began: Instant,
        without_key: &dyn Fn(String) -> String,
    ) -> Self {
        let latency = began.elapsed();
        let seen = headers.map_or_else(Seen::default, |headers| Seen {
            clock_ahead: clock_ahead(headers, jiff::Timestamp::now(), latency),
            limits: limits(headers, without_key),
        });
        Self { answer, latency, seen }
    }
}

/// The header names a whole second, and was written somewhere in the time that the answer took: both are taken at their
/// middle.
fn clock_ahead(headers: &HeaderMap, now: jiff::Timestamp, latency: Duration) -> Option<f64> {
    let text = headers.get(DATE)?.to_str().ok()?;
    let date = jiff::fmt::rfc2822::DateTimeParser::new().parse_timestamp(text).ok()?;
    let ahead = date.duration_since(now).as_secs_f64() + 0.5 + latency.as_secs_f64() / 2.0;
    Some((ahead * 10.0).round() / 10.0)
}

/// Headers that tell of a limit.
fn limits(headers: &HeaderMap, without_key: &dyn Fn(String) -> String) -> Vec<String> {
    let tells = |name: &str| name.contains("ratelimit") || name.contains("rate-limit");
    let shown = |text: &str| foreign::said(text, 60, without_key);
    headers
        .iter()
        .filter(|(name, _)| tells(name.as_str()))
        .filter_map(|(name, value)| Some(format!("{name}: {}", shown(value.to_str().ok()?))))
        .take(6)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_servers_clock_is_compared_at_the_middle_of_its_second() {
        let mut headers = HeaderMap::new();
        assert_eq!(clock_ahead(&headers, jiff::Timestamp::UNIX_EPOCH, Duration::ZERO), None);
        headers.insert(DATE, "Thu, 01 Jan 1970 00:10:00 GMT".parse().unwrap());
        let now: jiff::Timestamp = "1970-01-01T00:10:00.500Z".parse().unwrap();
        assert_eq!(clock_ahead(&headers, now, Duration::ZERO), Some(0.0));
        let late: jiff::Timestamp = "1970-01-01T00:11:31Z".parse().unwrap();
        assert_eq!(clock_ahead(&headers, late, Duration::from_secs(1)), Some(-90.0));
    }

    #[test]
    fn what_a_server_says_of_its_limits_is_shown_without_control_characters() {
        let mut headers = HeaderMap::new();
        headers.insert("x-ratelimit-limit", "100\t".parse().unwrap());
        headers.insert("set-cookie", "s3cret".parse().unwrap());
        assert_eq!(limits(&headers, &|text| text), ["x-ratelimit-limit: 100"]);
    }
}
