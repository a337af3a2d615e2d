//! The Dome API: markets by token, both sides of each, with labels.

use std::time::Duration;

use futures_util::future::BoxFuture;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::probe::Probed;
use super::record::{Cost, Field, List, OddRecord, frame, read};
use super::{
    Answer, ApiInfo, Claim, Freshness, Http, KeyInfo, OpenFn, PublicService, RequestLimits, SettingInfo,
    SourceInfo, SourceSettings, Upstream, UpstreamError,
};
use crate::foreign::LONGEST_CURSOR;
use crate::ids::{TokenId, Wallet};
use crate::pnl::Usd;
use crate::source::Source;

/// What is known of it.
pub(super) static INFO: SourceInfo = SourceInfo {
    source: Source::Dome,
    title: "Dome",
    service: "Dome API",
    phase: "PHASE 1",
    api: Some(ApiInfo {
        url: SettingInfo {
            name: "DOME_API_URL",
            default: "https://api.domeapi.io/v1",
            help: "The Dome API, or a gateway that serves the same paths",
        },
        rate_limit: SettingInfo {
            name: "DOME_RATE_LIMIT",
            // The free tier; every key has at least that.
            default: "100/10s,10/1s",
            help: "Requests that Dome allows, every window at once (the free tier; dev: 500/10s,100/1s)",
        },
        key: Some(KeyInfo { name: "DOME_API_KEY", help: "The Dome API's key", required: true }),
        mode: None,
        public: PublicService {
            freshness: Freshness::Ended,
            date: "2026-04-28",
            told: "the vendor was bought and has ended it; set DOME_API_URL to a gateway that serves the same paths, or use the other tracks (--tracks auto)",
        },
        about: "Phase 1: ask the Dome API for its share of the tokens",
        details: "",
        examples: "Examples:\n  backfill dome                       begins, or goes on where it was\n  \
                   DOME_RATE_LIMIT=500/10s,100/1s backfill dome\n  \
                   backfill dome --log-file --metrics 127.0.0.1:9464",
        open: OpenFn::Lookup(|settings, timeout| Ok(Box::new(Dome::new(settings, timeout)?))),
    }),
};

/// Gateways refuse request lines above 8 KB; what is left of them for the tokens, beside path, host and version.
const REQUEST_LINE: usize = 8_000;

/// Markets in one answer.
const LIMIT: usize = 100;

/// `GET /polymarket/markets`, of which the base URL may carry a prefix.
#[derive(Debug, Clone)]
pub struct Dome {
    http: Http,
}

impl Dome {
    /// The API at `settings.url`.
    ///
    /// # Errors
    /// Where no HTTP client can be made.
    pub fn new(settings: &SourceSettings, timeout: Duration) -> Result<Self, UpstreamError> {
        let http = Http::new(
            settings.url.clone(),
            settings.api_key.clone(),
            "DOME_API_KEY and DOME_API_URL",
            timeout,
        )?;
        Ok(Self { http })
    }

    async fn markets(&self, tokens: &[TokenId], page: Option<&str>) -> Result<Answer, UpstreamError> {
        let ids: Vec<String> = tokens.iter().map(TokenId::to_string).collect();
        let limit = LIMIT.to_string();
        let mut query = vec![("limit", limit.as_str())];
        query.extend(ids.iter().map(|id| ("token_id", id.as_str())));
        query.extend(page.map(|key| ("pagination_key", key)));
        let body = self.http.send(self.http.get("/polymarket/markets", &query)).await?;
        answer(&String::from_utf8_lossy(&body))
    }

    /// A wallet's realized P&L to date, the shortest decimal of what the API sends; `None` where it knows no point of it.
    ///
    /// # Errors
    /// As for every request.
    pub async fn realized_pnl(&self, wallet: &Wallet) -> Result<Option<Usd>, UpstreamError> {
        let path = format!("/polymarket/wallet/pnl/{wallet}");
        let body = self.http.send(self.http.get(&path, &[("granularity", "all")])).await?;
        let body = String::from_utf8_lossy(&body);
        let pnl: WalletPnl = frame(&body)?;
        let last = pnl.pnl_over_time.into_iter().max_by_key(|point| point.timestamp);
        // As text the float is its shortest decimal, without an exponent.
        let amount = |point: PnlPoint| point.pnl_to_date.to_string().parse();
        last.map(amount)
            .transpose()
            .map_err(|error| UpstreamError::Transient(format!("pnl_to_date: {error}")))
    }
}

