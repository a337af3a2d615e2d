//! [`serve`]: the counters of the running tracks for Prometheus, in the OpenMetrics text format.

use std::fmt;
use std::net::TcpListener;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::routing::get;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric, text};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Registry;

use super::live::{Live, LiveTrack};
use crate::phases::watch::WatchHealth;
use crate::track::read;
use crate::upstream::UpstreamError;
use crate::values::HttpUrl;

/// How long a Pushgateway may take.
const PUSH_TIMEOUT: Duration = Duration::from_secs(10);

/// The format of the page.
const FORMAT: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Answers `/metrics`, and of a watch `/healthz`, at `listener` for as long as the process runs.
///
/// # Errors
/// Where the listener cannot be used.
pub fn serve(
    listener: TcpListener,
    live: Arc<Live>,
    watch: Option<(Arc<WatchHealth>, Duration)>,
) -> std::io::Result<()> {
    listener.set_nonblocking(true)?;
    let listener = tokio::net::TcpListener::from_std(listener)?;
    let health = watch.as_ref().map(|(health, _)| health.clone());
    let page = move || {
        let (live, health) = (live.clone(), health.clone());
        async move { ([(CONTENT_TYPE, FORMAT)], page(live, health)) }
    };
    let mut router = Router::new().route("/metrics", get(page));
    if let Some((health, max_lag)) = watch {
        let answer = move || std::future::ready(healthy(&health, max_lag));
        router = router.route("/healthz", get(answer));
    }
    tokio::spawn(async move { axum::serve(listener, router).await });
    Ok(())
}

/// Whether a tick of the watch came to its end within `max_lag`.
fn healthy(health: &WatchHealth, max_lag: Duration) -> (StatusCode, String) {
    let counts = health.counts();
    let behind = counts.behind.as_secs();
    match counts.behind <= max_lag {
        true => (StatusCode::OK, format!("ok: the last tick ended {behind} s ago\n")),
        false => (StatusCode::SERVICE_UNAVAILABLE, format!("behind: no tick has ended for {behind} s\n")),
    }
}

/// Reads the figures of a watch whenever it is asked.
#[derive(Debug)]
struct Watched(Arc<WatchHealth>);

impl Collector for Watched {
    fn encode(&self, mut encoder: DescriptorEncoder) -> Result<(), fmt::Error> {
        let counts = self.0.counts();
        for (name, help, count) in [
            ("watch_ticks", "Ticks that came to their end", counts.ticks),
            ("watch_failed_ticks", "Ticks that failed", counts.failed),
            ("watch_mapped_tokens", "Tokens that were mapped", counts.mapped),
        ] {
            let metric = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
            ConstCounter::new(count).encode(metric)?;
        }
        for (name, help, value) in [
            ("watch_unmapped_tokens", "Noticed tokens without a mapping", counts.unmapped as f64),
            (
                "watch_lag_seconds",
                "From fill to mapping, 99 of 100 tokens took no longer",
                counts.lag_p99 as f64,
            ),
            ("watch_tick_age_seconds", "Time since a tick came to its end", counts.behind.as_secs_f64()),
        ] {
            let metric = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
            ConstGauge::new(value).encode(metric)?;
        }
        let help = "Tokens that were mapped, by what the map names as their source";
        let mut metric =
            encoder.encode_descriptor("watch_mapped_by_source", help, None, MetricType::Counter)?;
        for (source, tokens) in &counts.by_source {
            ConstCounter::new(*tokens).encode(metric.encode_family(&[("source", source.as_str())])?)?;
        }
        Ok(())
    }
}

/// What `/metrics` answers now.
fn page(live: Arc<Live>, watch: Option<Arc<WatchHealth>>) -> String {
    let mut registry = Registry::with_prefix("backfill");
    registry.register_collector(Box::new(Tracks(live)));
    if let Some(health) = watch {
        registry.register_collector(Box::new(Watched(health)));
    }
    let mut body = String::new();
    // Writing to a String cannot fail.
    let _ = text::encode(&mut body, &registry);
    body
}

/// Sends the page to a Pushgateway.
///
/// # Errors
/// Why it was not taken, without the URL, which may hold a key.
pub async fn push(url: &HttpUrl, live: Arc<Live>) -> Result<(), String> {
    let told = |error: reqwest::Error| error.without_url().to_string();
    let client = reqwest::Client::builder().timeout(PUSH_TIMEOUT).redirect(reqwest::redirect::Policy::none());
    let (user, password) = url.credentials();
    let mut request = client.build().map_err(told)?.put(url.endpoint()).header(CONTENT_TYPE, FORMAT);
    if let Some(user) = user {
        request = request.basic_auth(user, password);
    }
    let answer = request.body(page(live, None)).send().await.map_err(told)?;
    match answer.status().is_success() {
        true => Ok(()),
        false => Err(format!("HTTP {}", answer.status().as_u16())),
    }
}

