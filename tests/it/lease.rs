//! One holder of a piece of work at a time, on whatever hosts the processes run.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use backfill::process_lock::ProcessIdentity;
use backfill::store::lease::LeaseError;

use crate::common::World;

/// A process of another host, of which nobody here can tell whether it is alive.
fn elsewhere(number: usize) -> ProcessIdentity {
    ProcessIdentity::parse(&format!("host{number}/boot/1 {} 7", 1_000 + number)).unwrap()
}

async fn world_with_staging() -> World {
    let world = World::new().await;
    world.run("CREATE DATABASE {s}").await;
    world
}

#[tokio::test]
async fn of_many_processes_that_come_at_once_one_has_the_lease_and_the_others_are_told_who() {
    let world = world_with_staging().await;
    let store = world.store().await;
    let (held, taken, refused) = (AtomicUsize::new(0), AtomicUsize::new(0), AtomicUsize::new(0));
    let counters = Arc::new((held, taken, refused));
    let mut contenders = tokio::task::JoinSet::new();
    for number in 0..12 {
        let (store, counters) = (store.clone(), counters.clone());
        contenders.spawn(async move {
            let us = elsewhere(number);
            for _ in 0..6 {
                match store.lease("dome", &[], &us).await {
                    Ok(lease) => {
                        assert_eq!(counters.0.fetch_add(1, Ordering::SeqCst), 0, "two holders at a time");
                        tokio::task::yield_now().await;
                        counters.0.fetch_sub(1, Ordering::SeqCst);
                        counters.1.fetch_add(1, Ordering::SeqCst);
                        lease.release().await.unwrap();
                    }
                    Err(LeaseError::Held(holder)) => {
                        assert!(holder.process.host_name().starts_with("host"), "{holder:?}");
                        counters.2.fetch_add(1, Ordering::SeqCst);
                    }
                    Err(LeaseError::Overtaken(_)) => {}
                    Err(LeaseError::Store(error)) => panic!("{error}"),
                }
            }
        });
    }
    while let Some(done) = contenders.join_next().await {
        done.unwrap();
    }
    assert!(counters.1.load(Ordering::SeqCst) > 0 && counters.2.load(Ordering::SeqCst) > 0);
    let left: u64 = world
        .one("SELECT count() FROM system.tables WHERE database = '{s}' AND startsWith(name, 'backfill_lease_dome_')")
        .await;
    assert!(left <= 2, "{left} tables are left of so many leases");
}

#[tokio::test]
async fn a_holder_that_died_elsewhere_is_followed_when_its_lease_expires_and_one_of_this_host_at_once() {
    let world = world_with_staging().await;
    let store = world.store().await;
    // Dropped without a release, as by a crash.
    drop(store.lease("merge", &[], &elsewhere(1)).await.unwrap());
    let us = ProcessIdentity::current();
    let Err(LeaseError::Held(holder)) = store.lease("merge", &[], &us).await else { panic!("it is held") };
    assert_eq!((holder.work.as_str(), holder.process.clone()), ("merge", elsewhere(1)));
    let told = LeaseError::Held(holder).to_string();
    assert!(told.contains("host1") && told.contains("1001") && told.contains("merge"), "{told}");
    // Its last sign of life as it would be a minute later.
    world.run("TRUNCATE TABLE {s}.backfill_lease_merge_1").await;
    world.run("INSERT INTO {s}.backfill_lease_merge_1 SELECT 'lease', now64(3) - 60, false").await;
    let lease = store.lease("merge", &[], &us).await.unwrap();
    assert!(store.lease("merge", &[], &elsewhere(2)).await.is_err());
    lease.release().await.unwrap();
    let gone = ProcessIdentity::parse(&format!("{} 4294967295 1", us.host)).unwrap();
    drop(store.lease("merge", &[], &gone).await.unwrap());
    store.lease("merge", &[], &us).await.unwrap().release().await.unwrap();
}

#[tokio::test]
async fn what_must_not_run_beside_each_other_is_refused_whoever_comes_first() {
    let world = world_with_staging().await;
    let store = world.store().await;
    let track = store.lease("dome", &["setup"], &elsewhere(1)).await.unwrap();
    let Err(LeaseError::Held(holder)) = store.lease("setup", &["dome", "goldsky"], &elsewhere(2)).await
    else {
        panic!("a track is running")
    };
    assert_eq!((holder.work.as_str(), holder.process), ("dome", elsewhere(1)));
    // The refused one is not in anybody's way.
    let other = store.lease("goldsky", &["setup"], &elsewhere(3)).await.unwrap();
    track.release().await.unwrap();
    other.release().await.unwrap();
    let setup = store.lease("setup", &["dome", "goldsky"], &elsewhere(2)).await.unwrap();
    assert!(matches!(store.lease("dome", &["setup"], &elsewhere(1)).await, Err(LeaseError::Held(_))));
    setup.release().await.unwrap();
}
