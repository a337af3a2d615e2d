//! What `merge` came to.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Percentage, Seconds};

/// What phase 3 found and did.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Merge {
    /// `merge`.
    pub phase: String,
    /// Distinct tokens that each source has staged, by its name.
    pub staged: BTreeMap<String, u64>,
    /// The sources in the order in which one takes precedence over another.
    pub precedence: Vec<String>,
    /// Distinct tokens of all sources together.
    pub staged_tokens: u64,
    /// Tokens that more than one source has staged.
    pub overlapping: u64,
    /// Tokens about which two sources disagree.
    pub conflicting: u64,
    /// Some of those.
    pub conflicts: Vec<Conflict>,
    /// Tokens that two sources give different labels; the first in precedence counts.
    pub label_conflicting: u64,
    /// Some of those, each claim as `source: label`.
    pub label_conflicts: Vec<Conflict>,
    /// Tokens with a label that contradicts its place ("Yes" of index 1), which was not taken.
    pub misplaced_labels: u64,
    /// Some of those, each claim as `source: label, index`.
    pub misplaced: Vec<Conflict>,
    /// The coverage before.
    pub before: Covered,
    /// The coverage afterwards; the same as before in a dry run.
    pub after: Covered,
    /// Distinct well-formed token ids in the fills.
    pub total_asset_ids: u64,
    /// The coverage that is wanted.
    pub target_pct: Percentage,
    /// The coverage less what is wanted, in percent points.
    pub margin_pct: Percentage,
    /// Whether the coverage is what is wanted; decided by the exact ratio.
    pub reaches_target: bool,
    /// Tokens that were added to the map, or would be.
    pub added: u64,
    /// Of the added, those that were traded; the others are siblings. 0 in a dry run.
    pub added_traded: u64,
    /// Traded tokens whose rows contradicted each other before, and do so no longer.
    pub disambiguated: u64,
    /// Tokens whose wrong rows were replaced, or would be; 0 where that was not asked for.
    pub repaired: u64,
    /// Tokens of whose rows that say the same all but one were removed, or would be; null where no repair was asked for.
    pub copies_removed: Option<u64>,
    /// Tokens whose empty labels were filled, or would be; null where that was not asked for.
    pub labels_filled: Option<u64>,
    /// Tokens whose labels were corrected from the catalogue, or would be; null where that was not asked for.
    pub labels_corrected: Option<u64>,
    /// Some of those, each claim as `map: label` or `source: label`.
    pub label_corrections: Vec<Conflict>,
    /// Payouts of the chain that the resolutions lacked; null where that was not asked for.
    pub resolutions: Option<MergedPayouts>,
    /// The map's columns for questions and slugs; null where they were not asked for.
    pub metadata_columns: Option<Vec<String>>,
    /// Rows whose empty question was filled, or would be; null where that was not asked for.
    pub questions_filled: Option<u64>,
    /// Rows whose empty slug was filled, or would be; null where that was not asked for.
    pub slugs_filled: Option<u64>,
    /// Tokens with staged rows none of which can be believed: not merged.
    pub refused: u64,
    /// Tokens with two usable rows before.
    pub duplicates_before: u64,
    /// Tokens with two usable rows afterwards, as counted.
    pub duplicates: u64,
    /// Why the merged tokens are believed.
    pub evidence: Evidence,
    /// How the rows that the map had before stand to the hash; null where neither `--repair` nor `--check` asked for it.
    pub map: Option<MapProof>,
    /// Whether nothing was written.
    pub dry_run: bool,
    /// From the process's start.
    pub elapsed_seconds: Seconds,
}

/// Sources that disagree about a token.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Conflict {
    /// The token.
    pub token: String,
    /// What each claims: `source: condition/index` where they disagree about that, else `source: label`.
    pub claims: Vec<String>,
}

/// How much is mapped at one moment.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Covered {
    /// Mapped tokens.
    pub mapped: u64,
    /// The same in percent of all traded tokens.
    pub coverage_pct: Percentage,
}

/// Tokens that are merged, by why they are believed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Evidence {
    /// By their hash.
    pub proven: u64,
    /// As the second generation's twins of known conditions.
    pub mirror: u64,
    /// By their own bits.
    pub structural: u64,
}

/// How the usable rows of the map stand to the hash.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct MapProof {
    /// Rows that a hash proves.
    pub proven: u64,
    /// Rows of mirrors, under their legacy condition.
    pub mirror: u64,
    /// Rows that stand in their token's own bits.
    pub structural: u64,
    /// Rows under one spelling of their condition where the other one counts.
    pub respelled: u64,
    /// Tokens that have rows in the other spelling, and no wrong one.
    pub respelled_tokens: u64,
    /// Rows that contradict what the hash proves of their token.
    pub wrong: u64,
    /// Rows that no listed collateral makes, where no better condition is known.
    pub unproven: u64,
    /// Tokens that have wrong rows.
    pub wrong_tokens: u64,
}

/// Payouts of the chain that the table of resolutions lacked.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct MergedPayouts {
    /// Conditions that were added, or would be.
    pub added: u64,
    /// Conditions whose payout the table's columns cannot hold: not added.
    pub unfit: u64,
    /// Some of those, each as `condition: numerators`.
    pub unfit_sample: Vec<String>,
}
