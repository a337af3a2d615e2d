//! The contract of every command: the names and types of its JSON, the words of its page, its flags. A change of any of
//! them shows as a change of a file in `snapshots/`; `INSTA_UPDATE=always cargo test --test it snapshots::` writes them
//! anew.

use std::collections::BTreeMap;
use std::process::{Command, Stdio};
use std::sync::Arc;

use backfill::demo::{StandIn, StandInOptions, Universe};
use serde_json::Value;

use crate::adding_up;
use crate::common::{BACKFILL, World, small_universe};

/// What `prove` is asked about.
const PAIR: [&str; 2] = [
    "78433024518676680431174478322854148606578065650008220678402966840627347446876",
    "dd22472e552920b8438158ea7238bfadfa4f736aa4cee91a6b86c39ead110917",
];

/// Every command that comes to a result, in an order in which each has something to say.
const COMMANDS: [(&str, &[&str]); 18] = [
    ("doctor", &["doctor"]),
    ("run-dry", &["run", "--dry-run"]),
    ("derive", &["derive"]),
    ("setup", &["setup", "--tracks", "dome:40,goldsky:40,gamma:20"]),
    ("status-before", &["status"]),
    ("dome", &["dome"]),
    ("goldsky", &["goldsky"]),
    ("gamma", &["gamma"]),
    ("clob", &["clob"]),
    ("merge-dry", &["merge", "--dry-run", "--repair", "--labels"]),
    ("merge", &["merge", "--repair", "--labels"]),
    ("verify", &["verify"]),
    ("validate", &["validate"]),
    ("prove", &["prove", PAIR[0], PAIR[1]]),
    ("status", &["status"]),
    ("run", &["run", "--tracks", "dome,goldsky,gamma"]),
    ("demo", &["demo", "--tokens", "2000", "--fills", "5000", "--dome-tier", "pro"]),
    ("report", &["report"]),
];

/// Stand-ins of every source, and the command line that leads to them.
struct Scene {
    world: World,
    stand_ins: Vec<StandIn>,
    arguments: Vec<String>,
}

impl Scene {
    async fn new(universe: &Arc<Universe>) -> Self {
        let world = World::with(universe).await;
        let (mut stand_ins, mut arguments) = (Vec::new(), world.arguments());
        let sources = [
            ("--dome-api-url", StandInOptions::dome()),
            ("--goldsky-url", StandInOptions::goldsky()),
            ("--gamma-url", StandInOptions::gamma()),
            ("--clob-url", StandInOptions::clob()),
            ("--tokens-url", StandInOptions::tokens()),
        ];
        for (flag, options) in sources {
            let options = StandInOptions { windows: Vec::new(), ..options };
            let stand_in = StandIn::start(universe.clone(), options).await.unwrap();
            arguments.extend([flag.to_owned(), stand_in.url()]);
            stand_ins.push(stand_in);
        }
        for name in ["dome", "goldsky", "gamma", "clob", "tokens"] {
            arguments.extend([format!("--{name}-rate-limit"), "100000/1s".to_owned()]);
        }
        arguments.extend(["--dome-api-key", "demo", "--progress", "none", "-q"].map(str::to_owned));
        Self { world, stand_ins, arguments }
    }

    /// Standard output of a command.
    fn output(&self, command: &[&str], format: &str) -> String {
        let output = Command::new(BACKFILL)
            .args(&self.arguments)
            .args(["--format", format])
            .args(command)
            .current_dir(self.world.folder.path())
            .stdin(Stdio::null())
            .output()
            .unwrap();
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(matches!(output.status.code(), Some(0 | 3)), "{command:?}: {errors}");
        String::from_utf8(output.stdout).unwrap()
    }

    /// A text without what is this run's own: its databases, its folder, its numbers.
    fn normalised(&self, text: &str) -> String {
        let text = text
            .replace(&self.world.folder.path().display().to_string(), "FOLDER")
            .replace(&self.world.database, "DATABASE")
            .replace(&self.world.staging, "STAGING");
        let mut lines: Vec<String> = text.lines().map(without_numbers).collect();
        // How many months or positions there are is the universe's.
        lines.dedup();
        lines.join("\n")
    }
}

