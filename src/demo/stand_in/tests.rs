//! The stand-ins over loopback, compared with what the services are documented to do.

use std::collections::HashSet;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::Instant;

use super::shared::JITTER;
use super::*;
use crate::demo::universe::{BASELINE_WALLET, Market, Payout, UniverseOptions};

fn universe() -> Arc<Universe> {
    let options = UniverseOptions {
        traded_tokens: 3_000,
        mapped_tokens: 500,
        fills: 10_000,
        ..UniverseOptions::default()
    };
    Arc::new(Universe::generate(options).unwrap())
}

fn http() -> reqwest::Client {
    rustls::crypto::ring::default_provider().install_default().ok();
    reqwest::Client::builder().no_proxy().build().unwrap()
}

/// Options without a rate limit in the way.
fn unlimited(options: StandInOptions) -> StandInOptions {
    StandInOptions { windows: Vec::new(), ..options }
}

async fn start(universe: &Arc<Universe>, options: StandInOptions) -> StandIn {
    StandIn::start(Arc::clone(universe), options).await.unwrap()
}

/// Tokens that both APIs know, one a market.
fn known(universe: &Universe, count: usize) -> Vec<TokenId> {
    let in_both = |market: &Market<'_>| market.known_to(Api::Dome) && market.known_to(Api::Goldsky);
    universe.markets().filter(in_both).map(|market| market.tokens()[0]).take(count).collect()
}

fn tokens_query(tokens: &[TokenId]) -> String {
    tokens.iter().map(|token| format!("token_id={token}")).collect::<Vec<_>>().join("&")
}

fn gamma_query(tokens: &[TokenId]) -> String {
    tokens_query(tokens).replace("token_id=", "clob_token_ids=")
}

/// How many of the first tokens that the APIs know are of closed markets that Gamma knows.
fn closed_among(universe: &Universe, count: usize) -> usize {
    let closed = |token: &TokenId| {
        let market = universe.find(token).unwrap().market;
        market.payout() != Payout::Unresolved && market.known_to(Api::Gamma)
    };
    known(universe, count).iter().filter(|token| closed(token)).count()
}

async fn dome(server: &StandIn, path_and_query: &str) -> reqwest::Result<reqwest::Response> {
    http().get(format!("{}{path_and_query}", server.url())).bearer_auth("demo").send().await
}

async fn markets(server: &StandIn, query: &str) -> Value {
    dome(server, &format!("/polymarket/markets?{query}")).await.unwrap().json().await.unwrap()
}

const QUERY: &str = "query Tokens($ids: [String!]!, $first: Int!) { \
     tokenIdConditions(first: $first, where: {id_in: $ids}) { id condition { id } complement outcomeIndex } }";

async fn goldsky(server: &StandIn, body: &Value) -> reqwest::Result<reqwest::Response> {
    http().post(server.url()).json(body).send().await
}

async fn graph(server: &StandIn, query: &str, variables: Value) -> Value {
    goldsky(server, &json!({"query": query, "variables": variables})).await.unwrap().json().await.unwrap()
}

/// Whether a row of Goldsky's claims this index: a number as a string.
fn says(row: &Value, index: u8) -> bool {
    row["outcomeIndex"].as_str().and_then(|text| text.parse().ok()) == Some(index)
}

fn list<'v>(value: &'v Value, path: &str) -> &'v Vec<Value> {
    value.pointer(path).and_then(Value::as_array).unwrap_or_else(|| panic!("no {path} in {value}"))
}

#[tokio::test]
async fn dome_answers_one_market_for_both_of_its_tokens_in_the_documented_shape() {
    let universe = universe();
    let server = start(&universe, StandInOptions::dome()).await;
    let market = universe.markets().find(|m| m.known_to(Api::Dome) && m.first_side() == 1).unwrap();
    let answer = markets(&server, &tokens_query(market.tokens())).await;
    let rows = list(&answer, "/markets");
    assert_eq!(rows.len(), 1);
    let row = &rows[0];
    assert_eq!(row["condition_id"], format!("0x{}", market.condition()));
    assert_eq!(row["market_slug"], market.slug());
    assert_eq!(row["side_a"]["id"], market.tokens()[1].to_string(), "side_a is not always outcome index 0");
    assert_eq!(row["side_a"]["label"], market.labels()[1]);
    assert_eq!(row["side_b"]["id"], market.tokens()[0].to_string());
    for field in "event_slug title start_time end_time completed_time close_time tags volume_total \
                  negative_risk_id winning_side status"
        .split_whitespace()
    {
        assert!(row.get(field).is_some(), "{field} is missing");
    }
    let pagination = &answer["pagination"];
    assert_eq!(
        (&pagination["limit"], &pagination["total"], &pagination["has_more"]),
        (&json!(20), &json!(1), &json!(false))
    );
}

