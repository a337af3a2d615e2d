//! The sums of the fills that are kept between phases: they say what the fills say, and count only while those are the
//! same.

use crate::common::World;

/// Fills of mapped, unmapped and malformed tokens: with several labels, odd dates, prices of many decimals and no price.
const FILLS: &str = "INSERT INTO {d}.clob_fills (fill_id, asset_id, outcome, price, size, timestamp) VALUES \
    ('1', '1', 'Yes', 0.5, 1000000, '2025-01-31 23:59:59'), ('2', '1', 'No', 0.25, 3000000, '2025-02-01 00:00:00'), \
    ('3', '1', 'No', 0.1234567, 1000001.5, '2025-02-01 00:00:00'), ('4', '2', '', 0.75, 2000000, '1970-01-02 00:00:00'), \
    ('5', '3', 'No', 2, 1000000, '2025-03-01 00:00:00'), ('6', '007', 'Yes', 0.5, 1000000, '2025-03-01 00:00:00'), \
    ('7', '4', 'Yes', 0.5, 1000000, '2025-03-01 00:00:00'), ('8', '', 'Yes', 0.5, 1000000, '2025-03-01 00:00:00')";

async fn world() -> World {
    let world = World::with_tables().await;
    world.run(FILLS).await;
    let condition = |number: u8| format!("{number:02x}").repeat(32);
    for (token, of) in [("1", 1), ("2", 2), ("2", 3), ("9", 4)] {
        world
            .run(&format!(
                "INSERT INTO {{d}}.ctf_token_map (token_id, condition_id_norm, outcome_index) VALUES ('{token}', '{}', 0)",
                condition(of)
            ))
            .await;
    }
    world
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_kept_says_the_same_as_the_fills() {
    let world = world().await;
    let context = world.context(&[]).await;
    let store = &context.store;
    store.create_staging().await.unwrap();
    world.run("INSERT INTO {s}.not_found (track, token_id, asked_at) VALUES ('dome', '3', now())").await;
    let labels = async || -> Vec<(u128, String, bool)> {
        let sums = store.kept_sums().await.unwrap();
        let mut rows = store.traded_tokens(&sums).await.unwrap();
        let mut found = Vec::new();
        while let Some(row) = rows.next().await.unwrap() {
            found.push((row.fingerprint, row.label, row.open));
        }
        found
    };
    assert!(!store.kept_sums().await.unwrap().is_kept());
    let read = (store.gaps(&[], 10).await.unwrap(), store.coverage().await.unwrap(), labels().await);
    assert_eq!((read.1.total, read.1.mapped, read.1.ambiguous, read.1.malformed), (4, 1, 1, 2));
    assert_eq!(read.2[0].1, "No", "the label that most fills have");
    assert!(context.traded_sums().await.unwrap().is_kept());
    assert!(store.kept_sums().await.unwrap().is_kept());
    assert_eq!((store.gaps(&[], 10).await.unwrap(), store.coverage().await.unwrap(), labels().await), read);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_kept_counts_only_while_the_fills_are_the_same() {
    let world = world().await;
    let context = world.context(&[]).await;
    let store = &context.store;
    store.create_staging().await.unwrap();
    for change in [
        "INSERT INTO {d}.clob_fills (asset_id, price, size) VALUES ('5', 0.5, 1000000)",
        "ALTER TABLE {d}.clob_fills UPDATE price = 0.75 WHERE fill_id = '1' SETTINGS mutations_sync = 1",
        "ALTER TABLE {d}.clob_fills DELETE WHERE fill_id = '2' SETTINGS mutations_sync = 1",
        "OPTIMIZE TABLE {d}.clob_fills FINAL",
        "ALTER TABLE {d}.clob_fills MODIFY COLUMN price Float64 DEFAULT 0.5",
        // The same rows, and as many, of a table that was made anew.
        "CREATE TABLE {d}.copy AS {d}.clob_fills; ",
        "TRUNCATE TABLE {s}.traded_tokens",
        "TRUNCATE TABLE {d}.clob_fills",
    ] {
        assert!(context.traded_sums().await.unwrap().is_kept(), "before {change}");
        if let Some(create) = change.strip_suffix("; ") {
            world.run(create).await;
            world.run("INSERT INTO {d}.copy SELECT * FROM {d}.clob_fills").await;
            world.run("EXCHANGE TABLES {d}.copy AND {d}.clob_fills").await;
        } else {
            world.run(change).await;
        }
        assert!(!store.kept_sums().await.unwrap().is_kept(), "after {change}");
        let (kept, total) =
            (context.traded_sums().await.unwrap(), store.gaps(&[], 10).await.unwrap().coverage);
        assert_eq!(store.coverage_of(&kept).await.unwrap(), total, "after {change}");
    }
    // Rows that are deleted and stay in their parts are in no sums: the fills are read.
    world.run(FILLS).await;
    world.run("DELETE FROM {d}.clob_fills WHERE asset_id = '4'").await;
    assert!(!context.traded_sums().await.unwrap().is_kept());
    assert_eq!(store.coverage().await.unwrap().total, 3);
}
