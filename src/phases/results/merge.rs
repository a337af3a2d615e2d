//! What `merge` found and did.

use super::margin::{margin, target};
use crate::phases::merge::MergeResult;
use crate::results::{Conflict, Covered, Evidence, MapProof, Merge, MergedPayouts, Percentage, Seconds};
use crate::store::{self, coverage::Coverage};

impl From<&MergeResult> for Merge {
    fn from(found: &MergeResult) -> Self {
        let covered = |of: &Coverage| Covered {
            mapped: of.mapped,
            coverage_pct: Percentage::floored(of.mapped, of.total),
        };
        let shown = |conflicts: &[store::merge::Conflict]| -> Vec<Conflict> {
            let shown = |it: &store::merge::Conflict| Conflict {
                token: it.token_id.clone(),
                claims: it.claims.clone(),
            };
            conflicts.iter().map(shown).collect()
        };
        let by_source = &found.staged.by_source;
        Self {
            phase: "merge".to_owned(),
            staged: by_source.iter().map(|(source, count)| (source.name().to_owned(), *count)).collect(),
            precedence: by_source.iter().map(|(source, _)| source.name().to_owned()).collect(),
            staged_tokens: found.staged.tokens,
            overlapping: found.staged.overlapping,
            conflicting: found.staged.conflicting,
            conflicts: shown(&found.staged.conflicts),
            label_conflicting: found.staged.label_conflicting,
            label_conflicts: shown(&found.staged.label_conflicts),
            misplaced_labels: found.candidates.misplaced_labels,
            misplaced: shown(&found.candidates.misplaced),
            before: covered(&found.before),
            after: covered(&found.after),
            total_asset_ids: found.after.total,
            target_pct: target(found.target),
            margin_pct: margin(found.target, found.after.mapped, found.after.total).0,
            reaches_target: found.reaches_target(),
            added: found.added,
            added_traded: found.added_traded(),
            disambiguated: found.disambiguated(),
            repaired: found.repaired,
            copies_removed: found.copies_removed,
            labels_filled: found.labels.as_ref().map(|labels| labels.filled),
            labels_corrected: found.labels.as_ref().map(|labels| labels.corrected),
            label_corrections: found.labels.as_ref().map(|it| shown(&it.corrections)).unwrap_or_default(),
            resolutions: found.resolutions.as_ref().map(|it| MergedPayouts {
                added: it.added,
                unfit: it.unfit,
                unfit_sample: it.unfit_shown.clone(),
            }),
            metadata_columns: found.metadata.as_ref().map(|it| it.columns.clone()),
            questions_filled: found.metadata.as_ref().map(|it| it.questions),
            slugs_filled: found.metadata.as_ref().map(|it| it.slugs),
            refused: found.candidates.refused,
            duplicates_before: found.duplicates_before,
            duplicates: found.duplicates,
            evidence: Evidence {
                proven: found.candidates.proven,
                mirror: found.candidates.mirror,
                structural: found.candidates.structural,
            },
            map: found.map.as_ref().map(proof_of_map),
            dry_run: found.dry_run,
            elapsed_seconds: Seconds(found.elapsed_seconds),
        }
    }
}

fn proof_of_map(map: &store::repair::MapProof) -> MapProof {
    MapProof {
        proven: map.proven,
        mirror: map.mirror,
        structural: map.structural,
        respelled: map.respelled,
        respelled_tokens: map.respelled_tokens,
        wrong: map.wrong,
        unproven: map.unproven,
        wrong_tokens: map.wrong_tokens,
    }
}
