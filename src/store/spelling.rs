//! Joins by condition in which a legacy condition and its mirror are one: whatever the map says and whatever the other
//! table says, they meet.

use super::sql::mirror_spelling;

/// `select`, which has one row a `condition` with these other columns, as one row a `key`: the condition as its mirror
/// spells it. The rows themselves stand in arrays, `spellings` and `found`; there is one, but where both spellings are
/// there, or two legacy conditions have the same half.
pub(super) fn by_either_spelling(select: &str, columns: &[&str]) -> String {
    format!(
        "SELECT {} AS key, groupArray(condition) AS spellings, groupArray(tuple({})) AS found FROM ({select}) GROUP BY key",
        mirror_spelling("condition"),
        columns.join(", ")
    )
}

/// The place in the arrays of `alias` of the row that speaks of the condition of `k` (its columns `condition_id_norm` and
/// `mirrored`): in the same spelling, else by its mirror, else the one legacy condition that it mirrors; 0 for none.
fn place(alias: &str) -> String {
    let at = |spelling: &str| format!("indexOf({alias}.spellings, k.{spelling})");
    format!(
        "multiIf({own} > 0, {own}, {mirrored} > 0, {mirrored}, \
                 k.condition_id_norm = k.mirrored AND length({alias}.spellings) = 1, 1, 0)",
        own = at("condition_id_norm"),
        mirrored = at("mirrored"),
    )
}

/// The `nth` of the other columns, from 1, in that row; empty where there is none.
fn column(alias: &str, nth: usize) -> String {
    // An array has a default at the place 0.
    format!("({alias}.found[{}]).{nth}", place(alias))
}

/// What the tables say of how the condition of a token `k` ended, joined in either spelling: the labels `b`, the chain
/// `h`, the resolutions `r`, the winners `w`, the facts `f` of the token itself, and the catalogue `c`.
pub(super) fn ended_columns() -> String {
    let labels = |first, second| format!("[{}, {}]", column("b", first), column("b", second));
    let text = |alias: &str, nth| format!("toValidUTF8({})", column(alias, nth));
    let own = labels(1, 2);
    [
        (format!("toValidUTF8(if(k.label = '', {own}[k.outcome_index + 1], k.label))"), "label"),
        (format!("toValidUTF8({}[k.outcome_index + 1])", labels(2, 1)), "other_label"),
        (column("h", 1), "chain"),
        (column("h", 2), "chain_whole"),
        (format!("{} > 0", place("r")), "has_resolution"),
        (column("r", 2), "numerators"),
        (column("r", 3), "denominator"),
        (column("r", 4), "winning_index"),
        (text("r", 5), "winning_outcome"),
        (column("r", 6), "dated"),
        (column("r", 7), "contradicting"),
        (text("w", 1), "winner"),
        (column("w", 2), "winner_contradicting"),
        ("f.fact".to_owned(), "fact"),
        (column("c", 1), "catalogue_winning"),
        (column("c", 2), "catalogue_label"),
    ]
    .map(|(expression, name)| format!("{expression} AS {name}"))
    .join(", ")
}
