//! Labels: taken where they fit their place, listed where sources differ, corrected from the catalogue where that is asked
//! for.

use backfill::phases::merge::{self, MergeOptions, MergeResult};
use backfill::report::Report;
use backfill::results::Merge;
use backfill::source::Source;
use serde_json::json;

use crate::common::{World, condition, token};

const LABELS: MergeOptions = MergeOptions {
    dry_run: false,
    repair: false,
    labels: true,
    metadata: false,
    resolutions: false,
    check: false,
};

/// A world with this map, fills of the tokens 1 to 12 of both outcomes, and a catalogue that nobody has read yet.
async fn world(map: &str) -> World {
    let world = World::new().await;
    world.run("CREATE TABLE {d}.clob_fills (asset_id String) ENGINE = MergeTree ORDER BY asset_id").await;
    world.run(&format!("CREATE TABLE {{d}}.ctf_token_map {map}")).await;
    let traded: Vec<String> =
        (1..=12).flat_map(|n| [0, 1].map(|index| format!("('{}')", token(n, index)))).collect();
    world.run(&format!("INSERT INTO {{d}}.clob_fills VALUES {}", traded.join(","))).await;
    let store = world.store().await;
    store.create_staging().await.unwrap();
    store.create_catalogue(Source::Clob).await.unwrap();
    world
}

fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\\', "\\\\").replace('\'', "\\'"))
}

async fn map(world: &World, number: u8, index: u8, label: &str) {
    let (token, condition, label) = (token(number, index), condition(number), quoted(label));
    let columns = "token_id, condition_id_norm, outcome_index, outcome_label";
    let values = format!("('{token}', '{condition}', {index}, {label})");
    world.run(&format!("INSERT INTO {{d}}.ctf_token_map ({columns}) VALUES {values}")).await;
}

async fn list(world: &World, number: u8, index: u8, label: &str, evidence: &str) {
    let (token, condition, label) = (token(number, index), condition(number), quoted(label));
    world
        .run(&format!(
            "INSERT INTO {{s}}.clob_markets VALUES ('{token}', '{condition}', {index}, {label}, false, false, 'usdc_e', '{evidence}', 1)"
        ))
        .await;
}

async fn stage(world: &World, source: Source, number: u8, index: u8, label: &str) {
    let (token, condition, label) = (token(number, index), condition(number), quoted(label));
    world
        .run(&format!(
            "INSERT INTO {{s}}.{} (token_id, condition_id_norm, outcome_index, outcome_label, collateral) \
             VALUES ('{token}', '{condition}', {index}, {label}, 'usdc_e')",
            source.staging_table()
        ))
        .await;
}

async fn merged(world: &World, options: &MergeOptions) -> MergeResult {
    merge::run(&world.context(&[]).await, options).await.unwrap()
}

/// The labels of a token's rows that a `FINAL` read sees, where there is one.
async fn labels_of(world: &World, number: u8, index: u8, last: &str) -> Vec<String> {
    let token = token(number, index);
    let text = "replaceAll(ifNull(toString(outcome_label), ''), '\\0', '')";
    let sql = format!("SELECT {text} FROM {{d}}.ctf_token_map{last} WHERE token_id = '{token}' ORDER BY ALL");
    world.all(&sql).await
}

