//! Whole token ids from condition ids: on one core, on all, and with ark-bn254 deciding whether a root exists.
//!
//! All in one run, because only figures of the same minutes on the same machine can be compared.

use std::hint::black_box;
use std::num::NonZeroUsize;
use std::time::Duration;

use ark_bn254::Fq as ArkFq;
use ark_ff::{AdditiveGroup, BigInteger, Field, LegendreSymbol, PrimeField};
use backfill::ctf::{self, CollectionId};
use backfill::ids::{Address, ConditionId, StructuralCondition, TokenId};
use backfill::proof::{KnownConditions, Mapping, Prover};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use halo2curves::bn256::Fq;
use halo2curves::ff::{Field as _, FromUniformBytes};
use halo2curves::ff_ext::Legendre;
use sha3::Digest;
use tiny_keccak::{Hasher, Keccak};

/// Token ids of one round: two for each condition.
const IDS: usize = 8_192;

fn keccak(parts: [&[u8]; 2]) -> [u8; 32] {
    let mut hash = Keccak::v256();
    parts.iter().for_each(|part| hash.update(part));
    let mut digest = [0; 32];
    hash.finalize(&mut digest);
    digest
}

/// Conditions that look as random as real ones, always the same.
fn conditions() -> Vec<ConditionId> {
    (0..IDS / 2)
        .map(|number| ConditionId::from_bytes(keccak([&number.to_be_bytes(), b"condition"])))
        .collect()
}

/// The token ids of both outcomes, folded into one so that nothing of the work can be left out.
fn both(condition: &ConditionId, collateral: &Address) -> u128 {
    [false, true]
        .iter()
        .fold(0, |sum, second| sum ^ CollectionId::of(condition, *second).token(collateral).fingerprint())
}

fn share(conditions: &[ConditionId], collateral: &Address) -> u128 {
    conditions.iter().fold(0, |sum, condition| sum ^ both(condition, collateral))
}

/// The same token id, by ark-bn254, where `has_root` says whether there is a point with this x.
fn with_ark(
    condition: &ConditionId,
    second: bool,
    collateral: &Address,
    has_root: impl Fn(ArkFq) -> bool,
) -> TokenId {
    let mut index_set = [0; 32];
    index_set[31] = 1 << u8::from(second);
    let hash = keccak([condition.as_bytes(), &index_set]);
    let mut x = ArkFq::from_be_bytes_mod_order(&hash);
    loop {
        x += ArkFq::ONE;
        if has_root(x * x * x + ArkFq::from(3)) {
            break;
        }
    }
    let mut id: [u8; 32] = [0; 32];
    id.copy_from_slice(&x.into_bigint().to_bytes_be());
    id[0] ^= (hash[0] >> 7) << 6;
    TokenId::from_be_bytes(keccak([collateral.as_bytes(), &id]))
}

fn ark_share(conditions: &[ConditionId], collateral: &Address, has_root: impl Fn(ArkFq) -> bool) -> u128 {
    conditions.iter().fold(0, |sum, condition| {
        [false, true]
            .iter()
            .fold(sum, |sum, second| sum ^ with_ark(condition, *second, collateral, &has_root).fingerprint())
    })
}

fn by_sqrt(y_squared: ArkFq) -> bool {
    y_squared == ArkFq::ZERO || y_squared.sqrt().is_some()
}

fn by_legendre(y_squared: ArkFq) -> bool {
    y_squared.legendre() != LegendreSymbol::QuadraticNonResidue
}

