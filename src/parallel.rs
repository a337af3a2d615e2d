//! [`on_all_cores`]: the same arithmetic on many things, on as many threads as the machine has cores.

use std::num::NonZeroUsize;

/// What `work` makes of each of the `items`, in their order.
pub fn on_all_cores<T: Sync, U: Send>(items: &[T], work: impl Fn(&T) -> U + Sync) -> Vec<U> {
    let cores = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
    let share = items.len().div_ceil(cores).max(1);
    let mut shares = items.chunks(share);
    // The caller's own thread takes a share too: one core, or few items, start no thread at all.
    let own = shares.next().unwrap_or_default();
    let work = &work;
    std::thread::scope(|scope| {
        let others: Vec<_> =
            shares.map(|share| scope.spawn(move || share.iter().map(work).collect::<Vec<U>>())).collect();
        let mut made: Vec<U> = Vec::with_capacity(items.len());
        made.extend(own.iter().map(work));
        for other in others {
            match other.join() {
                Ok(part) => made.extend(part),
                // `work` panicked there; it goes on here as if it had happened on this thread.
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
        made
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_item_is_worked_on_once_and_in_order() {
        for count in [0, 1, 2, 3, 1_000] {
            let items: Vec<usize> = (0..count).collect();
            assert_eq!(
                on_all_cores(&items, |item| item * 2),
                (0..count).map(|it| it * 2).collect::<Vec<_>>()
            );
        }
    }
}