/// Reads the gauges whenever it is asked.
#[derive(Debug)]
struct Tracks(Arc<Live>);

/// A number of a track.
type Number<T> = fn(&LiveTrack) -> T;

const COUNTERS: [(&str, &str, Number<u64>); 4] = [
    ("requests", "Requests sent", |track| read(&track.gauges.requests)),
    ("throttled_requests", "Requests refused for being too fast", |track| read(&track.gauges.throttled)),
    ("rows_written", "Rows that ClickHouse has acknowledged", |track| read(&track.gauges.written)),
    ("tokens_failed", "Tokens without a usable answer after all retries", |track| read(&track.gauges.failed)),
];

const GAUGES: [(&str, &str, Number<f64>); 11] = [
    ("workload_tokens", "Tokens in the workload", |track| track.gauges.total as f64),
    ("processed_tokens", "Tokens with an answer, or given up for this run", |track| {
        read(&track.gauges.processed) as f64
    }),
    ("resolved_tokens", "Tokens of the workload that are resolved", |track| {
        read(&track.gauges.resolved) as f64
    }),
    ("inserted_tokens", "Tokens staged, siblings included", |track| read(&track.gauges.inserted) as f64),
    ("not_found_tokens", "Tokens that the API does not know", |track| read(&track.gauges.not_found) as f64),
    ("rejected_tokens", "Tokens whose claims have no proof", |track| read(&track.gauges.rejected) as f64),
    ("tokens_per_second", "Tokens processed over the last ten seconds", |track| track.tokens.per_second()),
    (
        "quota_use_ratio",
        "Requests of this run by all that the limit could have let through",
        LiveTrack::quota_use,
    ),
    ("workers", "Workers in the pool", |track| read(&track.gauges.workers) as f64),
    ("active_workers", "Workers with a request under way", |track| read(&track.gauges.active) as f64),
    ("running", "1 while the track runs, 0 when it has ended", |track| f64::from(u8::from(!track.ended))),
];

impl Collector for Tracks {
    fn encode(&self, mut encoder: DescriptorEncoder) -> Result<(), fmt::Error> {
        for (name, help, number) in COUNTERS {
            self.each(&mut encoder, name, help, MetricType::Counter, |track, encode| {
                encode(&[], &ConstCounter::new(number(track)))
            })?;
        }
        for (name, help, number) in GAUGES {
            self.each(&mut encoder, name, help, MetricType::Gauge, |track, encode| {
                encode(&[], &ConstGauge::new(number(track)))
            })?;
        }
        let help = "Batches that had to be asked again, by what was wrong";
        self.each(&mut encoder, "retries", help, MetricType::Counter, |track, encode| {
            let mut counts = UpstreamError::REASONS.iter().zip(&track.gauges.retries_by);
            counts.try_for_each(|(reason, count)| {
                encode(&[("reason", *reason)], &ConstCounter::new(read(count)))
            })
        })?;
        let help = "How long the API took for an answer";
        self.each(&mut encoder, "request_duration_seconds", help, MetricType::Histogram, |track, encode| {
            encode(&[], &track.gauges.latency)
        })?;
        let help = "Time since the checkpoint was saved last";
        let now = jiff::Timestamp::now().as_millisecond();
        self.each(&mut encoder, "checkpoint_age_seconds", help, MetricType::Gauge, |track, encode| {
            match i64::try_from(read(&track.gauges.saved_at)) {
                Ok(0) | Err(_) => Ok(()),
                Ok(saved) => encode(&[], &ConstGauge::new((now - saved).max(0) as f64 / 1000.0)),
            }
        })
    }
}

/// Writes one sample with these labels beside the track's name.
type Encode<'a> = dyn FnMut(&[(&'static str, &'static str)], &dyn EncodeMetric) -> fmt::Result + 'a;

impl Tracks {
    fn each(
        &self,
        encoder: &mut DescriptorEncoder,
        name: &str,
        help: &str,
        kind: MetricType,
        sample: impl Fn(&LiveTrack, &mut Encode<'_>) -> fmt::Result,
    ) -> fmt::Result {
        let mut metric = encoder.encode_descriptor(name, help, None, kind)?;
        let mut written = Ok(());
        self.0.each_track(|track| {
            let source = track.gauges.source.name();
            let result = sample(track, &mut |more, value| {
                let labels: Vec<_> = [("track", source)].into_iter().chain(more.iter().copied()).collect();
                value.encode(metric.encode_family(&labels)?)
            });
            if written.is_ok() {
                written = result;
            }
        });
        written
    }
}
