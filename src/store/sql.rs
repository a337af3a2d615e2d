//! Fragments of SQL that say what a word of the definitions means, so that every query means the same by it.

use super::input::InputTable;
use crate::ids::token::MULTIPLIER;

/// How tables that are ordered by their tokens are joined: side by side in that order; by a hash table where a join has
/// more in it than that can do.
pub(super) const IN_ORDER: &str = "full_sorting_merge,hash";

/// Whether `expr` is a well-formed token id: the same as `toString(toUInt256OrNull(expr)) = expr`, whose way back to
/// text takes ten times as long as all the rest of a query. `toUInt256OrNull` alone would accept `007` and wrap 2²⁵⁶
/// to 0.
pub fn well_formed_token(expr: &str) -> String {
    // Nothing is left when the digits are taken away, which is cheaper than a pattern. Of numbers with equally many digits
    // the larger one is the larger text.
    format!(
        "ifNull(trim(BOTH '0123456789' FROM {expr}) = '' AND {expr} != '' AND (NOT startsWith({expr}, '0') OR {expr} = '0') \
           AND (length({expr}) < 78 OR length({expr}) = 78 AND {expr} <= \
         '115792089237316195423570985008687907853269984665640564039457584007913129639935'), false)"
    )
}

/// [`TokenId::fingerprint`](crate::ids::TokenId::fingerprint) of `expr`, a well-formed token id.
pub fn fingerprint(expr: &str) -> String {
    let number = format!("toUInt256OrZero({expr})");
    // Numbers of 128 bits wrap, as they are meant to; the multiplier is a text, since a literal as long is a float.
    format!(
        "CAST(CAST({number} AS UInt128) + CAST(bitShiftRight({number}, 128) AS UInt128) * toUInt128('{MULTIPLIER}') AS UInt128)"
    )
}

/// Whether `digits`, 62 lower-case hex digits, are a valid condition of the second generation
/// ([`crate::ids::structural`]).
fn structural_condition(digits: &str) -> String {
    // Equally long hexadecimal numbers are ordered as their texts are.
    format!(
        "(match({digits}, '^0[13][0-9a-f]{{32}}0{{20}}[0-9a-f]{{4}}0000$') \
          OR match({digits}, '^02[0-9a-f]{{36}}0{{16}}[0-9a-f]{{8}}$') AND substring({digits}, 35, 4) >= '0002' \
             AND substring({digits}, 59, 4) <= substring({digits}, 35, 4))"
    )
}

/// `expr` as 64 lower-case hex digits, or `''` where it is malformed or zero. Also read are the 62 digits of a valid
/// condition of the second generation, which get the two zeros that they lack. Empties must be filtered before any
/// join: an empty condition would join every other empty one.
pub fn condition_norm(expr: &str) -> String {
    // toString: the column may be a FixedString, whose '' is 64 NUL bytes, and whose 62 digits have two of them behind.
    // The zero condition is a broken row.
    let short = format!("lower(right(replaceAll(toString({expr}), '\\0', ''), 62))");
    // As for tokens; the pattern is for the few that are left.
    let long = format!(
        "((length(toString({expr})) = 64 OR length(toString({expr})) = 66 AND lower(left(toString({expr}), 2)) = '0x') \
          AND trim(BOTH '0123456789abcdefABCDEF' FROM right(toString({expr}), 64)) = '')"
    );
    format!(
        "multiIf({long}, \
           if(right(toString({expr}), 64) != repeat('0', 64), lower(right(toString({expr}), 64)), ''), \
         match(replaceAll(toString({expr}), '\\0', ''), '^(0[xX])?[0-9a-fA-F]{{62}}$') AND {}, concat({short}, '00'), '')",
        structural_condition(&short)
    )
}

/// Whether the condition `norm`, in its normal form, is one of the second generation.
pub fn is_structural(norm: &str) -> String {
    format!("(endsWith({norm}, '00') AND {})", structural_condition(&format!("left({norm}, 62)")))
}

