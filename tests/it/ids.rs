//! What an id is, asked of the program and of ClickHouse: both say the same.

use backfill::ids::{ConditionId, Module, StructuralCondition, TokenId};
use backfill::store::sql;

use crate::common::World;

/// Conditions of both generations, pseudo-random, always the same.
fn conditions() -> Vec<ConditionId> {
    let mut conditions = Vec::new();
    for number in 0_u128..300 {
        let base = (number + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15_F39C_C060_5CED_C835);
        let mut legacy = [0; 32];
        legacy[..16].copy_from_slice(&base.rotate_left(17).to_be_bytes());
        legacy[16..].copy_from_slice(&base.to_be_bytes());
        conditions.push(ConditionId::from_bytes(legacy));
        // A hash may end in zeros, too.
        legacy[31] = 0;
        conditions.push(ConditionId::from_bytes(legacy));
        conditions.push(StructuralCondition::binary(base).condition_id());
        conditions.push(StructuralCondition::combo(base).condition_id());
        conditions.push(StructuralCondition::new(Module::Binary, base, 0, 7, 0).unwrap().condition_id());
        let arity = 2 + (number as u16 * 211) % 600;
        let index = (number as u16 * 37) % (arity + 1);
        conditions.push(StructuralCondition::neg_risk(base, arity, index).unwrap().condition_id());
    }
    conditions
}

/// What the expression gives for each text, which holds no character that wants escaping.
async fn each(world: &World, texts: &[String], expression: &str) -> Vec<String> {
    let mut values = Vec::new();
    for texts in texts.chunks(1_000) {
        let texts = texts.join("','");
        let sql =
            format!("SELECT groupArray(toString({expression})) FROM (SELECT arrayJoin(['{texts}']) AS x)");
        values.extend(world.one::<Vec<String>>(&sql).await);
    }
    values
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_has_one_fingerprint_in_the_program_and_in_clickhouse() {
    let world = World::new().await;
    let structural = conditions().into_iter().filter_map(|condition| condition.structural());
    let mut tokens: Vec<TokenId> =
        structural.flat_map(|condition| [0, 1].map(|index| condition.token(index).unwrap())).collect();
    tokens.extend(conditions().iter().map(|condition| TokenId::from_be_bytes(*condition.as_bytes())));
    for text in ["0", "1", "340282366920938463463374607431768211456"] {
        tokens.push(text.parse().unwrap());
    }
    let texts: Vec<String> = tokens.iter().map(TokenId::to_string).collect();
    let expected: Vec<String> = tokens.iter().map(|token| token.fingerprint().to_string()).collect();
    assert_eq!(each(&world, &texts, &sql::fingerprint("x")).await, expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_condition_is_read_alike_by_the_program_and_by_clickhouse() {
    let world = World::new().await;
    let mut texts = vec![String::new(), "0".repeat(64), "0".repeat(62), "0x".to_owned(), "x".repeat(64)];
    for (number, condition) in conditions().into_iter().enumerate() {
        let text = condition.to_string();
        // 62 digits of whatever it is, one digit of them off, and every spelling of the whole.
        let mut off = text[..62].to_owned();
        let at = number % 62;
        let digit = if &off[at..=at] == "1" { "2" } else { "1" };
        off.replace_range(at..=at, digit);
        texts.extend([
            text[..62].to_owned(),
            format!("0x{off}"),
            off,
            format!("0X{}", text[..62].to_uppercase()),
            format!("0x{text}"),
            text.to_uppercase(),
            text[..63].to_owned(),
            text,
        ]);
    }
    let read = |text: &String| text.parse::<ConditionId>().ok().filter(|it| !it.is_zero());
    let expected: Vec<String> =
        texts.iter().map(|text| read(text).map(|it| it.to_string()).unwrap_or_default()).collect();
    assert_eq!(each(&world, &texts, &sql::condition_norm("x")).await, expected);
    // The same out of a column of fixed width, which pads what is shorter with NULs.
    let fixed: Vec<String> =
        texts.iter().filter(|text| text.len() == 62 || text.len() == 64).cloned().collect();
    let of_fixed: Vec<String> =
        fixed.iter().map(|text| read(text).map(|it| it.to_string()).unwrap_or_default()).collect();
    assert_eq!(each(&world, &fixed, &sql::condition_norm("toFixedString(x, 64)")).await, of_fixed);
}

#[tokio::test(flavor = "multi_thread")]
async fn both_spellings_of_a_condition_meet_in_one() {
    let world = World::new().await;
    let conditions = conditions();
    let texts: Vec<String> = conditions.iter().map(ConditionId::to_string).collect();
    let expected: Vec<String> = conditions
        .iter()
        .map(|condition| condition.mirror().map_or(*condition, |mirror| mirror.condition_id()).to_string())
        .collect();
    assert_eq!(each(&world, &texts, &sql::mirror_spelling("x")).await, expected);
}
