//! The ninth trap: tables that are spread over a cluster answer as on one server.

use std::net::TcpListener;
use std::path::Path;
use std::sync::Arc;

use crate::common::{BACKFILL, World};
use backfill::demo::{Universe, UniverseOptions, load};
use backfill::embedded::{Server, ServerOptions};
use backfill::phases::derive::{DeriveOptions, DeriveResult};
use backfill::phases::merge::MergeOptions;
use backfill::phases::setup::SetupOptions;
use backfill::phases::validate::{Baseline, ValidateOptions};
use backfill::phases::verify::VerifyOptions;
use backfill::phases::{derive, merge, setup, validate, verify};
use backfill::store::staging::StagedRow;

/// Two servers that know each other.
async fn pair(folder: &Path) -> [Server; 2] {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let free = [(); 2].map(|()| TcpListener::bind("127.0.0.1:0").unwrap());
    let ports = free.map(|listener| listener.local_addr().unwrap().port());
    let shard = |port| format!("<shard><replica><host>127.0.0.1</host><port>{port}</port></replica></shard>");
    let config = folder.join("config.xml");
    let xml = format!(
        "<clickhouse><remote_servers><pair>{}{}</pair></remote_servers></clickhouse>",
        shard(ports[0]),
        shard(ports[1])
    );
    std::fs::write(&config, xml).unwrap();
    let start = async |number: usize| {
        let options = ServerOptions {
            data: folder.join(number.to_string()),
            http_port: 0,
            tcp_port: Some(ports[number]),
            config: Some(config.clone()),
            engine: None,
            launcher: BACKFILL.into(),
        };
        Server::start(options, &|text| eprintln!("{text}")).await.unwrap()
    };
    [start(0).await, start(1).await]
}

async fn run(server: &Server, sql: &str) {
    let client = clickhouse::Client::default().with_url(server.url());
    client.query_raw(sql).execute().await.unwrap_or_else(|error| panic!("{sql}: {error}"));
}

fn world(server: &Server, database: &str) -> World {
    World {
        url: server.url(),
        database: database.to_owned(),
        staging: format!("{database}_staging"),
        folder: tempfile::tempdir().unwrap(),
        kept: Arc::default(),
    }
}

/// Each of the users' tables, and what spreads its rows: deliveries of one fill come to different servers.
const TABLES: [(&str, &str); 4] = [
    ("clob_fills", "cityHash64(fill_id, ingested_at)"),
    ("ctf_token_map", "cityHash64(token_id)"),
    ("gamma_resolved", "cityHash64(cid)"),
    ("market_resolutions_final", "cityHash64(condition_id_norm)"),
];

/// Copies the tables of `one` to a database of both servers: those in `spread` in two parts, the others whole on the
/// first server, and empty on the second, where a shard that is asked alone finds nothing.
async fn spread(servers: &[Server; 2], one: &World, database: &str, spread: &[&str]) -> World {
    let world = world(&servers[0], database);
    for server in servers {
        run(server, &format!("CREATE DATABASE {database}")).await;
    }
    for (table, key) in TABLES {
        let is_spread = spread.contains(&table);
        let local = if is_spread { format!("{table}_local") } else { table.to_owned() };
        let created: String = one
            .one(&format!(
                "SELECT create_table_query FROM system.tables WHERE database = '{{d}}' AND name = '{table}'"
            ))
            .await;
        let created = created.replace(&format!("{}.{table}", one.database), &format!("{database}.{local}"));
        for server in servers {
            run(server, &created).await;
            run(server, &format!("SYSTEM STOP MERGES {database}.{local}")).await;
            if is_spread {
                run(
                    server,
                    &format!(
                        "CREATE TABLE {database}.{table} AS {database}.{local} \
                         ENGINE = Distributed('pair', '{database}', '{local}', {key})"
                    ),
                )
                .await;
            }
        }
        run(
            &servers[0],
            &format!(
                "INSERT INTO {database}.{table} SELECT * FROM {}.{table} \
                 SETTINGS distributed_foreground_insert = 1, optimize_on_insert = 0",
                one.database
            ),
        )
        .await;
    }
    world
}

