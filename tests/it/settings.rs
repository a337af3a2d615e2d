//! A setting's default stands in one place, in the program; the table of docs/settings.md and `.env.example` say the same.

use std::collections::BTreeMap;
use std::fs;

use backfill::cli::Cli;
use clap::CommandFactory;

/// Every setting with its default, empty where it has none.
fn settings() -> BTreeMap<String, String> {
    let command = Cli::command();
    let arguments = command.get_arguments().filter_map(|argument| {
        let name = argument.get_env()?.to_str()?.to_owned();
        let defaults: Vec<_> = argument.get_default_values().iter().map(|it| it.to_string_lossy()).collect();
        Some((name, defaults.join(",")))
    });
    arguments.collect()
}

#[test]
fn every_flag_of_a_setting_is_called_as_its_variable() {
    for argument in Cli::command().get_arguments() {
        let Some(name) = argument.get_env().and_then(|name| name.to_str()) else { continue };
        assert_eq!(argument.get_long(), Some(name.to_lowercase().replace('_', "-").as_str()));
    }
}

#[test]
fn the_example_file_has_every_setting_with_its_default() {
    let text = fs::read_to_string(".env.example").unwrap();
    let lines = text.lines().filter_map(|line| line.strip_prefix('#')?.split_once('='));
    let named = lines.filter(|(name, _)| name.bytes().all(|b| b.is_ascii_uppercase() || b == b'_'));
    let mut told: BTreeMap<String, String> =
        named.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    for (name, default) in settings() {
        let value = told.remove(&name).unwrap_or_else(|| panic!(".env.example lacks {name}"));
        // What has no default of its own may show one that is computed.
        assert!(
            default.is_empty() || value == default,
            "{name}: {value} in .env.example, {default} in truth"
        );
    }
    assert!(told.is_empty(), ".env.example has what is no setting: {told:?}");
}

/// The cells of a table's column that holds several values: split at commas, but not inside of backquotes.
fn values(cell: &str) -> Vec<String> {
    let mut values = vec![String::new()];
    let mut quoted = false;
    for letter in cell.trim().chars() {
        match letter {
            ',' if !quoted => values.push(String::new()),
            _ => values.last_mut().unwrap().push(letter),
        }
        quoted ^= letter == '`';
    }
    values.iter().map(|value| value.trim().to_owned()).collect()
}

#[test]
fn the_page_of_settings_names_every_one_and_no_other_default() {
    let text = fs::read_to_string("docs/settings.md").unwrap();
    let mut told = BTreeMap::new();
    for line in text.lines().filter(|line| line.starts_with("| `")) {
        let cells: Vec<&str> = line.trim_matches('|').split('|').collect();
        let (names, defaults) = (values(cells[0]), cells.get(1).map_or(Vec::new(), |cell| values(cell)));
        for (place, name) in names.iter().enumerate() {
            let default = defaults.get(place).cloned().unwrap_or_default();
            told.entry(name.trim_matches('`').to_owned()).or_insert(default);
        }
    }
    for (name, default) in settings() {
        let value = told.get(&name).unwrap_or_else(|| panic!("docs/settings.md lacks {name}"));
        // Words instead of a value are fine ("the public URL"); a value has to be the right one.
        let is_value = value.starts_with('`') || value.starts_with(|c: char| c.is_ascii_digit());
        let right = value.trim_matches('`') == default;
        assert!(
            default.is_empty() || !is_value || right,
            "{name}: {value} in docs/settings.md, {default} in truth"
        );
    }
}
