//! Polymarket's Gamma API: markets by token, lists as JSON inside strings, closed markets only where they are asked
//! for, and the first market of all where a filter is not recognised.

use axum::http::request::Parts;
use axum::http::{Method, StatusCode};
use serde_json::{Value, json};

use super::dome::{another, invented};
use super::faults::{Lie, unknown_half};
use super::reply::Answer;
use super::shared::Shared;
use crate::ctf;
use crate::demo::universe::{Api, Market, Payout, mix};
use crate::ids::{ConditionId, TokenId};

/// Markets in an answer when the request says nothing, and at most.
const DEFAULT_LIMIT: usize = 20;
const MAX_LIMIT: usize = 100;

/// Answers one request.
pub(super) fn answer(shared: &Shared, parts: &Parts, unasked: bool) -> Answer {
    if parts.method != Method::GET {
        return Answer::error(Api::Gamma, StatusCode::METHOD_NOT_ALLOWED, "method not allowed");
    }
    let keyset = match parts.uri.path() {
        "/markets" if shared.options.markets_ended => {
            let message = "This endpoint has reached its sunset; use /markets/keyset.";
            return Answer::error(Api::Gamma, StatusCode::GONE, message);
        }
        "/markets" => false,
        "/markets/keyset" => true,
        _ => return Answer::error(Api::Gamma, StatusCode::NOT_FOUND, "not found"),
    };
    match Filters::parse(parts.uri.query().unwrap_or_default(), keyset) {
        Ok(filters) => markets(shared, &filters, unasked),
        Err(message) => Answer::error(Api::Gamma, StatusCode::UNPROCESSABLE_ENTITY, message),
    }
}

/// The parameters of `/markets`.
#[derive(Debug)]
struct Filters {
    tokens: Vec<TokenId>,
    conditions: Vec<ConditionId>,
    closed: bool,
    limit: usize,
    offset: usize,
    /// Whether there was a filter that it does not recognise.
    ignored: bool,
    /// Whether it is the list that is paged by cursors.
    keyset: bool,
}

impl Filters {
    fn parse(query: &str, keyset: bool) -> Result<Self, &'static str> {
        let (tokens, conditions) = (Vec::new(), Vec::new());
        let mut filters = Self {
            tokens,
            conditions,
            closed: false,
            limit: DEFAULT_LIMIT,
            offset: 0,
            ignored: false,
            keyset,
        };
        for (name, value) in url::form_urlencoded::parse(query.as_bytes()) {
            match &*name {
                // Arrays are repeated parameters: a list in one of them is nothing that it recognises.
                "clob_token_ids" => match value.parse() {
                    Ok(token) => filters.tokens.push(token),
                    Err(_) => filters.ignored = true,
                },
                "condition_ids" => match value.parse() {
                    Ok(condition) => filters.conditions.push(condition),
                    Err(_) => filters.ignored = true,
                },
                "closed" => filters.closed = value.parse().map_err(|_| "closed must be true or false")?,
                "offset" if keyset => return Err("offset is not supported; use after_cursor"),
                "after_cursor" if keyset => {
                    filters.offset = value.parse().map_err(|_| "after_cursor is not valid")?;
                }
                // More than there can be is cut in silence.
                "limit" => {
                    filters.limit =
                        value.parse::<usize>().map_err(|_| "limit must be a number")?.min(MAX_LIMIT)
                }
                "offset" => filters.offset = value.parse().map_err(|_| "offset must be a number")?,
                _ => filters.ignored = true,
            }
        }
        Ok(filters)
    }
}

