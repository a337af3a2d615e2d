//! What `setup` and `derive` found.

use crate::phases::derive::DeriveResult;
use crate::phases::setup::SetupResult;
use crate::results::{Derive, Percentage, Seconds, Setup, Workload};

impl From<&SetupResult> for Setup {
    fn from(found: &SetupResult) -> Self {
        let coverage = &found.coverage;
        let weights: f64 = found.shares.iter().map(|share| share.weight as f64).sum();
        let share = |source| {
            let weight = found.shares.iter().find(|share| share.source == source).map_or(0, |it| it.weight);
            Percentage(weight as f64 * 100.0 / weights.max(1.0))
        };
        let workloads: Vec<Workload> = (found.tracks.iter())
            .map(|split| Workload {
                track: split.source.name().to_owned(),
                share_pct: share(split.source),
                total: split.workload.total,
                kept: split.kept,
            })
            .collect();
        Self {
            phase: "setup".to_owned(),
            total_asset_ids: coverage.total,
            mapped: coverage.mapped,
            coverage_pct: Percentage::floored(coverage.mapped, coverage.total),
            unmapped: coverage.unmapped,
            malformed: coverage.malformed,
            ambiguous: coverage.ambiguous,
            // What this setup has derived, and what was derived before and is not merged yet.
            derived: Some(coverage.unmapped.saturating_sub(found.unmapped))
                .filter(|count| *count > 0 || found.derived.is_some()),
            derived_from: found.derived.as_ref().map(|derived| derived.conditions),
            listed: found.unmapped,
            tracks: workloads.iter().map(|it| (it.track.clone(), it.total)).collect(),
            workloads,
            staging_database: found.staging_database.clone(),
            staged: found.staged.iter().map(|(source, count)| (source.name().to_owned(), *count)).collect(),
            created: found.created.clone(),
            reset: found.reset,
            put_aside: found.put_aside.clone(),
            elapsed_seconds: Seconds(found.elapsed_seconds),
        }
    }
}

impl From<&DeriveResult> for Derive {
    fn from(found: &DeriveResult) -> Self {
        Self {
            phase: "derive".to_owned(),
            conditions: found.conditions,
            candidates: found.candidates,
            unmapped: found.unmapped,
            inserted: found.inserted,
            mirrors: found.mirrors,
            structural: found.structural,
            ambiguous: found.ambiguous,
            ambiguous_sample: found.ambiguous_sample.iter().map(ToString::to_string).collect(),
            malformed: found.malformed,
            elapsed_seconds: Seconds(found.elapsed_seconds),
        }
    }
}