/// The line with `#` for each number or hexadecimal id, and with single spaces.
fn without_numbers(line: &str) -> String {
    let mut out = String::new();
    let mut rest = line.trim_end();
    while let Some(first) = rest.chars().next() {
        let word: String = rest.chars().take_while(|c| c.is_ascii_alphanumeric()).collect();
        let hex = word.strip_prefix("0x").unwrap_or(&word);
        let is_id = hex.len() >= 8 && hex.chars().all(|c| c.is_ascii_hexdigit());
        if is_id {
            out.push('#');
            rest = &rest[word.len()..];
        } else if first.is_ascii_digit() {
            let number = rest.chars().take_while(|c| c.is_ascii_digit() || matches!(c, ',' | '.')).count();
            let number = rest[..number].trim_end_matches([',', '.']).len();
            out.push('#');
            rest = &rest[number..];
        } else if first == ' ' {
            let spaces = rest.len() - rest.trim_start_matches(' ').len();
            out.push_str(if spaces == 1 { " " } else { "  " });
            rest = &rest[spaces..];
        } else {
            let step = word.len().max(first.len_utf8());
            out.push_str(&rest[..step]);
            rest = &rest[step..];
        }
    }
    out
}

/// Every value's place and type, a list's items as one. A place that is null in one item and a number in another has both.
fn shape(value: &Value) -> String {
    let mut found = BTreeMap::new();
    walk(value, "", &mut found);
    found
        .into_iter()
        .map(|(place, kinds)| format!("{place}: {}", kinds.join(" or ")))
        .collect::<Vec<_>>()
        .join("\n")
}

fn walk(value: &Value, place: &str, found: &mut BTreeMap<String, Vec<&'static str>>) {
    let kind = match value {
        Value::Null => "null",
        Value::Bool(_) => "true or false",
        Value::Number(number) if number.is_f64() => "number",
        Value::Number(_) => "integer",
        Value::String(text) => kind_of(text),
        Value::Array(items) => {
            items.iter().for_each(|item| walk(item, &format!("{place}[]"), found));
            "list"
        }
        Value::Object(fields) => {
            for (name, value) in fields {
                walk(value, &format!("{place}.{name}"), found);
            }
            "object"
        }
    };
    let kinds = found.entry(place.to_owned()).or_default();
    if !kinds.contains(&kind) {
        kinds.push(kind);
        kinds.sort_unstable();
    }
}

/// Money has six decimals.
fn kind_of(text: &str) -> &'static str {
    let decimals = text.split_once('.').map_or("", |(_, decimals)| decimals);
    let money =
        decimals.len() == 6 && text.trim_start_matches('-').chars().all(|c| c.is_ascii_digit() || c == '.');
    match text.parse::<jiff::Timestamp>() {
        Ok(_) => "time",
        Err(_) if money => "money",
        Err(_) if !text.is_empty() && text.trim_start_matches('-').chars().all(|c| c.is_ascii_digit()) => {
            "digits"
        }
        Err(_) => "text",
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_names_and_types_of_every_result_are_what_they_were() {
    let scene = Scene::new(&small_universe(71)).await;
    for (name, command) in COMMANDS {
        let output = scene.output(command, "json");
        let object: Value = serde_json::from_str(&output).unwrap_or_else(|_| panic!("{name}: {output}"));
        insta::assert_snapshot!(format!("json-{name}"), shape(&object));
    }
    let journal = std::fs::read_to_string(scene.world.folder.path().join("run-journal.jsonl")).unwrap();
    let lines: Vec<Value> = journal.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    for event in ["began", "sample", "ended"] {
        // A phase's result is the one that it has printed.
        let of_kind = lines.iter().filter(|line| line["event"] == event).cloned().map(|mut line| {
            if let Some(result) = line.get_mut("result") {
                *result = Value::Null;
            }
            line
        });
        insta::assert_snapshot!(format!("journal-{event}"), shape(&of_kind.collect()));
    }
    drop(scene.stand_ins);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_words_of_every_page_are_what_they_were() {
    let scene = Scene::new(&small_universe(71)).await;
    for (name, command) in COMMANDS {
        let output = scene.output(command, "text");
        adding_up::parts_add_up(name, &output);
        insta::assert_snapshot!(format!("page-{name}"), scene.normalised(&output));
    }
    drop(scene.stand_ins);
}

#[test]
fn the_help_of_every_command_is_what_it_was() {
    let help = |arguments: &[&str]| {
        let output =
            Command::new(BACKFILL).args(arguments).env_clear().stdin(Stdio::null()).output().unwrap();
        String::from_utf8(output.stdout).unwrap()
    };
    let whole = backfill::cli::command();
    let names = whole.get_subcommands().filter(|it| !it.is_hide_set() && it.get_name() != "help");
    let mut pages = help(&["--help"]);
    for name in names.map(|it| it.get_name()) {
        pages.push_str(&format!("\n==== backfill {name} --help\n{}", help(&[name, "--help"])));
    }
    insta::assert_snapshot!("help", pages);
    insta::assert_snapshot!("help-settings", help(&["help", "settings"]));
}
