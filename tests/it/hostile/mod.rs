//! Peers that mean harm: whatever answers over the network, each command ends by itself, within its memory, with the exit
//! code of what happened, and shows nothing that acts on a terminal and no key.
//!
//! The suite tries each answer on one of the peers that it may come from; `HOSTILE=all` tries it on every one.

mod answers;
mod server;

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use backfill::demo::{Universe, UniverseOptions};
use backfill::phases::setup::{self, SetupOptions};
use backfill::source::Source;
use backfill::store::workload::Share;
use futures_util::StreamExt;

use crate::common::{BACKFILL, World, nobody, unique};
use answers::{ACTING, Answer, KEY};
use server::Action;

/// What a command may take of memory, all in all: what the README states.
const MOST_MEMORY_KB: u64 = 300 * 1024;

/// Within which every command ends: `GIVE_UP_AFTER` is a second here, and so is `REQUEST_TIMEOUT`.
const LONGEST: Duration = Duration::from_secs(60);

/// Whoever answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Target {
    /// A source that is asked for tokens.
    Lookup(Source),
    /// The CLOB's list of markets.
    Catalogue,
    /// A provider of the chain.
    Chain,
    /// ClickHouse, from its first answer on.
    Connect,
    /// ClickHouse, after its first answer.
    ClickHouse,
}

impl Target {
    const ALL: [Self; 8] = [
        Self::Lookup(Source::Dome),
        Self::Lookup(Source::Goldsky),
        Self::Lookup(Source::Gamma),
        Self::Lookup(Source::Tokens),
        Self::Catalogue,
        Self::Chain,
        Self::Connect,
        Self::ClickHouse,
    ];

    fn name(self) -> &'static str {
        match self {
            Self::Lookup(source) => source.name(),
            Self::Catalogue => "clob",
            Self::Chain => "chain",
            Self::Connect => "connect",
            Self::ClickHouse => "clickhouse",
        }
    }

    /// The command that asks it, led to `url`.
    fn arguments(self, url: &str) -> Vec<String> {
        let source = match self {
            Self::Lookup(source) => source,
            Self::Catalogue => Source::Clob,
            Self::Chain => {
                let url = format!("{url}/v2/{KEY}");
                return ["chain", "--chain-url", &url].map(str::to_owned).to_vec();
            }
            Self::Connect | Self::ClickHouse => return vec!["verify".to_owned()],
        };
        let api = source.info().api.as_ref().unwrap();
        let flag = |setting: &str| format!("--{}", setting.to_lowercase().replace('_', "-"));
        vec![source.name().to_owned(), flag(api.url.name), url.to_owned()]
    }
}

/// What came of a case.
struct Ended {
    name: String,
    code: Option<i32>,
    peak_kb: u64,
    /// What was shown and kept, by where.
    texts: Vec<(String, Vec<u8>)>,
}

/// Runs the program on the tables of `shared`, with a staging database and a folder of its own, until it ends.
async fn run(shared: &World, target: Target, answer: Answer) -> Ended {
    let name = format!("{}: {}", target.name(), answer.name);
    let mut world = World {
        url: shared.url.clone(),
        database: shared.database.clone(),
        staging: unique("hostile"),
        folder: tempfile::tempdir().unwrap(),
        kept: Arc::default(),
    };
    if let Target::Lookup(source) = target {
        let options = SetupOptions { shares: vec![Share { source, weight: 1 }], ..SetupOptions::default() };
        setup::run(&world.context(&[]).await, &options).await.unwrap();
    }
    let behaviour = answer.behaviour.clone();
    let peer = match target {
        // It proves itself to be a ClickHouse before anything else is asked of it.
        Target::ClickHouse => server::start(Arc::new(move |number| match number {
            0 => Action::Send(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nbackfill\n".to_vec()),
            _ => behaviour(number),
        })),
        _ => server::start(behaviour),
    };
    if matches!(target, Target::Connect | Target::ClickHouse) {
        world.url.clone_from(&peer);
    }
    let folder = world.folder.path();
    let mut command = tokio::process::Command::new(BACKFILL);
    command
        .args(target.arguments(&peer))
        .args(world.arguments())
        .args(["--request-timeout", "1s", "--give-up-after", "1s", "-v"])
        .arg(format!("--log-file={}", folder.join("all.log").display()))
        .current_dir(folder)
        .env_clear()
        .envs(nobody())
        .envs(["DOME_API_KEY", "GOLDSKY_API_KEY"].map(|name| (name, KEY)))
        .envs(matches!(target, Target::Connect | Target::ClickHouse).then_some(("CLICKHOUSE_PASSWORD", KEY)))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    let child = command.spawn().unwrap();
    let pid = child.id().unwrap();
    let mut peak_kb = 0;
    let output = {
        let output = tokio::time::timeout(LONGEST, child.wait_with_output());
        tokio::pin!(output);
        let mut look = tokio::time::interval(Duration::from_millis(10));
        loop {
            tokio::select! {
                output = &mut output => break output.unwrap_or_else(|_| panic!("{name} does not end, and takes {peak_kb} KB")).unwrap(),
                _ = look.tick() => peak_kb = peak_kb.max(peak_of(pid)),
            }
        }
    };
    let mut texts = vec![("stdout".to_owned(), output.stdout), ("stderr".to_owned(), output.stderr)];
    texts.extend(
        files(folder).into_iter().map(|file| (file.display().to_string(), std::fs::read(&file).unwrap())),
    );
    shared.run(&format!("DROP DATABASE IF EXISTS {}", world.staging)).await;
    Ended { name, code: output.status.code(), peak_kb, texts }
}

/// The most memory that a process had so far, in KB; 0 where it is gone.
fn peak_of(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|text| text.trim().trim_end_matches(" kB").parse().ok()).unwrap_or_default()
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}

