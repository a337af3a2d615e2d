//! The Dome API: markets by token, and a wallet's P&L.

use std::fmt::Write;

use axum::http::request::Parts;
use axum::http::{Method, StatusCode};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::faults::{Lie, unknown_half};
use super::reply::Answer;
use super::shared::Shared;
use crate::demo::universe::{Api, Market, Payout, mix};
use crate::ids::{ConditionId, TokenId, Wallet};

/// Markets in an answer when the request says nothing, and at most.
const DEFAULT_LIMIT: usize = 20;
const MAX_LIMIT: usize = 100;

/// Answers one request.
pub(super) fn answer(shared: &Shared, parts: &Parts, unasked: bool) -> Answer {
    let path = parts.uri.path().strip_prefix("/v1").unwrap_or(parts.uri.path());
    if parts.method != Method::GET {
        return Answer::error(Api::Dome, StatusCode::METHOD_NOT_ALLOWED, "Only GET is supported.");
    }
    if path == "/polymarket/markets" {
        return match Filters::parse(parts.uri.query().unwrap_or_default()) {
            Ok(filters) => markets(shared, filters, unasked),
            Err(message) => Answer::error(Api::Dome, StatusCode::BAD_REQUEST, &message),
        };
    }
    match path.strip_prefix("/polymarket/wallet/pnl/") {
        Some(wallet) => pnl(shared, wallet, parts.uri.query().unwrap_or_default()),
        None => Answer::error(Api::Dome, StatusCode::NOT_FOUND, "No such path."),
    }
}

/// The parameters of `/polymarket/markets`.
#[derive(Debug, Default)]
struct Filters {
    tokens: Vec<TokenId>,
    conditions: Vec<ConditionId>,
    numbers_in_slugs: Vec<usize>,
    /// Whether any market was named, also one that cannot be.
    named: bool,
    open: Option<bool>,
    limit: usize,
    offset: usize,
}

impl Filters {
    fn parse(query: &str) -> Result<Self, String> {
        let mut filters = Self { limit: DEFAULT_LIMIT, ..Self::default() };
        for (name, value) in url::form_urlencoded::parse(query.as_bytes()) {
            match &*name {
                // Arrays are repeated parameters: a list in one of them is a token that nobody knows.
                "token_id" => filters.tokens.extend(value.parse::<TokenId>().ok()),
                "condition_id" => filters.conditions.extend(value.parse::<ConditionId>().ok()),
                "market_slug" => filters.numbers_in_slugs.extend(Market::number_in_slug(&value)),
                "event_slug" | "tags" => {}
                "limit" => filters.limit = in_range(&value, 1, MAX_LIMIT, "limit")?,
                "offset" => filters.offset = in_range(&value, 0, usize::MAX, "offset")?,
                "pagination_key" => {
                    filters.offset = offset_of(&value).ok_or("pagination_key is not valid")?
                }
                "status" => filters.open = Some(is_open(&value)?),
                // As the service does: what it does not know it leaves alone.
                _ => {}
            }
            filters.named |= matches!(&*name, "token_id" | "condition_id" | "market_slug");
        }
        Ok(filters)
    }
}

fn in_range(value: &str, least: usize, most: usize, name: &str) -> Result<usize, String> {
    let number = value.parse::<usize>().ok().filter(|number| (least..=most).contains(number));
    number.ok_or_else(|| format!("{name} must be a number from {least} to {most}"))
}

fn is_open(value: &str) -> Result<bool, String> {
    match value {
        "open" => Ok(true),
        "closed" => Ok(false),
        _ => Err("status must be open or closed".to_owned()),
    }
}

fn key_of(offset: usize) -> String {
    STANDARD.encode(format!("{{\"offset\":{offset}}}"))
}

fn offset_of(key: &str) -> Option<usize> {
    let text = String::from_utf8(STANDARD.decode(key).ok()?).ok()?;
    text.strip_prefix("{\"offset\":")?.strip_suffix('}')?.parse().ok()
}

/// A market to be shown, and the lie that is told with it.
struct Shown<'a> {
    market: Market<'a>,
    lie: Option<Told>,
}

/// A lie with what it needs.
enum Told {
    About(Lie),
    /// The market is shown for this token, which it knows nothing of.
    ForUnknown(TokenId),
}

