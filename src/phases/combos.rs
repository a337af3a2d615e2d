//! [`take_in`]: the combos that the settings name, into the table that the chain fills, too.

use std::path::Path;

use super::Context;
use super::events::PhaseEvent;
use super::lines::{self, Line};
use crate::failure::Failure;
use crate::ids::{StructuralCondition, TokenId};
use crate::store::combos::ComboLegs;
use crate::store::conditions::ConditionColumn;

/// Rows of one insert.
const CHUNK: usize = 10_000;

/// Reads the combos of every file and column of `COMBOS`. What is no combo is left out and told.
///
/// # Errors
/// A file, a table or a column is missing, or ClickHouse fails.
pub async fn take_in(context: &Context) -> Result<(), Failure> {
    let sources = &context.settings.combos;
    if sources.is_empty() {
        return Ok(());
    }
    let store = &context.store;
    store.create_combos().await?;
    let mut rows = Rows {
        fetched_at: u32::try_from(jiff::Timestamp::now().as_second()).unwrap_or(u32::MAX),
        ready: Vec::new(),
        unfit: 0,
    };
    for source in sources {
        if Path::new(source).is_file() {
            let failed =
                |error: std::io::Error| Failure::File(format!("cannot read the combos in {source}: {error}"));
            let file = std::fs::File::open(source).map_err(failed)?;
            let mut file = std::io::BufReader::new(file);
            while let Some(line) = lines::next_line(&mut file, lines::combo).map_err(failed)? {
                rows.add(line);
                rows.write(context, CHUNK).await?;
            }
        } else {
            let column = ConditionColumn::parse(source, &store.names().database).ok_or_else(|| {
                Failure::Usage(format!(
                    "--combos {source:?} is neither a file nor TABLE.COLUMN nor DATABASE.TABLE.COLUMN"
                ))
            })?;
            let mut texts = store.legs_in(&column).await?;
            while let Some(text) = texts.next().await? {
                rows.add(lines::combo(&text));
                rows.write(context, CHUNK).await?;
            }
        }
    }
    rows.write(context, 1).await?;
    if rows.unfit > 0 {
        context.progress.on_phase_event(&PhaseEvent::CombosLeftOut(rows.unfit));
    }
    Ok(())
}

struct Rows {
    fetched_at: u32,
    ready: Vec<ComboLegs>,
    unfit: u64,
}

impl Rows {
    fn add(&mut self, line: Line<(StructuralCondition, Vec<TokenId>)>) {
        match line {
            Line::Read((condition, legs)) => self.ready.push(ComboLegs {
                condition_id_norm: condition.condition_id(),
                legs,
                source: "user",
                fetched_at: self.fetched_at,
            }),
            Line::Malformed => self.unfit += 1,
            Line::Empty => {}
        }
    }

    async fn write(&mut self, context: &Context, least: usize) -> Result<(), Failure> {
        if self.ready.len() >= least {
            let table = context.store.combos_table();
            context.store.insert(&table, "combos", &self.ready).await?;
            self.ready.clear();
        }
        Ok(())
    }
}
