//! What standard output gets and what it does not: writes that fail, readers that leave, help, schemas, settings.

use std::fmt::Write;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use backfill::results::schemas;
use serde_json::Value;

use crate::common::{BACKFILL, World, small_universe};

const SECRET: &str = "s3cret-0f-mine";

/// The program in an empty environment.
fn backfill(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(BACKFILL);
    command
        .args(arguments)
        .current_dir(folder)
        .env_clear()
        .env("PATH", "/usr/bin:/bin")
        .env("HOME", folder)
        .stdin(Stdio::null());
    command
}

fn output(folder: &Path, arguments: &[&str]) -> Output {
    backfill(folder, arguments).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Commands that print something without a ClickHouse.
const ALONE: [&[&str]; 12] = [
    &["--help"],
    &["--version"],
    &["help", "dome"],
    &["help", "settings"],
    &["completions", "bash"],
    &["man"],
    &["config"],
    &["schema"],
    &["schema", "verify"],
    &["runs"],
    &["prove", "1", "0000000000000000000000000000000000000000000000000000000000000001"],
    &["status"],
];

#[tokio::test(flavor = "multi_thread")]
async fn a_write_that_fails_ends_with_5_and_a_reader_who_leaves_is_no_failure() {
    let universe = small_universe(91);
    let world = World::with(&universe).await;
    let settings = world.arguments();
    let settings: Vec<&str> = settings.iter().map(String::as_str).collect();
    let tables: [&[&'static str]; 6] =
        [&["setup"], &["derive"], &["merge", "--dry-run"], &["verify"], &["status"], &["doctor"]];
    let with_tables = tables.iter().map(|command| (true, command.to_vec()));
    let all = ALONE.iter().map(|command| (false, command.to_vec())).chain(with_tables);
    let formats = |command: Vec<&'static str>| match command[0] {
        "--help" | "--version" | "help" => vec![command],
        _ => vec![command.clone(), [&command[..], &["--format", "json"]].concat()],
    };
    for (given, command) in
        all.flat_map(|(given, command)| formats(command).into_iter().map(move |it| (given, it)))
    {
        let command = [if given { &settings[..] } else { &[] }, &command[..]].concat();
        let full = std::fs::File::options().write(true).open("/dev/full").unwrap();
        let mut child = backfill(world.folder.path(), &command);
        let ended = child.stdout(full).output().unwrap();
        let told = text(&ended.stderr);
        assert_eq!(ended.status.code(), Some(5), "{command:?}: {told}");
        assert!(told.contains("cannot write") && !told.contains("panicked"), "{command:?}: {told}");
        // A pipe that nobody reads.
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let ended = backfill(world.folder.path(), &command).stdout(writer).output().unwrap();
        let told = text(&ended.stderr);
        assert_eq!(ended.status.code(), Some(0), "{command:?}: {told}");
        assert!(!told.contains("error") && !told.contains("panicked"), "{command:?}: {told}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn where_there_is_nothing_to_compare_with_validate_ends_with_3() {
    let world = World::with(&small_universe(92)).await;
    let settings = world.arguments();
    let settings: Vec<&str> = settings.iter().map(String::as_str).collect();
    let command = [&settings[..], &["validate", "--expected-pnl", "0"]].concat();
    let ended = output(world.folder.path(), &command);
    assert_eq!(ended.status.code(), Some(3), "{}", text(&ended.stderr));
    assert!(text(&ended.stdout).contains("Nothing was validated"), "{}", text(&ended.stdout));
}

#[test]
fn a_commands_help_is_its_own_flags_and_one_line_that_leads_to_the_others() {
    let folder = tempfile::tempdir().unwrap();
    let whole = backfill::cli::command();
    for command in whole.get_subcommands().filter(|it| !it.is_hide_set() && it.get_name() != "help") {
        for flag in ["-h", "--help"] {
            let help = text(&output(folder.path(), &[command.get_name(), flag]).stdout);
            assert!(help.contains("backfill help settings"), "{}: {help}", command.get_name());
            for global in ["--clickhouse-url", "--clob-rate-limit", "--log-format", "[env:"] {
                assert!(!help.contains(&format!("      {global}")), "{}: {help}", command.get_name());
            }
            let own = command.get_arguments().filter(|it| !it.is_hide_long_help_set());
            for argument in own.filter_map(|argument| argument.get_long()) {
                assert!(flag == "-h" || help.contains(&format!("--{argument}")), "{argument}: {help}");
            }
            assert!(help.lines().count() < 80, "{}: {} lines", command.get_name(), help.lines().count());
        }
    }
    let dome = text(&output(folder.path(), &["--help"]).stdout);
    assert!(!dome.contains("A track\n"), "each track says which it is: {dome}");
    let settings = text(&output(folder.path(), &["help", "settings"]).stdout);
    for name in backfill::commands::config::names() {
        assert!(settings.contains(&name), "{name}: {settings}");
    }
    assert_eq!(settings, text(&output(folder.path(), &["settings"]).stdout));
}

#[test]
fn config_says_of_every_setting_where_it_comes_from_and_shows_no_secret() {
    let folder = tempfile::tempdir().unwrap();
    let dotenv = format!("DOME_API_KEY={SECRET}\nWORKER_COUNT=7\nCLICKHOUSE_ULR=x\n");
    std::fs::write(folder.path().join(".env"), dotenv).unwrap();
    let url = format!("http://me:{SECRET}@127.0.0.1:9/?password={SECRET}");
    let mut command = backfill(folder.path(), &["config", "--format", "json", "--goldsky-url", &url]);
    let output = command.env("BATCH_SIZE", "11").output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let told = text(&output.stdout);
    assert!(!told.contains(SECRET), "{told}");
    let settings: Value = serde_json::from_str(&told).unwrap();
    let setting = |name: &str| settings.as_array().unwrap().iter().find(|it| it["setting"] == name).unwrap();
    for (name, value, from) in [
        ("DOME_API_KEY", "***", ".env"),
        ("WORKER_COUNT", "7", ".env"),
        ("BATCH_SIZE", "11", "environment"),
        ("GOLDSKY_URL", "http://127.0.0.1:9", "flag"),
        ("STAGING_DATABASE", "staging", "default"),
    ] {
        let found = setting(name);
        assert_eq!((&found["value"], &found["from"]), (&value.into(), &from.into()), "{name}");
    }
    let told = text(&output.stderr);
    assert!(told.contains("CLICKHOUSE_ULR, which is no setting: CLICKHOUSE_URL is meant?"), "{told}");
}

/// What `config` says of a setting: its value and where that comes from.
fn configured(command: &mut Command, name: &str) -> (String, String) {
    let output = command.args(["config", "--format", "json"]).output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let settings: Value = serde_json::from_str(&text(&output.stdout)).unwrap();
    let found = settings.as_array().unwrap().iter().find(|it| it["setting"] == name).unwrap();
    (found["value"].as_str().unwrap().to_owned(), found["from"].as_str().unwrap().to_owned())
}

#[test]
fn a_profile_wins_over_the_dotenv_and_one_that_is_not_there_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join(".env"), "WORKER_COUNT=7\nBATCH_SIZE=9\n").unwrap();
    std::fs::write(folder.path().join(".env.night"), "WORKER_COUNT=3\n").unwrap();
    let of = |arguments: &[&str], name| configured(&mut backfill(folder.path(), arguments), name).0;
    assert_eq!(of(&[], "WORKER_COUNT"), "7");
    for arguments in [&["--profile", "night"][..], &["--profile=night"]] {
        assert_eq!([of(arguments, "WORKER_COUNT"), of(arguments, "BATCH_SIZE")], ["3", "9"]);
    }
    for (profile, told) in [("day", "there is no .env.day"), ("../night", "letters, digits")] {
        let refused = output(folder.path(), &["config", "--profile", profile]);
        assert_eq!(refused.status.code(), Some(2));
        assert!(text(&refused.stderr).contains(told), "{}", text(&refused.stderr));
    }
}

#[test]
fn a_secret_comes_from_a_file_or_a_command_and_from_one_place_alone() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("key");
    std::fs::write(&file, format!("{SECRET}\n")).unwrap();
    let with = |settings: &[(&str, &str)]| {
        let mut command = backfill(folder.path(), &[]);
        command.envs(settings.iter().copied());
        command
    };
    let path = file.to_str().unwrap();
    for (variable, value) in [("DOME_API_KEY_FILE", path), ("DOME_API_KEY_COMMAND", "cat key")] {
        let found = configured(&mut with(&[(variable, value)]), "DOME_API_KEY");
        assert_eq!(found, ("***".to_owned(), variable.to_owned()));
    }
    // The name of the host shows that the value is the file's.
    std::fs::write(&file, "http://127.0.0.1:9/path\n").unwrap();
    let url = configured(&mut with(&[("CLICKHOUSE_URL_FILE", path)]), "CLICKHOUSE_URL");
    assert_eq!(url, ("http://127.0.0.1:9".to_owned(), "CLICKHOUSE_URL_FILE".to_owned()));
    let refused = |settings: &[(&str, &str)], told: &str| {
        let output = with(settings).arg("config").output().unwrap();
        let errors = text(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{errors}");
        assert!(errors.contains(told) && !errors.contains(SECRET), "{errors}");
    };
    refused(&[("DOME_API_KEY", SECRET), ("DOME_API_KEY_FILE", path)], "are both set");
    refused(&[("DOME_API_KEY_FILE", "/nowhere")], "cannot read the file that DOME_API_KEY_FILE names");
    refused(&[("DOME_API_KEY_COMMAND", "exit 7")], "the command of DOME_API_KEY_COMMAND fails");
    refused(&[("DOME_API_KEY_COMMAND", "printf 'two\nlines'")], "no single line");
    std::fs::write(folder.path().join(".env"), "DOME_API_KEY_COMMAND=\"touch was-run\"\n").unwrap();
    refused(&[], "only taken from the environment");
    assert!(!folder.path().join("was-run").exists());
}

#[test]
fn a_reset_that_nobody_can_be_asked_about_needs_yes_and_touches_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let refused = output(folder.path(), &["setup", "--reset", "--staging-database", "night"]);
    let told = text(&refused.stderr);
    assert_eq!(refused.status.code(), Some(2), "{told}");
    assert!(told.contains("the database night") && told.contains("--yes"), "{told}");
}

#[test]
fn a_log_begins_with_version_command_and_settings_without_secrets() {
    let folder = tempfile::tempdir().unwrap();
    let arguments =
        ["verify", "--log-file=log", "--clickhouse-url", "http://127.0.0.1:9", "--dome-api-key", SECRET];
    assert_eq!(output(folder.path(), &arguments).status.code(), Some(1));
    let log = std::fs::read_to_string(folder.path().join("log")).unwrap();
    for part in [env!("CARGO_PKG_VERSION"), "verify", "CLICKHOUSE_URL=http://127.0.0.1:9", "DOME_API_KEY=***"]
    {
        assert!(log.contains(part), "no {part} in {log}");
    }
    assert!(!log.contains(SECRET) && log.contains("no ClickHouse answers"), "{log}");
}

#[test]
fn a_secret_in_a_flag_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let told = |arguments: &[&str]| text(&output(folder.path(), arguments).stderr);
    let loud = told(&["config", "--dome-api-key", SECRET]);
    assert!(loud.contains("DOME_API_KEY_FILE") && !loud.contains(SECRET), "{loud}");
    assert_eq!(told(&["config", "--dome-api-key", SECRET, "-q"]), "");
}

