//! Replies of a subgraph, over GraphQL: errors come as HTTP 200, and what they mean stands only in their words.

use serde::Deserialize;

use super::UpstreamError;
use super::record::{Field, List, frame};
use crate::foreign;

/// The data of a reply.
///
/// # Errors
/// What the reply's errors mean, whether or not there is data beside them: it would be a part of the answer. Keys are taken
/// out of their words by `without_key`.
pub(super) fn data<'a, T: Deserialize<'a>>(
    text: &'a str,
    without_key: &dyn Fn(String) -> String,
) -> Result<T, UpstreamError> {
    let reply: Reply<'_> = frame(text)?;
    let mut errors = reply.errors();
    if !errors.is_empty() {
        // The one that says most about what is to be done.
        errors.sort_by_key(Told::weight);
        let worst = errors.pop().unwrap_or_default();
        return Err(worst.means(&foreign::said(&worst.message, 200, without_key)));
    }
    let data = || UpstreamError::Transient("an answer with neither data nor errors".to_owned());
    reply.data.object().ok_or_else(data)
}

#[derive(Deserialize)]
struct Reply<'a> {
    #[serde(borrow, default)]
    data: Field<'a>,
    #[serde(borrow, default)]
    errors: Field<'a>,
    /// Where the gateway in front of the subgraph answers.
    #[serde(borrow, default)]
    error: Field<'a>,
    #[serde(borrow, default)]
    message: Field<'a>,
}

/// An error as it is told.
#[derive(Debug, Default)]
struct Told {
    message: String,
    code: String,
}

#[derive(Deserialize)]
struct GraphqlError<'a> {
    #[serde(borrow, default)]
    message: Field<'a>,
    #[serde(borrow, default)]
    extensions: Field<'a>,
}

#[derive(Deserialize)]
struct Extensions<'a> {
    #[serde(borrow, default)]
    code: Field<'a>,
}

impl Reply<'_> {
    fn errors(&self) -> Vec<Told> {
        let listed: Vec<Field<'_>> = match self.errors.object() {
            Some(List(list)) => list,
            None if self.errors.is_null() => Vec::new(),
            None => vec![self.errors],
        };
        if !listed.is_empty() {
            return listed.into_iter().map(Told::read).collect();
        }
        let without_data = self.data.is_null();
        let of_gateway = [self.message, self.error].into_iter().find(|field| !field.is_null());
        of_gateway.filter(|_| without_data).map(Told::read).into_iter().collect()
    }
}

/// What an error means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Meaning {
    /// It passes: the subgraph is being built, a database is busy.
    Passing,
    /// Too fast.
    Throttled,
    /// Too much at once.
    TooLarge,
    /// The query itself.
    BadQuery,
    /// The subgraph is not there.
    NotFound,
    /// It is there, and paused.
    Paused,
    /// It wants to be paid.
    Payment,
    /// It wants another key.
    Key,
}

/// Words that tell a meaning, the surest first.
const WORDS: [(Meaning, &[&str]); 7] = [
    (
        Meaning::Key,
        &[
            "auth error",
            "unauthorized",
            "unauthenticated",
            "invalid api key",
            "api key not found",
            "forbidden",
        ],
    ),
    (Meaning::Payment, &["payment required", "payment_required", "insufficient balance", "out of credits"]),
    (Meaning::Paused, &["is paused", "has been paused", "was paused"]),
    (Meaning::TooLarge, &["timeout", "timed out", "too complex", "complexity", "too large"]),
    (Meaning::Throttled, &["rate limit", "rate-limit", "too many requests"]),
    (
        Meaning::BadQuery,
        &[
            "cannot query",
            "unknown field",
            "no field",
            "type `query` has",
            "syntax",
            "parse error",
            "graphql_validation_failed",
            "graphql_parse_failed",
        ],
    ),
    (Meaning::NotFound, &["no subgraph found", "no such subgraph"]),
];

impl Told {
    fn read(field: Field<'_>) -> Self {
        let error: Option<GraphqlError<'_>> = field.object();
        let text = |field: Field<'_>| field.whole_text().unwrap_or_default();
        let Some(error) = error else { return Self { message: text(field), code: String::new() } };
        let extensions: Option<Extensions<'_>> = error.extensions.object();
        let code = extensions.map(|it| text(it.code)).unwrap_or_default();
        Self { message: text(error.message), code }
    }