/// The condition that stands in the bits of the token `expr`, in its normal form; `''` where it is no valid token of the
/// second generation.
pub fn structural_token(expr: &str) -> String {
    // The three modules' numbers have 75 or 76 digits, which keeps the work away from most hashes.
    let hexed = format!("lower(leftPad(hex(toUInt256OrZero({expr})), 64, '0'))");
    let digits = format!("left({hexed}, 62)");
    format!(
        "if(length({expr}) IN (75, 76) AND {token} AND right({hexed}, 2) IN ('00', '01') AND {valid}, \
            concat({digits}, '00'), '')",
        token = well_formed_token(expr),
        valid = structural_condition(&digits),
    )
}

/// The condition `norm`, in its normal form, as its mirror spells it: a legacy condition as `01`, its last 32 digits
/// and zeros; one of the second generation as it is. Two spellings of one condition are equal in this one; so may be
/// two legacy conditions, which are not the same for that.
pub fn mirror_spelling(norm: &str) -> String {
    format!("if({}, {norm}, concat('01', right({norm}, 32), repeat('0', 30)))", is_structural(norm))
}

/// Whether a row of [`InputTable::from`] of the map is usable: well-formed token, well-formed non-zero condition, outcome
/// index below 2.
pub(super) fn usable_row() -> String {
    usable("token_id", "outcome_index", "condition_id_norm")
}

/// The same of a row of the map's table itself.
pub(super) fn usable_raw(map: &InputTable) -> String {
    usable(&map.raw("token_id", "''"), &map.raw("outcome_index", "255"), &map.raw("condition_id_norm", "''"))
}

fn usable(token: &str, index: &str, condition: &str) -> String {
    let (token, condition) = (well_formed_token(token), condition_norm(condition));
    format!("({token} AND {index} < 2 AND {condition} != '')")
}

/// One row a token of the map that has usable rows: `token_id`, `condition_id_norm`, `outcome_index`, and
/// `disagreeing`, which is true where two usable rows contradict each other (the token is then ambiguous, and
/// unmapped). Usable: well-formed token, well-formed non-zero condition, outcome index below 2.
///
/// A legacy condition and its mirror are one condition: rows that differ in that alone agree, and the legacy spelling
/// is the one that counts.
pub(super) fn usable_map(map: &InputTable) -> String {
    usable_map_among(map, "true")
}

/// The same of the rows for which `among` is true, a condition on `token_id`, by which the map is ordered.
pub(super) fn usable_map_among(map: &InputTable, among: &str) -> String {
    let map = map.from();
    let token = well_formed_token("token_id");
    let condition = condition_norm("condition_id_norm");
    let mirror = mirror_spelling("condition_norm");
    // A condition is 256 bits: comparing the least with the largest number takes half as long as counting distinct texts.
    let number = |text: &str| format!("reinterpretAsUInt256(reverse(unhex({text})))");
    // Few tokens have several rows, and one row cannot disagree with itself.
    let several = format!("SELECT token_id FROM {map} WHERE {among} GROUP BY token_id HAVING count() > 1");
    let usable = |which: &str| {
        format!(
            "SELECT token_id, {condition} AS condition_norm, outcome_index AS index FROM {map} \
             WHERE {among} AND {token} AND outcome_index < 2 AND token_id GLOBAL {which} ({several}) AND condition_norm != ''"
        )
    };
    format!(
        "(SELECT token_id, condition_norm AS condition_id_norm, index AS outcome_index, false AS disagreeing, \
                 toUInt64(1) AS usable_rows FROM ({single}) \
          UNION ALL \
          SELECT token_id, lower(hex(reverse(reinterpretAsFixedString(\
                    if(max(legacy) = 1, minIf(own, legacy = 1), min(own)))))) AS condition_id_norm, \
                 any(index) AS outcome_index, \
                 min(twin) != max(twin) OR min(index) != max(index) OR minIf(own, legacy = 1) != maxIf(own, legacy = 1) AS disagreeing, \
                 count() AS usable_rows \
          FROM (SELECT token_id, {own} AS own, {twin} AS twin, toUInt8(condition_norm != mirrored) AS legacy, index \
                FROM (SELECT token_id, condition_norm, {mirror} AS mirrored, index FROM ({repeated}))) \
          GROUP BY token_id)",
        single = usable("NOT IN"),
        repeated = usable("IN"),
        own = number("condition_norm"),
        twin = number("mirrored"),
    )
}
