//! [`StandIn`]: HTTP servers on this machine that behave like the Dome API, the Goldsky subgraphs and the CLOB, faults included.

mod clob;
mod counters;
mod dome;
mod faults;
mod gamma;
mod gate;
mod goldsky;
mod limiter;
mod listener;
mod reply;

pub use clob::ListHabits;
pub use counters::Counters;
pub use faults::{Fault, FaultPlan, Lie};
pub use limiter::{Limiter, Window};
pub use listener::Outage;

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::request::Parts;
use axum::http::{StatusCode, header};
use axum::response::Response;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::time::{Instant, sleep};

use crate::demo::universe::{Api, Market, Universe};
use crate::ids::TokenId;
use crate::source::Source;
use counters::Tally;
use faults::FaultDice;
use gate::Gate;
use listener::{Switch, SwitchedListener};
use reply::{Answer, RetryAfter};

/// The largest body that is read.
const MAX_BODY: usize = 16 * 1024 * 1024;
/// Request lines over this are refused, as by the gateways in front of such APIs.
const MAX_REQUEST_LINE: usize = 8 * 1024;
/// Latencies differ by up to this share.
const JITTER: f64 = 0.2;

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

/// What all requests of a server share.
struct Shared {
    universe: Arc<Universe>,
    options: StandInOptions,
    limiter: Mutex<Limiter>,
    fault_dice: Mutex<FaultDice>,
    latency_dice: Mutex<ChaCha8Rng>,
    tally: Tally,
    switch: Switch,
    gate: Gate,
    gone: AtomicBool,
}

/// A running server. Dropping it stops it.
pub struct StandIn {
    shared: Arc<Shared>,
    address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    server: tokio::task::JoinHandle<io::Result<()>>,
}

impl StandIn {
    /// Starts a server on loopback, on the runtime that this is called in.
    ///
    /// # Errors
    /// The port cannot be bound.
    pub async fn start(universe: Arc<Universe>, options: StandInOptions) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, options.port)).await?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared {
            limiter: Mutex::new(Limiter::new(options.windows.clone())),
            fault_dice: Mutex::new(FaultDice::new(&options.faults)),
            latency_dice: Mutex::new(ChaCha8Rng::seed_from_u64(options.faults.seed ^ 0x6c61_7465)),
            tally: Tally::default(),
            switch: Switch::new(),
            gate: Gate::new(),
            gone: AtomicBool::new(options.gone),
            universe,
            options,
        });
        let listener = SwitchedListener { listener, switch: shared.switch.clone() };
        let router = Router::new().fallback(serve).with_state(Arc::clone(&shared));
        let (stop, stopped) = oneshot::channel();
        let server = axum::serve(listener, router).with_graceful_shutdown(async {
            // An error means that the sender is gone, which is a reason to stop as well.
            stopped.await.ok();
        });
        let server = tokio::spawn(server.into_future());
        Ok(Self { shared, address, stop: Some(stop), server })
    }

    /// What to put into the setting of the service's URL.
    pub fn url(&self) -> String {
        match self.shared.options.api {
            Api::Dome => format!("http://{}/v1", self.address),
            Api::Gamma | Api::Clob => format!("http://{}", self.address),
            Api::Goldsky => format!(
                "http://{}/api/public/project_cl6mb8i9h0003e201j6li0diw/subgraphs/positions-subgraph/0.0.7/gn",
                self.address
            ),
        }
    }

    /// What it has seen and said so far.
    pub fn counters(&self) -> Counters {
        self.shared.tally.read()
    }

    /// Ends the service: from now on 410 to everything.
    pub fn end_service(&self) {
        self.shared.gone.store(true, Ordering::Relaxed);
    }

    /// Takes the host down, or up again; connections that are open follow.
    pub fn set_outage(&self, outage: Outage) {
        self.shared.switch.set(outage);
    }

    /// Lets `more` further requests in and keeps those behind them waiting, until [`StandIn::let_in`].
    pub fn hold_after(&self, more: u64) {
        self.shared.gate.close_after(more);
    }

    /// Lets everybody in again, those who wait too.
    pub fn let_in(&self) {
        self.shared.gate.open();
    }

    /// Whether this server has an answer for a token.
    pub fn knows(&self, token: &TokenId) -> bool {
        self.shared.universe.find(token).is_some_and(|outcome| self.shared.has(&outcome.market))
    }

    /// The lie that it tells about the market of a token.
    pub fn lie_about(&self, token: &TokenId) -> Option<Lie> {
        let outcome = self.shared.universe.find(token)?;
        self.shared.options.faults.lie_about(&outcome.market)
    }

    /// Stops the server and breaks its connections.
    pub async fn stop(mut self) {
        self.shared.switch.set(Outage::Reset);
        if let Some(stop) = self.stop.take() {
            // The server may have ended before.
            stop.send(()).ok();
        }
        // Requests in flight would keep it waiting for their latency.
        self.server.abort();
        (&mut self.server).await.ok();
    }
}