#[tokio::test]
async fn dome_leaves_unknown_tokens_out_and_takes_no_comma_joined_lists() {
    let universe = universe();
    let server = start(&universe, StandInOptions::dome()).await;
    let unknown = universe.traded_tokens().find(|o| !o.market.known_to(Api::Dome)).unwrap().token();
    let tokens = known(&universe, 2);
    let query = format!("{}&token_id=12345&token_id=nonsense", tokens_query(&[tokens[0], unknown]));
    assert_eq!(list(&markets(&server, &query).await, "/markets").len(), 1);
    let joined = format!("token_id={},{}", tokens[0], tokens[1]);
    assert!(list(&markets(&server, &joined).await, "/markets").is_empty());
    assert!(server.knows(&tokens[0]) && !server.knows(&unknown));
}

#[tokio::test]
async fn dome_pages_by_key_through_markets_in_order_of_volume() {
    let universe = universe();
    let server = start(&universe, StandInOptions::dome()).await;
    let tokens = known(&universe, 50);
    let query = tokens_query(&tokens);
    let mut seen = Vec::new();
    let mut next = query.clone();
    loop {
        let answer = markets(&server, &next).await;
        let rows = list(&answer, "/markets");
        assert!(rows.len() <= 20, "the default limit is 20");
        seen.extend(rows.iter().map(|row| row["volume_total"].as_f64().unwrap()));
        if answer["pagination"]["has_more"] == json!(false) {
            break;
        }
        next = format!("{query}&pagination_key={}", answer["pagination"]["pagination_key"].as_str().unwrap());
    }
    assert_eq!(seen.len(), 50);
    assert!(seen.is_sorted_by(|a, b| a >= b));
    assert_eq!(list(&markets(&server, &format!("{query}&limit=100")).await, "/markets").len(), 50);
    for limit in ["0", "101", "x"] {
        let answer = dome(&server, &format!("/polymarket/markets?limit={limit}")).await.unwrap();
        assert_eq!(answer.status(), 400, "limit {limit}");
    }
}

#[tokio::test]
async fn dome_refuses_requests_without_a_key_and_request_lines_over_8_kb() {
    let universe = universe();
    let server = start(&universe, StandInOptions::dome()).await;
    let url = format!("{}/polymarket/markets", server.url());
    for request in [http().get(&url), http().get(&url).bearer_auth("wrong")] {
        let answer = request.send().await.unwrap();
        assert_eq!(answer.status(), 401);
        let body: Value = answer.json().await.unwrap();
        assert!(body["error"].is_string() && body["message"].is_string());
    }
    assert_eq!(server.counters().unauthorized, 2);
    let fits =
        dome(&server, &format!("/polymarket/markets?{}", tokens_query(&known(&universe, 90)))).await.unwrap();
    assert_eq!(fits.status(), 200);
    let over = dome(&server, &format!("/polymarket/markets?{}", tokens_query(&known(&universe, 100))))
        .await
        .unwrap();
    assert_eq!(over.status(), 414);
}

#[tokio::test]
async fn dome_knows_the_realized_pnl_of_the_baseline_wallets() {
    let universe = universe();
    let server = start(&universe, StandInOptions::dome()).await;
    let path = format!("/polymarket/wallet/pnl/{BASELINE_WALLET}?granularity=all");
    let answer: Value = dome(&server, &path).await.unwrap().json().await.unwrap();
    let points = list(&answer, "/pnl_over_time");
    let usd = points.last().unwrap()["pnl_to_date"].as_f64().unwrap();
    assert_eq!((usd * 1e6).round() as i128, universe.baselines()[0].pnl_micro);
    assert_eq!(answer["wallet_address"], BASELINE_WALLET);
    let stranger = "/polymarket/wallet/pnl/0x0000000000000000000000000000000000000001?granularity=all";
    let answer: Value = dome(&server, stranger).await.unwrap().json().await.unwrap();
    assert!(list(&answer, "/pnl_over_time").is_empty());
}

