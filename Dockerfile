# A small image of the tool alone: the embedded ClickHouse is for trying things out and is not in it.
#
#   docker build -t backfill .
#   docker run --rm --env-file .env -v "$PWD/tmp:/var/lib/backfill/tmp" backfill run

FROM rust:1-slim-bookworm AS build
WORKDIR /src
# The dependencies change seldom: built without the sources, they stay in a layer of their own. (The benches are not
# built, nor the tests, but the manifest names them.)
COPY Cargo.toml Cargo.lock ./
COPY benches benches
COPY tests tests
RUN mkdir src && touch src/lib.rs && echo 'fn main() {}' > src/main.rs \
 && cargo build --release --locked --bin backfill
COPY src src
COPY README.md ./
# The empty sources above are younger than these.
RUN touch src/main.rs src/lib.rs && cargo build --release --locked --bin backfill && strip target/release/backfill

FROM debian:bookworm-slim
# Certificates: the APIs and ClickHouse Cloud are https.
RUN apt-get update && apt-get install -y --no-install-recommends ca-certificates && rm -rf /var/lib/apt/lists/* \
 && useradd --system --uid 10001 backfill && mkdir -p /var/lib/backfill/tmp && chown -R backfill /var/lib/backfill
COPY --from=build /src/target/release/backfill /usr/local/bin/backfill
USER backfill
WORKDIR /var/lib/backfill
# Checkpoints and logs: keep this folder when the container goes.
VOLUME /var/lib/backfill/tmp
ENTRYPOINT ["backfill"]
CMD ["--help"]
