//! `prove`: its arguments, its files, its output.

use std::io::{Read, Write};
use std::path::Path;

use super::session::Session;
use crate::cli::{Format, ProveArgs};
use crate::ctf;
use crate::failure::Failure;
use crate::ids::{MalformedId, TokenId};
use crate::outcome::Outcome;
use crate::phases::prove;
use crate::report::Report;
use crate::results::{Proof, Proofs, Seconds};

/// Answers for a pair, or for every row of a file.
pub(super) async fn run(session: &Session, args: ProveArgs) -> Result<Outcome, Failure> {
    if let (Some(token), Some(condition)) = (&args.token, &args.condition) {
        let result = pair(session, token, condition)?;
        session.print_report(&result);
        return session.ended(result.outcome());
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
    let result = Proofs {
        phase: "prove".to_owned(),
        rows: verdicts.rows(),
        proven: verdicts.proven,
        mirror: verdicts.mirror,
        structural: verdicts.structural,
        refuted: verdicts.refuted,
        malformed: verdicts.malformed,
        elapsed_seconds: Seconds(session.elapsed()),
    };
    session.print_report(&result);
    session.ended(result.outcome())
}

fn pair(session: &Session, token: &str, condition: &str) -> Result<Proof, Failure> {
    let malformed = |error: MalformedId| Failure::Usage(error.to_string());
    let token = TokenId::from_any_spelling(token.trim()).map_err(malformed)?;
    let condition = condition.trim().parse().map_err(malformed)?;
    let proof = prove::pair(token, &condition, &session.settings.collaterals);
    let verdict = proof.map_or(prove::Verdict::Refuted, |proof| prove::Verdict::Holds(proof.evidence));
    Ok(Proof {
        phase: "prove".to_owned(),
        token_id: token.to_string(),
        condition_id: condition.to_string(),
        outcome_index: proof.ok().map(|proof| proof.outcome_index),
        collateral: proof.ok().map(|proof| proof.collateral.to_owned()).filter(|name| !name.is_empty()),
        reason: proof.err().map(|reason| reason.to_string()),
        verdict: verdict.name().to_owned(),
    })
}

fn prove_file(
    file: &Path,
    format: Format,
    collaterals: &[ctf::Collateral],
) -> Result<prove::Verdicts, Failure> {
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
    prove::run(&name, input, output, collaterals)
}