impl Drop for StandIn {
    fn drop(&mut self) {
        self.shared.switch.set(Outage::Reset);
        self.server.abort();
    }
}

impl Shared {
    /// Whether this server has a market.
    fn has(&self, market: &Market<'_>) -> bool {
        const STEPS: u64 = 1 << 32;
        market.known_to(self.options.api)
            && (self.options.knows >= 1.0
                || (market.dice(0x6b6e_6f77 ^ (self.options.api as u64) << 32, STEPS) as f64)
                    < self.options.knows * STEPS as f64)
    }

    /// The two halves of the latency of one request.
    fn latency(&self) -> Duration {
        if self.options.latency.is_zero() {
            return Duration::ZERO;
        }
        let dice = self.latency_dice.lock().unwrap_or_else(PoisonError::into_inner).next_u32();
        let jitter = 1.0 - JITTER + 2.0 * JITTER * f64::from(dice) / f64::from(u32::MAX);
        self.options.latency.mul_f64(jitter / 2.0)
    }

    fn authorized(&self, parts: &Parts) -> bool {
        let Some(key) = &self.options.api_key else { return true };
        let given = parts.headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
        given.and_then(|value| value.strip_prefix("Bearer ")) == Some(key)
    }

    /// Lets a request in, or says when it would be.
    fn too_fast(&self) -> Option<Duration> {
        self.limiter.lock().unwrap_or_else(PoisonError::into_inner).admit(Instant::now()).err()
    }

    /// Keeps a request waiting for its turn, where the service does so.
    async fn delay(&self) {
        if self.options.retry_after != RetryAfterStyle::Delayed {
            return;
        }
        let mut first = true;
        while let Some(turn) = self.too_fast() {
            self.tally.count(|counters| counters.throttled += u64::from(first));
            first = false;
            wait(turn).await;
        }
    }

    /// Everything that is decided when the request arrives: `Err` is the refusal.
    fn admit(&self, parts: &Parts) -> Result<Option<Fault>, Box<Response>> {
        let api = self.options.api;
        if self.gone.load(Ordering::Relaxed) {
            return Err(Box::new(reply::error(api, StatusCode::GONE, "This service has been shut down.")));
        }
        if request_line(parts) > MAX_REQUEST_LINE {
            self.tally.count(|counters| counters.bad_requests += 1);
            return Err(Box::new(reply::html(StatusCode::URI_TOO_LONG)));
        }
        // Who is delayed has waited before.
        let refuses = self.options.retry_after != RetryAfterStyle::Delayed;
        if let Some(wait) = refuses.then(|| self.too_fast()).flatten() {
            self.tally.count(|counters| counters.throttled += 1);
            let retry_after = match self.options.retry_after {
                RetryAfterStyle::Absent | RetryAfterStyle::Delayed => RetryAfter::Absent,
                RetryAfterStyle::Seconds => RetryAfter::Seconds(wait),
                RetryAfterStyle::HttpDate => RetryAfter::Date(wait),
            };
            return Err(Box::new(reply::throttled(api, retry_after)));
        }
        if !self.authorized(parts) {
            self.tally.count(|counters| counters.unauthorized += 1);
            return Err(Box::new(reply::error(api, StatusCode::UNAUTHORIZED, "Invalid or missing API key.")));
        }
        let fault = self.fault_dice.lock().unwrap_or_else(PoisonError::into_inner).draw(&self.options.faults);
        if fault.is_some() {
            self.tally.count(|counters| counters.faults += 1);
        }
        Ok(fault)
    }

