//! Fragments of SQL that say what a word of the definitions means, so that every query means the same by it.

use super::TableNames;

/// Whether `expr` is a well-formed token id: the same as `toString(toUInt256OrNull(expr)) = expr`, whose way back to
/// text takes ten times as long as all the rest of a query. `toUInt256OrNull` alone would accept `007` and wrap 2²⁵⁶
/// to 0.
pub fn well_formed_token(expr: &str) -> String {
    // Of numbers with equally many digits the larger one is the larger text.
    format!(
        "ifNull(match({expr}, '^(0|[1-9][0-9]*)$') AND (length({expr}) < 78 OR length({expr}) = 78 AND {expr} <= \
         '115792089237316195423570985008687907853269984665640564039457584007913129639935'), false)"
    )
}

/// `expr` as 64 lower-case hex digits, or `''` where it is malformed or zero. Empties must be filtered before any
/// join: an empty condition would join every other empty one.
pub fn condition_norm(expr: &str) -> String {
    // toString: the column may be a FixedString, whose '' is 64 NUL bytes. The zero condition is a broken row.
    format!(
        "if(match(toString({expr}), '^(0[xX])?[0-9a-fA-F]{{64}}$') AND right(toString({expr}), 64) != repeat('0', 64), \
         lower(right(toString({expr}), 64)), '')"
    )
}

/// Whether a row of the map is usable: well-formed token, well-formed non-zero condition, outcome index below 2.
pub fn usable_row() -> String {
    let (token, condition) = (well_formed_token("token_id"), condition_norm("condition_id_norm"));
    format!("({token} AND outcome_index < 2 AND {condition} != '')")
}

/// One row a token of the map that has usable rows: `token_id`, `condition_id_norm`, `outcome_index`, and
/// `disagreeing`, which is true where two usable rows contradict each other (the token is then ambiguous, and
/// unmapped). Usable: well-formed token, well-formed non-zero condition, outcome index below 2.
pub fn usable_map(names: &TableNames) -> String {
    let map = &names.token_map;
    let token = well_formed_token("token_id");
    let condition = condition_norm("condition_id_norm");
    format!(
        "(SELECT token_id, any(condition_norm) AS condition_id_norm, any(index) AS outcome_index, \
                 uniqExact(condition_norm, index) > 1 AS disagreeing, count() AS usable_rows \
          FROM (SELECT token_id, {condition} AS condition_norm, outcome_index AS index \
                FROM {map} WHERE {token} AND outcome_index < 2) \
          WHERE condition_norm != '' GROUP BY token_id)"
    )
}
