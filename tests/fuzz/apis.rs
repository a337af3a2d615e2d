//! Whatever an API answers, through its real client: bodies of a 200, and whole answers with status, headers and body.

use std::time::Duration;

use backfill::source::Source;
use backfill::upstream::catalogue::{Catalogue, PageCursor};
use backfill::upstream::{OpenFn, SourceSettings, Upstream, UpstreamError};

use super::harness::{fuzz, looks};
use super::server::Liar;

/// It stands in no message, wherever the server repeats it.
const KEY: &str = "s3cret-0f-mine";

/// A real token, which stands in the corpora.
const TOKEN: &str = "14557944883400223565643640243919774851380876937588843424705199812983475639104";

/// A source's client.
enum Client {
    Lookup(Box<dyn Upstream>),
    Catalogue(Box<dyn Catalogue>),
}

impl Client {
    fn open(source: Source, mode: &str, url: &str) -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let settings = SourceSettings {
            url: url.parse().unwrap(),
            api_key: Some(KEY.into()),
            rate_limit: "100/1s".parse().unwrap(),
            mode: mode.to_owned(),
        };
        let timeout = Duration::from_secs(5);
        match source.info().api.as_ref().unwrap().open {
            OpenFn::Lookup(open) => Self::Lookup(open(&settings, timeout).unwrap()),
            OpenFn::Catalogue(open) => Self::Catalogue(open(&settings, timeout).unwrap()),
        }
    }

    /// Asks, and says what came of it: what was read, or the error's words.
    async fn ask(&self) -> String {
        match self {
            Self::Lookup(client) => match client.ask(&[TOKEN.parse().unwrap()], None).await {
                Ok(answer) => format!("{answer:?}"),
                Err(error) => told(&error),
            },
            Self::Catalogue(client) => match client.page(&PageCursor::At(0)).await {
                Ok(page) => {
                    if let Some(next) = &page.next {
                        // A place that is kept in a checkpoint comes back as itself.
                        let kept = serde_json::to_string(next).unwrap();
                        assert_eq!(serde_json::from_str::<PageCursor>(&kept).unwrap(), *next);
                    }
                    format!("{page:?}")
                }
                Err(error) => told(&error),
            },
        }
    }

    /// Probes, as `doctor` does.
    async fn probe(&self) -> String {
        let probed = match self {
            Self::Lookup(client) => client.probe().await,
            Self::Catalogue(client) => client.probe().await,
        };
        format!("{:?} {}", probed.seen, probed.answer.unwrap_or_else(|error| told(&error)))
    }
}

fn told(error: &UpstreamError) -> String {
    let text = error.to_string();
    assert!(!text.contains(KEY), "the key is shown: {text}");
    assert!(!text.chars().any(char::is_control), "control characters: {text:?}");
    text
}

/// Bodies of a 200, in each way that the source may be asked.
fn bodies(source: Source) {
    let liar = Liar::start();
    let modes = source.info().api.as_ref().unwrap().mode.as_ref().map_or(&[""][..], |mode| mode.values);
    let clients: Vec<Client> = modes.iter().map(|mode| Client::open(source, mode, liar.url())).collect();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    fuzz(source.name(), |input| {
        liar.set_body(input);
        runtime.block_on(async {
            let mut all = String::new();
            for client in &clients {
                all += &client.ask().await;
            }
            looks(&all)
        })
    });
}

/// Whole answers: status lines, headers such as `Retry-After`, bodies that are compressed, cut or no HTTP at all.
fn answers(name: &'static str, source: Source) {
    let liar = Liar::start();
    let client = Client::open(source, "", liar.url());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    fuzz(name, |input| {
        liar.set_raw(input);
        looks(&runtime.block_on(async { client.ask().await + &client.probe().await }))
    });
}

#[test]
fn dome() {
    bodies(Source::Dome);
}

#[test]
fn tokens() {
    bodies(Source::Tokens);
}

#[test]
fn goldsky() {
    bodies(Source::Goldsky);
}

#[test]
fn gamma() {
    bodies(Source::Gamma);
}

#[test]
fn clob() {
    bodies(Source::Clob);
}

#[test]
fn answers_to_look_ups() {
    answers("answers", Source::Goldsky);
}

#[test]
fn answers_to_a_catalogue() {
    answers("answers", Source::Clob);
}

#[test]
fn every_source_with_an_api_has_a_corpus() {
    for source in Source::ALL.into_iter().filter(|source| source.info().api.is_some()) {
        let folder = std::path::Path::new("tests/fuzz/corpus").join(source.name());
        assert!(folder.is_dir(), "{} is missing, and a test beside those above", folder.display());
    }
}
