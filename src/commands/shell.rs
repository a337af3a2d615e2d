//! `completions` and `man`: made from the same definitions as the command line itself.

use super::session::to_stdout;
use crate::cli::{self, Command};
use crate::failure::Failure;
use crate::results::schemas;

/// Runs the command, if it is one of these: they need no settings.
pub fn run(command: &Command) -> Option<Result<(), Failure>> {
    match command {
        Command::Completions(args) => {
            let mut script = Vec::new();
            clap_complete::generate(args.shell, &mut cli::command(), "backfill", &mut script);
            Some(print(&script))
        }
        Command::Man(args) => Some(match &args.dir {
            None => page(),
            Some(folder) => std::fs::create_dir_all(folder)
                .and_then(|()| clap_mangen::generate_to(cli::command(), folder))
                .map_err(|error| Failure::NotWritten {
                    place: format!("the manual pages to {}", folder.display()),
                    error,
                }),
        }),
        Command::Schema(args) => Some(schema(args.result.as_deref())),
        Command::Settings => {
            let mut whole = cli::command();
            let help = whole.find_subcommand_mut("settings").map(|own| own.render_long_help().to_string());
            Some(print(help.unwrap_or_default().as_bytes()))
        }
        _ => None,
    }
}

/// The schema of a result, or the names of all.
fn schema(name: Option<&str>) -> Result<(), Failure> {
    let all = schemas::all();
    let Some(name) = name else {
        let names = all.iter().map(|it| format!("{:<12} {}\n", it.name, it.printed_by));
        return print(names.collect::<String>().as_bytes());
    };
    let Some(found) = all.iter().find(|it| it.name == name) else {
        let names: Vec<&str> = all.iter().map(|it| it.name).collect();
        return Err(Failure::Usage(format!("no result is called {name:?}; there are {}", names.join(", "))));
    };
    print(format!("{:#}\n", found.schema.as_value()).as_bytes())
}

fn page() -> Result<(), Failure> {
    let mut page = Vec::new();
    clap_mangen::Man::new(cli::command())
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
