//! [`forecast`]: what each phase of a plan will come to, from the tables as they are now.

use crate::failure::Failure;
use crate::phases::Context;
use crate::phases::derive;
use crate::phases::run_options::RunOptions;
use crate::phases::steps::{Decision, Forecast, Plan, Stage, Step};
use crate::phases::track::{self, choose};
use crate::source::Source;
use crate::store::progress::StagingProgress;
use crate::store::workload::cuts;
use crate::track::quota::ceiling;

/// Predicts each phase of `plan` that will be run: its tokens, the requests and the time that they take, and what it
/// writes. Derives to know what is left for the tracks, and writes nothing.
///
/// # Errors
/// ClickHouse fails.
pub async fn forecast(context: &Context, options: &RunOptions, plan: &mut Plan) -> Result<(), Failure> {
    let forecaster = Forecaster::new(context, options, plan).await?;
    for planned in &mut plan.0 {
        if matches!(planned.decision, Decision::Run(_)) {
            planned.forecast = Some(forecaster.of(planned.step)?);
        }
    }
    Ok(())
}

/// What all forecasts are made from.
struct Forecaster<'a> {
    context: &'a Context,
    /// Tokens that will be derived.
    derived: u64,
    /// Unmapped tokens that are neither derived nor will be.
    listed: u64,
    /// Tokens that each track will be asked for.
    asked: Vec<(Source, u64)>,
    /// Tokens that are staged and not in the map.
    unmerged: u64,
}

impl<'a> Forecaster<'a> {
    async fn new(context: &'a Context, options: &RunOptions, plan: &Plan) -> Result<Self, Failure> {
        let runs = |step| plan.0.iter().any(|it| it.step == step && matches!(it.decision, Decision::Run(_)));
        let sources = options.setup.sources();
        let standing = context.store.staging_progress(&sources).await?;
        let (mut derived, mut listed) = (0, 0);
        if runs(Step::Setup) {
            let predicted = derive::predict(context).await?;
            derived = if runs(Step::Derive) { predicted.inserted } else { 0 };
            listed = predicted.unmapped.saturating_sub(derived);
        }
        let mut forecaster = Self {
            context,
            derived,
            listed,
            asked: Vec::new(),
            unmerged: standing.as_ref().map_or(0, |it| it.unmerged + it.outranked),
        };
        if options.span.leaves_out(Stage::Tracks).is_none() {
            forecaster.asked = forecaster.split(options, standing.as_ref(), runs(Step::Setup));
        }
        Ok(forecaster)
    }

    /// What each track has no answer for: of its part of the new list, or of the list that it has.
    fn split(
        &self,
        options: &RunOptions,
        standing: Option<&StagingProgress>,
        anew: bool,
    ) -> Vec<(Source, u64)> {
        let of = |source| standing.and_then(|it| it.tracks.iter().find(|track| track.source == source));
        // A track that cannot be used has its part asked for by the others.
        let usable = track::usable(&self.context.settings, &options.setup.sources()).0;
        let shares: Vec<_> =
            options.setup.shares.iter().filter(|share| usable.contains(&share.source)).copied().collect();
        let mut before = 0;
        let parts = cuts(&shares, self.listed).into_iter().map(|end| {
            let part = end - before;
            before = end;
            part
        });
        let asked = shares.iter().zip(parts).map(|(share, part)| {
            let track = of(share.source);
            let open = match (anew, track) {
                (true, Some(track)) => part.saturating_sub(track.counts.total.saturating_sub(track.open())),
                (true, None) => part,
                (false, track) => track.map_or(0, |track| track.open()),
            };
            (share.source, open)
        });
        asked.collect()
    }

    fn of(&self, step: Step) -> Result<Forecast, Failure> {
        let names = self.context.store.names();
        let staged = |source: Source| format!("{}.{}", names.staging, source.staging_table());
        let asked = |source| self.asked.iter().find(|(of, _)| *of == source).map_or(0, |(_, tokens)| *tokens);
        Ok(match step {
            Step::Derive => {
                Forecast { tokens: self.derived, requests: None, writes: vec![staged(Source::Derived)] }
            }
            Step::Setup => {
                Forecast { tokens: self.listed, requests: None, writes: vec![format!("{}.*", names.staging)] }
            }
            Step::Track(source) => {
                let tokens = asked(source);
                let answers = ["not_found", "rejected_mappings"].map(|it| format!("{}.{it}", names.staging));
                let writes = [staged(source)].into_iter().chain(answers).collect();
                Forecast { tokens, requests: Some(self.requests(source, tokens)?), writes }
            }
            Step::Chain => {
                Forecast { writes: vec![format!("{}.chain_*", names.staging)], ..Forecast::default() }
            }
            Step::Merge => {
                let asked: u64 = self.asked.iter().map(|(_, tokens)| tokens).sum();
                let tokens = self.derived + asked + self.unmerged;
                Forecast { tokens, requests: None, writes: vec![names.token_map.plain()] }
            }
            Step::Verify | Step::Validate => Forecast::default(),
        })
    }

    /// Full requests for so many tokens, and the seconds that the source's limit asks for them.
    fn requests(&self, source: Source, tokens: u64) -> Result<(u64, f64), Failure> {
        let chosen = choose(&self.context.settings, source)?;
        let requests = tokens.div_ceil(chosen.request_tokens().max(1) as u64);
        let seconds = ceiling(&chosen.settings.rate_limit, requests as usize).as_secs_f64();
        Ok((requests, seconds))
    }
}
