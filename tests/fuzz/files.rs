//! Files that a crash, another program or a person may have written: checkpoints, the journal, tables as CSV, `.env`.

use std::process::{Command, Stdio};

use backfill::ctf::default_collaterals;
use backfill::journal::{self, History};
use backfill::phases::prove;
use backfill::phases::validate::baselines;
use backfill::track::checkpoint;

use super::harness::{fuzz, looks};

#[test]
fn checkpoints() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("checkpoint.json");
    fuzz("checkpoint", |input| {
        std::fs::write(&path, input).unwrap();
        match checkpoint::read(&path) {
            Ok(read) => {
                let kept = read.map(|it| serde_json::to_vec(&it).unwrap());
                if let Some(kept) = &kept {
                    std::fs::write(&path, kept).unwrap();
                    assert!(checkpoint::read(&path).unwrap().is_some(), "what was read cannot be kept");
                }
                looks("read")
            }
            Err(error) => looks(&error.to_string()),
        }
    });
}

#[test]
fn journals() {
    let folder = tempfile::tempdir().unwrap();
    fuzz("journal", |input| {
        std::fs::write(folder.path().join(journal::NAME), input).unwrap();
        let history = History::of(folder.path()).unwrap();
        looks(&format!("{:?} {}", history.last.keys(), history.unreadable.min(3)))
    });
}

#[test]
fn wallets_and_their_baselines() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("wallets.csv");
    fuzz("wallets", |input| {
        std::fs::write(&path, input).unwrap();
        match baselines::read_wallets(&path) {
            Ok(listed) => looks(&format!("{}", listed.len().min(3))),
            Err(error) => looks(&error.to_string()),
        }
    });
}

#[test]
fn tables_of_pairs_to_prove() {
    let collaterals = default_collaterals();
    fuzz("pairs", |input| {
        let mut output = Vec::new();
        match prove::run("pairs.csv", input, &mut output, &collaterals) {
            Ok(_) => {
                // What comes out can be read again, and has the verdicts of before (a row of another width is malformed
                // for that alone).
                let mut again = Vec::new();
                prove::run("pairs.csv", output.as_slice(), &mut again, &collaterals).unwrap();
                let [output, again] = [output, again].map(|bytes| String::from_utf8(bytes).unwrap());
                let lines =
                    output.lines().zip(again.lines()).filter(|(line, _)| !line.ends_with("malformed"));
                lines.for_each(|(line, again)| assert_eq!(line, again));
                looks(&output)
            }
            Err(error) => looks(&error.to_string()),
        }
    });
}

/// The real program reads it: of a line that cannot be read nothing is repeated.
#[test]
fn dotenv() {
    let folder = tempfile::tempdir().unwrap();
    let tries = std::env::var_os("FUZZ_SECONDS").is_none().then_some(25);
    let mut count = 0;
    fuzz("dotenv", |input| {
        count += 1;
        if tries.is_some_and(|tries| count > tries) {
            return 0;
        }
        std::fs::write(folder.path().join(".env"), input).unwrap();
        let output = Command::new(env!("CARGO_BIN_EXE_backfill"))
            .args(["completions", "bash"])
            .current_dir(folder.path())
            .env_clear()
            .stdin(Stdio::null())
            .output()
            .unwrap();
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(matches!(output.status.code(), Some(0 | 2)), "{:?}: {errors}", output.status);
        // A value that is wrong is shown, so a key that was moved to another setting may be; a line is not.
        let repeats = errors.contains(".env") && errors.contains("s3cret-0f-mine");
        assert!(!repeats && !errors.contains("panicked"), "{errors}");
        looks(&errors)
    });
}
