//! No ClickHouse client follows a redirect: the password is in a header, which would go along.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::common::World;
use backfill::store::Store;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

/// Answers the first `healthy` requests as ClickHouse would, and all others with a redirect to `target`, or, where there
/// is none, as if all were well; counts the connections.
async fn peer(status: u16, healthy: usize, target: Option<String>) -> (String, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let asked = Arc::new(AtomicUsize::new(0));
    let counter = asked.clone();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let number = counter.fetch_add(1, Ordering::SeqCst);
            let mut buffer = [0; 4096];
            let _ = stream.read(&mut buffer).await;
            let answer = match &target {
                Some(target) if number >= healthy => {
                    format!("HTTP/1.1 {status} Elsewhere\r\nLocation: {target}/?password=x\r\n")
                }
                _ => "HTTP/1.1 200 OK\r\n".to_owned(),
            };
            let answer = format!("{answer}Content-Length: 9\r\nConnection: close\r\n\r\nbackfill\n");
            let _ = stream.write_all(answer.as_bytes()).await;
        }
    });
    (url, asked)
}

#[tokio::test(flavor = "multi_thread")]
async fn no_redirect_of_clickhouse_is_followed_and_the_password_stays_here() {
    let world = World::new().await;
    for status in [301, 302, 303, 307, 308] {
        for healthy in [0, 1] {
            let (elsewhere, arrived) = peer(200, usize::MAX, None).await;
            let (url, asked) = peer(status, healthy, Some(elsewhere)).await;
            let mut settings = world.settings(&["--clickhouse-password", "hunter2"]).store;
            settings.url = url.parse().unwrap();
            let limit = std::time::Duration::from_secs(10);
            let error = match Store::connect(&settings, limit).await {
                Err(error) => error.to_string(),
                Ok(store) => store.run("asking", store.query("SELECT 1")).await.unwrap_err().to_string(),
            };
            assert_eq!(arrived.load(Ordering::SeqCst), 0, "HTTP {status} is followed");
            assert_eq!(asked.load(Ordering::SeqCst), healthy + 1);
            assert!(!error.contains("hunter2") && !error.contains("password=x"), "{error}");
            if healthy == 0 {
                assert!(
                    error.contains("redirects to 127.0.0.1") && error.contains("CLICKHOUSE_URL"),
                    "{error}"
                );
            }
        }
    }
}