    fn weight(&self) -> Meaning {
        let lower = format!("{} {}", self.message, self.code).to_lowercase();
        let says = |words: &[&str]| words.iter().any(|word| lower.contains(word));
        if let Some((meaning, _)) = WORDS.iter().find(|(_, words)| says(words)) {
            return *meaning;
        }
        // A block that is not found yet is another matter.
        let gone = says(&["not found", "does not exist"]);
        let is_all = matches!(self.message.trim().to_lowercase().as_str(), "not found" | "not found.");
        if is_all || gone && says(&["subgraph", "deployment", "project"]) {
            Meaning::NotFound
        } else {
            Meaning::Passing
        }
    }

    /// The error, in the words of it that may be shown.
    fn means(&self, shown: &str) -> UpstreamError {
        let shown = if shown.trim().is_empty() { "an error without words" } else { shown }.to_owned();
        match self.weight() {
            Meaning::Passing => UpstreamError::Transient(shown),
            Meaning::Throttled => UpstreamError::Throttled { retry_after: None },
            Meaning::TooLarge => UpstreamError::TooLarge(shown),
            Meaning::BadQuery => {
                UpstreamError::BadRequest(format!("{shown}; is GOLDSKY_URL a positions subgraph?"))
            }
            Meaning::NotFound => UpstreamError::Permanent(format!(
                "{shown}; check GOLDSKY_URL, its project, its subgraph and its version"
            )),
            Meaning::Paused => UpstreamError::Permanent(format!(
                "{shown}; start the subgraph again where it is hosted, set GOLDSKY_URL to another one, or use the other tracks"
            )),
            Meaning::Payment => UpstreamError::Permanent(format!(
                "{shown}; the plan behind GOLDSKY_API_KEY is used up: settle it with the provider, or use the other tracks"
            )),
            Meaning::Key => {
                UpstreamError::Permanent(format!("{shown}; check GOLDSKY_API_KEY and GOLDSKY_URL"))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(text: &str) -> UpstreamError {
        #[derive(Debug, Deserialize)]
        struct Anything {}
        data::<Anything>(text, &|text| text.replace("s3cret", "***")).unwrap_err()
    }

    fn of_message(message: &str) -> UpstreamError {
        error(&serde_json::json!({"data": null, "errors": [{"message": message}]}).to_string())
    }

    #[test]
    fn only_what_is_sure_to_stay_so_ends_a_track() {
        for passes in
            ["unexpected error", "Unexpected end of file", "block 0x12 not found", "Store error: x", ""]
        {
            assert!(matches!(of_message(passes), UpstreamError::Transient(_)), "{passes}");
        }
        for stays in
            ["Type `Query` has no field `tokenIdConditions`", "query parse error: Parse error at 1:1"]
        {
            assert!(matches!(of_message(stays), UpstreamError::BadRequest(_)), "{stays}");
        }
    }

    #[test]
    fn what_keeps_us_out_for_good_says_what_to_do() {
        let told = [
            ("auth error: invalid API key s3cret", "GOLDSKY_API_KEY"),
            ("payment required for subsequent requests for this API key", "plan"),
            ("subgraph is paused", "start the subgraph again"),
            ("subgraph not found", "GOLDSKY_URL"),
            ("deployment `Qm` does not exist", "GOLDSKY_URL"),
            ("No subgraph found under this name", "GOLDSKY_URL"),
            ("Not found", "GOLDSKY_URL"),
        ];
        for (message, advice) in told {
            let error = of_message(message);
            assert!(matches!(error, UpstreamError::Permanent(_)), "{message}: {error}");
            let text = error.to_string();
            assert!(text.contains(advice) && !text.contains("s3cret"), "{text}");
        }
    }

    #[test]
    fn errors_are_found_in_whatever_form_a_gateway_gives_them() {
        let shut = [
            r#"{"errors":"auth error"}"#,
            r#"{"errors":{"message":"auth error"}}"#,
            r#"{"error":"auth error"}"#,
            r#"{"message":"Unauthorized"}"#,
            r#"{"data":{},"errors":[{"message":"indexing_error"},{"message":"subgraph is paused"}]}"#,
            r#"{"errors":[{"message":null,"extensions":{"code":"UNAUTHENTICATED"}}]}"#,
        ];
        for text in shut {
            assert!(matches!(error(text), UpstreamError::Permanent(_)), "{text}: {}", error(text));
        }
        for text in [r#"{"errors":[null]}"#, r#"{"errors":[5]}"#, "{}", r#"{"data":null,"errors":[]}"#, "[]"]
        {
            assert!(matches!(error(text), UpstreamError::Transient(_)), "{text}: {}", error(text));
        }
    }
}
