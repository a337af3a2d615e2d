//! The rows of the chain's tables.

use clickhouse::Row;
use clickhouse::types::UInt256;
use serde::{Deserialize, Serialize};

use crate::ids::{ConditionId, TokenId};

/// A condition, where it was prepared or registered.
#[derive(Debug, Clone, PartialEq, Eq, Row, Serialize)]
pub struct ConditionRow {
    /// The condition.
    pub condition_id_norm: ConditionId,
    /// 1 for a hash of the CTF, 2 for one that carries its parts in its bits.
    pub generation: u8,
    /// Who resolves it, `0x…`; empty in the second generation.
    pub oracle: String,
    /// The question, 64 hex digits; empty in the second generation.
    pub question_id: String,
    /// Its twin of the first generation, empty where it has none.
    pub legacy_condition: String,
    /// The block.
    pub block: u64,
    /// The log's place in it.
    pub log_index: u32,
    /// The transaction, `0x…`; empty where it came from a file.
    pub tx_hash: String,
    /// Who told it: a provider, or `file`.
    pub source: String,
    /// When, in seconds since 1970.
    pub fetched_at: u32,
}

/// What a condition pays.
#[derive(Debug, Clone, PartialEq, Eq, Row, Serialize, Deserialize)]
pub struct ResolutionRow {
    /// The condition.
    pub condition_id_norm: ConditionId,
    /// A number an outcome; each is divided by their sum.
    pub payout_numerators: Vec<UInt256>,
    /// The block.
    pub block: u64,
    /// The log's place in it.
    pub log_index: u32,
    /// The transaction, `0x…`; empty where it came from a file.
    pub tx_hash: String,
    /// Who told it: a provider, or `file`.
    pub source: String,
    /// When, in seconds since 1970.
    pub fetched_at: u32,
}

/// The legs of a combo.
#[derive(Debug, Clone, PartialEq, Eq, Row, Serialize)]
pub struct ComboRow {
    /// The combo's condition.
    pub condition_id_norm: ConditionId,
    /// The positions that must all come true, ascending.
    pub legs: Vec<TokenId>,
    /// Who told it.
    pub source: String,
    /// When, in seconds since 1970.
    pub fetched_at: u32,
}

/// A negative-risk market (its question is empty), or one of its questions (its fee is 0 and says nothing).
#[derive(Debug, Clone, PartialEq, Eq, Row, Serialize)]
pub struct MarketRow {
    /// The market, 64 hex digits.
    pub market: String,
    /// The fee of a conversion, in hundredths of a percent.
    pub fee_bips: u32,
    /// Which question, from 0.
    pub question_index: u16,
    /// The question, 64 hex digits.
    pub question_id: String,
    /// The block.
    pub block: u64,
    /// The log's place in it.
    pub log_index: u32,
    /// Who told it.
    pub source: String,
    /// When, in seconds since 1970.
    pub fetched_at: u32,
}

/// A log that is not believed.
#[derive(Debug, Clone, PartialEq, Eq, Row, Serialize)]
pub struct RejectedLogRow {
    /// The block; 0 where it could not be read.
    pub block: u64,
    /// The log's place in it.
    pub log_index: u32,
    /// Why, in a word.
    pub reason: String,
    /// The log.
    pub raw: String,
    /// Who told it.
    pub source: String,
    /// When, in seconds since 1970.
    pub fetched_at: u32,
}
