//! [`Tracks`]: which sources are asked, and for how much each: shares that the user gives, or `auto`, by what the
//! limits allow of those that answer.

use std::str::FromStr;
use std::time::Duration;

use futures_util::future::join_all;

use super::events::{Activity, PhaseEvent};
use super::{Context, track};
use crate::failure::Failure;
use crate::source::Source;
use crate::store::workload::Share;
use crate::upstream::{PROBE_TOKEN, UpstreamError};
use crate::values::Percent;

/// How long a probe waits for its answer.
const PROBE: Duration = Duration::from_secs(10);

/// The tracks as the user names them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Tracks {
    /// These, split so.
    Shares(Vec<Share>),
    /// Those that have a key and answer, split so that all end together.
    Auto,
}

impl Default for Tracks {
    /// The guide's two, half and half.
    fn default() -> Self {
        Self::two(Percent::whole(50))
    }
}

impl FromStr for Tracks {
    type Err = String;

    /// `auto`, or `NAME[:PERCENT]` with commas between; names without a percentage share what is left equally.
    fn from_str(text: &str) -> Result<Self, String> {
        if text.trim() == "auto" {
            return Ok(Self::Auto);
        }
        let mut given: Vec<(Source, Option<Percent>)> = Vec::new();
        for part in text.split(',') {
            let (name, percent) = match part.trim().split_once(':') {
                Some((name, percent)) => {
                    (name, Some(percent.parse::<Percent>().map_err(|error| error.to_string())?))
                }
                None => (part.trim(), None),
            };
            let source = Source::tracks().find(|source| source.name() == name).ok_or_else(expected)?;
            if given.iter().any(|(other, _)| *other == source) {
                return Err("each track once".to_owned());
            }
            given.push((source, percent));
        }
        let sum: u64 = given.iter().filter_map(|(_, percent)| *percent).map(Percent::numerator).sum();
        let unnamed = given.iter().filter(|(_, percent)| percent.is_none()).count() as u64;
        let whole = Percent::DENOMINATOR;
        if sum > whole || (unnamed == 0 && sum != whole) || (unnamed > 0 && sum == whole) {
            return Err(
                "the shares must add up to 100, those without one getting equal parts of the rest".to_owned()
            );
        }
        // In parts that the tracks without a percentage can have equally.
        let parts = unnamed.max(1);
        let share = |(source, percent): (Source, Option<Percent>)| Share {
            source,
            weight: percent.map_or(whole - sum, |percent| percent.numerator() * parts),
        };
        Ok(Self::Shares(given.into_iter().map(share).collect()))
    }
}

fn expected() -> String {
    let names: Vec<&str> = Source::tracks().map(Source::name).collect();
    format!("expected auto, or tracks of {} such as dome:40,goldsky:60", names.join(", "))
}

impl Tracks {
    /// The guide's two, with so much for the first.
    pub fn two(first: Percent) -> Self {
        let rest = Percent::whole(100).minus(first);
        let share = |source, percent: Percent| Share { source, weight: percent.numerator() };
        Self::Shares(vec![share(Source::Dome, first), share(Source::Goldsky, rest)])
    }

    /// The tracks that are wanted, before anybody was asked: of `auto` all of them, alike.
    pub fn named(&self) -> Vec<Share> {
        match self {
            Self::Shares(shares) => shares.clone(),
            Self::Auto => Source::tracks().map(|source| Share { source, weight: 1 }).collect(),
        }
    }

    /// The shares, in the order of precedence. For `auto` each source is asked once; who has no key or does not answer
    /// is left out with a notice.
    ///
    /// # Errors
    /// Nobody is left.
    pub async fn resolve(&self, context: &Context) -> Result<Vec<Share>, Failure> {
        let mut shares = match self {
            Self::Shares(shares) => shares.clone(),
            Self::Auto => by_limits(context).await?,
        };
        shares.sort_unstable_by_key(|share| share.source);
        Ok(shares)
    }
}

async fn by_limits(context: &Context) -> Result<Vec<Share>, Failure> {
    context.begins(Activity::AskingSources);
    let probes = join_all(Source::tracks().map(|source| probe(context, source)));
    let mut shares = Vec::new();
    for (source, found) in Source::tracks().zip(probes.await) {
        match found {
            Ok(weight) => shares.push(Share { source, weight }),
            Err(why) => {
                context.progress.on_phase_event(&PhaseEvent::SourceLeftOut { source, why: &why });
            }
        }
    }
    if shares.is_empty() {
        return Err(Failure::Unusable("no source answers; the reasons are above".to_owned()));
    }
    Ok(shares)
}

/// What a source can do: thousandths of tokens a second, in full requests, in the long run.
async fn probe(context: &Context, source: Source) -> Result<u64, Failure> {
    let chosen = track::choose(&context.settings, source)?;
    let answer = tokio::time::timeout(PROBE, chosen.upstream.ask(&[PROBE_TOKEN], None)).await;
    match answer.unwrap_or(Err(UpstreamError::Timeout(PROBE))) {
        // Who is busy is there.
        Ok(_) | Err(UpstreamError::Throttled { .. }) => {
            let pace = chosen.settings.rate_limit.per_second() * chosen.request_tokens() as f64;
            Ok((pace * 1000.0).round().max(1.0) as u64)
        }
        Err(error) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn weights(text: &str) -> Vec<(&'static str, u64)> {
        match text.parse::<Tracks>().unwrap() {
            Tracks::Shares(shares) => shares.iter().map(|it| (it.source.name(), it.weight)).collect(),
            Tracks::Auto => panic!("shares were given"),
        }
    }

    #[test]
    fn shares_are_percentages_and_names_alone_share_the_rest() {
        assert_eq!(weights("dome:70,goldsky:30"), [("dome", 70_000_000), ("goldsky", 30_000_000)]);
        assert_eq!(weights("goldsky, dome"), [("goldsky", 100_000_000), ("dome", 100_000_000)]);
        assert_eq!(weights("goldsky:60,dome"), [("goldsky", 60_000_000), ("dome", 40_000_000)]);
        assert_eq!(weights("goldsky"), [("goldsky", 100_000_000)]);
        assert_eq!("auto".parse(), Ok(Tracks::Auto));
        assert_eq!("dome:50,goldsky:50".parse(), Ok(Tracks::default()));
    }

    #[test]
    fn what_are_no_shares_of_a_whole_is_refused() {
        for text in [
            "",
            "dome:40",
            "dome:60,goldsky:60",
            "dome:100,goldsky",
            "dome,dome",
            "derived",
            "nobody:5",
            "dome:x,goldsky:50",
            "dome:-1,goldsky",
        ] {
            assert!(text.parse::<Tracks>().is_err(), "{text:?}");
        }
    }
}
