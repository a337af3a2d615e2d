# Short commands; `just` lists them.

default:
    @just --list

# The whole pipeline on this machine, without accounts
demo *arguments:
    cargo run --release --locked -- demo {{arguments}}

# All tests, or those of one name: `just test merge::`
test *filter:
    cargo test --locked {{filter}}

# Format, lints, documentation
lint:
    cargo fmt --check
    cargo clippy --locked --all-targets -- -D warnings
    RUSTDOCFLAGS="-D warnings" cargo doc --locked --no-deps

# What CI runs
ci:
    .ci/run

# Every parser of untrusted text, so many seconds each
fuzz seconds="30":
    FUZZ_SECONDS={{seconds}} cargo test --locked --release --test fuzz -- --nocapture

# Killed processes, so many seeds
campaigns runs="100":
    CRASH_RUNS={{runs}} cargo test --locked --release --test campaigns campaign -- --nocapture

# Licences, sources and advisories of the dependencies
deny:
    cargo deny --locked check
