//! `derive`: where its conditions come from.

use std::path::Path;

use super::session::Session;
use crate::cli::DeriveArgs;
use crate::failure::Failure;
use crate::outcome::Outcome;
use crate::phases::derive::{self, DeriveOptions, MoreConditions};
use crate::results::Derive;
use crate::store::conditions::ConditionColumn;

/// Derives and stages.
pub(super) async fn run(session: &Session, args: &DeriveArgs) -> Result<Outcome, Failure> {
    let database = &session.settings.store.names.database;
    let more = args.conditions.iter().map(|text| source(text, database));
    let options = DeriveOptions { more: more.collect::<Result<_, _>>()? };
    let work = async {
        let context = session.context().await?;
        Ok(Derive::from(&session.phase(derive::run(&context, &options)).await?))
    };
    session.finish("derive", work).await
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
