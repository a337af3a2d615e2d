//! One address that leads to several servers, one of which is behind: sums that do not agree are told with both numbers.

use std::net::Ipv4Addr;
use std::sync::Arc;

use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::response::Response;
use serde_json::json;

use crate::common::{Scene, small_universe};
use backfill::source::Source;

/// Reads that hold `of` see `behind` where they name `table`: what a replica has that is not there yet.
struct Balancer {
    url: String,
    of: &'static str,
    table: String,
    behind: String,
}

impl Balancer {
    /// The address that leads to both.
    async fn start(self) -> String {
        let listener = tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let app = axum::Router::new().fallback(forward).with_state(Arc::new(self));
        tokio::spawn(async move { axum::serve(listener, app).await });
        format!("http://{address}")
    }
}

async fn forward(State(balancer): State<Arc<Balancer>>, request: Request) -> Response {
    let (head, body) = request.into_parts();
    let mut body = axum::body::to_bytes(body, usize::MAX).await.unwrap();
    if let Ok(sql) = std::str::from_utf8(&body)
        && sql.trim_start().starts_with("SELECT")
        && sql.contains(balancer.of)
    {
        body = Bytes::from(sql.replace(&balancer.table, &balancer.behind));
    }
    let url = format!("{}{}", balancer.url, head.uri);
    let mut asked = reqwest::Client::new().request(head.method, url).body(body);
    for (name, value) in
        head.headers.iter().filter(|(name, _)| !["host", "content-length"].contains(&name.as_str()))
    {
        asked = asked.header(name, value);
    }
    let answer = asked.send().await.unwrap();
    let mut response = Response::builder().status(answer.status());
    for (name, value) in answer.headers().iter().filter(|(name, _)| *name != "transfer-encoding") {
        response = response.header(name, value);
    }
    response.body(Body::from(answer.bytes().await.unwrap())).unwrap()
}

/// What a command says, and with which code it ends, where reads that hold `of` see `behind` instead of `table`.
async fn ended(
    scene: &Scene,
    command: &str,
    of: &'static str,
    table: &str,
    behind: &str,
) -> (Option<i32>, String) {
    let named = |text: &str| text.replace("{d}", &scene.world.database).replace("{s}", &scene.world.staging);
    let balancer = Balancer { url: scene.world.url.clone(), of, table: named(table), behind: named(behind) };
    let output = scene.output(&[command, "--clickhouse-url", &balancer.start().await]).await;
    (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn sums_that_do_not_agree_end_setup_and_merge_with_1_and_both_numbers() {
    let scene = Scene::new(&small_universe(61), &[], |_, _| {}).await;
    scene.json(0, &["setup"]).await;
    let behind =
        "CREATE VIEW {s}.behind AS SELECT * FROM {s}.unmapped_tokens_dome WHERE sipHash64(asset_id) % 3 != 0";
    scene.world.run(behind).await;
    let listed: u64 = scene.world.one("SELECT count() FROM {s}.unmapped_tokens").await;
    let missing = "SELECT count() FROM {s}.unmapped_tokens_dome WHERE sipHash64(asset_id) % 3 = 0";
    let split = listed - scene.world.one::<u64>(missing).await;
    let (code, said) =
        ended(&scene, "setup", "count()", "`{s}`.`unmapped_tokens_dome`", "`{s}`.`behind`").await;
    let sums = format!(
        "sums do not agree: unmapped tokens listed, and of them in the tracks' workloads: {listed} and {split}"
    );
    assert!(code == Some(1) && said.contains(&sums), "{code:?}, not {sums}: {said}");
    assert!(said.contains("Run the same command again"), "{said}");

    scene.json(0, &["setup"]).await;
    scene.json(0, &["derive"]).await;
    let (dry, _) = scene.json(0, &["merge", "--dry-run"]).await;
    let added = dry["added"].as_u64().unwrap();
    let behind =
        "CREATE TABLE {d}.behind ENGINE = MergeTree ORDER BY token_id AS SELECT * FROM {d}.ctf_token_map";
    scene.world.run(behind).await;
    let merged = "countIf(token_id GLOBAL IN";
    let (code, said) = ended(&scene, "merge", merged, "`{d}`.`ctf_token_map`", "`{d}`.`behind`").await;
    let sums = format!("sums do not agree: tokens merged, and of them in the map afterwards: {added} and 0");
    assert!(code == Some(1) && said.contains(&sums), "{code:?}, not {sums}: {said}");
    // What was written stays, and the next merge, which sees it, adds nothing.
    let (again, said) = scene.json(0, &["merge"]).await;
    assert_eq!((&again["added"], &again["duplicates"]), (&json!(0), &json!(0)), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_track_whose_list_lacks_rows_that_setup_wrote_ends_with_1_and_both_numbers() {
    let scene = Scene::new(&small_universe(62), &[Source::Dome], |_, _| {}).await;
    scene.json(0, &["setup"]).await;
    let count = "SELECT count() FROM {s}.unmapped_tokens_dome";
    let listed: u64 = scene.world.one(count).await;
    // A replica that has none of the rows yet, and one that has some.
    for kept in ["sipHash64(asset_id) % 3 = 0", "false"] {
        let lose = format!(
            "ALTER TABLE {{s}}.unmapped_tokens_dome DELETE WHERE NOT ({kept}) SETTINGS mutations_sync = 2"
        );
        scene.world.run(&lose).await;
        let there: u64 = scene.world.one(count).await;
        assert!(there < listed);
        let output = scene.output(&["dome"]).await;
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        let sums = format!(
            "sums do not agree: tokens that `setup` has listed, and those that stand in the list: {listed} and {there}"
        );
        assert!(output.status.code() == Some(1) && said.contains(&sums), "{:?}: {said}", output.status);
    }
    // The next setup lists them again.
    scene.json(0, &["setup"]).await;
    scene.json(0, &["dome"]).await;
}