#[test]
fn a_failure_under_format_json_is_an_object_with_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    for command in [&["verify", "--format", "json"][..], &["--format=json", "verify", "--worker-count", "0"]]
    {
        let mut run = backfill(folder.path(), command);
        let ended = run.env("CLICKHOUSE_URL", "http://127.0.0.1:9").output().unwrap();
        let told = text(&ended.stderr);
        if ended.status.code() == Some(2) {
            // A wrong flag is told by clap, whose texts are for people.
            assert!(told.contains("--worker-count"), "{told}");
            continue;
        }
        let object: Value = serde_json::from_str(told.lines().last().unwrap()).expect(&told);
        assert_eq!((ended.status.code(), &object["exit"]), (Some(1), &1.into()), "{told}");
        assert!(object["error"].as_str().unwrap().starts_with("no ClickHouse answers"), "{told}");
        assert!(object["advice"].as_str().unwrap().contains("CLICKHOUSE_URL"), "{told}");
    }
    let runs: Value =
        serde_json::from_slice(&output(folder.path(), &["runs", "--format", "json"]).stdout).unwrap();
    let last = runs["runs"].as_array().unwrap().last().unwrap().clone();
    assert_eq!((&last["phase"], &last["exit"]), (&"verify".into(), &1.into()), "the journal has it: {runs}");
}

