//! A world with stand-ins of some sources, and the real program in it.

use std::collections::BTreeMap;
use std::process::{Child, Output, Stdio};
use std::sync::Arc;
use std::time::Duration;

use backfill::demo::{StandIn, StandInOptions, Universe, UniverseOptions};
use backfill::phases::Context;
use backfill::source::Source;
use serde_json::Value;

use super::{BACKFILL, World};

/// No command of a test takes as long as this.
const LONGEST: Duration = Duration::from_secs(300);

/// A small universe: everything the large one has, in a second.
pub fn small_universe(seed: u64) -> Arc<Universe> {
    let options = UniverseOptions {
        seed,
        traded_tokens: 6_000,
        mapped_tokens: 1_000,
        fills: 20_000,
        ..UniverseOptions::default()
    };
    Arc::new(Universe::generate(options).unwrap())
}

/// The settings that lead to a stand-in, without a limit that a test would have to wait for.
pub fn leading_to(source: Source, stand_in: &StandIn) -> Vec<String> {
    let api = source.info().api.as_ref().expect("it has an API");
    let flag = |setting: &str| format!("--{}", setting.to_lowercase().replace('_', "-"));
    let mut settings =
        vec![flag(api.url.name), stand_in.url(), flag(api.rate_limit.name), "100000/1s".to_owned()];
    if let Some(key) = api.required_key() {
        settings.extend([flag(key), "demo".to_owned()]);
    }
    settings
}

/// Settings by which no source is asked that has no stand-in: flags win over these.
pub fn nobody() -> Vec<(&'static str, &'static str)> {
    let urls = Source::ALL.iter().filter_map(|source| Some(source.info().api.as_ref()?.url.name));
    urls.map(|name| (name, "http://127.0.0.1:9")).collect()
}

/// A stand-in of a source, without limits that a test would have to wait for.
async fn stand_in(
    universe: &Arc<Universe>,
    source: Source,
    change: impl FnOnce(&mut StandInOptions),
) -> StandIn {
    let mut options = StandInOptions::of(source).unwrap();
    options.windows = Vec::new();
    change(&mut options);
    StandIn::start(universe.clone(), options).await.unwrap()
}

/// Stand-ins of the guide's two APIs.
pub async fn stand_ins(universe: &Arc<Universe>, change: impl Fn(&mut StandInOptions)) -> (StandIn, StandIn) {
    let start = async |source| stand_in(universe, source, &change).await;
    (start(Source::Dome).await, start(Source::Goldsky).await)
}

/// The settings that lead to these stand-ins.
pub fn sources(dome: &StandIn, goldsky: &StandIn) -> Vec<String> {
    let mut settings = leading_to(Source::Dome, dome);
    settings.extend(leading_to(Source::Goldsky, goldsky));
    settings.extend(SOON.map(str::to_owned));
    settings
}

/// An answer that does not come costs a test no longer than this.
const SOON: [&str; 2] = ["--request-timeout", "2s"];

/// A world, stand-ins of some sources, and the settings that lead to them.
pub struct Scene {
    /// Where the tables are.
    pub world: World,
    /// What is in them.
    pub universe: Arc<Universe>,
    /// Who answers.
    pub stand_ins: BTreeMap<Source, StandIn>,
    /// Flags and their values, in pairs.
    pub settings: Vec<String>,
}

impl Scene {
    /// A universe in a fresh world, and stand-ins of these sources, which `change` may spoil.
    pub async fn new(
        universe: &Arc<Universe>,
        sources: &[Source],
        change: impl FnMut(Source, &mut StandInOptions),
    ) -> Self {
        Self::on(World::with(universe).await, universe, sources, change).await
    }

    /// The same on a world that is there.
    pub async fn on(
        world: World,
        universe: &Arc<Universe>,
        sources: &[Source],
        mut change: impl FnMut(Source, &mut StandInOptions),
    ) -> Self {
        let mut settings = SOON.map(str::to_owned).to_vec();
        let mut stand_ins = BTreeMap::new();
        for source in sources {
            let stand_in = stand_in(universe, *source, |options| change(*source, options)).await;
            settings.extend(leading_to(*source, &stand_in));
            stand_ins.insert(*source, stand_in);
        }
        Self { world, universe: universe.clone(), stand_ins, settings }
    }

    /// With this setting, in the place of what it was.
    pub fn with(self, flag: &str, value: &str) -> Self {
        let mut scene = self.without(flag);
        scene.settings.extend([flag.to_owned(), value.to_owned()]);
        scene
    }

    /// Without the settings whose flags end like this.
    pub fn without(mut self, flag: &str) -> Self {
        self.settings =
            self.settings.chunks(2).filter(|pair| !pair[0].ends_with(flag)).flatten().cloned().collect();
        self
    }

    /// The stand-in of a source.
    pub fn stand_in(&self, source: Source) -> &StandIn {
        &self.stand_ins[&source]
    }

    /// What a phase works with.
    pub async fn context(&self) -> Context {
        let settings: Vec<&str> = self.settings.iter().map(String::as_str).collect();
        self.world.context(&settings).await
    }

    /// The program in this scene, with nothing of this process's environment that could set anything. What stands in
    /// `arguments` wins over the scene's settings.
    pub fn command(&self, arguments: &[&str]) -> tokio::process::Command {
        let mut command = tokio::process::Command::new(BACKFILL);
        command
            .args(self.world.arguments())
            .args(&self.settings)
            .args(arguments)
            .current_dir(self.world.folder.path())
            .env_clear()
            .envs(std::env::vars().filter(|(name, _)| ["PATH", "HOME", "TMPDIR"].contains(&name.as_str())))
            .envs(nobody())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        command
    }

    /// Runs the program to its end.
    pub async fn output(&self, arguments: &[&str]) -> Output {
        tokio::time::timeout(LONGEST, self.command(arguments).output()).await.expect("it ends").unwrap()
    }

    /// Runs to an end with this exit code and answers the object and what was said beside it.
    pub async fn json(&self, code: i32, arguments: &[&str]) -> (Value, String) {
        let output = self.output(&[arguments, &["--format", "json"]].concat()).await;
        let errors = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(code), "{errors}");
        (serde_json::from_slice(&output.stdout).expect("one object"), errors)
    }

    /// Starts the program, to be killed; what it says is nobody's matter.
    pub fn start(&self, arguments: &[&str]) -> Child {
        let mut command = self.command(arguments).into_std();
        command.args(["--progress", "none", "--format", "json"]);
        command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
    }
}
