//! [`run`]: an offline track. Tokens are computed from the condition ids that ClickHouse already holds, those of the
//! second generation read from their own bits, and what is unmapped of them is staged. No API is asked, and nothing
//! that it stages can be wrong.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::Context;
use super::events::Activity;
use super::lines::{self, Line};
use crate::ctf::{self, Collateral};
use crate::failure::Failure;
use crate::ids::{ConditionId, TokenId};
use crate::parallel::on_all_cores;
use crate::proof::{Evidence, KnownConditions, Prover};
use crate::source::Source;
use crate::store::Needs;
use crate::store::conditions::{ConditionColumn, Conditions};
use crate::store::staging::StagedRow;
use crate::track::checkpoint::CheckpointFile;
use crate::track::traded::Traded;
use crate::track::writer::{AnswerRows, InsertBatch, Writer};

mod natives;

/// Tokens of ambiguous mirrors that are shown.
const SHOWN: usize = 20;

/// Conditions that are worked on at once.
const CHUNK: usize = 16_384;

/// Where condition ids come from, beside the users' own tables.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MoreConditions {
    /// A column of a table.
    Column(ConditionColumn),
    /// A file with one id a line.
    File(PathBuf),
}

/// How conditions are derived from.
#[derive(Debug, Clone, Default)]
pub struct DeriveOptions {
    /// Conditions beside those of the users' tables.
    pub more: Vec<MoreConditions>,
}

/// What was derived.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct DeriveResult {
    /// Conditions that were read; one that a file repeats counts again.
    pub conditions: u64,
    /// Token ids that were computed from them: two for each collateral.
    pub candidates: u64,
    /// Traded tokens that were unmapped and not yet derived.
    pub unmapped: u64,
    /// Of those, the ones that were found and staged.
    pub inserted: u64,
    /// Of those, mirrors of a known condition.
    pub mirrors: u64,
    /// Of those, the ones that stand under the condition in their own bits.
    pub structural: u64,
    /// Mirrors of which several known conditions can be the legacy one: not staged.
    pub ambiguous: u64,
    /// Some of them, for a person to look at.
    pub ambiguous_sample: Vec<TokenId>,
    /// Distinct values that are no condition id, and such lines of files.
    pub malformed: u64,
    /// From the process's start.
    pub elapsed_seconds: f64,
}

/// Derives and stages. Running it again stages what has become possible since, and nothing twice.
///
/// # Errors
/// A table is missing, a file cannot be read, or another process derives.
pub async fn run(context: &Context, options: &DeriveOptions) -> Result<DeriveResult, Failure> {
    let (store, work) = (&context.store, &context.settings.work);
    store.check_tables(Needs::Merge).await?;
    let (columns, files) = sort(&options.more)?;
    let columns = store.condition_columns(&columns).await?;
    let lock = CheckpointFile::lock(&work.checkpoint_dir, Source::Derived)?;
    store.create_staging().await?;
    super::combos::take_in(context).await?;
    store.end_orphaned_inserts(Source::Derived.name()).await?;
    let result = of_tables(context, &columns, files, true).await?;
    drop(lock);
    Ok(DeriveResult { elapsed_seconds: context.elapsed(), ..result })
}

/// What [`run`] would derive from the users' tables now. Computes all of it and writes nothing.
///
/// # Errors
/// ClickHouse fails.
pub(super) async fn predict(context: &Context) -> Result<DeriveResult, Failure> {
    let columns = context.store.condition_columns(&[]).await?;
    of_tables(context, &columns, Vec::new(), false).await
}

/// Derives for every traded token from the conditions of `columns` and `files`.
async fn of_tables(
    context: &Context,
    columns: &[ConditionColumn],
    files: Vec<OpenFile>,
    writes: bool,
) -> Result<DeriveResult, Failure> {
    let store = &context.store;
    context.begins(Activity::ListingTraded);
    // A prediction writes nothing, the sums neither.
    let sums = if writes { context.traded_sums().await? } else { store.kept_sums().await? };
    let traded = Traded::read(store, &sums).await?;
    let result = DeriveResult { unmapped: traded.open_count(), ..DeriveResult::default() };
    context.begins(Activity::ComputingTokens);
    let sources = Sources { tables: Some(store.conditions(columns)?), files: files.into_iter(), lines: None };
    stage(context, traded, sources, result, writes).await
}

/// Derives and stages what the pending tokens of a watch are, from the conditions that their fills name and those that
/// the chain has told since, in seconds since 1970; says how many are staged.
///
/// # Errors
/// As [`run`].
pub(super) async fn pending(context: &Context, since: u32) -> Result<u64, Failure> {
    let (store, folder) = (&context.store, &context.settings.work.checkpoint_dir);
    let lock = CheckpointFile::lock(folder, Source::Derived)?;
    let traded = Traded::of(store.pending_traded()?).await?;
    let tables = Some(store.pending_conditions(since).await?);
    let sources = Sources { tables, files: Vec::new().into_iter(), lines: None };
    let result = stage(context, traded, sources, DeriveResult::default(), true).await?;
    drop(lock);
    Ok(result.inserted)
}