#[tokio::test]
async fn goldsky_answers_a_hundred_rows_unless_first_says_more() {
    let universe = universe();
    let server = start(&universe, StandInOptions::goldsky()).await;
    let tokens: Vec<TokenId> = universe.traded_tokens().map(|outcome| outcome.token()).take(1_000).collect();
    let without = QUERY.replace(", $first: Int!", "").replace("first: $first, ", "");
    let answer = graph(&server, &without, json!({"ids": tokens})).await;
    assert_eq!(list(&answer, "/data/tokenIdConditions").len(), 100, "and says nothing about the rest");

    let answer = graph(&server, QUERY, json!({"ids": tokens, "first": 1_000})).await;
    let rows = list(&answer, "/data/tokenIdConditions");
    assert_eq!(rows.len(), tokens.iter().filter(|token| universe.known_to(Api::Goldsky, token)).count());
    let mut without_index = 0;
    for row in rows {
        let outcome = universe.find(&row["id"].as_str().unwrap().parse().unwrap()).unwrap();
        assert_eq!(row["condition"]["id"], format!("0x{}", outcome.market.condition()));
        assert_eq!(row["complement"], outcome.sibling().to_string());
        match &row["outcomeIndex"] {
            Value::Null => without_index += 1,
            index => assert_eq!(*index, outcome.index.to_string()),
        }
    }
    assert!(without_index > 0 && without_index < rows.len() / 10, "{without_index} indexes are null");
    assert_eq!(server.counters().max_tokens_per_request, 1_000);

    let answer = goldsky(&server, &json!({"query": QUERY, "variables": {"ids": tokens, "first": 1_001}}))
        .await
        .unwrap();
    assert_eq!(answer.status(), 200);
    let answer: Value = answer.json().await.unwrap();
    assert!(answer["errors"][0]["message"].as_str().unwrap().contains("between 0 and 1000"), "{answer}");
}

#[tokio::test]
async fn goldsky_has_the_orderbook_shape_and_inline_arguments_too() {
    let universe = universe();
    let server = start(&universe, StandInOptions::goldsky()).await;
    let token = known(&universe, 1)[0];
    let query = format!(
        "{{ marketDatas(first: 5, where: {{id_in: [\"{token}\"]}}) {{ id condition outcomeIndex }} }}"
    );
    let answer = graph(&server, &query, Value::Null).await;
    let condition = universe.find(&token).unwrap().market.condition();
    assert_eq!(answer["data"]["marketDatas"][0]["condition"], format!("0x{condition}"));
    assert_eq!(answer["data"]["marketDatas"][0].get("complement"), None);
    for bad in
        ["{ nothing { id } }", "{ marketDatas { id condition { id } } }", "{ tokenIdConditions(first: 5 }"]
    {
        let answer = graph(&server, bad, Value::Null).await;
        assert!(answer["errors"][0]["message"].is_string(), "{bad}: {answer}");
    }
    let meta = graph(&server, "{ _meta { block { number } } }", Value::Null).await;
    assert!(meta["data"]["_meta"]["block"]["number"].is_u64());
}

#[tokio::test]
async fn requests_over_the_limit_get_a_429_and_a_time_to_come_again() {
    let universe = universe();
    let options = |retry_after| StandInOptions {
        windows: vec![Window::per_seconds(1, 3_600), Window::per_seconds(5, 7_200)],
        retry_after,
        ..StandInOptions::dome()
    };
    for style in [RetryAfterStyle::Absent, RetryAfterStyle::Seconds, RetryAfterStyle::HttpDate] {
        let server = start(&universe, options(style)).await;
        assert_eq!(dome(&server, "/polymarket/markets").await.unwrap().status(), 200);
        let refused = dome(&server, "/polymarket/markets").await.unwrap();
        assert_eq!(refused.status(), 429);
        let header = refused.headers().get("retry-after").map(|value| value.to_str().unwrap().to_owned());
        match style {
            RetryAfterStyle::Absent => assert_eq!(header, None),
            RetryAfterStyle::Seconds => {
                assert!((3_500..=3_600).contains(&header.unwrap().parse::<u32>().unwrap()))
            }
            RetryAfterStyle::HttpDate => assert!(header.unwrap().ends_with(" GMT")),
            RetryAfterStyle::Delayed => panic!("it is not among them"),
        }
        assert_eq!((server.counters().requests, server.counters().throttled), (2, 1));
    }
}

