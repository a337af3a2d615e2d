//! What a broken, compromised or malicious peer may answer.

use std::io::Write;
use std::sync::Arc;
use std::time::Duration;

use super::server::{Action, Behaviour};

/// A behaviour, and what it is called.
pub struct Answer {
    /// What it does.
    pub name: &'static str,
    /// How.
    pub behaviour: Behaviour,
}

/// Characters that act on whoever shows them.
pub const ACTING: &str = "\u{1b}[2J\u{1b}]0;mine\u{7}\u{202e}\u{2028}\u{200b}\u{9b}31m";

/// The key that every command here is given: it may stand nowhere.
pub const KEY: &str = "s3cret-0f-mine";

/// A token that may be asked for, as any other.
const TOKEN: &str = "14557944883400223565643640243919774851380876937588843424705199812983475639104";

fn ok(body: impl AsRef<[u8]>) -> Vec<u8> {
    let body = body.as_ref();
    head(&format!("200 OK\r\ncontent-type: application/json\r\ncontent-length: {}", body.len()), body)
}

fn head(status_and_headers: &str, body: impl AsRef<[u8]>) -> Vec<u8> {
    [format!("HTTP/1.1 {status_and_headers}\r\n\r\n").as_bytes(), body.as_ref()].concat()
}

const CHUNKED: &str = "200 OK\r\ncontent-type: application/json\r\ntransfer-encoding: chunked";

fn chunk(text: &[u8]) -> Vec<u8> {
    [format!("{:x}\r\n", text.len()).as_bytes(), text, b"\r\n"].concat()
}

/// Zeros that are small on the wire.
fn bomb() -> Vec<u8> {
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    let zeros = vec![b' '; 1 << 20];
    (0..400).for_each(|_| packed.write_all(&zeros).unwrap());
    packed.finish().unwrap()
}

fn error(status: &str, message: &str) -> Vec<u8> {
    let body = serde_json::json!({"error": message, "message": message}).to_string();
    head(&format!("{status}\r\ncontent-type: application/json\r\ncontent-length: {}", body.len()), body)
}

fn fixed(name: &'static str, action: Action) -> Answer {
    Answer { name, behaviour: Arc::new(move |_| action.clone()) }
}

fn sends(name: &'static str, bytes: Vec<u8>) -> Answer {
    fixed(name, Action::Send(bytes))
}

fn computed(name: &'static str, behaviour: impl Fn(usize) -> Action + Send + Sync + 'static) -> Answer {
    Answer { name, behaviour: Arc::new(behaviour) }
}

