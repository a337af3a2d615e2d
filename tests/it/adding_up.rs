//! The numbers of a page add up on the page: lines that are set in are the parts of the line above them, and what the
//! guide's pages put side by side are parts of their total.

/// Totals of the guide's pages and their parts, which stand beside them or in another section of the same page.
const BESIDE: [(&str, &[&str]); 6] = [
    ("Total unique asset_ids", &["Currently mapped", "Unmapped (target)"]),
    ("Unmapped tokens identified", &["Dome API track", "Goldsky track", "Gamma API track"]),
    ("Unmapped tokens", &["Derived and staged", "Left for the tracks"]),
    ("Total unique asset_ids in CLOB fills", &["Mapped in ctf_token_map", "Unmapped"]),
    ("Total fills", &["Mapped fills", "Unmapped"]),
    (
        "Total new mappings",
        &[
            "Derived track mappings",
            "Tokens track mappings",
            "Dome track mappings",
            "Goldsky track mappings",
            "Gamma track mappings",
            "CLOB track mappings",
        ],
    ),
];

/// The words before the colon, and the first number behind it.
fn entry(line: &str) -> Option<(&str, u64)> {
    let (label, value) = line.split_once(':')?;
    let digits = value.trim_start().split([' ', '%']).next()?.replace(',', "");
    Some((label.trim(), digits.parse().ok()?))
}

/// A part: set in by two spaces, and nothing behind its number.
fn part(line: &str) -> Option<u64> {
    let line = line.strip_prefix("  ").filter(|line| line.starts_with(|c: char| c.is_alphabetic()))?;
    let (_, value) = line.rsplit_once(": ")?;
    value.trim().replace(',', "").parse().ok()
}

/// Holds a page to it.
pub fn parts_add_up(name: &str, page: &str) {
    let lines: Vec<&str> = page.lines().collect();
    for (at, line) in lines.iter().enumerate().filter(|(_, line)| !line.starts_with(' ')) {
        let parts: Vec<u64> = lines[at + 1..].iter().map_while(|line| part(line)).collect();
        if let (Some((label, whole)), false) = (entry(line), parts.is_empty()) {
            assert_eq!(whole, parts.iter().sum::<u64>(), "{name}: the parts of {label:?}: {parts:?}\n{page}");
        }
    }
    let sections =
        page.split("\n[").chain(page.split("\nPHASE ").filter(|it| it.contains("Splitting Workload")));
    for section in sections {
        let entries: Vec<(&str, u64)> = section.lines().filter_map(entry).collect();
        let of = |label: &str| entries.iter().find(|(found, _)| *found == label).map(|(_, number)| *number);
        for (label, parts) in BESIDE {
            let parts: Vec<u64> = parts.iter().filter_map(|part| of(part)).collect();
            if let (Some(whole), false) = (of(label), parts.is_empty()) {
                assert_eq!(whole, parts.iter().sum::<u64>(), "{name}: {label:?} beside {parts:?}\n{page}");
            }
        }
    }
}

#[test]
fn a_page_whose_numbers_do_not_add_up_is_found() {
    parts_add_up("good", "Total: 1,003 / 2\n  one: 1,000\n  other: 3\nNot a part: 7\n");
    for page in ["Total: 5\n  one: 4\n", "Total fills: 7\nMapped fills: 4\nUnmapped: 2\n"] {
        assert!(std::panic::catch_unwind(|| parts_add_up("bad", page)).is_err(), "{page}");
    }
}
