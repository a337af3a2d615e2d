//! The one look at the users' tables.

use clickhouse::Row;
use serde::Deserialize;

use super::engine::{Spread, spread};
use super::table::{InputTable, RawColumn, Wanted};
use super::target::{EngineFacts, Target};
use super::{ColumnNames, Finding, FindingState, Inputs, Keeps, Needs, list, wanted};
use crate::store::table::{Table, quoted};
use crate::store::{Store, StoreError};

#[derive(Row, Deserialize)]
struct ColumnRow {
    database: String,
    table: String,
    name: String,
    type_name: String,
    default_kind: String,
    default_expression: String,
}

#[derive(Debug, Clone, Row, Deserialize)]
struct TableRow {
    database: String,
    name: String,
    engine: String,
    engine_full: String,
    sorting_key: String,
}

impl Store {
    /// The users' tables as they were seen last; looked at anew where that was never, or something was missing.
    pub(in crate::store) async fn inputs(&self) -> Result<std::sync::Arc<Inputs>, StoreError> {
        let mut known = self.inputs.lock().await;
        if let Some(inputs) = known.as_ref().filter(|inputs| inputs.is_complete()) {
            return Ok(inputs.clone());
        }
        let inputs = std::sync::Arc::new(self.inspect().await?);
        *known = Some(inputs.clone());
        Ok(inputs)
    }

    /// Checks, before anything is written, that the users' tables can be used for what a phase does with them. Every phase
    /// begins with it.
    ///
    /// # Errors
    /// A table that is missing, or all columns at once that are missing or of a type that cannot be read or written.
    pub async fn check_tables(&self, needs: Needs) -> Result<(), StoreError> {
        let inputs = self.inspect().await?;
        let problems = inputs.problems(needs)?;
        let proposals: Vec<String> = inputs.tables().filter_map(InputTable::advice).collect();
        *self.inputs.lock().await = Some(std::sync::Arc::new(inputs));
        match problems.is_empty() {
            true => Ok(()),
            false => Err(StoreError::Unusable { problems: list(&problems), advice: proposals.concat() }),
        }
    }

    async fn inspect(&self) -> Result<Inputs, StoreError> {
        let names = self.names().clone();
        let tables = [&names.fills, &names.token_map, &names.resolutions, &names.winners];
        let (columns, engines) = self.described(&tables).await?;
        let maps = self.column_maps.clone();
        let input = |table: &Table, setting, wanted: &[Wanted], given: &ColumnNames| {
            let of_table = columns_of(&columns, table);
            let engine = engines.iter().find(|row| is_of(row, table)).map(|row| row.engine.clone());
            (!of_table.is_empty()).then(|| {
                InputTable::new(table, setting, engine.unwrap_or_default(), wanted, &of_table, given)
            })
        };
        let mut map = input(&names.token_map, "TOKEN_MAP_TABLE", wanted::TOKEN_MAP, &maps.token_map);
        let mut target = None;
        if let Some(map) = map.as_mut() {
            let own = engines.iter().find(|row| is_of(row, &names.token_map));
            let facts = self.engine_facts(own).await?;
            let made = Target::new(map, &columns_of(&columns, &names.token_map), &facts);
            // What is marked as deleted or cancelled stands there all the same.
            map.final_only = made.is_deleted.is_some() || matches!(made.keeps, Keeps::Uncancelled { .. });
            target = Some(made);
        }
        Ok(Inputs {
            fills: input(&names.fills, "FILLS_TABLE", wanted::FILLS, &maps.fills),
            resolutions: input(
                &names.resolutions,
                "RESOLUTIONS_TABLE",
                wanted::RESOLUTIONS,
                &maps.resolutions,
            ),
            winners: input(&names.winners, "WINNERS_TABLE", wanted::WINNERS, &maps.winners),
            map,
            target,
            names,
        })
    }

    /// What wallets did beside trading, where there is such a table. It may be created at any time: no look is kept.
    ///
    /// # Errors
    /// All of its columns at once that are missing or cannot be read.
    pub(in crate::store) async fn flows_input(&self) -> Result<Option<InputTable>, StoreError> {
        let input = self.inspect_flows().await?;
        let problems = input.iter().flat_map(|input| input.problems_of(None)).collect::<Vec<_>>();
        match problems.is_empty() {
            true => Ok(input),
            false => {
                let advice = input.and_then(|input| input.advice()).unwrap_or_default();
                Err(StoreError::Unusable { problems: list(&problems), advice })
            }
        }
    }