#[tokio::test(flavor = "multi_thread")]
async fn labels_that_differ_or_contradict_their_place_are_listed_in_page_and_object() {
    let world = world(
        "(token_id String, condition_id_norm String, outcome_index UInt8, outcome_label String, source String) \
         ENGINE = MergeTree ORDER BY token_id",
    )
    .await;
    // The first in precedence wins; case, blanks and the Unicode form are no difference.
    stage(&world, Source::Dome, 1, 0, "Democratic").await;
    stage(&world, Source::Gamma, 1, 0, "Democrat").await;
    stage(&world, Source::Dome, 2, 0, "Atlético").await;
    stage(&world, Source::Gamma, 2, 0, " ATLE\u{301}TICO").await;
    // "Yes" of index 1 contradicts its place, and so does "no" of index 0; what another source says is taken.
    stage(&world, Source::Dome, 3, 1, "Yes").await;
    stage(&world, Source::Dome, 4, 0, " no ").await;
    stage(&world, Source::Gamma, 4, 0, "Yes").await;
    // What acts on a terminal is spelt out.
    stage(&world, Source::Dome, 5, 0, "Up\nPHASE 3 COMPLETE").await;
    stage(&world, Source::Gamma, 5, 0, "Down\u{1b}[2J").await;
    let result = Merge::from(&merged(&world, &MergeOptions::default()).await);
    assert_eq!((result.added, result.label_conflicting, result.misplaced_labels), (5, 3, 2));
    let object = result.json();
    let claims = |list: &str, number: u8, index: u8| {
        let token = token(number, index).to_string();
        let found = object[list].as_array().unwrap().iter().find(|it| it["token"] == json!(token));
        found.map(|it| it["claims"].clone()).unwrap_or_default()
    };
    assert_eq!(claims("label_conflicts", 1, 0), json!(["dome: Democratic", "gamma: Democrat"]));
    assert_eq!(claims("label_conflicts", 2, 0), json!(null));
    assert_eq!(claims("label_conflicts", 4, 0), json!(["dome:  no ", "gamma: Yes"]));
    assert_eq!(claims("misplaced", 3, 1), json!(["dome_api: Yes, 1"]));
    assert_eq!(claims("misplaced", 4, 0), json!(["dome_api:  no , 0"]));
    let page = result.text();
    for line in [
        "Labels that differ between sources: 3 tokens (the first in precedence counts)".to_owned(),
        format!("   {}: dome: Democratic | gamma: Democrat", token(1, 0)),
        "Labels that contradict their place, not taken: 2 tokens".to_owned(),
        format!("   {}: dome_api: Yes, 1", token(3, 1)),
        format!("   {}: dome: Up\\u{{a}}PHASE 3 COMPLETE | gamma: Down\\u{{1b}}[2J", token(5, 0)),
    ] {
        assert!(page.lines().any(|it| it.ends_with(&line)), "{line}\n{page}");
    }
    for (number, index, label) in [(1, 0, "Democratic"), (2, 0, "Atlético"), (3, 1, ""), (4, 0, "Yes")] {
        assert_eq!(labels_of(&world, number, index, "").await, [label]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_labels_are_corrected_from_the_catalogue_on_every_engine() {
    let columns = "token_id String, condition_id_norm String, outcome_index UInt8, outcome_label String";
    for (engine, last) in [
        (
            format!("({columns}, fetched_at DateTime DEFAULT now()) ENGINE = ReplacingMergeTree(fetched_at)"),
            " FINAL",
        ),
        (format!("({columns}, version UInt32 DEFAULT 1) ENGINE = ReplacingMergeTree(version)"), " FINAL"),
        (format!("({columns}) ENGINE = ReplacingMergeTree"), " FINAL"),
        (format!("({columns}) ENGINE = MergeTree"), ""),
    ] {
        // Rows of one token with different labels replace each other, or do not.
        let orders: &[&str] = match engine.ends_with("(version)") {
            true => &["token_id", "(token_id, outcome_label)"],
            false => &["token_id"],
        };
        for order in orders {
            let ddl = format!("{engine} ORDER BY {order}");
            let world = world(&ddl).await;
            for (number, index, mapped, listed, evidence) in [
                (1, 0, "Democrat", "Democratic", "proven"),
                (2, 1, "Yes", "No", "proven"),
                (3, 0, "", "It's \\ \"Up\"", "proven"),
                (4, 0, "LAKERS ", "Lakers", "proven"),
                // Neither of these says anything: no proof, a place that contradicts the text.
                (5, 0, "Up", "Down", ""),
                (6, 0, "Up", "No", "proven"),
                (7, 0, "Celtics", "Lakers", "proven"),
                (8, 0, "Same", "Same", "proven"),
            ] {
                map(&world, number, index, mapped).await;
                list(&world, number, index, listed, evidence).await;
            }
            // What an interrupted merge leaves behind: the right row beside the wrong one.
            map(&world, 7, 0, "Lakers").await;
            // A listing of the other outcome, and one that the map has no row of.
            list(&world, 8, 1, "Other", "proven").await;
            map(&world, 9, 0, "Kept").await;
            let dry = merged(&world, &MergeOptions { dry_run: true, ..LABELS }).await.labels.unwrap();
            assert_eq!(labels_of(&world, 1, 0, "").await, ["Democrat"], "{ddl}");
            let result = merged(&world, &LABELS).await;
            let counts = result.labels.clone().unwrap();
            assert_eq!((counts.filled, counts.corrected), (dry.filled, dry.corrected), "{ddl}");
            // Of the two rows of 7 a read with FINAL sees the right one, where they replace each other.
            let expected = if counts.corrections.len() == 3 { 3 } else { 2 };
            assert_eq!((counts.filled, counts.corrected), (1, expected), "{ddl}");
            let object = Merge::from(&result).json();
            let first = counts.corrections.iter().find(|it| it.token_id == token(1, 0).to_string()).unwrap();
            assert_eq!(first.claims, ["map: Democrat", "clob: Democratic"]);
            assert_eq!(object["labels_corrected"], json!(expected));
            assert_eq!(object["label_corrections"].as_array().unwrap().len() as u64, expected);
            let page = Merge::from(&result).text();
            let line = format!("   {}: map: Democrat | clob: Democratic", token(1, 0));
            assert!(page.contains(&format!("Labels corrected from the catalogue: {expected}")), "{page}");
            assert!(page.lines().any(|it| it == line), "{page}");
            for (number, index, label) in [
                (1, 0, "Democratic"),
                (2, 1, "No"),
                (3, 0, "It's \\ \"Up\""),
                (4, 0, "LAKERS "),
                (5, 0, "Up"),
                (6, 0, "Up"),
                (7, 0, "Lakers"),
                (8, 0, "Same"),
                (9, 0, "Kept"),
            ] {
                assert_eq!(labels_of(&world, number, index, last).await, [label], "{ddl}");
            }
            assert_eq!((result.duplicates, result.after.mapped), (0, 9), "{ddl}");
            let again = merged(&world, &LABELS).await.labels.unwrap();
            assert_eq!((again.filled, again.corrected), (0, 0), "{ddl}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_label_that_the_column_cannot_hold_changes_nothing() {
    for label in ["Enum8('' = 0, 'Up' = 1)", "Nullable(Enum8('Up' = 1))", "FixedString(4)"] {
        let world = world(&format!(
            "(token_id String, condition_id_norm String, outcome_index UInt8, outcome_label {label}) \
             ENGINE = MergeTree ORDER BY token_id"
        ))
        .await;
        map(&world, 1, 0, "Up").await;
        list(&world, 1, 0, "Golden State Warriors", "proven").await;
        stage(&world, Source::Dome, 2, 0, "Golden State Warriors").await;
        stage(&world, Source::Dome, 3, 0, "Up").await;
        for added in [2, 0] {
            let result = merged(&world, &LABELS).await;
            let counts = result.labels.clone().unwrap();
            assert_eq!((result.added, counts.filled, counts.corrected), (added, 0, 0), "{label}");
            for (number, expected) in [(1, "Up"), (2, ""), (3, "Up")] {
                assert_eq!(labels_of(&world, number, 0, "").await, [expected], "{label}");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repair_takes_no_label_that_contradicts_the_right_index() {
    let world = world(
        "(token_id String, condition_id_norm String, outcome_index UInt8, outcome_label String, question String) \
         ENGINE = MergeTree ORDER BY token_id",
    )
    .await;
    for (number, index, wrong, label) in [(1, 1, 0, "Yes"), (2, 0, 1, "No"), (3, 1, 0, "Lakers")] {
        world
            .run(&format!(
                "INSERT INTO {{d}}.ctf_token_map VALUES ('{}', '{}', {wrong}, '{label}', 'who?')",
                token(number, index),
                condition(number)
            ))
            .await;
    }
    let repair = MergeOptions { repair: true, ..MergeOptions::default() };
    assert_eq!(merged(&world, &repair).await.repaired, 3);
    let sql = "SELECT token_id, outcome_index, outcome_label, question FROM {d}.ctf_token_map";
    let mut rows: Vec<(String, u8, String, String)> = world.all(sql).await;
    rows.sort();
    let mut expected = [(1, 1, ""), (2, 0, ""), (3, 1, "Lakers")].map(|(number, index, label)| {
        (token(number, index).to_string(), index, label.to_owned(), "who?".to_owned())
    });
    expected.sort();
    assert_eq!(rows, expected);
}
