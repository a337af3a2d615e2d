//! The randomness of a universe: each use has a stream of the seed for itself.

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

/// ChaCha streams of one seed, one for each use.
pub(super) const MARKET_STREAM: u64 = 1;
pub(super) const FILL_STREAM: u64 = 2;
pub(super) const BASELINE_STREAM: u64 = 3;

/// The generator of one stream of the seed.
pub(super) fn stream(seed: u64, stream: u64) -> ChaCha8Rng {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    rng.set_stream(stream);
    rng
}
