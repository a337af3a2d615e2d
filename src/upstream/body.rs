//! [`Body`]: an answer's body, in the memory that all bodies of the process share.
//!
//! What a server sends is its own choice, and hundreds of requests may be under way. So only the beginning of a body is
//! free; to grow beyond it takes one of a few places, and to grow large one of two. Who finds none waits, within the time
//! that its request has, for bodies that are read and done with: nobody waits for one that waits in turn.
//!
//! With [`FREE`] for each of at most 1,280 requests (five sources of 256 workers), 20 bodies of 4 MB and 2 of 24 MB, all
//! bodies together stay below 208 MB.

use std::ops::Deref;

use tokio::sync::{Semaphore, SemaphorePermit};

/// The largest answer that is read, decompressed. The largest honest one, a page of a thousand markets, has about 3 MB.
pub(super) const LARGEST: usize = 24 << 20;

/// What a body may take without asking.
const FREE: usize = 64 << 10;

/// What a body of middle size may take.
const MIDDLE: usize = 4 << 20;

static MIDDLE_PLACES: Semaphore = Semaphore::const_new(20);
static LARGE_PLACES: Semaphore = Semaphore::const_new(2);

/// A body; its places are given back when it is dropped.
#[derive(Debug, Default)]
pub struct Body {
    bytes: Vec<u8>,
    middle: Option<SemaphorePermit<'static>>,
    large: Option<SemaphorePermit<'static>>,
}

/// A body would be longer than [`LARGEST`].
#[derive(Debug, PartialEq, Eq)]
pub(super) struct TooLong;

impl Body {
    /// Adds what has come, as soon as there is memory for it.
    ///
    /// # Errors
    /// [`TooLong`]; what came before stays.
    pub(super) async fn push(&mut self, chunk: &[u8]) -> Result<(), TooLong> {
        let length = self.bytes.len() + chunk.len();
        if length > LARGEST {
            return Err(TooLong);
        }
        // The places are never closed.
        if length > FREE && self.middle.is_none() {
            self.middle = MIDDLE_PLACES.acquire().await.ok();
        }
        if length > MIDDLE && self.large.is_none() {
            self.large = LARGE_PLACES.acquire().await.ok();
        }
        self.bytes.extend_from_slice(chunk);
        Ok(())
    }
}

impl Deref for Body {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.bytes
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[tokio::test]
    async fn however_many_bodies_grow_all_are_read_and_few_are_large_at_once() {
        static LARGE: AtomicUsize = AtomicUsize::new(0);
        let chunk = vec![7; 1 << 20];
        let read = || async {
            let mut body = Body::default();
            for _ in 0..6 {
                body.push(&chunk).await.unwrap();
                tokio::task::yield_now().await;
            }
            let large = LARGE.fetch_add(1, Ordering::SeqCst) + 1;
            assert!(large <= 2, "{large} bodies are large at once");
            tokio::task::yield_now().await;
            LARGE.fetch_sub(1, Ordering::SeqCst);
            body.len()
        };
        let all = futures_util::future::join_all((0..60).map(|_| read())).await;
        assert_eq!(all, [6 << 20; 60]);
    }

    #[tokio::test]
    async fn a_body_that_does_not_end_is_left() {
        let (chunk, mut body) = (vec![7; 1 << 20], Body::default());
        for _ in 0..24 {
            body.push(&chunk).await.unwrap();
        }
        assert_eq!(body.push(&chunk).await, Err(TooLong));
        assert_eq!(body.len(), LARGEST);
    }
}
