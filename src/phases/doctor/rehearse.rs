//! [`rehearse`]: what each phase asks of the users' tables, asked of them as if they had no rows: a type that a query
//! cannot take and a right that is missing show before the phase is run.

use super::checks::{good, note, red};
use crate::ids::Wallet;
use crate::results::Check;
use crate::settings::Settings;
use crate::store::{Store, StoreError};

/// A line for each phase.
pub(super) async fn rehearse(settings: &Settings, store: &Store, checks: &mut Vec<Check>) {
    let empty = store.without_rows();
    let wallets = [settings.thresholds.baseline_wallet];
    checks.push(told("setup", setup(&empty).await));
    checks.push(told("derive", derive(&empty).await));
    checks.push(match merge(&empty).await {
        Ok(()) => may_merge(store).await,
        failed => told("merge", failed),
    });
    checks.push(told("verify", verify(&empty, &wallets).await));
    checks.push(told("validate", validate(&empty, &wallets).await));
}

fn told(phase: &str, asked: Result<(), StoreError>) -> Check {
    let subject = format!("phase {phase}");
    match asked {
        Ok(()) => good(subject, "its queries can be run on these tables by this user"),
        Err(error) => red(
            subject,
            &error.to_string(),
            "the reason is ClickHouse's own: a column's type, or a right that the user lacks (SELECT on the users' tables)",
        ),
    }
}

async fn setup(store: &Store) -> Result<(), StoreError> {
    store.coverage().await.map(drop)
}

async fn derive(store: &Store) -> Result<(), StoreError> {
    let mut tokens = store.traded_tokens(&store.kept_sums().await?).await?;
    while tokens.next().await?.is_some() {}
    let columns = store.condition_columns(&[]).await?;
    store.conditions(&columns)?.chunk(1).await.map(drop)
}

async fn merge(store: &Store) -> Result<(), StoreError> {
    store.duplicated_tokens().await?;
    store.outranked_tokens().await.map(drop)
}

async fn may_merge(store: &Store) -> Check {
    let map = &store.names().token_map;
    match store.may_on("INSERT", map).await {
        Ok(true) => good("phase merge", "its queries can be run, and this user may write the map"),
        Ok(false) => red(
            "phase merge",
            "this user may not write the map",
            &format!("GRANT INSERT ON {map} to CLICKHOUSE_USER, or merge as another user"),
        ),
        Err(_) => note(
            "phase merge",
            "its queries can be run; this server cannot say whether this user may write the map",
            "`backfill merge` will find out",
        ),
    }
}

async fn verify(store: &Store, wallets: &[Wallet]) -> Result<(), StoreError> {
    store.gaps(&[], 1).await?;
    store.holdings(wallets).await.map(drop)
}

async fn validate(store: &Store, wallets: &[Wallet]) -> Result<(), StoreError> {
    store.holdings(wallets).await?;
    store.wallet_flows(wallets, false).await.map(drop)
}