/// What a client sees of one kind of fault.
async fn meet(
    universe: &Arc<Universe>,
    api: Api,
    fault: Fault,
) -> reqwest::Result<(u16, Option<String>, String)> {
    let faults = FaultPlan { kinds: vec![fault], ..FaultPlan::faults(1, 1.0) };
    let tokens = known(universe, 10);
    let (options, path) = match api {
        Api::Dome => (StandInOptions::dome(), format!("/polymarket/markets?{}", tokens_query(&tokens))),
        Api::Goldsky => (StandInOptions::goldsky(), String::new()),
        Api::Gamma => (StandInOptions::gamma(), format!("/markets?closed=true&{}", gamma_query(&tokens))),
        Api::Clob => (StandInOptions::clob(), "/markets".to_owned()),
        Api::Tokens => (StandInOptions::tokens(), format!("/v2/tokens?token_id={}", tokens[0])),
    };
    let server = start(universe, unlimited(StandInOptions { faults, ..options })).await;
    loop {
        let answer = if api == Api::Goldsky {
            goldsky(&server, &json!({"query": QUERY, "variables": {"ids": tokens, "first": 10}})).await?
        } else {
            dome(&server, &path).await?
        };
        let header = answer.headers().get("retry-after").map(|value| value.to_str().unwrap().to_owned());
        let (status, text) = (answer.status().as_u16(), answer.text().await?);
        // A burst begins on a third of the draws.
        if server.counters().faults > 0 {
            return Ok((status, header, text));
        }
    }
}

#[tokio::test]
async fn every_fault_looks_as_it_does_in_the_wild() {
    let universe = universe();
    for api in [Api::Dome, Api::Goldsky, Api::Gamma] {
        for status in [500, 502, 503, 504] {
            let (got, _, text) = meet(&universe, api, Fault::Status(status)).await.unwrap();
            assert_eq!(got, status);
            assert!(text.starts_with("<html>"));
        }
        let (status, header, _) = meet(&universe, api, Fault::ThrottledSeconds).await.unwrap();
        assert_eq!((status, header.as_deref()), (429, Some("1")));
        let (status, header, _) = meet(&universe, api, Fault::ThrottledDate).await.unwrap();
        assert!(status == 429 && header.unwrap().ends_with(" GMT"));
        let (status, header, _) = meet(&universe, api, Fault::ThrottledBare).await.unwrap();
        assert_eq!((status, header), (429, None));
        let broken = meet(&universe, api, Fault::Reset).await.unwrap_err();
        assert!(broken.is_body() || broken.is_decode(), "the answer has begun: {broken:?}");
        let (status, _, text) = meet(&universe, api, Fault::CutShort).await.unwrap();
        assert!(status == 200 && serde_json::from_str::<Value>(&text).is_err());
        for fault in [Fault::ErrorInside, Fault::TimeoutInside] {
            let (status, _, text) = meet(&universe, api, fault).await.unwrap();
            assert!(status == 200 && text.contains("error"), "{text}");
        }
        let (_, _, text) = meet(&universe, api, Fault::Unasked).await.unwrap();
        let answer: Value = serde_json::from_str(&text).unwrap();
        let inside = answer.pointer("/markets").or(answer.pointer("/data/tokenIdConditions"));
        let rows = inside.unwrap_or(&answer).as_array().unwrap();
        assert!(rows.len() > if api == Api::Gamma { closed_among(&universe, 10) } else { 10 });
    }
}

#[tokio::test]
async fn a_hanging_answer_comes_after_the_time_that_was_asked_for() {
    let universe = universe();
    for fault in [Fault::Hang, Fault::HangInBody] {
        let faults = FaultPlan { kinds: vec![fault], ..FaultPlan::faults(1, 1.0) };
        let hang = Duration::from_millis(300);
        let server =
            start(&universe, unlimited(StandInOptions { faults, hang, ..StandInOptions::dome() })).await;
        let begun = Instant::now();
        let answer = markets(&server, &tokens_query(&known(&universe, 10))).await;
        assert!(begun.elapsed() >= hang);
        assert_eq!(list(&answer, "/markets").len(), 10);
    }
}