fn token_ids(criterion: &mut Criterion) {
    let conditions = conditions();
    let collateral = ctf::default_collaterals()[0].address;
    let expected = share(&conditions, &collateral);
    assert_eq!(expected, ark_share(&conditions, &collateral, by_sqrt), "both make the same ids");
    assert_eq!(expected, ark_share(&conditions, &collateral, by_legendre), "both make the same ids");

    let mut group = criterion.benchmark_group("token ids");
    group.throughput(Throughput::Elements(IDS as u64));
    group.warm_up_time(Duration::from_secs(1)).measurement_time(Duration::from_secs(3)).sample_size(20);
    group.bench_function("one core", |bencher| {
        bencher.iter(|| share(black_box(&conditions), &collateral));
    });
    let cores = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
    group.bench_function(format!("all cores ({cores})"), |bencher| {
        bencher.iter(|| {
            let conditions: &[ConditionId] = black_box(&conditions);
            std::thread::scope(|scope| {
                let collateral = &collateral;
                let parts: Vec<_> = conditions
                    .chunks(conditions.len().div_ceil(cores))
                    .map(|part| scope.spawn(move || share(part, collateral)))
                    .collect();
                parts.into_iter().filter_map(|part| part.join().ok()).fold(0, |sum, part| sum ^ part)
            })
        });
    });
    group.bench_function("one core, ark-bn254 sqrt", |bencher| {
        bencher.iter(|| ark_share(black_box(&conditions), &collateral, by_sqrt));
    });
    group.bench_function("one core, ark-bn254 legendre", |bencher| {
        bencher.iter(|| ark_share(black_box(&conditions), &collateral, by_legendre));
    });
    group.finish();
}

/// What a token id is made of, each part alone: two hashes, and a symbol for each try at a point, two on average.
fn parts(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("parts");
    group.warm_up_time(Duration::from_millis(500)).measurement_time(Duration::from_secs(1)).sample_size(20);
    let hash = keccak([b"a", b"condition"]);
    let mut wide = [0; 64];
    wide[..32].copy_from_slice(&hash);
    let x = Fq::from_uniform_bytes(&wide);
    group.bench_function("halo2curves legendre", |bencher| {
        let mut x = x;
        bencher.iter(|| {
            x += Fq::ONE;
            black_box(x).legendre()
        });
    });
    group.bench_function("tiny-keccak keccak256", |bencher| {
        bencher.iter(|| keccak([black_box(&hash[..]), &hash[..]]));
    });
    group.bench_function("sha3 keccak256", |bencher| {
        bencher.iter(|| {
            let mut digest = sha3::Keccak256::new();
            digest.update(black_box(&hash[..]));
            digest.update(&hash[..]);
            digest.finalize()
        });
    });
    group.finish();
}

/// Tokens of the second generation: read from their text, their bits decoded, the mirrors among them looked up, and a
/// mapping made of each. `derive` may take a microsecond for one.
fn native_tokens(criterion: &mut Criterion) {
    let conditions = conditions();
    let collaterals = ctf::default_collaterals();
    let mut known = KnownConditions::default();
    let mut texts = Vec::new();
    for (number, condition) in conditions.iter().enumerate() {
        // Half of them are mirrors of conditions that are known.
        if number % 2 == 0 {
            known.insert(*condition);
        }
        let twin = StructuralCondition::binary(condition.low_half());
        texts.extend([0, 1].into_iter().filter_map(|index| Some(twin.token(index)?.to_string())));
    }
    let prover = Prover::new(&collaterals, &known);
    let mapping = |text: &String| {
        let token: TokenId = text.parse().ok()?;
        let proof = prover.by_bits(token)?.ok()?;
        Some(Mapping::new(token, &proof, token.structural()?.label().to_owned()))
    };
    assert!(texts.iter().all(|text| mapping(text).is_some()), "each has its mapping");
    let mut group = criterion.benchmark_group("native tokens");
    group.throughput(Throughput::Elements(texts.len() as u64));
    group.warm_up_time(Duration::from_millis(500)).measurement_time(Duration::from_secs(2)).sample_size(20);
    group.bench_function("one core", |bencher| {
        bencher.iter(|| {
            black_box(&texts).iter().filter_map(mapping).map(|it| u64::from(it.outcome_index)).sum::<u64>()
        });
    });
    group.finish();
}

criterion_group!(benches, token_ids, native_tokens, parts);
criterion_main!(benches);
