//! `derive`: where its conditions come from.

use std::path::Path;

use super::Session;
use crate::cli::DeriveArgs;
use crate::failure::{Exit, Failure};
use crate::phases::derive::{DeriveOptions, MoreConditions};
use crate::store::conditions::ConditionColumn;
use crate::{phases, report};

/// Derives and prints what came of it.
pub(super) async fn run(session: &Session, args: &DeriveArgs) -> Result<Exit, Failure> {
    let database = &session.settings.store.names.database;
    let more = args.conditions.iter().map(|text| source(text, database));
    let options = DeriveOptions { more: more.collect::<Result<_, _>>()? };
    let work = async {
        let context = session.context().await?;
        session.phase(phases::derive::run(&context, &options)).await
    };
    let told = |result: &_| (Exit::Done, report::derive::json(result));
    let result = session.recorder.phase("derive", work, told).await?;
    session.print(|| report::derive::text(&result), || report::derive::json(&result));
    Ok(Exit::Done)
}

fn source(text: &str, database: &str) -> Result<MoreConditions, Failure> {
    if Path::new(text).is_file() {
        return Ok(MoreConditions::File(text.into()));
    }
    ConditionColumn::parse(text, database).map(MoreConditions::Column).ok_or_else(|| {
        Failure::Usage(format!(
            "--conditions {text:?} is neither a file nor TABLE.COLUMN nor DATABASE.TABLE.COLUMN"
        ))
    })
}