#[tokio::test]
async fn latency_stays_within_its_jitter() {
    let universe = universe();
    let latency = Duration::from_millis(100);
    let server = start(&universe, unlimited(StandInOptions { latency, ..StandInOptions::dome() })).await;
    let begun = Instant::now();
    dome(&server, "/polymarket/markets?token_id=1").await.unwrap();
    assert!(begun.elapsed() >= latency.mul_f64(1.0 - JITTER));
    for _ in 0..1_000 {
        let whole = server.shared.latency() * 2;
        assert!(whole >= latency.mul_f64(0.799) && whole <= latency.mul_f64(1.201), "{whole:?}");
    }
}

#[tokio::test]
async fn a_liar_lies_about_the_share_of_markets_that_was_asked_for_and_counts_it() {
    let universe = universe();
    let faults = FaultPlan { rate: 0.0, ..FaultPlan::faults_and_lies(4, 0.3) };
    let server = start(&universe, unlimited(StandInOptions { faults, ..StandInOptions::goldsky() })).await;
    let tokens = known(&universe, 1_000);
    let answer = graph(&server, QUERY, json!({"ids": tokens, "first": 1_000})).await;
    let mut wrong = 0;
    let mut kinds = HashSet::new();
    for row in list(&answer, "/data/tokenIdConditions") {
        let token: TokenId = row["id"].as_str().unwrap().parse().unwrap();
        let outcome = universe.find(&token).unwrap();
        let right_market = row["condition"]["id"] == format!("0x{}", outcome.market.condition());
        let right_index = row["outcomeIndex"].is_null() || says(row, outcome.index);
        let right_sibling = row["complement"] == outcome.sibling().to_string();
        let told = match server.lie_about(&token) {
            None => right_market && right_index && right_sibling,
            Some(Lie::WrongMarket | Lie::UnknownHalf) => !right_market,
            Some(Lie::SwappedOutcomes) => says(row, 1 - outcome.index),
            Some(Lie::InventedToken) => {
                universe.find(&row["complement"].as_str().unwrap().parse().unwrap()).is_none()
            }
            Some(Lie::Index82) => says(row, 82),
        };
        assert!(told, "{:?}: {row}", server.lie_about(&token));
        wrong += u64::from(server.lie_about(&token).is_some());
        kinds.extend(server.lie_about(&token));
    }
    assert_eq!(server.counters().lies, wrong);
    assert!((240..360).contains(&wrong), "{wrong} lies in 1,000 rows");
    assert_eq!(kinds.len(), 4);
}

#[tokio::test]
async fn a_lying_dome_swaps_labels_names_wrong_markets_and_invents_tokens() {
    let universe = universe();
    for lie in Lie::ALL {
        let faults = FaultPlan { lies: vec![lie], lie_rate: 1.0, ..FaultPlan::none() };
        let server = start(&universe, unlimited(StandInOptions { faults, ..StandInOptions::dome() })).await;
        let token = known(&universe, 3)[2];
        let answer = markets(&server, &tokens_query(&[token])).await;
        let row = &list(&answer, "/markets")[0];
        let market = universe.find(&token).unwrap().market;
        let sides = [&row["side_a"], &row["side_b"]];
        let label_of_first = sides.iter().find(|side| side["id"] == market.tokens()[0].to_string());
        match lie {
            Lie::UnknownHalf => unreachable!("it is told of the second generation alone"),
            Lie::WrongMarket => assert_ne!(row["condition_id"], format!("0x{}", market.condition())),
            Lie::SwappedOutcomes | Lie::Index82 => {
                assert_eq!(label_of_first.unwrap()["label"], market.labels()[1])
            }
            Lie::InventedToken => {
                let exists =
                    |side: &&&Value| universe.find(&side["id"].as_str().unwrap().parse().unwrap()).is_some();
                assert_eq!(sides.iter().filter(exists).count(), 1);
            }
        }
        assert_eq!(server.counters().lies, 1);
        if lie == Lie::WrongMarket {
            let answer = markets(&server, "token_id=77&token_id=78").await;
            assert_eq!(list(&answer, "/markets").len(), 2, "the first market, for anything unknown");
        }
    }
}

