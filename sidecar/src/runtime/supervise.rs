//! A background task that panics is started again; the data plane does not notice.

use std::future::Future;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

/// Pause before the first restart.
const BACKOFF_MIN: Duration = Duration::from_millis(100);
/// Longest pause. A task that fails all day is then tried twice a minute.
const BACKOFF_MAX: Duration = Duration::from_secs(30);

/// Runs the tasks that `start` makes, one after the other, until one of them returns or `stop` is
/// cancelled. `start` is called again after each panic, with a pause that doubles
/// until the task holds for a while.
///
/// State that must survive a panic lives outside the task, in a `tokio::sync::Mutex` that only the
/// running task locks: unlike the standard one it is not poisoned.
pub async fn supervise<F, T>(
    name: &'static str,
    stop: CancellationToken,
    on_panic: impl Fn(&'static str),
    mut start: F,
) where
    F: FnMut() -> T,
    T: Future<Output = ()> + Send + 'static,
{
    let mut pause = BACKOFF_MIN;
    loop {
        let started = tokio::time::Instant::now();
        let mut task = tokio::spawn(start());
        let ended = tokio::select! {
            ended = &mut task => ended,
            () = stop.cancelled() => {
                task.abort();
                return;
            }
        };
        match ended {
            Err(failure) if failure.is_panic() => {
                on_panic(name);
                tracing::error!(
                    task = name,
                    restart_in_ms = pause.as_millis(),
                    "background task panicked"
                );
            }
            _ => return,
        }
        if started.elapsed() > BACKOFF_MAX {
            pause = BACKOFF_MIN;
        }
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = stop.cancelled() => return,
        }
        pause = (pause * 2).min(BACKOFF_MAX);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[tokio::test]
    async fn a_task_that_panics_is_started_again_and_counted() {
        let starts = Arc::new(AtomicUsize::new(0));
        let panics = AtomicUsize::new(0);
        supervise(
            "test",
            CancellationToken::new(),
            |_| {
                panics.fetch_add(1, Ordering::SeqCst);
            },
            || {
                let starts = Arc::clone(&starts);
                async move {
                    assert!(starts.fetch_add(1, Ordering::SeqCst) >= 2, "fails twice");
                }
            },
        )
        .await;
        assert_eq!(starts.load(Ordering::SeqCst), 3);
        assert_eq!(panics.load(Ordering::SeqCst), 2);
    }

    #[tokio::test]
    async fn cancellation_ends_a_task_that_never_returns() {
        let stop = CancellationToken::new();
        stop.cancel();
        supervise("test", stop, |_| {}, std::future::pending::<()>).await;
    }
}
