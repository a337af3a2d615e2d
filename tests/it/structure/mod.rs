//! How the files of `src` may know each other: no circle, and no import that goes up. The rules stand in [`rules`],
//! the reader of the source in [`source`]. What is not yet as it should be stands in `structure/known.txt`, a pair a
//! line; a pair that is gone has to leave that list, so it can only become shorter.

mod rules;
mod source;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use source::Files;

type Edge = (String, String);

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// Lines of `known.txt` that begin with `kind`, as pairs.
fn known(kind: &str) -> BTreeSet<Edge> {
    let text = std::fs::read_to_string(root().join("tests/it/structure/known.txt")).unwrap();
    let pair = |line: &str| {
        let (from, to) = line.trim().split_once(" -> ")?;
        Some((from.to_owned(), to.to_owned()))
    };
    text.lines().filter_map(|line| pair(line.strip_prefix(kind)?)).collect()
}

/// Ends the test with every offender that is new and every listed one that is gone.
fn hold(kind: &str, found: &BTreeSet<Edge>, what_to_do: &str) {
    let known = known(kind);
    let lines = |edges: Vec<&Edge>| {
        edges.iter().map(|(from, to)| format!("{kind} {from} -> {to}\n")).collect::<String>()
    };
    let new = lines(found.difference(&known).collect());
    let gone = lines(known.difference(found).collect());
    assert!(new.is_empty(), "{what_to_do}\n{new}");
    assert!(gone.is_empty(), "mended: remove these lines from tests/it/structure/known.txt\n{gone}");
}

/// The edges that lie on a circle: both ends reach each other.
fn on_circles(edges: &BTreeSet<Edge>) -> BTreeSet<Edge> {
    let mut next: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for (from, to) in edges {
        next.entry(from).or_default().push(to);
    }
    let reaches = |from: &str, goal: &str| {
        let (mut seen, mut open) = (BTreeSet::new(), vec![from]);
        while let Some(file) = open.pop() {
            if file == goal {
                return true;
            }
            if seen.insert(file) {
                open.extend(next.get(file).into_iter().flatten());
            }
        }
        false
    };
    edges.iter().filter(|(from, to)| reaches(to, from)).cloned().collect()
}

#[test]
fn no_two_files_need_each_other() {
    let files = Files::read(&root().join("src"));
    let advice = "these files need each other, in a circle: move what both need to a file below them";
    hold("circle", &on_circles(&files.edges()), advice);
}

#[test]
fn no_import_goes_up() {
    let files = Files::read(&root().join("src"));
    let up = files.edges().into_iter().filter(|(from, to)| !rules::allows(from, to)).collect();
    hold("up", &up, "these imports go up (the order stands in tests/it/structure/rules.rs)");
}

#[test]
fn every_file_has_a_place_in_the_order() {
    let files = Files::read(&root().join("src"));
    let without: Vec<_> = files.names().filter(|file| rules::level(file).is_none()).collect();
    assert!(without.is_empty(), "name their level in tests/it/structure/rules.rs: {without:?}");
}

/// The folders with code.
const CODE: [&str; 5] = ["src", "tests", "benches", "examples", "fuzz"];

#[test]
fn no_file_is_longer_than_600_lines() {
    let mut long = BTreeSet::new();
    for path in CODE.iter().flat_map(|folder| source::rust_files(&root().join(folder))) {
        if std::fs::read_to_string(&path).unwrap().lines().count() > 600 {
            let path = path.strip_prefix(root()).unwrap();
            long.insert((path.display().to_string(), "600 lines".to_owned()));
        }
    }
    hold("long", &long, "these files are longer than 600 lines: divide them by purpose");
}

#[test]
fn at_most_15_functions_are_longer_than_60_lines() {
    let files = source::rust_files(&root().join("src")).into_iter();
    let long: Vec<_> = files.flat_map(|path| source::long_functions(&path, 60)).collect();
    assert!(long.len() <= 15, "{} functions are longer than 60 lines:\n{}", long.len(), long.join("\n"));
}

/// A crate whose `a` uses `b` by what its folder hands on, and whose `b` uses `a` as it is told to.
fn small_crate(b: &str) -> Files {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
    std::fs::create_dir(folder.path().join("store")).unwrap();
    write("lib.rs", "mod a; mod store;");
    write("main.rs", "fn main() {}");
    write("a.rs", "use crate::store::{Deep, Other as _}; pub fn a(_: Deep) {}");
    write("store/mod.rs", "mod b; mod c; pub use b::Deep; pub use c::*;");
    write("store/b.rs", b);
    write("store/c.rs", "pub struct Other;");
    Files::read(folder.path())
}

#[test]
fn a_circle_is_found_through_what_a_folder_hands_on() {
    let pair = |from: &str, to: &str| (from.to_owned(), to.to_owned());
    let circle = small_crate("pub struct Deep; fn f() { crate::a::a(Deep) }").edges();
    assert_eq!(on_circles(&circle), BTreeSet::from([pair("a.rs", "store/b.rs"), pair("store/b.rs", "a.rs")]));
    assert!(circle.contains(&pair("a.rs", "store/c.rs")), "{circle:?}");
    for harmless in [
        "pub struct Deep;",
        "pub struct Deep; // crate::a::a",
        "/// [`crate::a`]\npub struct Deep;",
        "pub struct Deep; #[cfg(test)] mod tests { use crate::a::a; }",
        "pub const DEEP: &str = \"crate::a::a\"; pub struct Deep;",
        "pub(in crate::store) struct Deep; pub(crate) fn f() {}",
    ] {
        assert_eq!(on_circles(&small_crate(harmless).edges()), BTreeSet::new(), "{harmless}");
    }
}

#[test]
fn an_import_that_goes_up_is_told_from_one_that_goes_down() {
    for (from, to, allowed) in [
        ("report/text.rs", "phases/merge.rs", true),
        ("phases/merge.rs", "report/text.rs", false),
        ("track/engine.rs", "store/mod.rs", true),
        ("store/mod.rs", "settings.rs", false),
        ("phases/run.rs", "demo/load.rs", false),
        ("commands/demo.rs", "demo/load.rs", true),
        ("demo/load.rs", "embedded/server.rs", true),
        ("embedded/server.rs", "demo/load.rs", false),
        ("store/merge.rs", "store/mod.rs", true),
    ] {
        assert_eq!(rules::allows(from, to), allowed, "{from} -> {to}");
    }
}
