//! `completions` and `man`: made from the same definitions as the command line itself.

use clap::CommandFactory;

use super::session::to_stdout;
use crate::cli::{Cli, Command};
use crate::failure::Failure;

/// Runs the command, if it is one of these: they need no settings.
pub fn run(command: &Command) -> Option<Result<(), Failure>> {
    match command {
        Command::Completions(args) => {
            let mut script = Vec::new();
            clap_complete::generate(args.shell, &mut Cli::command(), "backfill", &mut script);
            Some(print(&script))
        }
        Command::Man(args) => Some(match &args.dir {
            None => page(),
            Some(folder) => std::fs::create_dir_all(folder)
                .and_then(|()| clap_mangen::generate_to(Cli::command(), folder))
                .map_err(|error| Failure::NotWritten {
                    place: format!("the manual pages to {}", folder.display()),
                    error,
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
    print(&page)
}

/// Writes to standard output, as far as somebody reads there.
///
/// # Errors
/// It takes nothing, and not because its reader had enough.
pub fn print(text: &[u8]) -> Result<(), Failure> {
    match to_stdout(text) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
            Err(Failure::NotWritten { place: "to standard output".to_owned(), error })
        }
        _ => Ok(()),
    }
}