/// The fields of a schema with their types and what they mean, one line each.
fn fields(schema: &Value, whole: &Value, place: &str, lines: &mut String) {
    let schema = resolved(schema, whole);
    if let Some(items) = schema.get("items") {
        return fields(items, whole, &format!("{place}[]"), lines);
    }
    if let Some(values) = schema.get("additionalProperties").filter(|it| it.is_object()) {
        return fields(values, whole, &format!("{place}.…"), lines);
    }
    for (name, field) in schema["properties"].as_object().into_iter().flatten() {
        let path = if place.is_empty() { name.clone() } else { format!("{place}.{name}") };
        let meaning = field.get("description").or_else(|| resolved(field, whole).get("description"));
        let meaning =
            meaning.and_then(Value::as_str).unwrap_or_default().replace('\n', " ").replace('|', "\\|");
        writeln!(lines, "| `{path}` | {} | {meaning} |", kind(field, whole)).unwrap();
        fields(field, whole, &path, lines);
    }
}

/// What a schema refers to; of one that may be null, the other.
fn resolved<'a>(schema: &'a Value, whole: &'a Value) -> &'a Value {
    let other = schema["anyOf"].as_array().and_then(|it| it.iter().find(|it| it["type"] != "null"));
    let schema = other.unwrap_or(schema);
    match schema["$ref"].as_str() {
        Some(name) => resolved(&whole["$defs"][name.trim_start_matches("#/$defs/")], whole),
        None => schema,
    }
}