/// Computes the tokens of all conditions and, where it `writes`, stages the open ones of `traded`.
async fn stage(
    context: &Context,
    traded: Traded,
    sources: Sources,
    result: DeriveResult,
    writes: bool,
) -> Result<DeriveResult, Failure> {
    let (store, work) = (&context.store, &context.settings.work);
    let mut known = KnownConditions::default();
    known.guess_neg_risk_mirrors(context.settings.guess_neg_risk_mirrors);
    store.learn_registrations(&mut known).await?;
    let mut derivation = Derivation {
        mirrored: natives::mirrored(&traded),
        known,
        traded: Arc::new(traded),
        collaterals: context.settings.collaterals.clone().into(),
        writer: writes.then(|| {
            Writer::new(store.clone(), Source::Derived, work.give_up_after, context.progress.clone())
        }),
        learned_at: u32::try_from(jiff::Timestamp::now().as_second()).unwrap_or(u32::MAX),
    };
    derivation.derive(sources, result).await
}

/// Opens the files before anything is touched.
fn sort(more: &[MoreConditions]) -> Result<(Vec<ConditionColumn>, Vec<OpenFile>), Failure> {
    let (mut columns, mut files) = (Vec::new(), Vec::new());
    for source in more {
        match source {
            MoreConditions::Column(column) => columns.push(column.clone()),
            MoreConditions::File(path) => files.push(OpenFile::open(path)?),
        }
    }
    Ok((columns, files))
}

/// A file of condition ids.
struct OpenFile {
    path: PathBuf,
    lines: std::io::BufReader<std::fs::File>,
}

impl OpenFile {
    fn open(path: &Path) -> Result<Self, Failure> {
        let file = std::fs::File::open(path).map_err(|error| failed(path, &error))?;
        Ok(Self { path: path.to_owned(), lines: std::io::BufReader::new(file) })
    }

    /// Adds the ids of the next lines to `chunk` until it has `size`; `false` at the end of the file.
    fn read(
        &mut self,
        size: usize,
        chunk: &mut Vec<ConditionId>,
        malformed: &mut u64,
    ) -> Result<bool, Failure> {
        while chunk.len() < size {
            let line = lines::next_line(&mut self.lines, lines::condition);
            match line.map_err(|error| failed(&self.path, &error))? {
                Some(Line::Read(condition)) => chunk.push(condition),
                Some(Line::Malformed) => *malformed += 1,
                Some(Line::Empty) => {}
                None => return Ok(false),
            }
        }
        Ok(true)
    }
}

fn failed(path: &Path, error: &std::io::Error) -> Failure {
    Failure::File(format!("cannot read the condition ids in {}: {error}", path.display()))
}

/// All conditions, one source after the other.
struct Sources {
    tables: Option<Conditions>,
    files: std::vec::IntoIter<OpenFile>,
    lines: Option<OpenFile>,
}

impl Sources {
    /// The next conditions; none behind the last.
    async fn chunk(&mut self, malformed: &mut u64) -> Result<Vec<ConditionId>, Failure> {
        if let Some(tables) = &mut self.tables {
            let chunk = tables.chunk(CHUNK).await?;
            if chunk.len() < CHUNK {
                *malformed += tables.malformed();
                self.tables = None;
            }
            if !chunk.is_empty() {
                return Ok(chunk);
            }
        }
        let mut chunk = Vec::new();
        while chunk.len() < CHUNK {
            let Some(mut file) = self.lines.take().or_else(|| self.files.next()) else { break };
            if file.read(CHUNK, &mut chunk, malformed)? {
                self.lines = Some(file);
            }
        }
        Ok(chunk)
    }
}

/// A traded token that belongs to a condition.
struct Found {
    /// Its place among the traded tokens.
    place: usize,
    row: StagedRow,
}

/// What every chunk is worked on with.
struct Derivation {
    /// The conditions that mirrors can be of, of all that were read.
    known: KnownConditions,
    mirrored: HashSet<u128>,
    traded: Arc<Traded>,
    collaterals: Arc<[Collateral]>,
    /// Nobody where the result is only predicted.
    writer: Option<Writer>,
    learned_at: u32,
}

