//! Questions and slugs of the map, filled from what sources tell of tokens.

use std::collections::BTreeMap;

use clickhouse::Row;
use serde::Deserialize;

use super::input::{ColumnType, Kind};
use super::sql::{condition_norm, mirror_spelling, usable_raw};
use super::{Column, Store, StoreError, quoted};

/// Names under which maps keep a market's slug.
const SLUGS: [&str; 2] = ["market_slug", "slug"];

/// Names under which maps keep a market's question.
const QUESTIONS: [&str; 4] = ["question", "market_question", "title", "market_title"];

/// Conditions whose texts are written with one statement, which must stay far below what a server parses.
const CHUNK: usize = 2_000;

/// Which columns of the map were filled, or would be.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MetadataCounts {
    /// The columns that the map has for questions and slugs.
    pub columns: Vec<String>,
    /// Rows whose question was empty and is known.
    pub questions: u64,
    /// Rows whose slug was empty and is known.
    pub slugs: u64,
}

/// A condition with empty rows, and what is known of it.
#[derive(Row, Deserialize)]
struct Known {
    condition: String,
    empty_slugs: u64,
    empty_questions: u64,
    slug: String,
    question: String,
}

/// A column of the map that takes texts.
struct Texts {
    name: String,
    /// The longest text that it takes, in bytes.
    longest: usize,
}

impl Texts {
    /// The first column of these names that is there and takes texts.
    fn of(columns: &[Column], names: &[&str]) -> Option<Self> {
        names.iter().find_map(|name| {
            let column = columns.iter().find(|column| column.name == *name)?;
            let longest = match ColumnType::parse(&column.type_name).kind {
                Kind::Text => usize::MAX,
                Kind::Fixed(bytes) => bytes as usize,
                _ => return None,
            };
            Some(Self { name: column.name.clone(), longest })
        })
    }

    /// Whether a row has nothing there.
    fn is_empty(&self) -> String {
        format!("replaceAll(ifNull(toString({}), ''), '\\0', '') = ''", quoted(&self.name))
    }
}

impl Store {
    /// Fills the questions and slugs of usable rows of the map where they are empty and a source has told of the
    /// condition; counts them, and writes nothing in a `dry_run`. Interrupted, the next call goes on.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn fill_metadata(&self, dry_run: bool) -> Result<MetadataCounts, StoreError> {
        let table = self.names().token_map.clone();
        let columns = self.columns(&table).await?.unwrap_or_default();
        let (slugs, questions) = (Texts::of(&columns, &SLUGS), Texts::of(&columns, &QUESTIONS));
        let named = [&questions, &slugs].into_iter().flatten().map(|it| it.name.clone());
        let mut counts = MetadataCounts { columns: named.collect(), ..MetadataCounts::default() };
        if counts.columns.is_empty() || self.columns(&self.token_facts()).await?.is_none() {
            return Ok(counts);
        }
        let known = self.known_metadata(slugs.as_ref(), questions.as_ref()).await?;
        for (column, empty, text, filled) in [
            (
                &slugs,
                (|it| it.empty_slugs) as fn(&Known) -> u64,
                (|it| &it.slug) as fn(&Known) -> &String,
                &mut counts.slugs,
            ),
            (&questions, |it| it.empty_questions, |it| &it.question, &mut counts.questions),
        ] {
            let Some(column) = column else { continue };
            let fits = |it: &&Known| empty(it) > 0 && (1..=column.longest).contains(&text(it).len());
            let texts: BTreeMap<&str, &str> =
                known.iter().filter(fits).map(|it| (it.condition.as_str(), text(it).as_str())).collect();
            *filled = known.iter().filter(fits).map(empty).sum();
            if !dry_run {
                self.write_texts(column, &texts).await?;
            }
        }
        Ok(counts)
    }

    /// The conditions of usable rows whose slug or question is empty, with what the newest source tells of them.
    async fn known_metadata(
        &self,
        slugs: Option<&Texts>,
        questions: Option<&Texts>,
    ) -> Result<Vec<Known>, StoreError> {
        let inputs = self.inputs().await?;
        let (map, table) = (inputs.map()?, &self.names().token_map);
        let empty = |column: Option<&Texts>| column.map_or("0".to_owned(), Texts::is_empty);
        let sql = format!(
            "SELECT condition, empty_slugs, empty_questions, slug, question FROM \
               (SELECT {condition} AS condition, countIf({no_slug}) AS empty_slugs, countIf({no_question}) AS empty_questions \
                FROM {table} WHERE {usable} GROUP BY condition HAVING empty_slugs + empty_questions > 0) AS m \
             GLOBAL INNER JOIN (SELECT {mirror} AS mirrored, argMaxIf(slug, fetched_at, slug != '') AS slug, \
                    argMaxIf(title, fetched_at, title != '') AS question FROM {facts} FINAL \
                GROUP BY mirrored HAVING slug != '' OR question != '') AS f ON {of_map} = f.mirrored \
             ORDER BY condition SETTINGS join_use_nulls = 0",
            condition = condition_norm(&map.raw("condition_id_norm", "''")),
            no_slug = empty(slugs),
            no_question = empty(questions),
            usable = usable_raw(map),
            mirror = mirror_spelling("condition_id_norm"),
            facts = self.token_facts(),
            of_map = mirror_spelling("m.condition"),
        );
        self.rows("looking for questions and slugs", self.query(&sql)).await
    }

    /// Writes the texts of these conditions where the column is empty. The statement holds the texts themselves, so that
    /// every replica can carry it out.
    async fn write_texts(&self, column: &Texts, texts: &BTreeMap<&str, &str>) -> Result<(), StoreError> {
        let inputs = self.inputs().await?;
        let (map, table) = (inputs.map()?, &self.names().token_map);
        let condition = condition_norm(&map.raw("condition_id_norm", "''"));
        let (name, empty, usable) = (quoted(&column.name), column.is_empty(), usable_raw(map));
        let pairs: Vec<_> = texts.iter().collect();
        for chunk in pairs.chunks(CHUNK) {
            let conditions: Vec<String> =
                chunk.iter().map(|(condition, _)| format!("'{condition}'")).collect();
            // Titles are anybody's texts: hexadecimal digits need no escaping.
            let texts: Vec<String> =
                chunk.iter().map(|(_, text)| format!("unhex('{}')", hex(text))).collect();
            let (conditions, texts) = (conditions.join(","), texts.join(","));
            let sql = format!(
                "ALTER TABLE {table} UPDATE {name} = arrayElement([{texts}], indexOf([{conditions}], {condition})) \
                 WHERE {usable} AND {empty} AND {condition} IN ({conditions}) SETTINGS mutations_sync = 2"
            );
            let query = self.query(&sql).with_setting("max_query_size", (2 * sql.len() + 1_000).to_string());
            self.run("writing questions and slugs of the map", query).await?;
        }
        Ok(())
    }
}

fn hex(text: &str) -> String {
    text.bytes().map(|byte| format!("{byte:02x}")).collect()
}