fn markets(shared: &Shared, filters: Filters, unasked: bool) -> Answer {
    let mut shown = select(shared, &filters);
    if unasked {
        let all = shared.universe.market_count() as u64;
        let start = filters.tokens.first().map_or(0, |token| token.fingerprint() as u64);
        let more = (0..3).filter_map(|nth| shared.universe.market((mix(start ^ nth) % all) as usize));
        for market in more {
            if shown.iter().all(|entry| entry.market.number() != market.number()) {
                shown.push(Shown { market, lie: None });
            }
        }
    }
    shown.sort_by_key(|entry| (std::cmp::Reverse(entry.market.volume_micro()), entry.market.number()));
    let total = shown.len();
    let page =
        shown.get(filters.offset.min(total)..(filters.offset.saturating_add(filters.limit)).min(total));

    let mut body = String::with_capacity(64 + 900 * filters.limit);
    body.push_str("{\"markets\":[");
    let mut lies = 0;
    for (nth, entry) in page.unwrap_or_default().iter().enumerate() {
        if nth > 0 {
            body.push(',');
        }
        lies += u64::from(entry.lie.is_some());
        write_market(&mut body, shared, entry);
    }
    let end = filters.offset.saturating_add(filters.limit);
    let has_more = end < total;
    let key = if has_more { format!("\"{}\"", key_of(end)) } else { "null".to_owned() };
    // Writing into a String cannot fail.
    let _ = write!(
        body,
        "],\"pagination\":{{\"limit\":{},\"total\":{total},\"has_more\":{has_more},\"pagination_key\":{key}}}}}",
        filters.limit
    );
    Answer { asked: filters.tokens, lies, ..Answer::ok(body) }
}

/// The markets that the filters name, each once; all of them if they name none.
fn select<'a>(shared: &'a Shared, filters: &Filters) -> Vec<Shown<'a>> {
    let universe = &shared.universe;
    let plan = &shared.options.faults;
    let mut shown: Vec<Shown<'_>> = Vec::new();
    let mut numbers: Vec<usize> =
        if filters.named { Vec::new() } else { (0..universe.market_count()).collect() };
    for token in &filters.tokens {
        match universe.find(token).filter(|outcome| shared.has(&outcome.market)) {
            Some(outcome) => numbers.push(outcome.market.number()),
            None if plan.lie_about_unknown(token.fingerprint() as u64) => {
                let first = universe.market(0);
                shown.extend(first.map(|market| Shown { market, lie: Some(Told::ForUnknown(*token)) }));
            }
            None => {}
        }
    }
    numbers
        .extend(filters.conditions.iter().filter_map(|id| universe.find_condition(id)).map(|m| m.number()));
    numbers.extend(&filters.numbers_in_slugs);
    numbers.sort_unstable();
    numbers.dedup();
    let known = numbers.into_iter().filter_map(|number| universe.market(number)).filter(|m| shared.has(m));
    shown.extend(known.map(|market| Shown { market, lie: plan.lie_about(&market).map(Told::About) }));
    shown.retain(|entry| {
        filters.open.is_none_or(|open| open == (entry.market.payout() == Payout::Unresolved))
    });
    shown
}

