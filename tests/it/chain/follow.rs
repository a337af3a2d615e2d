//! Staying at the head: every block that becomes final is read, a signal ends it well, and an outage does not end it.

use std::process::{Child, Stdio};

use backfill::demo::stand_in::Outage;
use serde_json::Value;

use super::*;

impl Scene {
    /// A process that stays at the head, with a look at it every 20 ms.
    fn follower(&self, provider: &ChainStandIn, more: &[&str]) -> Child {
        Command::new(BACKFILL)
            .args(["chain", "--follow=20ms", "--format", "json", "--progress", "none"])
            .args(self.world.arguments())
            .args(Self::settings(&[provider]))
            .args(more)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap()
    }

    /// Waits until all blocks up to this one are said to be read.
    async fn read_up_to(&self, block: u64, follower: &mut Child) {
        let sql = format!(
            "SELECT count() FROM system.tables WHERE database = '{{s}}' AND name = 'chain_ranges' \
             AND {block} <= (SELECT max(to_block) FROM {{s}}.chain_ranges)"
        );
        let there = "SELECT count() FROM system.tables WHERE database = '{s}' AND name = 'chain_ranges'";
        while self.world.one::<u64>(there).await == 0 || self.world.one::<u64>(&sql).await == 0 {
            assert!(follower.try_wait().unwrap().is_none(), "it has ended");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

/// Sends SIGTERM; the exit code, the result and what was told.
fn end(follower: Child) -> (Option<i32>, Value, String) {
    let pid = rustix::process::Pid::from_child(&follower);
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
    let output = follower.wait_with_output().unwrap();
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    let result = serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{told}"));
    (output.status.code(), result, told)
}

#[tokio::test(flavor = "multi_thread")]
async fn blocks_are_read_as_they_become_final_until_a_signal_ends_it_well() {
    let scene = Scene::new(58, 600, 20_000).await;
    let layout = scene.chain.layout();
    let provider = scene.provider(ChainHabits::portal()).await;
    provider.set_head(layout.first_block + 10_000);
    let mut follower = scene.follower(&provider, &[]);
    for head in [10_000, 10_001, 13_000, 13_002, layout.blocks - 1] {
        let head = layout.first_block + head;
        provider.set_head(head);
        scene.read_up_to(head, &mut follower).await;
    }
    // A host that is away for a while is waited for.
    provider.set_outage(Outage::Unavailable);
    let seen = provider.counters().requests;
    while provider.counters().requests < seen + 5 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    provider.set_outage(Outage::None);
    provider.set_head(layout.last_block() + 50);
    scene.read_up_to(layout.last_block() + 50, &mut follower).await;
    let (code, result, told) = end(follower);
    assert_eq!((code, &result["holes"]), (Some(0), &0.into()), "{told}");
    assert_eq!(result["to_block"], layout.last_block() + 50);
    assert!(told.contains("No provider says which block is final"), "{told}");
    assert!(told.contains("says again which block is final"), "{told}");
    scene.assert_whole().await;
    let ranges: u64 = scene.world.one("SELECT count() FROM {s}.chain_ranges FINAL").await;
    assert!(ranges < 5, "the table stays small however long the head is followed: {ranges} rows");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_outage_that_outlasts_what_outages_may_last_ends_it_with_work_left() {
    let scene = Scene::new(59, 600, 2_000).await;
    let provider = scene.provider(ChainHabits::node()).await;
    // ClickHouse has as long for an answer, on a busy machine too.
    let mut follower = scene.follower(&provider, &["--give-up-after", "5s"]);
    scene.read_up_to(scene.chain.layout().last_block(), &mut follower).await;
    provider.set_outage(Outage::Unavailable);
    let output = follower.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(4), "{}", String::from_utf8_lossy(&output.stderr));
}