impl Derivation {
    /// Reads, computes and writes at once: while one chunk is computed, the next is read and rows are written.
    async fn derive(
        &mut self,
        mut sources: Sources,
        mut result: DeriveResult,
    ) -> Result<DeriveResult, Failure> {
        let mut staged = vec![false; self.traded.len()];
        let mut batch = InsertBatch::default();
        let mut chunk = sources.chunk(&mut result.malformed).await?;
        while !chunk.is_empty() {
            result.conditions += chunk.len() as u64;
            self.learn(&chunk);
            let hashed = chunk.iter().filter(|condition| condition.structural().is_none()).count();
            result.candidates += (hashed * 2 * self.collaterals.len()) as u64;
            let computing = self.compute(chunk);
            if batch.is_large() {
                self.write(&batch).await?;
                batch = InsertBatch::default();
            }
            chunk = sources.chunk(&mut result.malformed).await?;
            let found = computing
                .await
                .map_err(|error| Failure::Unusable(format!("a computation broke: {error}")))?;
            let mut rows = AnswerRows::default();
            for found in found {
                // A file may repeat what a table has.
                if !std::mem::replace(&mut staged[found.place], true) {
                    rows.staged.push(found.row);
                }
            }
            result.inserted += rows.staged.len() as u64;
            batch.add(rows);
        }
        self.write(&batch).await?;
        self.derive_natives(&mut result).await?;
        Ok(result)
    }

    /// Keeps the conditions that traded tokens can be the mirrors of.
    fn learn(&mut self, chunk: &[ConditionId]) {
        for condition in chunk.iter().filter(|condition| self.mirrored.contains(&condition.low_half())) {
            self.known.insert(*condition);
        }
    }

    /// Stages what the bits of the second generation's tokens say, once all known conditions are read.
    async fn derive_natives(&self, result: &mut DeriveResult) -> Result<(), Failure> {
        let prover = Prover::new(&self.collaterals, &self.known);
        result.candidates += self.traded.natives().len() as u64;
        for tokens in self.traded.natives().chunks(CHUNK) {
            let mappings = on_all_cores(tokens, |token| natives::mapping(*token, prover, &self.traded));
            let mut batch = InsertBatch::default();
            let mut rows = AnswerRows::default();
            for (token, mapping) in tokens.iter().zip(mappings) {
                match mapping {
                    Ok(mapping) => {
                        match mapping.evidence {
                            Evidence::Mirror => result.mirrors += 1,
                            Evidence::Proven | Evidence::Structural => result.structural += 1,
                        }
                        let row = StagedRow::of(mapping, Source::Derived, self.learned_at);
                        rows.staged.push(row);
                    }
                    Err(_) => {
                        result.ambiguous += 1;
                        if result.ambiguous_sample.len() < SHOWN {
                            result.ambiguous_sample.push(*token);
                        }
                    }
                }
            }
            result.inserted += rows.staged.len() as u64;
            batch.add(rows);
            self.write(&batch).await?;
        }
        Ok(())
    }

    async fn write(&self, batch: &InsertBatch) -> Result<(), Failure> {
        if let Some(writer) = &self.writer {
            writer.write(batch).await?;
        }
        Ok(())
    }

    fn compute(&self, chunk: Vec<ConditionId>) -> tokio::task::JoinHandle<Vec<Found>> {
        let (traded, collaterals) = (self.traded.clone(), self.collaterals.clone());
        let learned_at = self.learned_at;
        tokio::task::spawn_blocking(move || {
            on_all_cores(&chunk, |condition| find(condition, &traded, &collaterals, learned_at))
                .into_iter()
                .flatten()
                .collect()
        })
    }
}

/// The open traded tokens of a condition: none, one or two, and more only where several collaterals back it.
fn find(condition: &ConditionId, traded: &Traded, collaterals: &[Collateral], learned_at: u32) -> Vec<Found> {
    // Empty for most conditions, and then it allocates nothing.
    let mut found = Vec::new();
    if condition.structural().is_some() {
        // It has no hashes; its tokens carry it in their bits.
        return found;
    }
    for pair in ctf::derive(condition, collaterals).pairs() {
        let places = pair.tokens.map(|token| traded.place(&token));
        for index in [0, 1] {
            let Some(place) = places[index].filter(|place| traded.is_open(*place)) else { continue };
            let label = traded.outcome_label(Some(place), places[1 - index]);
            let row = row(pair.tokens[index], condition, index as u8, label, pair.collateral, learned_at);
            found.push(Found { place, row });
        }
    }
    found
}

fn row(
    token_id: TokenId,
    condition: &ConditionId,
    outcome_index: u8,
    label: &str,
    collateral: &Collateral,
    fetched_at: u32,
) -> StagedRow {
    StagedRow {
        token_id,
        condition_id_norm: *condition,
        outcome_index,
        outcome_label: label.to_owned(),
        source: Source::Derived.label().to_owned(),
        fetched_at,
        collateral: collateral.name.clone(),
        evidence: Evidence::Proven.name(),
    }
}
