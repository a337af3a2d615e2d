//! [`fuzz`]: runs one target on its corpus and on what is made of it, and stops at the first input that does harm.

use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::mutate::mutate;

/// No input may take longer than this; whatever does hangs.
const LONGEST: Duration = Duration::from_secs(20);

/// Inputs made of the corpus where no time is given.
const FEW: u64 = 300;

/// Inputs that are kept beside the corpus.
const POOL: usize = 2_000;

/// An input that grows beyond this is cut.
const LARGEST: usize = 64 * 1024;

/// What an outcome looks like: inputs whose outcome looks new are kept. Numbers are left out, letters count.
pub fn looks(outcome: &str) -> u64 {
    let mut hash = DefaultHasher::new();
    outcome.chars().filter(|c| !c.is_ascii_digit()).take(200).for_each(|c| c.hash(&mut hash));
    hash.finish()
}

/// How long, and from which seed on.
struct Budget {
    time: Option<Duration>,
    seed: u64,
}

impl Budget {
    fn of_environment() -> Self {
        let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
        let time = number("FUZZ_SECONDS").map(Duration::from_secs);
        let clock = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
        let fresh = if time.is_some() { clock.subsec_nanos().into() } else { 1 };
        Self { time, seed: number("FUZZ_SEED").unwrap_or(fresh) }
    }

    fn allows(&self, executions: u64, began: Instant) -> bool {
        self.time.map_or(executions < FEW, |time| began.elapsed() < time)
    }
}

/// What is being tried, and since when: looked at by a thread that ends a process which hangs.
type Current = Arc<Mutex<Option<(Instant, Vec<u8>)>>>;

/// Runs `execute` on the corpus of `name`, then on inputs made of it. It answers what the outcome [`looks`] like.
pub fn fuzz(name: &'static str, mut execute: impl FnMut(&[u8]) -> u64) {
    let budget = Budget::of_environment();
    let mut pool = corpus(name);
    let current = Current::default();
    watch(name, &current);
    let mut seen = HashSet::new();
    let mut attempt = |input: &[u8]| {
        *lock(&current) = Some((Instant::now(), input.to_vec()));
        let outcome = catch_unwind(AssertUnwindSafe(|| execute(input)));
        *lock(&current) = None;
        match outcome {
            Ok(looks) => seen.insert(looks),
            Err(panic) => {
                let kept = keep(name, input);
                eprintln!("{name}: panicked on {}, seed {}", kept.display(), budget.seed);
                resume_unwind(panic)
            }
        }
    };
    for input in &pool {
        attempt(input);
    }
    let mut dice = ChaCha8Rng::seed_from_u64(budget.seed);
    let (began, mut executions) = (Instant::now(), 0);
    while budget.allows(executions, began) {
        let (one, other) = (dice.random_range(0..pool.len()), dice.random_range(0..pool.len()));
        let mut input = mutate(&pool[one], &pool[other], &mut dice);
        input.truncate(LARGEST);
        if attempt(&input) && pool.len() < POOL {
            pool.push(input);
        }
        executions += 1;
    }
    println!(
        "{name}: {executions} inputs in {:.0?}, {} kept, seed {}",
        began.elapsed(),
        pool.len(),
        budget.seed
    );
}

fn corpus(name: &str) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz/corpus").join(name);
    let mut paths: Vec<PathBuf> = std::fs::read_dir(&folder)
        .unwrap_or_else(|error| panic!("{}: {error}", folder.display()))
        .map(|entry| entry.unwrap().path())
        .collect();
    paths.sort();
    assert!(!paths.is_empty(), "{} is empty", folder.display());
    paths.iter().map(|path| std::fs::read(path).unwrap()).collect()
}

/// Ends the process where one input takes too long: a thread that hangs cannot be stopped otherwise.
fn watch(name: &'static str, current: &Current) {
    let current = Arc::downgrade(current);
    std::thread::spawn(move || {
        while let Some(current) = current.upgrade() {
            let hangs = lock(&current).clone().filter(|(since, _)| since.elapsed() > LONGEST);
            if let Some((_, input)) = hangs {
                eprintln!("{name}: hangs on {}", keep(name, &input).display());
                std::process::abort();
            }
            drop(current);
            std::thread::sleep(Duration::from_millis(250));
        }
    });
}

fn lock(current: &Current) -> std::sync::MutexGuard<'_, Option<(Instant, Vec<u8>)>> {
    current.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Writes an input that does harm where it can be found: it belongs into the corpus.
fn keep(name: &str, input: &[u8]) -> PathBuf {
    let mut hash = DefaultHasher::new();
    input.hash(&mut hash);
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("fuzz");
    std::fs::create_dir_all(&folder).unwrap();
    let path = folder.join(format!("{name}-{:016x}", hash.finish()));
    std::fs::write(&path, input).unwrap();
    path
}
