//! [`Gaps`]: what is traded and not mapped, why, and how much of the trading it holds. One pass over the fills.

use clickhouse::Row;
use serde::Deserialize;

use super::coverage::Coverage;
use super::sql::{IN_ORDER, structural_token, usable_map};
use super::traded::{FIRST_MONTH, MONTHS, SUMS, by_token, has_fast_way};
use super::{Store, StoreError};
use crate::ids::TokenId;
use crate::pnl::{Micro, Usd};
use crate::source::Source;

/// Why a traded token is not mapped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum GapCause {
    /// Two usable rows of the map contradict each other.
    Ambiguous,
    /// Staged: the merge has not taken it, or not yet.
    Staged,
    /// A source answered, and its claim has no proof.
    Rejected,
    /// A source answered that it does not know the token.
    NotFound,
    /// No usable answer after all retries; the next run asks again.
    Failed,
    /// No source has been asked.
    NeverAsked,
}

impl GapCause {
    /// Every cause. A token that several hold of counts under the first.
    pub const ALL: [Self; 6] =
        [Self::Ambiguous, Self::Staged, Self::Rejected, Self::NotFound, Self::Failed, Self::NeverAsked];

    /// The word for it in SQL, JSON and files.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ambiguous => "ambiguous",
            Self::Staged => "staged_not_merged",
            Self::Rejected => "rejected",
            Self::NotFound => "not_found",
            Self::Failed => "failed",
            Self::NeverAsked => "never_asked",
        }
    }
}

/// How much of the trading something holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Weight {
    /// Distinct tokens.
    pub tokens: u64,
    /// Rows of the fills table, a fill that was delivered twice included twice.
    pub fills: u64,
    /// Their volume: the sum of price times size.
    pub volume: Usd,
}

impl Weight {
    fn nothing() -> Self {
        Self { tokens: 0, fills: 0, volume: Usd::zero() }
    }

    fn add(&mut self, other: &Self) {
        self.tokens += other.tokens;
        self.fills += other.fills;
        self.volume = self.volume.clone() + other.volume.clone();
    }
}

/// What a token id is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Generation {
    /// A hash of its condition.
    First,
    /// Carries its condition in its bits: modules 1 and 2, mirrors included.
    Second,
    /// A combo of the second generation: two outcomes, but no two tokens of one question.
    Combo,
}

impl Generation {
    /// All of them; the number of each in SQL is its place, from 1.
    pub const ALL: [Self; 3] = [Self::First, Self::Second, Self::Combo];

    /// Its name in JSON.
    pub const fn name(self) -> &'static str {
        match self {
            Self::First => "1",
            Self::Second => "2",
            Self::Combo => "combos",
        }
    }
}

/// How the traded tokens of a generation stand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GenerationWeight {
    /// Which.
    pub generation: Generation,
    /// All of its well-formed traded tokens.
    pub total: Weight,
    /// The mapped ones.
    pub mapped: Weight,
}

/// A calendar month in UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Month {
    /// The year.
    pub year: u32,
    /// 1 to 12.
    pub month: u32,
    /// Distinct tokens traded in it.
    pub total: u64,
    /// Of them, mapped.
    pub mapped: u64,
}

/// An unmapped token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnmappedToken {
    /// The token.
    pub token: TokenId,
    /// Why it is unmapped.
    pub cause: GapCause,
    /// Rows of the fills table.
    pub fills: u64,
    /// Their volume.
    pub volume: Usd,
}

/// A batch of a track's workload that failed: from the first to the last token, in the order of their texts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FailedBatch {
    /// The track.
    pub source: Source,
    /// Its first token.
    pub first: TokenId,
    /// Its last token.
    pub last: TokenId,
}

