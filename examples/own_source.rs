//! A source of mappings of one's own: a file with a line `token,condition,label` for each token that it knows.
//!
//! `cargo run --example own_source -- FILE TOKEN…` asks it as a track would, and says what the proof makes of its answer.

use std::collections::HashMap;

use backfill::ctf;
use backfill::ids::TokenId;
use backfill::proof::ProofPolicy;
use backfill::source::Source;
use backfill::track::claims::classify;
use backfill::upstream::{Answer, Claim, RequestLimits, Upstream, UpstreamError};
use futures_util::future::BoxFuture;

/// What the file says, by token.
struct ListOfMine(HashMap<TokenId, Claim>);

impl Upstream for ListOfMine {
    fn source(&self) -> Source {
        // One of its own, where it comes to stay: a line in src/source.rs.
        Source::Derived
    }

    fn request_limits(&self) -> RequestLimits {
        RequestLimits { tokens: 1_000, bytes: usize::MAX, overhead: 0 }
    }

    fn ask<'a>(
        &'a self,
        tokens: &'a [TokenId],
        _page: Option<&'a str>,
    ) -> BoxFuture<'a, Result<Answer, UpstreamError>> {
        let markets = tokens.iter().filter_map(|token| Some(vec![self.0.get(token)?.clone()])).collect();
        Box::pin(async { Ok(Answer { markets, ..Answer::default() }) })
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let file = std::fs::read_to_string(arguments.next().ok_or("name a file, then tokens")?)?;
    let claim = |line: &str| {
        let mut fields = line.split(',').map(|field| field.trim().to_owned());
        let (token, condition) = (fields.next()?.parse().ok()?, fields.next()?);
        Some((
            token,
            Claim { token, condition, outcome_index: None, label: fields.next().unwrap_or_default() },
        ))
    };
    let source = ListOfMine(file.lines().filter_map(claim).collect());
    let tokens: Vec<TokenId> = arguments.map(|token| token.parse()).collect::<Result<_, _>>()?;
    let policy = ProofPolicy { collaterals: ctf::default_collaterals(), ..ProofPolicy::default() };
    let found = classify(&tokens, None, &[source.ask(&tokens, None).await?], &policy);
    println!("{:#?}", found.mappings);
    println!("{} unknown, {} without a proof", found.not_found.len(), found.rejected.len());
    Ok(())
}
