//! [`StandInOptions`]: which service a stand-in is, and how it behaves.

use std::time::Duration;

use super::faults::FaultPlan;
use super::limiter::Window;
use super::spoil::Spoil;
use crate::demo::universe::Api;
use crate::ids::TokenId;
use crate::source::Source;

/// How a 429 over the rate limit says when to come again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RetryAfterStyle {
    /// Not at all.
    Absent,
    /// In whole seconds, rounded up.
    Seconds,
    /// As an HTTP date.
    HttpDate,
    /// There is no 429: what comes too fast waits its turn.
    Delayed,
}

/// How a stand-in behaves.
#[derive(Debug, Clone, PartialEq)]
pub struct StandInOptions {
    /// Which service it is.
    pub api: Api,
    /// The port on loopback; 0 for a free one.
    pub port: u16,
    /// The key that every request has to bear; without one none is asked for.
    pub api_key: Option<String>,
    /// The rate limit.
    pub windows: Vec<Window>,
    /// What a refusal says.
    pub retry_after: RetryAfterStyle,
    /// The time of one answer: half of it passes before the request is counted, half after; with 20 % of jitter.
    pub latency: Duration,
    /// What goes wrong.
    pub faults: FaultPlan,
    /// How long a hanging answer hangs.
    pub hang: Duration,
    /// Whether the service was ended: 410 to everything.
    pub gone: bool,
    /// Share of the markets known to this API of which this server knows; each service's are others.
    pub knows: f64,
    /// Requests for more tokens than this are refused for their size (413 at Dome, a timeout inside at Goldsky).
    pub refuse_above: Option<usize>,
    /// Whether Gamma's `/markets` has ended: 410 to it, and the same under `/markets/keyset`.
    pub markets_ended: bool,
    /// Records of which one field is something else than documented.
    pub spoil: Option<Spoil>,
    /// Tokens that break every request that asks for them (500).
    pub poison: Vec<TokenId>,
    /// What a list of all markets does.
    pub list: ListHabits,
    /// Whether to count tokens that are asked for after they were answered; costs memory for each token.
    pub track_tokens: bool,
}

impl StandInOptions {
    /// The service of a source, with its published limit; `None` for a source that is not asked.
    pub fn of(source: Source) -> Option<Self> {
        match source {
            Source::Derived => None,
            Source::Tokens => Some(Self::tokens()),
            Source::Dome => Some(Self::dome()),
            Source::Goldsky => Some(Self::goldsky()),
            Source::Gamma => Some(Self::gamma()),
            Source::Clob => Some(Self::clob()),
        }
    }

    /// The Dome API with the limits of the dev tier, a key named `demo`, and no latency.
    pub fn dome() -> Self {
        Self {
            api: Api::Dome,
            port: 0,
            api_key: Some("demo".to_owned()),
            windows: vec![Window::per_seconds(100, 1), Window::per_seconds(500, 10)],
            retry_after: RetryAfterStyle::Seconds,
            latency: Duration::ZERO,
            faults: FaultPlan::none(),
            hang: Duration::from_secs(120),
            gone: false,
            knows: 1.0,
            refuse_above: None,
            markets_ended: false,
            spoil: None,
            poison: Vec::new(),
            list: ListHabits::default(),
            track_tokens: false,
        }
    }

    /// Goldsky's public endpoint: 50 requests in 10 s, no key, and no latency.
    pub fn goldsky() -> Self {
        Self {
            api: Api::Goldsky,
            api_key: None,
            windows: vec![Window::per_seconds(50, 10)],
            retry_after: RetryAfterStyle::Absent,
            ..Self::dome()
        }
    }

    /// The Gamma API: 300 requests in 10 s, what is above them delayed, no key, and no latency.
    pub fn gamma() -> Self {
        Self {
            api: Api::Gamma,
            api_key: None,
            windows: vec![Window::per_seconds(300, 10)],
            retry_after: RetryAfterStyle::Delayed,
            ..Self::dome()
        }
    }

    /// The Data API's token look-up: 800 requests in 10 s, what is above them delayed, no key, and no latency.
    pub fn tokens() -> Self {
        Self { api: Api::Tokens, windows: vec![Window::per_seconds(800, 10)], ..Self::gamma() }
    }

    /// The CLOB: 250 requests in 10 s, no key, and no latency.
    pub fn clob() -> Self {
        Self {
            api: Api::Clob,
            api_key: None,
            windows: vec![Window::per_seconds(250, 10)],
            retry_after: RetryAfterStyle::Absent,
            ..Self::dome()
        }
    }
}

/// How a list behaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ListHabits {
    /// Markets that are generated behind the universe's.
    pub generated: u64,
    /// Markets on a page.
    pub page: u64,
    /// Whether the cursors are texts of the server's own instead of numbers.
    pub texts: bool,
}

impl Default for ListHabits {
    /// The universe's markets, a thousand on a page, with the cursors of the real service.
    fn default() -> Self {
        Self { generated: 0, page: 1_000, texts: false }
    }
}