fn kind(schema: &Value, whole: &Value) -> String {
    let of = resolved(schema, whole);
    let null =
        schema["anyOf"].is_array() || schema["type"].as_array().is_some_and(|it| it.contains(&"null".into()));
    let name = match &of["type"] {
        Value::String(name) => name.clone(),
        Value::Array(names) => {
            names.iter().filter_map(Value::as_str).find(|it| *it != "null").unwrap_or("any").to_owned()
        }
        _ => "any".to_owned(),
    };
    let words: Vec<&str> =
        (of["oneOf"].as_array().into_iter().flatten().filter_map(|it| it["const"].as_str())).collect();
    let name = match (of["format"].as_str(), name.as_str()) {
        (Some("usd"), _) => "USD with six decimals, as a text".to_owned(),
        (Some("micro"), _) => "micro-units, as a text".to_owned(),
        (_, "object") if of.get("properties").is_none() && of.get("additionalProperties").is_none() => {
            "object".to_owned()
        }
        (_, "array") => "list".to_owned(),
        (_, "string") => "text".to_owned(),
        (_, "boolean") => "true or false".to_owned(),
        (_, other) if words.is_empty() => other.to_owned(),
        _ => words.join(", "),
    };
    if null { format!("{name}, or null") } else { name }
}

#[test]
fn docs_json_md_says_what_the_results_are() {
    let mut page = "# JSON results\n\n\
        With `--format json` a command prints one object on standard output at its end. Counts are integers, percentages\n\
        numbers with two decimals, rounded down where they are shares; money is a text in USD with six decimals. Fields are\n\
        added, never renamed. `backfill schema NAME` prints the JSON Schema of each.\n\n\
        This page is made from the types in `src/results`: `JSON_UPDATE=1 cargo test --test it docs_json`.\n"
        .to_owned();
    for described in schemas::all() {
        let whole = described.schema.as_value();
        let mut lines = String::new();
        fields(whole, whole, "", &mut lines);
        writeln!(page, "\n## {}\n\nPrinted by {}.\n", described.name, described.printed_by).unwrap();
        write!(page, "| field | type | meaning |\n| --- | --- | --- |\n{lines}").unwrap();
    }
    if std::env::var_os("JSON_UPDATE").is_some() {
        std::fs::write("docs/json.md", &page).unwrap();
    }
    let written = std::fs::read_to_string("docs/json.md").unwrap_or_default();
    assert!(
        written == page,
        "docs/json.md is stale: JSON_UPDATE=1 cargo test --test it docs_json writes it anew"
    );
    assert!(
        page.contains("| `wallets[].wins.pnl` | USD with six decimals, as a text | Their sum. |"),
        "{page}"
    );
}

#[test]
fn a_demo_that_is_kept_prints_what_makes_every_command_work_with_it() {
    use std::io::BufRead;
    let folder = tempfile::tempdir().unwrap();
    let mut demo = Command::new(BACKFILL)
        .args(["demo", "--keep", "--tokens", "2000", "--fills", "5000", "--dome-tier", "pro"])
        .current_dir(folder.path())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut exports = Vec::new();
    for line in std::io::BufReader::new(demo.stdout.take().unwrap()).lines().map(Result::unwrap) {
        if let Some(export) = line.strip_prefix("export ") {
            let (name, value) = export.split_once('=').unwrap();
            exports.push((name.to_owned(), value.trim_matches('\'').to_owned()));
        }
        if line.contains("Ctrl-C ends") {
            break;
        }
    }
    let run = |arguments: &[&str]| {
        let run = Command::new(BACKFILL)
            .args(arguments)
            .envs(exports.iter().cloned())
            .current_dir(folder.path())
            .output();
        run.unwrap()
    };
    let ended: Vec<_> = [&["doctor"][..], &["clob"], &["merge", "--labels"], &["verify"], &["runs"]]
        .iter()
        .map(|command| (command.to_vec(), run(command)))
        .collect();
    rustix::process::kill_process(rustix::process::Pid::from_child(&demo), rustix::process::Signal::INT)
        .unwrap();
    assert!(demo.wait().unwrap().success(), "it was meant to be ended");
    for (command, ended) in ended {
        assert_eq!(
            ended.status.code(),
            Some(0),
            "{command:?}: {}{}",
            text(&ended.stdout),
            text(&ended.stderr)
        );
    }
    assert!(exports.iter().any(|(name, _)| name == "DOME_API_KEY"), "{exports:?}");
}
