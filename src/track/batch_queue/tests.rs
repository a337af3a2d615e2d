use std::time::Duration;

use super::*;

const SECOND: Duration = Duration::from_secs(1);

fn tokens(from: u64, count: u64) -> Vec<TokenId> {
    (from..from + count).map(|n| n.to_string().parse().unwrap()).collect()
}

fn queue(count: u64, room: usize) -> BatchQueue {
    let mut queue = BatchQueue::new(RequestLimits { tokens: room, bytes: usize::MAX, overhead: 0 });
    queue.load(tokens(1, count));
    queue.all_read();
    queue
}

fn take(queue: &mut BatchQueue, now: TrackTime) -> Batch {
    match queue.next(now) {
        NextJob::Ask(batch) => batch,
        order => panic!("expected work, got {order:?}"),
    }
}

fn missed(kind: FailureKind, now: TrackTime) -> Missed<'static> {
    Missed { kind, why: "HTTP 500", host_down: false, now, pause: SECOND }
}

fn answer(queue: &mut BatchQueue, batch: &Batch) {
    queue.answered(batch);
    queue.written(&[batch.number]);
}

#[test]
fn no_two_workers_are_given_the_same_token_and_all_tokens_are_given_out() {
    let mut queue = queue(1_000, 30);
    let mut seen = HashSet::new();
    let mut under_way = Vec::new();
    while let NextJob::Ask(batch) = queue.next(Duration::ZERO) {
        assert!(batch.part.iter().all(|token| seen.insert(*token)));
        under_way.push(batch);
    }
    assert_eq!(seen.len(), 1_000);
    assert_eq!(queue.next(Duration::ZERO), NextJob::Wait);
    for batch in under_way {
        answer(&mut queue, &batch);
    }
    assert_eq!(queue.next(Duration::ZERO), NextJob::Done);
    assert!(queue.gaps().is_empty());
}

#[test]
fn a_batch_is_as_full_as_its_bytes_allow() {
    let mut queue = BatchQueue::new(RequestLimits { tokens: 100, bytes: 8_000 - 60, overhead: 10 });
    let longest: TokenId = "1".repeat(78).parse().unwrap();
    let near = (0..200u8).map(|n| {
        let mut bytes = longest.to_be_bytes();
        bytes[31] = n;
        TokenId::from_be_bytes(bytes)
    });
    queue.load(near);
    assert_eq!(take(&mut queue, Duration::ZERO).part.len(), 90);
}

#[test]
fn a_sibling_that_is_resolved_is_not_asked_for() {
    let mut queue = queue(10, 4);
    take(&mut queue, Duration::ZERO);
    assert!(tokens(5, 3).iter().all(|token| queue.remove_resolved(token)));
    assert!(!queue.remove_resolved(&tokens(1, 1)[0]), "it is under way, not pending");
    assert_eq!(take(&mut queue, Duration::ZERO).part, tokens(8, 3));
}

#[test]
fn what_a_track_beside_has_staged_is_passed_over_and_counted() {
    let (mut queue, beside) = (queue(10, 4), Arc::new(StagedTokens::default()));
    queue.set_peers(vec![beside.clone()]);
    for token in tokens(2, 2) {
        beside.insert(token.fingerprint());
    }
    let asked: Vec<TokenId> = [tokens(1, 1), tokens(4, 3)].concat();
    assert_eq!(take(&mut queue, Duration::ZERO).part, asked);
    assert_eq!((queue.take_staged_beside(), queue.take_staged_beside()), (2, 0));
}

/// Asks until nothing is left of a list of which these tokens break every batch that they are in; answers how many
/// requests that took.
fn isolate(size: u64, poison: &[TokenId], kind: FailureKind) -> (u32, usize, BatchQueue) {
    let mut queue = queue(size, size as usize);
    let (mut now, mut requests, mut answered) = (Duration::ZERO, 0, 0);
    loop {
        match queue.next(now) {
            NextJob::Ask(batch) => {
                requests += 1;
                if batch.part.iter().any(|token| poison.contains(token)) {
                    queue.no_answer(batch, &missed(kind, now));
                } else {
                    answered += batch.part.len();
                    answer(&mut queue, &batch);
                }
            }
            NextJob::WaitUntil(at) => now = at,
            NextJob::Wait => panic!("nothing is under way"),
            NextJob::Done => return (requests, answered, queue),
        }
    }
}