fn markets(shared: &Shared, filters: &Filters, unasked: bool) -> Answer {
    let universe = &shared.universe;
    let plan = &shared.options.faults;
    let named = !filters.tokens.is_empty() || !filters.conditions.is_empty();
    let fits =
        |market: &Market<'_>| shared.has(market) && (market.payout() != Payout::Unresolved) == filters.closed;
    let mut shown: Vec<Market<'_>> = if named {
        let of_tokens = filters.tokens.iter().filter_map(|token| universe.find(token)).map(|it| it.market);
        let of_conditions = filters.conditions.iter().filter_map(|id| universe.find_condition(id));
        of_tokens.chain(of_conditions).filter(fits).collect()
    } else if filters.ignored {
        universe.market(0).into_iter().collect()
    } else {
        universe.markets().filter(fits).skip(filters.offset).take(filters.limit).collect()
    };
    shown.sort_by_key(Market::number);
    shown.dedup_by_key(|market| market.number());
    shown.truncate(filters.limit);
    let mut rows: Vec<Value> =
        shown.iter().map(|market| row(shared, market, plan.lie_about(market))).collect();
    let mut lies = shown.iter().filter(|market| plan.lie_about(market).is_some()).count() as u64;
    let unknown = |token: &&TokenId| universe.find(token).is_none_or(|it| !shared.has(&it.market));
    if filters.tokens.iter().filter(unknown).any(|token| plan.lie_about_unknown(token.fingerprint() as u64)) {
        rows.extend(universe.market(0).map(|market| row(shared, &market, None)));
        lies += 1;
    }
    if unasked {
        let start = filters.tokens.first().map_or(0, |token| token.fingerprint() as u64);
        let all = universe.market_count() as u64;
        let more = (0..3).filter_map(|nth| universe.market((mix(start ^ nth) % all) as usize));
        rows.extend(more.map(|market| row(shared, &market, None)));
    }
    let rows = Value::from(rows);
    let body = match filters.keyset {
        false => rows,
        true if named || shown.len() < filters.limit => json!({"markets": rows}),
        true => json!({"markets": rows, "next_cursor": (filters.offset + filters.limit).to_string()}),
    };
    Answer { asked: filters.tokens.clone(), lies, ..Answer::ok(body.to_string()) }
}

/// What names a market: its condition as Gamma spells it, the tokens that a market of the first generation trades under,
/// and those of a market of the second, or the mirrors of one of the first. `order` is that of the outcomes in the lists.
fn names(named: &Market<'_>, ids: &[TokenId; 2], order: [u8; 2]) -> [Value; 4] {
    let inside =
        |ids: &[TokenId; 2]| Value::from(Value::from(ids.map(|id| id.to_string()).to_vec()).to_string());
    let list = |ids: &[TokenId; 2]| Value::from(ids.map(|id| id.to_string()).to_vec());
    let condition = named.condition().to_string();
    if named.condition().structural().is_some() {
        // Without a list, with an empty one, or with none at all.
        let nothing = [Value::Null, Value::from("[]"), Value::from("")];
        let nothing = nothing.into_iter().nth(named.dice(0x6e6f_6e65, 3) as usize).unwrap_or_default();
        let short = condition.get(..62).unwrap_or(&condition);
        return [json!("v2"), json!(format!("0x{short}")), nothing, list(ids)];
    }
    let condition = json!(format!("0x{condition}"));
    if ids.iter().all(|id| id.structural().is_none()) {
        return [json!("v1"), condition, inside(ids), Value::Null];
    }
    let collaterals = ctf::default_collaterals();
    let usdc_e = collaterals.first().map(|collateral| collateral.address);
    let own = usdc_e.map(|address| order.map(|index| ctf::token_id(&named.condition(), index, &address)));
    [json!("v1"), condition, own.as_ref().map_or(Value::Null, inside), list(ids)]
}

fn row(shared: &Shared, market: &Market<'_>, lie: Option<Lie>) -> Value {
    let (mut named, mut ids, mut labels) = (*market, *market.tokens(), market.labels());
    let mut prices = match market.payout() {
        Payout::Unresolved => ["0.62", "0.38"],
        Payout::Half => ["0.5", "0.5"],
        Payout::Winner(0) => ["1", "0"],
        Payout::Winner(_) => ["0", "1"],
    };
    let mut unknown = None;
    match lie {
        None => {}
        Some(Lie::UnknownHalf) => unknown = Some(unknown_half(market)),
        Some(Lie::WrongMarket) => named = another(shared, market),
        Some(Lie::SwappedOutcomes | Lie::Index82) => labels.swap(0, 1),
        Some(Lie::InventedToken) => ids[usize::from(market.dice(31, 2) == 1)] = invented(market),
    }
    // Now and then the second outcome comes first, in all three lists.
    let mut order = [0, 1];
    if market.dice(0x006f_7264_6572, 4) == 0 {
        order.swap(0, 1);
        ids.swap(0, 1);
        labels.swap(0, 1);
        prices.swap(0, 1);
    }
    let inside = |list: [String; 2]| Value::from(list.to_vec()).to_string();
    let [version, condition, clob_token_ids, position_ids] = names(&named, &ids, order);
    json!({
        "id": named.number().to_string(),
        "question": named.title(),
        "slug": named.slug(),
        "version": version,
        "conditionId": unknown.map_or(condition, |unknown| json!(format!("0x{unknown}"))),
        "outcomes": inside(labels.map(str::to_owned)),
        "outcomePrices": inside(prices.map(str::to_owned)),
        "clobTokenIds": clob_token_ids,
        "positionIds": position_ids,
        "active": true,
        "closed": market.payout() != Payout::Unresolved,
        "negRisk": named.neg_risk(),
    })
}
