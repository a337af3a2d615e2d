//! [`StandIn`]: HTTP servers on this machine that behave like the Dome API, the Goldsky subgraphs and the CLOB, faults included.

mod chain;
mod clob;
mod counters;
mod dome;
mod faults;
mod gamma;
mod gate;
mod goldsky;
mod limiter;
mod listener;
mod node;
mod options;
mod portal;
mod provider;
mod reply;
mod shared;
mod spoil;
mod tokens;

pub use chain::ChainStandIn;
pub use counters::Counters;
pub use faults::{Fault, FaultPlan, Lie};
pub use limiter::{Limiter, Window};
pub use listener::Outage;
pub use options::{ListHabits, RetryAfterStyle, StandInOptions};
pub use provider::{ChainCounters, ChainHabits, ChainKind};
pub use spoil::{Spoil, Whose};

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::http::request::Parts;
use axum::response::Response;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use tokio::net::TcpListener;
use tokio::sync::oneshot;

use crate::demo::universe::{Api, Universe};
use crate::ids::TokenId;
use counters::Tally;
use faults::FaultDice;
use gate::Gate;
use listener::{Switch, SwitchedListener};
use reply::Answer;
use shared::{Shared, wait};

/// The largest body that is read.
const MAX_BODY: usize = 16 * 1024 * 1024;

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
            Api::Gamma | Api::Clob | Api::Tokens => format!("http://{}", self.address),
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

/// The answer of the API itshared.
fn answer(shared: &Shared, parts: &Parts, body: &[u8], unasked: bool) -> Answer {
    let answer = match shared.options.api {
        Api::Dome => dome::answer(shared, parts, unasked),
        Api::Goldsky => goldsky::answer(shared, parts, body, unasked),
        Api::Gamma => gamma::answer(shared, parts, unasked),
        Api::Clob => clob::answer(shared, parts),
        Api::Tokens => tokens::answer(shared, parts, unasked),
    };
    shared.tally.asked(&answer.asked, shared.options.track_tokens);
    if answer.asked.iter().any(|token| shared.options.poison.contains(token)) {
        return Answer { status: StatusCode::INTERNAL_SERVER_ERROR, lies: 0, ..answer };
    }
    if shared.options.refuse_above.is_some_and(|most| answer.asked.len() > most) {
        let refusal = match shared.options.api {
            api @ (Api::Dome | Api::Gamma | Api::Clob | Api::Tokens) => {
                Answer::error(api, StatusCode::PAYLOAD_TOO_LARGE, "Too many tokens.")
            }
            Api::Goldsky => Answer::ok(reply::GRAPHQL_TIMEOUT.to_owned()),
        };
        return Answer { asked: Vec::new(), refused: true, ..refusal };
    }
    answer
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
    let answer = answer(shared, parts, body, fault == Some(Fault::Unasked));
    if answer.status != StatusCode::OK {
        shared.tally.count(|counters| counters.bad_requests += 1);
        return answer.into_response();
    }
    let body = match &shared.options.spoil {
        Some(spoil) => spoil.body(&answer.body),
        None => answer.body,
    };
    let answer = Answer { body, ..answer };
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

#[cfg(test)]
mod tests;