/// What is traded and not mapped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gaps {
    /// How the traded tokens stand.
    pub coverage: Coverage,
    /// All well-formed traded tokens.
    pub total: Weight,
    /// The mapped ones.
    pub mapped: Weight,
    /// The unmapped ones, by cause; causes that hold nothing are left out.
    pub causes: Vec<(GapCause, Weight)>,
    /// The same by generation, each of them, whether it has tokens or not.
    pub generations: Vec<GenerationWeight>,
    /// Rows whose asset id is no token id.
    pub malformed_fills: u64,
    /// Rows of well-formed tokens whose price or size is no amount, and that have no volume.
    pub without_volume: u64,
    /// Months with trades, in order.
    pub months: Vec<Month>,
    /// Tokens with a trade dated outside of the months that are told apart.
    pub odd_dates: u64,
    /// The unmapped tokens with the most volume, the busiest first.
    pub unmapped: Vec<UnmappedToken>,
}

#[derive(Row, Deserialize)]
struct Class {
    class: String,
    generation: u8,
    tokens: u64,
    fills: u64,
    slow: u64,
    without_volume: u64,
    volume: String,
    months: Vec<u64>,
    top: Vec<(String, u64, String)>,
}

impl Class {
    /// Whether these tokens are well-formed and not mapped.
    fn is_unmapped(&self) -> bool {
        self.class != "mapped" && self.class != "malformed"
    }
}

impl Store {
    /// Measures the gap, with the `most` unmapped tokens that have the most volume. `failed` are the batches that the
    /// tracks' checkpoints keep as failed.
    ///
    /// # Errors
    /// A table or a column is missing, or [`StoreError::Query`].
    pub async fn gaps(&self, failed: &[FailedBatch], most: usize) -> Result<Gaps, StoreError> {
        let inputs = self.inputs().await?;
        let fills = inputs.fills()?;
        if let Some(column) = ["asset_id", "price", "size", "timestamp"].into_iter().find(|it| !fills.has(it))
        {
            return Err(StoreError::MissingColumn { table: fills.table.plain(), column: column.to_owned() });
        }
        let map = usable_map(inputs.map()?);
        let answers = self.answers(failed).await?;
        if let Some(kept) = self.kept_sums().await?.table() {
            // What the sources say is asked about the unmapped tokens alone, and only where there are any.
            let by_token = format!("SELECT {SUMS} FROM {kept}");
            let mut classes = self.classes(&statement(&by_token, &map, None, most)).await?;
            if classes.iter().any(Class::is_unmapped) {
                classes.retain(|class| !class.is_unmapped());
                let unmapped = format!(
                    "SELECT {SUMS} FROM ({by_token}) AS t GLOBAL LEFT ANY JOIN (SELECT token_id, disagreeing, true AS known FROM {map}) AS m \
                       ON t.asset_id = m.token_id WHERE well_formed AND NOT (known AND NOT disagreeing)"
                );
                let answers = format!(
                    "SELECT * FROM ({answers}) WHERE token_id GLOBAL IN (SELECT asset_id FROM ({unmapped}))"
                );
                classes.extend(self.classes(&statement(&unmapped, &map, Some(&answers), most)).await?);
            }
            return Ok(read(classes, most));
        }
        let pass = |exact| statement(&by_token(fills, exact, false), &map, Some(&answers), most);
        // Other types than floating-point numbers have no fast way.
        let fast = has_fast_way(fills);
        let classes = self.classes(&pass(!fast)).await?;
        // Prices of more than six decimals, sizes of broken micro-shares: told by the first pass. The
        // second one adds them up with all of their digits.
        let slow = fast && classes.iter().any(|class| class.slow > 0);
        Ok(read(if slow { self.classes(&pass(true)).await? } else { classes }, most))
    }

    async fn classes(&self, sql: &str) -> Result<Vec<Class>, StoreError> {
        let query = self
            .query(sql)
            .with_setting("max_query_size", "64000000")
            .with_setting("max_bytes_before_external_group_by", "1500000000");
        self.rows("measuring the coverage", query).await
    }

