//! The Goldsky subgraphs: `tokenIdConditions` (positions) and `marketDatas` (orderbook) over GraphQL.
//!
//! Not a GraphQL engine: one entity a query, found by its name, with `first` and `where: {id_in}` inline or as
//! variables. What that does not cover is refused as a bad query, loudly.

use std::fmt::Write;

use axum::http::request::Parts;
use axum::http::{Method, StatusCode};
use serde::Deserialize;
use serde_json::Value;

use super::dome::{another, invented};
use super::faults::{Lie, unknown_half};
use super::reply::Answer;
use super::shared::Shared;
use crate::demo::universe::{Api, Outcome, mix};
use crate::ids::{ConditionId, TokenId};

/// Rows in an answer when the query says nothing, and at most.
const DEFAULT_FIRST: usize = 100;
const MAX_FIRST: usize = 1_000;

/// Answers one request.
pub(super) fn answer(shared: &Shared, parts: &Parts, body: &[u8], unasked: bool) -> Answer {
    if !parts.uri.path().ends_with("/gn") {
        return Answer::error(Api::Goldsky, StatusCode::NOT_FOUND, "Subgraph not found");
    }
    if parts.method != Method::POST {
        return Answer::error(Api::Goldsky, StatusCode::METHOD_NOT_ALLOWED, "Only POST is supported");
    }
    let Ok(request) = serde_json::from_slice::<GraphRequest>(body) else {
        return Answer::error(Api::Goldsky, StatusCode::BAD_REQUEST, "The body is not a GraphQL request");
    };
    match Query::parse(&request) {
        Ok(query) => rows(shared, query, unasked),
        Err(_) if request.query.contains("_meta") => Answer::ok(
            r#"{"data":{"_meta":{"block":{"number":78912345},"hasIndexingErrors":false}}}"#.to_owned(),
        ),
        // Errors of a query come as 200.
        Err(message) => {
            let body = serde_json::json!({"errors": [{"message": message}]}).to_string();
            Answer { refused: true, ..Answer::ok(body) }
        }
    }
}

#[derive(Debug, Deserialize)]
struct GraphRequest {
    query: String,
    #[serde(default)]
    variables: Value,
}

/// Which subgraph's entity is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Entity {
    TokenIdConditions,
    MarketDatas,
}

impl Entity {
    fn name(self) -> &'static str {
        match self {
            Self::TokenIdConditions => "tokenIdConditions",
            Self::MarketDatas => "marketDatas",
        }
    }
}

/// A query that was understood.
#[derive(Debug)]
struct Query {
    entity: Entity,
    ids: Vec<String>,
    first: usize,
    complement: bool,
    outcome_index: bool,
    condition: bool,
}

impl Query {
    fn parse(request: &GraphRequest) -> Result<Self, String> {
        let text = &request.query;
        let entity = [Entity::TokenIdConditions, Entity::MarketDatas]
            .into_iter()
            .find(|entity| text.contains(entity.name()))
            .ok_or("Type `Query` has no field of that name")?;
        let rest = text.split(entity.name()).nth(1).unwrap_or_default().trim_start();
        let (arguments, rest) = match rest.strip_prefix('(') {
            Some(inside) => inside.split_once(')').ok_or("Syntax error: unclosed `(`")?,
            None => ("", rest),
        };
        let fields = rest.trim_start().strip_prefix('{').ok_or("Syntax error: a selection is missing")?;
        let nested =
            fields.split_once("condition").is_some_and(|(_, after)| after.trim_start().starts_with('{'));
        let has = |name: &str| fields.split(|c: char| !c.is_alphanumeric()).any(|word| word == name);
        if has("condition") && nested != (entity == Entity::TokenIdConditions) {
            return Err("Field `condition` has the wrong kind of selection".to_owned());
        }
        if has("complement") && entity == Entity::MarketDatas {
            return Err("Type `MarketData` has no field `complement`".to_owned());
        }
        Ok(Self {
            entity,
            ids: ids(arguments, &request.variables)?,
            first: first(arguments, &request.variables)?,
            complement: has("complement"),
            outcome_index: has("outcomeIndex"),
            condition: has("condition"),
        })
    }
}

/// What stands after `name:` among the arguments.
fn argument<'a>(arguments: &'a str, name: &str) -> Option<&'a str> {
    let (_, after) = arguments.split_once(name)?;
    after.trim_start().strip_prefix(':').map(str::trim_start)
}

/// The variable that a value names.
fn variable<'v>(value: &str, variables: &'v Value) -> Result<Option<&'v Value>, String> {
    let Some(name) = value.strip_prefix('$') else { return Ok(None) };
    let name = name.split(|c: char| !c.is_alphanumeric() && c != '_').next().unwrap_or_default();
    variables.get(name).map(Some).ok_or_else(|| format!("Variable `${name}` is not provided"))
}

fn first(arguments: &str, variables: &Value) -> Result<usize, String> {
    let Some(value) = argument(arguments, "first") else { return Ok(DEFAULT_FIRST) };
    let number = match variable(value, variables)? {
        Some(given) => given.as_u64(),
        None => value.split(|c: char| !c.is_ascii_digit()).next().unwrap_or_default().parse().ok(),
    };
    let number = number.ok_or("Invalid value provided for argument `first`")?;
    usize::try_from(number).ok().filter(|&number| number <= MAX_FIRST).ok_or_else(|| {
        format!("The value of the `first` argument must be between 0 and {MAX_FIRST}, but is {number}")
    })
}

