//! What `config` shows, what `runs` lists, and what a failure says.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::Seconds;

/// A setting and where its value comes from.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Setting {
    /// The environment variable; the flag has the same name.
    pub setting: String,
    /// Its value, `***` of a secret, empty where there is none.
    pub value: String,
    /// `flag`, `environment`, `.env`, `default`, or the variable that led to a file or command.
    pub from: String,
}

/// What ran.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Runs {
    /// `runs`.
    pub phase: String,
    /// The runs of all phases, the newest last.
    pub runs: Vec<PhaseRun>,
    /// Lines of the journal that could not be read.
    pub unreadable_lines: u64,
}

/// One run of a phase.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct PhaseRun {
    /// The phase.
    pub phase: String,
    /// Which run; the same in the log's first line.
    pub run: String,
    /// The process.
    pub pid: i32,
    /// The program's version.
    pub version: String,
    /// When it began, in UTC.
    #[schemars(with = "String")]
    pub began: Timestamp,
    /// How long it took; null where it runs or was killed.
    pub seconds: Option<Seconds>,
    /// The exit code; null where it runs or was killed.
    pub exit: Option<u8>,
    /// Why it failed, where it did.
    pub error: Option<String>,
    /// What it came to, null where it came to nothing.
    pub result: Value,
}

/// Why a command ends other than well.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Failed {
    /// What failed, on what.
    pub error: String,
    /// What to do; null where the error says it all.
    pub advice: Option<String>,
    /// The exit code.
    pub exit: u8,
}

impl Failed {
    /// A message says what happened and then, behind a semicolon, what to do.
    pub fn new(message: &str, exit: u8) -> Self {
        let (error, advice) = match message.split_once("; ") {
            Some((error, advice)) => (error, Some(advice.to_owned())),
            None => (message, None),
        };
        Self { error: error.to_owned(), advice, exit }
    }
}
