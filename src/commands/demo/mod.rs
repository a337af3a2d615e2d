//! `demo`: its universe, its tier, and what stays of it.

mod stage;

use std::sync::Arc;

use super::report_file;
use super::run::{self, Told};
use super::session::{self, Session, launcher};
use crate::cli::DemoArgs;
use crate::demo::{StandIn, UniverseOptions};
use crate::failure::Failure;
use crate::journal::Journal;
use crate::outcome::Outcome;
use crate::phases;
use crate::report::recorder::Recorder;
use crate::source::Source;
use crate::values::Secret;
use stage::{Demo, DemoOptions};

/// Starts a server and the stand-ins, runs all phases, and clears everything away.
pub(super) async fn run(session: &Session, args: &DemoArgs) -> Result<Outcome, Failure> {
    let traded_tokens = args.tokens as usize;
    let universe = UniverseOptions {
        seed: args.seed,
        traded_tokens,
        // The guide's share of what was mapped before.
        mapped_tokens: traded_tokens * 19_964 / 118_870,
        fills: args.fills,
        v2_share: args.v2_share,
        ..UniverseOptions::default()
    };
    let tracks = args.tracks.tracks();
    let options = DemoOptions {
        universe,
        // Kept, it serves every command, the catalogue's too.
        sources: match args.keep {
            true => Source::ALL.into_iter().filter(|source| *source != Source::Derived).collect(),
            false => tracks.named().iter().map(|share| share.source).collect(),
        },
        faults: args.faults,
        dome_limit: args.dome_tier.rate_limit().parse()?,
        latency: std::time::Duration::from_millis(50),
        launcher: launcher()?,
    };
    // The stand-in takes any key.
    let mut settings = (*session.settings).clone();
    settings.sources.set_key(Source::Dome, Secret::from("demo"));
    let mut run_options = run::options(&settings, &tracks, !args.plain)?;
    session.serve_metrics(&args.metrics)?;
    let journal = Journal::new(&stage::folder(), session.run_id.clone());
    let recorder = Arc::new(Recorder::new(session.progress.clone(), journal));
    let starting = Demo::start(
        &session.settings,
        &options,
        &session.progress,
        recorder.clone(),
        session.stop.clone(),
        session.started,
    );
    let demo = tokio::select! {
        demo = starting => demo?,
        () = session.stop.cancelled() => return Err(Failure::DemoInterrupted),
    };
    session::works_at(&recorder, &demo.context).await;
    let ended = match session.phase(tracks.resolve(&demo.context)).await {
        Ok(shares) => {
            run_options.setup.shares = shares;
            phases_of(session, args, &demo, &run_options).await
        }
        Err(failure) => Err(failure),
    };
    if args.keep && ended.is_ok() {
        session.stop.cancelled().await;
    }
    demo.stop().await;
    match ended {
        Err(Failure::Interrupted) => Err(Failure::DemoInterrupted),
        ended => ended,
    }
}

async fn phases_of(
    session: &Session,
    args: &DemoArgs,
    demo: &Demo,
    options: &phases::run::RunOptions,
) -> Result<Outcome, Failure> {
    let plan = session.phase(phases::plan::make(&demo.context, options)).await?;
    let mut told = Told::begin(session, &plan);
    let result = demo
        .run(options, &plan, &mut |result| {
            // The page of an interrupted track says how to go on, which a demo cannot.
            if !session.stop.is_cancelled() {
                told.tell(session, result);
            }
        })
        .await;
    if args.faults > 0.0 {
        let [faults, lies] = (demo.stand_ins.iter().map(StandIn::counters))
            .fold([0, 0], |[faults, lies], it| [faults + it.faults, lies + it.lies]);
        session.progress.notice(&format!("The stand-ins spoiled {faults} answers and told {lies} lies"));
    }
    let place = if args.keep {
        format!(
            "The server and the stand-ins of all APIs are still up. In another terminal these make every command work \
             with them:\n\n{}\nCtrl-C ends them and clears everything away.\n",
            demo.exports()
        )
    } else {
        "Everything ran on this machine and is cleared away; --keep leaves it up to look at.\n".to_owned()
    };
    let last = format!(
        "{place}For real: set CLICKHOUSE_URL and DOME_API_KEY, then run `backfill setup`, `backfill dome` and \
         `backfill goldsky` side by side, `backfill merge`, `backfill verify`, `backfill validate`.\n"
    );
    let well = result.failure.is_none() && result.outcome != Outcome::Interrupted;
    told.end(session, &result, if well { &last } else { "" });
    let file = session.settings.work.checkpoint_dir.join("backfill-demo-report.html");
    let written = report_file::wanted(session, &demo.folder, &args.with_report, &file);
    run::end(session, result, written)
}