    async fn inspect_flows(&self) -> Result<Option<InputTable>, StoreError> {
        let table = &self.names().flows;
        let (columns, engines) = self.described(&[table]).await?;
        let of_table = columns_of(&columns, table);
        let engine = engines.iter().find(|row| is_of(row, table)).map(|row| row.engine.clone());
        let names = &self.column_maps.flows;
        Ok((!of_table.is_empty()).then(|| {
            InputTable::new(table, "FLOWS_TABLE", engine.unwrap_or_default(), wanted::FLOWS, &of_table, names)
        }))
    }

    async fn described(&self, tables: &[&Table]) -> Result<(Vec<ColumnRow>, Vec<TableRow>), StoreError> {
        let doing = "reading the tables' columns";
        // Names are letters, digits, _ and -: they need no escaping.
        let wanted: Vec<String> =
            tables.iter().map(|table| format!("('{}', '{}')", table.database, table.name)).collect();
        let wanted = wanted.join(", ");
        let sql = format!(
            "SELECT database, table, name, type AS type_name, default_kind, default_expression FROM system.columns \
             WHERE (database, table) IN ({wanted}) ORDER BY database, table, position"
        );
        let columns = self.rows(doing, self.query(&sql)).await?;
        let sql = format!(
            "SELECT database, name, engine, engine_full, sorting_key FROM system.tables WHERE (database, name) IN ({wanted})"
        );
        Ok((columns, self.rows(doing, self.query(&sql)).await?))
    }

    /// The engine that keeps the rows: the local table's, where the table is Distributed.
    async fn engine_facts(&self, own: Option<&TableRow>) -> Result<EngineFacts, StoreError> {
        let Some(row) = own else { return Ok(EngineFacts::default()) };
        let own = EngineFacts {
            engine: row.engine.clone(),
            keeping: row.engine_full.clone(),
            sorting_key: row.sorting_key.clone(),
            is_spread: false,
        };
        let Some(Spread { cluster, database, table }) = spread(&row.engine_full) else { return Ok(own) };
        let doing = "reading the engine of the map's local tables";
        let select = "SELECT database, name, engine, engine_full, sorting_key";
        let local = Table::new(&database, &table);
        // On a server that is no part of the cluster the local table is only there.
        for from in ["system.tables".to_owned(), format!("cluster({}, system, tables)", quoted(&cluster))] {
            let sql = format!(
                "{select} FROM {from} WHERE database = {{database:String}} AND name = {{table:String}} LIMIT 1"
            );
            let query = self.query(&sql).param("database", &local.database).param("table", &local.name);
            if let Some(found) = self.rows::<TableRow>(doing, query).await?.into_iter().next() {
                return Ok(EngineFacts {
                    engine: row.engine.clone(),
                    keeping: found.engine_full,
                    sorting_key: found.sorting_key,
                    is_spread: true,
                });
            }
        }
        Ok(EngineFacts { is_spread: true, ..own })
    }

