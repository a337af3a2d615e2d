//! [`TrackCommand`]: a subcommand for each source that is asked for tokens, made from the list of sources.

use clap::error::ErrorKind;
use clap::{ArgMatches, Args, Command, Error, FromArgMatches, Subcommand};

use super::TrackArgs;
use crate::source::Source;

/// One track: asks its source for its share of the tokens.
#[derive(Debug)]
pub struct TrackCommand {
    /// The source.
    pub source: Source,
    /// Its options.
    pub args: TrackArgs,
}

impl FromArgMatches for TrackCommand {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, Error> {
        let (name, matches) = matches.subcommand().ok_or_else(|| Error::new(ErrorKind::MissingSubcommand))?;
        let source = Source::tracks().find(|source| source.name() == name);
        let source = source.ok_or_else(|| Error::new(ErrorKind::InvalidSubcommand))?;
        Ok(Self { source, args: TrackArgs::from_arg_matches(matches)? })
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

impl Subcommand for TrackCommand {
    fn augment_subcommands(command: Command) -> Command {
        let add = |command: Command, source: Source| {
            // The arguments first: they bring a text of their own along.
            let own = TrackArgs::augment_args(Command::new(source.name()))
                .about(source.about())
                .long_about(source.long_about())
                .after_help(source.examples());
            command.subcommand(own)
        };
        Source::tracks().fold(command, add)
    }

    fn augment_subcommands_for_update(command: Command) -> Command {
        Self::augment_subcommands(command)
    }

    fn has_subcommand(name: &str) -> bool {
        Source::tracks().any(|source| source.name() == name)
    }
}