#[tokio::test]
async fn a_host_can_be_taken_down_and_up_again() {
    let universe = universe();
    let server = start(&universe, unlimited(StandInOptions::dome())).await;
    let client = http();
    let ask =
        || client.get(format!("{}/polymarket/markets?token_id=1", server.url())).bearer_auth("demo").send();
    assert_eq!(ask().await.unwrap().status(), 200);
    server.set_outage(Outage::Reset);
    assert!(ask().await.is_err(), "an open connection breaks too");
    server.set_outage(Outage::Unavailable);
    assert_eq!(ask().await.unwrap().status(), 503);
    server.set_outage(Outage::None);
    assert_eq!(ask().await.unwrap().status(), 200);
    let url = server.url();
    server.stop().await;
    assert!(client.get(url).send().await.is_err());
}

#[tokio::test]
async fn a_service_that_was_ended_says_410_to_everything() {
    let universe = universe();
    let server = start(&universe, StandInOptions { gone: true, ..StandInOptions::dome() }).await;
    assert_eq!(dome(&server, "/polymarket/markets").await.unwrap().status(), 410);
}

#[tokio::test]
async fn poison_size_and_a_partial_catalogue_are_as_asked() {
    let universe = universe();
    let tokens = known(&universe, 20);
    let options =
        StandInOptions { poison: vec![tokens[3]], refuse_above: Some(10), ..StandInOptions::dome() };
    let server = start(&universe, options).await;
    let status = async |tokens: &[TokenId]| {
        dome(&server, &format!("/polymarket/markets?{}", tokens_query(tokens)))
            .await
            .unwrap()
            .status()
            .as_u16()
    };
    assert_eq!(status(&tokens[4..]).await, 413);
    assert_eq!(status(&tokens[..5]).await, 500);
    assert_eq!(status(&tokens[4..14]).await, 200);

    let half = start(&universe, StandInOptions { knows: 0.5, ..StandInOptions::goldsky() }).await;
    let share = known(&universe, 1_000).iter().filter(|token| half.knows(token)).count();
    assert!((420..580).contains(&share), "{share} of 1,000");
}

#[tokio::test]
async fn tokens_that_are_asked_again_after_an_answer_are_counted() {
    let universe = universe();
    let options = StandInOptions { track_tokens: true, ..StandInOptions::goldsky() };
    let server = start(&universe, options).await;
    let tokens = known(&universe, 30);
    for asked in [&tokens[..20], &tokens[10..]] {
        graph(&server, QUERY, json!({"ids": asked, "first": 1_000})).await;
    }
    let counters = server.counters();
    assert_eq!((counters.asked_again, counters.tokens_asked, counters.answered), (10, 40, 2));
}

#[tokio::test]
async fn dome_filters_by_status_and_condition() {
    let universe = universe();
    let server = start(&universe, StandInOptions::dome()).await;
    let open =
        universe.markets().find(|m| m.known_to(Api::Dome) && m.payout() == Payout::Unresolved).unwrap();
    let query = format!("condition_id={}", open.condition());
    assert_eq!(list(&markets(&server, &query).await, "/markets").len(), 1);
    assert_eq!(list(&markets(&server, &format!("{query}&status=open")).await, "/markets").len(), 1);
    assert!(list(&markets(&server, &format!("{query}&status=closed")).await, "/markets").is_empty());
    let all = markets(&server, "limit=100").await;
    assert_eq!(all["pagination"]["total"], universe.markets().filter(|m| m.known_to(Api::Dome)).count());
}