    /// What the sources have said of each token: a sub-query of `token_id` and the first cause that holds. Tables that
    /// are missing have nothing to say.
    async fn answers(&self, failed: &[FailedBatch]) -> Result<String, StoreError> {
        let mut parts = Vec::new();
        let rank = |cause: GapCause| GapCause::ALL.iter().position(|it| *it == cause).unwrap_or_default();
        for source in Source::ALL {
            let table = self.staging_table(&source.staging_table());
            if self.columns(&table).await?.is_some() {
                parts.push(format!(
                    "SELECT token_id, toUInt8({}) AS rank FROM {table}",
                    rank(GapCause::Staged)
                ));
            }
            let table = self.staging_table(&source.workload_table());
            let batches: Vec<String> = (failed.iter().filter(|batch| batch.source == source))
                .map(|batch| format!("asset_id BETWEEN '{}' AND '{}'", batch.first, batch.last))
                .collect();
            if !batches.is_empty() && self.columns(&table).await?.is_some() {
                let (rank, batches) = (rank(GapCause::Failed), batches.join(" OR "));
                parts.push(format!("SELECT asset_id, toUInt8({rank}) FROM {table} WHERE {batches}"));
            }
        }
        for (name, cause) in [("rejected_mappings", GapCause::Rejected), ("not_found", GapCause::NotFound)] {
            let table = self.staging_table(name);
            if self.columns(&table).await?.is_some() {
                parts.push(format!("SELECT token_id, toUInt8({}) AS rank FROM {table}", rank(cause)));
            }
        }
        if parts.is_empty() {
            return Ok("SELECT '' AS token_id, toUInt8(0) AS cause_rank WHERE false".to_owned());
        }
        Ok(format!(
            "SELECT token_id, min(rank) AS cause_rank FROM ({}) GROUP BY token_id",
            parts.join(" UNION ALL ")
        ))
    }
}

/// The sums `by_token`, then what the small tables say of each token, then the sums by cause. Without `answers` every
/// unmapped token counts as never asked.
fn statement(by_token: &str, map: &str, answers: Option<&str>, most: usize) -> String {
    let names: Vec<String> = GapCause::ALL.iter().map(|cause| format!("'{}'", cause.name())).collect();
    let names = names.join(", ");
    let never = GapCause::ALL.len();
    let bits: Vec<String> = (0..=MONTHS).map(month_count).collect();
    let bits = bits.join(", ");
    // Of equally busy tokens always the same are taken.
    let busiest = |of: &str| format!("arraySlice(arrayPartialReverseSort({most}, {of}), 1, {most})");
    let (cause, answers) = match answers {
        Some(answers) => (
            format!("[{names}][if(answered, cause_rank + 1, {never})]"),
            format!(
                "GLOBAL LEFT ANY JOIN (SELECT token_id, cause_rank, true AS answered FROM ({answers})) AS answers \
                 ON traded.asset_id = answers.token_id"
            ),
        ),
        None => (format!("'{}'", GapCause::NeverAsked.name()), String::new()),
    };
    // Few sets of months are traded in: their bits are looked at once for each of them.
    format!(
        "SELECT class, generation, sum(n_tokens) AS tokens, sum(n_fills) AS fills, sum(n_slow) AS slow, \
                sum(n_bare) AS without_volume, toString(sum(n_amount)) AS volume, [{bits}] AS months, \
                arrayMap(it -> (toString(it.1), it.2, it.3), {all_busiest}) AS top \
         FROM (SELECT class, generation, early, late, count() AS n_tokens, sum(fills) AS n_fills, sum(slow_fills) AS n_slow, \
                      sum(bare_fills) AS n_bare, sum(amount) AS n_amount, {own_busiest} AS n_top \
           FROM (SELECT asset_id, fills, slow_fills, bare_fills, \
                      toUInt64(month_bits) AS early, toUInt64(bitShiftRight(month_bits, 64)) AS late, \
                      toDecimal256(fast_volume, 6) * toDecimal256('0.000001', 6) + slow_volume AS amount, \
                      multiIf(NOT well_formed, 'malformed', known AND NOT disagreeing, 'mapped', known, 'ambiguous', {cause}) AS class, \
                      {native} AS native, toUInt8(multiIf(native = '', 1, startsWith(native, '03'), 3, 2)) AS generation \
               FROM ({by_token}) AS traded \
               GLOBAL LEFT ANY JOIN (SELECT token_id, disagreeing, true AS known FROM {map}) AS map \
                 ON traded.asset_id = map.token_id {answers}) \
           GROUP BY class, generation, early, late) \
         GROUP BY class, generation ORDER BY class, generation \
         SETTINGS join_use_nulls = 0, join_algorithm = '{IN_ORDER}'",
        native = structural_token("asset_id"),
        all_busiest = busiest("groupArrayArray(n_top)"),
        own_busiest =
            busiest("groupArrayIf((amount, fills, asset_id), class NOT IN ('mapped', 'malformed'))"),
    )
}