impl Upstream for Dome {
    fn source(&self) -> Source {
        Source::Dome
    }

    fn request_limits(&self) -> RequestLimits {
        let fixed =
            self.http.url().endpoint().path().len() + "GET /polymarket/markets?limit=100 HTTP/1.1".len();
        RequestLimits {
            tokens: LIMIT,
            bytes: REQUEST_LINE.saturating_sub(fixed).max(100),
            overhead: "&token_id=".len(),
        }
    }

    fn ask<'a>(
        &'a self,
        tokens: &'a [TokenId],
        page: Option<&'a str>,
    ) -> BoxFuture<'a, Result<Answer, UpstreamError>> {
        Box::pin(self.markets(tokens, page))
    }

    fn probe(&self) -> BoxFuture<'_, Probed> {
        let understood = |body: &[u8]| {
            let body = String::from_utf8_lossy(body);
            let page: Page<'_> = frame(&body)?;
            Ok(format!("the key lets us in, and {} market was shown", page.markets.0.len()))
        };
        Box::pin(self.http.probe(self.http.get("/polymarket/markets", &[("limit", "1")]), understood))
    }
}

/// Reads a page of markets.
pub(super) fn answer(text: &str) -> Result<Answer, UpstreamError> {
    let page: Page<'_> = frame(text)?;
    let more = match (page.pagination.has_more, page.pagination.pagination_key) {
        (false, _) => None,
        (true, Some(key)) if key.len() > LONGEST_CURSOR => {
            return Err(UpstreamError::Transient(
                "more markets than one page, and an endless key to them".to_owned(),
            ));
        }
        (true, Some(key)) if !key.is_empty() => Some(key),
        (true, _) => {
            return Err(UpstreamError::TooLarge("more markets than one page, and no key to them".to_owned()));
        }
    };
    let mut answer = Answer { more, ..Answer::default() };
    for record in page.markets.0 {
        match read::<Market<'_>>(record) {
            Ok(market) => market.claims(record, &mut answer),
            Err(odd) => answer.odd.push(odd),
        }
    }
    Ok(answer)
}

#[derive(Deserialize)]
struct Page<'a> {
    #[serde(borrow)]
    markets: List<&'a RawValue>,
    pagination: Pagination,
}

#[derive(Deserialize)]
struct Pagination {
    has_more: bool,
    #[serde(default)]
    pagination_key: Option<String>,
}

#[derive(Deserialize)]
struct Market<'a> {
    #[serde(borrow, default)]
    condition_id: Field<'a>,
    #[serde(borrow, default)]
    side_a: Field<'a>,
    #[serde(borrow, default)]
    side_b: Field<'a>,
}

#[derive(Deserialize)]
struct Side<'a> {
    #[serde(borrow, default)]
    id: Field<'a>,
    #[serde(borrow, default)]
    label: Field<'a>,
}

#[derive(Deserialize)]
struct WalletPnl {
    pnl_over_time: Vec<PnlPoint>,
}

#[derive(Deserialize)]
struct PnlPoint {
    timestamp: i64,
    pnl_to_date: f64,
}

impl Market<'_> {
    /// One claim a side. Which side is which index is not promised, so no index is claimed. A side whose id is a text
    /// but no token id says nothing.
    fn claims(&self, record: &RawValue, answer: &mut Answer) {
        let mut sides = Vec::new();
        for side in [self.side_a, self.side_b] {
            let side: Option<Side<'_>> = side.object();
            match side.map(|side| (side.id.text_or_number(), side.label)) {
                Some((Some(id), label)) => sides.extend(id.parse::<TokenId>().map(|token| (token, label))),
                _ => answer.odd.push(OddRecord::new(record, Cost::Unnamed, "a side has no token id")),
            }
        }
        let Some(condition) = self.condition_id.text() else {
            let tokens = sides.iter().map(|(token, _)| *token).collect();
            answer.odd.push(OddRecord::new(record, Cost::Tokens(tokens), "condition_id is no text"));
            return;
        };
        let mut claims = Vec::new();
        for (token, label) in sides {
            let label = label.text();
            if label.is_none() {
                answer.odd.push(OddRecord::new(record, Cost::Detail, "a side's label is no text"));
            }
            let label = label.unwrap_or_default();
            claims.push(Claim { token, condition: condition.clone(), outcome_index: None, label });
        }
        answer.markets.push(claims);
    }
}
