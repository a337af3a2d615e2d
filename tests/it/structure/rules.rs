//! The order in which the parts of `src` may use each other. Arrows point down only:
//!
//! commands → report → phases → track → (store, upstream, the chain's readers) → settings' parts →
//! (results, proof, pnl, the chain's decoder) → (ctf, source) → (ids, values)
//!
//! `embedded` and `demo` stand beside, used by the commands (and by tests) alone.

/// A part's level; parts of one level may use each other as long as no circle arises. The first prefix that fits counts.
const LEVELS: &[(&str, u32)] = &[
    ("main.rs", 100),
    ("lib.rs", 100),
    ("commands", 90),
    ("cli", 90),
    ("logging", 90),
    ("embedded", 85),
    ("demo", 85),
    ("report", 80),
    ("phases", 70),
    ("failure", 67),
    // The whole of the settings is made of the parts' own.
    ("settings", 65),
    ("track", 60),
    ("store", 50),
    ("upstream", 50),
    ("results", 30),
    ("proof", 30),
    ("pnl", 30),
    ("chain", 30),
    ("ctf", 20),
    ("source", 20),
    // The ground floor: what an id and a value is, files, processes and threads.
    ("ids", 10),
    ("values", 10),
    ("journal", 10),
    ("dotenv", 10),
    ("secret_sources", 10),
    ("foreign", 10),
    ("outcome", 10),
    ("atomic_file", 10),
    ("parallel", 10),
    ("process_lock", 10),
    ("stop", 10),
];

/// Parts that only those above may use, and each itself.
const BESIDE: &[&str] = &["embedded", "demo"];

/// The level of a file, relative to `src`.
pub fn level(file: &str) -> Option<u32> {
    LEVELS.iter().find(|(part, _)| is_in(file, part)).map(|(_, level)| *level)
}

fn is_in(file: &str, part: &str) -> bool {
    file.strip_prefix(part).is_some_and(|rest| rest.is_empty() || rest.starts_with('/') || rest == ".rs")
}

/// Whether a file may use another.
pub fn allows(from: &str, to: &str) -> bool {
    let part = |file: &str| file.split('/').next().unwrap_or(file).trim_end_matches(".rs").to_owned();
    if part(from) == part(to) {
        return true;
    }
    let (Some(above), Some(below)) = (level(from), level(to)) else { return false };
    if BESIDE.contains(&part(to).as_str()) {
        return above > below || (part(from) == "demo" && part(to) == "embedded");
    }
    above >= below
}
