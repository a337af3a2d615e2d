//! `completions` and `man`: made from the same definitions as the command line itself.

use std::io::Write;

use clap::CommandFactory;

use crate::cli::{Cli, Command};
use crate::failure::Failure;

/// Runs the command, if it is one of these: they need no settings.
pub fn run(command: &Command) -> Option<Result<(), Failure>> {
    match command {
        Command::Completions(args) => {
            let mut script = Vec::new();
            clap_complete::generate(args.shell, &mut Cli::command(), "backfill", &mut script);
            print(&script);
            Some(Ok(()))
        }
        Command::Man(args) => Some(match &args.dir {
            None => page(),
            Some(folder) => std::fs::create_dir_all(folder)
                .and_then(|()| clap_mangen::generate_to(Cli::command(), folder))
                .map_err(|error| {
                    Failure::File(format!("cannot write the manual pages to {}: {error}", folder.display()))
                }),
        }),
        _ => None,
    }
}

fn page() -> Result<(), Failure> {
    let mut page = Vec::new();
    clap_mangen::Man::new(Cli::command())
        .render(&mut page)
        .map_err(|error| Failure::Unusable(format!("cannot make the manual page: {error}")))?;
    print(&page);
    Ok(())
}

/// A closed pipe is no failure: whoever reads had enough.
fn print(text: &[u8]) {
    let _ = std::io::stdout().write_all(text);
}