/// How many tokens have this month's bit. The server tests bits of 64-bit numbers only.
fn month_count(bit: u32) -> String {
    let half = if bit < 64 { "early" } else { "late" };
    format!("sumIf(n_tokens, bitTest({half}, {}))", bit % 64)
}

fn usd(micro: &str) -> Usd {
    // The server's own text of a decimal; one that did not parse would be a defect, and reads as nothing.
    micro.parse::<Micro>().map_or_else(|_| Usd::zero(), |micro| micro.units())
}

fn read(classes: Vec<Class>, most: usize) -> Gaps {
    let coverage = Coverage { total: 0, mapped: 0, unmapped: 0, ambiguous: 0, malformed: 0 };
    let mut gap = Gaps {
        coverage,
        total: Weight::nothing(),
        mapped: Weight::nothing(),
        causes: Vec::new(),
        generations: (Generation::ALL.iter())
            .map(|it| GenerationWeight {
                generation: *it,
                total: Weight::nothing(),
                mapped: Weight::nothing(),
            })
            .collect(),
        malformed_fills: 0,
        without_volume: 0,
        months: Vec::new(),
        odd_dates: 0,
        unmapped: Vec::new(),
    };
    let mut months = vec![(0, 0); MONTHS as usize + 1];
    for class in classes {
        if class.class == "malformed" {
            gap.coverage.malformed += class.tokens;
            gap.malformed_fills += class.fills;
            continue;
        }
        let weight = Weight { tokens: class.tokens, fills: class.fills, volume: usd(&class.volume) };
        gap.total.add(&weight);
        gap.without_volume += class.without_volume;
        let mapped = class.class == "mapped";
        let place = usize::from(class.generation.saturating_sub(1));
        if let Some(of) = gap.generations.get_mut(place) {
            of.total.add(&weight);
            if mapped {
                of.mapped.add(&weight);
            }
        }
        for (sum, tokens) in months.iter_mut().zip(&class.months) {
            sum.0 += tokens;
            sum.1 += if mapped { *tokens } else { 0 };
        }
        match GapCause::ALL.into_iter().find(|cause| cause.name() == class.class) {
            None => gap.mapped.add(&weight),
            Some(cause) => {
                gap.unmapped.extend(class.top.iter().filter_map(|(volume, fills, token)| {
                    Some(UnmappedToken {
                        token: token.parse().ok()?,
                        cause,
                        fills: *fills,
                        volume: usd(volume),
                    })
                }));
                match gap.causes.iter_mut().find(|(known, _)| *known == cause) {
                    Some((_, sum)) => sum.add(&weight),
                    None => gap.causes.push((cause, weight)),
                }
            }
        }
    }
    gap.coverage.total = gap.total.tokens;
    gap.coverage.mapped = gap.mapped.tokens;
    gap.coverage.unmapped = gap.total.tokens - gap.mapped.tokens;
    let ambiguous = gap.causes.iter().find(|(cause, _)| *cause == GapCause::Ambiguous);
    gap.coverage.ambiguous = ambiguous.map_or(0, |(_, weight)| weight.tokens);
    gap.causes.sort_by(|a, b| b.1.tokens.cmp(&a.1.tokens).then(a.0.cmp(&b.0)));
    gap.unmapped
        .sort_by(|a, b| b.volume.cmp(&a.volume).then(b.fills.cmp(&a.fills)).then(a.token.cmp(&b.token)));
    gap.unmapped.truncate(most);
    gap.odd_dates = months.pop().map_or(0, |(total, _)| total);
    gap.months = (FIRST_MONTH..)
        .zip(months)
        .filter(|(_, (total, _))| *total > 0)
        .map(|(number, (total, mapped))| Month {
            year: (number - 1) / 12,
            month: (number - 1) % 12 + 1,
            total,
            mapped,
        })
        .collect();
    gap
}
