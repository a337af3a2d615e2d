//! What a refusal means, whatever its wording: providers agree on no code for "less, please".

use std::time::Duration;

use super::reader::ReadError;
use crate::foreign;

/// Asking less often helps.
const TOO_FAST: [&str; 8] = [
    "rate limit",
    "rate-limit",
    "ratelimit",
    "too many requests",
    "request rate",
    "requests per second",
    "per second",
    "daily request",
];

/// Waiting helps: the provider has not come that far.
const NOT_YET: [&str; 7] = [
    "beyond current head",
    "beyond the current head",
    "beyond head",
    "header not found",
    "unknown block",
    "block not found",
    "is not available yet",
];

/// Nothing helps but another provider.
const THROWN_AWAY: [&str; 8] = [
    "missing trie node",
    "pruned",
    "history not available",
    "archive",
    "ancient",
    "old data not available",
    "state not available",
    "historical",
];

/// Asking for less helps.
const TOO_MUCH: [&str; 22] = [
    "block range",
    "range is too",
    "range too",
    "large range",
    "blocks range",
    "max range",
    "maximum range",
    "too many results",
    "too many logs",
    "too many blocks",
    "max results",
    "response size",
    "response is too",
    "too large",
    "too big",
    "limit exceeded",
    "exceeds the limit",
    "exceed maximum",
    "query returned more than",
    "timeout exceeded",
    "timed out",
    "limited to",
];

/// What an error inside an answer means.
pub(super) fn of_error(code: i64, message: &str, retry_after: Option<Duration>) -> ReadError {
    let said = cleaned(message);
    if let Some(error) = of_words(message, retry_after) {
        return error;
    }
    match code {
        429 | -32029 => ReadError::Throttled { retry_after },
        // Invalid parameters, and the code that was made for limits: a smaller range is other parameters.
        -32602 | -32005 | -32600 => ReadError::TooWide(said),
        // No such method: this is no node that gives logs.
        -32601 => ReadError::Unusable(format!("it refuses eth_getLogs ({said})")),
        _ => ReadError::Passing(said),
    }
}

/// What an HTTP status that is not 200 means, with what the body says.
pub(super) fn of_status(status: u16, body: &[u8], retry_after: Option<Duration>) -> ReadError {
    let text = String::from_utf8_lossy(&body[..body.len().min(4_096)]);
    let said = format!("HTTP {status}{}", spoken(&text));
    match status {
        429 => return ReadError::Throttled { retry_after },
        401..=403 => {
            return ReadError::Unusable(format!("it does not let us in ({said}); check CHAIN_URL"));
        }
        410 => return ReadError::Unusable(format!("it is gone for good ({said}); set another CHAIN_URL")),
        _ => {}
    }
    if let Some(error) = of_words(&text, retry_after) {
        return error;
    }
    match status {
        503 if retry_after.is_some() => ReadError::Throttled { retry_after },
        400 | 413 | 414 | 422 => ReadError::TooWide(said),
        404 | 405 => ReadError::Unusable(format!("nothing answers there ({said}); check CHAIN_URL")),
        300..400 => ReadError::Unusable(format!("it leads elsewhere ({said}); check CHAIN_URL")),
        _ => ReadError::Passing(said),
    }
}

fn of_words(message: &str, retry_after: Option<Duration>) -> Option<ReadError> {
    let lower = message.to_lowercase();
    let has = |words: &[&str]| words.iter().any(|word| lower.contains(word));
    let said = || cleaned(message);
    if has(&TOO_FAST) {
        Some(ReadError::Throttled { retry_after })
    } else if has(&NOT_YET) {
        Some(ReadError::Behind(said()))
    } else if has(&THROWN_AWAY) {
        Some(ReadError::Pruned(said()))
    } else if has(&TOO_MUCH) {
        Some(ReadError::TooWide(said()))
    } else {
        None
    }
}

/// A short text in one line. What looks like a URL is left out: a gateway may repeat one that holds a key.
fn cleaned(text: &str) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let line = foreign::clean(&line, usize::MAX);
    let words = line.split(' ').map(|word| if word.contains("://") { "(a URL)" } else { word });
    foreign::clean(&words.collect::<Vec<_>>().join(" "), 4_000)
}

/// The same for the end of a sentence; nothing of an HTML page.
fn spoken(body: &str) -> String {
    let body = body.trim();
    if body.is_empty() || body.starts_with('<') {
        return String::new();
    }
    let json: Option<serde_json::Value> = serde_json::from_str(body).ok();
    let inner = json.as_ref().and_then(|json| {
        [json.pointer("/error/message"), json.get("message"), json.get("error")]
            .into_iter()
            .flatten()
            .find_map(|it| it.as_str())
    });
    format!(": {}", cleaned(inner.unwrap_or(body)))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn every_wording_of_too_much_asks_for_a_smaller_range() {
        for (code, message) in [
            (-32602, "invalid params"),
            (-32005, "limit exceeded"),
            (-32005, "query returned more than 10000 results"),
            (-32000, "query returned more than 10000 results. Try with this block range [0x1, 0x2]."),
            (-32000, "block range is too wide"),
            (-32600, "eth_getLogs is limited to a 10,000 range"),
            (
                -32602,
                "Log response size exceeded. You can make eth_getLogs requests with up to a 2K block range",
            ),
            (-32000, "exceed maximum block range: 5000"),
            (-32002, "request timed out"),
            (
                -32701,
                "Please specify an address in your request or, to remove restrictions, use a smaller block range",
            ),
            (-32000, "too many results"),
        ] {
            assert!(matches!(of_error(code, message, None), ReadError::TooWide(_)), "{code} {message}");
        }
        for (status, body) in [
            (413, ""),
            (400, "block range too large"),
            (400, "{\"error\":{\"message\":\"max range: 2000\"}}"),
        ] {
            assert!(
                matches!(of_status(status, body.as_bytes(), None), ReadError::TooWide(_)),
                "{status} {body}"
            );
        }
    }

    #[test]
    fn what_comes_too_fast_is_behind_or_thrown_away_is_not_taken_for_too_much() {
        let pause = Some(Duration::from_secs(3));
        assert_eq!(
            of_error(-32005, "daily request count exceeded, request rate limited", pause),
            ReadError::Throttled { retry_after: pause }
        );
        assert!(matches!(of_error(-32000, "missing trie node 1a2b (path )", None), ReadError::Pruned(_)));
        assert!(matches!(
            of_error(-32602, "block range extends beyond current head block", None),
            ReadError::Behind(_)
        ));
        assert!(matches!(of_error(-32603, "internal error", None), ReadError::Passing(_)));
        assert!(matches!(of_status(502, b"<html>", None), ReadError::Passing(_)));
        assert!(matches!(of_status(503, b"", pause), ReadError::Throttled { .. }));
        assert!(matches!(of_status(403, b"{}", None), ReadError::Unusable(_)));
    }

    #[test]
    fn no_key_that_a_gateway_repeats_is_shown() {
        let body = br#"{"error":{"message":"cannot serve https://rpc.example.org/v2/s3cret now"}}"#;
        let said = of_status(500, body, None).to_string();
        assert!(!said.contains("s3cret") && said.contains("(a URL)"), "{said}");
    }

    proptest! {
        #[test]
        fn any_words_mean_something(code: i64, status in 201u16..600, text in ".{0,300}") {
            let _ = (of_error(code, &text, None), of_status(status, text.as_bytes(), None));
        }
    }
}
