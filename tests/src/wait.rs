//! Waiting on conditions. A test never sleeps for a time and hopes.

use std::thread;
use std::time::{Duration, Instant};

/// No condition may take longer, on a host however busy.
pub const PATIENCE: Duration = Duration::from_secs(30);
const LOOK_EVERY: Duration = Duration::from_millis(2);

/// Looks until `condition` gives something, and returns that and how long it took.
///
/// # Panics
/// If it takes longer than [`PATIENCE`].
pub fn eventually<T>(what: &str, mut condition: impl FnMut() -> Option<T>) -> (T, Duration) {
    let began = Instant::now();
    loop {
        if let Some(result) = condition() {
            return (result, began.elapsed());
        }
        assert!(began.elapsed() < PATIENCE, "still waiting after {PATIENCE:?}: {what}");
        thread::sleep(LOOK_EVERY);
    }
}