/// What any peer may answer to anything.
pub fn general() -> Vec<Answer> {
    let moment = Duration::from_millis(50);
    vec![
        sends("an empty body", ok("")),
        sends("null", ok("null")),
        sends("an empty list", ok("[]")),
        sends("an empty object", ok("{}")),
        sends("a page of HTML", ok("<html><script>alert(1)</script>")),
        sends("bytes that are no UTF-8", ok([0xff, 0xfe, 0x00, 0xc0, 0x80])),
        sends("a body cut short", head("200 OK\r\ncontent-length: 100000", "{\"markets\":[")),
        sends("a chunk cut short", head(CHUNKED, b"ffff\r\n{\"data\":[")),
        sends("a chunk without a size", head(CHUNKED, b"zz\r\n{}\r\n0\r\n\r\n")),
        sends("a chunk larger than any memory", head(CHUNKED, b"ffffffffffffffff\r\n{}")),
        sends("a length below zero", head("200 OK\r\ncontent-length: -5", "{}")),
        sends("a length of a terabyte", head("200 OK\r\ncontent-length: 1099511627776", "{")),
        sends("two lengths", head("200 OK\r\ncontent-length: 2\r\ncontent-length: 9", "{}")),
        sends("nothing at all", Vec::new()),
        sends("no HTTP", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03".to_vec()),
        sends("a status that is none", head("9999999999 OK", "{}")),
        sends("a header of five megabytes", head(&format!("200 OK\r\nx: {}", "y".repeat(5 << 20)), "{}")),
        sends("a hundred thousand brackets", ok("[".repeat(100_000))),
        sends("objects in objects", ok("{\"data\":".repeat(100_000))),
        sends("a number of a megabyte", ok("9".repeat(1 << 20))),
        sends("a packed bomb", head("200 OK\r\ncontent-encoding: gzip", bomb())),
        sends("a body that is not packed as it says", head("200 OK\r\ncontent-encoding: gzip", "plain")),
        sends("too fast, wait for ever", head("429 X\r\nretry-after: 1e300\r\ncontent-length: 0", "")),
        sends("too fast, wait less than nothing", head("429 X\r\nretry-after: -7\r\ncontent-length: 0", "")),
        sends("an error that acts on a terminal", error("500 X", ACTING)),
        sends("a refusal that repeats the key", error("401 X", &format!("bad key {KEY}"))),
        sends("a key with a control character in it", error("400 X", "bad key s3cret-\u{0}0f-mine")),
        sends("a refusal of ten megabytes", error("400 X", &"x".repeat(10 << 20))),
        sends("gone for good, with escapes", error("410 X", ACTING)),
        sends("to another host", head("307 X\r\nlocation: http://127.0.0.1:9/\r\ncontent-length: 0", "")),
        sends("to itself", head("302 X\r\nlocation: /\r\ncontent-length: 0", "")),
        fixed(
            "a list that does not end",
            Action::Repeat(head(CHUNKED, b""), chunk(&b"[[],".repeat(4_096)), Duration::ZERO),
        ),
        fixed(
            "blanks that do not end",
            Action::Repeat(head(CHUNKED, b""), chunk(&[b' '; 16_384]), Duration::ZERO),
        ),
        fixed(
            "headers that do not end",
            Action::Repeat(b"HTTP/1.1 200 OK\r\n".to_vec(), b"x: y\r\n".to_vec(), Duration::ZERO),
        ),
        fixed(
            "to be continued, for ever",
            Action::Repeat(Vec::new(), b"HTTP/1.1 100 Continue\r\n\r\n".to_vec(), Duration::ZERO),
        ),
        fixed("a byte now and then", Action::Repeat(head(CHUNKED, b""), chunk(b" "), moment)),
        fixed("silence", Action::Hang(Vec::new())),
        fixed("silence behind the headers", Action::Hang(head("200 OK\r\ncontent-length: 10", ""))),
        fixed(
            "silence behind half a body",
            Action::Hang(head("200 OK\r\ncontent-length: 100", "{\"data\":[")),
        ),
    ]
}

/// What a look-up may answer: the shapes of all four are in each.
pub fn lookups() -> Vec<Answer> {
    let of = |record: serde_json::Value| {
        let records = serde_json::json!([record]);
        ok(serde_json::json!({
            "markets": records, "data": {"tokenIdConditions": records}, "pagination": {"has_more": false},
        })
        .to_string())
    };
    let label = |label: &str| {
        serde_json::json!({
            "condition_id": format!("0x{}", "7".repeat(64)), "conditionId": format!("0x{}", "7".repeat(64)),
            "side_a": {"id": TOKEN, "label": label}, "side_b": {"id": TOKEN, "label": label},
            "id": TOKEN, "condition": {"id": label}, "complement": label,
            "token_id": TOKEN, "outcome": label, "title": label, "market_slug": label, "question": label,
            "clobTokenIds": serde_json::json!([TOKEN]).to_string(),
            "outcomes": serde_json::json!([label]).to_string(),
        })
    };
    let more = |key: String| {
        let pagination = serde_json::json!({"has_more": true, "pagination_key": key});
        ok(serde_json::json!({"markets": [], "pagination": pagination}).to_string())
    };
    vec![
        sends("records of other types", of(serde_json::json!([1, "x", null, {"id": []}]))),
        sends("texts that act on a terminal", of(label(ACTING))),
        sends("texts of 200 kB", of(label(&"L".repeat(200_000)))),
        sends("a formula for a label", of(label("=HYPERLINK(\"http://127.0.0.1\")"))),
        sends(
            "ids of 100,000 digits",
            of(serde_json::json!({"id": "9".repeat(100_000), "condition": {"id": "x"}})),
        ),
        sends(
            "a million empty records",
            ok(format!(
                "{{\"markets\":[{0}],\"pagination\":{{\"has_more\":false}},\"data\":{{\"tokenIdConditions\":[{0}]}}}}",
                vec!["{}"; 1_000_000].join(",")
            )),
        ),
        sends("a page that has more, under the same key", more("again".to_owned())),
        computed("pages that have more, for ever", move |number| Action::Send(more(number.to_string()))),
        sends("a page that has more, under a key of 3 MB", more("k".repeat(3 << 20))),
        sends(
            "errors of GraphQL that act on a terminal",
            ok(serde_json::json!({"data": null, "errors": [{"message": format!("{ACTING}{KEY}")}]})
                .to_string()),
        ),
    ]
}

/// What a catalogue may answer.
pub fn catalogues() -> Vec<Answer> {
    let page = |markets: &str, cursor: &str| {
        let cursor = serde_json::json!(cursor);
        ok(format!("{{\"data\":[{markets}],\"next_cursor\":{cursor}}}"))
    };
    let market = |number: usize| {
        format!(
            "{{\"condition_id\":\"0x{number:064x}\",\"tokens\":[{{\"token_id\":\"{}\",\"outcome\":\"Yes\"}}]}}",
            number + 1
        )
    };
    vec![
        computed("cursors that go round", move |number| {
            let next = ["QQ", "Qg"][number % 2];
            Action::Send(page(&market(number), next))
        }),
        computed("empty pages under new cursors", move |number| {
            Action::Send(page("", &format!("c{}", number)))
        }),
        computed("the first page under new cursors", move |number| {
            Action::Send(page(&market(1), &format!("c{}", number)))
        }),
        sends("a cursor to itself", page(&market(1), "")),
        sends("a cursor that acts on a terminal", page(&market(1), ACTING)),
        sends("a cursor of 3 MB", page(&market(1), &"c".repeat(3 << 20))),
        sends("a number as its cursor", ok("{\"data\":[],\"next_cursor\":7}")),
    ]
}

/// What a provider of the chain may answer: a node and a portal alike.
pub fn providers() -> Vec<Answer> {
    let node = |result: &str| ok(format!("{{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{result}}}"));
    vec![
        sends("a chain that is no number", node("\"0xzz\"")),
        sends("another chain", node("\"0x1\"")),
        sends("a head above any number", ok(format!("{{\"number\":{}}}", "9".repeat(40)))),
        sends("Polygon's id for everything", node("\"0x89\"")),
        sends(
            "an error that acts on a terminal",
            ok(serde_json::json!({"jsonrpc": "2.0", "id": 1, "error": {"code": -32000, "message": ACTING}})
                .to_string()),
        ),
        sends("a portal without a head", ok("{\"number\":null}")),
    ]
}

/// What a ClickHouse may answer to a query for rows, or a proxy in front of it.
pub fn servers() -> Vec<Answer> {
    // The names and types of system.columns' two columns.
    let names = b"\x02\x04name\x09type_name\x06String\x06String".to_vec();
    let after = |more: &[u8]| ok([names.as_slice(), more].concat());
    let rows = b"\x05alpha\x06String".repeat(1_000);
    vec![
        sends("2^62 columns", ok(b"\xff\xff\xff\xff\xff\xff\xff\xff\x3f")),
        sends("a text of 2^62 bytes", after(b"\xff\xff\xff\xff\xff\xff\xff\xff\x3f")),
        sends("a row cut short", after(b"\x05al")),
        sends("columns of other types", ok(b"\x02\x04name\x09type_name\x06UInt64\x07Float64\x00")),
        sends("a type that nests for ever", ok([b"\x01\x04name\xff\xff\x03".as_slice(), &b"Array(".repeat(9_000)].concat())),
        sends("an error in the middle of the rows", after(
            format!("\x05alpha\x06StringCode: 395. DB::Exception: {ACTING} (FUNCTION_THROW_IF_VALUE_IS_NON_ZERO)").as_bytes(),
        )),
        sends("an error that acts on a terminal", head(
            "500 X\r\nx-clickhouse-exception-code: 60\r\ntransfer-encoding: identity",
            format!("Code: 60. DB::Exception: {ACTING} {KEY}"),
        )),
        fixed("rows that do not end", Action::Repeat(head("200 OK", &names), rows, Duration::ZERO)),
    ]
}
