//! [`ChainStandIn`]: an HTTP server on this machine that gives the logs of a [`ChainWorld`], as a portal or as a node,
//! with everything that goes wrong at such providers.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::Response;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use tokio::net::TcpListener;
use tokio::time::sleep;

use super::faults::{Fault, FaultDice};
use super::limiter::Limiter;
use super::listener::{Outage, Switch, SwitchedListener};
use super::provider::{ChainAnswer, ChainCounters, ChainHabits, ChainKind, ChainShared, lock};
use super::{node, portal, reply};
use crate::demo::chain_world::ChainWorld;
use crate::demo::universe::Api;

/// The largest request that is read.
const MAX_BODY: usize = 1 << 20;

/// A running provider. Dropping it stops it.
pub struct ChainStandIn {
    shared: Arc<ChainShared>,
    address: SocketAddr,
    server: tokio::task::JoinHandle<io::Result<()>>,
}

impl ChainStandIn {
    /// Starts a provider on loopback, on the runtime that this is called in.
    ///
    /// # Errors
    /// The port cannot be bound.
    pub async fn start(world: Arc<ChainWorld>, habits: ChainHabits) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, habits.port)).await?;
        let address = listener.local_addr()?;
        let head = habits.head.unwrap_or_else(|| world.layout().last_block());
        let shared = Arc::new(ChainShared {
            head: AtomicU64::new(head),
            limiter: Mutex::new(Limiter::new(habits.windows.clone())),
            fault_dice: Mutex::new(FaultDice::new(&habits.faults)),
            dice: Mutex::new(ChaCha8Rng::seed_from_u64(habits.faults.seed ^ 0x0063_6861_696e)),
            counters: Mutex::default(),
            switch: Switch::new(),
            world,
            habits,
        });
        let listener = SwitchedListener { listener, switch: shared.switch.clone() };
        let router = Router::new().fallback(serve).with_state(shared.clone());
        let server = tokio::spawn(axum::serve(listener, router).into_future());
        Ok(Self { shared, address, server })
    }

    /// What to put into `CHAIN_URL`.
    pub fn url(&self) -> String {
        match self.shared.habits.kind {
            ChainKind::Portal => format!("http://{}/datasets/polygon-mainnet", self.address),
            ChainKind::Node => format!("http://{}", self.address),
        }
    }

    /// The name that a provider is shown by.
    pub fn name(&self) -> String {
        self.address.to_string()
    }

    /// What it has seen and said so far.
    pub fn counters(&self) -> ChainCounters {
        *lock(&self.shared.counters)
    }

    /// Moves its head.
    pub fn set_head(&self, head: u64) {
        self.shared.head.store(head, Ordering::SeqCst);
    }

    /// Takes the host down, or up again.
    pub fn set_outage(&self, outage: Outage) {
        self.shared.switch.set(outage);
    }
}

impl Drop for ChainStandIn {
    fn drop(&mut self) {
        self.shared.switch.set(Outage::Reset);
        self.server.abort();
    }
}

/// One request, from its first byte to the answer.
async fn serve(State(shared): State<Arc<ChainShared>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    shared.count(|counters| counters.requests += 1);
    if shared.switch.get() == Outage::Unavailable {
        return reply::html(StatusCode::SERVICE_UNAVAILABLE);
    }
    if !shared.habits.latency.is_zero() {
        sleep(shared.habits.latency / 2).await;
    }
    let Ok(body) = axum::body::to_bytes(body, MAX_BODY).await else {
        return reply::html(StatusCode::PAYLOAD_TOO_LARGE);
    };
    if let Some(wait) = shared.too_fast() {
        shared.count(|counters| counters.throttled += 1);
        return reply::throttled(Api::Clob, reply::RetryAfter::Seconds(wait));
    }
    if shared.habits.wants_user_agent && parts.headers.get(header::USER_AGENT).is_none() {
        return reply::html(StatusCode::FORBIDDEN);
    }
    let fault = lock(&shared.fault_dice).draw(&shared.habits.faults);
    shared.count(|counters| counters.faults += u64::from(fault.is_some()));
    if fault == Some(Fault::Hang) {
        sleep(shared.habits.hang).await;
    }
    let answering = shared.clone();
    // Tens of thousands of logs are spelled out: not on the threads that wait for the network.
    let answer = tokio::task::spawn_blocking(move || match answering.habits.kind {
        ChainKind::Portal => portal::answer(&answering, &parts, &body),
        ChainKind::Node => node::answer(&answering, &body),
    });
    let Ok(answer) = answer.await else { return reply::html(StatusCode::INTERNAL_SERVER_ERROR) };
    if !shared.habits.latency.is_zero() {
        sleep(shared.habits.latency / 2).await;
    }
    respond(&shared, answer, fault)
}

fn respond(shared: &ChainShared, answer: ChainAnswer, fault: Option<Fault>) -> Response {
    if let Some(instead) = fault.and_then(|fault| reply::instead(Api::Clob, fault)) {
        return instead;
    }
    if answer.status == StatusCode::OK && !answer.body.is_empty() {
        match fault {
            Some(Fault::Reset) => return reply::reset(answer.body),
            Some(Fault::CutShort) => return reply::cut_short(answer.body),
            Some(Fault::HangInBody) => return reply::hanging(answer.body, shared.habits.hang),
            _ => {}
        }
    }
    let packed = shared.habits.gzip && answer.has_logs;
    let body = if packed { Body::from(pack(answer.body.as_bytes())) } else { Body::from(answer.body) };
    let mut response = Response::new(body);
    *response.status_mut() = answer.status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    if packed {
        headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    }
    response
}

fn pack(body: &[u8]) -> Vec<u8> {
    use std::io::Write;
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    // Writing into memory cannot fail.
    packed.write_all(body).ok();
    packed.finish().unwrap_or_default()
}