fn write_market(body: &mut String, shared: &Shared, entry: &Shown<'_>) {
    let market = entry.market;
    let mut named = market;
    let mut ids = *market.tokens();
    let mut condition = None;
    match entry.lie {
        None => {}
        Some(Told::About(Lie::UnknownHalf)) => condition = Some(unknown_half(&market)),
        Some(Told::About(Lie::WrongMarket)) => named = another(shared, &market),
        Some(Told::About(Lie::SwappedOutcomes | Lie::Index82)) => ids.swap(0, 1),
        Some(Told::About(Lie::InventedToken)) => {
            ids[usize::from(market.dice(31, 2) == 1)] = invented(&market);
        }
        Some(Told::ForUnknown(token)) => ids[usize::from(market.first_side())] = token,
    }
    let [a, b] = if market.first_side() == 0 { [0, 1] } else { [1, 0] };
    let labels = market.labels();
    let closed = market.payout() != Payout::Unresolved;
    let end = market.start_time() + 9_000_000;
    let closed_at = if closed { end.to_string() } else { "null".to_owned() };
    let negative_risk = if named.neg_risk() {
        format!("\"0x{:064x}\"", mix(named.number() as u64))
    } else {
        "null".to_owned()
    };
    let volume = market.volume_micro();
    // Writing into a String cannot fail.
    let _ = write!(
        body,
        "{{\"market_slug\":\"{slug}\",\"event_slug\":\"event-{event}\",\"condition_id\":\"0x{condition}\",\
         \"title\":\"{title}\",\"start_time\":{start},\"end_time\":{end},\"completed_time\":{closed_at},\
         \"close_time\":{closed_at},\"tags\":[\"Demo\"],\"volume_total\":{dollars}.{micro:06},\
         \"negative_risk_id\":{negative_risk},\"side_a\":{{\"id\":\"{id_a}\",\"label\":\"{label_a}\"}},\
         \"side_b\":{{\"id\":\"{id_b}\",\"label\":\"{label_b}\"}},\"winning_side\":{winner},\"status\":\"{status}\"}}",
        slug = named.slug(),
        event = named.number() / 4,
        condition = condition.unwrap_or_else(|| named.condition()),
        title = named.title(),
        start = market.start_time(),
        dollars = volume / 1_000_000,
        micro = volume % 1_000_000,
        id_a = ids[a],
        label_a = labels[a],
        id_b = ids[b],
        label_b = labels[b],
        winner = winning_side(&market),
        status = if closed { "closed" } else { "open" },
    );
}

/// Null, a label, or now and then an object with the token.
fn winning_side(market: &Market<'_>) -> String {
    let Payout::Winner(winner) = market.payout() else { return "null".to_owned() };
    let index = usize::from(winner);
    let label = market.labels()[index];
    if market.dice(32, 10) == 0 {
        format!("{{\"id\":\"{}\",\"label\":\"{label}\"}}", market.tokens()[index])
    } else {
        format!("\"{label}\"")
    }
}

/// A market that is not this one.
pub(super) fn another<'a>(shared: &'a Shared, market: &Market<'a>) -> Market<'a> {
    let count = shared.universe.market_count();
    let step = 1 + market.dice(33, count.saturating_sub(1).max(1) as u64) as usize;
    shared.universe.market((market.number() + step) % count.max(1)).unwrap_or(*market)
}

/// A token id that belongs to no condition.
pub(super) fn invented(market: &Market<'_>) -> TokenId {
    let mut bytes = [0; 32];
    for (part, salt) in bytes.chunks_exact_mut(8).zip(34..) {
        part.copy_from_slice(&market.dice(salt, u64::MAX).to_be_bytes());
    }
    TokenId::from_be_bytes(bytes)
}

fn pnl(shared: &Shared, wallet: &str, query: &str) -> Answer {
    let Ok(wallet) = wallet.parse::<Wallet>() else {
        return Answer::error(
            Api::Dome,
            StatusCode::BAD_REQUEST,
            "wallet_address must be 0x and 40 hex digits",
        );
    };
    let granularity = url::form_urlencoded::parse(query.as_bytes())
        .find(|(name, _)| name == "granularity")
        .map(|(_, value)| value.into_owned());
    let granularity = match granularity.as_deref() {
        Some(known @ ("day" | "week" | "month" | "year" | "all")) => known,
        _ => {
            let message = "granularity must be day, week, month, year or all";
            return Answer::error(Api::Dome, StatusCode::BAD_REQUEST, message);
        }
    };
    let points = shared.universe.baseline(&wallet).map_or(String::new(), |baseline| {
        let micro = baseline.pnl_micro;
        let sign = if micro < 0 { "-" } else { "" };
        let (dollars, rest) = (micro.unsigned_abs() / 1_000_000, micro.unsigned_abs() % 1_000_000);
        format!("{{\"timestamp\":1762506140,\"pnl_to_date\":{sign}{dollars}.{rest:06}}}")
    });
    Answer::ok(format!(
        "{{\"granularity\":\"{granularity}\",\"start_time\":0,\"end_time\":0,\"wallet_address\":\"{wallet}\",\
         \"pnl_over_time\":[{points}]}}"
    ))
}