    /// How each of the users' tables stands: what `doctor` tells.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn table_findings(&self) -> Result<Vec<Finding>, StoreError> {
        let (inputs, flows) = (self.inspect().await?, self.inspect_flows().await?);
        let mut findings = Vec::new();
        let names = self.names();
        let tables = [
            (&inputs.fills, &names.fills, "FILLS_TABLE", true),
            (&inputs.map, &names.token_map, "TOKEN_MAP_TABLE", true),
            (&inputs.resolutions, &names.resolutions, "RESOLUTIONS_TABLE", false),
            (&inputs.winners, &names.winners, "WINNERS_TABLE", false),
            (&flows, &names.flows, "FLOWS_TABLE", false),
        ];
        // Nobody needs flows: a table of them is worth a line where there is one.
        let there =
            tables.into_iter().filter(|(input, _, setting, _)| input.is_some() || *setting != "FLOWS_TABLE");
        for (input, table, setting, needed) in there {
            let finding = |state, what: String, advice: String| Finding {
                table: table.plain(),
                setting,
                state,
                what,
                advice,
            };
            let Some(input) = input else {
                findings.push(if needed {
                    let advice = format!("name the right one with {setting}, or let `backfill setup --create-tables` create it, empty");
                    finding(FindingState::Bad, "does not exist".to_owned(), advice)
                } else {
                    let advice = format!("one table of resolutions is enough; {setting} names this one");
                    finding(FindingState::Note, "does not exist".to_owned(), advice)
                });
                continue;
            };
            let mut problems = input.problems_of(None);
            if setting == "TOKEN_MAP_TABLE" {
                problems.extend(inputs.target()?.problems.iter().cloned());
            }
            let lacking = input.lacking.join(", ");
            findings.push(match (problems.is_empty(), lacking.is_empty()) {
                (false, _) => {
                    let advice = input.advice().unwrap_or_else(|| {
                        format!("name the right table with {setting}, or change the columns")
                    });
                    let told: Vec<String> = problems.iter().map(super::Problem::within_table).collect();
                    finding(FindingState::Bad, told.join("; "), advice)
                }
                (true, true) => {
                    finding(FindingState::Good, "has every column that is used".to_owned(), String::new())
                }
                (true, false) => finding(
                    FindingState::Good,
                    format!("has what is needed; without {lacking}"),
                    String::new(),
                ),
            });
        }
        if inputs.resolutions.is_none() && inputs.winners.is_none() {
            findings.push(Finding {
                table: "resolutions".to_owned(),
                setting: "RESOLUTIONS_TABLE",
                state: FindingState::Bad,
                what: "neither table exists".to_owned(),
                advice: "`validate` needs one of them: name it with RESOLUTIONS_TABLE or WINNERS_TABLE"
                    .to_owned(),
            });
        }
        findings.extend(self.looks_like_shares(&inputs).await?);
        Ok(findings)
    }

    /// A warning where sizes look like whole shares: most of them below a hundredth of one in micro-shares.
    async fn looks_like_shares(&self, inputs: &Inputs) -> Result<Option<Finding>, StoreError> {
        let Some(fills) = inputs.fills.as_ref().filter(|fills| fills.has("size")) else { return Ok(None) };
        let sql = format!(
            "SELECT count(), ifNotFinite(quantileExact(0.5)(toFloat64(size)), 0) FROM \
             (SELECT size FROM {} LIMIT 1000000) WHERE size > 0 AND size <= 1e18",
            fills.from()
        );
        let (count, median): (u64, f64) = self.one("looking at the sizes", self.query(&sql)).await?;
        Ok((count > 0 && median < 10_000.0).then(|| Finding {
            table: fills.table.plain(),
            setting: "FILLS_TABLE",
            state: FindingState::Note,
            what: format!("its sizes look like whole shares, not micro-shares: their median is {median}"),
            advice: format!(
                "if they are shares, set FILLS_COLUMNS=\"size={}:1e6\"",
                fills.column("size").map_or("size", |used| used.theirs.name.as_str())
            ),
        }))
    }
}

impl Inputs {
    fn tables(&self) -> impl Iterator<Item = &InputTable> {
        [&self.fills, &self.map, &self.resolutions, &self.winners].into_iter().flatten()
    }
}

impl InputTable {
    /// The setting that would name the columns that seem to have another name.
    fn advice(&self) -> Option<String> {
        let columns = self.setting.replace("_TABLE", "_COLUMNS");
        self.proposal.as_ref().map(|pairs| format!("; set {columns}=\"{pairs}\", where those are meant"))
    }

    /// What stands in the way of reading these columns, or all.
    pub(super) fn problems_of(&self, only: Option<&[&str]>) -> Vec<super::Problem> {
        let wanted = |ours: &str| only.is_none_or(|only| only.contains(&ours));
        self.problems.iter().filter(|(ours, _)| wanted(ours)).map(|(_, problem)| problem.clone()).collect()
    }
}

fn is_of(row: &TableRow, table: &Table) -> bool {
    row.database == table.database && row.name == table.name
}

fn columns_of(columns: &[ColumnRow], table: &Table) -> Vec<RawColumn> {
    let of_table = columns.iter().filter(|row| row.database == table.database && row.table == table.name);
    of_table
        .map(|row| RawColumn {
            name: row.name.clone(),
            type_name: row.type_name.clone(),
            default_kind: row.default_kind.clone(),
            default_expression: row.default_expression.clone(),
        })
        .collect()
}
