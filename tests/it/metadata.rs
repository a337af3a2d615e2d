//! `merge --metadata`: empty questions and slugs of the map are filled from what sources have told, and nothing else of it
//! changes.

use crate::common::{Scene, World, condition, small_universe, token};
use backfill::phases::merge::{self, MergeOptions};
use backfill::source::Source;
use backfill::store::metadata::MetadataCounts;

fn with_metadata() -> MergeOptions {
    MergeOptions { metadata: true, ..MergeOptions::default() }
}

/// A map with these columns behind its own, a row of each outcome of the conditions 1 to 4, and facts of the first three.
async fn world(columns: &str, engine: &str) -> World {
    let world = World::new().await;
    let store = world.context(&[]).await.store;
    world
        .run(&format!(
            "CREATE TABLE {{d}}.ctf_token_map (token_id String, condition_id_norm String, outcome_index UInt8, \
             outcome_label String, source String, fetched_at DateTime DEFAULT now(){columns}) \
             ENGINE = {engine} ORDER BY token_id"
        ))
        .await;
    store.create_missing_tables().await.unwrap();
    store.create_staging().await.unwrap();
    for number in 1..=4 {
        for index in [0, 1] {
            let (token, condition) = (token(number, index), condition(number));
            let row = format!("('{token}', '0x{condition}', {index}, '', 'old')");
            world
                .run(&format!(
                    "INSERT INTO {{d}}.ctf_token_map (token_id, condition_id_norm, outcome_index, outcome_label, source) \
                     VALUES {row}"
                ))
                .await;
        }
    }
    // One token of a condition tells of both; of the third only its question is known.
    for (number, title, slug) in
        [(1, "It\\'s \\\\ \"Atlético\"?", "first"), (2, "Second?", "second"), (3, "Third?", "")]
    {
        world
            .run(&format!(
                "INSERT INTO {{s}}.token_facts VALUES ('{}', '{}', 'Yes', NULL, 0, '{title}', '{slug}', 'tokens', now())",
                token(number, 0),
                condition(number)
            ))
            .await;
    }
    world
}

async fn filled(world: &World, options: &MergeOptions) -> MetadataCounts {
    merge::run(&world.context(&[]).await, options).await.unwrap().metadata.unwrap()
}

/// Question and slug by token, as texts.
async fn texts(world: &World, question: &str, slug: &str) -> Vec<(String, String)> {
    world
        .all(&format!(
            "SELECT ifNull(toString({question}), '') AS q, ifNull(toString({slug}), '') AS s FROM {{d}}.ctf_token_map \
             ORDER BY condition_id_norm, outcome_index"
        ))
        .await
}

#[tokio::test(flavor = "multi_thread")]
async fn empty_questions_and_slugs_are_filled_whatever_their_type_and_once() {
    let maps = [
        (", question String, market_slug String", "MergeTree", "question", "market_slug"),
        (
            ", title Nullable(String), slug LowCardinality(String)",
            "ReplacingMergeTree(fetched_at)",
            "title",
            "slug",
        ),
        (
            ", market_title LowCardinality(Nullable(String)), slug FixedString(20)",
            "MergeTree",
            "market_title",
            "slug",
        ),
    ];
    for (columns, engine, question, slug) in maps {
        let world = world(columns, engine).await;
        let dry = filled(&world, &MergeOptions { dry_run: true, ..with_metadata() }).await;
        assert_eq!((dry.questions, dry.slugs), (6, 4), "{columns}");
        assert!(
            texts(&world, question, slug).await.iter().all(|it| it.0.is_empty()),
            "a dry run writes nothing"
        );
        assert_eq!(filled(&world, &with_metadata()).await, dry, "{columns}");
        let is = |question: &str, slug: &str| (question.to_owned(), slug.to_owned());
        let trimmed: Vec<(String, String)> = texts(&world, question, slug)
            .await
            .into_iter()
            .map(|(question, slug)| (question, slug.trim_end_matches('\0').to_owned()))
            .collect();
        let of =
            [is("It's \\ \"Atlético\"?", "first"), is("Second?", "second"), is("Third?", ""), is("", "")];
        let expected: Vec<_> = of.into_iter().flat_map(|texts| [texts.clone(), texts]).collect();
        assert_eq!(trimmed, expected, "{columns}");
        let again = filled(&world, &with_metadata()).await;
        assert_eq!((again.questions, again.slugs), (0, 0), "{columns}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_stands_there_stays_and_what_does_not_fit_is_left_out() {
    let world = world(", question String DEFAULT 'mine', slug FixedString(5)", "MergeTree").await;
    let counts = filled(&world, &with_metadata()).await;
    // "second" has six bytes.
    assert_eq!((counts.questions, counts.slugs), (0, 2));
    let texts = texts(&world, "question", "slug").await;
    assert!(texts.iter().all(|it| it.0 == "mine"), "{texts:?}");
    let without = self::world(", question UInt8, image String", "MergeTree").await;
    assert_eq!(filled(&without, &with_metadata()).await, MetadataCounts::default());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_token_look_up_tells_comes_into_the_map() {
    let universe = small_universe(71);
    let scene = Scene::new(&universe, &[Source::Tokens], |_, _| {}).await;
    scene.world.run("ALTER TABLE {d}.ctf_token_map ADD COLUMN IF NOT EXISTS market_slug String").await;
    scene.world.run("ALTER TABLE {d}.ctf_token_map ADD COLUMN IF NOT EXISTS question String").await;
    scene.json(0, &["run", "--tracks", "tokens", "--coverage-target", "10"]).await;
    let (result, _) = scene.json(0, &["merge", "--metadata"]).await;
    let filled = result["questions_filled"].as_u64().unwrap();
    assert!(filled > 0 && result["slugs_filled"] == result["questions_filled"], "{result}");
    let there: u64 = scene
        .world
        .one("SELECT count() FROM {d}.ctf_token_map WHERE question != '' AND market_slug != ''")
        .await;
    assert_eq!(there, filled);
}