fn ids(arguments: &str, variables: &Value) -> Result<Vec<String>, String> {
    let Some(value) = argument(arguments, "id_in") else { return Ok(Vec::new()) };
    let wrong = "Invalid value provided for argument `where`: id_in must be a list of strings";
    let inline;
    let list = match variable(value, variables)? {
        Some(given) => given,
        None => {
            let end = value.find(']').ok_or(wrong)?;
            inline = serde_json::from_str::<Value>(&value[..=end]).map_err(|_| wrong)?;
            &inline
        }
    };
    let list = list.as_array().ok_or(wrong)?;
    list.iter().map(|id| id.as_str().map(str::to_owned).ok_or_else(|| wrong.to_owned())).collect()
}

/// One row before it is written.
struct Row {
    id: String,
    claimed: Claim,
}

/// What the row says of its token.
struct Claim {
    condition: ConditionId,
    index: Option<u8>,
    complement: TokenId,
    lie: bool,
}

fn rows(shared: &Shared, query: Query, unasked: bool) -> Answer {
    let mut asked: Vec<TokenId> = query.ids.iter().filter_map(|id| id.parse().ok()).collect();
    asked.sort_unstable();
    asked.dedup();
    let mut rows: Vec<Row> = asked
        .iter()
        .filter_map(|token| claim(shared, token).map(|claimed| Row { id: token.to_string(), claimed }))
        .collect();
    // The store orders by id, as text.
    rows.sort_unstable_by(|a, b| a.id.cmp(&b.id));
    rows.truncate(query.first);
    if unasked {
        let start = asked.first().map_or(0, |token| token.fingerprint() as u64);
        rows.extend((0..5).filter_map(|nth| unasked_row(shared, mix(start ^ nth))));
    }
    let mut body = String::with_capacity(64 + 320 * rows.len());
    // Writing into a String cannot fail.
    let _ = write!(body, "{{\"data\":{{\"{}\":[", query.entity.name());
    let mut lies = 0;
    for (nth, row) in rows.iter().enumerate() {
        if nth > 0 {
            body.push(',');
        }
        lies += u64::from(row.claimed.lie);
        write_row(&mut body, &query, row);
    }
    body.push_str("]}}");
    Answer { asked, lies, ..Answer::ok(body) }
}

fn write_row(body: &mut String, query: &Query, row: &Row) {
    let claim = &row.claimed;
    // Writing into a String cannot fail.
    let _ = write!(body, "{{\"id\":\"{}\"", row.id);
    if query.condition {
        let condition = claim.condition;
        let _ = match query.entity {
            Entity::TokenIdConditions => write!(body, ",\"condition\":{{\"id\":\"0x{condition}\"}}"),
            Entity::MarketDatas => write!(body, ",\"condition\":\"0x{condition}\""),
        };
    }
    if query.complement {
        let _ = write!(body, ",\"complement\":\"{}\"", claim.complement);
    }
    if query.outcome_index {
        let _ = match claim.index {
            Some(index) => write!(body, ",\"outcomeIndex\":\"{index}\""),
            None => write!(body, ",\"outcomeIndex\":null"),
        };
    }
    body.push('}');
}

/// What this server says of a token; `None` if it does not know it.
fn claim(shared: &Shared, token: &TokenId) -> Option<Claim> {
    let plan = &shared.options.faults;
    let Some(outcome) = shared.universe.find(token).filter(|outcome| shared.has(&outcome.market)) else {
        let market =
            shared.universe.market(0).filter(|_| plan.lie_about_unknown(token.fingerprint() as u64))?;
        return Some(Claim {
            condition: market.condition(),
            index: Some(0),
            complement: market.tokens()[1],
            lie: true,
        });
    };
    let claim = truth(outcome);
    let market = outcome.market;
    Some(match plan.lie_about(&market) {
        None => claim,
        Some(Lie::WrongMarket) => {
            Claim { condition: another(shared, &market).condition(), lie: true, ..claim }
        }
        Some(Lie::UnknownHalf) => Claim { condition: unknown_half(&market), lie: true, ..claim },
        Some(Lie::SwappedOutcomes) => Claim { index: Some(1 - outcome.index), lie: true, ..claim },
        Some(Lie::InventedToken) => Claim { complement: invented(&market), lie: true, ..claim },
        Some(Lie::Index82) => Claim { index: Some(82), lie: true, ..claim },
    })
}

fn truth(outcome: Outcome<'_>) -> Claim {
    // The index may be null in the wild.
    let index = (outcome.market.dice(41, 40) > 0).then_some(outcome.index);
    Claim { condition: outcome.market.condition(), index, complement: outcome.sibling(), lie: false }
}

fn unasked_row(shared: &Shared, dice: u64) -> Option<Row> {
    let market = shared.universe.market((dice % shared.universe.market_count() as u64) as usize)?;
    let outcome = Outcome { market, index: (dice >> 63) as u8 };
    Some(Row { id: outcome.token().to_string(), claimed: truth(outcome) })
}
