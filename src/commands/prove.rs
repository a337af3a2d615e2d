//! `prove`: its arguments, its files, its output.

use std::io::{Read, Write};
use std::path::Path;

use super::Session;
use crate::cli::{Format, ProveArgs};
use crate::ctf;
use crate::failure::{Exit, Failure};
use crate::ids::{MalformedId, TokenId};
use crate::{phases, report};

/// Answers for a pair, or for every row of a file.
pub(super) async fn run(session: &Session, args: ProveArgs) -> Result<Exit, Failure> {
    if let (Some(token), Some(condition)) = (&args.token, &args.condition) {
        let malformed = |error: MalformedId| Failure::Usage(error.to_string());
        let token = TokenId::from_any_spelling(token.trim()).map_err(malformed)?;
        let condition = condition.trim().parse().map_err(malformed)?;
        let proof = phases::prove::pair(token, &condition, &session.settings.collaterals);
        session.print(
            || report::prove::text(&token, &condition, proof),
            || report::prove::json(&token, &condition, proof),
        );
        return Ok(if proof.is_ok() { Exit::Done } else { Exit::BelowThreshold });
    }
    let Some(file) = args.file else {
        return Err(Failure::Usage("prove needs a token and a condition, or --file".to_owned()));
    };
    let (settings, format) = (session.settings.clone(), session.format);
    // Reading a pipe that nobody fills blocks its thread, and Ctrl-C must end the command all the same.
    let work = tokio::task::spawn_blocking(move || prove_file(&file, format, &settings.collaterals));
    let verdicts = tokio::select! {
        verdicts = work => {
            verdicts.map_err(|error| Failure::Unusable(format!("the proof did not end: {error}")))??
        }
        () = session.stop.cancelled() => return Err(Failure::Interrupted),
    };
    if session.format == Format::Json {
        let elapsed = (session.started.elapsed().as_secs_f64() * 1000.0).round() / 1000.0;
        session.print(String::new, || report::prove::counts(&verdicts, elapsed));
    }
    Ok(if verdicts.refuted == 0 { Exit::Done } else { Exit::BelowThreshold })
}

fn prove_file(
    file: &Path,
    format: Format,
    collaterals: &[ctf::Collateral],
) -> Result<phases::prove::Verdicts, Failure> {
    let name = if file == Path::new("-") { "standard input".to_owned() } else { file.display().to_string() };
    let input: Box<dyn Read> = if file == Path::new("-") {
        Box::new(std::io::stdin().lock())
    } else {
        let file = std::fs::File::open(file)
            .map_err(|error| Failure::File(format!("cannot open {name}: {error}")))?;
        Box::new(std::io::BufReader::new(file))
    };
    let output: Box<dyn Write> = match format {
        Format::Text => Box::new(std::io::stdout().lock()),
        Format::Json => Box::new(std::io::sink()),
    };
    phases::prove::run(&name, input, output, collaterals)
}
