//! The clock: here, unlike in the rest of the project, it is the point.

use std::time::{Duration, Instant};

/// Now.
#[inline]
#[allow(clippy::disallowed_methods, reason = "a bench measures the real clock")]
pub fn now() -> Instant {
    Instant::now()
}

/// How long something takes, and what it returns.
pub fn time<T>(work: impl FnOnce() -> T) -> (Duration, T) {
    let start = now();
    let result = work();
    (start.elapsed(), result)
}

/// A duration in nanoseconds, divided among so many.
#[allow(clippy::cast_precision_loss, reason = "far more digits than the clock has")]
pub fn nanoseconds_each(duration: Duration, count: usize) -> f64 {
    duration.as_nanos() as f64 / count as f64
}
