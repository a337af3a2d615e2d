//! [`Balancer`]: one address over two servers that hold the same tables, as a balancer over replicas is: each statement goes
//! to one of them, rows that one has taken come to the other later, what changes tables is carried out on both at once.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{RawQuery, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use parking_lot::Mutex;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use tokio::sync::{Notify, mpsc};
use tokio::time::Instant;

/// How a balancer chooses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Choice {
    /// One after the other.
    Alternating,
    /// Any.
    Random,
}

/// A statement that a replica is to carry out later.
struct Late {
    due: Instant,
    request: Request,
}

#[derive(Clone)]
struct Request {
    query: String,
    headers: HeaderMap,
    body: Bytes,
}

struct Replica {
    url: String,
    late: mpsc::UnboundedSender<Late>,
    waiting: Arc<(Mutex<usize>, Notify)>,
}

struct Shared {
    replicas: [Replica; 2],
    choice: Choice,
    dice: Mutex<(ChaCha8Rng, usize)>,
    client: reqwest::Client,
}

/// Starts a balancer over two servers, which ends with the runtime, and answers its URL.
pub async fn start(servers: [String; 2], choice: Choice, seed: u64) -> String {
    let client = reqwest::Client::new();
    let replicas = servers.map(|url| replica(url, client.clone()));
    let dice = Mutex::new((ChaCha8Rng::seed_from_u64(seed), 0));
    let shared = Arc::new(Shared { replicas, choice, dice, client });
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let app =
        Router::new().fallback(answer).layer(axum::extract::DefaultBodyLimit::disable()).with_state(shared);
    tokio::spawn(async move { axum::serve(listener, app).await });
    url
}

/// A replica, whose late statements are carried out one after the other.
fn replica(url: String, client: reqwest::Client) -> Replica {
    let (late, mut queue) = mpsc::unbounded_channel::<Late>();
    let waiting = Arc::new((Mutex::new(0_usize), Notify::new()));
    let (target, done) = (url.clone(), waiting.clone());
    tokio::spawn(async move {
        while let Some(Late { due, request }) = queue.recv().await {
            tokio::time::sleep_until(due).await;
            // A table that is gone by now needs no rows.
            let _ = send(&client, &target, &request).await;
            *done.0.lock() -= 1;
            done.1.notify_waiters();
        }
    });
    Replica { url, late, waiting }
}

impl Replica {
    /// Waits until it has all rows that the other one has taken before.
    async fn catch_up(&self) {
        loop {
            let notified = self.waiting.1.notified();
            if *self.waiting.0.lock() == 0 {
                return;
            }
            // What was notified between the look and the wait is seen a moment later.
            let _ = tokio::time::timeout(Duration::from_millis(20), notified).await;
        }
    }

    fn later(&self, request: Request, lag: Duration) {
        *self.waiting.0.lock() += 1;
        let _ = self.late.send(Late { due: Instant::now() + lag, request });
    }
}

/// The statement of a request: it stands in the body, in a part of it where values are bound, or, where the body holds rows,
/// in the query string.
fn statement(request: &Request) -> String {
    let in_url = url::form_urlencoded::parse(request.query.as_bytes())
        .find(|(name, _)| name == "query")
        .map(|(_, sql)| sql.into_owned());
    let in_body = || {
        let body = String::from_utf8_lossy(&request.body).into_owned();
        let part = body.split_once("name=\"query\"\r\n\r\n").and_then(|(_, rest)| rest.split_once("\r\n--"));
        part.map(|(sql, _)| sql.to_owned()).unwrap_or(body)
    };
    in_url.unwrap_or_else(in_body)
}

fn asks_for_consistency(request: &Request, sql: &str) -> bool {
    request.query.contains("select_sequential_consistency=1")
        || sql.contains("select_sequential_consistency = 1")
}

async fn send(client: &reqwest::Client, url: &str, request: &Request) -> (u16, HeaderMap, Bytes) {
    let kept =
        |name: &str| name.starts_with("x-clickhouse") || ["content-type", "authorization"].contains(&name);
    let headers = request.headers.iter().filter(|(name, _)| kept(name.as_str()));
    let headers: HeaderMap = headers.map(|(name, value)| (name.clone(), value.clone())).collect();
    let sent = client.post(format!("{url}/?{}", request.query)).headers(headers).body(request.body.clone());
    let response = sent.send().await.unwrap();
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    (status, headers, response.bytes().await.unwrap_or_default())
}

async fn answer(
    State(shared): State<Arc<Shared>>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let request = Request { query: query.unwrap_or_default(), headers, body };
    let sql = statement(&request);
    let word = sql.trim_start().split(|c: char| !c.is_ascii_alphabetic()).next().unwrap_or_default();
    let (first, lag) = {
        let mut dice = shared.dice.lock();
        dice.1 += 1;
        let random = dice.0.random_range(0..2);
        let first = if shared.choice == Choice::Random { random } else { dice.1 % 2 };
        (first, Duration::from_millis(dice.0.random_range(20..200)))
    };
    let (one, other) = (&shared.replicas[first], &shared.replicas[1 - first]);
    let (status, headers, body) = match word.to_ascii_uppercase().as_str() {
        "SELECT" | "WITH" | "SHOW" | "EXPLAIN" | "EXISTS" => {
            if asks_for_consistency(&request, &sql) {
                one.catch_up().await;
            }
            send(&shared.client, &one.url, &request).await
        }
        "INSERT" => {
            if asks_for_consistency(&request, &sql) {
                one.catch_up().await;
            }
            let request = rows_of(&shared.client, &one.url, request.clone(), &sql).await;
            let answer = send(&shared.client, &one.url, &request).await;
            if answer.0 == 200 {
                other.later(request, lag);
            }
            answer
        }
        "KILL" => send(&shared.client, &one.url, &request).await,
        _ => {
            // A change of tables comes after the rows that were taken before.
            one.catch_up().await;
            other.catch_up().await;
            let answer = send(&shared.client, &one.url, &request).await;
            send(&shared.client, &other.url, &request).await;
            answer
        }
    };
    let mut response = (StatusCode::from_u16(status).unwrap(), body).into_response();
    for (name, value) in headers.iter().filter(|(name, _)| name.as_str().starts_with("x-clickhouse")) {
        response.headers_mut().insert(name.clone(), value.clone());
    }
    response
}

/// An INSERT of a SELECT as one of the rows that the SELECT has on this replica: the other one gets the same rows.
async fn rows_of(client: &reqwest::Client, url: &str, request: Request, sql: &str) -> Request {
    let Some((into, select)) = ["SELECT", "WITH"].iter().find_map(|word| {
        let at = sql.find(&format!(" {word} "))?;
        Some((&sql[..at], &sql[at + 1..]))
    }) else {
        return request;
    };
    if !request.query.contains("query=") || String::from_utf8_lossy(&request.body).contains(into) {
        let select =
            Request { body: Bytes::from(format!("{select} FORMAT TabSeparated")), ..request.clone() };
        let (status, _, rows) = send(client, url, &select).await;
        if status != 200 {
            return request;
        }
        let mut body = format!("{into} FORMAT TabSeparated\n").into_bytes();
        body.extend_from_slice(&rows);
        return Request { body: Bytes::from(body), ..request };
    }
    request
}