#[test]
fn one_poisonous_token_is_isolated_whatever_the_size_of_the_list_and_its_neighbours_are_answered() {
    for size in [1, 2, 64, 1_000] {
        for kind in [FailureKind::Passing, FailureKind::Refused, FailureKind::TooLarge] {
            let poison: TokenId = size.to_string().parse().unwrap();
            let (requests, answered, queue) = isolate(size, &[poison], kind);
            assert_eq!(answered as u64, size - 1, "{kind:?}");
            assert_eq!(queue.failed().len(), 1);
            assert_eq!((queue.failed()[0].first, queue.failed()[0].tokens), (poison, 1));
            assert!(requests <= 45, "{requests} requests for one of {size}, {kind:?}");
        }
    }
}

#[test]
fn what_failed_before_is_asked_for_last_and_without_others() {
    let mut queue = BatchQueue::new(RequestLimits { tokens: 5, bytes: usize::MAX, overhead: 0 });
    queue.ask_last(tokens(1, 2));
    queue.load(tokens(1, 6));
    assert_eq!(take(&mut queue, Duration::ZERO).part, tokens(3, 4));
    assert_eq!(queue.next(Duration::ZERO), NextJob::Wait, "more may be read");
    queue.all_read();
    assert_eq!(take(&mut queue, Duration::ZERO).part, tokens(1, 2));
}

#[test]
fn a_refusal_for_size_halves_the_batch_and_every_later_one() {
    let mut queue = queue(300, 100);
    let batch = take(&mut queue, Duration::ZERO);
    let too_large = missed(FailureKind::TooLarge, Duration::ZERO);
    assert_eq!(queue.no_answer(batch, &too_large), RetryDecision::Halved);
    let sizes: Vec<usize> = (0..6).map(|_| take(&mut queue, Duration::ZERO).part.len()).collect();
    assert_eq!(sizes, [50, 50, 50, 50, 50, 50]);
}

#[test]
fn while_the_host_is_down_no_batch_is_to_blame() {
    let mut queue = queue(10, 10);
    for round in 0..1_000 {
        let batch = take(&mut queue, SECOND * round);
        assert_eq!(batch.part.len(), 10);
        let missed = Missed { host_down: true, ..missed(FailureKind::Passing, SECOND * round) };
        assert_eq!(queue.no_answer(batch, &missed), RetryDecision::Retried);
    }
    assert!(queue.failed().is_empty());
}

#[test]
fn a_failed_token_that_a_sibling_resolves_is_failed_no_more() {
    let mut queue = queue(1, 1);
    let batch = take(&mut queue, Duration::ZERO);
    let refused = missed(FailureKind::Refused, Duration::ZERO);
    assert_eq!(queue.no_answer(batch, &refused), RetryDecision::Failed);
    assert_eq!(queue.gaps().len(), 1);
    assert!(!queue.remove_resolved(&tokens(1, 1)[0]), "it was counted when it failed");
    assert!(queue.gaps().is_empty() && queue.is_done());
}

#[test]
fn an_answer_is_a_gap_until_it_is_written() {
    let mut queue = queue(2, 1);
    let batch = take(&mut queue, Duration::ZERO);
    queue.answered(&batch);
    assert_eq!(queue.gaps().len(), 1);
    queue.written(&[batch.number]);
    assert!(queue.gaps().is_empty() && !queue.is_done());
}

#[test]
fn a_doubted_token_is_asked_again_and_final_after_a_few_times() {
    let mut queue = queue(2, 2);
    let mut asked = 0;
    let finally = loop {
        let batch = take(&mut queue, Duration::ZERO);
        assert_eq!(queue.has_doubts(&batch), asked > 0);
        asked += 1;
        answer(&mut queue, &batch);
        let outcome = queue.doubt(tokens(1, 1));
        if !outcome.finally.is_empty() {
            break outcome.finally;
        }
    };
    assert_eq!((asked, finally), (u32::from(DOUBTS), tokens(1, 1)));
    assert!(queue.is_done());
}