/// Everything that the phases say of a world, in a form to compare.
async fn answers(world: &World, universe: &Universe) -> Vec<String> {
    let context = world.context(&[]).await;
    let options = SetupOptions::default();
    let mut said = Vec::new();
    let found = setup::run(&context, &options).await.unwrap();
    said.push(format!("{:?} {} {:?}", found.coverage, found.unmapped, found.tracks));
    let expected = universe.expected();
    assert_eq!((found.coverage.total, found.coverage.mapped), (expected.traded, expected.mapped));
    let derived = derive::run(&context, &DeriveOptions::default()).await.unwrap();
    assert!(derived.inserted > 0, "{derived:?}");
    said.push(format!("{:?}", DeriveResult { elapsed_seconds: 0.0, ..derived }));
    let unmapped = universe.traded_tokens().filter(|outcome| !outcome.mapped());
    let staged: Vec<_> = unmapped
        .step_by(2)
        .map(|outcome| StagedRow {
            token_id: outcome.token(),
            condition_id_norm: outcome.market.condition(),
            outcome_index: outcome.index,
            outcome_label: outcome.label().to_owned(),
            source: "dome_api".to_owned(),
            fetched_at: 1_760_000_000,
            collateral: "usdc_e".to_owned(),
            evidence: "proven",
        })
        .collect();
    context.store.insert(&context.store.staging_table("clob_asset_map_dome"), "dome", &staged).await.unwrap();
    let merged = merge::run(&context, &MergeOptions::default()).await.unwrap();
    assert!(merged.added > 500, "{merged:?}");
    assert_eq!(merged.after.mapped, merged.before.mapped + merged.added, "what was merged is there");
    let again = merge::run(&context, &MergeOptions::default()).await.unwrap();
    assert_eq!((again.added, again.duplicates), (0, merged.duplicates_before));
    said.push(format!(
        "{:?} {:?} {:?} {:?} {} {} {}",
        merged.before,
        merged.after,
        merged.candidates,
        merged.map,
        merged.added,
        merged.duplicates_before,
        merged.duplicates
    ));
    let baselines: Vec<Baseline> = (universe.baselines().iter())
        .map(|baseline| Baseline::new(baseline.wallet, "1".parse().unwrap()))
        .collect();
    let wallets = baselines.iter().map(|baseline| baseline.wallet).collect();
    let verified = verify::run(&context, &VerifyOptions { wallets, gaps_file: None }).await.unwrap();
    said.push(format!("{:?} {:?} {}", verified.gap, verified.wallets, verified.resolved));
    let options =
        ValidateOptions { baselines, positions_file: None, detail: false, ..ValidateOptions::default() };
    let validated = validate::run(&context, &options).await.unwrap();
    for wallet in validated.wallets {
        assert!(!wallet.positions.is_empty());
        said.push(format!("{:?} {:?} {:?}", wallet.total.exact(), wallet.positions, wallet.data_quality));
    }
    said
}

#[tokio::test(flavor = "multi_thread")]
async fn trap_09_tables_that_are_spread_over_a_cluster_answer_as_on_one_server() {
    let folder = tempfile::tempdir().unwrap();
    let servers = pair(folder.path()).await;
    let options = UniverseOptions {
        seed: 9,
        traded_tokens: 2_500,
        mapped_tokens: 500,
        fills: 8_000,
        ..UniverseOptions::default()
    };
    let universe = Universe::generate(options).unwrap();
    let one = world(&servers[0], "one");
    let client = clickhouse::Client::default().with_url(servers[0].url());
    load::load(&client, "one", &universe, load::LoadOptions::default()).await.unwrap();
    for (table, _) in TABLES {
        run(&servers[0], &format!("SYSTEM STOP MERGES one.{table}")).await;
    }
    let all = TABLES.map(|(table, _)| table);
    let fills = spread(&servers, &one, "fills", &["clob_fills"]).await;
    let whole = spread(&servers, &one, "whole", &all).await;
    let shares: Vec<u64> =
        client.query("SELECT count() FROM whole.clob_fills GROUP BY shardNum()").fetch_all().await.unwrap();
    assert!(shares.len() == 2 && shares.iter().all(|share| *share > 2_000), "{shares:?}");
    let expected = answers(&one, &universe).await;
    for spread in [fills, whole] {
        let found = answers(&spread, &universe).await;
        for (found, expected) in found.iter().zip(&expected) {
            assert_eq!(found, expected, "{}", spread.database);
        }
    }
    let [first, second] = servers;
    tokio::join!(first.stop(), second.stop());
}