#[tokio::test]
async fn the_clob_lists_everything_once_page_by_page() {
    let universe = universe();
    let list = super::ListHabits { generated: 500, page: 1_000, texts: false };
    let server = start(&universe, unlimited(StandInOptions { list, ..StandInOptions::clob() })).await;
    let page = async |cursor: &str| -> Value {
        dome(&server, &format!("/markets?next_cursor={cursor}")).await.unwrap().json().await.unwrap()
    };
    let (mut cursor, mut conditions, mut pages) = (String::new(), Vec::new(), 0);
    while cursor != "LTE=" {
        let answer = page(&cursor).await;
        let data = answer["data"].as_array().unwrap();
        assert_eq!(answer["count"], data.len());
        conditions.extend(data.iter().map(|market| market["condition_id"].as_str().unwrap().to_owned()));
        cursor = answer["next_cursor"].as_str().unwrap().to_owned();
        pages += 1;
        if pages == 1 {
            assert_eq!(cursor, "MTAwMA==");
        }
    }
    let all = universe.market_count() + 500;
    assert_eq!((conditions.len(), pages), (all, all.div_ceil(1_000)));
    conditions.sort();
    conditions.dedup();
    assert_eq!(conditions.len(), all);
    // A generated market is the same each time, and its tokens are real.
    let behind = page("MTAwMA==").await;
    assert_eq!(behind, page("MTAwMA==").await);
    let market = behind["data"].as_array().unwrap().last().unwrap().clone();
    let condition = market["condition_id"].as_str().unwrap().parse().unwrap();
    let token = market["tokens"][1]["token_id"].as_str().unwrap().parse().unwrap();
    let collaterals = crate::ctf::default_collaterals();
    assert_eq!(crate::ctf::prove(&token, &condition, &collaterals).unwrap().outcome_index, 1);
    assert_eq!(page("OTk5OTk5").await["data"], json!([]), "behind the end is nothing");
    assert_eq!(dome(&server, "/markets?next_cursor=??").await.unwrap().status(), 400);
}

#[tokio::test]
async fn gamma_shows_closed_and_open_markets_apart_with_lists_inside_of_strings() {
    let universe = universe();
    let server = start(&universe, StandInOptions::gamma()).await;
    let tokens = known(&universe, 50);
    let ask = async |query: &str| -> Value {
        dome(&server, &format!("/markets?{query}")).await.unwrap().json().await.unwrap()
    };
    let query = format!("limit=100&{}", gamma_query(&tokens));
    let (closed, open) = (ask(&format!("closed=true&{query}")).await, ask(&query).await);
    assert_eq!(closed.as_array().unwrap().len(), closed_among(&universe, 50));
    let in_gamma = tokens.iter().filter(|token| universe.known_to(Api::Gamma, token)).count();
    assert_eq!(closed.as_array().unwrap().len() + open.as_array().unwrap().len(), in_gamma);
    let mut swapped = 0;
    for row in closed.as_array().unwrap().iter().chain(open.as_array().unwrap()) {
        let list = |name: &str| -> Vec<String> { serde_json::from_str(row[name].as_str().unwrap()).unwrap() };
        let (ids, labels) = (list("clobTokenIds"), list("outcomes"));
        let market = universe.find(&ids[0].parse().unwrap()).unwrap().market;
        assert_eq!(row["conditionId"], format!("0x{}", market.condition()));
        assert_eq!(row["closed"], market.payout() != Payout::Unresolved);
        for (id, label) in ids.iter().zip(&labels) {
            assert_eq!(
                universe.find(&id.parse().unwrap()).unwrap().label(),
                label,
                "the label is the token's own"
            );
        }
        swapped += usize::from(ids[0] != market.tokens()[0].to_string());
    }
    assert!(swapped > 3, "the order is not that of the index: {swapped}");
    assert_eq!(
        ask("closed=true&limit=100&clob_token_ids=77").await,
        json!([]),
        "an unknown token has no market"
    );
    for ignored in ["token_ids=77".to_owned(), format!("clob_token_ids={},{}", tokens[0], tokens[1])] {
        let answer = ask(&ignored).await;
        let first = format!("0x{}", universe.market(0).unwrap().condition());
        assert_eq!(
            (answer.as_array().unwrap().len(), &answer[0]["conditionId"]),
            (1, &json!(first)),
            "{ignored}"
        );
    }
}

#[tokio::test]
async fn gamma_delays_what_comes_too_fast_and_refuses_nothing() {
    let universe = universe();
    let windows = vec![Window { requests: 3, per: Duration::from_millis(200) }];
    let server = start(&universe, StandInOptions { windows, ..StandInOptions::gamma() }).await;
    let begun = Instant::now();
    for _ in 0..7 {
        assert_eq!(dome(&server, "/markets?limit=1").await.unwrap().status(), 200);
    }
    assert!(begun.elapsed() >= Duration::from_millis(400), "seven in windows of three");
    assert!(server.counters().throttled >= 2);
}