    /// The answer of the API itself.
    fn answer(&self, parts: &Parts, body: &[u8], unasked: bool) -> Answer {
        let answer = match self.options.api {
            Api::Dome => dome::answer(self, parts, unasked),
            Api::Goldsky => goldsky::answer(self, parts, body, unasked),
            Api::Gamma => gamma::answer(self, parts, unasked),
            Api::Clob => clob::answer(self, parts),
        };
        self.tally.asked(&answer.asked, self.options.track_tokens);
        if answer.asked.iter().any(|token| self.options.poison.contains(token)) {
            return Answer { status: StatusCode::INTERNAL_SERVER_ERROR, lies: 0, ..answer };
        }
        if self.options.refuse_above.is_some_and(|most| answer.asked.len() > most) {
            let refusal = match self.options.api {
                api @ (Api::Dome | Api::Gamma | Api::Clob) => {
                    Answer::error(api, StatusCode::PAYLOAD_TOO_LARGE, "Too many tokens.")
                }
                Api::Goldsky => Answer::ok(reply::GRAPHQL_TIMEOUT.to_owned()),
            };
            return Answer { asked: Vec::new(), refused: true, ..refusal };
        }
        answer
    }
}

/// One request, from its first byte to the answer.
async fn serve(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    let api = shared.options.api;
    let (parts, body) = request.into_parts();
    shared.tally.count(|counters| counters.requests += 1);
    shared.gate.pass().await;
    if shared.switch.get() == Outage::Unavailable {
        return reply::html(StatusCode::SERVICE_UNAVAILABLE);
    }
    let half = shared.latency();
    wait(half).await;
    let Ok(body) = axum::body::to_bytes(body, MAX_BODY).await else {
        return reply::error(api, StatusCode::PAYLOAD_TOO_LARGE, "The body is too large.");
    };
    shared.delay().await;
    let fault = match shared.admit(&parts) {
        Ok(fault) => fault,
        Err(refusal) => {
            wait(half).await;
            return *refusal;
        }
    };
    if fault == Some(Fault::Hang) {
        wait(shared.options.hang).await;
    }
    wait(half).await;
    match fault.and_then(|fault| reply::instead(api, fault)) {
        Some(refusal) => refusal,
        None => give(&shared, &parts, &body, fault),
    }
}

/// The API's answer, spoiled on its way by a fault that lets it begin.
fn give(shared: &Shared, parts: &Parts, body: &[u8], fault: Option<Fault>) -> Response {
    let answer = shared.answer(parts, body, fault == Some(Fault::Unasked));
    if answer.status != StatusCode::OK {
        shared.tally.count(|counters| counters.bad_requests += 1);
        return answer.into_response();
    }
    match fault {
        Some(Fault::Reset) => return reply::reset(answer.body),
        Some(Fault::CutShort) => return reply::cut_short(answer.body),
        _ => {}
    }
    if !answer.refused {
        shared.tally.count(|counters| {
            counters.answered += 1;
            counters.lies += answer.lies;
        });
        shared.tally.answered(&answer.asked, shared.options.track_tokens);
    }
    match fault {
        Some(Fault::HangInBody) => reply::hanging(answer.body, shared.options.hang),
        _ => answer.into_response(),
    }
}

/// The length of the request line, its end included.
fn request_line(parts: &Parts) -> usize {
    let path = parts.uri.path_and_query().map_or(1, |path| path.as_str().len());
    parts.method.as_str().len() + " ".len() + path + " HTTP/1.1\r\n".len()
}

/// Sleeps, unless there is nothing to sleep for.
async fn wait(time: Duration) {
    if !time.is_zero() {
        sleep(time).await;
    }
}

#[cfg(test)]
mod tests;
