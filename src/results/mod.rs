//! What each phase came to: the JSON contract (`docs/json.md`). The same values make the page, the object on standard
//! output, the line of the journal and the report: written by serde, read back by serde. Fields are added, never
//! renamed; what an older journal lacks reads as nothing.

mod amounts;
mod chain;
mod config;
mod doctor;
mod flows;
mod merge;
mod payouts;
mod pnl_details;
mod prove;
mod run;
pub mod schemas;
mod setup;
mod status;
mod track;
mod validate;
mod verify;
mod verify_chain;
mod watch;

use serde::{Deserialize, Serialize};
use serde_json::Value;

pub use amounts::{Percentage, Seconds, floored_percent};
pub use chain::{Chain, ChainCheck, ChainProvider, ImportedFile};
pub use config::{Failed, PhaseRun, Runs, Setting};
pub use doctor::{Check, Doctor, Health};
pub use flows::Flows;
pub use merge::{Conflict, Covered, Evidence, MapProof, Merge, MergedPayouts};
pub use payouts::{ChainContradiction, ChainContradictions, PayoutOrigins};
pub use pnl_details::{
    AuditDefect, AuditTotals, DefinitionGap, DefinitionTotals, Differences, FeeTotals, PnlDetails,
    SignCounts, StepEvidence, WaterfallStep,
};
pub use prove::{Proof, Proofs};
pub use run::{Planned, Run, Summary};
pub use setup::{Derive, Setup, Workload};
pub use status::{Known, PhaseStatus, Saved, State, Status, TrackProgress, TrackStatus};
pub use track::{Catalogue, ENOUGH_PROCESSED, RoundCounts, STALLED_SECONDS, Track};
pub use validate::{
    AuditRequests, Count, Explanation, OddSide, Outcomes, Position, Validate, WalletStatus, WalletValidation,
};
pub use verify::{
    Gap, Generation, Global, Month, NumberCheck, Positions, Unmapped, Verify, WalletCoverage, Weight,
};
pub use verify_chain::{ChainKnowledge, UnknownToken};
pub use watch::Watch;

/// What one phase came to.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(untagged)]
pub enum PhaseResult {
    /// Phase 0.
    Setup(Setup),
    /// The offline track.
    Derive(Derive),
    /// A track.
    Track(Track),
    /// A catalogue's track.
    Catalogue(Catalogue),
    /// The chain.
    Chain(Box<Chain>),
    /// The wallets' flows.
    Flows(Box<Flows>),
    /// Phase 3.
    Merge(Box<Merge>),
    /// Phase 4.
    Verify(Box<Verify>),
    /// Phase 5.
    Validate(Box<Validate>),
}

impl PhaseResult {
    /// Reads the result of `phase` as a journal keeps it; nothing where it is none.
    pub fn read(phase: &str, value: &Value) -> Option<Self> {
        fn read<T: for<'a> Deserialize<'a>>(value: &Value) -> Option<T> {
            T::deserialize(value).ok()
        }
        if !value.is_object() {
            return None;
        }
        match phase {
            "setup" => read(value).map(Self::Setup),
            "derive" => read(value).map(Self::Derive),
            "chain" => read(value).map(|it| Self::Chain(Box::new(it))),
            "flows" => read(value).map(|it| Self::Flows(Box::new(it))),
            "merge" => read(value).map(|it| Self::Merge(Box::new(it))),
            "verify" => read(value).map(|it| Self::Verify(Box::new(it))),
            "validate" => read(value).map(|it| Self::Validate(Box::new(it))),
            _ if value.get("pages").is_some() => read(value).map(Self::Catalogue),
            _ => read(value).map(Self::Track),
        }
    }

    /// The traded tokens and how many of them are mapped, where the phase has counted them.
    pub fn coverage(&self) -> Option<(u64, u64)> {
        match self {
            Self::Setup(it) => Some((it.total_asset_ids, it.mapped)),
            Self::Merge(it) => Some((it.total_asset_ids, it.after.mapped)),
            Self::Verify(it) => Some((it.global.total, it.global.mapped)),
            Self::Derive(_)
            | Self::Track(_)
            | Self::Catalogue(_)
            | Self::Chain(_)
            | Self::Flows(_)
            | Self::Validate(_) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_an_older_journal_lacks_reads_as_nothing_and_no_other_phase_is_taken_for_it() {
        let setup = json!({"phase": "setup", "total_asset_ids": 7, "mapped": 3, "tracks": {"dome": 4}});
        let Some(PhaseResult::Setup(read)) = PhaseResult::read("setup", &setup) else { panic!("a setup") };
        assert_eq!((read.total_asset_ids, read.tracks["dome"], read.listed), (7, 4, 0));
        assert_eq!(PhaseResult::read("setup", &setup).unwrap().coverage(), Some((7, 3)));
        let clob = json!({"phase": "clob", "pages": 9, "total": 5, "coverage_pct": 1.5});
        assert!(
            matches!(PhaseResult::read("clob", &clob), Some(PhaseResult::Catalogue(it)) if it.track.total == 5)
        );
        for broken in [Value::Null, json!([]), json!({"total_asset_ids": "many"})] {
            assert_eq!(PhaseResult::read("setup", &broken), None, "{broken}");
        }
    }

    #[test]
    fn a_result_is_read_back_as_it_was_written() {
        let pnl = "-10234.567890".parse().unwrap();
        let wallet = WalletValidation {
            variance_pct: Some(Percentage(-0.8)),
            losses: Count { count: 1, pnl },
            ..WalletValidation::default()
        };
        let written = Validate { wallets: vec![wallet], ..Validate::default() };
        let value = serde_json::to_value(&written).unwrap();
        assert_eq!(value["wallets"][0]["losses"]["pnl"], "-10234.567890");
        assert_eq!(value["wallets"][0]["variance_pct"], -0.8);
        let read = PhaseResult::read("validate", &value);
        assert_eq!(read, Some(PhaseResult::Validate(Box::new(written))));
    }
}