fn check(ended: &Ended, problems: &mut Vec<String>) {
    let Ended { name, code, peak_kb, texts } = ended;
    let has_key = !["clob", "gamma", "tokens"].iter().any(|keyless| name.starts_with(keyless));
    let mut problem = |text: String| problems.push(format!("{name}: {text}"));
    // 2 is a first block above the head that the provider claims to have.
    let usage = name.starts_with("chain") && *code == Some(2);
    if !usage && !matches!(code, Some(0 | 1 | 3 | 4)) {
        let said = String::from_utf8_lossy(&texts[1].1);
        problem(format!("exit code {code:?}: {}", said.chars().take(400).collect::<String>()));
    }
    if *peak_kb > MOST_MEMORY_KB {
        problem(format!("{} MB of memory", peak_kb / 1024));
    }
    for (place, bytes) in texts {
        let text = String::from_utf8_lossy(bytes);
        if let Some(acting) = ACTING.chars().find(|c| !c.is_ascii_graphic() && text.contains(*c)) {
            problem(format!("{acting:?} stands in {place}"));
        }
        if has_key && text.contains(KEY) {
            problem(format!("the key stands in {place}"));
        }
        if bytes.len() > 200_000 {
            problem(format!("{} kB stand in {place}", bytes.len() / 1000));
        }
    }
}

/// Which answers go to which peers.
fn cases() -> Vec<(Target, Answer)> {
    let all = std::env::var("HOSTILE").is_ok_and(|text| text == "all");
    let mut cases = Vec::new();
    for (nth, target) in Target::ALL.into_iter().enumerate() {
        let own = match target {
            Target::Lookup(_) => answers::lookups(),
            Target::Catalogue => answers::catalogues(),
            Target::Chain => answers::providers(),
            Target::ClickHouse => answers::servers(),
            Target::Connect => Vec::new(),
        };
        let spread = |answers: Vec<Answer>, peers: usize| {
            let mine = move |number: usize| all || number % peers == nth % peers;
            answers.into_iter().enumerate().filter(move |(number, _)| mine(*number)).map(|(_, answer)| answer)
        };
        let peers = if matches!(target, Target::Lookup(_)) { 4 } else { 1 };
        cases.extend(spread(answers::general(), Target::ALL.len()).map(|answer| (target, answer)));
        cases.extend(spread(own, peers).map(|answer| (target, answer)));
    }
    cases
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_answers_every_command_ends_within_its_bounds() {
    let options = UniverseOptions {
        traded_tokens: 600,
        mapped_tokens: 100,
        fills: 1_800,
        ..UniverseOptions::default()
    };
    let universe = Universe::generate(options).unwrap();
    let world = World::with(&universe).await;
    let cases = cases();
    assert!(cases.len() >= 60, "{} cases", cases.len());
    let running = cases.into_iter().map(|(target, answer)| run(&world, target, answer));
    let ended: Vec<Ended> = futures_util::stream::iter(running).buffer_unordered(24).collect().await;
    let mut problems = Vec::new();
    for case in &ended {
        let said = String::from_utf8_lossy(&case.texts[1].1);
        let last = said.lines().last().unwrap_or_default();
        println!("{:?} {:>4} MB {} | {last}", case.code, case.peak_kb / 1024, case.name);
        check(case, &mut problems);
    }
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}
