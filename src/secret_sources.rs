//! Secrets from elsewhere: `NAME_FILE` names a file, `NAME_COMMAND` a command line whose output is the secret. Neither
//! the process list nor `.env` has to hold it then.

use std::process::Command;

/// Where a setting came from that was read so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SecretSource {
    /// The setting.
    pub setting: String,
    /// The variable that led to it.
    pub variable: String,
}

/// Why a secret cannot be read. It names the variable, never the secret.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    /// Two places for one secret.
    #[error("{0} and {1} are both set; keep one of them")]
    Twice(String, String),
    /// The file cannot be read.
    #[error("cannot read the file that {0} names: {1}")]
    Unreadable(String, std::io::Error),
    /// The command cannot be started, or fails.
    #[error("the command of {0} fails ({1}); run it by hand to see why")]
    Command(String, String),
    /// A file that anybody may have written names a command.
    #[error("{0} stands in .env; a command is only taken from the environment itself")]
    CommandOfFile(String),
    /// What was read is no secret.
    #[error("what {0} leads to is no single line of text; a secret is one line")]
    NoLine(String),
}

/// Whether a setting is a secret by its name.
pub fn is_secret(name: &str) -> bool {
    ["KEY", "PASSWORD", "SECRET", "TOKEN"].iter().any(|word| name.ends_with(word))
}

/// Reads the secrets among the settings `ours` into the environment, from where their variables lead. A URL can hold a
/// key too. A command that was set by `.env` (`from_dotenv`) is refused: whoever starts us in a folder has not chosen to
/// run what lies there. Called before any thread is started.
///
/// # Errors
/// [`SecretError`].
pub fn read(ours: &[String], from_dotenv: &[String]) -> Result<Vec<SecretSource>, SecretError> {
    let mut found = Vec::new();
    for setting in ours.iter().filter(|name| is_secret(name) || name.ends_with("_URL")) {
        let variables = ["FILE", "COMMAND"].map(|kind| format!("{setting}_{kind}"));
        let given: Vec<&String> = ([setting].into_iter().chain(&variables))
            .filter(|name| std::env::var_os(name).is_some_and(|value| !value.is_empty()))
            .collect();
        match given.as_slice() {
            [one] if *one != setting => {
                if one.ends_with("_COMMAND") && from_dotenv.contains(one) {
                    return Err(SecretError::CommandOfFile((*one).clone()));
                }
                let text = if one.ends_with("_FILE") { of_file(one)? } else { of_command(one)? };
                set(setting, one, text.trim_end_matches(['\n', '\r']))?;
                found.push(SecretSource { setting: setting.clone(), variable: (*one).clone() });
            }
            [first, second, ..] => return Err(SecretError::Twice((*first).clone(), (*second).clone())),
            _ => {}
        }
    }
    Ok(found)
}

fn of_file(variable: &str) -> Result<String, SecretError> {
    let path = std::env::var_os(variable).unwrap_or_default();
    std::fs::read_to_string(path).map_err(|error| SecretError::Unreadable(variable.to_owned(), error))
}

fn of_command(variable: &str) -> Result<String, SecretError> {
    let line = std::env::var_os(variable).unwrap_or_default();
    let failed = |why: String| SecretError::Command(variable.to_owned(), why);
    let output = Command::new("sh").arg("-c").arg(line).stderr(std::process::Stdio::inherit()).output();
    let output = output.map_err(|error| failed(error.to_string()))?;
    if !output.status.success() {
        return Err(failed(output.status.to_string()));
    }
    String::from_utf8(output.stdout).map_err(|_| SecretError::NoLine(variable.to_owned()))
}

/// Sets a variable by the way that `.env` takes: quoted, so that nothing in it is read as anything else.
fn set(setting: &str, variable: &str, value: &str) -> Result<(), SecretError> {
    let no_line = || SecretError::NoLine(variable.to_owned());
    if value.is_empty() || value.contains(|c: char| c.is_control()) {
        return Err(no_line());
    }
    // A process that this one starts inherits both: to it the secret is set, and by one variable alone.
    let line = format!("{setting}={}\n{variable}=''\n", quoted(value));
    // One that is set and empty counts as not set, and must not win.
    dotenvy::from_read_override(line.as_bytes()).map_err(|_| no_line())
}

/// In double quotes, with a backslash before what means something there.
fn quoted(value: &str) -> String {
    let mut out = String::from('"');
    for letter in value.chars() {
        if matches!(letter, '\\' | '"' | '$') {
            out.push('\\');
        }
        out.push(letter);
    }
    out.push('"');
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_secret_is_read_back_as_it_is(value in "[ -~é]{1,40}") {
            let line = format!("NAME={}\n", quoted(&value));
            let read: Vec<_> = dotenvy::from_read_iter(line.as_bytes()).collect::<Result<_, _>>().unwrap();
            prop_assert_eq!(read, vec![("NAME".to_owned(), value)]);
        }
    }
}
