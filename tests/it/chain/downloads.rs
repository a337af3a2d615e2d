//! Files behind a URL: what a server may do to a download, and what does not go along to where it leads.

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::files::{csv_text, lines};
use super::*;

/// How an answer ends.
#[derive(Clone, Copy, PartialEq)]
enum End {
    Closes,
    Hangs,
}

/// A server that gives the same bytes to whoever asks; what it was asked is kept.
struct Host {
    address: SocketAddr,
    asked: Arc<Mutex<Vec<String>>>,
    server: tokio::task::JoinHandle<()>,
}

impl Host {
    async fn new(answer: impl Fn(SocketAddr) -> String, end: End) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (answer, asked) = (answer(address), Arc::<Mutex<Vec<String>>>::default());
        let kept = asked.clone();
        let server = tokio::spawn(async move {
            let mut open = Vec::new();
            while let Ok((mut stream, _)) = listener.accept().await {
                let mut request = vec![0; 16_384];
                let length = stream.read(&mut request).await.unwrap_or_default();
                kept.lock().unwrap().push(String::from_utf8_lossy(&request[..length]).to_lowercase());
                // Whoever has had enough may be gone.
                let _ = stream.write_all(answer.as_bytes()).await;
                if end == End::Hangs {
                    open.push(stream);
                }
            }
        });
        Self { address, asked, server }
    }

    fn url(&self) -> String {
        format!("http://user:s3cret@{}/sets/preparations.csv?key=s3cret", self.address)
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        self.server.abort();
    }
}

fn head(status: &str, more: &str) -> String {
    format!("HTTP/1.1 {status}\r\nconnection: close\r\n{more}\r\n")
}

/// Takes conditions from a URL; the exit code and what was told.
fn take(scene: &Scene, url: &str) -> (Option<i32>, String) {
    let output = Command::new(BACKFILL)
        .args(["chain", "--preparations", url, "--progress", "none", "--request-timeout", "300ms"])
        .args(scene.world.arguments())
        .output()
        .unwrap();
    (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_download_that_breaks_stalls_or_leads_nowhere_is_one_message_and_writes_nothing() {
    let scene = Scene::new(62, 600, 2_000).await;
    let text = csv_text(&lines(&scene, false, 0).0, 5);
    let half = &text[..text.len() / 2];
    let length = format!("content-length: {}\r\n", text.len());
    for (what, answer, end) in [
        ("a body that ends too early", head("200 OK", &length) + half, End::Closes),
        (
            "a chunk that ends too early",
            head("200 OK", "transfer-encoding: chunked\r\n") + "fff\r\n" + half,
            End::Closes,
        ),
        ("a body that stalls", head("200 OK", &length) + half, End::Hangs),
        ("no answer", String::new(), End::Hangs),
        ("no HTTP", text.clone(), End::Closes),
        ("a page that is gone", head("404 Not Found", "content-length: 0\r\n"), End::Closes),
        ("a host that has enough", head("429 Too Many Requests", "content-length: 0\r\n"), End::Closes),
        ("a redirect without a place", head("302 Found", "content-length: 0\r\n"), End::Closes),
        ("a redirect to a file", head("302 Found", "location: file:///etc/hostname\r\n"), End::Closes),
    ] {
        let host = Host::new(|_| answer.clone(), end).await;
        let (code, told) = take(&scene, &host.url());
        let errors: Vec<_> = told.lines().filter(|line| line.starts_with("error:")).collect();
        assert_eq!((code, errors.len()), (Some(1), 1), "{what}: {told}");
        assert!(errors[0].contains("preparations.csv") && errors[0].contains("again"), "{what}: {told}");
        assert!(!told.contains("s3cret"), "{what}: {told}");
    }
    let circle = |address| head("302 Found", &format!("location: http://{address}/sets/a.csv\r\n"));
    let circle = Host::new(circle, End::Closes).await;
    let (code, told) = take(&scene, &circle.url());
    assert_eq!((code, told.contains("redirects")), (Some(1), true), "{told}");
    let page = "<html>Sign in to go on</html>\n";
    let page = head("200 OK", &format!("content-length: {}\r\n", page.len())) + page;
    let page = Host::new(|_| page.clone(), End::Closes).await;
    let (code, told) = take(&scene, &page.url());
    assert_eq!((code, told.contains("its columns are")), (Some(2), true), "{told}");

    let left: u64 = scene.world.one("SELECT count() FROM {s}.chain_conditions").await;
    let tables = "SELECT count() FROM system.tables WHERE database = '{s}' AND name LIKE 'backfill_tmp%'";
    assert_eq!((left, scene.world.one::<u64>(tables).await), (0, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redirect_is_followed_and_nothing_secret_goes_along() {
    let scene = Scene::new(63, 600, 2_000).await;
    let text = csv_text(&lines(&scene, false, 0).0, 5);
    let whole = head("200 OK", &format!("content-length: {}\r\n", text.len())) + &text;
    let there = Host::new(|_| whole.clone(), End::Closes).await;
    // By its name it is another host than the one that leads there.
    let leads = format!("location: http://localhost:{}/elsewhere\r\n", there.address.port());
    let here = Host::new(|_| head("302 Found", &leads), End::Closes).await;
    let (code, told) = take(&scene, &here.url());
    assert_eq!(code, Some(0), "{told}");
    let conditions: u64 = scene.world.one("SELECT count() FROM {s}.chain_conditions FINAL").await;
    assert_eq!(conditions, scene.chain.conditions());
    let first = here.asked.lock().unwrap().join("\n");
    assert!(first.contains("authorization: basic") && first.contains("key=s3cret"), "{first}");
    let second = there.asked.lock().unwrap().join("\n");
    for secret in ["authorization", "referer", "s3cret"] {
        assert!(!second.contains(secret), "{second}");
    }
}
